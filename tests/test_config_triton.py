"""What a fleet file may say of Triton servers, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.config import load_fleet
from pipeline.config.triton import is_here, target
from pipeline.config.values import Model
from tests.fleet_files import GATE, told_of


def model(url: object = "grpc://10.0.0.9:8001", **settings: Any) -> Model:
    return Model(backend="triton", path="tiny", url=url, **settings)


@pytest.mark.parametrize(
    ("written", "urls"),
    [
        ("grpc://10.0.0.9:8001", ("grpc://10.0.0.9:8001",)),
        (["grpcs://a", "grpcs://b:9001/"], ("grpcs://a", "grpcs://b:9001")),
        ("grpc://[::1]:8001", ("grpc://[::1]:8001",)),
    ],
    ids=["one", "several", "IPv6"],
)
def test_triton_url_is_one_server_or_several(written: object, urls: tuple[str, ...]):
    assert model(written).url == urls
    assert Model.model_validate_json(model(written).model_dump_json()) == model(written)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": "http://10.0.0.9:8000"}, "expected grpc://HOST:PORT"),
        ({"url": "grpc://10.0.0.9:0"}, "expected grpc://HOST:PORT"),
        ({"url": "grpc://10.0.0.9:70000"}, "expected grpc://HOST:PORT"),
        ({"url": "grpc://10.0.0.9:8001/v2"}, "expected grpc://HOST:PORT"),
        ({"url": ()}, "“url” is missing"),
        ({"url": ["grpc://a", "grpc://a"]}, "names a server twice"),
        ({"url": ["grpc://a", "grpcs://b"]}, "mixes grpc:// and grpcs://"),
        ({"device": "cuda:0"}, "the server decides on which device"),
        ({"devices": ("cuda:0", "cuda:1")}, "the server decides on which device"),
        ({"triton": {"cert_file": "a.pem"}}, "belong together"),
        ({"triton": {"deadline_ms": 5000}}, "less than or equal to 4000"),
        ({"triton": {"version": "new"}}, "String should match"),
        ({"path": ""}, "“path” is missing"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_triton_mistake_is_told(settings: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        Model(**{"backend": "triton", "path": "tiny", "url": "grpc://10.0.0.9:8001", **settings})


def test_triton_password_in_an_address_is_not_repeated():
    with pytest.raises(ValidationError) as caught:
        model("grpc://bob:hunter2@10.0.0.9:8001")
    assert "hunter2" not in str(caught.value)


def test_triton_url_of_another_backend_is_a_mistake():
    with pytest.raises(ValidationError, match="is for backend: triton only"):
        Model(path="a.pt", url="grpc://10.0.0.9:8001")


@pytest.mark.parametrize(
    ("url", "at"),
    [("grpc://a", "a:8001"), ("grpcs://a.b:9001", "a.b:9001"), ("grpc://[::1]", "[::1]:8001")],
)
def test_triton_target_is_what_grpc_takes(url: str, at: str):
    assert target(url) == at


@pytest.mark.parametrize(
    ("url", "here"),
    [("grpc://localhost", True), ("grpc://127.0.0.9:1", True), ("grpc://[::1]:1", True), ("grpc://10.0.0.9", False)],
)
def test_triton_server_at_loopback_is_here(url: str, here: bool):
    assert is_here(url) is here


def test_triton_fleet_names_a_model_of_the_server_and_files_beside_itself(tmp_path: Path):
    (tmp_path / "ca.pem").touch()
    file = tmp_path / "fleet.yaml"
    section = "model: {backend: triton, path: a/b, url: grpcs://10.0.0.9, triton: {ca_file: ca.pem}}"
    file.write_text(f"{section}\n{GATE}")
    read = load_fleet(file).model
    assert (read.path, read.triton.ca_file) == ("a/b", str(tmp_path / "ca.pem"))


def test_triton_file_that_is_nowhere_is_told_with_its_line(tmp_path: Path):
    told = told_of(
        f"model:\n  backend: triton\n  path: a\n  url: grpcs://a\n  triton:\n    ca_file: ca.pem\n{GATE}", tmp_path
    )
    assert any(line.startswith("fleet.yaml:6:") and "there is no file “ca.pem”" in line for line in told)
