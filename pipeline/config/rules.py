"""Rules of a camera in the fleet file: zones and lines, and what in them is an event."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import time
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from pipeline.config.base import Name, Number, Value, mask_value, mistake
from pipeline.config.condition import OF_LINES, OF_ZONES, Condition, When
from pipeline.extras import is_there, lack

Anchor = Literal["bottom", "center", "top", "left", "right"]
Point = tuple[Number, Number]

_HOURS = re.compile(r"(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})")


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of the day, by the clock on the wall; the end before the beginning is the next morning's."""

    begin: time
    end: time

    def has(self, moment: time) -> bool:
        """Whether it is then."""
        if self.begin <= self.end:
            return self.begin <= moment < self.end
        return moment >= self.begin or moment < self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


def _hours(value: object) -> Hours:
    if isinstance(value, Hours):
        return value
    match = _HOURS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match:
        numbers = [int(part) for part in match.groups()]
        if max(numbers[0], numbers[2]) < 24 and max(numbers[1], numbers[3]) < 60:
            return Hours(time(numbers[0], numbers[1]), time(numbers[2], numbers[3]))
    found = f"found “{mask_value(value)}”" if isinstance(value, str) else "that is no span of the day"
    raise mistake(f'{found}, expected hours and minutes in quotes, such as "22:00-06:00"')


SpanOfDay = Annotated[
    Hours, PlainValidator(_hours), PlainSerializer(str, return_type=str), WithJsonSchema({"type": "string"})
]


def _listed(value: object) -> object:
    """`when: enter` stands for `when: [enter]`."""
    return [value] if isinstance(value, str) else value


Several = BeforeValidator(_listed)


class Rule(Value):
    """What zones and lines have in common."""

    on: Anchor = Field(
        default="bottom",
        description="Which point of a box is looked at, the middle of its lower edge by default: where people and "
        "vehicles stand. `center` for what hangs or flies, or where feet are hidden.",
    )
    classes: Annotated[tuple[str, ...], Several] = Field(
        default=(), description="Names of the classes that count, as the model has them; all of them without."
    )
    attributes: dict[Name, Annotated[tuple[str, ...], Several, Field(min_length=1)]] = Field(
        default_factory=dict,
        description="What second looks must have found of an object for it to count, such as {colour: [red, orange]}: "
        "one of the labels, of each name in `cascade`. What it did before that is known waits for it, five seconds.",
    )
    min_score: Number = Field(
        default=0.0, ge=0, le=1, description="Objects whose detection was less certain do not count."
    )
    between: SpanOfDay | None = Field(
        default=None, description='When of the day events are told, such as "22:00-06:00"; always without.'
    )
    timezone: str | None = Field(
        default=None, description="Of `between`, such as Europe/Berlin; that of the machine without."
    )
    rests_on: Literal["detected", "any"] = Field(
        default="detected",
        description="`detected`: an event is told when the detector has seen it. `any`: at once, also by a predicted "
        "box; the next detection confirms it, corrects its time, or takes it back, and says so (`revised`).",
    )

    evidence: bool = Field(
        default=True,
        description="Whether its events are kept as clip and picture, where the fleet file has `evidence`. `false` for "
        "rules that only count.",
    )

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str | None) -> str | None:
        try:
            _ = ZoneInfo(name) if name is not None else None
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise mistake(f"“{mask_value(str(name))}” is no timezone, expected such as Europe/Berlin") from None
        return name

    @model_validator(mode="after")
    def _of_hours(self) -> Self:
        if self.timezone is not None and self.between is None:
            raise mistake("is that of `between`, which is not given; give both, or leave it out", at=("timezone",))
        return self


