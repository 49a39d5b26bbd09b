"""The worked examples of the lesson that this planner is checked against, as `camfleet plan --example N` plays them."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.capacity.service import parse_service
from pipeline.capacity.task import Overheads, Task, callers, cameras
from pipeline.plan import StrideBounds


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the lesson's own answer.

    Attributes:
        title: The question.
        answer: What the lesson comes to.
        task: The same for the planner.
        command: The options that ask it.
    """

    title: str
    answer: str
    task: Task
    command: str


EXAMPLES = (
    Example(
        "one GPU, 100 requests a second, p95 of 120 ms",
        "batch 4, wait 10 ms, about 44 ms and 167 a second",
        Task(callers(100), parse_service("b1=18ms,b2=20ms,b4=24ms,b8=32ms"), 120, Overheads(3, 3, 4), instances=1),
        "--rate 100 --service b1=18ms,b2=20ms,b4=24ms,b8=32ms --pre 3 --post 3 --network 4 --p95 120 --instances 1",
    ),
    Example(
        "six cameras of 25 frames a second, p95 of 150 ms",
        "one frame waits for each camera, batch at most 8, wait 5 ms, stride 1, and 2 in spikes",
        Task(cameras(6, 25, StrideBounds(1, 2)), parse_service("b8=7ms,b16=11ms"), 150, Overheads(2), instances=1),
        "--cameras 6 --fps 25 --stride 1-2 --service b8=7ms,b16=11ms --pre 2 --p95 150 --instances 1",
    ),
    Example(
        "two cameras on a CPU in INT8, detected 10 times a second at most",
        "8 + 5 + 12 = 25 ms, and no more than 10 detections a second of each camera",
        Task(
            cameras(2, 25, StrideBounds(1, 8, max_detect_hz=10)),
            parse_service("b2=12ms"),
            150,
            Overheads(4, 4),
            instances=1,
            wait_ms=5,
        ),
        "--cameras 2 --fps 25 --max-detect-hz 10 --service b2=12ms --pre 4 --post 4 --wait 5 --p95 150 --instances 1",
    ),
    Example(
        "two instances that need 40 ms for a frame",
        "50 a second, and 10 in flight at 200 ms",
        Task((), parse_service("b1=40ms"), 200, instances=2),
        "--service b1=40ms --p95 200 --instances 2",
    ),
    Example(
        "challenge: segmentation, 120 requests a second on one GPU, p95 of 140 ms",
        "batch 8, the only one that carries 120 a second: 167, with 10 ms of waiting about 68 ms",
        Task(callers(120), parse_service("b1=25ms,b2=27ms,b4=34ms,b8=48ms"), 140, Overheads(5, 5), instances=1),
        "--rate 120 --service b1=25ms,b2=27ms,b4=34ms,b8=48ms --pre 5 --post 5 --p95 140 --instances 1",
    ),
)
