"""Devices of a network, found over real UDP and asked over real HTTP, some of them with bad habits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest

pytest.importorskip("onvif", reason="needs the extra `discover`")

from pipeline.discover import onvif
from pipeline.discover.device import Device, Login
from pipeline.discover.onvif import MOST_BYTES
from pipeline.discover.place import Address
from pipeline.discover.search import MOST_TROUBLED, search, search_host
from pipeline.discover.survey import Progress, Request, survey
from tests.camera_media import CannedServer
from tests.onvif_device import BOMB, CARD, MAIN, MULTICAST, SUB, Habits, OnvifDevice, Stream, network

LOGIN = Login("bob", "hunter2")
BOB = {"user": "bob", "password": "hunter2"}
WAIT_S = 3.0
LISTEN_S = 1.0
"""Devices on loopback answer within a millisecond, and a machine under load may take a while."""
ANSWER_S = 30.0
"""Of devices that are not listened for: these are waited for no longer than they take."""
TURNS = 5
"""Of what is over after a while: one in which the machine did not pause is enough."""

Make = Callable[..., OnvifDevice]


@pytest.fixture
def device() -> Iterator[Make]:
    """Makes devices, and closes them."""
    with ExitStack() as stack:
        yield lambda host=CARD, **habits: stack.enter_context(OnvifDevice(Habits(**habits), host))


def ask(asked: OnvifDevice | str, login: Login | None = LOGIN, **request: object) -> Device:
    """What is made of one device that the user named."""
    address = asked if isinstance(asked, str) else asked.address
    found = survey(Request((Address.parse(address),), login=login, wait_s=ANSWER_S, **request))  # type: ignore[arg-type]
    assert len(found.devices) == 1
    return found.devices[0]


def test_survey_of_a_network_finds_each_device_and_says_what_is_wrong_with_others(device: Make):
    good, strange = device("127.0.0.2", **BOB), device("127.0.0.3", user="bob", password="another")
    door, broken = device("127.0.0.4", has_media=False), device("127.0.0.5", answer=(200, {}, b"<a><b>"))
    noise = (BOMB, b"\x00\xff", b"x" * 60_000, b"", good.match("urn:uuid:of-another-probe"))
    expected = {
        "127.0.0.2": "",
        "127.0.0.3": "refuses the user or the password",
        "127.0.0.4": "has no media service, so no streams",
        "127.0.0.5": "answers what is not ONVIF",
        "127.0.0.66": "answers XML with a document type, which no ONVIF device has any use for",
    }
    for _ in range(TURNS):
        with network(good, strange, door, broken, noise=noise) as there:
            request = Request(cards=(CARD,), login=LOGIN, wait_s=WAIT_S, group=(MULTICAST, there.port))
            found = survey(request)
        errors = {one.host: one.error.partition(":")[0] for one in found.devices}
        if errors == expected:
            break
    assert errors == expected
    first = found.devices[0]
    assert (first.name, first.maker, first.model) == ("North Gate", "Acme", "M1")
    assert [(one.token, one.codec, one.size_wh, one.fps, one.bitrate_kbps, one.uri) for one in first.profiles] == [
        ("main", "H264", (1920, 1080), 25, 2048, "rtsp://127.0.0.2:554/main"),
        ("sub", "H264", (640, 360), 15, 2048, "rtsp://127.0.0.2:554/sub"),
    ]


def test_search_asks_twice_for_both_types_and_counts_each_device_once(device: Make):
    devices = device("127.0.0.2"), device("127.0.0.3")

    def found() -> tuple[list[str], list[int], int, int]:
        counts: list[int] = []
        with network(*devices) as there:
            heard = search((CARD,), LISTEN_S, counts.append, (MULTICAST, there.port))
        return sorted(one.host for one in heard.found.values()), counts[-1:], len(there.probes), len(set(there.probes))

    assert any(found() == (["127.0.0.2", "127.0.0.3"], [2], 4, 2) for _ in range(TURNS))


def test_search_keeps_few_of_many_troubles(device: Make):
    there = device("127.0.0.2")
    for _ in range(TURNS):
        with network(there, noise=(b"rubbish",) * 3000) as noisy:
            heard = search((CARD,), LISTEN_S, group=(MULTICAST, noisy.port))
        if heard.troubles:
            break
    assert list(heard.troubles) == ["127.0.0.66"]
    for number in range(2 * MOST_TROUBLED):
        heard.take(b"rubbish", f"10.0.0.{number}", ())
    assert len(heard.troubles) == MOST_TROUBLED


def test_search_on_a_card_that_is_not_there_says_so_and_goes_on(device: Make):
    alone = device("127.0.0.2")
    for _ in range(TURNS):
        with network(alone) as there:
            heard = search(("203.0.113.9", CARD), LISTEN_S, group=(MULTICAST, there.port))
        assert list(heard.deaf) == ["203.0.113.9"]
        if heard.found:
            break
    assert len(heard.found) == 1


def test_search_of_one_host_ends_with_its_answer(device: Make):
    with network(device("127.0.0.5"), host="127.0.0.5") as there:
        heard = search_host("127.0.0.5", 60, there.port)
    assert [one.host for one in heard.found.values()] == ["127.0.0.5"]


def test_search_of_a_host_that_does_not_listen_ends_at_once():
    heard = search_host("127.0.0.5", 60, 9)
    assert not heard.found
    assert list(heard.deaf) == ["127.0.0.5"]


def test_survey_of_an_address_without_port_looks_for_its_service_first(device: Make):
    there = device("127.0.0.5")
    with network(there, host="127.0.0.5") as alone:
        found = survey(Request((Address.parse("127.0.0.5"),), wait_s=ANSWER_S, group=("", alone.port)))
    assert [(one.host, one.name, one.error) for one in found.devices] == [("127.0.0.5", "North Gate", "")]


def test_survey_tells_how_far_it_is(device: Make):
    told: list[object] = []

    class Told(Progress):
        def begin(self, words: str, total: int | None) -> None:
            told.append((words, total))

        def reach(self, count: int) -> None:
            told.append(count)

    survey(Request(tuple(Address.parse(device().address) for _ in range(2)), wait_s=ANSWER_S), Told())
    assert told == [("asking 2 devices", 2), 1, 2]


@pytest.mark.parametrize(
    "habits",
    [
        pytest.param({}, id="UsernameToken"),
        pytest.param({"http_digest": True}, id="HTTP Digest"),
        pytest.param({"clock_ahead": timedelta(days=-9000)}, id="a clock that was never set"),
        pytest.param({"knows_services": False}, id="an old device"),
    ],
)
def test_device_that_knows_the_user_tells_its_streams_and_never_gets_the_password(
    device: Make, habits: dict[str, object]
):
    asked = device(**BOB, **habits)
    assert [one.token for one in ask(asked).profiles] == ["main", "sub"]
    assert not any("hunter2" in body for body in asked.bodies)


def test_device_that_everybody_may_ask_gets_no_user(device: Make):
    asked = device()
    assert ask(asked, login=None).error == ""
    assert not any(named for _, named in asked.requests)


@pytest.mark.parametrize("digest", [False, True], ids=["UsernameToken", "HTTP Digest"])
def test_device_that_wants_a_password_says_so_to_nobody_and_to_strangers(device: Make, digest: bool):
    asked = device(**BOB, http_digest=digest)
    assert ask(asked, login=None).error == "asks for a user and a password: give --user"
    assert ask(asked, login=Login("bob", "wrong")).error == "refuses the user or the password"


PAGE = b"<!DOCTYPE html><html><body>Welcome</body></html>"


@pytest.mark.parametrize(
    ("habits", "error"),
    [
        pytest.param({"has_media": False}, "has no media service", id="no media service"),
        pytest.param({"has_media": False, "knows_services": False}, "has no media service", id="nor capabilities"),
        pytest.param({"streams": ()}, "has no profile with video", id="no profile"),
        pytest.param({"answer": (200, {}, b"")}, "answers what is not ONVIF", id="nothing"),
        pytest.param({"answer": (200, {}, b"\x00\xff\x1b[2J")}, "answers what is not ONVIF", id="noise"),
        pytest.param({"answer": (200, {}, b"<a>" * 100_000)}, "answers what is not ONVIF", id="deep"),
        pytest.param({"answer": (200, {"Content-Type": "text/html"}, PAGE)}, "document type", id="a page"),
        pytest.param({"answer": (200, {}, BOMB)}, "document type", id="entities that unfold"),
        pytest.param({"answer": (200, {}, BOMB.decode().encode("utf-16"))}, "not ONVIF", id="in another encoding"),
        pytest.param({"answer": (200, {"Content-Encoding": "gzip"}, b"x")}, "not ONVIF", id="packed unasked"),
        pytest.param(
            {"answer": (200, {"Content-Type": 'multipart/related; boundary="b"'}, b"--b\r\n\r\n<a/>\r\n--b--")},
            "not ONVIF",
            id="in parts",
        ),
        pytest.param({"answer": (200, {}, b" " * (MOST_BYTES + 1))}, "more than 2 MB", id="too much"),
        pytest.param({"answer": (404, {}, PAGE)}, "has no ONVIF service at http://127.0.0.1", id="another web server"),
        pytest.param({"answer": (500, {}, b"oops")}, "answers what is not ONVIF", id="an error without words"),
    ],
)
def test_device_that_answers_what_nobody_can_use_is_told_in_one_sentence(
    device: Make, habits: dict[str, object], error: str
):
    told = ask(device(**habits)).error
    assert error in told
    assert told.isprintable()
    assert len(told) < 200


def test_device_that_never_answers_is_told(device: Make):
    found = survey(Request((Address.parse(device(silent=True).address),), wait_s=0.3))
    assert [one.error for one in found.devices] == ["does not answer within 0.3 s"]


def test_device_that_answers_slowly_again_and_again_is_given_up(device: Make, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(onvif, "PATIENCE", 0)
    assert ask(device()).error == "takes more than 0 s in all"


def test_device_that_is_not_there_or_does_not_speak_http_is_told():
    assert "cannot be reached at http://127.0.0.1:9/" in ask("127.0.0.1:9").error
    assert "no host that is known" in ask("nowhere.invalid:80").error
    with CannedServer(b"220 smtp ready\r\n") as server:
        assert "does not speak HTTP" in ask(f"127.0.0.1:{server.port}").error


def test_device_that_redirects_is_not_followed(device: Make):
    victim = device("127.0.0.9")
    for status in (301, 302, 307, 308):
        asked = device(answer=(status, {"Location": victim.service}, b""))
        assert "not followed" in ask(asked).error
    assert victim.requests == []


def test_device_that_names_another_host_is_asked_where_it_answered(device: Make):
    asked = device("127.0.0.2", named_host="127.0.0.9", named_port=9)
    found = ask(asked)
    assert [one.uri for one in found.profiles] == ["rtsp://127.0.0.2:554/main", "rtsp://127.0.0.2:554/sub"]
    assert found.notes == ("it names another host, 127.0.0.9; 127.0.0.2 is used, unless --other-hosts believes it",)


def test_device_that_names_another_host_is_asked_there_if_the_user_wants_it(device: Make):
    asked = device("127.0.0.2", named_host="127.0.0.9")
    assert "cannot be reached at http://127.0.0.9" in ask(asked, other_hosts=True).error


def test_device_found_that_names_another_host_is_asked_where_it_answered(device: Make):
    asked = device("127.0.0.2", named_host="10.9.9.9")
    for _ in range(TURNS):
        with network(asked) as there:
            found = survey(Request(cards=(CARD,), wait_s=LISTEN_S, group=(MULTICAST, there.port)))
        errors = [(one.host, one.error) for one in found.devices]
        if errors == [("127.0.0.2", "")]:
            break
    assert errors == [("127.0.0.2", "")]
    assert len(found.devices[0].notes) == 1


def test_device_with_a_stream_without_address_keeps_the_others(device: Make):
    found = ask(device(streams=(MAIN, Stream("lost", "lostStream", uri=""), SUB)))
    assert [bool(one.uri) for one in found.profiles] == [True, False, True]
    assert found.notes == ("it gives no usable address for the profile “lostStream”",)


def test_device_with_names_that_steer_a_terminal_is_shown_without(device: Make):
    found = ask(device(streams=(Stream("main", "a\x1b[2J\x07"), Stream("\x1b", "&#10;\u202e"))))
    assert len(found.profiles) == 2
    assert all(one.name.isprintable() for one in found.profiles)


def test_device_that_hides_sizes_and_rates_is_read_all_the_same(device: Make):
    found = ask(device(streams=(Stream("a", "a", wh=None, codec="H265", fps=-1),)))
    assert [(one.size_wh, one.fps, one.codec) for one in found.profiles] == [(None, None, "H265")]


def test_survey_leaves_proxies_alone_and_asks_none(device: Make, monkeypatch: pytest.MonkeyPatch):
    proxy = device("127.0.0.9")
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    assert ask(device()).error == ""
    assert os.environ["http_proxy"] == f"http://{proxy.address}"
    assert proxy.requests == []
