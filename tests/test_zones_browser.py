"""Zones, lines and events on the page in a real browser: shown, drawn by mouse, finger and keys, pasted, listed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("shapely", reason="zones and lines need Shapely: pip install 'camfleet[rules]'")

from pipeline import Fleet
from tests.pages import browser, looking, write_numbered  # noqa: F401

WAIT_MS = 30_000
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet whose stub detector sees three objects, always; with a zone that all are in."""
    folder = tmp_path_factory.mktemp("zones")
    recording = write_numbered(folder / "numbered.mp4")
    body = {
        "name": "drawn",
        "model": {"backend": "stub", "options": {"a_ms": 2}},
        "slo": {"p95_ms": 5000},
        "publish": {"bind": "tcp://127.0.0.1:0"},
        "page": {"port": 0},
        "cameras": {"north": {"url": str(recording), "loop": True, "zones": {"all": {"when": "count > 2"}}}},
    }
    (folder / "fleet.yaml").write_text(json.dumps(body))
    return folder / "fleet.yaml"


@pytest.fixture(scope="module")
def fleet(file: Path) -> Iterator[Fleet]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(file.parent / "state"))
        with Fleet(file) as running:
            yield running


def at(tab: Any, x: float, y: float) -> tuple[float, float]:
    """Where a point of the picture is on the screen; the point in shares."""
    box = tab.locator(".sheet").bounding_box()
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def pasted(tab: Any, words: str | re.Pattern[str]) -> dict[str, Any]:
    """What the page gives to paste, once it says this."""
    text = tab.locator("pre:not([data-old])", has_text=words)
    text.wait_for(timeout=WAIT_MS)
    return yaml.safe_load(text.inner_text())


def near(found: list[list[float]], wanted: list[list[float]]) -> bool:
    return all(pair == pytest.approx(other, abs=0.01) for pair, other in zip(found, wanted, strict=True))


def test_zone_drawn_by_mouse_is_checked_pasted_and_shown(
    fleet: Fleet,
    file: Path,
    browser: Any,  # noqa: F811
):
    with looking(browser, f"{fleet.page}#/camera/north") as tab:
        tab.locator(".label[data-state=on]", has_text="all 3").wait_for(timeout=WAIT_MS)
        tab.locator(".standing li[data-state=on]", has_text="an event lasts 3 objects").wait_for(timeout=WAIT_MS)
        tab.get_by_role("link", name="Edit zones").click()
        tab.get_by_role("button", name="all", exact=True).wait_for(timeout=WAIT_MS)
        tab.get_by_role("button", name="New zone").click()
        for corner in ((0.1, 0.1), (0.4, 0.5), (0.4, 0.1), (0.1, 0.5)):
            tab.mouse.click(*at(tab, *corner))
        tab.mouse.click(*at(tab, 0.1, 0.1))
        tab.locator(".mistakes", has_text="zones.zone-1.polygon: crosses itself").wait_for(timeout=WAIT_MS)
        assert set(pasted(tab, "all")["zones"]) == {"all"}, "what is wrong is left out"
        # Corners 2 and 3 change places, and nothing is wrong any more.
        for corner, to in (((0.4, 0.5), (0.9, 0.1)), ((0.4, 0.1), (0.9, 0.5))):
            tab.mouse.move(*at(tab, *corner))
            tab.mouse.down()
            tab.mouse.move(*at(tab, *to), steps=4)
            tab.mouse.up()
        tab.get_by_label("Name").fill("yard")
        tab.get_by_label("dwell an object").check()
        tab.get_by_label("Condition dwell").fill("dwell > 5s")
        tab.get_by_role("button", name="object", exact=True).click()
        drawn = pasted(tab, "classes: [object]")
        zone = drawn["zones"]["yard"]
        polygon = zone.pop("polygon")
        assert zone == {"when": ["enter", "dwell > 5s"], "classes": ["object"]}
        assert near(polygon, [[0.1, 0.1], [0.9, 0.1], [0.9, 0.5], [0.1, 0.5]])
        assert all(value == round(value, 3) for point in polygon for value in point)
        body = json.loads(file.read_text())
        del body["cameras"]["north"]["zones"]
        head = yaml.safe_dump({key: value for key, value in body.items() if key != "cameras"})
        url = body["cameras"]["north"]["url"]
        text = tab.locator("pre").inner_text()
        file.write_text(f"{head}cameras:\n  north:\n    url: {url}\n    loop: true\n{text}")
        command = [sys.executable, "-m", "pipeline", "check", str(file)]
        checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert checked.returncode == 0, checked.stderr
        assert fleet.reload().rules == ("north",)
        tab.get_by_role("link", name="← north").click()
        tab.locator(".standing li", has_text="yard zone: enter, dwell > 5s").wait_for(timeout=WAIT_MS)
        tab.get_by_role("button", name="Show in the picture").click()
        tab.locator(".overlay.off").wait_for(state="attached", timeout=WAIT_MS)


def test_phone_draws_by_finger_and_keys_and_lists_events(
    fleet: Fleet,
    browser: Any,  # noqa: F811
):
    with looking(browser, f"{fleet.page}#/edit/north", **PHONE) as tab:
        tab.locator(".chips button").first.wait_for(timeout=WAIT_MS)
        tab.get_by_role("button", name="New line").tap()
        tab.touchscreen.tap(*at(tab, 0.2, 0.8))
        tab.touchscreen.tap(*at(tab, 0.8, 0.8))
        tab.get_by_role("button", name="Flip direction").tap()
        flipped = re.compile(r"line-1:\s+points: \[\[0\.(79|8)")
        assert near(pasted(tab, flipped)["lines"]["line-1"]["points"], [[0.8, 0.8], [0.2, 0.8]])
        tab.get_by_role("button", name="New zone").focus()
        for key in ("Enter", "Enter", "Shift+ArrowRight", "Enter", "Shift+ArrowDown", "Enter"):
            tab.keyboard.press(key)
        tab.get_by_role("button", name="Close the zone").focus()
        tab.keyboard.press("Enter")
        assert near(pasted(tab, "zone-1")["zones"]["zone-1"]["polygon"], [[0.5, 0.5], [0.55, 0.5], [0.55, 0.55]])
        tab.get_by_role("button", name="Corner 1 of 3").focus()
        for key in ("ArrowLeft", "ArrowLeft"):
            tab.keyboard.press(key)
        tab.locator("pre:not([data-old])", has_text="0.49").wait_for(timeout=WAIT_MS)
        tab.keyboard.press("Control+z")
        tab.locator("pre:not([data-old])", has_text="[[0.5, 0.5]").wait_for(timeout=WAIT_MS)
        tab.get_by_role("button", name="Corner 1 of 3").focus()
        tab.keyboard.press("Delete")
        tab.locator(".chips button", has_text="zone-1").wait_for(state="detached", timeout=WAIT_MS)
        wide = tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, "nothing stands out of a phone's screen"
        tab.evaluate("location.hash = '#/events'")
        row = tab.locator(".event", has_text="north all 3 objects (count > 2)")
        row.first.wait_for(timeout=WAIT_MS)
        tab.get_by_label("What").select_option(label="cameras, promise, processes")
        row.first.wait_for(state="detached", timeout=WAIT_MS)
        tab.locator(".events li", has_text="north is live").first.wait_for(timeout=WAIT_MS)
