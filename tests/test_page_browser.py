"""The page in a real browser: pictures that move, each with its own boxes; trouble, and who gave way."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipeline import Fleet
from tests.pages import NUMBERED, READ_NUMBERS, axe_script, browser, looking, write_numbered  # noqa: F401

pytestmark = pytest.mark.timeout(400)

CAMERAS = ("north", "south", "east", "west", "hill", "port")
ENOUGH = 40
"""Pictures of each camera that a test looks at."""


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_numbered(tmp_path_factory.mktemp("numbered") / "numbered.mp4")


@pytest.fixture
def fleet_of(fleet_file: Callable[..., Path]) -> Iterator[Callable[..., Fleet]]:
    fleets: list[Fleet] = []

    def start(cameras: dict[str, Any], slo: dict[str, Any] | None = None, **page: Any) -> Fleet:
        fleets.append(Fleet(fleet_file(cameras, page={"port": 0, **page}, slo=slo)))
        return fleets[-1]

    yield start
    for fleet in fleets:
        fleet.close()


def looped(recording: Path, **more: Any) -> dict[str, Any]:
    return {"url": str(recording), "loop": True, **more}


def shown_of(tab: Any, cameras: tuple[str, ...], count: int = ENOUGH) -> list[dict[str, Any]]:
    """What was drawn, once there are so many of each camera."""
    tab.evaluate(READ_NUMBERS)
    enough = f"(names) => names.every((name) => found.filter((one) => one.camera === name).length >= {count})"
    tab.wait_for_function(enough, arg=list(cameras), timeout=60_000)
    return tab.evaluate("found")


def shown_with_own_boxes(tab: Any, cameras: tuple[str, ...], count: int = ENOUGH) -> list[dict[str, Any]]:
    """What was drawn, each with the boxes of its own frame; of recordings whose frame 0 is the session's.

    On a machine that is busy some may be shown before their boxes are there, so it is looked at again; but never any
    with those of another frame.
    """
    for _ in range(5):
        shown = shown_of(tab, cameras, count)
        with_boxes = [one for one in shown if one["boxesOf"] is not None]
        own = [one for one in with_boxes if one["number"] is not None and one["boxesOf"][1] % NUMBERED == one["number"]]
        assert len(own) >= 0.99 * len(with_boxes), [one for one in with_boxes if one not in own][:5]
        if len(with_boxes) >= 0.9 * len(shown):
            return shown
    pytest.fail(f"without boxes: {[one for one in shown if one not in with_boxes][:5]}")


def test_page_of_six_cameras_draws_boxes_on_the_very_frame_they_belong_to(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({name: looped(numbered) for name in CAMERAS})
    with looking(browser, fleet.page) as tab:
        shown = shown_with_own_boxes(tab, CAMERAS)
    assert {one["boxes"] for one in shown if one["boxesOf"]} - {0} == {3}, "none where nothing was detected of late"


@pytest.mark.parametrize(("codec", "options"), [("libx264", {"bf": 2}), ("libx265", {})], ids=["reordered", "hevc"])
def test_page_plays_what_browsers_find_hard_with_the_right_boxes(
    fleet_of: Callable[..., Fleet],
    tmp_path: Path,
    browser: Any,  # noqa: F811
    codec: str,
    options: dict[str, int],
):
    recording = write_numbered(tmp_path / "hard.mp4", codec=codec, **options)
    fleet = fleet_of({"north": looped(recording)})
    with looking(browser, f"{fleet.page}#/camera/north") as tab:
        shown_with_own_boxes(tab, ("north",))


def test_page_shows_a_turned_camera_upright(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered, rotate=90)})
    with looking(browser, f"{fleet.page}#/camera/north") as tab:
        tab.wait_for_function("() => camfleet.shown.some((one) => one.boxesOf)", timeout=60_000)
        width, height = tab.evaluate("(({width, height}) => [width, height])(document.querySelector('canvas'))")
    assert width / height == pytest.approx(9 / 16, abs=0.01)


def test_page_without_a_decoder_uses_stills_with_their_own_boxes(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered)})
    with looking(browser, f"{fleet.page}#/fleet") as tab:
        tab.evaluate("delete window.VideoDecoder")
        tab.evaluate("location.hash = '#/camera/north'")
        shown_with_own_boxes(tab, ("north",), 20)


def test_page_shows_a_camera_that_is_down_with_its_reason_large(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered), "gone": "rtsp://viewer:hunter2@127.0.0.1:9/stream"})
    with looking(browser, fleet.page) as tab:
        trouble = tab.locator("a[href='#/camera/gone'] .trouble")
        trouble.wait_for(timeout=30_000)
        text = trouble.inner_text()
        tab.locator("#promise", has_text="Promise broken by gone").wait_for(timeout=30_000)
        head = trouble.locator(".trouble-head").evaluate("(one) => parseFloat(getComputedStyle(one).fontSize)")
        whole = tab.content()
    assert "OFFLINE" in text.upper() and "nothing listens there" in text
    assert head >= 40
    assert "hunter2" not in whole


def test_page_hidden_tab_makes_the_camera_show_nothing(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
    within: Callable[[float], Iterator[None]],
):
    fleet = fleet_of({"north": looped(numbered)})
    with looking(browser, fleet.page) as tab:
        tab.wait_for_function("() => camfleet.drawn > 5", timeout=60_000)
        tab.evaluate(
            """() => {
              Object.defineProperty(document, 'hidden', {get: () => true, configurable: true});
              document.dispatchEvent(new Event('visibilitychange'));
            }"""
        )
        drawn = -1
        for _ in within(30):
            before, drawn = drawn, tab.evaluate("new Promise((done) => setTimeout(() => done(camfleet.drawn), 1000))")
            if drawn == before:
                break


def test_page_of_a_fleet_that_has_fallen_silent_shows_nothing_green(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered)}, slo={"p95_ms": 5000})
    (publisher,) = [process.pid for process in fleet.processes if process.role == "publisher"]
    assert publisher is not None
    with looking(browser, fleet.page) as tab:
        tab.locator("#promise[data-level=good]").wait_for(timeout=60_000)
        os.kill(publisher, signal.SIGSTOP)
        try:
            tab.locator("#promise[data-level=unknown]", has_text="Nothing heard").wait_for(timeout=30_000)
            tab.locator("a.tile[data-level=unknown]").wait_for(timeout=30_000)
        finally:
            os.kill(publisher, signal.SIGCONT)
        tab.locator("#promise[data-level=good]").wait_for(timeout=60_000)


def test_page_is_used_by_keyboard_alone(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered)})
    with looking(browser, fleet.page) as tab:
        tab.locator("a.tile").wait_for(timeout=30_000)
        reached = []
        for _ in range(5):
            tab.keyboard.press("Tab")
            reached.append(tab.evaluate("document.activeElement.getAttribute('href')"))
        assert reached == ["#main", "#/", "#/fleet", "#/events", "#/camera/north"]
        tab.keyboard.press("Enter")
        tab.get_by_role("heading", name="north").wait_for(timeout=30_000)
        assert tab.evaluate("document.activeElement.id") == "main"


def test_page_draws_boxes_of_now_where_the_viewer_wants_them(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered)})
    with looking(browser, f"{fleet.page}#/camera/north") as tab:
        aheads = "() => window.camfleet.shown.slice(-5).map((one) => one.ahead)"
        tab.wait_for_function("() => window.camfleet.shown.length > 5", timeout=30_000)
        assert not any(tab.evaluate(aheads))
        button = tab.get_by_role("button", name="Boxes of now")
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        tab.wait_for_function("() => window.camfleet.shown.at(-1).ahead > 0", timeout=30_000)
        tab.reload()
        tab.wait_for_function("() => window.camfleet.shown.at(-1)?.ahead > 0", timeout=30_000)
        assert all(0 <= ahead < 60_000 for ahead in tab.evaluate(aheads))


def test_page_views_tell_what_the_fleet_does(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered)})
    with looking(browser, fleet.page) as tab:
        tab.get_by_role("link", name="Fleet").click()
        tab.get_by_role("row", name="camera north running").wait_for(timeout=30_000)
        tab.get_by_role("link", name="Events").click()
        tab.locator(".events li", has_text="north is live").first.wait_for(timeout=30_000)
        tab.get_by_role("link", name="Cameras").click()
        tab.get_by_role("link", name="north").click()
        tab.locator(".u-over").first.wait_for(timeout=30_000)
        tab.locator(".summary", has_text="without sight").wait_for(timeout=30_000)
        # In another colour scheme the charts are made anew, as they are when a new cause of loss comes.
        tab.evaluate("() => document.querySelectorAll('.uplot').forEach((chart) => chart.classList.add('before'))")
        tab.emulate_media(color_scheme="dark")
        tab.wait_for_function("() => document.querySelectorAll('.uplot:not(.before)').length === 4", timeout=30_000)
        widths = tab.evaluate(
            "() => [...document.querySelectorAll('.uplot')].map((it) => [it.offsetWidth, it.parentElement.offsetWidth])"
        )
        assert len(widths) == 4 and all(chart <= place for chart, place in widths), widths
        assert tab.get_by_role("button", name="Pause").count() == 0


def test_page_with_a_token_asks_for_it_and_pauses_and_resumes_a_camera(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered)}, token="correct-horse-battery")
    with looking(browser, fleet.page) as tab:
        tab.get_by_label("Token").fill("correct-horse-battery")
        tab.get_by_role("button", name="Show the page").click()
        tab.get_by_role("link", name="north").click(timeout=30_000)
        tab.get_by_role("button", name="Pause this camera").click(timeout=30_000)
        tab.get_by_role("button", name="Resume this camera").wait_for(timeout=30_000)
        tab.locator(".trouble", has_text="paused").wait_for(timeout=30_000)
        tab.get_by_role("button", name="Resume this camera").click()
        tab.get_by_role("button", name="Pause this camera").wait_for(timeout=30_000)
        cookies = tab.context.cookies()
    (cookie,) = cookies
    assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and "horse" not in cookie["value"]


def test_page_survives_its_own_death_and_the_fleet_does_not_notice(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
):
    fleet = fleet_of({"north": looped(numbered)})
    with looking_at_a_page_that_dies(browser, fleet.page) as tab:
        tab.wait_for_function("() => camfleet.drawn > 5", timeout=60_000)
        (process,) = [process for process in fleet.processes if process.role == "page"]
        assert process.pid is not None
        with fleet.results(timeout_s=20) as results:
            before = results.receive()
            os.kill(process.pid, signal.SIGKILL)
            tab.locator("#lost", has_text="lost").wait_for(timeout=30_000)
            tab.locator("#lost").wait_for(state="hidden", timeout=60_000)
            drawn = tab.evaluate("camfleet.drawn")
            tab.wait_for_function(f"() => camfleet.drawn > {drawn} + 5", timeout=60_000)
            after = results.receive()
    assert after.session_id == before.session_id


@contextmanager
def looking_at_a_page_that_dies(browser: Any, address: str) -> Iterator[Any]:  # noqa: F811
    """As `looking`; what the browser says of a connection that is refused is no complaint."""
    context = browser.new_context()
    tab = context.new_page()
    tab.goto(address)
    try:
        yield tab
    finally:
        context.close()


LOOKS = {
    "desktop": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}


def test_page_axe_finds_nothing_serious(
    fleet_of: Callable[..., Fleet],
    numbered: Path,
    browser: Any,  # noqa: F811
    tmp_path: Path,
):
    script = axe_script(tmp_path)
    fleet = fleet_of({"north": looped(numbered, zones={"yard": {}}), "gone": "rtsp://127.0.0.1:9/stream"})
    wrong = []
    for look, options in LOOKS.items():
        with looking(browser, fleet.page, bypass_csp=True, **options) as tab:
            tab.locator(".trouble:visible").first.wait_for(timeout=30_000)
            for view in ("#/", "#/camera/north", "#/edit/north", "#/fleet", "#/events"):
                tab.evaluate("(hash) => { location.hash = hash; }", view)
                tab.locator("main > *").first.wait_for(state="attached", timeout=30_000)
                if view == "#/edit/north":
                    tab.get_by_role("button", name="yard").click(timeout=30_000)
                tab.evaluate(script)
                result = tab.evaluate("axe.run()")
                wrong += [
                    (look, view, found["id"], found["nodes"][0]["html"][:120])
                    for found in result["violations"]
                    if found["impact"] in ("serious", "critical")
                ]
    assert wrong == [], json.dumps(wrong, indent=1)
