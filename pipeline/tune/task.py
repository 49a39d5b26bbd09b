"""What a search is asked to do, and with what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.tune.goal import Budget
from pipeline.tune.knobs import KNOBS, Knob, Machine
from pipeline.tune.models import Variants
from pipeline.tune.setting import Setting


class Fine(Protocol):
    """Proposes settings that differ in several keys at once."""

    def propose(self) -> Setting | None:
        """The next setting to run; None where nothing is left to propose."""
        ...

    def learn(self, setting: Setting, score: float | None) -> None:
        """How the last proposal did: the more, the better; None where the fleet cannot run so."""
        ...


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be searched.

    Attributes:
        machine: Decides which values are tried.
        budget: What the best setting may cost.
        model: The path of the file's own model; empty where it has none.
        models: Paths of other models that may take its place.
        own: Dotted keys that the file sets itself: the user's word, with which nothing is tried.
        variants: Makes and judges other forms of models; None where accuracy cannot be measured.
        blind: Why it cannot, in words; empty where nobody has said on what.
        hota_loss: Points of HOTA that detecting every n-th frame costs against every one, by n, which need not be
            whole; None where that cannot be known.
        fine: Makes what proposes settings of several knobs at once, around a setting and without those
            that are impossible; None to go without.
        knobs: What to turn.
    """

    machine: Machine
    budget: Budget
    model: str = ""
    models: tuple[str, ...] = ()
    own: frozenset[str] = field(default_factory=frozenset)
    variants: Variants | None = None
    blind: str = ""
    hota_loss: Callable[[float], float] | None = None
    fine: Callable[[Setting, Sequence[Knob], Collection[Setting]], Fine] | None = None
    knobs: tuple[Knob, ...] = KNOBS

    def free(self, keys: Sequence[str]) -> bool:
        """Whether the file leaves all these keys to the search."""
        return not any(key in self.own for key in keys)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a lever has to try, and why not more."""

    settings: tuple[Setting, ...] = ()
    notes: tuple[str, ...] = ()
