"""How long one instance of a detector needs for a batch, and what follows for how many frames a second it carries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import ConfigError

_TIME = re.compile(r"(?P<number>\d+(\.\d+)?|\.\d+)\s*(?P<unit>ms|s|us|µs)?")
_BATCH = re.compile(r"b?(?P<batch>[1-9]\d{0,3})\s*[=:]\s*(?P<time>.+)")
_MS = {"s": 1000.0, "ms": 1.0, "us": 0.001, "µs": 0.001, None: 1.0}
LONGEST_MS = 600_000.0
EXAMPLE = "b1=25ms,b2=27ms,b4=34ms,b8=48ms"


@dataclass(frozen=True, slots=True)
class ServiceTimes:
    """Milliseconds by batch size, ascending; a batch of a size between two of them takes as long as the larger one.

    That is what detectors do: they compute the next larger size that they were prepared for.
    """

    by_batch: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, by_batch: Mapping[int, float]) -> ServiceTimes:
        """Of any order."""
        return cls(tuple(sorted(by_batch.items())))

    @property
    def sizes(self) -> tuple[int, ...]:
        """The batch sizes that times are known of."""
        return tuple(size for size, _ in self.by_batch)

    def of_ms(self, count: int) -> float:
        """How long `count` frames take; as long as the largest known batch where there are more."""
        return next((ms for size, ms in self.by_batch if size >= count), self.by_batch[-1][1])

    def carries_hz(self, batch: int) -> float:
        """Frames a second of one instance that is always busy with full batches of this size."""
        return 1000 * batch / self.of_ms(batch)


def parse_service(text: str, option: str = "--service") -> ServiceTimes:
    """The service times that `b1=25ms,b2=27ms` describes.

    Raises:
        ConfigError: It describes none.
    """
    found: dict[int, float] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        match = _BATCH.fullmatch(part)
        if match is None:
            raise ConfigError(f"{option}: “{part}” is no batch with its time; expected such as {EXAMPLE}")
        batch, time_ms = int(match["batch"]), parse_ms(match["time"], option)
        if batch in found:
            raise ConfigError(f"{option}: batch {batch} is there twice")
        if not time_ms:
            raise ConfigError(f"{option}: a batch of {batch} cannot take no time")
        found[batch] = time_ms
    if not found:
        raise ConfigError(f"{option}: names no batch; expected such as {EXAMPLE}")
    times = ServiceTimes.of(found)
    for (small, less_ms), (large, more_ms) in zip(times.by_batch, times.by_batch[1:], strict=False):
        if more_ms < less_ms:
            raise ConfigError(
                f"{option}: a batch of {large} takes {more_ms:g} ms, less than the {less_ms:g} ms of {small}"
            )
    return times


def parse_ms(text: str, option: str) -> float:
    """Milliseconds that `25`, `25ms` or `0.025s` stands for.

    Raises:
        ConfigError: It is no time, or more than ten minutes.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"{option}: found “{text}”, expected a time such as 25ms or 0.5s")
    time_ms = float(match["number"]) * _MS[match["unit"]]
    if time_ms > LONGEST_MS:
        raise ConfigError(f"{option}: found “{text}”, expected at most {LONGEST_MS / 1000:g} s")
    return time_ms
