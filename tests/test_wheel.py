"""What is built: a wheel and a source distribution that hold all, versions from tags, and types that mypy finds."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest

from tests.servers import usual_ports_taken

pytest.importorskip("setuptools_scm", reason="needs setuptools-scm: make setup")
pytestmark = pytest.mark.timeout(600)

ROOT = Path(__file__).parents[1]
NEEDED = ("pyproject.toml", "README.md", "LICENSE", "pipeline", "configs", "samples", "scripts")
DEADLINE_S = 400
FALLBACK = "0.1.0"
EMPTY = {"PATH": "/usr/bin:/bin", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
AUTHOR = {f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def copied(target: Path) -> Path:
    """The working tree's own files without git, as they are in an archive."""
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


def run(*command: str | Path, cwd: Path, codes: tuple[int, ...] = (0,), **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={**EMPTY, "HOME": str(cwd), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode in codes, done.stdout
    return done.stdout


def built(source: Path, out: Path) -> Path:
    """The wheel of a source tree, built without a network."""
    pip = (sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "--quiet")
    run(*pip, "--wheel-dir", out, ".", cwd=source)
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("tree") / "camfleet")


@pytest.fixture(scope="module")
def wheel(tree: Path) -> Path:
    return built(tree, tree.parent / "out")


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Path]:
    """The wheel in a folder of its own that nobody may write to; what it needs is in this environment."""
    folder = wheel.parent.parent / "installed"
    pip = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", folder)
    run(*pip, wheel, cwd=wheel.parent)
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    yield folder
    for path in folders:
        path.chmod(stat.S_IRWXU)


