"""The systemd unit: what it says is what systemd knows, and what the command line has."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.cli.exits import CODES, NO, TERMINATED
from pipeline.cli.man import _commands
from tests.dockerfiles import DEPLOY

UNIT = DEPLOY / "systemd" / "camfleet@.service"
DEADLINE_S = 60
KNOWN = {
    "Unit": {"Description", "Documentation", "Wants", "After", "StartLimitIntervalSec", "StartLimitBurst"},
    "Service": {
        *("Type", "NotifyAccess", "ExecStart", "ExecReload", "TimeoutStartSec", "WatchdogSec", "TimeoutStopSec"),
        *("KillMode", "Restart", "RestartSec", "SuccessExitStatus", "OOMPolicy", "User", "Group"),
        *("SupplementaryGroups", "EnvironmentFile", "RuntimeDirectory", "StateDirectory", "CacheDirectory"),
        *("Environment", "WorkingDirectory", "LimitNICE", "LimitNOFILE", "LimitCORE", "NoNewPrivileges"),
        *("CapabilityBoundingSet", "ProtectSystem", "ProtectHome", "PrivateTmp", "ProtectKernelTunables"),
        *("ProtectKernelModules", "ProtectControlGroups", "RestrictAddressFamilies", "RestrictSUIDSGID"),
        *("LockPersonality", "SystemCallArchitectures"),
    },
    "Install": {"WantedBy"},
}
"""Of systemd.unit(5), systemd.service(5), systemd.exec(5), systemd.kill(5)."""


def settings() -> dict[str, dict[str, str]]:
    """The unit's sections; no key of it is there twice."""
    sections: dict[str, dict[str, str]] = {}
    for line in UNIT.read_text("utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
            continue
        key, equals, value = line.partition("=")
        assert equals and key not in section, line
        section[key] = value
    return sections


def test_unit_has_keys_that_systemd_knows_in_their_sections() -> None:
    found = settings()
    assert set(found) == set(KNOWN)
    assert {name: set(keys) - KNOWN[name] for name, keys in found.items()} == {name: set() for name in KNOWN}


def test_unit_waits_for_the_word_of_the_fleet_and_watches_it() -> None:
    service = settings()["Service"]
    assert (service["Type"], service["NotifyAccess"]) == ("notify", "main")
    assert int(service["WatchdogSec"]) >= 10
    assert service["Restart"] == "on-failure"
    assert {int(code) for code in service["SuccessExitStatus"].split()} == {NO, TERMINATED} <= set(CODES)


def test_unit_runs_a_command_that_there_is_with_options_that_it_has() -> None:
    from typer.main import get_command

    from pipeline.cli import app

    program, command, file, *options = settings()["Service"]["ExecStart"].split()
    assert (Path(program).name, command, file) == ("camfleet", "run", "/etc/camfleet/%i.yaml")
    (run,) = [one for name, one in _commands(get_command(app), "camfleet") if name == "camfleet run"]
    known = {opt for param in run.params for opt in param.opts}
    assert {option for option in options if option.startswith("-")} <= known


def test_readme_tells_how_the_unit_is_installed() -> None:
    readme = (DEPLOY / "README.md").read_text("utf-8")
    assert "systemd/camfleet@.service" in readme
    assert re.search(r"systemctl enable --now camfleet@\w+", readme)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    # Its own program and user are not on this machine: others stand in for them.
    text = UNIT.read_text("utf-8").replace("/opt/camfleet/bin/camfleet", "/bin/true")
    text = re.sub(r"(?m)^(User|Group|SupplementaryGroups)=.*$", "", text)
    text = text.replace("Documentation=man:camfleet(1)", "")
    unit = tmp_path / "camfleet@town.service"
    unit.write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)],
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    mine = [line for line in done.stderr.splitlines() if "camfleet" in line]
    assert (done.returncode, mine) == (0, [])
