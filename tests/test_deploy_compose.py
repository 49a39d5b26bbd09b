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


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Path]:
    """The broker's service by its own command and configuration, in a folder of this machine."""
    service, port = SERVICES["mosquitto"], free_port()
    (tmp_path / "mqtt_password").write_text("hunter2\n")
    config = (DEPLOY / "compose" / "mosquitto.conf").read_text("utf-8")
    config = config.replace("listener 1883", f"user {getpass.getuser()}\nlistener {port} 127.0.0.1")
    (tmp_path / "mosquitto.conf").write_text(_placed(config, tmp_path))
    asked = _placed(service["healthcheck"]["test"][1], tmp_path)
    (tmp_path / "check").write_text(
        asked.replace("mosquitto_sub", f"{program('mosquitto_sub')} -h 127.0.0.1 -p {port}")
    )
    script = _placed(service["command"][0], tmp_path).replace("exec mosquitto", f"exec {program('mosquitto')}")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*service["entrypoint"], script], **quiet) as process:
        try:
            yield tmp_path
        finally:
            process.terminate()
            process.wait(DEADLINE_S)


def _placed(text: str, folder: Path) -> str:
    """What compose makes of it, with the container's places in this folder."""
    return re.sub(r"/(run/secrets|etc/mosquitto|tmp|mosquitto/data)/", f"{folder}/", text).replace("$$", "$")


def _is_well(folder: Path) -> bool:
    command = ["sh", folder / "check"]
    return subprocess.run(command, capture_output=True, timeout=DEADLINE_S, check=False).returncode == 0


def test_compose_broker_is_well_for_who_knows_the_password(broker: Path):
    end_s = time.monotonic() + DEADLINE_S
    while not _is_well(broker):
        assert time.monotonic() < end_s
    (broker / "mqtt_password").write_text("guessed")
    assert not _is_well(broker)
