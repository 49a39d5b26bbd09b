"""Everything public is found by name in the manual: keys, reasons, exit codes, commands, options, names, metrics."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import typer
from pydantic import BaseModel

import pipeline
from docs.generate import DOCS, manual
from docs.generate.markdown import prose
from docs.generate.python import found
from pipeline.burst.scenario import AnyFault, Scenario
from pipeline.camera import failure, unauthorized
from pipeline.cli import app
from pipeline.cli.exits import CODES
from pipeline.cli.man import ENVIRONMENT
from pipeline.config.camera import CameraSettings
from pipeline.config.sinks.base import KINDS, SinkSettings
from pipeline.config.sinks.plugin import PluginSink
from pipeline.config.values import Fleet, Model
from pipeline.wire.values import AlignedBy, Assembly, CaptureClock, FrameOrigin, State
from pipeline.worker.health import SLOW, WHY
from pipeline.worker.stream import FillReason, LostCause

ROOT = DOCS.parent
MANUAL = manual()
MOST_README_LINES, MOST_FILM_BYTES = 150, 1_500_000
DEADLINE_S = 580


def section(page: str, title: str) -> str:
    """What stands under a heading, up to the next of its level or above."""
    lines: list[str] = []
    level, fenced = 0, False
    for line in MANUAL[page].split("\n"):
        fenced ^= line.lstrip().startswith("```")
        depth = 0 if fenced or not line.startswith("#") else len(line) - len(line.lstrip("#"))
        if level and depth and depth <= level:
            break
        if level:
            lines.append(line)
        elif depth and line.lstrip("# ") == title:
            level = depth
    assert level, f"{page} has no section {title}"
    return "\n".join(lines)


def models_in(annotation: Any, step: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    """The kinds of sections that a key may hold, each with the rest of its path."""
    if isinstance(annotation, type) and issubclass(annotation, SinkSettings):
        yield from ((kind, f"{step} ({name})") for name, kind in KINDS.items())
        yield PluginSink, f"{step} (package.module:factory)"
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, step
    further = {dict: ".NAME", tuple: "[]", list: "[]"}.get(get_origin(annotation), "")
    for inner in get_args(annotation):
        yield from models_in(inner, step + further)


def keys_of(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The dotted path of every key of a section and of those under it, from the values themselves."""
    if issubclass(model, SinkSettings) and model is not PluginSink:
        yield f"{path}kind"
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        yield f"{path}{name}"
        for annotation in (field.annotation, *field.metadata):
            for inner, step in models_in(annotation):
                yield from keys_of(inner, f"{path}{name}{step}.")


def test_manual_has_every_key_of_a_fleet_file_and_no_other():
    of_cameras = {f"cameras.NAME.{key}" for key in keys_of(CameraSettings)} | {"cameras.NAME.camera_id"}
    of_second_models = {f"cascade.NAME.model.{key}" for key in keys_of(Model)}
    keys = set(keys_of(Fleet)) - of_cameras - of_second_models
    assert len(keys) > 200
    headings = re.findall(r"^### `([^`]+)`$", MANUAL["reference/fleet-file"], re.MULTILINE)
    assert set(headings) == keys


def test_manual_has_every_key_of_a_scenario_and_no_other():
    of_fleets = ("model.", "worker.", "slo.", "defaults.", "settings.NAME.")
    keys = {key for key in keys_of(Scenario) if not key.startswith(of_fleets)}
    headings = re.findall(r"^### `([^`]+)`$", MANUAL["reference/scenario"], re.MULTILINE)
    assert set(headings) == keys


def test_manual_has_every_fault_and_no_other():
    table = section("reference/scenario", "Faults")
    named = [name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(name for part in get_args(AnyFault) for name in get_args(part) or (part,))


def every_command(group: Any, path: str = "camfleet") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


COMMANDS = dict(every_command(typer.main.get_command(app)))


def test_manual_has_every_command_and_no_other():
    assert re.findall(r"^## `(camfleet .*)`$", MANUAL["reference/command-line"], re.MULTILINE) == list(COMMANDS)
    overview = MANUAL["reference/command-line"].partition("## Exit codes")[0]
    assert [path for path in COMMANDS if f"| [`{path.removeprefix('camfleet ')}`](#" not in overview] == []


@pytest.mark.parametrize("path", COMMANDS)
def test_manual_has_every_option_of_a_command(path: str):
    text = section("reference/command-line", f"`{path}`")
    for one in COMMANDS[path].params:
        for name in (*one.opts, *one.secondary_opts) if one.param_type_name == "option" else ():
            assert f"`{name}`" in text or name in ("--help", "-h"), name


def test_manual_has_every_exit_code_and_variable():
    text = section("reference/command-line", "Exit codes")
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == set(CODES)
    page = section("reference/command-line", "Environment")
    names = [name for names in ENVIRONMENT for name in names.split(", ")]
    assert [name for name in names if f"`{name}`" not in page] == []


def test_manual_says_what_a_no_of_each_command_means():
    told = {path for path, command in COMMANDS.items() if re.search(r"[Ee]xit codes? ", command.help or "")}
    listed = section("reference/command-line", "Exit codes")
    assert [path for path in told if f"`{path}`\n: " not in listed] == []


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("States of a camera", get_args(State)),
        ("Why a frame was not detected", get_args(FillReason)),
        ("Why a frame was lost", get_args(LostCause)),
        ("Where a late frame spent its time", tuple(SLOW)),
    ],
)
def test_manual_has_every_reason_and_no_other_with_what_to_do(title: str, names: tuple[str, ...]):
    text = section("reference/reasons", title)
    headings = re.findall(r"^### `(\w+)`$", text, re.MULTILINE)
    assert sorted(headings) == sorted(names)
    assert [part[:20] for part in text.split("\n### ")[1:] if "*What to do*" not in " ".join(part.split())] == []


