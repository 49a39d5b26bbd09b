"""Where processes keep what must outlive them: this user's state directory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pipeline.errors import SinkError


def state_folder(*names: str) -> Path:
    """A folder for what these names name, under `$XDG_STATE_HOME` or ~/.local/state; it need not exist.

    Where nobody knows this user's home, it is under /tmp, and gone after the next start of the machine.
    """
    base = os.environ.get("XDG_STATE_HOME", "")
    try:
        root = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError:
        root = Path(tempfile.gettempdir()) / f"camfleet-state-{os.getuid()}"
    return root.joinpath("camfleet", *names)


def private_folder(folder: Path) -> None:
    """Make it, for this user alone.

    Raises:
        SinkError: It cannot be made, or is somebody else's.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_uid == os.getuid() and found.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise SinkError(f"nothing can be kept in {folder}: {error.strerror}; set XDG_STATE_HOME") from error
    if found.st_uid != os.getuid():
        raise SinkError(f"nothing is kept in {folder}: it belongs to another user; set XDG_STATE_HOME")
