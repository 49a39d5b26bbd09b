"""The sinks of a fleet file."""

from __future__ import annotations

import json
import pickle
from importlib.util import find_spec
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml

from pipeline.config import json_schema, load_fleet, to_dict
from pipeline.config.sinks.base import KINDS, SinkSettings
from pipeline.config.sinks.choice import sink_of
from tests.fleet_files import GATE, STUB, told_of

CONFIGS = Path(__file__).parent.parent / "configs"
PLANTED = "hunter2-is-secret"


def sink(settings: str) -> str:
    return f"{STUB}\n{GATE}\nsinks:\n  keep: {settings}\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            sink("{kind: fiel, path: out}"),
            "4:16: sinks.keep.kind: found “fiel”, expected ",
            id="an unknown kind",
        ),
        pytest.param(
            sink("{kind: fiel, path: out}"),
            "or package.module:factory; did you mean “file”?",
            id="a kind that is close",
        ),
        pytest.param(sink("{path: out}"), "4:3: sinks.keep.kind: is missing; expected ", id="no kind"),
        pytest.param(sink(""), "4:8: sinks.keep.kind: is missing; expected ", id="nothing"),
        pytest.param(
            sink("file"),
            "4:9: sinks.keep: expected a mapping (lines of “key: value”) with at least “kind”",
            id="no mapping",
        ),
        pytest.param(sink("{kind: [file]}"), "4:10: sinks.keep.kind: found “['file']”, expected ", id="a list"),
        pytest.param(sink("{kind: file}"), "4:3: sinks.keep.path: is missing; expected text", id="a key is missing"),
        pytest.param(
            sink("{kind: file, path: out, rotate_s: 0}"),
            "4:43: sinks.keep.rotate_s: found “0”, expected a number from 1 to 2678400",
            id="out of range",
        ),
        pytest.param(
            sink("{kind: file, path: out, format: parket}"),
            "4:41: sinks.keep.format: found “parket”, expected one of jsonl, csv, parquet, mot; did you",
            id="a word that is close",
        ),
        pytest.param(
            sink("{kind: file, path: out, rotate: 3}"),
            "4:33: sinks.keep.rotate: is no key; did you mean “rotate_s”?",
            id="an unknown key",
        ),
        pytest.param(
            sink("{kind: file, path: out, cameras: [gte]}"),
            "4:43: sinks.keep.cameras.0: there is no camera “gte” in this file; did you mean “gate”?",
            id="an unknown camera",
        ),
        pytest.param(
            sink("{kind: 'json:dumps', options: {a: [1]}}"),
            "4:40: sinks.keep.options.a: found a list or mapping, expected true or false or a whole number or a number",
            id="an option that is a list",
        ),
        pytest.param(
            sink("{kind: 'json:dumps', factory: x}"), "4:30: sinks.keep.factory: is no key;", id="no second name"
        ),
        pytest.param(
            sink("{kind: 'no_such_module.sinks:make'}"),
            "4:16: sinks.keep.kind: there is no module “no_such_module”; is it installed, or its folder in PYTHONPATH?",
            id="a plug-in that is nowhere",
        ),
        pytest.param(
            f"{STUB}\n{GATE}\nsinks:\n  a/b: {{kind: file, path: out}}",
            "4:3: sinks.a/b: found “a/b”; a name is 1 to 63 letters",
            id="a name that is none",
        ),
    ],
)
def test_sink_that_is_wrong_is_told_with_its_place(content: str, expected: str, tmp_path: Path):
    _, *lines = told_of(content, tmp_path)
    assert len(lines) == 1
    assert expected in lines[0].removeprefix("fleet.yaml:")


def test_sink_whose_library_is_not_installed_is_told_with_the_command_that_brings_it(tmp_path: Path):
    with patch("pipeline.extras.find_spec", lambda name: None if name == "pyarrow" else find_spec(name)):
        _, line = told_of(sink("{kind: file, path: out, format: parquet}"), tmp_path)
        assert line == (
            "fleet.yaml:4:16: sinks.keep.kind: “file” needs pyarrow, which is not installed: "
            "pip install 'camfleet[sinks]'"
        )


@pytest.mark.parametrize(
    "url", [f"htps://{PLANTED}", f"https://[{PLANTED}", f"https://h:{PLANTED}/", f"http:// {PLANTED}"]
)
def test_webhook_that_is_wrong_repeats_nothing_of_its_address(url: str, tmp_path: Path):
    _, line = told_of(sink(f"{{kind: webhook, url: '{url.format(PLANTED)}'}}"), tmp_path)
    assert line == "fleet.yaml:4:30: sinks.keep.url: expected an address such as https://host.example/camfleet"


def test_secrets_of_sinks_are_in_no_dump_and_reach_the_process_that_needs_them(tmp_path: Path):
    file = tmp_path / "fleet.yaml"
    file.write_text(sink("{kind: webhook, url: 'https://h/${TOKEN}', secret: '${TOKEN}', token: '${TOKEN}'}"))
    fleet = load_fleet(file, {"TOKEN": PLANTED})
    assert PLANTED not in json.dumps(to_dict(fleet)) + repr(fleet) + fleet.model_dump_json()
    copied = pickle.loads(pickle.dumps(fleet.sinks["keep"]))
    assert (copied == fleet.sinks["keep"], copied.secret.reveal()) == (True, PLANTED)


def test_dump_of_a_sink_is_a_sink_again():
    for settings in (sink_of("file", {"path": "out", "cameras": ["a"]}), sink_of("a.b:c", {"options": {"x": 1}})):
        dumped = settings.model_dump(mode="json")
        assert sink_of(dumped.pop("kind"), dumped) == settings


def test_schema_shows_the_keys_of_each_kind_with_its_name():
    schema = json_schema()
    (choice,) = schema["properties"]["sinks"]["patternProperties"].values()
    shown = [schema["$defs"][one["$ref"].rpartition("/")[2]] for one in choice["oneOf"]]
    assert [one["properties"]["kind"].get("const") for one in shown] == [*sorted(KINDS), None]
    assert all({"kind", "cameras", "spool_mb"} <= set(one["properties"]) for one in shown)
    assert all("kind" in one["required"] for one in shown)


_OF_ONES_OWN = {"path", "url", "secret", "token", "options"}


def test_example_shows_sinks_that_are_right_with_every_key_and_its_default():
    _, _, commented = (CONFIGS / "example.yaml").read_text(encoding="utf-8").partition("\nsinks: {}")
    lines = commented.replace("${ALARM_URL}", "https://h/").splitlines()[1:]
    secret = ("path", "url", "secret", "token", "password", "options")
    assert all(line.startswith("  # ") for line in lines)
    shown = yaml.safe_load("\n".join(line.removeprefix("  # ") for line in lines))
    for settings in shown.values():
        kind, given = settings.pop("kind"), dict(settings)
        made = sink_of(kind, settings)
        fields = type(made).model_fields
        own = {key for key in type(made).model_fields if key not in SinkSettings.model_fields and key != "factory"}
        assert own <= set(given)
        others = {key: value for key, value in given.items() if key not in secret}
        assert others == {key: fields[key].default for key in others}
    assert set(SinkSettings.model_fields) <= set(shown["archive"])