def test_manual_tells_in_the_fleets_own_words_what_is_behind_a_reason():
    text = MANUAL["reference/reasons"]
    words = [*WHY.values(), *SLOW.values()]
    assert [said for said in words if said.replace("*", r"\*") not in text] == []


@pytest.mark.parametrize("words", [FrameOrigin, CaptureClock, Assembly, AlignedBy])
def test_manual_has_every_word_of_a_message(words: Any):
    assert [word for word in get_args(words) if word and f"| `{word}`" not in text_of_tables()] == []


def text_of_tables() -> str:
    return re.sub(r"`, `", "` | `", MANUAL["reference/reasons"])


def sentences(module: Any) -> Iterator[str]:
    """What a module says of sources, up to what is filled in and what follows a semicolon."""
    tree = ast.parse(inspect.getsource(module))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and isinstance(node.body[0], ast.Expr)
    }
    texts = {
        id(node): node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    loose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for key, text in texts.items():
        begin = text.partition(";")[0].partition("(")[0].strip(" ,")
        if key not in docstrings | loose and len(begin.split()) >= 4 and "\r" not in begin:
            yield begin


@pytest.mark.parametrize("module", [failure, unauthorized], ids=lambda module: module.__name__)
def test_manual_has_every_sentence_about_a_source_that_cannot_be_opened(module: Any):
    text = " ".join(MANUAL["reference/reasons"].lower().split())
    said = list(sentences(module))
    assert len(said) > 3
    assert [one for one in said if one.lower() not in text] == []


@pytest.mark.parametrize("name", [*pipeline.__all__, "Detector", "Tracker", "Detections", "Tracks", "Sink"])
def test_manual_has_every_public_name(name: str):
    if isinstance(getattr(pipeline, name, None), type) and issubclass(getattr(pipeline, name), Exception):
        assert f"`{name}`\n: " in MANUAL["reference/python"]
        return
    text = section("reference/python", f"`{name}`")
    (path,) = re.findall(rf"from ([\w.]+) import {name}\n", text)
    named = found(name if path == "pipeline" else f"{path}.{name}")
    members = [member for member in vars(named) if not member.startswith("_")] if inspect.isclass(named) else []
    called = [member for member in members if inspect.isfunction(vars(named)[member])]
    assert [member for member in called if f"`{name}.{member}()`" not in text] == []


def test_manual_has_every_metric():
    source = (Path(pipeline.__file__).parent / "web" / "metrics.py").read_text("utf-8")
    names = set(re.findall(r'"(camfleet_\w+)"', source))
    assert len(names) > 30
    page = MANUAL["reference/metrics"]
    assert [name for name in names if f"| `{name}` |" not in page and f"| `{name}_total` |" not in page] == []


def test_readme_is_short_and_leads_on():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(readme.split("\n")) < MOST_README_LINES
    assert {"docs/tutorials/first-fleet.md", "docs/benchmarks.md", "docs/guides/subscribe.md"} <= set(targets(readme))


def test_film_of_the_readme_moves_and_is_small():
    (film,) = [ROOT / link for link in targets((ROOT / "README.md").read_text("utf-8")) if link.endswith(".webp")]
    content = film.read_bytes()
    assert len(content) <= MOST_FILM_BYTES
    assert content.count(b"ANMF") > 20, "pictures of an animated WebP"


def targets(text: str) -> list[str]:
    return [
        link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link and link[0] != "#"
    ]


@pytest.mark.parametrize("page", ["README", *MANUAL])
def test_links_of_a_page_lead_to_files(page: str):
    file = ROOT / "README.md" if page == "README" else DOCS / f"{page}.md"
    text = file.read_text("utf-8") if page == "README" else MANUAL[page]
    assert [link for link in targets(text) if not (file.parent / link).exists()] == []


def test_every_page_is_in_the_table_of_contents():
    listed = re.findall(
        r"^(\w[\w/-]+)$", "\n".join(re.findall(r"```\{toctree\}(.*?)```", MANUAL["index"], re.DOTALL)), re.MULTILINE
    )
    assert sorted(listed) == sorted(page for page in MANUAL if page != "index")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("One.\n\nTwo *stars*.", "One.\n\nTwo \\*stars\\*.\n"),
        (
            "It.\n\nArgs:\n    a: First\n        and more.\n    b: Second.",
            "It.\n\n*Arguments*\n\n`a`\n: First and more.\n\n`b`\n: Second.\n",
        ),
        (
            "It.\n\nRaises:\n    X: Bad.\n\nExample:\n    >>> 1\n    1",
            "It.\n\n*Raises*\n\n`X`\n: Bad.\n\n*Example*\n\n```pycon\n>>> 1\n1\n```\n",
        ),
    ],
    ids=["paragraphs", "arguments over several lines", "errors and an example"],
)
def test_docstring_becomes_markdown(text: str, shown: str):
    assert prose(text) == shown


@pytest.mark.skipif(
    any(find_spec(name) is None for name in ("sphinx", "furo", "myst_parser")),
    reason="needs Sphinx, Furo and MyST: pip install 'camfleet[docs]'",
)
@pytest.mark.timeout(600)
def test_manual_builds_without_a_warning_and_asks_nobody_for_anything(tmp_path: Path):
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", str(DOCS), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > len(MANUAL)
    asked = re.compile(r'<(?:script|img|link|iframe)[^>]*(?:src|href)="(?:https?:)?//[^"]*"')
    assert [found for page in pages for found in asked.findall(page.read_text("utf-8"))] == []
    assert "url(http" not in "".join(style.read_text("utf-8") for style in tmp_path.rglob("*.css"))
