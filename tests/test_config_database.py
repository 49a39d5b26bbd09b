from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.config.sinks.base import KINDS
from pipeline.config.sinks.database import DatabaseSettings, DatabaseUrl


@pytest.mark.parametrize(
    ("url", "engine", "required"),
    [
        ("results.sqlite", "sqlite", ()),
        ("~/RESULTS.DB", "sqlite", ()),
        ("a b/results.duckdb", "duckdb", ("duckdb", "pyarrow")),
        ("postgresql://bob:pw@db/town", "postgresql", ("psycopg",)),
        ("postgres:///town?host=/run/postgresql", "postgresql", ("psycopg",)),
    ],
)
def test_database_settings_know_the_engine_and_what_it_needs(url: str, engine: str, required: tuple[str, ...]) -> None:
    settings = DatabaseSettings.model_validate({"url": url})
    assert (settings.url.engine, settings.required) == (engine, required)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "expected the path of a file"),
        (7, "expected the path of a file"),
        ("results.txt", "found “results.txt”, expected the path of a file that ends in .sqlite or .duckdb"),
        ("a\0.sqlite", "expected the path of a file"),
        ("mysql://bob:hunter2@db/town", "scheme “mysql://” is not supported"),
        ("postgresql://bob:hun ter2@db/town", "no spaces"),
        ("postgresql://bob:hunter2@db:port/town", "expected postgresql://"),
        ("postgresql://bob:hunter2@[db/town", "expected postgresql://"),
    ],
)
def test_database_settings_wrong_url_is_told_without_the_password(url: object, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DatabaseSettings.model_validate({"url": url})
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_database_settings_print_no_password() -> None:
    settings = DatabaseSettings.model_validate({"url": "postgresql://bob:hunter2@db/town?sslpassword=hunter2"})
    shown = f"{settings!r} {settings} {settings.model_dump_json()} {settings.model_dump()}"
    assert "hunter2" not in shown
    assert "bob" not in shown
    assert "postgresql://***@db/town" in shown


def test_database_settings_are_known_by_their_kind() -> None:
    assert KINDS["database"] is DatabaseSettings


def test_database_url_relative_file_begins_at_the_folder(tmp_path: Path) -> None:
    assert DatabaseUrl("a.sqlite").file(tmp_path) == tmp_path / "a.sqlite"
    assert DatabaseUrl("/b/a.sqlite").file(tmp_path) == Path("/b/a.sqlite")
