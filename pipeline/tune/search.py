"""The search: one lever after the other in order of leverage, then what is left together, then the proof.

It stops when nothing is left to gain (every frame is detected, or as many as were asked for), when no lever and none
of the last proposals brought anything, or when the time is over. The last minutes always belong to the proof, in which
the file's own setting and the best one run in turns.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.tune.beyond import look_beyond
from pipeline.tune.contest import LEAST_RUNS, Contest, compare, verdict
from pipeline.tune.figures import Figures, median
from pipeline.tune.forms import Forms
from pipeline.tune.journal import OUT_OF_TIME, SETTLED
from pipeline.tune.knobs import Knob, stride_is_in_the_way
from pipeline.tune.lab import Lab
from pipeline.tune.noise import Noise
from pipeline.tune.outcome import Outcome, Step, Tried
from pipeline.tune.setting import Setting
from pipeline.tune.task import Offer, Task

NOISY = 0.06
"""Equal runs that differ by more are made longer."""
FINALISTS = 2
"""Proposals that meet the best setting in turns."""
PATIENCE = 8
"""Proposals in a row that bring nothing, after which there are no more."""

Lever = tuple[str, Callable[[Setting], Offer]]


def search(task: Task, lab: Lab) -> Outcome:
    """The best setting within the time of `lab`, and everything that shows it; blocks."""
    return _Search(task, lab).run()


class _Search:
    def __init__(self, task: Task, lab: Lab) -> None:
        self._task, self._lab = task, lab
        self._forms = Forms(task, lab)
        self._best = Setting()
        self._known: Figures | None = None
        self._noise = Noise()
        self._outcome = Outcome(lab.goal, task.budget)

    def run(self) -> Outcome:
        """As `search`."""
        if not self._know_noise():
            return self._done()
        for name, offer in self._levers():
            if self._enough():
                break
            self._pull(name, offer)
        if not self._enough():
            self._propose()
        self._prove()
        if not self._outcome.reached:
            look_beyond(self._outcome, self._lab, self._forms.too_dear)
        return self._done()

    def _levers(self) -> list[Lever]:
        """In order of leverage; each tells what it offers when it is its turn."""
        forms = self._forms
        models: list[Lever] = [("model", forms.models), ("input", forms.inputs), ("precision", forms.precisions)]
        return [*models, *((knob.name, self._turns(knob)) for knob in self._task.knobs)]

    def _turns(self, knob: Knob) -> Callable[[Setting], Offer]:
        def offer(best: Setting) -> Offer:
            options = knob.options(self._task.machine, best)
            if knob.costs and options:
                return self._strides(knob, options)
            free = [one for one in options if self._task.free(_changed(best, one))]
            mine = ", ".join(key for key in knob.keys if key in self._task.own)
            left = f"{mine}: set in the fleet file, which is your word; take it out to have it tuned"
            return Offer(tuple(free), (left,) if len(free) < len(options) else ())

        return offer

    def _strides(self, knob: Knob, options: list[Setting]) -> Offer:
        """Only where the promise or the largest stride asks for it, and within the budget."""
        known, task = self._known, self._task
        if known is None or not stride_is_in_the_way(known, task.machine, self._lab.goal):
            return Offer(notes=("not touched: the goal is kept, and detecting less often is all that this brings",))
        if not task.free(knob.keys):
            return Offer(notes=("set in the fleet file, which is your word; take it out to have it tuned",))
        if task.hota_loss is None:
            return Offer(notes=("nothing says what it costs: only recordings that come to their end can be judged",))
        return Offer(tuple(options))

    def _know_noise(self) -> bool:
        """How far equal runs differ, and how long they have to be; False where the fleet cannot run as it is."""
        lab, outcome = self._lab, self._outcome
        while True:
            lab.watch.step(f"how far equal runs differ, {lab.seconds:g} s each")
            runs = [figures for _ in range(LEAST_RUNS) if (figures := lab.measure(self._best)) is not None]
            if not runs:
                outcome.steps.append(Step("as the file says", self._best, (self._tried(self._best, None),)))
                return False
            self._noise = Noise()
            self._noise.learn(runs)
            self._known = outcome.before = outcome.after = median(runs)
            quiet = self._noise.spread <= NOISY or outcome.before.detected_hz <= 0
            if quiet or not lab.affords(8 * LEAST_RUNS, self._reserve_s) or not lab.longer():
                return True

    @property
    def _reserve_s(self) -> float:
        """For the proof, s."""
        return 2 * LEAST_RUNS * self._lab.run_s

    def _enough(self) -> bool:
        """Whether nothing is left to gain, or no time to gain it in."""
        known, goal = self._known, self._lab.goal
        if known is not None and known.reaches(goal) and (known.all_detected or goal.detect_hz):
            return True
        if self._lab.affords(LEAST_RUNS, self._reserve_s):
            return False
        self._outcome.out_of_time = True
        return True

    def _pull(self, name: str, offer: Callable[[Setting], Offer]) -> None:
        lab, offered = self._lab, offer(self._best)
        if self._task.variants is not None and name in ("model", "input", "precision") and offered.settings:
            self._outcome.basis = self._task.variants.basis
        if not offered.settings:
            if offered.notes:
                self._outcome.steps.append(Step(name, self._best, note="; ".join(offered.notes)))
            return
        lab.watch.step(name)
        contest = compare(lab, self._best, offered.settings, self._noise, self._reserve_s)
        self._take(name, contest, offered.notes)

    def _take(self, name: str, contest: Contest, notes: tuple[str, ...] = ()) -> None:
        """Go on from the winner, unless its strides cost more than the budget."""
        winner, figures = contest.winner, contest.tried.get(contest.winner)
        if figures is not None and self._hota_loss(winner, figures) > self._task.budget.hota_loss:
            notes = (*notes, f"{winner.words} would cost {self._hota_loss(winner, figures):.1f} points of HOTA")
            winner = self._best
        tried = [self._tried(setting, made) for setting, made in contest.tried.items()]
        tried += [self._tried(setting, None) for setting in contest.failed]
        if not contest.whole:
            notes = (*notes, "not all of it: the time was over")
            self._outcome.out_of_time = True
        self._best, self._known = winner, contest.tried.get(winner, self._known)
        self._outcome.steps.append(Step(name, winner, tuple(tried), "; ".join(notes)))

    def _propose(self) -> None:
        """What several knobs do together, by proposals that learn from each other."""
        task, lab = self._task, self._lab
        knobs = [knob for knob in task.knobs if not knob.costs and task.free(knob.keys)]
        if task.fine is None or not knobs:
            return
        lab.watch.step("several at once")
        fine, runs, since = task.fine(self._best, knobs, lab.failed), dict[Setting, Figures](), 0
        least = self._known.detected_hz if self._known is not None else 0.0
        while since < PATIENCE and lab.affords(1 + LEAST_RUNS * (1 + FINALISTS), self._reserve_s):
            setting = fine.propose()
            if setting is None:
                break
            figures = runs.get(setting) or lab.measure(setting)
            kept, score = figures.rank(lab.goal) if figures is not None else (False, 0.0)
            fine.learn(setting, None if figures is None else score if kept else score / 1e3)
            since += 1
            if figures is not None:
                since = 0 if kept and score > max([least, *(run.detected_hz for run in runs.values())]) else since
                runs[setting] = figures
        finalists = sorted(runs, key=lambda one: runs[one].rank(lab.goal), reverse=True)[:FINALISTS]
        if finalists:
            self._take("several at once", compare(lab, self._best, finalists, self._noise, self._reserve_s))

    def _prove(self) -> None:
        """The file's own setting and the best one in turns; what does not beat the file's own now is not the best."""
        lab, outcome, best = self._lab, self._outcome, self._best
        if best == Setting():
            return
        lab.watch.step("the file's own setting and the best one, in turns")
        proof = verdict(lab, Setting(), best, self._noise)
        tried = [self._tried(setting, figures) for setting, figures in proof.tried.items()]
        outcome.before = proof.tried.get(Setting(), outcome.before)
        outcome.after = proof.tried.get(proof.winner, outcome.before)
        outcome.best = self._best = proof.winner
        lost = f"{best.words} did not beat the file's own setting" if proof.winner != best else ""
        outcome.steps.append(Step("proof", proof.winner, tuple(tried), lost))

    def _done(self) -> Outcome:
        outcome, lab = self._outcome, self._lab
        outcome.runs, outcome.spent_s, outcome.seconds = lab.runs, lab.spent_s, lab.seconds
        outcome.noise = self._noise.spread
        outcome.map_loss = self._forms.loss(outcome.best)
        if outcome.after is not None:
            outcome.hota_loss = self._hota_loss(outcome.best, outcome.after)
        lab.end(OUT_OF_TIME if outcome.out_of_time else SETTLED)
        return outcome

    def _tried(self, setting: Setting, figures: Figures | None) -> Tried:
        hota = 0.0 if figures is None else self._hota_loss(setting, figures)
        return Tried(setting, figures, self._forms.loss(setting), hota, self._lab.failed.get(setting, ""))

    def _hota_loss(self, setting: Setting, figures: Figures) -> float:
        """Points that detecting more seldom than with the file's own strides costs; 0 where they are the file's own."""
        before, loss = self._outcome.before, self._task.hota_loss
        touched = any(setting.get(key) is not None for knob in self._task.knobs if knob.costs for key in knob.keys)
        if loss is None or before is None or not touched:
            return 0.0
        return max(0.0, loss(_mean_stride(figures)) - loss(_mean_stride(before)))


def _changed(best: Setting, one: Setting) -> tuple[str, ...]:
    return tuple({key for key, _ in set(best.keys) ^ set(one.keys)})


def _mean_stride(figures: Figures) -> float:
    """Every how many frames one is detected."""
    return figures.published_hz / figures.detected_hz if figures.detected_hz > 0 else figures.published_hz
