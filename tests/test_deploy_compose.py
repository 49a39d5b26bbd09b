"""The compose file: what it says is allowed, what it names is there, and what it starts starts."""

from __future__ import annotations

import getpass
import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import compose_spec
import pytest
import yaml

from pipeline.config import load_fleet
from pipeline.config.values import Fleet
from tests.dockerfiles import DEPLOY, DOCKERFILE, of
from tests.prometheus_server import needs_promtool
from tests.servers import free_port, program

FILE = DEPLOY / "compose.yaml"
TEXT = FILE.read_text("utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
SECRETS = dict.fromkeys(("PAGE_TOKEN", "DB_PASSWORD", "MQTT_PASSWORD"), "0123456789abcdef")
PASSWORD = "hunter2"
DEADLINE_S = 30
_VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*))?\}")


def fleet() -> Fleet:
    return load_fleet(DEPLOY / "compose" / "fleet.yaml", SECRETS)


def parsed(change: str = "", to: str = "") -> compose_spec.PyCompose:
    """The file as a parser of the specification reads it, with the variables' defaults in their places."""
    assert not change or change in TEXT
    body = yaml.safe_load(_VARIABLE.sub(r"\2", TEXT.replace(change, to) if change else TEXT))
    return compose_spec.PyCompose.from_json(json.dumps({key: body[key] for key in body if key != "x-service"}))


def test_compose_is_what_the_specification_allows():
    assert set(parsed().service_names()) == {"fleet", "postgres", "mosquitto", "prometheus"}


@pytest.mark.parametrize(("word", "wrong"), [("stop_grace_period:", "stop_period:"), ("unless-stopped", "never")])
def test_compose_with_a_mistake_is_not(word: str, wrong: str):
    with pytest.raises(ValueError, match=wrong.rstrip(":")):
        parsed(word, wrong)


@pytest.mark.parametrize("kind", ["networks", "secrets", "volumes"])
def test_compose_declares_what_its_services_use_and_nothing_else(kind: str):
    used = {str(name).partition(":")[0] for service in SERVICES.values() for name in service.get(kind, ())}
    assert {name for name in used if not name.startswith(".")} == set(COMPOSE[kind])


def test_compose_mounts_files_that_there_are():
    mounted = [one.split(":")[0] for service in SERVICES.values() for one in service.get("volumes", ())]
    paths = [path for path in mounted if path.startswith(".")]
    assert len(paths) == 4
    assert all((DEPLOY / path).exists() for path in paths)
    build = SERVICES["fleet"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DOCKERFILE)


def test_compose_publishes_page_and_prometheus_to_this_machine_alone():
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert set(ports) == {"fleet", "prometheus"}
    assert all(port.startswith("127.0.0.1:") for service in ports.values() for port in service)
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if service["networks"] == ["inside"]} == {
        "postgres",
        "mosquitto",
    }


def test_compose_services_start_again_and_say_how_they_are():
    assert all(service["restart"] == "unless-stopped" for service in SERVICES.values())
    assert {name for name, service in SERVICES.items() if "healthcheck" not in service} == {"fleet"}
    assert of("HEALTHCHECK"), "the image has the fleet's"


def test_compose_services_have_few_rights():
    for name, service in SERVICES.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert [name for name, service in SERVICES.items() if "cap_add" in service] == ["postgres"]


def test_compose_variables_and_secrets_are_told_of():
    readme = (DEPLOY / "README.md").read_text("utf-8")
    told = set(re.findall(r"`(\w+)`", readme))
    assert {name for name, _ in _VARIABLE.findall(TEXT)} <= told
    assert set(COMPOSE["secrets"]) <= told
    assert all(COMPOSE["secrets"][name]["file"] == f"./secrets/{name}" for name in COMPOSE["secrets"])
    assert "/deploy/secrets/" in (DEPLOY.parent / ".gitignore").read_text("utf-8").splitlines()


def test_compose_fleet_names_secrets_and_services_that_it_has(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(DEPLOY.parent)
    named = set(_VARIABLE.findall((DEPLOY / "compose" / "fleet.yaml").read_text("utf-8")))
    assert named == {(secret.upper(), "") for secret in SERVICES["fleet"]["secrets"]}
    sinks = fleet().sinks
    assert {str(sink.url).split("@")[-1].split("/")[0] for sink in sinks.values()} <= {"postgres", "mqtt:"}
    assert sinks["home"].url.host == "mosquitto"
    assert SERVICES["postgres"]["environment"] == {
        "POSTGRES_USER": "camfleet",
        "POSTGRES_DB": "camfleet",
        "POSTGRES_PASSWORD_FILE": "/run/secrets/db_password",
    }
    assert sinks["records"].url.reveal() == f"postgresql://camfleet:{SECRETS['DB_PASSWORD']}@postgres/camfleet"


def test_compose_fleet_plays_the_samples_and_its_page_is_where_others_look(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(DEPLOY.parent)
    found = fleet()
    assert len(found.cameras) == 6
    assert all(camera.loop and camera.url.path is not None for camera in found.cameras.values())
    assert found.page is not None
    prometheus = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text("utf-8"))
    (job,) = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"fleet:{found.page.port}"]}]
    assert SERVICES["fleet"]["ports"][0].endswith(f":{found.page.port}")
    assert job["job_name"] == "camfleet", "the alerts ask for it"


