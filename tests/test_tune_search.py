"""The search on a machine whose best setting is known."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from pipeline.tune.contest import LEAST_RUNS, compare
from pipeline.tune.fine import Proposals
from pipeline.tune.goal import Budget, Goal
from pipeline.tune.journal import Journal
from pipeline.tune.knobs import Knob, Machine
from pipeline.tune.lab import Lab
from pipeline.tune.models import Pretended, smaller_inputs
from pipeline.tune.noise import Noise
from pipeline.tune.outcome import conclusions
from pipeline.tune.setting import Setting
from pipeline.tune.task import Task
from tests.tune_runs import CPU, Clock, Pretence, at, searched


def lanes_of(setting: Setting) -> int:
    return int(str(setting.get("model.lanes") or 2))


def three_lanes(setting: Setting) -> float:
    """60 a second with the default, 75 with three lanes, less with any other; nothing else matters."""
    return {2: 60.0, 3: 75.0}.get(lanes_of(setting), 50.0)


def proposals(best: Setting, knobs: Sequence[Knob], impossible: Collection[Setting]) -> Proposals:
    return Proposals(best, knobs, CPU, impossible)


def model_of(setting: Setting) -> str:
    return setting.model or "own"


def spread(share: float) -> Noise:
    """Known from ten runs."""
    return Noise(squares=9 * share**2, freedom=9)


def lab(pretence: Pretence, folder: Path, time_s: float = 900.0) -> Lab:
    return Lab(pretence, Journal(folder / "journal", {}, time_s), Goal(150), time_s, seconds=5.0, clock=pretence.clock)


def test_compare_the_better_one_wins_after_enough_runs(tmp_path: Path):
    pretence = Pretence(three_lanes, noise=0.03)
    contest = compare(lab(pretence, tmp_path), Setting(), [at(lanes=1), at(lanes=3), at(lanes=4)], noise=spread(0.03))
    assert contest.winner == at(lanes=3)
    assert contest.tried[contest.winner].runs >= LEAST_RUNS <= contest.tried[Setting()].runs
    assert contest.tried[at(lanes=1)].runs < LEAST_RUNS, "who is far behind is not run again"


def test_compare_one_lucky_run_is_not_believed(tmp_path: Path):
    clock, luck = Clock(), iter([90.0])
    pretence = Pretence(lambda setting: next(luck, 60.0) if setting == at(lanes=3) else 60.0, clock=clock)
    assert compare(lab(pretence, tmp_path), Setting(), [at(lanes=3)], noise=spread(0.02)).winner == Setting()


def test_compare_who_does_not_keep_the_goal_loses_to_who_does(tmp_path: Path):
    pretence = Pretence(three_lanes, age=lambda setting: 180.0 if lanes_of(setting) == 3 else 140.0)
    assert compare(lab(pretence, tmp_path), Setting(), [at(lanes=3)], noise=Noise()).winner == Setting()
    late = Pretence(three_lanes, age=lambda setting: 180.0 if lanes_of(setting) == 2 else 140.0)
    assert compare(lab(late, tmp_path / "late"), Setting(), [at(lanes=1)], noise=Noise()).winner == at(lanes=1)


def test_compare_setting_that_cannot_run_is_told_and_left_out(tmp_path: Path):
    pretence = Pretence(lambda setting: -1.0 if setting.get("worker.max_batch") else 60.0)
    contest = compare(lab(pretence, tmp_path), Setting(), [at(batch=4)], noise=Noise())
    assert contest.winner == Setting()
    assert contest.failed == {at(batch=4): "the model takes one picture at once"}


@pytest.mark.parametrize("seed", range(8))
def test_search_finds_the_lever_and_proves_it_in_turns(tmp_path: Path, seed: int):
    pretence = Pretence(three_lanes, noise=0.02, seed=seed)
    outcome = searched(pretence, tmp_path)
    assert outcome.best == at(lanes=3)
    assert outcome.reached and outcome.gain == pytest.approx(0.25, abs=0.05)
    assert outcome.before is not None and outcome.before.runs >= LEAST_RUNS
    assert set(pretence.made[-2:]) == {Setting(), at(lanes=3)}, "the proof is in turns"
    assert "The goal is met within the budget" in conclusions(outcome)[0]


@pytest.mark.parametrize("seed", range(8))
def test_search_where_nothing_helps_says_the_files_own_is_best(tmp_path: Path, seed: int):
    outcome = searched(Pretence(lambda setting: 60.0, noise=0.03, seed=seed), tmp_path)
    assert outcome.best == Setting() and outcome.gain == 0
    assert "The file's own setting is best here: nothing else beat it." in conclusions(outcome)


def test_search_every_frame_detected_stops_at_once(tmp_path: Path):
    pretence = Pretence(lambda setting: 1000.0)
    outcome = searched(pretence, tmp_path)
    assert len(pretence.made) == LEAST_RUNS
    assert any("nothing is left to gain" in words for words in conclusions(outcome))


def test_search_goal_of_enough_detections_stops_when_they_are_there(tmp_path: Path):
    pretence = Pretence(three_lanes)
    outcome = searched(pretence, tmp_path, goal=Goal(150, detect_hz=70))
    assert outcome.reached and outcome.best == at(lanes=3)
    assert {step.name for step in outcome.steps} <= {"input", "precision", "batch", "lanes", "proof"}


def test_search_within_its_time_keeps_enough_for_the_proof(tmp_path: Path):
    pretence = Pretence(three_lanes, noise=0.02)
    outcome = searched(pretence, tmp_path, time_s=300)
    assert outcome.out_of_time and outcome.spent_s <= 300
    assert outcome.best == at(lanes=3) and outcome.after is not None and outcome.after.runs >= LEAST_RUNS
    assert any("more --time goes on from here" in words for words in conclusions(outcome))


def test_search_without_time_for_a_comparison_knows_nothing(tmp_path: Path):
    outcome = searched(Pretence(three_lanes), tmp_path, time_s=40)
    assert not outcome.tells and outcome.out_of_time
    assert "Nothing else was run, so nothing is known of other settings, and no profile is written." in conclusions(
        outcome
    )


def test_search_keys_of_the_file_are_not_touched(tmp_path: Path):
    pretence = Pretence(three_lanes)
    task = Task(CPU, Budget(1, 1), own=frozenset({"model.lanes", "model"}))
    outcome = searched(pretence, tmp_path, task=task)
    assert outcome.best == Setting()
    assert all(setting.get("model.lanes") is None for setting in pretence.made)
    note = next(step.note for step in outcome.steps if step.name == "lanes")
    assert "model.lanes" in note and "your word" in note


def test_search_fleet_that_cannot_run_says_why(tmp_path: Path):
    outcome = searched(Pretence(lambda setting: -1.0), tmp_path)
    assert outcome.after is None and not outcome.reached
    assert outcome.steps[0].tried[0].why == "the model takes one picture at once"


def test_search_two_levers_that_help_only_together_are_found_by_proposals(tmp_path: Path):
    def rate(setting: Setting) -> float:
        pair = (setting.get("model.openvino.streams"), setting.get("model.threads"))
        return 80.0 if pair == (1, 4) else 60.0 if pair == (None, None) else 55.0

    outcome = searched(Pretence(rate), tmp_path, task=Task(CPU, Budget(1, 1), fine=proposals), time_s=7200)
    assert (outcome.best.get("model.openvino.streams"), outcome.best.get("model.threads")) == (1, 4)


def test_search_what_the_fleet_cannot_run_with_is_not_proposed_again(tmp_path: Path):
    pretence = Pretence(lambda setting: -1.0 if setting.get("worker.max_batch") in (2, 4) else 60.0)
    searched(pretence, tmp_path, task=Task(CPU, Budget(1, 1), fine=proposals), time_s=7200)
    batches = [setting.get("worker.max_batch") for setting in pretence.made]
    assert (batches.count(2), batches.count(4)) == (1, 1)
    assert any(len(setting.as_dict()) > 1 for setting in pretence.made)


# Models, and what they cost


def with_models(losses: dict[str, float], *models: str, int8: bool = True) -> Task:
    return Task(
        CPU,
        Budget(map_loss=1.0, hota_loss=1.0),
        model="own",
        models=models,
        variants=Pretended(losses=losses, int8=int8),
        knobs=(),
    )


def test_search_model_within_the_budget_is_taken_with_its_loss(tmp_path: Path):
    pretence = Pretence(lambda setting: {"own": 40.0, "small": 80.0}[model_of(setting)])
    outcome = searched(pretence, tmp_path, task=with_models({"small": 0.7}, "small"))
    assert (outcome.best.model, outcome.map_loss, outcome.basis) == ("small", 0.7, "pretended pictures")


def test_search_model_over_the_budget_is_not_run_while_the_goal_is_met(tmp_path: Path):
    pretence = Pretence(lambda setting: {"own": 40.0, "small": 80.0}[model_of(setting)])
    outcome = searched(pretence, tmp_path, task=with_models({"small": 2.5}, "small"))
    assert outcome.best == Setting() and all(not setting.model for setting in pretence.made)
    note = next(step.note for step in outcome.steps if step.name == "model")
    assert "small loses 2.5 points" in note


def test_search_smaller_inputs_and_bits_add_up(tmp_path: Path):
    def rate(setting: Setting) -> float:
        smaller = setting.get("model.input_wh") == (480, 288)
        return 40.0 * (1.5 if smaller else 1.0) * (1.5 if setting.model == "own-int8" else 1.0)

    losses = {"own 480×288": 0.4, "own 416×256": 3.0, "own 320×192": 9.0, "own 480×288 int8": 0.9}
    outcome = searched(Pretence(rate), tmp_path, task=with_models(losses, int8=False))
    assert outcome.best == Setting((("model.input_wh", (480, 288)),), "own-int8")
    assert outcome.map_loss == 0.9


def test_search_nothing_meets_both_tells_which_budget_would_and_that_data_is_the_lever(tmp_path: Path):
    pretence = Pretence(
        lambda setting: {"own": 20.0, "small": 80.0}[model_of(setting)],
        age=lambda setting: 120.0 if setting.model else 400.0,
    )
    outcome = searched(pretence, tmp_path, task=with_models({"small": 2.34}, "small"))
    words = " ".join(conclusions(outcome))
    assert not outcome.reached and outcome.best == Setting()
    assert "map_loss<=2.4 would do: small keeps the goal" in words
    assert "The data is the lever here: small is fast enough and 1.3 points short" in words
    assert "A better data set" in words and "beats the next smaller model" in words


def test_search_promise_that_cannot_be_kept_tells_which_could(tmp_path: Path):
    outcome = searched(Pretence(lambda setting: 20.0, age=lambda setting: 290.0), tmp_path)
    assert outcome.relaxed_ms == 300
    assert "p95<=300ms would do within the same budget." in conclusions(outcome)


def test_search_stride_is_touched_only_where_the_goal_asks_for_it_and_the_budget_allows(tmp_path: Path):
    def age(setting: Setting) -> float:
        return 120.0 if setting.get("defaults.stride.max") else 400.0

    kept = searched(Pretence(lambda setting: 60.0), tmp_path / "kept", task=Task(CPU, Budget(1, 1)))
    assert all(setting.get("defaults.stride.max") is None for step in kept.steps for setting in [step.winner])
    cheap = Task(CPU, Budget(1, 1), hota_loss=lambda stride: 0.1 * stride)
    assert searched(Pretence(lambda setting: 60.0, age=age), tmp_path / "cheap", task=cheap).reached
    dear = Task(CPU, Budget(1, 1), hota_loss=lambda stride: 100 * stride)
    slower = Pretence(lambda setting: 30.0 if setting.get("defaults.stride.max") else 60.0, age=age)
    outcome = searched(slower, tmp_path / "dear", task=dear)
    assert not outcome.reached and "points of HOTA" in next(s.note for s in outcome.steps if s.name == "stride bounds")


def test_smaller_inputs_keep_the_shape_and_the_grid():
    assert smaller_inputs((640, 384)) == [(480, 288), (416, 256), (320, 192)]
    assert smaller_inputs((32, 32)) == []


def test_knobs_single_camera_on_a_gpu_offers_no_batches(tmp_path: Path):
    alone = Machine(backend="ultralytics", device="cuda:0", cores=16, cameras=1)
    outcome = searched(Pretence(lambda setting: 60.0), tmp_path, task=Task(alone, Budget(1, 1)))
    assert {step.name for step in outcome.steps} == {"lanes", "graphs", "stride bounds"}


# Interrupted


def test_search_interrupted_goes_on_where_it_was(tmp_path: Path):
    whole = Pretence(three_lanes, noise=0.02)
    expected = searched(whole, tmp_path / "whole")

    class Interrupted(Pretence):
        def run(self, *arguments):  # type: ignore[no-untyped-def]
            if len(self.made) == 20:
                raise KeyboardInterrupt
            return super().run(*arguments)

    first = Interrupted(three_lanes, noise=0.02)
    with pytest.raises(KeyboardInterrupt):
        searched(first, tmp_path)
    second = Pretence(three_lanes, noise=0.02)
    for _ in range(20):
        second._random.uniform(-1, 1)
    outcome = searched(second, tmp_path)
    assert first.made + second.made == whole.made, "nothing is measured twice, and nothing else is"
    assert outcome.best == expected.best and outcome.runs == expected.runs
    assert outcome.spent_s == pytest.approx(expected.spent_s, abs=1.0)


def test_search_ended_by_its_time_goes_on_with_more(tmp_path: Path):
    first = searched(Pretence(three_lanes), tmp_path, time_s=200)
    again = Pretence(three_lanes)
    more = searched(again, tmp_path, time_s=900)
    assert first.out_of_time and not more.out_of_time
    assert len(again.made) < more.runs
