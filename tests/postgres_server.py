"""A PostgreSQL of a test's own: on a free port, in a folder that goes with it; skipped where there is none."""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from pipeline.config.sinks.database import DatabaseUrl
from pipeline.sink.database import connect

PASSWORD = "hunter2"
_DEADLINE_S = 60
_numbers = itertools.count()
_SLOW = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER INSERT ON frames EXECUTE FUNCTION slow()"""
_SETTINGS = """
listen_addresses = '127.0.0.1'
shared_buffers = 32MB
max_connections = 40
"""


class PostgresServer:
    """Its folder is made once; it may be started, stopped and killed many times, always on the same port."""

    def __init__(self, folder: Path, programs: Path, account: dict[str, Any], fsync: bool) -> None:
        self._data, self._programs, self._account = folder / "data", programs, account
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        (folder / "password").write_text(PASSWORD)
        self._do(
            "initdb", "--pgdata", self._data, "--username", "camfleet", "--pwfile", folder / "password",
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a") as settings:
            settings.write(f"{_SETTINGS}port = {self.port}\nunix_socket_directories = '{folder}'\n")
            settings.write(f"fsync = {'on' if fsync else 'off'}\n")

    def url(self, database: str = "postgres", user: str = "camfleet", password: str = PASSWORD) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The address of one without anything in it."""
        name = f"d{next(_numbers)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def slow_database(self, write_s: float) -> str:
        """The address of one with the tables of a sink, into which every write of frames takes so much longer."""
        url = self.new_database()
        connect(DatabaseUrl(url), Path()).close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_SLOW.format(seconds=write_s))
        return url

    def start(self) -> None:
        """Returns once it answers; tries again while what is left of a killed one ends."""
        end_s = time.monotonic() + _DEADLINE_S
        while self._control("start", "--log", self._data / "log").returncode:
            assert time.monotonic() < end_s, (self._data / "log").read_text()

    @property
    def pid(self) -> int:
        """Of the process that the others are children of."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def stop(self, mode: str = "fast") -> None:
        """By `fast` sessions are ended in order, by `immediate` they are cut off."""
        self._control("stop", "--mode", mode)

    def kill(self) -> None:
        """As the kernel does where memory runs out."""
        os.kill(self.pid, signal.SIGKILL)

    def _control(self, command: str, *options: object) -> subprocess.CompletedProcess[bytes]:
        return self._run("pg_ctl", command, "--pgdata", self._data, "--wait", *options)

    def _do(self, program: str, *options: object) -> None:
        ended = self._run(program, *options)
        assert ended.returncode == 0, ended.stderr.decode()

    def _run(self, program: str, *options: object) -> subprocess.CompletedProcess[bytes]:
        command = [str(self._programs / program), *map(str, options)]
        # A server that stays holds on to what it inherits: no pipe, or it would be waited for.
        with tempfile.TemporaryFile() as said:
            ended = subprocess.run(
                command,
                stdout=subprocess.DEVNULL,
                stderr=said,
                timeout=_DEADLINE_S,
                check=False,
                cwd="/",
                **self._account,
            )
            said.seek(0)
            return subprocess.CompletedProcess(command, ended.returncode, b"", said.read())


@contextlib.contextmanager
def postgres_server(*, fsync: bool = False) -> Iterator[PostgresServer]:
    """A server that runs; the test is skipped where none can.

    Without fsync it is faster, and outlives being killed; it would not outlive a loss of power.
    """
    programs = _programs()
    account: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="camfleet-pg-") as made:
        folder = Path(made)
        if os.geteuid() == 0:  # PostgreSQL refuses to be run by root.
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("PostgreSQL is not run by root, and there is no user “postgres”")
            account = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            os.chown(folder, user.pw_uid, user.pw_gid)
        server = PostgresServer(folder, programs, account, fsync)
        server.start()
        try:
            yield server
        finally:
            server.stop("immediate")


def _programs() -> Path:
    found = shutil.which("initdb")
    places = [Path(found).resolve().parent] if found else []
    # Debian keeps them out of the way.
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "pg_ctl").exists() and (place / "initdb").exists():
            return place
    pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
