"""The image's files: a Dockerfile that a linter accepts, and programs that do in it what they say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from pipeline.slot import MAX_HELD
from tests.dockerfiles import DEPLOY, DOCKERFILE, command, of, variables
from tests.image_modules import hide_others
from tests.servers import free_port

ROOT = DEPLOY.parent
BIN = Path(sys.executable).parent
DEADLINE_S = 60
TOKEN = "0123456789abcdef"


def test_dockerfile_is_what_hadolint_accepts():
    done = subprocess.run(
        [BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_dockerfile_ends_as_nobody_in_particular_and_by_number():
    users = of("USER")
    assert users[0] == users[-1] == "10001:10001", "Kubernetes can see of a number alone that it is not root"
    assert "--uid 10001" in DOCKERFILE.read_text("utf-8")


def test_dockerfile_copies_what_there_is_and_what_is_let_into_the_build():
    admitted = [line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")]
    copied = [source for line in of("COPY") if "--from" not in line for source in line.split()[:-1]]
    assert {"pyproject.toml", "pipeline"} <= set(copied)
    for source in copied:
        assert list(ROOT.glob(source)), source
        assert source in admitted, source
    assert set(admitted) == set(copied), "nothing else is sent to a builder"


@pytest.mark.parametrize("target", ["full", "ray"])
def test_dockerfile_has_the_targets_that_are_told_of(target: str):
    assert any(line.endswith(f" AS {target}") for line in of("FROM"))
    assert f"--target {target}" in DOCKERFILE.read_text("utf-8")
    assert f"--target {target}" in (DEPLOY / "README.md").read_text("utf-8")


def test_dockerfile_states_the_shared_memory_that_a_slot_takes():
    pictures, mb, default, large = re.search(
        r"(\d+) pictures of each camera .* ([\d.]+) MB for 640x360\..*which is (\w+) such cameras.*is a (.+)\. Memory",
        DOCKERFILE.read_text("utf-8").replace("\n# ", " "),
    ).groups()
    needed = (MAX_HELD + 3) * 640 * 360 * 3
    assert (int(pictures), float(mb)) == (MAX_HELD + 3, round(needed / 1e6, 1))
    assert (default, large) == ("ten", "hundred and seventy")
    assert ((64 << 20) // needed, (1 << 30) // needed // 10) == (10, 17)


def listed(*options: str) -> list[str]:
    command = [sys.executable, "-I", DEPLOY / "requirements.py", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    return done.stdout.splitlines()


def test_requirements_are_those_of_the_project_and_its_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {*project["dependencies"], *project["optional-dependencies"]["page"]}
    assert set(listed("--extras", "page")) == wanted


def test_requirements_of_the_light_image_hold_no_pytorch_and_no_windows():
    names = {re.match(r"[\w-]+", line)[0] for line in listed("--extras", "page,sinks")}
    assert names.isdisjoint({"torch", "ultralytics", "opencv-python"})
    assert {"opencv-python-headless", "openvino", "psycopg"} <= names


def test_requirements_of_an_extra_that_names_others_are_theirs():
    assert not any("camfleet" in line for line in listed("--extras", "dev"))
    assert set(listed("--extras", "page,sinks")) < set(listed("--extras", "dev"))


def test_requirements_of_an_unknown_extra_are_refused_in_words():
    with pytest.raises(subprocess.CalledProcessError) as caught:
        listed("--extras", "nothing")
    assert "pyproject.toml has no extra 'nothing'; there is ultralytics" in caught.value.stderr


def test_start_makes_variables_of_secrets_and_becomes_camfleet(tmp_path: Path):
    secrets, programs = tmp_path / "secrets", tmp_path / "bin"
    (secrets / "a.folder").mkdir(parents=True)
    (secrets / "page_token").write_text(f"{TOKEN} $(id) 'a'\n")
    (secrets / "gate.cam-password").write_text("hunter2")
    (secrets / "what?").write_text("no name of a variable")
    programs.mkdir()
    fake = programs / "camfleet"
    fake.write_text('#!/bin/sh\nprintf "%s|" "$PAGE_TOKEN" "$GATE_CAM_PASSWORD" "$@"\n')
    fake.chmod(0o755)
    told = subprocess.run(
        ["sh", DEPLOY / "start.sh", "run", "a b"],
        env={"PATH": f"{programs}:/usr/bin:/bin", "CAMFLEET_SECRETS": str(secrets)},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )
    assert told.stdout == f"{TOKEN} $(id) 'a'|hunter2|run|a b|"


def test_start_without_secrets_is_camfleet_alone(tmp_path: Path):
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "CAMFLEET_SECRETS": str(tmp_path / "none"), "PYTHONPATH": str(ROOT)}
    command = ["sh", DEPLOY / "start.sh", "schema"]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert json.loads(told.stdout)["title"]


class Page(BaseHTTPRequestHandler):
    """Answers as a page does whose fleet is alive and not ready."""

    def do_GET(self) -> None:
        allowed = self.path == "/livez" or self.headers.get("authorization") == f"Bearer {TOKEN}"
        code, words = (200, '{"ok":true}') if self.path == "/livez" else (503, "no camera delivers")
        self.send_response(code if allowed else 401)
        self.end_headers()
        self.wfile.write((words if allowed else "a token is needed").encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def page() -> str:
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def health(what: str, **variables: str) -> tuple[int, str]:
    command = [sys.executable, "-I", DEPLOY / "health.py", what]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


@pytest.mark.parametrize(
    ("what", "variables", "code", "words"),
    [
        pytest.param("live", {}, 0, '{"ok":true}', id="alive, which needs no token"),
        pytest.param("ready", {}, 1, "a token is needed", id="not asked as it should be"),
        pytest.param("ready", {"PAGE_TOKEN": TOKEN}, 1, "no camera delivers", id="not ready, and why"),
        pytest.param("well", {}, 1, "usage: health.py live|ready", id="asked for something else"),
    ],
)
def test_health_says_what_the_page_says(page: str, what: str, variables: dict[str, str], code: int, words: str):
    assert health(what, CAMFLEET_PAGE=page, CAMFLEET_SECRETS="/nonexistent", **variables) == (code, words)


def test_health_has_the_token_from_a_secret_that_is_a_file(page: str, tmp_path: Path):
    (tmp_path / "page_token").write_text(f"{TOKEN}\n")
    assert health("ready", CAMFLEET_PAGE=page, CAMFLEET_SECRETS=str(tmp_path)) == (1, "no camera delivers")


def test_health_of_no_page_is_bad():
    code, words = health("live", CAMFLEET_PAGE=f"http://127.0.0.1:{free_port()}")
    assert code == 1
    assert "the page does not answer" in words


def installed() -> list[str]:
    """What the image's build asks for."""
    (options,) = re.findall(r"requirements\.py (.*?) +> light\.txt", "\n".join(of("RUN")))
    extras = dict(line.split("=") for line in of("ARG"))["EXTRAS"]
    return listed(*options.replace('"$EXTRAS"', extras).split())


