from __future__ import annotations

import json
import re
from datetime import datetime

import pytest
import structlog

from pipeline.errors import ConfigError
from pipeline.logs import LOG_FORMAT, choose_log_format, configure_logs


@pytest.fixture
def _as_before(monkeypatch: pytest.MonkeyPatch):
    """Logs and environment are put back."""
    monkeypatch.setenv(LOG_FORMAT, "text")
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("_as_before")
def test_log_line_for_people_begins_with_date_and_time(capsys: pytest.CaptureFixture[str]):
    configure_logs("worker")
    structlog.get_logger().info("ready")
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[info +\] ready +process=worker\n", capsys.readouterr().err)


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
