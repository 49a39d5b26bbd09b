from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.errors import ConfigError
from tests.fleet_files import GATE, STUB, told_of


def gate(settings: str) -> str:
    return f"{STUB}\ncameras:\n  gate:\n    url: rtsp://cam/1\n    {settings}\n"


def scale(settings: str) -> str:
    return f"{STUB}\nscale: {{{settings}}}\n{GATE}"


def address(url: str) -> str:
    return f"{STUB}\ncameras: {{gate: {{url: {url}}}}}"


def model(settings: str) -> str:
    return f"model: {{backend: stub, {settings}}}\n{GATE}"


def bind(endpoint: str) -> str:
    return f"{STUB}\npublish: {{bind: {endpoint}}}\n{GATE}"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(
            scale("autoscale: {least: 2}"),
            "2:9: scale.autoscale.most: is missing",
            id="autoscale without a bound",
        ),
        pytest.param(
            scale("autoscale: {least: 3, spare: 2, most: 4}"),
            "scale.autoscale.most: found “4”, which is below `least` and `spare` together (5)",
            id="autoscale with a bound below what there is to be",
        ),
        pytest.param(
            scale("autoscale: {most: 4, idle: 0.7}"),
            "scale.autoscale.idle: found “0.7”, which is not below `target` (0.7)",
            id="autoscale that would give back what it asks for",
        ),
        pytest.param(
            scale("autoscale: {most: 4, target: 1}"),
            "scale.autoscale.short_demand: found “0.9”, which is below `target` (1)",
            id="autoscale that would ask for more than it aims at",
        ),
        pytest.param(
            scale("cpus: 0, autoscale: {most: 4}"),
            "scale.autoscale: machines are asked for by what a shard takes of one, which is nothing here",
            id="autoscale of shards that take nothing",
        ),
        pytest.param(
            gate("stride: two"),
            "5:13: cameras.gate.stride: found “two”, expected a whole number from 1 to 100",
            id="wrong type",
        ),
        pytest.param(
            gate("stride: 0"),
            "5:13: cameras.gate.stride: found “0”, expected a whole number from 1 to 100",
            id="out of range",
        ),
        pytest.param(
            gate("stride: 2.5"),
            "5:13: cameras.gate.stride: found “2.5”, expected a whole number from 1 to 100",
            id="a fraction",
        ),
        pytest.param(
            gate("stride: true"),
            "5:13: cameras.gate.stride: found “true”, expected a whole number from 1 to 100",
            id="true is no number",
        ),
        pytest.param(
            gate(f"stride: {'9' * 5000}"),
            "found “" + "9" * 60 + "…”, expected a whole number",
            id="a number of 5000 digits",
        ),
        pytest.param(
            gate("stride:"), "5:12: cameras.gate.stride: found nothing, expected a whole number", id="no value"
        ),
        pytest.param(
            gate("stride: [2]"),
            "5:5: cameras.gate.stride: found a list or mapping, expected a whole number",
            id="a list for a number",
        ),
        pytest.param(gate("max_detect_hz: 0"), "found “0”, expected a number above 0 to 1000", id="optional number"),
        pytest.param(gate("read_timeout_s: .nan"), "found “.nan”, expected a number above 0 to 300", id="not a number"),
        pytest.param(gate("read_timeout_s: .inf"), "found “.inf”, expected a number above 0 to 300", id="infinity"),
        pytest.param(
            gate("loop: maybe"), "cameras.gate.loop: found “maybe”, expected true or false", id="neither true nor false"
        ),
        pytest.param(
            gate("transport: tpc"),
            "expected one of tcp, udp, auto; did you mean “tcp”?",
            id="a typing mistake in a word",
        ),
        pytest.param(
            gate("strid: 2"),
            "5:5: cameras.gate.strid: is no key; did you mean “stride”?",
            id="a typing mistake in a key",
        ),
        pytest.param(
            gate("fill: none"),
            "cameras.gate.fill: is no key; it belongs under track; allowed here: stride, priority",
            id="a key in the wrong place",
        ),
        pytest.param(
            gate("stride: {policy: contents}"),
            "cameras.gate.stride.policy: found “contents”, expected one of equal, content; did you mean “content”?",
            id="a typing mistake in a policy",
        ),
        pytest.param(
            gate("stride: {x: 1}"),
            "cameras.gate.stride.x: is no key; allowed here: min, max, policy",
            id="an unknown key of something that may be a number",
        ),
        pytest.param(
            gate("policy: content"),
            "cameras.gate.policy: is no key; it belongs under stride; allowed here: stride, priority",
            id="a policy outside its stride",
        ),
        pytest.param(
            gate("xyzzy: 1"),
            "cameras.gate.xyzzy: is no key; allowed here: stride, priority, weight",
            id="an unknown key",
        ),
        pytest.param(
            gate("camera_id: x"),
            "cameras.gate.camera_id: is no key; the camera is called “gate” already",
            id="a camera's name inside it",
        ),
        pytest.param(
            gate("reconnect: {initial_s: 60}"),
            "5:5: cameras.gate.reconnect: max_s (30) is smaller than initial_s (60)",
            id="two values that do not agree",
        ),
        pytest.param(
            gate("min_detect_hz: 10\n    max_detect_hz: 5"),
            "6:20: cameras.gate.max_detect_hz: found “5”, which is below min_detect_hz (10)",
            id="a bound of detections below its floor",
        ),
        pytest.param(
            f"{STUB}\ndefaults: {{max_detect_hz: 5}}\ncameras: {{gate: {{url: rtsp://cam/1, min_detect_hz: 10}}}}",
            "2:27: defaults.max_detect_hz: found “5”, which is below min_detect_hz (10)",
            id="a default bound below a camera's floor",
        ),
        pytest.param(
            gate("track: predict"), "cameras.gate.track: found “predict”, expected a mapping", id="text for a section"
        ),
        pytest.param(
            f"{STUB}\nstride: 2\n{GATE}",
            "2:1: stride: is no key; it belongs under defaults or a camera",
            id="a camera's key at the top",
        ),
        pytest.param(GATE, "model: is missing; expected a mapping", id="no model"),
        pytest.param(f"model: \n{GATE}", "1:7: model: “path” is missing", id="a model without a path"),
        pytest.param(f"model: {{path: ''}}\n{GATE}", "model: “path” is missing", id="an empty path"),
        pytest.param(
            f"model: {{path: models/none.xml}}\n{GATE}",
            "1:15: model.path: there is no model “models/none.xml” in",
            id="a model that is nowhere",
        ),
        pytest.param(
            f"model: {{path: a.pt, backend: openvin}}\n{GATE}",
            "found “openvin”, expected auto, openvino, ultralytics, triton, stub or package.module:factory; "
            "did you mean “openvino”?",
            id="an unknown backend",
        ),
        pytest.param(
            model("input_wh: [640, big]"),
            "model.input_wh.1: found “big”, expected a whole number from 32 to 8192",
            id="half a size is wrong",
        ),
        pytest.param(model("input_wh: [640]"), "model.input_wh", id="half a size is missing"),
        pytest.param(
            model("classes: person"),
            "model.classes: found “person”, expected a list, each text",
            id="a text for a list",
        ),
        pytest.param(
            model("options: {a: [1]}"),
            "model.options.a: found a list or mapping, expected true or false or a whole number or a number or text",
            id="an option that is a list",
        ),
        pytest.param(
            bind("'udp://x:1'"),
            "publish.bind: found “udp://x:1”, expected tcp://ADDRESS:PORT",
            id="an endpoint of another kind",
        ),
        pytest.param(
            bind("'tcp://127.0.0.1'"),
            "publish.bind: found “tcp://127.0.0.1”, expected",
            id="an endpoint without a port",
        ),
        pytest.param(bind("'tcp://127.0.0.1:65536'"), "a port of 0 to 65535", id="a port that there is not"),
        pytest.param(
            model("classes: {person: 1}"), "classes: found a mapping, expected a list", id="a mapping for a list"
        ),
        pytest.param(
            f"{STUB}\ncascade: {{colour: {{model: {{backend: stub}}, of: []}}}}\ncameras: {{gate: {{url: rtsp://x/1}}}}",
            "2:44: cascade.colour.of: is too short a list; expected at least 1",
            id="a second look at nothing",
        ),
        pytest.param(bind("5555"), "publish.bind: found “5555”", id="a port alone"),
        pytest.param(bind(f"'ipc://{'x' * 108}'"), "at most 107 bytes", id="a socket path too long for Linux"),
        pytest.param(STUB, "cameras: is missing; expected a mapping", id="no cameras"),
        pytest.param(
            f"{STUB}\ncameras: {{}}", "2:1: cameras: is empty; a fleet needs at least one camera", id="empty cameras"
        ),
        pytest.param(f"{STUB}\ncameras: []", "cameras: found a list, expected a mapping", id="a list of cameras"),
        pytest.param(
            f"{STUB}\ncameras: {{gate: }}",
            "cameras.gate.url: is missing; expected text such as rtsp://",
            id="a camera of nothing",
        ),
        pytest.param(
            f"{STUB}\ncameras: {{gate: rtsp://cam/1}}",
            "cameras.gate: found “rtsp://cam/1”, expected a mapping",
            id="a camera that is only an address",
        ),
        pytest.param(
            f"{STUB}\ncameras:\n  a b: {{url: rtsp://c/1}}",
            "3:3: cameras.a b: found “a b”; a name is 1 to 63 letters",
            id="a name with a space",
        ),
        pytest.param(
            f"{STUB}\ncameras: {{a/b: {{url: rtsp://c/1}}}}",
            "cameras.a/b: found “a/b”; a name is",
            id="a name with a slash",
        ),
        pytest.param(
            f"{STUB}\ncameras: {{.a: {{url: rtsp://c/1}}}}",
            "cameras..a: found “.a”; a name is",
            id="a name that begins with a dot",
        ),
        pytest.param(
            f"{STUB}\ncameras: {{{'a' * 64}: {{url: rtsp://c/1}}}}", "a name is 1 to 63 letters", id="a name of 64"
        ),
        pytest.param(f"{STUB}\ncameras: {{'': {{url: rtsp://c/1}}}}", "a name is 1 to 63 letters", id="an empty name"),
        pytest.param(
            f"{STUB}\nname: a/b\n{GATE}", "2:7: name: found “a/b”; a name is", id="a fleet's name with a slash"
        ),
        pytest.param(
            f"{STUB}\ncameras:\n  gate: {{url: rtsp://a/1}}\n  gate: {{url: rtsp://b/1}}",
            "4:3: cameras.gate: is there twice, in line 3 and in line 4",
            id="two cameras of one name",
        ),
        pytest.param(
            f"{STUB}\n{STUB}\n{GATE}",
            "2:1: model: is there twice, in line 1 and in line 2",
            id="two sections of one name",
        ),
        pytest.param(
            address("rtps://cam/1"),
            "scheme “rtps://” is not supported; expected an address with rtsp:// rtsps:// http:// https:// srt:// or "
            "file://, the path of a recording or of a folder of pictures, a /dev/videoN device, or python:",
            id="an unknown scheme",
        ),
        pytest.param(address("/dev/sda"), "“/dev/sda” is no video device", id="a device that is no camera"),
        pytest.param(
            address("'rtsp:///1'"),
            "cameras.gate.url: there is no host in it; expected rtsp://HOST/PATH or rtsp://HOST:PORT/PATH; ",
            id="an address without a host",
        ),
        *(
            pytest.param(
                address(f"'rtsp://cam:{port}/1'"),
                "cameras.gate.url: the port is none; expected rtsp://HOST:PORT/PATH with a number from 1 to 65535; ",
                id=f"port {port}",
            )
            for port in ("port", "0", "65536", "99999", "-1")
        ),
        pytest.param(address("''"), "cameras.gate.url: expected an address with", id="an empty address"),
        pytest.param(address("[a]"), "cameras.gate.url: expected an address with", id="a list for an address"),
        pytest.param(address("gate.mp4"), "there is no recording “gate.mp4” in", id="a recording that is nowhere"),
        pytest.param(
            address("'file:///no/gate.mp4'"),
            "there is no recording “/no/gate.mp4” in this machine",
            id="an absolute path that is nowhere",
        ),
        pytest.param(address(f"{'x' * 5000}"), "there is no recording", id="a path longer than any"),
        pytest.param(address("."), "there is no picture in the folder", id="a folder without a picture"),
        pytest.param(
            address("'rtsp://a:${GATE_PW}@cam/1'"),
            "2:23: cameras.gate.url: the environment variable GATE_PW is not set",
            id="an unset variable",
        ),
        pytest.param(
            address("'rtsp://${HOST-cam}/1'"), "“${” begins a variable", id="a variable with a default in other words"
        ),
        pytest.param(address("'rtsp://${HOST'"), "“${” begins a variable", id="a variable without an end"),
        pytest.param(
            f"{STUB}\nx: !!python/object:os.system 1\n{GATE}",
            "YAML tags such as “!!python/object:os.system” are not supported",
            id="a Python object",
        ),
        pytest.param(f"{STUB}\n? [a, b]\n: 1\n{GATE}", "a key must be a word", id="a list for a key"),
        pytest.param(
            f"{STUB}\ncameras: {{gate: {{<<: base, url: rtsp://cam/1}}}}",
            "cameras.gate.<<: must name a mapping",
            id="a merge of a word",
        ),
    ],
)
def test_load_fleet_mistake_names_place_key_found_and_allowed(tmp_path: Path, content: str, expected: str) -> None:
    head, *told = told_of(content, tmp_path)
    assert head == f"fleet.yaml: {'1 mistake' if len(told) == 1 else f'{len(told)} mistakes'}"
    assert all(re.match(r"fleet\.yaml:\d+:\d+: ", line) for line in told)
    assert [line for line in told if expected in line], told


