"""Detectors: one adapter a file, all behind `pipeline.detect.protocol.Detector`.

Importing this package loads no inference library; `load_detector` imports the one adapter it needs.
"""

from __future__ import annotations

from pipeline.detect.load import load_detector, load_second
from pipeline.detect.protocol import PAD_GREY, Detector, DetectorAway

__all__ = ["PAD_GREY", "Detector", "DetectorAway", "load_detector", "load_second"]