class Zone(Rule):
    """An area of a camera's picture."""

    polygon: tuple[Point, ...] = Field(
        default=((0, 0), (1, 0), (1, 1), (0, 1)),
        description="Its corners in turn, as shares of width and height, 0 to 1, or in pixels of the camera's picture "
        "if one is above 1. The whole picture without.",
    )
    when: Annotated[tuple[When, ...], Several] = Field(
        default=(Condition("enter", text="enter"),),
        description="What is an event: enter, leave, appeared, gone, dwell > 30s, stopped > 60s, count > 5 for 10s, "
        "nothing for 5m.",
    )

    @field_validator("polygon", mode="after")
    @classmethod
    def _simple(cls, corners: tuple[Point, ...]) -> tuple[Point, ...]:
        return simple_polygon(corners)

    @field_validator("when", mode="after")
    @classmethod
    def _of_zones(cls, when: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return _fitting(when, ("cross", "in", "out"), "zone", OF_ZONES)


class Line(Rule):
    """A line in a camera's picture that objects cross."""

    points: tuple[Point, Point] = Field(
        description="Its two ends, as shares or in pixels like a zone's corners. Who crosses it from the left to the "
        "right, as seen from the first towards the second, goes `in`."
    )
    when: Annotated[tuple[When, ...], Several] = Field(
        default=(Condition("cross", text="cross"),),
        description="What is an event: cross in either direction, in, or out.",
    )

    @field_validator("points", mode="after")
    @classmethod
    def _apart(cls, points: tuple[Point, Point]) -> tuple[Point, Point]:
        _in_picture(points)
        if points[0] == points[1]:
            raise mistake("has both ends at the same point")
        return points

    @field_validator("when", mode="after")
    @classmethod
    def _of_lines(cls, when: tuple[Condition, ...]) -> tuple[Condition, ...]:
        return _fitting(
            when, ("enter", "leave", "appeared", "gone", "dwell", "stopped", "count", "nothing"), "line", OF_LINES
        )


class Rules(Value):
    """All rules of a camera, by name."""

    zones: dict[Name, Zone] = Field(default_factory=dict, description="Areas of the picture, by name.")
    lines: dict[Name, Line] = Field(default_factory=dict, description="Lines that objects cross, by name.")

    @model_validator(mode="after")
    def _installed(self) -> Self:
        for section in ("zones", "lines"):
            if getattr(self, section) and (words := lack("rules", f"“{section}”")):
                raise mistake(words, at=(section,))
        return self

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if both := sorted(set(self.zones) & set(self.lines)):
            words = f"a zone and a line are both called “{both[0]}”; events tell them apart by name"
            raise mistake(words, at=("lines", both[0]))
        return self

    def each(self) -> Iterator[tuple[tuple[str, str], Rule]]:
        """Every zone and line, behind where it stands: section and name."""
        yield from ((("zones", name), zone) for name, zone in self.zones.items())
        yield from ((("lines", name), line) for name, line in self.lines.items())

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return bool(self.zones or self.lines)


def are_shares(points: Sequence[Point]) -> bool:
    """Whether these are shares of width and height, and not pixels."""
    return all(0 <= x <= 1 and 0 <= y <= 1 for x, y in points)


def simple_polygon(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """The corners of a polygon that has an area and can be in a picture; else a mistake that says what is wrong."""
    _in_picture(corners)
    if len(corners) < 3:
        raise mistake(f"has {len(corners)} corners, expected 3 or more")
    if why := why_no_area(corners):
        raise mistake(why)
    return corners


def why_no_area(corners: Sequence[Any]) -> str:
    """What is wrong with a polygon of three corners or more; empty where nothing is, or the library is not there."""
    if not is_there("shapely"):
        return ""  # which is told once, of all rules
    import shapely

    polygon = shapely.Polygon(corners)
    if not polygon.is_valid:
        said = shapely.is_valid_reason(polygon)
        return f"crosses itself ({said.lower()}); name its corners in turn, along the edge"
    return "" if polygon.area > 0 else "has no area; its corners are on one line"


def _in_picture(points: Sequence[Point]) -> None:
    for x, y in points:
        if x < 0 or y < 0:
            raise mistake(f"[{x:g}, {y:g}] is outside the picture, whose upper left corner is [0, 0]")
    if not are_shares(points) and all(value == int(value) for point in points for value in point):
        return
    if not are_shares(points) and all(x <= 2 and y <= 2 for x, y in points):
        beyond = next(point for point in points if max(point) > 1)
        raise mistake(f"[{beyond[0]:g}, {beyond[1]:g}] is outside the picture; shares are between 0 and 1")


def _fitting(
    when: tuple[Condition, ...], foreign: tuple[str, ...], what: str, allowed: tuple[str, ...]
) -> tuple[Condition, ...]:
    if not when:
        raise mistake(f"is empty; expected some of {', '.join(allowed)}")
    for condition in when:
        if condition.happening in foreign:
            raise mistake(f"“{condition}” is nothing that happens to a {what}; expected {', '.join(allowed)}")
    return when
