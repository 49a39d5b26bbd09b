"""A camera that refuses user or password: not tried so often that it locks the account, and said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.camera.backoff import LOGIN_TRIES
from pipeline.runscope import RunLease
from tests.camera_media import camera
from tests.coded_pictures import coded
from tests.rtsp_camera import Habits, RtspCamera
from tests.test_camera_process import QUICK, Running, Worker

SECRET = "hunter2"


@pytest.fixture
def worker(short_path: Path) -> Iterator[Worker]:
    with RunLease(short_path) as lease:
        worker = Worker(lease.scope)
        yield worker
        worker.close()


def test_wrong_password_is_tried_three_times_and_then_every_few_minutes(worker: Worker) -> None:
    habits = Habits(challenges=('Basic realm="cam"',), password="another")
    with RtspCamera(coded("h264"), habits) as server, Running(worker, camera(server.url, reconnect=QUICK)):
        worker.listen(lambda w: any("minutes only" in state.detail for state in w.states))
        told = worker.states[-1]
        tried = [request for request in server.requests if "Authorization: " in request]
        # At the pauses of the fleet file it would have been tried again by then: two more words, a second apart.
        heard = len(worker.states)
        worker.listen(lambda w: len(w.states) > heard + 1)
        assert [request for request in server.requests if "Authorization: " in request] == tried
    assert len(tried) == LOGIN_TRIES
    assert told.state == "retrying"
    assert told.retry_at_ns - told.at_ns > 200e9
    assert "it wants another user or password (401)" in told.detail
    assert SECRET not in told.detail


@pytest.mark.long
def test_camera_that_comes_and_goes_is_tried_at_the_pace_of_the_fleet_file(worker: Worker) -> None:
    pictures = coded("h264")
    with RtspCamera(pictures, Habits(hangs_up=True)) as server, Running(worker, camera(server.url, reconnect=QUICK)):
        worker.listen(lambda w: len([state for state in w.words() if state == "retrying"]) > LOGIN_TRIES)
    assert not [state.detail for state in worker.states if "minutes only" in state.detail]
