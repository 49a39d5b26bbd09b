"""Optuna: proposals that set several knobs at once, each learning from those before it (a tree of Parzen estimators).

The seed is fixed, so the same answers lead to the same proposals: a search that was interrupted stands where it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from typing import Any

from pipeline.tune.knobs import Knob, Machine
from pipeline.tune.setting import Scalar, Setting

SEED = 0
FIRST = 6
"""Proposals at random before the estimators are asked."""
AGAIN = 20
"""Proposals in a row that were known already, after which there are no more."""


class Proposals:
    """Settings of several knobs at once, around the best one known."""

    def __init__(
        self, best: Setting, knobs: Sequence[Knob], machine: Machine, impossible: Collection[Setting] = ()
    ) -> None:
        """Begin.

        Args:
            best: Known already; every knob may also stay as it is there.
            knobs: What to turn.
            machine: Decides which values there are.
            impossible: Settings of one knob each that the fleet cannot run with.
        """
        optuna = _optuna()
        self._best = best
        self._spaces = {knob.name: _choices(knob, machine, best, impossible) for knob in knobs}
        sampler = optuna.samplers.TPESampler(seed=SEED, n_startup_trials=FIRST, multivariate=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._failed = optuna.trial.TrialState.FAIL
        self._trial: Any = None
        self._known: dict[Setting, float | None] = {best: None}

    def propose(self) -> Setting | None:
        """A setting that was not proposed yet; None where none is left."""
        if not any(len(choices) > 1 for choices in self._spaces.values()):
            return None
        for _ in range(AGAIN):
            self._trial = self._study.ask()
            setting = self._best
            for name, choices in self._spaces.items():
                if len(choices) > 1:
                    setting = setting.but(choices[self._trial.suggest_categorical(name, list(range(len(choices))))])
            if setting not in self._known:
                return setting
            self._tell(self._known[setting])
        return None

    def learn(self, setting: Setting, score: float | None) -> None:
        """How the last proposal did."""
        self._known[setting] = score
        self._tell(score)

    def _tell(self, score: float | None) -> None:
        if score is None:
            self._study.tell(self._trial, state=self._failed)
        else:
            self._study.tell(self._trial, score)


def _choices(
    knob: Knob, machine: Machine, best: Setting, impossible: Collection[Setting]
) -> list[dict[str, Scalar | None]]:
    """What a knob may be set to; the first is as in `best`."""
    values: list[dict[str, Scalar | None]] = [{key: best.get(key) for key in knob.keys}]
    useless = [{key: setting.get(key) for key in knob.keys} for setting in impossible]
    for changes in knob.values(machine, best):
        whole = {key: changes.get(key, best.get(key)) for key in knob.keys}
        if whole not in values and whole not in useless:
            values.append(whole)
    return values


def _optuna() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    return optuna
