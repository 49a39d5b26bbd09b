"""What can be turned on a running fleet without touching its model, in order of leverage, and which values are tried.

None of these costs accuracy, but for the stride: fewer detections are what it is for. So it comes last, and only where
the promise is not kept otherwise or the file's largest stride is in the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline.tune.figures import Figures
from pipeline.tune.goal import Goal
from pipeline.tune.setting import Scalar, Setting

BATCH, WAIT, LANES = "worker.max_batch", "worker.max_wait_ms", "model.lanes"
STREAMS, THREADS, HINT = "model.openvino.streams", "model.threads", "model.openvino.hint"
PINNING, NICE = "model.openvino.pinning", "worker.nice"
INSTANCES, GRAPHS = "model.cuda.instances", "model.cuda.graphs"
STRIDE_MIN, STRIDE_MAX = "defaults.stride.min", "defaults.stride.max"

DEFAULT_WAIT_MS = 5.0
LANES_MOST = 64
STRIDE_MOST = 100


@dataclass(frozen=True, slots=True)
class Machine:
    """What decides which values are worth a run.

    Attributes:
        backend: What detects: `openvino`, `ultralytics`, `stub` or a plug-in.
        device: Where, in the backend's words.
        cores: That the fleet may use.
        cameras: How many.
        stride: The smallest and the largest of the fleet file.
    """

    backend: str
    device: str
    cores: float
    cameras: int
    stride: tuple[int, int] = (1, 8)

    @property
    def on_cpu(self) -> bool:
        """Whether the detector's threads compute on this machine's processor."""
        return self.backend == "openvino" and self.device.lower() in ("auto", "cpu")

    @property
    def whole_cores(self) -> int:
        """Cores, at least one."""
        return max(1, round(self.cores))


@dataclass(frozen=True, slots=True)
class Knob:
    """Something to turn.

    Attributes:
        name: For people.
        keys: The fleet file's keys that it sets; where the file sets one itself, that is the user's word.
        values: What to try, as changes to a setting.
        costs: Whether it costs accuracy, because frames are detected less often.
    """

    name: str
    keys: tuple[str, ...]
    values: Callable[[Machine, Setting], Sequence[dict[str, Scalar | None]]]
    costs: bool = False

    def options(self, machine: Machine, best: Setting) -> list[Setting]:
        """Settings that differ from `best` in this alone."""
        found = [best.but(changes) for changes in self.values(machine, best)]
        return [setting for setting in dict.fromkeys(found) if setting != best]


def _batches(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    if machine.cameras < 2:
        return []
    sizes = (4, 8, 16, 32) if machine.backend == "ultralytics" else (1, 2, 4)
    return [{BATCH: size} for size in sizes if size <= 2 * machine.cameras]


def _waits(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    batched = best.get(BATCH)
    if batched == 1 or (batched is None and machine.backend == "openvino") or machine.cameras < 2:
        return []  # A batch of one does not wait.
    return [{WAIT: wait} for wait in (0.0, 2.0, 10.0, 20.0)]


def _lanes(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    if machine.backend == "ultralytics":
        return [{INSTANCES: count} for count in (1, 2, 3)]
    cores = machine.whole_cores if machine.on_cpu else 2
    counts = sorted({1, 2, cores, cores + 1, 2 * cores})
    return [{LANES: count} for count in counts if count <= LANES_MOST]


def _streams(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    if machine.backend != "openvino":
        return []
    cores = machine.whole_cores
    return [{STREAMS: count} for count in sorted({1, max(1, cores // 2), cores})]


def _threads(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    if not machine.on_cpu:
        return []
    cores = machine.whole_cores
    return [{THREADS: count} for count in sorted({max(1, cores - 1), cores, 2 * cores})]


def _hints(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    return [{HINT: hint} for hint in ("latency", "none")] if machine.backend == "openvino" else []


def _pinning(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    return [{PINNING: True}] if machine.on_cpu else []


def _graphs(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    return [{GRAPHS: True}] if machine.backend == "ultralytics" else []


def _nice(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    return [{NICE: nice} for nice in (0, 10)] if machine.on_cpu else []


def _strides(machine: Machine, best: Setting) -> list[dict[str, Scalar | None]]:
    least, most = machine.stride
    wider = min(STRIDE_MOST, 2 * most)
    found: list[dict[str, Scalar | None]] = [{STRIDE_MIN: least, STRIDE_MAX: wider}]
    found += [{STRIDE_MIN: n, STRIDE_MAX: max(n, wider)} for n in (least + 1, 2 * least + 1)]
    return found


KNOBS = (
    Knob("batch", (BATCH,), _batches),
    Knob("waiting time", (WAIT,), _waits),
    Knob("lanes", (LANES, INSTANCES), _lanes),
    Knob("streams", (STREAMS,), _streams),
    Knob("threads", (THREADS,), _threads),
    Knob("hint", (HINT,), _hints),
    Knob("pinning", (PINNING,), _pinning),
    Knob("graphs", (GRAPHS,), _graphs),
    Knob("priority", (NICE,), _nice),
    Knob("stride bounds", (STRIDE_MIN, STRIDE_MAX), _strides, costs=True),
)
"""In order of leverage."""


def stride_is_in_the_way(figures: Figures, machine: Machine, goal: Goal) -> bool:
    """Whether other bounds of the stride may help: the promise is not kept, or the largest stride is nearly reached."""
    if not figures.keeps(goal):
        return True
    smallest_hz = figures.wanted_hz * machine.stride[0] / machine.stride[1]
    return machine.stride[1] > machine.stride[0] and figures.detected_hz <= 1.1 * smallest_hz
