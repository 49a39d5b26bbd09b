"""A detector that is never loaded: as one of which the export takes an hour."""

from __future__ import annotations

import threading

from pipeline.config.values import Model


def make(model: Model) -> object:
    threading.Event().wait()
    raise AssertionError
