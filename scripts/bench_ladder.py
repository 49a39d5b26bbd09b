"""What a ladder of input sizes would be worth: HOTA of all boxes on the samples, at the same device time, way by way.

    .venv/bin/python scripts/bench_ladder.py --out ladder          # ladder.json and ladder.md
    .venv/bin/python scripts/bench_ladder.py --cameras 18 --fill interpolate --quick
    LADDER_FOOTAGE=1 .venv/bin/python scripts/bench_ladder.py --quick      # two real recordings; see ladder/views.py

The demo's model is brought to each size (`pipeline/detect/openvino_crop.py`), what it sees on every frame of the six
samples is recorded once (a cache under the temporary folder), and what a detection takes at each size is measured.
Then the six are played as cameras of a fleet of so many, through the worker's tracker and filling: a camera is
detected whenever it has saved the device time for it. So all ways have the same device time, that of stride alone at
full input, and HOTA tells which of them spends it best. The device is stated: `--full-hz` detections a second at full
input. Ways marked “hindsight” choose by the scores themselves and can only tell what is out of reach.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ladder.costs import Cost, measure
from ladder.judge import Counted, alone, counted, together
from ladder.play import Budget, Camera, Chooser, play
from ladder.report import markdown
from ladder.views import FULL, LESS, MORE, NAMES, SAME, SIZES, SMALL, View, seen, tiles
from ladder.ways import ByDrift, ByHeight, Fixed, PartsOfSmall

from pipeline.bench import machine
from pipeline.geometry import WidthHeight
from pipeline.track.fill import FillMode

FPS = 25.0
Maker = Callable[[], Chooser]


def _mixed(*sizes: WidthHeight) -> tuple[Maker, str]:
    return partial(Fixed, *map(View, sizes)), "time"


def _live(want_px: float, equal: str, *sizes: WidthHeight, look_every: int = 0, calm: float = 1e9) -> tuple[Maker, str]:
    return partial(ByHeight, sizes, want_px, look_every=look_every, calm=calm), equal


def _parts(whole: WidthHeight, part: WidthHeight, parts: int) -> tuple[Maker, str]:
    return partial(PartsOfSmall, whole, part, parts=parts, below_px=40), "time"


WAYS: dict[str, tuple[Maker, str]] = {
    "mixed: full, 512×288": _mixed(FULL, LESS),
    "mixed: full, 2 of 512×288": _mixed(FULL, LESS, LESS),
    "mixed: full, 416×256": _mixed(FULL, SMALL),
    "mixed: 768×448, 512×288": _mixed(MORE, LESS),
    "live: small boxes 16 px, 416 to 640": _live(16, "time", SMALL, LESS, FULL),
    "live: small boxes 20 px, 416 to 640": _live(20, "time", SMALL, LESS, FULL),
    "live: small boxes 20 px, 416 to 640, a look every 4": _live(20, "time", SMALL, LESS, FULL, look_every=4),
    "live: small boxes 20 px, 416 to 640, equal rates": _live(20, "rate", SMALL, LESS, FULL),
    "live: small boxes 28 px, 416 to 640": _live(28, "time", SMALL, LESS, FULL),
    "live: small boxes 28 px, fewer beyond stride 8, 512 to 640": _live(28, "time", LESS, FULL, calm=8),
    "live: small boxes 28 px, fewer beyond stride 8, 416 to 640": _live(28, "time", SMALL, LESS, FULL, calm=8),
    "live: small boxes 28 px, 512 to 768": _live(28, "time", LESS, FULL, MORE),
    "live: small boxes 28 px, 416 to 960": _live(28, "time", *SIZES),
}
WAYS |= {
    f"live: {small[0]}×{small[1]} where {hz:g} of a box go wrong a second{where}": (
        partial(ByDrift, FULL, small, from_hz=hz, least_px=px),
        "time",
    )
    for small, hz, px, where in (
        (LESS, 0.5, 0, ""),
        (LESS, 1.0, 0, ""),
        (LESS, 0.5, 20, " and boxes have 20 px"),
        (SMALL, 0.5, 20, " and boxes have 20 px"),
    )
}
PARTS: dict[str, tuple[Maker, str]] = {
    "parts: 512×288, a part at 320×192 where boxes are small": _parts(LESS, SAME, 1),
    "parts: full, a part at 320×192 where boxes are small": _parts(FULL, SAME, 1),
    "parts: full, 2 parts at 320×192 where boxes are small": _parts(FULL, SAME, 2),
    "parts: full, a part at 512×288 where boxes are small": _parts(FULL, LESS, 1),
}
MORE_SHARES = (0.4,)
"""Device time of a camera, in detections at full input a frame, beside those of the budgets: where hindsight may go."""


@dataclass(frozen=True)
class Played:
    """What came of one way at one budget: what was counted by camera and phase, and its detections a second."""

    counts: Mapping[str, list[Counted]]
    detected_hz: float
    used: float


def main() -> None:
    """Record, measure, play, and tell."""
    options = _options()
    costs = _costs(options)
    shares = {cameras: options.full_hz / cameras / FPS for cameras in options.cameras}
    with ProcessPoolExecutor(options.processes) as pool:
        _record(pool, options)
        grid = _grid(pool, shares, costs, options)
        ways = _ways(pool, shares, costs, options)
    told = {
        "machine": {"processor": machine.name(), "cores": machine.usable_cores()},
        "fill": options.fill,
        "full_hz": options.full_hz,
        "phases": options.phases,
        "costs": [
            {"input_wh": size, "cpu_ms": cost.cpu_ms, "clock_ms": cost.clock_ms, "of_full": costs[View(size)]}
            for size, cost in options.measured.items()
        ],
        "rows": [_row(cameras, shares[cameras], grid, ways[cameras]) for cameras in options.cameras],
        "curves": {
            name: {
                _size(size): {f"{share:.3f}": alone(grid[name, size, share]) for share in _shares(shares)}
                for size in SIZES
            }
            for name in NAMES
        },
    }
    text = markdown(told)
    print(text)
    if options.out:
        options.out.with_suffix(".json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        options.out.with_suffix(".md").write_text(text, encoding="utf-8")


def _costs(options: argparse.Namespace) -> dict[View, float]:
    """Of each view, in detections at full input, by processor time."""
    if options.costs:
        rows = json.loads(options.costs.read_text(encoding="utf-8"))["costs"]
        options.measured = {tuple(row["input_wh"]): Cost(row["cpu_ms"], row["clock_ms"]) for row in rows}
    else:
        options.measured = measure((SAME, *SIZES), options.turns)
    full_ms = options.measured[FULL].cpu_ms
    share = {size: cost.cpu_ms / full_ms for size, cost in options.measured.items()}
    return {view: share[view.input_wh] for size in share for view in (View(size), *tiles(size))}


def _record(pool: ProcessPoolExecutor, options: argparse.Namespace) -> None:
    views = [*map(View, SIZES), *(tiles(size)[0] for size in _tile_sizes(options))]
    waiting = [pool.submit(_keep, name, view) for view in views for name in NAMES]
    for number, result in enumerate(waiting, start=1):
        result.result()
        print(f"\rrecorded {number}/{len(waiting)} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _keep(name: str, view: View) -> None:
    seen(name, view)


def _tile_sizes(options: argparse.Namespace) -> tuple[WidthHeight, ...]:
    return () if options.quick else (SAME, LESS)


Key = tuple[str, WidthHeight, float]
"""A camera, the input of all its detections, and its device time in detections at full input a frame."""
Grid = dict[Key, list[Counted]]


def _shares(shares: Mapping[int, float]) -> list[float]:
    return sorted({*shares.values(), *MORE_SHARES})


def _grid(
    pool: ProcessPoolExecutor, shares: Mapping[int, float], costs: Mapping[View, float], options: argparse.Namespace
) -> Grid:
    """Each camera alone at each size and share of device time."""
    keys = [(name, size, share) for name in NAMES for size in SIZES for share in _shares(shares)]
    waiting = {key: pool.submit(_play_fixed, key, costs, options.fill, options.phases) for key in keys}
    found = {}
    for number, (key, result) in enumerate(waiting.items(), start=1):
        found[key] = result.result()
        print(f"\rcameras alone {number}/{len(keys)} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def _play_fixed(key: Key, costs: Mapping[View, float], fill: str, phases: int) -> list[Counted]:
    name, size, share = key
    budget = Budget({name: share}, costs)
    number = NAMES.index(name)
    shown = [
        play([Camera(name, Fixed(View(size)), FillMode(fill))], budget, phase / phases + 0.618 * number)
        for phase in range(phases)
    ]
    return [counted(name, tracks[name]) for tracks in shown]


def _ways(
    pool: ProcessPoolExecutor, shares: Mapping[int, float], costs: Mapping[View, float], options: argparse.Namespace
) -> dict[int, dict[str, Played]]:
    """All cameras together by each way that chooses as it goes."""
    labels = [*WAYS] if options.quick else [*WAYS, *PARTS]
    waiting = {
        (cameras, label): pool.submit(_play_way, label, share, costs, options.fill, options.phases)
        for cameras, share in shares.items()
        for label in labels
    }
    found: dict[int, dict[str, Played]] = {cameras: {} for cameras in shares}
    for number, ((cameras, label), result) in enumerate(waiting.items(), start=1):
        found[cameras][label] = result.result()
        print(f"\rways {number}/{len(waiting)} ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def _play_way(label: str, share: float, costs: Mapping[View, float], fill: str, phases: int) -> Played:
    make, equal = (WAYS | PARTS)[label]
    counts: dict[str, list[Counted]] = {name: [] for name in NAMES}
    looks, used, seconds = 0, 0.0, 0.0
    for phase in range(phases):
        cameras = [Camera(name, make(), FillMode(fill)) for name in NAMES]
        for name, tracks in play(cameras, Budget(dict.fromkeys(NAMES, share), costs, equal), phase / phases).items():
            counts[name].append(counted(name, tracks))
        looks += sum(sum(camera.looks.values()) for camera in cameras)
        used += sum(costs[view] * count for camera in cameras for view, count in camera.looks.items())
        seconds += sum(camera.frames / camera.fps for camera in cameras)
    return Played(counts, looks / seconds, used / (seconds * FPS * share))


def _row(cameras: int, share: float, grid: Grid, ways: Mapping[str, Played]) -> dict[str, object]:
    """Every way at one budget."""
    fixed = {size: {name: grid[name, size, share] for name in NAMES} for size in SIZES}
    told = [_told("stride alone, full input", "live", fixed[FULL])]
    told += [_told(f"every detection at {_size(size)}", "live", fixed[size]) for size in SIZES if size != FULL]
    told += [_told(label, "live", played.counts, played) for label, played in ways.items()]
    best = {name: max(SIZES, key=lambda size: alone(fixed[size][name])) for name in NAMES}
    told.append(_told("best size of each camera", "hindsight", {name: fixed[best[name]][name] for name in NAMES}))
    for label, sizes in (("best stride of each camera, full input", (FULL,)), ("best size and stride of each", SIZES)):
        chosen = _shared_out(share, grid, sizes)
        told.append(_told(label, "hindsight", {name: grid[key] for name, key in chosen.items()}))
    return {
        "cameras": cameras,
        "share": share,
        "stride": 1 / share,
        "ways": told,
        "best_sizes": {name: _size(size) for name, size in best.items()},
    }


def _told(
    label: str, kind: str, counts: Mapping[str, list[Counted]], played: Played | None = None
) -> dict[str, object]:
    return {
        "way": label,
        "kind": kind,
        "hota": together(counts),
        "each": {name: alone(phases) for name, phases in counts.items()},
        "detected_hz": None if played is None else played.detected_hz,
        "device_used": None if played is None else played.used,
    }


def _shared_out(share: float, grid: Grid, sizes: tuple[WidthHeight, ...]) -> dict[str, Key]:
    """The size and device time of each camera whose HOTA is highest on average, for no more than all have together."""
    keys = {name: [key for key in grid if key[0] == name and key[1] in sizes] for name in NAMES}
    score = {key: alone(grid[key]) for options in keys.values() for key in options}
    best: dict[str, Key] = {}
    for price in (0.0, *(2**power for power in range(-4, 14))):
        chosen = {name: max(keys[name], key=lambda key: score[key] - price * key[2]) for name in NAMES}
        spent = statistics.mean(key[2] for key in chosen.values())
        if spent <= share * 1.001 and (not best or _mean(score, chosen) > _mean(score, best)):
            best = chosen
    equal = {name: max((k for k in keys[name] if k[2] == share), key=lambda key: score[key]) for name in NAMES}
    return best if best and _mean(score, best) > _mean(score, equal) else equal


def _mean(score: Mapping[Key, float], chosen: Mapping[str, Key]) -> float:
    return statistics.mean(score[key] for key in chosen.values())


def _size(size: WidthHeight) -> str:
    return f"{size[0]}×{size[1]}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, nargs="+", default=[6, 12, 18, 24, 36, 48])
    parser.add_argument("--full-hz", type=float, default=85.0, help="detections a second at full input (%(default)s)")
    parser.add_argument("--fill", choices=["predict", "interpolate"], default="predict")
    parser.add_argument("--phases", type=int, default=3, help="from so many beginnings (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=7, help="of measuring what detections take (default: %(default)s)")
    parser.add_argument("--costs", type=Path, help="take what detections take from this ladder.json")
    parser.add_argument("--quick", action="store_true", help="leave the parts of pictures out")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="write this name with .json and .md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
