"""What is installed of camfleet beside its code: its version, the sample recordings and model, the example files."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

_SHARE = Path(__file__).parent / "share"
"""Where a wheel has them; `scripts/bundle.py` puts them there."""


def shared_files() -> Path:
    """A folder with `samples/` and `configs/`, laid out as in the repository, and perhaps read-only.

    In a working tree it is the repository itself.
    """
    return _SHARE if _SHARE.is_dir() else Path(__file__).parents[1]


def version() -> str:
    """The installed version, such as 0.1.0; `0+unknown` where camfleet is not installed but only found."""
    try:
        return metadata.version("camfleet")
    except metadata.PackageNotFoundError:
        return "0+unknown"
