"""The lesson's four worked examples and its challenge, with their sums: what `camfleet plan --example N` shows."""

from __future__ import annotations

from functools import cache

import pytest

from pipeline.capacity.answer import answer
from pipeline.capacity.examples import EXAMPLES
from pipeline.capacity.figures import Plan


@cache
def planned(number: int) -> Plan:
    example = EXAMPLES[number - 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.capacity.rehearse.MANY", 1200)
        return answer(example.title, example.task)


def told(number: int) -> dict[str, str]:
    return {step.name: step.words for step in planned(number).steps}


def test_example_1_batch_4_waits_10_ms_and_carries_167_a_second_in_44_ms():
    made = planned(1).sizing
    carried_hz = {batch: 1000 * batch / ms for batch, ms in ((1, 18), (2, 20), (4, 24), (8, 32))}
    assert [round(hz) for hz in carried_hz.values()] == [56, 100, 167, 250]
    assert 100 / carried_hz[2] > 0.75 >= 100 / carried_hz[4], "2 is busy all the time, 4 for 60 % of it"
    assert (made.batch, made.instances, made.wait_ms) == (4, 1, 1000 / 100)
    assert made.typical_ms == 3 + 3 + 4 + 10 + 24 == 44
    assert made.worst_ms == 44 + 24 <= 120
    assert made.capacity_hz == pytest.approx(4 / 0.024, rel=1e-4)
    assert made.utilisation == pytest.approx(0.6)
    assert made.in_flight == pytest.approx(100 * 0.044)
    assert made.most_in_flight == 20 == int(166.7 * 0.12)
    assert made.fits
    assert "4 ÷ 24 ms = 167/s" in told(1)["one instance"]
    assert "before 3 + network 4 + wait 10 + batch 24 + after 3 = 44 ms" in told(1)["age"]


def test_example_2_one_frame_waits_batch_8_stride_1_and_2_in_spikes():
    made = planned(2).sizing
    assert made.slot == 1
    assert made.batch == 8, "six cameras with a frame each; 16 would never fill"
    assert "6 at most are ready at once" in told(2)["queue"]
    assert made.wait_ms == 5, "a frame comes every 6.7 ms"
    assert made.typical_ms == 2 + 5 + 7 == 14
    assert made.worst_ms == 14 + 7 < 150
    assert (made.stride, made.most_stride) == (1, 2)
    assert made.offered_hz == 6 * 25
    assert made.bears_at_most_stride == pytest.approx(2 * made.bears, rel=0.01)
    assert planned(2).rehearsal.age.p95_ms < 150
    assert "strides give way up to 2: 75/s" in told(2)["spikes"]


def test_example_3_25_ms_and_max_detect_hz_caps_at_10_a_second():
    made = planned(3).sizing
    assert made.typical_ms == 4 + 4 + 5 + 12 == 25
    assert made.stride == 3, "25 ÷ 2 = 12.5 would be above 10; 25 ÷ 3 = 8.33 is not"
    assert made.offered_hz == pytest.approx(2 * 25 / 3, abs=0.01)
    assert "max_detect_hz is 10" in told(3)["load"]
    found = planned(3).rehearsal
    assert found.stride == 3
    assert found.detected_hz <= 2 * 10
    assert found.detected_hz == pytest.approx(2 * 25 / 3, rel=0.05)


def test_example_4_two_instances_carry_50_a_second_with_10_in_flight_at_200_ms():
    made = planned(4).sizing
    assert made.capacity_hz == 2 * 1 / 0.040 == 50
    assert made.most_in_flight == 50 * 0.200 == 10
    assert made.offered_hz == 0.75 * 50
    assert "50/s × 0.2 s = 10" in told(4)["in flight"]


def test_challenge_only_batch_8_carries_120_a_second():
    made = planned(5).sizing
    carried_hz = {batch: 1000 * batch / ms for batch, ms in ((1, 25), (2, 27), (4, 34), (8, 48))}
    assert [hz >= 120 for hz in carried_hz.values()] == [False, False, False, True], "4 carries 118"
    assert (made.batch, made.instances) == (8, 1)
    assert made.capacity_hz == pytest.approx(8 / 0.048, rel=1e-4)
    assert made.utilisation == pytest.approx(120 / (8 / 0.048), abs=1e-4)
    assert made.utilisation < 0.75
    assert made.wait_ms == 10, "a request comes every 8.3 ms"
    assert made.typical_ms == 10 + 10 + 48 == 68
    assert made.worst_ms == 68 + 48 == 116
    assert made.fits


@pytest.mark.parametrize("number", range(1, len(EXAMPLES) + 1))
def test_example_keeps_its_promise_in_the_workers_own_core(number: int):
    made = planned(number)
    assert made.rehearsal.age.p50_ms <= made.rehearsal.age.p95_ms <= made.p95_ms
    assert made.rehearsal.kept
