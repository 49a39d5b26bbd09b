"""Metrics, dashboard and alerts, in the hands of Prometheus itself."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline import Fleet
from tests.operations_server import operations_of
from tests.prometheus_server import Prometheus, needs_prometheus, needs_promtool, prometheus
from tests.waiting import wait_until

CONFIGS = Path(__file__).parents[1] / "configs"
ALERTS, DASHBOARD = CONFIGS / "alerts.yml", CONFIGS / "grafana.json"
VARIABLES = {
    "$__rate_interval": "1m",
    "$__range": "5m",
    "$job": "camfleet",
    "$instance": ".*",
    "$camera": ".*",
}
"""What Grafana would put in."""
WELL_WITHOUT = ("frames_lost_total", "frames_filled_total", "increase(camfleet_process_restarts", "camfleet_slo_kept")
"""Queries that have nothing to show where nothing is wrong."""


def queries() -> Iterator[tuple[str, str]]:
    """The panel and expression of every query in the dashboard, as Prometheus gets it."""
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", filled(target["expr"])
    for annotation in dashboard["annotations"]["list"]:
        if "expr" in annotation:
            yield annotation["name"], filled(annotation["expr"])
    for variable in dashboard["templating"]["list"]:
        if found := re.fullmatch(r"label_values\((.+), (\w+)\)", str(variable.get("definition"))):
            yield f"variable {variable['name']}", f"count by ({found[2]}) ({filled(found[1])})"


def filled(expression: str) -> str:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def promtool(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@needs_promtool
def test_alerts_are_rules_that_promtool_accepts():
    assert "14 rules found" in promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))


@needs_promtool
def test_alerts_tell_what_they_should_and_nothing_else():
    assert "SUCCESS" in promtool("test", "rules", str(Path(__file__).parent / "alerts.yaml"))


def test_alerts_are_all_tested():
    stories = yaml.safe_load((Path(__file__).parent / "alerts.yaml").read_text("utf-8"))["tests"]
    told = {one["alertname"] for story in stories for one in story.get("alert_rule_test", ()) if one["exp_alerts"]}
    rules = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"][0]["rules"]
    assert told == {rule["alert"] for rule in rules}
    assert all({"summary", "description"} <= rule["annotations"].keys() for rule in rules)


def test_dashboard_panels_do_not_overlap_and_say_what_they_show():
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text("utf-8"))["panels"]
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["description"] for panel in panels if panel["type"] != "row")


@pytest.fixture
def served(
    fleet_file: Callable[..., Path], recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The address of the metrics of a fleet with a sink, a camera that runs and one that is down."""
    cameras = {"gate": {"url": str(recording), "loop": True}, "gone": "rtsp://bob:hunter2@127.0.0.1:9/x"}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    sinks = {"archive": {"kind": "file", "path": str(tmp_path / "kept"), "format": "jsonl"}}
    with (
        Fleet(fleet_file(cameras, sinks=sinks, slo={"p95_ms": 5000})) as fleet,
        operations_of(fleet.endpoint, "test") as url,
    ):
        yield url


@needs_promtool
def test_metrics_of_a_running_fleet_are_as_promtool_likes_them(served: str, within: Callable):
    def text() -> str:
        return urllib.request.urlopen(f"{served}/metrics", timeout=60).read().decode()

    wait_until(within, lambda: 'camfleet_camera_objects{camera="gate"' in text())
    wait_until(within, lambda: re.search(r'^camfleet_sink_written_total{sink="archive"} [1-9]', text(), re.MULTILINE))
    promtool("check", "metrics", text=text())
    assert "hunter2" not in text()


@needs_prometheus
def test_dashboard_has_something_to_show_of_a_running_fleet(served: str, within: Callable, tmp_path: Path):
    with prometheus(served.removeprefix("http://"), ALERTS, tmp_path) as server:
        wait_until(within, lambda: server.ready)
        wait_until(within, lambda: server.query('camfleet_camera_state{camera="gate",state="live"} == 1'))
        wait_until(within, lambda: not silent_panels(server))
        wait_until(within, lambda: server.query('camfleet_camera_state{camera="gone",state="retrying"} == 1'))
        assert len(server.rules()) == 14
        wait_until(within, lambda: down(server) == ["gone"])


def down(server: Prometheus) -> list[str]:
    """The cameras that an alert is about to tell of."""
    alerts = [one["labels"] for one in server.alerts()]
    return [labels["camera"] for labels in alerts if labels["alertname"] == "CamfleetCameraDown"]


def silent_panels(server: Prometheus) -> list[str]:
    """Queries that Prometheus has no answer to, though a fleet has; each of them is one that it understands."""
    empty = [(title, expression) for title, expression in queries() if not server.query(expression)]
    return [title for title, expression in empty if not any(name in expression for name in WELL_WITHOUT)]
