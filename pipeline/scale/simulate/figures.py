"""What a simulation says; also the JSON of `camfleet simulate --json`. Rates in Hz, times in s unless named."""

from __future__ import annotations

import msgspec


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """How much of one limit is used at the day's height.

    Attributes:
        name: What is limited.
        share: Used of it; 1 and more: it breaks.
        words: The figures behind it.
        breaks_at: Cameras at which it does; None if it never does.
        answer: What the plan does about it.
    """

    name: str
    share: float
    words: str
    breaks_at: int | None
    answer: str


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """What the loss of a part did.

    Attributes:
        what: Which part.
        hour: When.
        nodes: That were lost.
        cameras: That were dark at once.
        back_half_s: Until half of them published again.
        back_s: Until the last one did; None if one never did while it was looked at.
        detected: Share of the detections that the others' cameras want and got, at least.
        stretch: How many times larger the others' strides were than before, at most.
        p95_ms: 95th percentile of ages on the worst shard then.
        calm_s: Until no shard was short any more; None if one still was at the day's end.
    """

    what: str
    hour: float
    nodes: int
    cameras: int
    back_half_s: float | None
    back_s: float | None
    detected: float
    stretch: float
    p95_ms: float
    calm_s: float | None


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """The day, an entry for each moment.

    Attributes:
        at_h: Hours since midnight.
        asked: Share of the day's height that cameras ask for.
        nodes: Ready.
        coming: On their way.
        dark: Cameras that do not publish.
        detected: Share of the detections that cameras want and get.
        stretch: Mean over cameras: how many times larger their strides are than with room.
        late_share: Cameras on shards whose promise is not kept.
        p95_ms: Mean of the shards' 95th percentiles, by cameras.
        messages_hz: Into the proxies.
        cost_hour: Price an hour of all that runs.
    """

    at_h: list[float]
    asked: list[float]
    nodes: list[int]
    coming: list[int]
    dark: list[int]
    detected: list[float]
    stretch: list[float]
    late_share: list[float]
    p95_ms: list[float]
    messages_hz: list[float]
    cost_hour: list[float]


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """A fleet's day.

    Attributes:
        cameras: How many.
        cells: In how many cells.
        nodes_most: Nodes at once, at most.
        nodes_mean: On average, those that come included.
        cost: Of the day, proxies included.
        cost_fixed: Of the same day with all day as many nodes as its height needs.
        moves: Cameras that moved because nodes came or went; each began a session, none was dark.
        asked: Nodes that were asked for during the day.
        given: Nodes given back.
        short_share: Share of cameras × time on shards that were short.
        late_share: Share of cameras × time on shards whose promise was not kept.
        damage: What was lost; None where nothing was.
        proxies: Processes at the day's height, copies included.
        series: Moment by moment.
        told: What the policy decided, in its words, the first and last of them.
    """

    cameras: int
    cells: int
    nodes_most: int
    nodes_mean: float
    cost: float
    cost_fixed: float
    moves: int
    asked: int
    given: int
    short_share: float
    late_share: float
    damage: Damage | None
    proxies: int
    series: Series
    told: list[str]


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One load of the shard that was played frame by frame."""

    cameras: int
    demand: float
    wanted_hz: float
    detected_hz: float
    stride: float
    p95_ms: float


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one number of cameras.

    Attributes:
        cameras: How many.
        uses: Limits with all in one fleet, the fullest first.
        in_cells: The same for one cell of the plan.
        verdict: What breaks first, in one sentence.
        day: Its day.
    """

    cameras: int
    uses: list[Use]
    in_cells: list[Use]
    verdict: str
    day: Day


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything.

    Attributes:
        name: Of the scenario.
        p95_ms: The promise.
        currency: Of prices.
        carries: Usual cameras that a node carries at the target.
        cell: Cameras in a cell of the plan.
        played: The shard that everything is drawn from.
        sizes: By number of cameras.
        measured_on: Where messages were measured.
        measured: What one costs, in words, each with how it was measured.
    """

    name: str
    p95_ms: float
    currency: str
    carries: float
    cell: int
    played: list[Played]
    sizes: list[Size]
    measured_on: str
    measured: list[str]
