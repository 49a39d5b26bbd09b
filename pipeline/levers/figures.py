"""What was measured of models and levers; also the JSON that is printed. Accuracy in percent, differences in points."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["base", "model", "input", "f32", "f16", "int8", "batch", "skipping", "combination"]
"""The lever that a row pulls; `base` is the model as it is, against which all others are held."""


class ClassAccuracy(msgspec.Struct, frozen=True, kw_only=True):
    """Average precision of one class, percent, and how many of its objects are asked for."""

    ap50: float
    ap50_95: float
    objects: int


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """COCO's mean average precision, percent: at IoU 0.5, and over 0.5 to 0.95.

    Attributes:
        map50: Mean of the classes.
        map50_95: Mean of the classes.
        classes: By name; those with objects that are asked for.
        pictures: On how many.
        objects: How many are asked for.
    """

    map50: float
    map50_95: float
    classes: dict[str, ClassAccuracy]
    pictures: int
    objects: int


class Speed(msgspec.Struct, frozen=True, kw_only=True):
    """The detector alone on this machine, every lane busy (`pipeline.bench.bare`).

    Attributes:
        images_hz: Images a second.
        cpu_ms_per_image: CPU time of all threads for one image.
        memory_mb: What its process takes, libraries included (PSS).
        lanes: Inferences in flight at once.
        batch: Images in each.
        other_cores: What other programs took meanwhile; it is missing in `images_hz`.
        by_cpu_time: Whether it is compared by CPU time, because other programs took much and a processor computes.
    """

    images_hz: float
    cpu_ms_per_image: float
    memory_mb: float
    lanes: int
    batch: int
    other_cores: float
    by_cpu_time: bool = False

    def times_as_fast(self, other: Speed) -> float:
        """How many times as fast this is as `other`."""
        if (self.by_cpu_time or other.by_cpu_time) and self.cpu_ms_per_image > 0:
            return other.cpu_ms_per_image / self.cpu_ms_per_image
        return self.images_hz / other.images_hz


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """One form of a model.

    Attributes:
        name: Which.
        path: Where it is; what `model.path` takes.
        input_wh: Its input, px.
        precision: Of its weights.
        size_mb: On disk.
        speed: None where it was not measured.
        accuracy: None where there are no labelled pictures.
        why_not: Why it could not be made; empty if it was.
    """

    name: str
    path: str
    input_wh: tuple[int, int]
    precision: str
    size_mb: float = 0.0
    speed: Speed | None = None
    accuracy: Accuracy | None = None
    why_not: str = ""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """What figures were measured on: the processor, the cores that may be used, the pictures."""

    machine: str
    cores: float
    pictures: str
    by_model: bool = False


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of `camfleet export --json`.

    Attributes:
        where: On what it was measured.
        before: The model as it came.
        after: What was made of it.
        notes: What a reader has to know, a sentence each.
    """

    where: Where
    before: Form
    after: list[Form]
    notes: list[str]


class Skipping(msgspec.Struct, frozen=True, kw_only=True):
    """The tracker between detections, against every frame detected.

    Attributes:
        stride: Every how many frames the detector is asked.
        hota: Of all boxes, percent.
        hota_cost: Points of HOTA.
    """

    stride: int
    hota: float
    hota_cost: float


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A lever, or several at once, and what it brings and costs.

    Attributes:
        kind: Which lever.
        name: In words.
        form: The model that it is; of `batch` and `skipping`, the base.
        speed_up: Frames a second for one of the base; None where it could not be measured.
        cost: Points of mAP50-95 lost, negative where it gained; None where it could not be measured.
        leverage: Doublings of speed for a point lost; see `board.leverage`. None as above.
        on_front: Whether nothing else measured is both faster and at least as accurate.
        expected: What the lesson says of this lever; empty where it says nothing.
        holds: Whether that holds here, in words; empty as above.
        skipping: Of `skipping` alone.
    """

    kind: Kind
    name: str
    form: Form
    speed_up: float | None
    cost: float | None
    leverage: float | None
    on_front: bool = False
    expected: str = ""
    holds: str = ""
    skipping: Skipping | None = None


class Leaderboard(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON of `camfleet levers --json`: the base, then in order of leverage, last what could not be pulled."""

    model: str
    where: Where
    rows: list[Row]
    notes: list[str]
