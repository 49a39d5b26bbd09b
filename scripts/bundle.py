"""Builds the wheel: recordings, sample model and example files go into it as `pipeline/share`.

They stay where they are in the repository, and lie there as they lie here, so that paths in them hold. setuptools calls
this (`tool.setuptools.cmdclass` in pyproject.toml); it needs nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from setuptools.command.build_py import build_py

SHARED = (
    "configs/**/*",
    "samples/*.mp4",
    "samples/README.md",
    "samples/ground_truth/**/*",
    "samples/model/README.md",
    "samples/model/demo_openvino_model/*",
    "samples/model/colour.md",
    "samples/model/colour_openvino_model/*",
)
"""What a wheel has beside the code; without the smaller models and the pictures of the manual, 5 MB."""
TARGET = Path("pipeline/share")


class BuildPy(build_py):
    """Copies what is in the package, and then what it shares."""

    def run(self) -> None:
        """Copy all; an editable install takes both from where they are."""
        super().run()
        if not self.editable_mode:
            for source in shared():
                target = self._target(source)
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target), preserve_mode=False)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """What `run` has made, for a record of what is installed."""
        made = [] if self.editable_mode else [str(self._target(source)) for source in shared()]
        return [*super().get_outputs(include_bytecode), *made]

    def get_source_files(self) -> list[str]:
        """What a source distribution needs: all that goes into the wheel, and this file."""
        return [*super().get_source_files(), *map(str, shared()), "scripts/bundle.py"]

    def _target(self, source: Path) -> Path:
        return Path(self.build_lib) / TARGET / source


def shared() -> Iterator[Path]:
    """The files, relative to the top of the repository, where builds take place."""
    for pattern in SHARED:
        yield from (path for path in sorted(Path().glob(pattern)) if path.is_file())