@pytest.mark.timeout(300)
def test_image_runs_a_fleet_with_what_it_has_and_says_that_it_is_well(
    tmp_path: Path, short_path: Path, within: Callable[[float], object]
):
    """What the image starts, by its own programs, with its variables and packages; only the container is missing."""
    assert {"torch", "ultralytics", "scipy", "requests", "optuna"} <= hide_others(installed(), tmp_path)
    port, secrets = free_port(), tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "page_token").write_text(f"{TOKEN}\n")
    fleet = yaml.safe_load((ROOT / "configs" / "minimal.yaml").read_text("utf-8"))
    fleet["model"]["path"], fleet["publish"] = "samples/model/demo_openvino_model", {"bind": "tcp://127.0.0.1:0"}
    fleet["cameras"] = {"gate": {"url": "samples/gate.mp4", "loop": True}}
    fleet["page"] = {"port": port, "token": "${PAGE_TOKEN}"}
    file = tmp_path / "fleet.yaml"
    file.write_text(yaml.safe_dump(fleet))
    environment = {
        **variables(),
        "PATH": f"{BIN}:/usr/bin:/bin",
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(short_path),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "CAMFLEET_SECRETS": str(secrets),
        "CAMFLEET_PAGE": f"http://127.0.0.1:{port}",
    }
    words = [str(file) if word == "/etc/camfleet/fleet.yaml" else word for word in command()]
    with (
        (tmp_path / "log").open("w+") as log,
        subprocess.Popen(
            ["sh", DEPLOY / "start.sh", *words], cwd=ROOT, env=environment, stdout=log, stderr=log
        ) as process,
    ):
        try:
            for _ in within(180):
                if process.poll() is not None or health("ready", **environment)[0] == 0:
                    break
            assert health("live", **environment)[0] == 0, (tmp_path / "log").read_text()
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
        log.seek(0)
        assert process.returncode == 0, log.read()


def test_image_variables_are_told_of():
    readme = (DEPLOY / "README.md").read_text("utf-8")
    own = {"CAMFLEET_PAGE", "CAMFLEET_SECRETS", *variables()}
    assert own <= set(re.findall(r"`([A-Z_]+)`", readme))


@pytest.mark.skipif(shutil.which("dash") is None, reason="dash is not installed")
def test_start_needs_no_more_than_a_posix_shell():
    assert subprocess.run(["dash", "-n", DEPLOY / "start.sh"], timeout=DEADLINE_S, check=False).returncode == 0
