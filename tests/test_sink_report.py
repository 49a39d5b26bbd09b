"""What a sink says of itself, as the supervisor reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sink.report import read_figures


@pytest.mark.parametrize("text", ['{"lost": -1}', '{"written": 99999999999999999999}', '{"lag_s": 1e300}', "{"])
def test_figures_that_cannot_be_published_are_as_none(tmp_path: Path, text: str):
    (tmp_path / "figures").write_text(text)
    assert read_figures(tmp_path / "figures") is None