def test_wheel_holds_the_code_and_all_that_it_reads(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = run("git", "ls-files", "-z", "pipeline", cwd=ROOT, HOME=os.environ.get("HOME", "/")).split("\0")
    read = {name for name in filter(None, tracked) if not name.endswith(".md")} | {"pipeline/wire.md"}
    assert read - names == set()
    assert not [name for name in names if name.startswith(("tests/", "scripts/", "samples/", "configs/"))]


@pytest.mark.parametrize(
    "name",
    [
        *(f"samples/{name}.mp4" for name in ("gate", "yard", "crossing", "street", "parking", "park")),
        *(f"samples/model/demo_openvino_model/{name}" for name in ("demo.bin", "demo.xml", "metadata.yaml")),
        *("samples/ground_truth/labels.txt", "samples/ground_truth/gate/gt/gt.txt"),
        *(f"configs/{name}" for name in ("demo.yaml", "example.yaml", "minimal.yaml", "fleet.schema.json")),
        *("configs/scenarios/ci.yaml", "configs/simulate/day.yaml", "configs/grafana.json", "configs/alerts.yml"),
    ],
)
def test_wheel_shares_what_the_repository_has(wheel: Path, name: str):
    assert zipfile.ZipFile(wheel).read(f"pipeline/share/{name}") == (ROOT / name).read_bytes()


def test_wheel_is_small_enough_for_any_index(wheel: Path):
    assert wheel.stat().st_size < 10e6


def test_wheel_of_a_tree_without_git_has_the_version_that_stands_in_for_one(wheel: Path):
    assert wheel.name == f"camfleet-{FALLBACK}-py3-none-any.whl"


def test_wheel_needs_no_pytorch_unless_it_is_asked_for(wheel: Path):
    metadata = zipfile.ZipFile(wheel).read(f"camfleet-{FALLBACK}.dist-info/METADATA").decode()
    needs = Parser().parsestr(metadata).get_all("Requires-Dist")
    base = {re.match(r"[\w-]+", one)[0] for one in needs if "extra ==" not in one}
    assert {"openvino", "av", "pyzmq"} <= base
    assert base.isdisjoint({"torch", "ultralytics", "matplotlib", "opencv-python", "scipy"})


def test_sdist_builds_the_same_wheel(tree: Path, wheel: Path, tmp_path: Path):
    code = "from setuptools import build_meta; print(build_meta.build_sdist('made'))"
    run(sys.executable, "-c", code, cwd=tree)
    (archive,) = (tree / "made").glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    again = built(source, tmp_path / "out")
    assert again.name == wheel.name
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


@pytest.mark.parametrize(
    ("tags", "commits", "expected"),
    [
        pytest.param(["v1.4.2"], 0, r"1\.4\.2", id="the commit of a tag"),
        pytest.param(["v1.4.2"], 2, r"1\.4\.3\.dev2\+g[0-9a-f]+", id="later"),
        pytest.param([], 1, r"0\.1\.1\.dev2\+g[0-9a-f]+", id="no tag yet"),
    ],
)
def test_version_is_that_of_the_tag_each_time(tags: list[str], commits: int, expected: str, tmp_path: Path):
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    git = ("git", "-c", "init.defaultBranch=main")
    run(*git, "init", "--quiet", cwd=tmp_path)
    run(*git, "add", "pyproject.toml", cwd=tmp_path)
    run(*git, "commit", "--quiet", "--message", "one", cwd=tmp_path, **AUTHOR)
    for tag in tags:
        run(*git, "tag", tag, cwd=tmp_path)
    for number in range(commits):
        run(*git, "commit", "--quiet", "--allow-empty", "--message", str(number), cwd=tmp_path, **AUTHOR)
    versions = {run(sys.executable, "-m", "setuptools_scm", cwd=tmp_path).strip() for _ in range(2)}
    assert len(versions) == 1
    assert re.fullmatch(expected, versions.pop())


def test_installed_where_nothing_can_be_written_runs_the_demo(installed: Path, tmp_path: Path, short_path: Path):
    """As a user without rights: root, without its capabilities, may write no more than the folder's mode says."""
    drop = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    if drop and shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed (util-linux)")
    work = tmp_path / "work"
    work.mkdir()
    before = sorted(installed.rglob("*"))
    environment = {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(installed), "XDG_RUNTIME_DIR": str(short_path)}
    command = (*drop, sys.executable, installed / "bin/camfleet", "demo", "--duration", "3")
    # On a machine that does much else, three seconds may be too few for each camera.
    with usual_ports_taken():
        told = run(*command, cwd=work, codes=(0, 1), **environment)
    assert "fleet demo, the whole run" in told
    assert str(installed / "pipeline/share/samples/model") in told
    assert list(work.iterdir()) == []
    assert sorted(installed.rglob("*")) == before


def test_installed_knows_its_version(installed: Path, tmp_path: Path):
    code = "import pipeline; print(pipeline.__file__, pipeline.__version__)"
    told = run(sys.executable, "-c", code, cwd=tmp_path, PYTHONPATH=str(installed))
    assert told.split() == [str(installed / "pipeline/__init__.py"), FALLBACK]
    assert run(sys.executable, "-m", "pipeline", "--version", cwd=tmp_path, PYTHONPATH=str(installed)) == (
        f"camfleet {FALLBACK}\n"
    )


def test_editable_install_shows_its_types_to_mypy(tree: Path, tmp_path: Path):
    """A line in a .pth file, which type checkers read; an import hook, which they do not, hides them."""
    code = "import sys; from setuptools import build_meta; print(build_meta.build_editable(sys.argv[1]))"
    run(sys.executable, "-c", code, tmp_path / "wheels", cwd=tree)
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    (packages,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (editable,) = (tmp_path / "wheels").glob("*.whl")
    zipfile.ZipFile(editable).extractall(packages)
    (tmp_path / "theirs.py").write_text("import pipeline\nreveal_type(pipeline.__version__)\n")
    python = tmp_path / "venv/bin/python"
    told = run(sys.executable, "-m", "mypy", "--python-executable", python, "theirs.py", cwd=tmp_path)
    assert 'Revealed type is "str"' in told or 'Revealed type is "builtins.str"' in told
    assert run(python, "-c", "import pipeline; print(pipeline.__file__)", cwd=tmp_path).strip() == str(
        tree / "pipeline/__init__.py"
    )
