"""Machines and files as they should not be: one clear message, soon, and never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.config.load import load_fleet
from pipeline.detect.cache import cache_folder
from pipeline.errors import ConfigError, DetectorError
from pipeline.redact import redact

SOON_S = 20.0
"""Far more than any of these needs, and far less than one of quadratic cost takes."""
HEAD = "model: {backend: stub}\n"


def gate_of(recording: Path, folder: Path) -> Path:
    """A fleet file of one camera that plays ``recording`` again and again."""
    file = folder / "fleet.yaml"
    camera = f"cameras: {{gate: {{url: '{recording}', loop: true}}}}\n"
    file.write_text(f"{HEAD}publish: {{bind: 'tcp://127.0.0.1:0'}}\n{camera}")
    return file


def camfleet(*arguments: object, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environ},
    )


MERGES = "base: &a {" + ", ".join(f"k{n}: 1" for n in range(300)) + "}\n"
LARGE = {
    "merges of merges": HEAD
    + MERGES
    + "".join(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}' if n else '*a'] * 30)}]}}\n" for n in range(6)),
    "one mapping merged again": HEAD + MERGES + "cameras: {<<: [" + ", ".join(["*a"] * 20_000) + "]}\n",
    "address of addresses": f"{HEAD}cameras: {{gate: {{url: '{'a://' * 200_000}'}}}}\n",
    "address of points": f"{HEAD}cameras: {{gate: {{url: 'x://{'.' * 800_000}'}}}}\n",
    "address of quotes": f'{HEAD}cameras: {{gate: {{url: "x://{chr(39) * 800_000}"}}}}\n',
    "variables without end": f"{HEAD}cameras: {{gate: {{url: '{'${' * 400_000}'}}}}\n",
    "defaults without end": f"{HEAD}cameras: {{gate: {{url: '{'${a:-' * 150_000}'}}}}\n",
    "words": f"{HEAD}cameras: {{gate: {{stride: '{'a.' * 400_000}'}}}}\n",
    "dashes": f"{HEAD}cameras: {{gate: {{stride: '{'-:' * 400_000}'}}}}\n",
}


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in LARGE.items()])
def test_fleet_file_that_is_made_to_take_long_is_refused_soon(tmp_path: Path, content: str):
    assert len(content) < 1 << 20
    file = tmp_path / "fleet.yaml"
    file.write_text(content)
    began_s = time.process_time()
    with pytest.raises(ConfigError):
        load_fleet(file)
    assert time.process_time() - began_s < SOON_S


@pytest.mark.parametrize(
    "piece", ["a://", "x-", "'", "a:", "-:", "@", "?", "a=", "a.", "password", "${", "://", ":", '"', "é"]
)
def test_redact_takes_no_longer_on_what_repeats(piece: str):
    began_s = time.process_time()
    redact(piece * 200_000)
    assert time.process_time() - began_s < SOON_S


def test_caller_whose_encoding_is_ascii_gets_his_output(tmp_path: Path, recording: Path):
    file = gate_of(recording, tmp_path)
    for arguments in (("--help",), ("check", file), ("check", "no-such.yaml"), ("run", file, "--duration", 1, "-q")):
        done = camfleet(*arguments, PYTHONIOENCODING="ascii", LC_ALL="C")
        assert "Traceback" not in done.stderr
        assert done.stdout or done.stderr


@pytest.mark.parametrize("name", ["x" * 120, "rü n"])
def test_runtime_folder_that_cannot_be_used_is_told(tmp_path: Path, recording: Path, name: str):
    runtime = tmp_path / name
    runtime.mkdir()
    file = gate_of(recording, tmp_path)
    done = camfleet("run", file, XDG_RUNTIME_DIR=str(runtime))
    assert done.returncode == 2
    assert "XDG_RUNTIME_DIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((runtime / "camfleet").glob("[!.]*")), "nothing is left behind"


def test_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch):
    def nobody(cls: type) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(nobody))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(DetectorError, match="XDG_CACHE_HOME"):
        cache_folder("weights")


def test_summary_that_cannot_be_written_is_told_before_the_fleet_starts(tmp_path: Path, recording: Path):
    file = gate_of(recording, tmp_path)
    done = camfleet("run", file, "--duration", 60, "--summary", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot be written" in done.stderr
    assert "loading" not in done.stderr
