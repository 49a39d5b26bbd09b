from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pipeline.config import json_schema, load_fleet
from pipeline.errors import ConfigError

CONFIGS = Path(__file__).parent.parent / "configs"
KEYWORDS = {
    *("$schema", "$defs", "$ref", "title", "description", "default", "examples", "enum", "const", "type", "format"),
    *("properties", "patternProperties", "additionalProperties", "propertyNames", "required"),
    *("minProperties", "maxProperties", "items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "anyOf", "oneOf", "allOf", "not"),
}
"""Of JSON Schema, draft 2020-12."""


def objects(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The sections of the schema by name."""
    return {"the fleet": schema, **schema["$defs"]}


def keys_of(tree: object, path: str = "") -> Iterator[str]:
    """The paths of all keys in a YAML tree."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield f"{path}{key}"
            yield from keys_of(value, f"{path}{key}.")


def test_schema_committed_copy_is_current() -> None:
    committed = json.loads((CONFIGS / "fleet.schema.json").read_text(encoding="utf-8"))
    assert committed == json_schema(), "run: camfleet schema --output configs/fleet.schema.json"


def test_schema_every_key_has_a_description_that_is_a_sentence() -> None:
    sections = objects(json_schema())
    poor = []
    for section, body in sections.items():
        for key, value in body["properties"].items():
            said = value.get("description") or sections[value["$ref"].rpartition("/")[2]]["description"]
            if len(said) < 12 or not said.endswith("."):
                poor.append(f"{section}.{key}")
    assert poor == []


def test_schema_every_section_allows_only_its_keys() -> None:
    assert [name for name, body in objects(json_schema()).items() if body["additionalProperties"] is not False] == []


def test_schema_names_what_the_file_says_and_not_what_camfleet_adds() -> None:
    schema = json_schema()
    assert set(schema["required"]) == {"model", "cameras"}
    assert schema["$defs"]["Camera"]["required"] == ["url"]
    assert "camera_id" not in schema["$defs"]["Camera"]["properties"]
    assert schema["properties"]["cameras"]["additionalProperties"] is False


def test_example_shows_every_key_of_the_schema() -> None:
    shown = set(keys_of(yaml.safe_load((CONFIGS / "example.yaml").read_text(encoding="utf-8"))))
    sections = objects(json_schema())
    expected = {
        *sections["the fleet"]["properties"],
        *(f"model.{key}" for key in sections["Model"]["properties"]),
        *(f"publish.{key}" for key in sections["Publish"]["properties"]),
        *(f"worker.{key}" for key in sections["Worker"]["properties"]),
        *(f"slo.{key}" for key in sections["Slo"]["properties"]),
        *(f"defaults.{key}" for key in sections["CameraSettings"]["properties"]),
        *(f"defaults.track.{key}" for key in sections["Track"]["properties"]),
        *(f"defaults.reconnect.{key}" for key in sections["Reconnect"]["properties"]),
    }
    assert expected - shown == set()


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_fleet_file_is_right_and_names_its_schema(file: Path, tmp_path: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=fleet.schema.json\n")
    # Beside a stand-in for the samples: the file is tested here, not the recordings.
    recordings = [f"{name}.mp4" for name in ("gate", "yard", "crossing", "street", "parking", "park")]
    for name in (*recordings, "model/demo_openvino_model", "model/colour_openvino_model"):
        stand_in = tmp_path / "samples" / name
        stand_in.parent.mkdir(parents=True, exist_ok=True)
        stand_in.touch()
    copy = tmp_path / "configs" / file.name
    copy.parent.mkdir()
    copy.write_text(text, encoding="utf-8")
    assert load_fleet(copy, {"GATE_PASSWORD": "x"}).cameras


def values_of(tree: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Every value in a tree that is no section itself, by its path."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= values_of(value, f"{path}{key}.") if isinstance(value, dict) and value else {f"{path}{key}": value}
    return found


def test_example_values_are_the_defaults_where_no_comment_says_otherwise(tmp_path: Path) -> None:
    """As they are loaded, each section and `defaults:` with them: a camera of the example that says nothing itself."""
    above, _, _ = (CONFIGS / "example.yaml").read_text(encoding="utf-8").partition("\ncameras:\n")
    loaded = []
    for name, head in (("shown", above), ("bare", "model: {path: other.pt}")):
        file = tmp_path / f"{name}.yaml"
        file.write_text(f"{head}\ncameras: {{a: {{url: 'rtsp://a/'}}}}\n", encoding="utf-8")
        loaded.append(values_of(load_fleet(file).model_dump()))
    shown, bare = loaded
    differing = [key for key in shown | bare if key not in shown or key not in bare or shown[key] != bare[key]]
    assert differing == ["name", "model.path", "model.classes", "model.input_wh"]


def test_schema_writes_bounds_as_editors_know_them() -> None:
    """Every keyword is one of JSON Schema: an editor passes over those that it does not know."""
    assert set(_keywords(json_schema())) - KEYWORDS == set()


@pytest.mark.parametrize(
    ("camera", "wrong"),
    [
        ({"stride": 0}, True),
        ({"stride": 101}, True),
        ({"stride": {"min": 0}}, True),
        ({"stride": {"min": 1, "max": 101}}, True),
        ({"stride": {"min": 1, "max": 4}}, False),
        ({"stride": 4, "track": {"gmc": "off"}}, False),
        ({"track": {"gmc": False}}, False),
        ({"track": {"gmc": True}}, True),
        ({"read_timeout_s": 0}, True),
        ({"max_detect_hz": 0}, True),
    ],
    ids=str,
)
def test_schema_refuses_in_an_editor_what_camfleet_refuses(camera: dict[str, Any], wrong: bool, tmp_path: Path) -> None:
    tree = {"model": {"backend": "stub"}, "cameras": {"gate": {"url": "rtsp://gate/", **camera}}}
    errors = list(jsonschema.Draft202012Validator(json_schema()).iter_errors(tree))
    assert bool(errors) == wrong
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(tree))
    try:
        load_fleet(file)
    except ConfigError:
        assert wrong
    else:
        assert not wrong


def _keywords(node: object, *, of_names: bool = False) -> Iterator[str]:
    """The keywords of a schema; what stands under `properties` and `$defs` are names of the user's or ours."""
    if isinstance(node, list):
        for one in node:
            yield from _keywords(one)
    elif isinstance(node, dict):
        for key, value in node.items():
            if not of_names:
                yield key
            if of_names or key not in ("default", "examples", "enum", "const"):
                yield from _keywords(
                    value, of_names=not of_names and key in ("properties", "$defs", "patternProperties")
                )
