"""How the whole fleet is, from what its shards say of themselves once a second: pure, the time is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from msgspec.structs import replace

from pipeline.relay.overview import WINDOW_S
from pipeline.scale.proxy.orders import Orders
from pipeline.wire import CameraFigures, Counts, FleetState, ProcessFigures

FRESH_S = 3.0
"""A shard says how it is once a second; silent for so long, nothing of now is known of it."""
_RESTING = frozenset({"ended", "paused", "removed"})
_UNKNOWN = CameraFigures(
    state=None,
    frame_hz=0.0,
    detect_hz=0.0,
    age_p50_ms=None,
    age_p95_ms=None,
    detection_age_ms=None,
    kept_percent=None,
    objects=0,
    stride=0,
)


class Whole:
    """One fleet of several shards. Not thread-safe."""

    def __init__(self, fleet: str, wall_ns: int) -> None:
        """Begin with no shard."""
        self._fleet, self._since_ns = fleet, wall_ns
        self._parts: dict[str, tuple[FleetState, float]] = {}
        self._counts: dict[str, Counts] = {}

    def hear(self, shard: str, state: FleetState, now_s: float) -> None:
        """A shard says how it is."""
        self._parts[shard] = state, now_s
        self._counts[state.publisher] = state.counts
        self._since_ns = min(self._since_ns, state.since_ns)

    def know(self, shards: Iterable[str]) -> None:
        """Only these are left; what the others have counted stays."""
        left = set(shards)
        self._parts = {shard: part for shard, part in self._parts.items() if shard in left}

    def tell(self, orders: Orders, silent: Mapping[str, str | None], now_s: float, wall_ns: int) -> FleetState:
        """How the fleet is now.

        Args:
            orders: Which shard serves which camera, and what is promised.
            silent: Cameras for which no shard speaks, and why; None for those that are still awaited.
            now_s: Monotonic time.
            wall_ns: Wall time.
        """
        fresh = {shard: state for shard, (state, at_s) in self._parts.items() if now_s - at_s <= FRESH_S}
        cut_off = {
            name: f"its machine ({shard}) says nothing" for name, shard in orders.where.items() if shard not in fresh
        }
        unknown = {**cut_off, **silent, **orders.homeless}
        cameras = dict.fromkeys(unknown, _UNKNOWN) | dict(self._cameras(fresh, orders.where, unknown))
        broken = {name: f"retrying: {why}" for name, why in unknown.items() if why is not None}
        losses = dict(broken) if orders.max_loss is not None else {}
        for state in fresh.values():
            broken |= {name: why for name, why in state.broken_by.items() if name in cameras}
            losses |= {name: why for name, why in state.loss_broken_by.items() if name in cameras}
        awaited = any(why is None for why in unknown.values())
        return FleetState(
            fleet=self._fleet,
            at_ns=wall_ns,
            since_ns=self._since_ns,
            window_s=WINDOW_S,
            p95_ms=orders.p95_ms,
            kept=_kept(broken, (state.kept for state in _at_work(fresh)), awaited),
            broken_by=broken,
            max_loss=orders.max_loss,
            loss_kept=_kept(losses, (state.loss_kept for state in _at_work(fresh)), awaited),
            loss_broken_by=losses,
            counts=_sum(self._counts.values()),
            cameras=dict(sorted(cameras.items())),
            processes=(*orders.processes, *(one for name, state in fresh.items() for one in _named(name, state))),
        )

    @staticmethod
    def _cameras(
        fresh: Mapping[str, FleetState], where: Mapping[str, str], unknown: Mapping[str, object]
    ) -> Iterator[tuple[str, CameraFigures]]:
        for shard, state in fresh.items():
            for name, figures in state.cameras.items():
                if where.get(name, shard) == shard and name not in unknown:
                    yield name, figures


def _at_work(fresh: Mapping[str, FleetState]) -> list[FleetState]:
    """Shards that have a camera which should deliver."""
    return [
        state for state in fresh.values() if any(figures.state not in _RESTING for figures in state.cameras.values())
    ]


def _kept(broken: Mapping[str, str], parts: Iterable[bool | None], awaited: bool) -> bool | None:
    """As the publisher of a single machine says it."""
    if broken:
        return False
    known = list(parts)
    return True if known and all(known) and not awaited else None


def _sum(counts: Iterable[Counts]) -> Counts:
    decoded = detected = 0
    filled: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for one in counts:
        decoded += one.decoded
        detected += one.detected
        filled.update(one.filled)
        lost.update(one.lost)
    return Counts(decoded=decoded, detected=detected, filled=dict(filled), lost=dict(lost))


def _named(shard: str, state: FleetState) -> Iterator[ProcessFigures]:
    """A shard's processes; those that every shard has say whose they are."""
    for one in state.processes:
        yield one if one.role == "camera" else replace(one, name=f"{one.name} {shard}")