def test_load_fleet_recording_that_is_nowhere_names_both_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, beside = tmp_path / "here", tmp_path / "beside"
    here.mkdir()
    beside.mkdir()
    monkeypatch.chdir(here)
    (beside / "fleet.yaml").write_text(f"{STUB}\ncameras: {{gate: {{url: gate.mp4}}}}")
    with pytest.raises(ConfigError) as caught:
        load_fleet(beside / "fleet.yaml")
    assert f"in {beside} (beside the fleet file) or {here} (the current directory)" in str(caught.value)


def test_load_fleet_many_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    head, *told = told_of(
        """model: {backend: stub, confidence: 3}
publish: {queue: 0}
defaults:
  stride: 0
cameras:
  gate: {url: "rtsp://a:${UNSET}@cam/1", strid: 2}
  gate: {url: rtsp://cam/2}
  a b: {url: none.mp4}
slo: {p95_ms: fast}
""",
        tmp_path,
    )
    assert head == "fleet.yaml: 9 mistakes"
    assert [line.split(": ")[1] for line in told] == [
        "model.confidence",
        "publish.queue",
        "defaults.stride",
        "cameras.gate.url",
        "cameras.gate.strid",
        "cameras.gate",
        "cameras.a b",
        "cameras.a b.url",
        "slo.p95_ms",
    ]


def test_load_fleet_mistake_in_defaults_is_told_once_and_not_for_every_camera(tmp_path: Path) -> None:
    cameras = "".join(f"  c{n}: {{url: rtsp://cam/{n}}}\n" for n in range(5))
    told = told_of(f"{STUB}\ndefaults:\n  track: {{fill: predct}}\n  loops: 1\ncameras:\n{cameras}", tmp_path)
    assert told == [
        "fleet.yaml: 2 mistakes",
        "fleet.yaml:3:17: defaults.track.fill: found “predct”, expected one of predict, interpolate, none; "
        "did you mean “predict”?",
        "fleet.yaml:4:3: defaults.loops: is no key; did you mean “loop”?",
    ]


def test_load_fleet_hundreds_of_mistakes_are_cut_off(tmp_path: Path) -> None:
    told = told_of(STUB + "\ncameras:\n" + "".join(f"  c{n}: {{stride: 0}}\n" for n in range(100)), tmp_path)
    assert told[0] == "fleet.yaml: 200 mistakes"
    assert told[-1] == "… and 150 more"
    assert len(told) == 52
