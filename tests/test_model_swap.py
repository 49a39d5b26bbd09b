"""Another model beside the one at work: what workers are told, and what one of them does with it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from pipeline.config.values import Model
from pipeline.errors import DetectorError
from pipeline.link import DropModel, FromSupervisor, LoadModel, ModelLoaded, UseModel
from pipeline.supervise.swap import ModelSwap
from pipeline.worker.swap import Swap
from tests.waiting import DEADLINE_S, wait_until

BEFORE, NEW = (Model(backend="stub", devices=("cpu:0", "cpu:1"), options={"boxes": n}) for n in (1, 2))
LOADED, SERVES = ModelLoaded(1), ModelLoaded(1, serves=True)


class Swapping:
    """A change over two workers, and what each was told."""

    def __init__(self) -> None:
        self.told: dict[int, list[FromSupervisor]] = {0: [], 1: []}
        self.lives = {0: 0, 1: 0}
        self.it = ModelSwap(1, BEFORE, NEW, lambda worker, message: self.told[worker].append(message))
        self.it.begin(self.lives)

    def hear(self, **said: ModelLoaded) -> bool:
        """By `a` and `b`, the two workers."""
        return self.it.hear({"ab".index(name): [word] for name, word in said.items()}, self.lives)

    def last(self, kind: type) -> list[bool]:
        return [isinstance(messages[-1], kind) for messages in self.told.values()]


def test_swap_lets_the_model_take_over_when_every_worker_holds_it():
    it = Swapping()
    assert it.last(LoadModel) == [True, True]
    assert not it.hear(a=LOADED)
    assert it.hear(b=LOADED)
    it.it.commit()
    assert it.last(UseModel) == [True, True]
    assert not it.hear(a=SERVES)
    assert it.hear(b=SERVES)


def test_swap_of_which_a_worker_cannot_load_the_model_has_the_others_let_go_of_it():
    it = Swapping()
    assert not it.hear(a=LOADED)
    with pytest.raises(DetectorError, match="the model stays as it was: no memory"):
        it.hear(b=ModelLoaded(1, "no memory"))
    assert it.last(DropModel) == [True, True]


def test_swap_asks_a_worker_again_that_was_started_again_with_the_model_before():
    it = Swapping()
    assert it.hear(a=LOADED, b=LOADED)
    it.lives[0] = 1
    assert not it.hear()
    assert it.told[0][-1] == it.told[0][0]
    assert it.hear(a=LOADED)


def test_swap_has_a_worker_that_died_while_it_took_over_use_the_model_at_once():
    it = Swapping()
    assert it.hear(a=LOADED, b=LOADED)
    it.it.commit()
    it.lives[0] = 1
    assert not it.hear(b=SERVES)
    asked = it.told[0][-1]
    assert isinstance(asked, LoadModel)
    assert not asked.holds
    assert it.hear(a=SERVES)


def test_swap_that_fails_after_it_began_to_take_over_returns_to_the_model_before():
    it = Swapping()
    assert it.hear(a=LOADED, b=LOADED)
    it.it.commit()
    it.lives[0] = 1
    assert not it.hear(b=SERVES)
    with pytest.raises(DetectorError):
        it.hear(a=ModelLoaded(1, "no memory"))
    back = it.told[1][-1]
    assert isinstance(back, LoadModel)
    assert '"boxes":1' in back.model
    assert (back.number, back.holds) == (2, False)


def test_swap_goes_on_without_a_worker_that_was_given_up():
    it = Swapping()
    assert not it.hear(a=LOADED)
    del it.lives[1]
    assert it.hear()


class Loaded:
    """A detector that only knows whether it is closed."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


class Loads:
    """Loads what it is asked for when it is let."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.made: list[Loaded] = []

    def __call__(self, model: str) -> Loaded:
        assert self.go.wait(DEADLINE_S)
        if model == "broken":
            raise DetectorError("it is broken")
        self.made.append(Loaded())
        return self.made[-1]


def word_of(swap: Swap, within: Callable) -> ModelLoaded:
    found: list[ModelLoaded] = []

    def said() -> bool:
        word = swap.word()
        found.extend([] if word is None else [word])
        return bool(found)

    wait_until(within, said)
    return found[0]


def test_worker_holds_a_model_until_it_is_told_to_use_it(within: Callable):
    loads = Loads()
    swap = Swap(loads)
    swap.begin("supervisor", LoadModel(7, "new"))
    assert swap.word() is None
    loads.go.set()
    assert word_of(swap, within) == ModelLoaded(7)
    assert swap.word() is None
    assert swap.detector is None
    swap.use(6)
    assert swap.detector is None
    swap.use(7)
    assert swap.detector is loads.made[0]
    assert swap.took_over() == ModelLoaded(7, serves=True)
    assert swap.detector is None
    assert not loads.made[0].closed.is_set()


def test_worker_that_does_not_hold_a_model_has_it_take_over_when_it_is_loaded(within: Callable):
    loads = Loads()
    loads.go.set()
    swap = Swap(loads)
    swap.begin("supervisor", LoadModel(7, "new", holds=False))
    wait_until(within, lambda: swap.detector is not None)
    assert swap.word() is None


@pytest.mark.parametrize("holds", [True, False])
def test_worker_that_cannot_load_a_model_says_why(holds: bool, within: Callable):
    loads = Loads()
    loads.go.set()
    swap = Swap(loads)
    swap.begin("supervisor", LoadModel(7, "broken", holds=holds))
    assert word_of(swap, within) == ModelLoaded(7, "it is broken")
    assert swap.detector is None


@pytest.mark.parametrize("loaded", [True, False], ids=["when it is loaded", "while it is loaded"])
def test_worker_told_to_let_go_of_a_model_closes_it_and_says_nothing(loaded: bool, within: Callable):
    loads = Loads()
    swap = Swap(loads)
    swap.begin("supervisor", LoadModel(7, "new"))
    if loaded:
        loads.go.set()
        word_of(swap, within)
    swap.drop(7)
    loads.go.set()
    wait_until(within, lambda: loads.made and loads.made[0].closed.is_set())
    assert swap.word() is None
    assert swap.detector is None


def test_worker_told_of_another_model_meanwhile_closes_the_one_it_holds(within: Callable):
    loads = Loads()
    loads.go.set()
    swap = Swap(loads)
    swap.begin("supervisor", LoadModel(7, "new"))
    word_of(swap, within)
    swap.begin("supervisor", LoadModel(9, "newer"))
    assert word_of(swap, within) == ModelLoaded(9)
    assert loads.made[0].closed.is_set()
    swap.close()
    assert loads.made[1].closed.is_set()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_worker_whose_loading_has_a_fault_does_not_say_that_the_model_is_there(
    within: Callable, monkeypatch: pytest.MonkeyPatch
):
    def faulty(model: str) -> Loaded:
        raise KeyError(model)

    monkeypatch.setattr(threading, "excepthook", lambda caught: None)
    swap = Swap(faulty)
    swap.begin("supervisor", LoadModel(7, "new"))
    assert "fault of camfleet's" in word_of(swap, within).error
