from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.config import Camera, CameraUrl, Fleet, load_fleet, to_yaml

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a fleet file, and empty recordings beside it."""

    def write_file(text: str, *recordings: str, name: str = "fleet.yaml") -> Path:
        for recording in recordings:
            (tmp_path / recording).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / recording).touch()
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    return write_file


def one_camera(settings: str = "", top: str = "") -> str:
    """A fleet file of one camera with extra settings."""
    return f"model: {{backend: stub}}\n{top}\ncameras:\n  gate: {{url: 'rtsp://cam/1', {settings}}}\n"


def test_load_fleet_smallest_file_of_the_documentation_is_complete(write: Write) -> None:
    file = write(
        """
        model: {path: yolo26n.pt}
        publish: {bind: "tcp://127.0.0.1:5555"}
        cameras:
          gate: {url: "rtsp://viewer:${GATE_PASSWORD}@gate.example/stream1", stride: 2}
          yard: {url: samples/yard.mp4, loop: true}
        """,
        "samples/yard.mp4",
    )
    fleet = load_fleet(file, {"GATE_PASSWORD": "hunter2"})
    gate, yard = fleet.cameras["gate"], fleet.cameras["yard"]
    assert (fleet.name, fleet.model.path, fleet.model.backend, fleet.slo.p95_ms) == ("fleet", "yolo26n.pt", "auto", 150)
    assert (gate.camera_id, gate.url.kind) == ("gate", "network")
    assert gate.url.reveal() == "rtsp://viewer:hunter2@gate.example/stream1"
    assert (yard.url.kind, yard.url.reveal()) == ("file", str(file.parent / "samples/yard.mp4"))
    assert (yard.loop, yard.stride.min, yard.stride.max, yard.pace) == (True, 1, 8, "realtime")


def test_load_fleet_defaults_lie_under_each_camera_key_by_key(write: Write) -> None:
    file = write(
        """
        model: {backend: stub}
        defaults: {stride: 5, format: mjpeg, reconnect: {initial_s: 2, max_s: 9}, track: {fill: none, gmc: sparse}}
        cameras:
          plain: {url: rtsp://cam/1}
          own: {url: rtsp://cam/2, stride: 1, format: null, reconnect: {max_s: 60}, track: {fill: interpolate}}
          empty_section: {url: rtsp://cam/3, track: }
        """
    )
    cameras = load_fleet(file, {}).cameras
    plain, own = cameras["plain"], cameras["own"]
    assert (plain.stride.max, plain.format, plain.reconnect.max_s, plain.track.fill) == (5, "mjpeg", 9, "none")
    assert (own.stride.min, own.format) == (1, None)
    assert (own.reconnect.initial_s, own.reconnect.max_s) == (2, 60)
    assert (own.track.fill, own.track.gmc) == ("interpolate", "sparse")
    assert cameras["empty_section"].track.gmc == "sparse"


def test_load_fleet_empty_sections_mean_their_defaults(write: Write) -> None:
    fleet = load_fleet(write(one_camera(top="defaults:\nslo:\nworker:\npublish:\nname:")), {})
    assert (fleet.defaults.stride.max, fleet.worker.nice, fleet.publish.queue, fleet.name) == (8, 5, 1000, "fleet")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param("track: {gmc: off}", {"track": {"gmc": "off"}}, id="off is a word"),
        pytest.param("loop: yes", {"loop": True}, id="yes is true where a truth is asked for"),
        pytest.param("loop: off", {"loop": False}, id="off is false where a truth is asked for"),
        pytest.param("loop: '${YES}'", {"loop": True}, id="a truth from the environment"),
        pytest.param("stride: '${SEVEN}'", {"stride": {"min": 7, "max": 7}}, id="a number from the environment"),
        pytest.param("stride: 010", {"stride": {"min": 10, "max": 10}}, id="a leading zero is not octal"),
        pytest.param("open_timeout_s: 1e1", {"open_timeout_s": 10}, id="an exponent without a point"),
        pytest.param("format: 2024", {"format": "2024"}, id="a number where a text is asked for"),
    ],
)
def test_load_fleet_yaml_words_mean_what_the_key_asks_for(
    write: Write, settings: str, expected: dict[str, object]
) -> None:
    gate = load_fleet(write(one_camera(settings)), {"SEVEN": "7", "YES": "yes"}).cameras["gate"].model_dump()
    for key, value in expected.items():
        assert (value.items() <= gate[key].items()) if isinstance(value, dict) else gate[key] == value


@pytest.mark.parametrize("name", ["off", "yes", "7", "007", "1e3", "null", "gate-2.west_1", "a" * 63])
def test_load_fleet_camera_names_stay_as_written(write: Write, name: str) -> None:
    file = write(f"model: {{backend: stub}}\ncameras: {{{name}: {{url: rtsp://cam/1}}}}")
    assert list(load_fleet(file, {}).cameras) == [name]


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("town.yaml", "town"),
        ("north gate (new).yaml", "north-gate-new"),
        ("größe.yaml", "gr-e"),
        ("__.yaml", "fleet"),
        ("a" * 80 + ".yaml", "a" * 63),
    ],
)
def test_load_fleet_without_name_is_called_like_its_file(write: Write, file_name: str, expected: str) -> None:
    assert load_fleet(write(one_camera(), name=file_name), {}).name == expected


def test_load_fleet_variables_are_replaced_in_every_text_and_escapes_kept(write: Write) -> None:
    text = "model: {backend: stub, options: {a: '${A}-${A}', b: '$${A}', c: '$A'}}\n" + one_camera().partition("\n")[2]
    options = load_fleet(write(text), {"A": "${B}"}).model.options
    assert options == {"a": "${B}-${B}", "b": "${A}", "c": "$A"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, "rtsp://cam:554/1"), ({"PORT": ""}, "rtsp://cam:554/1"), ({"PORT": "8554"}, "rtsp://cam:8554/1")],
    ids=["unset", "empty", "set"],
)
def test_load_fleet_variable_with_a_default_needs_not_be_set(
    write: Write, environ: dict[str, str], expected: str
) -> None:
    file = write("model: {backend: stub}\ncameras: {gate: {url: 'rtsp://cam:${PORT:-554}/1'}}")
    assert str(load_fleet(file, environ).cameras["gate"].url) == expected


def test_load_fleet_environment_is_read_by_default(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMFLEET_TEST_HOST", "cam7")
    file = write("model: {backend: stub}\ncameras: {gate: {url: 'rtsp://${CAMFLEET_TEST_HOST}/1'}}")
    assert str(load_fleet(file).cameras["gate"].url) == "rtsp://cam7/1"


def test_load_fleet_files_are_taken_beside_the_fleet_file_before_the_current_directory(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name in ("both.mp4", "here.mp4", "net.pt"):
        (elsewhere / name).touch()
    monkeypatch.chdir(elsewhere)
    file = write(
        """
        model: {path: net.pt}
        cameras:
          a: {url: both.mp4}
          b: {url: here.mp4}
          c: {url: "file://both.mp4"}
        """,
        "both.mp4",
    )
    fleet = load_fleet(file, {})
    assert fleet.model.path == str(elsewhere / "net.pt")
    assert [camera.url.reveal() for camera in fleet.cameras.values()] == [
        str(tmp_path / "both.mp4"),
        str(elsewhere / "here.mp4"),
        str(tmp_path / "both.mp4"),
    ]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param("{path: yolo26n.pt}", id="a bare name that Ultralytics may know"),
        pytest.param("{path: my/own/name, backend: 'pkg.mod:make'}", id="a plug-in's own naming"),
        pytest.param("{path: 'http://triton:8000/yolo'}", id="a server"),
        pytest.param("{backend: stub}", id="no model at all"),
    ],
)
def test_load_fleet_model_that_is_no_file_stays_as_written(write: Write, model: str) -> None:
    fleet = load_fleet(write(f"model: {model}\ncameras: {{gate: {{url: /dev/video0}}}}"), {})
    assert fleet.model.path in model


def test_load_fleet_anchors_and_merge_keys_share_settings(write: Write) -> None:
    file = write(
        """
        model: {backend: stub}
        cameras:
          a: &base {url: rtsp://cam/1, stride: 3, loop: true}
          b: {<<: *base, stride: 4}
          c: {<<: [{stride: 9}, *base], url: rtsp://cam/3}
          d: *base
        """
    )
    cameras = load_fleet(file, {}).cameras.values()
    assert [(camera.camera_id, str(camera.url), camera.stride.min, camera.loop) for camera in cameras] == [
        ("a", "rtsp://cam/1", 3, True),
        ("b", "rtsp://cam/1", 4, True),
        ("c", "rtsp://cam/3", 9, True),
        ("d", "rtsp://cam/1", 3, True),
    ]


@pytest.mark.parametrize(
    "bind", ["tcp://127.0.0.1:0", "tcp://localhost:1", "tcp://[::1]:5555", "tcp://127.9.9.9:1", "ipc:///a/b"]
)
def test_load_fleet_endpoint_of_zeromq_is_taken(write: Write, bind: str) -> None:
    assert load_fleet(write(one_camera(top=f"publish: {{bind: '{bind}'}}")), {}).publish.bind == bind


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("RTSP://cam/1", "network"),
        ("rtsps://[fe80::1]:322/1", "network"),
        ("http://cam:8080/video.mjpg", "network"),
        ("https://bob:p%40ss@cam/hls.m3u8", "network"),
        ("/dev/video12", "device"),
        ("/dev/v4l/by-id/usb-046d_C920-video-index0", "device"),
        ("file:///videos/a.mp4", "file"),
    ],
)
def test_camera_url_kinds_are_told_apart(written: str, kind: str) -> None:
    assert CameraUrl.parse(written).kind == kind


SECRETS = ("hunter2", "viewer", "tok3n", "k3y")


@pytest.fixture
def secret_fleet(write: Write) -> Fleet:
    return load_fleet(
        write(
            """
            model: {backend: stub, path: "https://bob:hunter2@host/yolo.pt", options: {api_key: "${KEY}", plain: seen}}
            cameras: {gate: {url: "rtsp://viewer:${PASSWORD}@gate.example/1?token=tok3n&ch=1"}}
            """
        ),
        {"PASSWORD": "hunter2", "KEY": "k3y"},
    )


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        Fleet.model_dump,
        Fleet.model_dump_json,
        to_yaml,
        lambda fleet: repr(fleet.cameras["gate"]),
        lambda fleet: str(fleet.cameras["gate"].url),
        lambda fleet: f"{fleet.cameras['gate'].url!r}",
        lambda fleet: str(fleet.model.model_dump()),
    ],
    ids=["repr", "str", "dump", "json", "yaml", "repr of camera", "str of url", "repr of url", "dump of model"],
)
def test_fleet_shown_in_any_way_hides_its_secrets(secret_fleet: Fleet, show: Callable[[Fleet], object]) -> None:
    shown = str(show(secret_fleet))
    assert "***" in shown
    assert not [secret for secret in SECRETS if secret in shown]


def test_fleet_pickled_for_a_camera_process_keeps_its_secrets(secret_fleet: Fleet) -> None:
    copy = pickle.loads(pickle.dumps(secret_fleet))
    assert copy == secret_fleet
    assert "hunter2" in copy.cameras["gate"].url.reveal()


def test_fleet_values_cannot_be_changed(secret_fleet: Fleet) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        secret_fleet.slo.p95_ms = 1  # type: ignore[misc]


def test_camera_without_settings_has_all_of_them() -> None:
    camera = Camera(camera_id="gate", url=CameraUrl("rtsp://cam/1"))
    assert (camera.transport, camera.reconnect.max_s, camera.track.max_fill_ms) == ("tcp", 30, 1000)


def test_camera_wrong_address_in_code_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValidationError) as caught:
        Camera.model_validate({"camera_id": "gate", "url": "rtps://bob:hunter2@cam/1"})
    assert "hunter2" not in str(caught.value)


def test_load_fleet_options_of_a_detector_keep_their_kinds(write: Write) -> None:
    text = "model: {backend: stub, options: {a: true, b: 7, c: 0x10, d: 1e3, e: off, f: '7'}}\n"
    options = load_fleet(write(text + "cameras: {gate: {url: rtsp://cam/1}}"), {}).model.options
    assert [(type(value), value) for value in options.values()] == [
        (bool, True),
        (int, 7),
        (int, 16),
        (float, 1000.0),
        (str, "off"),
        (str, "7"),
    ]


def test_to_yaml_written_out_is_read_back_as_the_same_fleet(write: Write) -> None:
    fleet = load_fleet(
        write(
            """
            model: {backend: stub, classes: [person, "off"], input_wh: [640, 384], options: {a: "$${x}", b: .5}}
            defaults: {stride: 3, track: {gmc: off}}
            cameras: {gate: {url: rtsp://cam/1, loop: true}, yes: {url: a.mp4}}
            """,
            "a.mp4",
        ),
        {},
    )
    assert load_fleet(write(to_yaml(fleet), name="again.yaml"), {}) == fleet
