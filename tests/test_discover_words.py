"""What devices say when cameras are looked for: datagrams, addresses, streams, and the lines made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.config import load_fleet
from pipeline.discover.datagram import TYPES, Match, probe, read_matches
from pipeline.discover.device import Device, Login, Profile
from pipeline.discover.lines import Proposal, name_for, propose, to_yaml
from pipeline.discover.place import Address, Placed, Trust
from pipeline.discover.plain import DeviceError, plain_xml, shown
from pipeline.discover.propose import choose
from pipeline.discover.secret import Variables, written
from pipeline.errors import ConfigError
from tests.onvif_device import BOMB

ASKED = "6f0f2f4e-0b5a-4c3e-9d3b-0a1b2c3d4e5f"
LOGIN = Login("bob", "hunter2")


def answer(relates: str = f"urn:uuid:{ASKED}", body: str = "", match: str = "<ProbeMatch>{}</ProbeMatch>") -> bytes:
    return f"<E><RelatesTo>{relates}</RelatesTo>{match.format(body)}</E>".encode()


def test_probe_asks_for_a_type_by_its_namespace_and_carries_the_identifier():
    text = probe(ASKED, TYPES[0]).decode()
    assert f"urn:uuid:{ASKED}" in text
    assert 'xmlns:t="http://www.onvif.org/ver10/network/wsdl"' in text
    assert "t:NetworkVideoTransmitter" in text


def test_match_has_name_model_and_addresses_whatever_its_namespaces():
    body = (
        '<x:Address xmlns:x="urn:any">urn:uuid:1</x:Address>'
        "<Scopes>onvif://www.onvif.org/name/North%20Gate ONVIF://WWW.ONVIF.ORG/hardware/M1 other</Scopes>"
        "<XAddrs>http://10.0.0.7/onvif/device_service\n http://[fe80::1]/x</XAddrs>"
    )
    expected = Match("urn:uuid:1", ("http://10.0.0.7/onvif/device_service", "http://[fe80::1]/x"), "North Gate", "M1")
    assert read_matches(answer(body=body), (ASKED,)) == (expected,)


@pytest.mark.parametrize("relates", [f"uuid:{ASKED}", ASKED.upper(), f"urn:uuid:{ASKED}\n"])
def test_match_belongs_to_its_probe_however_the_identifier_is_written(relates: str):
    assert read_matches(answer(relates), (ASKED,)) == (Match("", ()),)


def test_match_speaks_for_a_few_devices_and_names_a_few_addresses_at_most():
    many = "<ProbeMatch><XAddrs>" + "http://10.0.0.7/ " * 99 + "http://" + "x" * 2000 + "</XAddrs></ProbeMatch>"
    found = read_matches(answer(match=many * 99), (ASKED,))
    assert len(found) == 16
    assert {len(match.addresses) for match in found} == {8}


@pytest.mark.parametrize(
    ("datagram", "why"),
    [
        pytest.param(b"", "no XML", id="nothing"),
        pytest.param(b"\x00\xff" * 30_000, "no XML", id="noise, as large as a datagram can be"),
        pytest.param(answer()[:-9], "no XML", id="cut short"),
        pytest.param(BOMB, "document type", id="entities that unfold"),
        pytest.param(b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type", id="another file"),
        pytest.param(BOMB.decode().encode("utf-16"), "no XML", id="entities in another encoding"),
        pytest.param(answer("urn:uuid:another"), "not asked", id="answer to somebody else"),
        pytest.param(answer(match=""), "who it is", id="no match"),
        pytest.param(b"<a>" * 20_000, "no XML", id="deep"),
    ],
)
def test_datagram_that_is_no_answer_is_refused_with_the_reason(datagram: bytes, why: str):
    with pytest.raises(DeviceError, match=why):
        read_matches(datagram, (ASKED,))


def test_plain_xml_is_utf8_whatever_it_says_of_itself():
    assert plain_xml(b'\xef\xbb\xbf<?xml version="1.0" encoding="EBCDIC"?><a>\xfc</a>') == "<a>\ufffd</a>"


def test_shown_words_are_one_line_without_secrets_and_of_bounded_length():
    assert shown("a\n\x1b[2J  rtsp://bob:hunter2@h/x") == "a \ufffd[2J rtsp://***@h/x"
    assert shown("x" * 5000) == "x" * 99 + "…"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.7", Address("10.0.0.7", None, "http://10.0.0.7/onvif/device_service")),
        ("gate.example:8000", Address("gate.example", 8000, "http://gate.example:8000/onvif/device_service")),
        ("fd00::7", Address("fd00::7", None, "http://[fd00::7]/onvif/device_service")),
        ("[fd00::7]:80", Address("fd00::7", 80, "http://[fd00::7]:80/onvif/device_service")),
        ("https://gate/x?y=1", Address("gate", 443, "https://gate/x?y=1")),
    ],
)
def test_address_that_a_user_gives_is_a_device_service(text: str, expected: Address):
    assert Address.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a b", "10.0.0.7:0", "10.0.0.7:x", "rtsp://10.0.0.7/", "bob:hunter2@10.0.0.7", "-x"]
)
def test_address_that_is_none_is_refused_without_repeating_it(text: str):
    with pytest.raises(ConfigError, match=r"--address: expected HOST") as refused:
        Address.parse(text)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://10.0.0.7:81/a?b=1", Placed("http://10.0.0.7:81/a?b=1")),
        ("rtsp://192.168.1.9:554/live", Placed("rtsp://10.0.0.7:554/live", "192.168.1.9")),
        ("rtsp://gate.example/live", Placed("rtsp://10.0.0.7/live")),
        ("http://10.0.0.7\\@evil.example/", Placed("http://10.0.0.7\\@10.0.0.7/", "evil.example")),
        ("http://10.0.0.7@evil.example/", Placed("http://10.0.0.7@10.0.0.7/", "evil.example")),
        ("http://[fe80::1%25eth0]/", None),
        ("http://10.0.0.7:99999/", None),
        ("http:///onvif", None),
        ("rtsp://10.0.0.7/a b", None),
        ("rtsp://10.0.0.7/a\nb", None),
        ("rtsp://10.0.0.7/" + "a" * 5000, None),
    ],
)
def test_trust_keeps_addresses_to_the_host_that_answered(url: str, expected: Placed | None):
    assert Trust("10.0.0.7", frozenset({"gate.example"})).place(url) == expected


def test_trust_in_others_takes_what_the_device_says():
    assert Trust("10.0.0.7", others=True).place("rtsp://10.9.9.9/live") == Placed("rtsp://10.9.9.9/live")


def profile(token: str, wh: tuple[int, int] | None, fps: float | None = 25, codec: str = "H264") -> Profile:
    return Profile(token, token, "input", codec, wh, fps, uri=f"rtsp://10.0.0.7/{token}")


FULL, SUB, CIF = profile("full", (1920, 1080)), profile("sub", (640, 360), 15), profile("cif", (352, 288))
D1, JPEG, CRAWL = profile("d1", (704, 576)), profile("jpeg", (640, 360), codec="JPEG"), profile("crawl", (640, 360), 1)
UNKNOWN = profile("unknown", None, None, "")


@pytest.mark.parametrize(
    ("profiles", "detect", "evidence", "advice"),
    [
        pytest.param([FULL, SUB], "sub", "full", "", id="main and sub-stream"),
        pytest.param([FULL, D1, SUB, CIF], "sub", "full", "", id="the smallest that is large enough"),
        pytest.param([FULL], "full", None, "", id="one stream"),
        pytest.param([FULL, CIF], "full", None, "sub-stream of 352x288 is small", id="sub-stream too small"),
        pytest.param([CIF], "cif", None, "far away is not seen", id="nothing but small"),
        pytest.param([FULL, JPEG], "full", None, "", id="JPEG costs more than large H.264"),
        pytest.param([JPEG], "jpeg", None, "make a profile with H.264", id="nothing but JPEG"),
        pytest.param([FULL, CRAWL], "full", None, "", id="sub-stream too slow"),
        pytest.param([CRAWL], "crawl", None, "1 frames a second", id="nothing but slow"),
        pytest.param([UNKNOWN, SUB], "sub", None, "", id="one of unknown size"),
        pytest.param([UNKNOWN], "unknown", None, "does not say how large", id="nothing known"),
    ],
)
def test_choice_of_streams(profiles: list[Profile], detect: str, evidence: str | None, advice: str):
    choice = choose(profiles)
    assert choice is not None
    assert (choice.detect.token, choice.evidence and choice.evidence.token) == (detect, evidence)
    assert advice in " ".join(choice.advice)
    assert bool(advice) == bool(choice.advice)


def test_choice_among_streams_without_address_is_none():
    assert choose([Profile("a", "a", "input", "H264")]) is None


@pytest.mark.parametrize(
    ("uri", "login", "expected"),
    [
        pytest.param("rtsp://h/live?ch=1&subtype=0", None, "rtsp://h/live?ch=1&subtype=0", id="nothing secret"),
        pytest.param("rtsp://h/live", LOGIN, "rtsp://${ONVIF_USER}:${ONVIF_PASSWORD}@h/live", id="a login"),
        pytest.param(
            "rtsp://root:pass@h/live", None, "rtsp://${ONVIF_USER}:${ONVIF_PASSWORD}@h/live", id="a login of its own"
        ),
        pytest.param(
            "rtsp://h/user=bob&password=hunter2&channel=1",
            LOGIN,
            "rtsp://${ONVIF_USER}:${ONVIF_PASSWORD}@h/user=${ONVIF_USER}&password=${ONVIF_PASSWORD}&channel=1",
            id="the login in the path",
        ),
        pytest.param(
            "rtsp://h/user=admin_password=tlJwpbo6_channel=1_stream=0.sdp",
            None,
            "rtsp://h/user=${CAMERA_GATE_USER}_password=${CAMERA_GATE_PASSWORD}_channel=1_stream=0.sdp",
            id="a secret of its own, with underscores",
        ),
        pytest.param("rtsp://h/x?token=main", None, "rtsp://h/x?token=main", id="the profile's token is no secret"),
        pytest.param("rtsp://h/x?token=abc", None, "rtsp://h/x?token=${CAMERA_GATE_TOKEN}", id="another is"),
        pytest.param(
            "rtsp://h/hunter2/1", LOGIN, "rtsp://${ONVIF_USER}:${ONVIF_PASSWORD}@h/${ONVIF_PASSWORD}/1", id="bare"
        ),
        pytest.param("rtsp://h/${HOME}/$${A}", None, "rtsp://h/$${HOME}/$$${A}", id="a variable that it invents"),
        pytest.param("rtsp://h/$token=abc", None, "rtsp://h/$token=${CAMERA_GATE_TOKEN}", id="a dollar"),
        pytest.param(
            "rtsp://h/$hunter2", LOGIN, "rtsp://${ONVIF_USER}:${ONVIF_PASSWORD}@h/%24${ONVIF_PASSWORD}", id="$"
        ),
        pytest.param("file:///etc/passwd", None, None, id="a file"),
        pytest.param("python:os:system", None, None, id="a function"),
        pytest.param("srt://h:9000", None, None, id="a scheme that no ONVIF camera has"),
        pytest.param("rtsp://h/a'b", None, None, id="a quote"),
    ],
)
def test_written_address_has_variables_for_secrets_and_runs_nothing(
    uri: str, login: Login | None, expected: str | None
):
    found = written(Profile("main", "main", "", "H264", uri=uri), "gate", login, Variables())
    assert (found and found.text) == expected


@pytest.mark.parametrize(
    ("wanted", "taken", "expected"),
    [
        ("North Gate", [], "north-gate"),
        ("North Gate", ["north-gate"], "north-gate-2"),
        ("North Gate", ["north-gate", "north-gate-2"], "north-gate-3"),
        ("Tür Süd", [], "tur-sud"),
        ("北门", [], "camera-10-0-0-7"),
        ("../../etc", [], "etc"),
        ("x" * 200, [], "x" * 40),
    ],
)
def test_name_for_a_camera_is_valid_and_its_own(wanted: str, taken: list[str], expected: str):
    assert name_for(wanted, "10.0.0.7", taken) == expected


def loaded(proposals: tuple[Proposal, ...], folder: Path) -> dict[str, tuple[str, str | None]]:
    """The cameras of a fleet file made of the lines, with all variables set."""
    file = folder / "fleet.yaml"
    file.write_text(to_yaml(proposals, model=True), "utf-8")
    environ = {
        name: f"v{number}" for number, name in enumerate(sorted({v for one in proposals for v in one.variables}))
    }
    cameras = load_fleet(file, environ).cameras
    return {
        name: (one.url.reveal(), one.evidence_url.reveal() if one.evidence_url else None)
        for name, one in cameras.items()
    }


def test_lines_load_as_a_fleet(tmp_path: Path):
    devices = [
        Device("10.0.0.7", "North Gate", "Acme", "M1", (FULL, SUB)),
        Device("10.0.0.8", "North Gate", profiles=(FULL,)),
        Device("10.0.0.9", error="asks for a user"),
    ]
    found = propose(devices, LOGIN, Variables("GATE_USER", "GATE_PASSWORD"))
    assert loaded(found.cameras, tmp_path) == {
        "north-gate": ("rtsp://v1:v0@10.0.0.7/sub", "rtsp://v1:v0@10.0.0.7/full"),
        "north-gate-2": ("rtsp://v1:v0@10.0.0.7/full", None),
    }
    assert [(one.device.host, one.why) for one in found.unused] == [("10.0.0.9", "asks for a user")]
    assert "  # Acme M1, 10.0.0.7: H264 640x360, 15 fps; evidence: H264 1920x1080, 25 fps\n" in to_yaml(found.cameras)


def test_lines_of_a_recorder_have_a_camera_for_each_input(tmp_path: Path):
    streams = [
        Profile(f"{n}{kind}", "", f"in{n}", "H264", wh, uri=f"rtsp://h/{n}{kind}")
        for n in (1, 2)
        for kind, wh in (("m", (1920, 1080)), ("s", (640, 360)))
    ]
    found = propose([Device("10.0.0.7", "Recorder", profiles=tuple(streams))], None, Variables())
    assert loaded(found.cameras, tmp_path) == {
        "recorder-1": ("rtsp://h/1s", "rtsp://h/1m"),
        "recorder-2": ("rtsp://h/2s", "rtsp://h/2m"),
    }


@pytest.mark.parametrize("name", ["null", "yes", "2026-11-29", "1e3", "12", "0x1f", "~"])
def test_lines_of_a_camera_with_a_name_that_yaml_takes_for_something_else_load(name: str, tmp_path: Path):
    found = propose([Device("10.0.0.7", name, profiles=(SUB,))], None, Variables())
    assert list(loaded(found.cameras, tmp_path)) == [name_for(name, "10.0.0.7", ())]


def test_lines_hold_nothing_that_a_device_could_put_between_them(tmp_path: Path):
    evil = "x\n  evil: {url: 'python:os:abort'}\n\u2028\x85#"
    stream = Profile("main", shown(evil), "in", shown(evil), (640, 360), uri='rtsp://10.0.0.7/a"b')
    usable = Profile("sub", shown(evil), "in", shown(evil), (640, 360), uri="rtsp://10.0.0.7/#{a:b}")
    found = propose([Device("10.0.0.7", shown(evil), shown(evil), shown(evil), (stream, usable))], None, Variables())
    text = to_yaml(found.cameras, model=True)
    assert list(yaml.safe_load(text)["cameras"]) == ["x-evil-url-python-os-abort"]
    assert list(loaded(found.cameras, tmp_path).values()) == [("rtsp://10.0.0.7/", None)]
    assert "none that a fleet may have" in " ".join(found.cameras[0].notes)


def test_device_without_usable_address_is_told():
    stream = Profile("main", "main", "in", "H264", uri="file:///etc/passwd")
    found = propose([Device("10.0.0.7", profiles=(stream,))], None, Variables())
    assert [one.why for one in found.unused] == ["gives no address of a stream that a fleet may have"]
