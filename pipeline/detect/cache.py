"""Where converted and compiled models are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import DetectorError


def cache_folder(name: str) -> Path:
    """The folder `name` in the user's cache (`$XDG_CACHE_HOME/camfleet`, else `~/.cache/camfleet`), made if missing.

    Raises:
        DetectorError: It cannot be made or written.
    """
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camfleet" / name
    except RuntimeError:
        raise DetectorError("there is no home folder for the cache; set XDG_CACHE_HOME to a folder of yours") from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DetectorError(f"cannot make the cache {folder}: {error.strerror}; set XDG_CACHE_HOME") from error
    if not os.access(folder, os.W_OK):
        raise DetectorError(f"cannot write to the cache {folder}; set XDG_CACHE_HOME to a folder of yours")
    return folder
