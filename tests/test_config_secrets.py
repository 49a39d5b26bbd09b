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
