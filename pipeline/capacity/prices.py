"""A price table of the user's: kinds of machines, what each costs where, and what it can do.

currency: EUR
machines:
small-gpu:
hour: {frankfurt: 0.66, virginia: 0.53}   # or one number, where it is the same everywhere
spot: {frankfurt: 0.21}                   # for work that may be interrupted; where there is such a price
service: {b1: 18, b2: 20, b4: 24, b8: 32} # ms, measured there (camfleet plan --service measured FLEET.yaml)
instances: 1                              # detectors that it runs at once
large-gpu:
hour: 2.10
service: {b1: 7, b8: 13}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from pipeline.capacity.service import ServiceTimes, parse_ms
from pipeline.config.base import Name, Number, Value, Whole, mistake
from pipeline.config.load import told
from pipeline.config.locate import Document, KeyPath, read_document
from pipeline.config.wording import describe
from pipeline.errors import ConfigError

ANYWHERE = "anywhere"
"""The region of a price that is the same everywhere."""
Price = Annotated[Number, Field(ge=0, le=1e6)]


def _regions(value: object) -> object:
    """`hour: 0.53` stands for `hour: {anywhere: 0.53}`."""
    return {ANYWHERE: value} if isinstance(value, int | float) and not isinstance(value, bool) else value


def _times(value: object) -> object:
    """Batches `b1` or `1`, times in ms or with their unit, as numbers."""
    if not isinstance(value, dict):
        raise mistake("expected batches with their times in ms, such as {b1: 18, b4: 24}")
    times: dict[int, float] = {}
    for batch, time in value.items():
        digits = str(batch).removeprefix("b")
        if not digits.isdecimal() or not 1 <= int(digits) <= 9999:
            raise mistake(f"found “{batch}”, expected the size of a batch, such as b4")
        try:
            times[int(digits)] = parse_ms(str(time), f"b{digits}")
        except ConfigError as error:
            raise mistake(str(error)) from None
        if not times[int(digits)]:
            raise mistake(f"found “{time}” for b{digits}; a batch cannot take no time")
    if not times:
        raise mistake("names no batch; expected such as {b1: 18, b4: 24}")
    return times


Regions = Annotated[dict[Name, Price], BeforeValidator(_regions)]


class Machine(Value):
    """A kind of machine."""

    hour: Regions = Field(min_length=1, description="Its price an hour, one number or by region.")
    spot: Regions = Field(
        default_factory=dict,
        description="Its price an hour for work that may be interrupted, one number or by region. Archives use it.",
    )
    service: Annotated[dict[int, float], BeforeValidator(_times)] | None = Field(
        default=None,
        description="Milliseconds for a batch there, by size; without it, those that the plan is made with.",
    )
    instances: Whole = Field(default=1, ge=1, le=1000, description="Detectors that it runs at once.")

    @property
    def times(self) -> ServiceTimes | None:
        """Its service times; None where it says none."""
        return None if self.service is None else ServiceTimes.of(self.service)

    @model_validator(mode="after")
    def _known_regions(self) -> Machine:
        for region in self.spot:
            if region not in self.hour and ANYWHERE not in (region, *self.hour):
                raise mistake(
                    f"found “{region}”, of which “hour” says no price; it has {', '.join(self.hour)}",
                    at=("spot", region),
                )
        return self


class Prices(Value):
    """Kinds of machines and what they cost."""

    currency: Annotated[str, Field(min_length=1, max_length=8)] = Field(
        default="USD", description="What prices are in, such as EUR."
    )
    machines: dict[Name, Machine] = Field(min_length=1, description="Kinds of machines by name.")

    def regions(self, machine: Machine) -> Mapping[str, tuple[float, float | None]]:
        """By region: its price an hour, and the one for what may be interrupted, where there is one."""
        return {
            region: (price, machine.spot.get(region, machine.spot.get(ANYWHERE)))
            for region, price in machine.hour.items()
        }


def load_prices(path: Path) -> Prices:
    """The price table of a YAML file.

    Raises:
        ConfigError: It cannot be read, or has mistakes; one line each, with file, line, column, key, what was found and
            what is allowed.
    """
    document = read_document(path, "price table", "“machines” with “hour”")
    if not isinstance(document.data, dict):
        raise ConfigError(f"{path}:1: a price table is a mapping with “machines”, this one is not")
    try:
        return Prices.model_validate(document.data)
    except ValidationError as error:
        _report(error, document)
    raise ConfigError(told(document))


def _report(error: ValidationError, document: Document) -> None:
    schema = Prices.model_json_schema()
    for detail in error.errors(include_url=False, include_input=False):
        path: KeyPath = tuple(
            step for step in (*detail["loc"], *detail.get("ctx", {}).get("at", ())) if step != "[key]"
        )
        if detail["type"] == "too_short":
            document.report(path, "is empty; give at least one")
            continue
        # A price that is a number itself is written where its region would be.
        written = path if path in document.places or path[-1:] != (ANYWHERE,) else path[:-1]
        place = document.places.get(written)
        text = describe(detail, path, place.text if place else None, schema)
        document.report(written, text, at_key=detail["type"] == "extra_forbidden")
