"""What stands in samples/clients for databases and Parquet does what it says."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.postgres_server import PostgresServer, postgres_server
from tests.test_results import messages, write_database, write_parquet

CLIENTS = Path(__file__).parent.parent / "samples" / "clients"
DASHBOARD = json.loads((CLIENTS / "grafana" / "camfleet.json").read_text())
NOTEBOOK = json.loads((CLIENTS / "parquet.ipynb").read_text())


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def url(server: PostgresServer) -> str:
    return write_database(messages(), server.new_database())


def as_grafana_asks(sql: str) -> str:
    """The SQL that Grafana makes of its macros and variables (its manual, "PostgreSQL query editor")."""
    sql = re.sub(r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN '2025-10-09T00:00:00Z' AND '2025-10-10T00:00:00Z'", sql)
    sql = sql.replace("$__interval_ms", "60000").replace("$__interval", "1m")
    sql = re.sub(r"\$__timeGroupAlias\((\w+), 1m\)", r'floor(extract(epoch from \1) / 60) * 60 AS "time"', sql)
    sql = sql.replace("${camera:sqlstring}", "'gate','yard'")
    assert "$" not in sql, sql
    return sql


def columns_of(url: str, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    with psycopg.connect(url) as connection:
        cursor = connection.execute(as_grafana_asks(sql).encode())
        return [column.name for column in cursor.description or ()], cursor.fetchall()


@pytest.mark.parametrize("panel", DASHBOARD["panels"], ids=lambda panel: panel["title"])
def test_grafana_panel_is_answered_by_the_database(panel: dict[str, Any], url: str) -> None:
    for target in panel["targets"]:
        columns, rows = columns_of(url, target["rawSql"])
        assert rows
        assert (columns[0] == "time") == (panel["type"] == "timeseries")
        if "metric" in columns:
            assert columns[2:] == ["value"]


def test_grafana_panels_tell_what_is_there(url: str) -> None:
    told = {panel["title"]: columns_of(url, panel["targets"][0]["rawSql"])[1] for panel in DASHBOARD["panels"][:5]}
    assert (told["Frames"], told["Objects"], told["Frames missing"]) == ([(54,)], [(3,)], [(3.0,)])
    assert told["Cameras"][0][:2] == ("gate", "degraded")


def test_grafana_variable_lists_the_cameras(url: str) -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert columns_of(url, variable["query"])[1] == [("gate",)]


def test_grafana_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for place in (panel["gridPos"] for panel in DASHBOARD["panels"]):
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not taken & cells
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_notebook_cells_run_over_a_parquet_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for tool in ("duckdb", "pyarrow"):
        pytest.importorskip(tool, reason=f"{tool} is not installed")
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setenv("RESULTS", str(tmp_path))
    (tmp_path / "gate").mkdir()
    write_parquet(messages(), tmp_path / "gate" / "results.parquet")
    names: dict[str, Any] = {}
    with contextlib.redirect_stdout(io.StringIO()) as said:
        for number, cell in enumerate(NOTEBOOK["cells"]):
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), f"cell {number}", "exec"), names)
    names["plt"].close("all")
    shown = said.getvalue()
    assert "captured_at_ns" in shown
    assert re.search(r"gate .*49 .*95 .*3 ", shown)
    assert re.search(r"gate .*0000000001f0 .*10 .*3 ", shown)


def test_notebook_is_kept_without_outputs() -> None:
    for cell in NOTEBOOK["cells"]:
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None
