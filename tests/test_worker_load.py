"""A worker's loading of its detector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from pipeline.config import load_fleet
from pipeline.detect import DetectorAway
from pipeline.worker import process


def test_worker_detector_that_fails_to_warm_up_is_closed(
    fleet_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
):
    url = "grpc://127.0.0.1:1"
    file = fleet_file({"gate": "rtsp://127.0.0.1/"}, model={"backend": "triton", "path": "tiny", "url": url})
    fleet = load_fleet(file)
    detector = Mock()
    detector.warm_up.side_effect = DetectorAway("gone again")
    monkeypatch.setattr(process, "load_detector", lambda model, most: detector)
    with pytest.raises(DetectorAway, match="gone again"):
        process._load_politely(fleet, fleet.model)
    detector.close.assert_called_once_with()
