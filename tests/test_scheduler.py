from __future__ import annotations

import pytest

from pipeline.worker.scheduler import BatchPolicy, Scheduler


@pytest.mark.parametrize(
    ("oldest_s", "ready", "now_s", "due"),
    [
        pytest.param(None, 0, 5.0, False, id="nothing is ready"),
        pytest.param(5.0, 1, 5.0, False, id="one of four has just come: others may follow"),
        pytest.param(5.0, 4, 5.0, True, id="the batch is full: no waiting"),
        pytest.param(5.0, 9, 5.0, True, id="more than full"),
        pytest.param(5.0, 1, 5.01, True, id="the first has waited long enough"),
    ],
)
def test_policy_waits_for_a_fuller_batch_only_so_long(oldest_s: float | None, ready: int, now_s: float, due: bool):
    assert BatchPolicy(max_batch=4, max_wait_s=0.01).due(oldest_s, ready, now_s) is due


def test_scheduler_while_nobody_has_credit_serves_the_newest_frame():
    scheduler = Scheduler(BatchPolicy(max_batch=2, max_wait_s=0.0))
    scheduler.share(dict.fromkeys("abc", 0.4))
    for at_s, camera_id in enumerate(("a", "b", "c")):
        scheduler.offer(camera_id, at_s)
    assert scheduler.next_batch(3.0) == ["c", "b"]


def test_scheduler_serves_each_what_is_due_and_the_rest_to_whoever_is_there():
    scheduler = Scheduler(BatchPolicy(max_batch=1, max_wait_s=0.0))
    due = {"whole": 1.0, "half": 0.5, "fifth": 0.2}
    scheduler.share(due)
    served = dict.fromkeys(due, 0)
    for turn in range(1000):
        for camera_id in due:
            scheduler.offer(camera_id, turn)
        for _ in range(2 if turn % 5 else 1):
            (camera_id,) = scheduler.next_batch(turn)
            served[camera_id] += 1
        for camera_id in due:
            scheduler.withdraw(camera_id)
    assert sum(served.values()) == 1800
    assert all(served[camera_id] >= 990 * share for camera_id, share in due.items())


def test_scheduler_when_one_camera_is_three_times_as_fast_starves_nobody():
    scheduler = Scheduler(BatchPolicy(max_batch=1, max_wait_s=0.0))
    scheduler.share({"fast": 1 / 3})
    served = {"fast": 0, "slow": 0, "slower": 0}
    for turn in range(300):
        scheduler.offer("fast", turn)
        if turn % 3 == 0:
            scheduler.offer("slow", turn)
            scheduler.offer("slower", turn)
        (camera_id,) = scheduler.next_batch(turn)
        served[camera_id] += 1
    assert all(98 <= count <= 102 for count in served.values())


def test_scheduler_never_waits_for_a_camera_that_is_silent():
    scheduler = Scheduler(BatchPolicy(max_batch=3, max_wait_s=0.02))
    scheduler.offer("a", 1.0)
    assert scheduler.next_batch(1.01) == []
    assert scheduler.due_s() == pytest.approx(1.02)
    assert scheduler.next_batch(1.02) == ["a"]
    assert scheduler.due_s() is None


def test_scheduler_keeps_the_place_of_a_replaced_frame():
    scheduler = Scheduler(BatchPolicy(max_batch=2, max_wait_s=0.05))
    scheduler.offer("a", 1.0)
    scheduler.offer("a", 1.04)
    assert scheduler.next_batch(1.05) == ["a"]


def test_scheduler_forgets_a_withdrawn_frame():
    scheduler = Scheduler(BatchPolicy(max_batch=1, max_wait_s=0.0))
    scheduler.offer("a", 1.0)
    scheduler.withdraw("a")
    scheduler.withdraw("never offered")
    assert scheduler.next_batch(2.0) == []
