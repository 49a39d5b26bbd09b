from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import load_fleet
from pipeline.errors import ConfigError
from tests.fleet_files import told_of


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("", "the file is empty", id="empty"),
        pytest.param("# nothing yet\n", "the file is empty", id="only a comment"),
        pytest.param("- a\n- b\n", "a fleet file is a mapping", id="a list"),
        pytest.param("rtsp://cam/1", "a fleet file is a mapping", id="a word"),
        pytest.param("cameras: {gate: [\n", "fleet.yaml:2:1: is not YAML", id="an open bracket"),
        pytest.param("a: 1\n\tb: 2\n", "fleet.yaml:2:1: is indented by a tab; YAML takes spaces only", id="a tab"),
        pytest.param(
            "a:\n  b:\n  \tc: 2", "fleet.yaml:3:3: is indented by a tab", id="a tab behind spaces, at the end"
        ),
        pytest.param("a: 1\n---\nb: 2\n", "is not YAML", id="two documents"),
        pytest.param("a: \x00\n", "is not YAML", id="a zero"),
        pytest.param("a: *b\n", "fleet.yaml:1:4: is not YAML: found undefined alias", id="an alias of nothing"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\xff", "is not UTF-8 text", id="a picture"),
        pytest.param("name: größe\n".encode("latin-1"), "fleet.yaml:1: is not UTF-8 text", id="Latin-1"),
        pytest.param("name: x\n".encode("utf-16"), "is not UTF-8 text", id="UTF-16"),
        pytest.param("#" * (1 << 20) + "\n", "is larger than 1 MiB", id="huge"),
        pytest.param("[" * 100_000, "is nested deeper than 16 levels", id="a hundred thousand brackets"),
        pytest.param("a: &a [*a]\n", "aliases without end", id="an alias of itself"),
        pytest.param(f"a: [{'0,' * 200_000}]\n", "more than 50000 values", id="a list of zeros"),
        pytest.param("a: &a {<<: *a}\n", "aliases without end", id="a merge of itself"),
        pytest.param(
            "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)),
            "values, or aliases without end",
            id="a billion laughs",
        ),
        pytest.param(
            "a0: &a0 {x: 1}\n"
            + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 10)),
            "values, or aliases without end",
            id="a billion merges",
        ),
    ],
)
def test_load_fleet_file_that_is_no_fleet_is_one_line(tmp_path: Path, content: str | bytes, expected: str) -> None:
    told = told_of(content, tmp_path)
    assert len(told) == 1
    assert told[0].startswith("fleet.yaml:")
    assert expected in told[0]


def test_load_fleet_missing_file_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=re.escape(f"nope.yaml: there is no such file (looked in {tmp_path})")):
        load_fleet("nope.yaml")


def test_load_fleet_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a directory"):
        load_fleet(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_load_fleet_unreadable_file_says_why(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.touch(mode=0)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
        load_fleet(file)


def test_load_fleet_name_with_a_zero_in_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_fleet("a\0b.yaml")


_PIECES = ("model: ", "cameras: ", "{backend: stub}", "{gate: {url: rtsp://cam/1}}", "stride: 2", "&a ", "*a", "<<: ")
_MARKS = (
    *"{}[]:,-?!|>#&*'\"% \t\n\x85\u2028é",
    "${",
    "$${",
    "!!int ",
    "!!float ",
    "null",
    ".inf",
    "0x",
    "1e999",
    "---",
)


@given(pieces=st.lists(st.sampled_from((*_PIECES, *_MARKS)), max_size=12))
def test_load_fleet_any_text_is_a_fleet_or_one_config_error(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[str]
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text("".join(pieces), encoding="utf-8", newline="")
    try:
        assert load_fleet(file, {}).cameras
    except ConfigError as error:
        assert str(error).startswith(f"{file}:")