@needs_promtool
def test_compose_prometheus_is_what_promtool_accepts(tmp_path: Path):
    text = (DEPLOY / "compose" / "prometheus.yml").read_text("utf-8")
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/", f"{tmp_path}/"))
    (tmp_path / "alerts.yml").write_text((DEPLOY.parent / "configs" / "alerts.yml").read_text("utf-8"))
    (tmp_path / "page_token").write_text("x")
    command = ["promtool", "check", "config", "--lint=all", "--lint-fatal", tmp_path / "prometheus.yml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 rules found" in done.stdout


class Broker:
    """The broker's service by its own command, check and configuration, in a folder of this machine.

    Its programs are those it names and no others, and `shown` has what ps showed of each as it started.
    """

    def __init__(self, folder: Path, password: str) -> None:
        self.folder, self._service, port = folder, SERVICES["mosquitto"], free_port()
        (folder / "mqtt_password").write_text(f"{password}\n")
        config = (DEPLOY / "compose" / "mosquitto.conf").read_text("utf-8")
        config = config.replace("listener 1883", f"user {getpass.getuser()}\nlistener {port} 127.0.0.1")
        (folder / "mosquitto.conf").write_text(self._placed(config))
        (folder / "bin").mkdir()
        for name in ("cat", "mosquitto", "mosquitto_passwd"):
            self._lend(name)
        self._lend("mosquitto_sub", f"-h 127.0.0.1 -p {port}")

    def _lend(self, name: str, options: str = "") -> None:
        cat, real = program("cat"), program(name)
        lent = self.folder / "bin" / name
        lent.write_text(f'#!/bin/sh\n{cat} /proc/$$/cmdline >> {self.folder}/shown\nexec {real} {options} "$@"\n')
        lent.chmod(0o755)

    def _placed(self, text: str) -> str:
        """What compose makes of it, with the container's places in this folder."""
        return re.sub(r"/(run/secrets|etc/mosquitto|tmp|mosquitto/data)\b", str(self.folder), text).replace("$$", "$")

    def start(self) -> subprocess.Popen[str]:
        """By the service's entry point and command."""
        return self._open([*self._service["entrypoint"], self._placed(self._service["command"][0])])

    def is_well(self) -> bool:
        """By the service's health check."""
        kind, asked = self._service["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        with self._open(["/bin/sh", "-c", self._placed(asked)]) as check:
            check.communicate(timeout=DEADLINE_S)
        return check.returncode == 0

    def _open(self, command: list[str]) -> subprocess.Popen[str]:
        with (self.folder / "shown").open("a") as shown:
            shown.write("\0".join((*command, "")))
        pipe, env = subprocess.PIPE, {"PATH": str(self.folder / "bin")}
        return subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=env)

    def shown(self) -> str:
        """The arguments of each process that was started, as /proc has them."""
        return (self.folder / "shown").read_text("utf-8")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """One that is well."""
    lent = Broker(tmp_path, PASSWORD)
    with lent.start() as process:
        try:
            end_s = time.monotonic() + DEADLINE_S
            while not lent.is_well():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < end_s
            yield lent
        finally:
            process.terminate()
            process.communicate(timeout=DEADLINE_S)


def test_compose_broker_is_well_for_who_knows_the_password(broker: Broker):
    asks = broker.folder / "mosquitto_sub"
    asks.write_text(asks.read_text("utf-8").replace(PASSWORD, "guessed"))
    assert not broker.is_well()


def test_compose_broker_and_its_check_show_the_password_to_nobody(broker: Broker):
    shown = broker.shown()
    for name in ("mosquitto", "mosquitto_passwd", "mosquitto_sub"):
        assert f"{broker.folder}/bin/{name}\0" in shown
    assert PASSWORD not in shown
    kept = [path for path in broker.folder.iterdir() if path.is_file() and PASSWORD in path.read_text("utf-8")]
    assert {path.name for path in kept} == {"mqtt_password", "mosquitto_sub"}
    assert {(broker.folder / name).stat().st_mode & 0o77 for name in ("passwords", "mosquitto_sub")} == {0}


@pytest.mark.parametrize("password", ["", "hunter:2", "hunter 2", "hunter2\nhunter3"])
def test_compose_broker_with_a_password_it_would_cut_says_so(tmp_path: Path, password: str):
    with Broker(tmp_path, password).start() as process:
        said, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 1
    assert said.startswith("mqtt_password is empty or has a colon or a blank")
    assert not (tmp_path / "passwords").exists()
