"""`--set KEY=VALUE`: values mean what they mean in a fleet file, where `off` is a word."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.cli.settings import read_settings
from pipeline.config.edit import with_camera
from pipeline.config.load import load_fleet
from pipeline.errors import ConfigError


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (["stride=2"], {"stride": 2}),
        (["track.gmc=off"], {"track": {"gmc": "off"}}),
        (["name=no", "at=1:30", "code=010"], {"name": "no", "at": "1:30", "code": 10}),
        (["loop=true"], {"loop": True}),
        (["classes=[person, car]"], {"classes": ["person", "car"]}),
        (["stride={min: 1, max: 4}", "track.fill=none"], {"stride": {"min": 1, "max": 4}, "track": {"fill": "none"}}),
        (["password='a=b'"], {"password": "a=b"}),
        (["empty="], {"empty": None}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_settings_are_read_as_a_fleet_file_is(settings: list[str], expected: dict[str, Any]) -> None:
    assert read_settings(settings) == expected


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("stride", "expected KEY=VALUE"),
        ("=2", "expected KEY=VALUE"),
        ("a={b", "is no YAML; put it in quotes"),
        ("a={b: 1, b: 2}", "is no YAML"),
        ("a=" + "[" * 40, "is no YAML"),
    ],
)
def test_setting_that_cannot_be_read_is_told(setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_settings([setting])


def test_off_is_off_however_it_was_written(tmp_path) -> None:
    """By us, by an editor, and by a program that writes YAML 1.1, where a bare `off` is false."""
    for written in ("off", "'off'", "false", "no_such_word"):
        file = tmp_path / "fleet.yaml"
        file.write_text(f"model: {{backend: stub}}\ncameras: {{a: {{url: 'rtsp://a/', track: {{gmc: {written}}}}}}}\n")
        if written == "no_such_word":
            with pytest.raises(ConfigError, match="found “no_such_word”, expected one of off, sparse"):
                load_fleet(file)
        else:
            fleet = load_fleet(file)
            assert fleet.cameras["a"].track.gmc == "off"
    more = with_camera(fleet, "b", {"url": "rtsp://b/", **read_settings(["track.gmc=off"])})
    assert more.cameras["b"].track.gmc == "off"
