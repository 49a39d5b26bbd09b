"""What is asked of the shard that has a camera: routed, answered later, and not for ever; the time is told."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import pytest

from pipeline.camera.evidence.keeper import Clip
from pipeline.camera.evidence.order import ClipOrder
from pipeline.config.values import Fleet
from pipeline.errors import ControlError
from pipeline.scale.clips import Cut
from pipeline.scale.control import CLIP_COMES_S, PAUSE_S, CameraControl
from pipeline.scale.moves import HEARD_S
from tests.test_conductor import NAMES, Playing, fleet_of, playing

CUT = Cut(Clip("/there.mp4", 50, 1, 2, "rtcp", 0.5), b"a clip")


@pytest.fixture
def fleet(fleet_file: Callable[..., Path]) -> Fleet:
    return fleet_of(fleet_file, NAMES)


class Controlled:
    """A conductor on two machines, and what is asked of its cameras."""

    def __init__(self, fleet: Fleet) -> None:
        self.playing: Playing = playing(fleet, "a", "b")
        self.it = CameraControl(self.playing.it)

    @property
    def now_s(self) -> float:
        return self.playing.now_s

    def on(self, machine: str) -> str:
        """One of its cameras."""
        return sorted(self.playing.cluster.on[machine].cameras)[0]

    def play(self, seconds: float) -> None:
        self.playing.play(seconds)
        self.it.tend(self.now_s)


@pytest.fixture
def controlled(fleet: Fleet) -> Controlled:
    return Controlled(fleet)


def refusal(answer: Future) -> str:
    error = answer.exception(0)
    assert isinstance(error, ControlError)
    return str(error)


def test_camera_is_paused_by_the_shard_that_has_it(controlled: Controlled):
    camera_id = controlled.on("a")
    answer = controlled.it.pause(camera_id, controlled.now_s)
    assert not answer.done()
    controlled.play(1.0)
    assert answer.result(0) is None
    assert controlled.playing.cluster.on["a"].rests == {camera_id}
    answer = controlled.it.pause(camera_id, controlled.now_s, paused=False)
    controlled.play(1.0)
    assert answer.result(0) is None
    assert controlled.playing.cluster.on["a"].rests == frozenset()


def test_camera_whose_machine_does_not_answer_is_paused_as_soon_as_it_does_and_holds_up_no_other(
    controlled: Controlled,
):
    silent, other = controlled.on("a"), controlled.on("b")
    controlled.playing.cluster.on["a"].away = True
    answers = [controlled.it.pause(name, controlled.now_s) for name in (silent, other)]
    controlled.play(1.0)
    assert [answer.done() for answer in answers] == [False, True]
    controlled.play(PAUSE_S)
    words = refusal(answers[0])
    assert words == (
        f"camera {silent} is paused as soon as its machine answers: 10.0.0.1 (a) has not answered for 10 s"
    )
    controlled.playing.cluster.on["a"].away = False
    controlled.play(1.0)
    assert controlled.playing.cluster.on["a"].rests == {silent, other}


def test_clip_comes_from_the_shard_that_has_the_camera_and_is_written_where_it_was_ordered(
    controlled: Controlled, tmp_path: Path
):
    controlled.playing.cluster.on["b"].cut = CUT
    order = ClipOrder(tmp_path / "clip.mp4", 1, 2)
    answer = controlled.it.clip(controlled.on("b"), order, controlled.now_s)
    controlled.play(1.0)
    clip = answer.result(0)()
    assert (clip.path, clip.frames) == (str(order.path), 50)
    assert order.path.read_bytes() == b"a clip"


def test_clip_of_a_camera_that_moves_comes_from_the_shard_that_has_had_it(controlled: Controlled, tmp_path: Path):
    camera_id = controlled.on("a")
    old, new = (controlled.playing.cluster.on[name] for name in "ab")
    new.blind = True
    controlled.playing.it.drain("a")
    controlled.play(1.0)
    old.cut = CUT
    answer = controlled.it.clip(camera_id, ClipOrder(tmp_path / "clip.mp4", 1, 2), controlled.now_s)
    controlled.play(0.5)
    assert answer.result(0)().frames == 50
    new.blind = False
    controlled.play(HEARD_S + 3.0)
    assert controlled.playing.it.has(camera_id).name == new.name


def test_clip_that_its_machine_refuses_says_why(controlled: Controlled, tmp_path: Path):
    controlled.playing.cluster.on["a"].refuses["clip"] = "nothing of that time is kept"
    answer = controlled.it.clip(controlled.on("a"), ClipOrder(tmp_path / "clip.mp4", 1, 2), controlled.now_s)
    controlled.play(1.0)
    assert str(answer.exception(0)) == "nothing of that time is kept"


def test_clip_of_a_machine_that_does_not_answer_is_given_up(controlled: Controlled, tmp_path: Path):
    controlled.playing.cluster.on["a"].slow.add("clip")
    camera_id, order = controlled.on("a"), ClipOrder(tmp_path / "clip.mp4", 1, 2)
    answer = controlled.it.clip(camera_id, order, controlled.now_s)
    controlled.play(order.wait_s + CLIP_COMES_S - 1.0)
    assert not answer.done()
    controlled.play(2.0)
    assert refusal(answer) == f"the clip of camera {camera_id} did not come: 10.0.0.1 (a) has not answered for 45 s"


def test_camera_that_no_machine_has_gives_no_clip_and_is_paused_all_the_same(controlled: Controlled, tmp_path: Path):
    for machine in "ab":
        controlled.playing.cluster.lose(machine)
    controlled.play(1.0)
    with pytest.raises(ControlError, match=r"camera cam0 is on no machine now, .* there is no machine for it"):
        controlled.it.clip("cam0", ClipOrder(tmp_path / "clip.mp4", 1, 2), controlled.now_s)
    answer = controlled.it.pause("cam0", controlled.now_s)
    controlled.play(0.5)
    assert answer.result(0) is None


@pytest.mark.parametrize("asked", ["pause", "clip"])
def test_camera_that_the_fleet_does_not_have_is_told(controlled: Controlled, tmp_path: Path, asked: str):
    with pytest.raises(ControlError, match="the fleet has no camera “cam9”"):
        if asked == "pause":
            controlled.it.pause("cam9", controlled.now_s)
        else:
            controlled.it.clip("cam9", ClipOrder(tmp_path / "clip.mp4", 1, 2), controlled.now_s)


def test_who_waits_for_an_answer_when_the_fleet_ends_is_told(controlled: Controlled):
    answer = controlled.it.pause(controlled.on("a"), controlled.now_s)
    controlled.it.close()
    assert refusal(answer) == "the fleet has ended"
