from __future__ import annotations

import json
import re
from datetime import datetime

import pytest
import structlog

from pipeline.errors import ConfigError
from pipeline.logs import (
    LINES_AT_ONCE,
    LOG_FORMAT,
    LOG_LEVEL,
    LineLimit,
    choose_log_format,
    choose_log_level,
    configure_logs,
)


@pytest.fixture
def _as_before(monkeypatch: pytest.MonkeyPatch):
    """Logs and environment are put back."""
    monkeypatch.setenv(LOG_FORMAT, "text")
    monkeypatch.setenv(LOG_LEVEL, "debug")
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_as_before")
def test_log_line_for_people_begins_with_date_and_time(capsys: pytest.CaptureFixture[str]):
    configure_logs("worker")
    structlog.get_logger().info("ready")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[info +\] ready +process=worker\n", capsys.readouterr().err)


@pytest.mark.usefixtures("_as_before")
def test_log_level_chosen_above_leaves_out_what_is_below(capsys: pytest.CaptureFixture[str]):
    choose_log_level("warning")
    configure_logs("worker")
    structlog.get_logger().info("ready")
    structlog.get_logger().warning("late")
    lines = capsys.readouterr().err
    assert "late" in lines and "ready" not in lines


@pytest.mark.usefixtures("_as_before")
def test_log_line_for_machines_is_an_object_with_offset_and_no_secrets(capsys: pytest.CaptureFixture[str]):
    choose_log_format("json")
    configure_logs("camera gate")
    try:
        raise ValueError("rtsp://bob:hunter2@cam/")
    except ValueError:
        structlog.get_logger().exception("broken", url="rtsp://bob:hunter2@cam/")
    line = json.loads(text := capsys.readouterr().err)
    assert (line["event"], line["level"], line["process"]) == ("broken", "error", "camera gate")
    assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
    assert "ValueError" in line["exception"]
    assert "hunter2" not in text


@pytest.mark.usefixtures("_as_before")
def test_log_format_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(LOG_FORMAT, "xml")
    with pytest.raises(ConfigError, match="CAMFLEET_LOG_FORMAT: found “xml”"):
        configure_logs("worker")


def test_line_limit_writes_a_burst_then_one_a_second_and_says_how_many_it_left_out():
    limit = LineLimit(now_s=0.0)
    assert [limit.admit(0.0) for _ in range(LINES_AT_ONCE)] == [0] * LINES_AT_ONCE
    assert [limit.admit(0.1 * n) for n in range(5)] == [None] * 5
    assert not limit.owes(0.9)
    assert limit.owes(1.1)
    assert limit.admit(1.1) == 5
    assert [limit.admit(1.2), limit.admit(2.2)] == [None, 1]
    assert not limit.owes(60.0)
    assert [limit.admit(3600.0) for _ in range(LINES_AT_ONCE + 1)] == [0] * LINES_AT_ONCE + [None]


@pytest.mark.usefixtures("_as_before")
def test_log_lines_about_one_camera_are_limited_and_those_about_others_and_errors_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pipeline.logs.LINES_PER_S", 0.0)
    configure_logs("worker")
    log = structlog.get_logger()
    for _ in range(100):
        log.warning("lost", camera_id="gate")
    log.warning("lost", camera_id="yard")
    log.error("broken", camera_id="gate")
    log.info("ready")
    lines = capsys.readouterr().err.splitlines()
    assert sum("camera_id=gate" in line and "lost" in line for line in lines) == LINES_AT_ONCE
    rest = lines[LINES_AT_ONCE:]
    assert [word for line in rest for word in ("lost", "broken", "ready") if word in line] == [
        "lost",
        "broken",
        "ready",
    ]
