"""The levers that change the model: another one, a smaller input, fewer bits; each judged before it is run."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.errors import PipelineError
from pipeline.tune.lab import Lab
from pipeline.tune.models import Variant, Variants, smaller_inputs
from pipeline.tune.setting import Scalar, Setting
from pipeline.tune.task import Offer, Task

BLIND = "nothing says what it costs in accuracy: name labelled pictures with --data, or a better model with --reference"
INPUT = "model.input_wh"

_Form = tuple[str, Scalar | None]


@dataclass(frozen=True, slots=True)
class TooDear:
    """A form of a model that costs more than the budget."""

    variant: Variant
    setting: Setting
    loss: float


class Forms:
    """Knows the forms that were judged.

    Attributes:
        too_dear: What is over the budget.
    """

    def __init__(self, task: Task, lab: Lab) -> None:
        self._task, self._lab = task, lab
        self._variants: dict[_Form, Variant] = {_form(Setting()): Variant(task.model)}
        self._losses: dict[_Form, float] = {_form(Setting()): 0.0}
        self._blind = task.blind or BLIND
        self.too_dear: list[TooDear] = []

    def models(self, best: Setting) -> Offer:
        """The other models that were named."""
        others = [Variant(path) for path in self._task.models if path != self._task.model]
        if not others:
            return Offer()
        return (
            Offer(notes=(self._blind,))
            if self._task.variants is None
            else self._judged(others, best, self._task.variants)
        )

    def inputs(self, best: Setting) -> Offer:
        """The same model at smaller inputs."""
        now, judge = self._variants[_form(best)], self._task.variants
        if not now.source or judge is None:
            return Offer(notes=(self._blind,) if now.source else ())
        if not self._task.free((INPUT,)):
            return Offer(notes=(f"{INPUT} is set in the fleet file; take it out to have it tuned",))
        try:
            own = judge.input_wh(now.source)
        except PipelineError as error:
            return Offer(notes=(str(error),))
        return self._judged([Variant(now.source, wh, now.precision) for wh in smaller_inputs(own)], best, judge)

    def precisions(self, best: Setting) -> Offer:
        """The same model in 8 bits."""
        now, judge = self._variants[_form(best)], self._task.variants
        if not now.source or judge is None:
            return Offer(notes=(self._blind,) if now.source else ())
        if self._task.machine.backend != "openvino":
            return Offer(notes=("8 bits are for OpenVINO",))
        if now.precision == "int8" or judge.is_int8(now.source):
            return Offer(notes=("the model computes in 8 bits already",))
        return self._judged([Variant(now.source, now.input_wh, "int8")], best, judge)

    def loss(self, setting: Setting) -> float:
        """Points of mAP that a setting's model loses against the file's own."""
        return self._losses[_form(setting)]

    def _judged(self, variants: list[Variant], best: Setting, judge: Variants) -> Offer:
        settings, notes = [], []
        for variant in variants:
            self._lab.watch.step(f"what {variant.words} costs in accuracy")
            loss = self._lab.known(f"loss of {variant.words}", lambda asked=variant: judge.loss(asked))  # type: ignore[misc]
            if loss is None:
                notes.append(f"{variant.words} cannot be made or judged: {self._lab.unknown}")
                continue
            setting = self._setting(best, variant, judge)
            self._variants[_form(setting)], self._losses[_form(setting)] = variant, loss
            if loss <= self._task.budget.map_loss:
                settings.append(setting)
            else:
                self.too_dear.append(TooDear(variant, setting, loss))
                notes.append(f"{variant.words} loses {loss:.1f} points, more than {self._task.budget.map_loss:g}")
        return Offer(tuple(settings), tuple(notes))

    def _setting(self, best: Setting, variant: Variant, judge: Variants) -> Setting:
        path = judge.make(variant)
        keys = {} if INPUT in self._task.own else {INPUT: variant.input_wh}
        return best.but(keys, model="" if path == self._task.model else path)


def _form(setting: Setting) -> _Form:
    """What decides on a setting's accuracy."""
    return setting.model, setting.get(INPUT)
