from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable

import pytest

from pipeline.clock import Clock, SystemClock, VirtualClock
from pipeline.supervise.budget import RestartBudget
from pipeline.supervise.child import Child, ProcessHost, exit_words
from pipeline.supervise.members import Member, Members

DEADLINE_S = 30.0
CONTEXT = multiprocessing.get_context("forkserver")


def test_budget_waits_longer_after_each_short_life_and_then_gives_up():
    budget = RestartBudget(most=4, well_s=10, first_delay_s=1, longest_delay_s=5)
    assert [budget.next_delay_s(lived_s) for lived_s in (0, 1, 3, 9.9, 2)] == [1, 2, 4, 5, None]


def test_budget_of_a_process_that_ran_well_is_full_again():
    budget = RestartBudget(most=2, well_s=10, first_delay_s=1)
    assert [budget.next_delay_s(lived_s) for lived_s in (0, 1, 10, 1, 1, 99)] == [1, 2, 1, 2, None, 1]


@pytest.mark.parametrize(
    ("code", "words"),
    [(None, "ended"), (0, "ended with exit code 0"), (2, "ended with exit code 2"), (-9, "was ended by SIGKILL")],
)
def test_exit_words_tell_code_or_signal(code: int | None, words: str):
    assert exit_words(code) == words


def beating(beat) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    while not stop.wait(0.02):
        beat.value = SystemClock().monotonic_ns()


def silent(beat) -> None:
    threading.Event().wait()


def child(target: Callable[..., None], silent_s: float = 60.0, clock: Clock | None = None) -> Child:
    return Child("test", target, tuple, silent_s, ProcessHost(CONTEXT, clock or SystemClock()))


def test_child_is_given_up_only_once_it_is(monkeypatch: pytest.MonkeyPatch):
    """Whoever asks while it is being started hears no such thing."""
    one, heard = child(beating), []

    def fail(process: object) -> None:
        heard.append(one.condition)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("pipeline.supervise.child._start", fail)
    one.budget = RestartBudget(most=2)
    for _ in range(3):
        one.start()
    assert heard == ["waiting"] * 3
    assert one.condition == "given up"


def test_child_that_is_asked_to_end_ends():
    one = child(beating)
    one.start()
    assert (one.condition, one.reap()) == ("running", None)
    one.terminate()
    assert one.join(DEADLINE_S)


def test_child_that_is_killed_is_planned_and_started_again(within: Callable):
    clock = VirtualClock()
    one = child(beating, clock=clock)
    one.start()
    assert one.pid is not None
    os.kill(one.pid, signal.SIGKILL)
    assert one.join(DEADLINE_S)
    assert one.reap() == -signal.SIGKILL
    delay_s = one.plan_restart()
    assert delay_s is not None
    assert one.condition == "waiting"
    assert not one.restart_if_due()
    clock.advance(delay_s)
    assert one.restart_if_due()
    assert (one.condition, one.restarts) == ("running", 1)
    one.kill()
    assert one.join(DEADLINE_S)


def test_child_whose_heart_stops_is_seen_to_hang(within: Callable):
    one = child(silent, silent_s=0.3)
    one.start()
    for _ in within(DEADLINE_S):
        if one.hung:
            break
        threading.Event().wait(0.02)
    one.kill()
    assert one.join(DEADLINE_S)
    assert one.reap() == -signal.SIGKILL
    assert not one.hung


def test_silence_while_the_supervisor_did_not_run_is_forgiven():
    clock = VirtualClock()
    members, one = Members(clock), child(silent, silent_s=10.0, clock=clock)
    members.add(Member("camera", one))
    one.start()
    clock.advance(100.0)
    members.tend(lambda: None)
    assert not one.join(0.2)
    for _ in range(20):
        clock.advance(0.5)
        members.tend(lambda: None)
    assert not one.join(0.2)
    clock.advance(0.5)
    members.tend(lambda: None)
    assert one.join(DEADLINE_S)
    members.tend(lambda: None)  # one that ends at once has been reaped before already
    assert one.last_exit == -signal.SIGKILL


def test_virtual_clock_stands_still_until_it_is_moved():
    clock = VirtualClock(wall_offset_s=10)
    clock.advance(1.5)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (1_500_000_000, 11_500_000_000)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(-1)
