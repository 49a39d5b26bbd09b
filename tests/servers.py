"""Servers of other people that sinks write to, started on free ports in folders of the test's own."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

DEADLINE_S = 30.0
USER, PASSWORD = "bob", "S3cr3t"


def free_port() -> int:
    """A port that nothing listens on, a moment ago at least."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


@contextmanager
def usual_ports_taken() -> Iterator[None]:
    """Somebody has the ports that `camfleet demo` takes where it can; several tests at once may have them so."""
    with ExitStack() as holders:
        for port in (8554, 5555, 8080):
            holder = holders.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with suppress(OSError):  # A stranger has it, which is as good.
                holder.bind(("127.0.0.1", port))
                holder.listen()
        yield


def program(name: str) -> str:
    """Where a server's program is; the test is skipped where it is not installed."""
    found = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
    if found is None:
        pytest.skip(f"{name} is not installed (apt-get install {name})")
    return found


class Server:
    """A server's process; it may be killed, and started again on the same port and folder."""

    start_s = DEADLINE_S
    """How long it may take until it listens."""

    def __init__(
        self, port: int, command: Sequence[str | Path], folder: Path, env: dict[str, str] | None = None
    ) -> None:
        self.port, self._env = port, env
        self._command, self._log = [str(one) for one in command], folder / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; returns when it accepts connections."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._env)
        end_s = time.monotonic() + self.start_s
        while time.monotonic() < end_s:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, self._log.read_text()
                time.sleep(0.02)
        pytest.fail(f"{self._command[0]} does not listen: {self._log.read_text()}")

    def kill(self) -> None:
        """As by kill -9; may be killed already."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(DEADLINE_S)
            self.process = None

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """It accepts connections, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            # A thread that is at work answers once more before it stops.
            end_s = time.monotonic() + DEADLINE_S
            while psutil.Process(self.process.pid).status() != psutil.STATUS_STOPPED:
                assert time.monotonic() < end_s, "it does not stop"
                time.sleep(0.01)
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def said(self) -> str:
        """All it has written."""
        return self._log.read_text("utf-8", "replace")


@contextmanager
def _running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        yield server
    finally:
        server.kill()


@contextmanager
def mosquitto(folder: Path, *, login: bool = False, lines: Sequence[str] = ()) -> Iterator[Server]:
    """An MQTT broker; with `login`, for `USER` and `PASSWORD` only. `lines` go to its configuration."""
    port, config = free_port(), folder / "mosquitto.conf"
    # Started by root, it would become another user, who may not read the test's folder.
    listener = [f"user {getpass.getuser()}", f"listener {port} 127.0.0.1", *lines]
    if login:
        passwords = folder / "passwords"
        subprocess.run([program("mosquitto_passwd"), "-c", "-b", passwords, USER, PASSWORD], check=True)
        listener += ["allow_anonymous false", f"password_file {passwords}"]
    else:
        listener.append("allow_anonymous true")
    config.write_text("\n".join((*listener, "")))
    with _running(Server(port, [program("mosquitto"), "-v", "-c", config], folder)) as server:
        yield server


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    made, key = folder / "certificate.pem", folder / "key.pem"
    command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    name = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", made]
    subprocess.run([program("openssl"), *command.split(), *name], check=True, capture_output=True)
    return made, key


@contextmanager
def redis(folder: Path, *, login: bool = False) -> Iterator[Server]:
    """A Redis server; with `login`, for `PASSWORD` only."""
    port = free_port()
    command = [program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
    # So that a restarted one has what the killed one confirmed.
    command += ["--appendonly", "yes", "--appendfsync", "always"]
    command += ["--requirepass", PASSWORD] if login else []
    with _running(Server(port, command, folder)) as server:
        yield server


@contextmanager
def nats(folder: Path, *, login: bool = False) -> Iterator[Server]:
    """A NATS server with JetStream; with `login`, for `USER` and `PASSWORD` only."""
    port = free_port()
    command = [program("nats-server"), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", folder / "jetstream"]
    command += ["--user", USER, "--pass", PASSWORD] if login else []
    with _running(Server(port, command, folder)) as server:
        yield server


_NGINX = """
daemon off; master_process off; error_log stderr; pid {folder}/nginx.pid; {user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {cert}; ssl_certificate_key {key};
        {location}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, location: str) -> Iterator[tuple[Server, Path]]:
    """A proxy with TLS; `location` says for what. Its certificate comes with it."""
    cert, key = certificate(folder)
    port, config = free_port(), folder / "nginx.conf"
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    config.write_text(_NGINX.format(folder=folder, port=port, cert=cert, key=key, location=location, user=user))
    with _running(Server(port, [program("nginx"), "-p", folder, "-c", config], folder)) as server:
        yield server, cert


_KAFKA = """
import sys
from confluent_kafka import Producer
cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
print(*cluster.list_topics(timeout=10).brokers.values(), flush=True)
sys.stdin.read()
"""


@contextmanager
def kafka() -> Iterator[Server]:
    """The Kafka cluster of one broker that librdkafka has for tests: the protocol over TCP, topics in memory.

    Debian has no Kafka. It knows idempotent producers, makes topics when they are first used, and has no passwords.
    """
    pytest.importorskip("confluent_kafka", reason="confluent-kafka is not installed (pip install confluent-kafka)")
    with subprocess.Popen(
        [sys.executable, "-c", _KAFKA], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split(b":")[1].split(b"/")[0])
        server = Server(port, [], Path())
        server.process = process
        try:
            yield server
        finally:
            server.kill()
