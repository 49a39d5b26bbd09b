"""The report of a burst in a real browser, at the width of a phone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.burst.report.page import page as draw_page
from tests.pages import browser  # noqa: F401
from tests.test_burst_report import canned

READABLE_PX = 700
"""How wide a chart must be shown so that its letters can be read; it scrolls on a smaller screen."""


@pytest.mark.parametrize("width", [360, 1400])
def test_report_fits_the_screen_and_its_charts_can_be_read(browser: Any, tmp_path: Path, width: int):  # noqa: F811
    file = tmp_path / "report.html"
    file.write_text(draw_page(canned()), encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 800})
    try:
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.querySelectorAll('svg').length") > 0
        charts = page.evaluate("[...document.querySelectorAll('svg')].map(one => one.getBoundingClientRect().width)")
        assert min(charts) >= READABLE_PX
        outside = page.evaluate(
            "[...document.querySelectorAll('section')].filter(one => one.scrollWidth > one.clientWidth + 1)"
            ".filter(one => !['auto', 'scroll'].includes(getComputedStyle(one).overflowX)).length"
        )
        assert outside == 0
    finally:
        page.close()
