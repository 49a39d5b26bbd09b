"""The folder's README names files, commands and options that there are."""

from __future__ import annotations

import re

import pytest
import typer

from pipeline.cli import app
from tests.dockerfiles import DEPLOY

README = (DEPLOY / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(?:console|yaml)\n(.*?)```", README, re.DOTALL)
CODE = "\n".join((*BLOCKS, *re.findall(r"`([^`\n]+)`", README)))
COMMANDS = sorted(set(re.findall(r"(?<![\w/:.-])camfleet ((?:keys |camera )?[a-z]+)\b", CODE)))


def test_readme_links_lead_to_files():
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert len(links) > 4
    assert [link for link in links if not (DEPLOY / link).exists()] == []


def test_readme_paths_in_commands_are_there():
    paths = set(re.findall(r"\bdeploy/[\w./@-]+", "\n".join(BLOCKS)))
    assert {"deploy/Dockerfile", "deploy/compose.yaml", "deploy/kubernetes/fleet.yaml"} <= paths
    made = {path for path in paths if path.startswith("deploy/secrets")}
    assert [path for path in paths - made if not (DEPLOY.parent / path).exists()] == []


@pytest.mark.parametrize("words", COMMANDS)
def test_readme_commands_are_camfleet_s(words: str):
    command = typer.main.get_command(app)
    for word in words.split():
        command = getattr(command, "commands", {}).get(word)
        assert command is not None, f"camfleet {words}"
