from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import load_fleet
from pipeline.errors import ConfigError
from tests.fleet_files import STUB, told_of


@pytest.mark.parametrize(
    "url",
    [
        "rtps://bob:hunter2@cam/1",
        "rtsp://bob:hunter2@cam:port/1",
        "rtsp://bob:a hunter2@cam/1",
        "rtsp://bob:a'hunter2@cam/1",
        "rtsp://bob:a/hunter2@cam/1",
        "rtsp://cam/1?password=a hunter2",
        "rtsp://bob:hunter2@",
    ],
)
@pytest.mark.parametrize(
    "place",
    [
        'cameras: {{gate: {{url: "{url}"}}}}',
        'cameras: {{gate: "{url}"}}',
        'cameras: {{"{url}": {{stride: 2}}}}',
        'publish: {{bind: "{url}"}}\ncameras: {{gate: {{url: rtsp://cam/1, stride: x}}}}',
        'name: "{url}"\ncameras: {{gate: {{url: rtsp://cam/1}}}}',
        '"{url}": 1\ncameras: {{gate: {{url: rtsp://cam/1}}}}',
    ],
    ids=["as the address", "as the camera", "as the name", "as the endpoint", "as the fleet's name", "as a key"],
)
def test_load_fleet_mistake_with_a_password_does_not_repeat_it(tmp_path: Path, url: str, place: str) -> None:
    told = "\n".join(told_of(f"{STUB}\n{place.format(url=url)}", tmp_path))
    assert "hunter2" not in told
    assert "bob" not in told


def test_load_fleet_mistake_has_no_cause_that_repeats_a_password(tmp_path: Path) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f'{STUB}\ncameras: {{gate: {{url: "rtsp://bob:${{PW}}@cam:port/1"}}}}')
    with pytest.raises(ConfigError) as caught:
        load_fleet(file, {"PW": "hunter2"})
    assert caught.value.__cause__ is None
    assert "hunter2" not in f"{caught.value}{caught.value.__context__}"


@pytest.mark.parametrize(
    ("address", "value", "expected"),
    [
        pytest.param("rtsp://bob:${PW}@cam/1", "Secret@Gate#1", "rtsp://bob:Secret%40Gate%231@cam/1", id="raw"),
        pytest.param("rtsp://bob:${PW}@cam/1", "a/b?c:d 50%off", "rtsp://bob:a%2Fb%3Fc%3Ad%2050%25off@cam/1", id="all"),
        pytest.param("rtsp://bob:${PW}@cam/1", 'it\'s "1"', "rtsp://bob:it%27s%20%221%22@cam/1", id="quotes"),
        pytest.param("rtsp://bob:${PW}@cam/1", "it's", "rtsp://bob:it%27s@cam/1", id="apostrophe"),
        pytest.param("rtsp://bob:${PW}@cam/1", "P%40ss", "rtsp://bob:P%40ss@cam/1", id="encoded-already"),
        pytest.param("rtsp://${PW}@cam/1", "bob:Gate#1", "rtsp://bob:Gate%231@cam/1", id="user-and-password"),
        pytest.param("rtsp://${PW}:x@cam/1", "b:ob", "rtsp://b%3Aob:x@cam/1", id="user-alone"),
        pytest.param("rtsp://cam/${PW}", "1?a=b#c", "rtsp://cam/1?a=b#c", id="in-the-path-as-it-is"),
        pytest.param("${PW}", "rtsp://bob:pw@cam/1", "rtsp://bob:pw@cam/1", id="the-whole-address"),
        pytest.param("rtsp://${PW}/1", "cam:8554", "rtsp://cam:8554/1", id="the-host"),
    ],
)
def test_load_fleet_a_variable_in_user_or_password_is_encoded(
    tmp_path: Path, address: str, value: str, expected: str
) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(f'{STUB}\ncameras: {{gate: {{url: "{address}"}}}}')
    assert load_fleet(file, {"PW": value}).cameras["gate"].url.reveal() == expected
