"""The Python that a system runs in: ours, or one of its own, made on first use and kept in a cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path


class NotInstallable(Exception):
    """The environment could not be made; says why."""


def cache_folder() -> Path:
    """Where environments are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "camfleet" / "peers"


def python_of(name: str, packages: list[str], folder: Path) -> str:
    """The interpreter of the environment `name` with `packages`; blocks for minutes the first time. No packages: ours.

    Raises:
        NotInstallable: pip could not do it.
    """
    if not packages:
        return sys.executable
    home = folder / name
    python, ready = home / "bin" / "python", home / ".ready"
    if ready.exists():
        return str(python)
    print(f"making an environment with {', '.join(packages)} in {home} …", file=sys.stderr, flush=True)
    venv.create(home, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise NotInstallable(lines[-1] if lines else f"pip ended with {done.returncode}")
    ready.touch()
    return str(python)
