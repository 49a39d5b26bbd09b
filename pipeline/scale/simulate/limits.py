"""What breaks first as a fleet grows: every limit that was found, how much of it is used, and where it ends.

All in one fleet, as it is built: one head, one pair of proxies, one directory, subscribers that hear everything. What
grows with the nodes alone (detecting, decoding, a shard's own publisher) is no limit: that is bought.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline.config.locate import MAX_BYTES, MAX_VALUES
from pipeline.relay.outlet import MOST_CONNECTIONS
from pipeline.scale.simulate.figures import Use
from pipeline.scale.simulate.measured import Measured
from pipeline.scale.simulate.scenario import Scenario
from pipeline.scale.simulate.traffic import BITS, GIGA, US, traffic

MOST_RAY_NODES = 2000
"""Of one Ray cluster. Its own release benchmarks (release/benchmarks/README.md) name 250+ to 3k+, by version."""
MOST_SOCKETS = 1023
"""Of one process (libzmq's ZMQ_MAX_SOCKETS); a proxy has one for each shard that it hears."""
FILE_BYTES, FILE_VALUES = 100, 5
"""A camera in a fleet file, as `config.locate` counts them."""
PLACING_S, OVERVIEW_S, JOINING_S, DIRECTORY_S = 1.0, 0.1, 1.0, 0.5
"""Of the ten seconds in which cameras of a dead node are to publish again, for placing; in which an overview is made,
while nothing else is published; in which a newcomer knows all cameras; and a head that begins anew where they are."""
FEWEST, MOST = 1, 100_000_000
RESERVE = 0.5
"""How full a cell of the plan may be."""
CELL_ROUND = 500

Share = Callable[[float], tuple[float, str]]


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that may break.

    Attributes:
        name: What is limited.
        use: The share of it that a fleet of so many cameras uses, and its figures in words.
        answer: What the plan does about it.
        shared: Whether it is bought by the piece within a cell, so that it does not bound the cell's size.
    """

    name: str
    use: Share
    answer: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    """What limits are reckoned from.

    Attributes:
        scenario: Who sends and who hears.
        costs: What that costs.
        carries: Usual cameras on a node.
    """

    scenario: Scenario
    costs: Measured
    carries: float


def limits(fleet: Fleet) -> list[Limit]:
    """All that were found."""
    return [*_messages(fleet), *_control(fleet)]


def uses(fleet: Fleet, cameras: int) -> list[Use]:
    """How full each is with so many cameras, the fullest first."""
    found = [_use(limit, cameras) for limit in limits(fleet)]
    return sorted(found, key=lambda one: -one.share)


def uses_in_cell(fleet: Fleet, cameras: int, cell: int) -> list[Use]:
    """The same within one cell, whose proxies are as many as it takes."""
    own = min(cameras, cell)
    found = [_use(limit, own) for limit in limits(fleet) if not limit.shared]
    return sorted(found, key=lambda one: -one.share)


def cell_size(fleet: Fleet) -> int:
    """The largest cell in which every limit that bounds it is at most half used, a round number of cameras."""
    bounding = [limit for limit in limits(fleet) if not limit.shared]
    most = min((_reaches(limit, RESERVE) or MOST for limit in bounding), default=MOST)
    return max(CELL_ROUND, most // CELL_ROUND * CELL_ROUND)


def verdict(found: list[Use], cameras: int) -> str:
    """What breaks first, in one sentence."""
    broken = sorted((use for use in found if use.share >= 1), key=lambda use: use.breaks_at or 0)
    first = (broken or found)[0]
    if not broken:
        end = f", which breaks at {first.breaks_at:,} cameras" if first.breaks_at else ""
        return f"Nothing breaks at {cameras:,}. The fullest is “{first.name}” at {100 * first.share:.0f} %{end}."
    others = f", then {', '.join(f'“{use.name}” at {use.breaks_at:,}' for use in broken[1:4])}" if broken[1:] else ""
    more = f" and {len(broken) - 4} more" if len(broken) > 4 else ""
    return f"“{first.name}” breaks first, at {first.breaks_at:,} cameras{others}{more}."


def _use(limit: Limit, cameras: int) -> Use:
    share, words = limit.use(cameras)
    at = _reaches(limit, 1.0)
    return Use(name=limit.name, share=round(share, 4), words=words, breaks_at=at, answer=limit.answer)


def _reaches(limit: Limit, share: float) -> int | None:
    """The fewest cameras at which it is so full; None if it never is. Uses grow with cameras."""
    if limit.use(MOST)[0] < share:
        return None
    low, high = FEWEST, MOST
    while low < high:
        middle = (low + high) // 2
        if limit.use(middle)[0] >= share:
            high = middle
        else:
            low = middle + 1
    return low


def _messages(fleet: Fleet) -> Iterator[Limit]:
    """What has to do with results on their way."""
    scenario, costs = fleet.scenario, fleet.costs
    network_gbit = scenario.node.network_gbit

    def proxy(cameras: float) -> tuple[float, str]:
        seen = traffic(scenario, costs, cameras)
        words = f"{seen.in_hz:,.0f} messages/s in: {seen.in_cores:.2f} of a core; {seen.copies_hz:,.0f} out: "
        return seen.proxy_busy, words + f"{seen.out_cores:.2f}"

    def proxy_network(cameras: float) -> tuple[float, str]:
        seen = traffic(scenario, costs, cameras)
        return seen.out_gbit / network_gbit, f"{seen.out_gbit:.2f} of {network_gbit:g} Gbit/s to subscribers"

    def reader(cameras: float) -> tuple[float, str]:
        seen = traffic(scenario, costs, cameras)
        return seen.reader_cores, f"{seen.reader_hz:,.0f} messages/s to decode: {seen.reader_cores:.2f} of a core"

    def reader_network(cameras: float) -> tuple[float, str]:
        seen = traffic(scenario, costs, cameras)
        return seen.reader_gbit / network_gbit, f"{seen.reader_gbit:.2f} of {network_gbit:g} Gbit/s"

    def newcomer(cameras: float) -> tuple[float, str]:
        size = traffic(scenario, costs, 1).message_bytes + costs.state_bytes.value
        seconds = cameras * US * 2 * (costs.proxy_copy_us.value + size / 2 * costs.proxy_copied_byte_us.value)
        return seconds / JOINING_S, f"{cameras * size / 1e6:.1f} MB in {seconds:.2f} s, which nobody else is served in"

    yield Limit("one proxy’s core", proxy, "several pairs of proxies, each for a part of the shards", shared=True)
    yield Limit("one proxy’s network", proxy_network, "likewise; the compact form of frames", shared=True)
    if scenario.subscribers.everything:
        by_cell = "one for each cell, or a part of the cameras each; the compact form of frames"
        yield Limit("one subscriber to everything: its core", reader, by_cell, shared=True)
        yield Limit("one subscriber to everything: its network", reader_network, by_cell, shared=True)
        yield Limit("a newcomer who wants everything", newcomer, "cells: it gets one cell after the other")


def _control(fleet: Fleet) -> Iterator[Limit]:
    """What has to do with who is where."""
    scenario, costs = fleet.scenario, fleet.costs
    who, node = scenario.subscribers, scenario.node

    def overview(cameras: float) -> tuple[float, str]:
        seconds = US * cameras * costs.overview_us.value
        size = cameras * costs.overview_bytes.value
        return seconds / OVERVIEW_S, f"{size / 1e6:.2f} MB to each, every second, made in {1000 * seconds:.0f} ms"

    def overview_network(cameras: float) -> tuple[float, str]:
        listening = who.everything + cameras / 1000 * who.desks_per_1000
        gbit = listening * cameras * costs.overview_bytes.value * BITS / GIGA
        return gbit / node.network_gbit, f"{listening:,.0f} subscribers: {gbit:.2f} of {node.network_gbit:g} Gbit/s"

    def file(cameras: float) -> tuple[float, str]:
        share = max(cameras * FILE_BYTES / MAX_BYTES, cameras * FILE_VALUES / MAX_VALUES)
        return share, f"{cameras * FILE_BYTES / 1e6:.2f} MB, {cameras * FILE_VALUES:,.0f} of {MAX_VALUES:,} values"

    def connections(cameras: float) -> tuple[float, str]:
        listening = who.everything + cameras / 1000 * who.desks_per_1000
        return listening / MOST_CONNECTIONS, f"{listening:,.0f} subscribers of {MOST_CONNECTIONS:,}"

    def sockets(cameras: float) -> tuple[float, str]:
        count = cameras / fleet.carries
        return count / MOST_SOCKETS, f"{count:,.0f} shards, a socket each, of {MOST_SOCKETS:,} in a process"

    def nodes(cameras: float) -> tuple[float, str]:
        count = cameras / fleet.carries
        return count / MOST_RAY_NODES, f"{count:,.0f} nodes of {MOST_RAY_NODES:,} in one Ray cluster"

    def placing(cameras: float) -> tuple[float, str]:
        seconds = US * cameras * costs.placing_us.value
        return seconds / PLACING_S, f"{seconds:.2f} s when somebody came or went, of {PLACING_S:g}"

    def directory(cameras: float) -> tuple[float, str]:
        seconds = US * cameras * costs.directory_us.value
        size = cameras * costs.directory_bytes.value / 1e6
        return seconds / DIRECTORY_S, f"{size:.2f} MB written and read again in {1000 * seconds:.0f} ms"

    cells = "cells: each has its own"
    yield Limit("the fleet’s overview every second", overview, f"{cells}; above them only sums")
    yield Limit("the overview’s network", overview_network, f"{cells}; desks need not subscribe to it")
    yield Limit("the fleet file", file, "a file for each cell, made from an inventory")
    yield Limit("connections to one proxy", connections, "several pairs of proxies", shared=True)
    yield Limit("shards that one proxy hears", sockets, "several pairs of proxies", shared=True)
    yield Limit("nodes in one Ray cluster", nodes, f"{cells} Ray cluster")
    yield Limit("placing all cameras anew", placing, cells)
    yield Limit("the directory", directory, f"{cells}; above them only which cell a camera is in")
