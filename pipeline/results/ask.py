"""The questions, in SQL that every database here understands, and the account made of the answers.

Ages are asked for as counts by tenths of a millisecond, since not every database has percentiles, and those have
different ones.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.results.account import (
    Account,
    CameraAccount,
    ClassCount,
    Gap,
    Silence,
)
from pipeline.results.course import Counts, Timed, ages_of, course_of, hours_of
from pipeline.results.tables import Opened, Tables, asked
from pipeline.wire import Count

SILENCE_S = 5.0
"""A time without a frame that long is told; a camera whose connection is made again needs about as long."""
MOST_TOLD = 100
"""The largest gaps, and the longest silences."""

_CAMERAS = """
SELECT fleet, camera_id, count(*), count(DISTINCT session_id), min(captured_at_ns), max(captured_at_ns)
FROM frames GROUP BY fleet, camera_id ORDER BY fleet, camera_id"""
_ORIGINS = """
SELECT fleet, camera_id, origin, count(*) FROM frames WHERE origin IS NOT NULL GROUP BY fleet, camera_id, origin"""
_CLASSES = """
SELECT fleet, camera_id, class_name, CAST(sum(boxes) AS BIGINT), count(*) FROM (
    SELECT fleet, camera_id, session_id, track_id, class_name, count(*) AS boxes
    FROM boxes GROUP BY fleet, camera_id, session_id, track_id, class_name
) AS tracks GROUP BY fleet, camera_id, class_name"""
_AGES = """
SELECT fleet, camera_id, CAST(round(age_ms * 10) AS BIGINT) AS tenths, count(*) FROM frames
WHERE age_ms IS NOT NULL GROUP BY fleet, camera_id, CAST(round(age_ms * 10) AS BIGINT)"""
_BEFORE = """
SELECT fleet, camera_id, session_id, frame_id, captured_at_ns,
       lag(frame_id) OVER (PARTITION BY fleet, camera_id, session_id ORDER BY frame_id) AS before
FROM frames WHERE captured_at_ns IS NOT NULL"""
_GAPS = f"""
SELECT fleet, camera_id, count(*), CAST(sum(frame_id - before - 1) AS BIGINT) FROM ({_BEFORE}) AS numbered
WHERE frame_id - before > 1 GROUP BY fleet, camera_id"""
_LARGEST_GAPS = f"""
SELECT fleet, camera_id, session_id, before + 1, frame_id - before - 1, captured_at_ns FROM ({_BEFORE}) AS numbered
WHERE frame_id - before > 1 ORDER BY frame_id - before DESC, captured_at_ns LIMIT {MOST_TOLD}"""
_SINCE = """
SELECT fleet, camera_id, captured_at_ns,
       lag(captured_at_ns) OVER (PARTITION BY fleet, camera_id ORDER BY captured_at_ns) AS before
FROM frames WHERE captured_at_ns IS NOT NULL"""


def account_of(opened: Opened, silence_s: float = SILENCE_S) -> Account:
    """Ask everything.

    Args:
        opened: The results.
        silence_s: From which length on a time without a frame is told.

    Raises:
        SinkError: They cannot be read to their end.
    """
    try:
        return _account(opened, silence_s)
    except msgspec.ValidationError as error:
        raise SinkError(f"{opened.source}: there are values that camfleet does not write: {error}") from None


def _account(opened: Opened, silence_s: float) -> Account:
    tables = opened.tables
    ages, classes = _ages(tables), _classes(tables)
    cameras = _cameras(tables, ages, classes, round(silence_s * NS_PER_S))
    first_ns = min((one.first_ns for one in cameras if one.first_ns is not None), default=None)
    last_ns = max((one.last_ns for one in cameras if one.last_ns is not None), default=None)
    timed = None if first_ns is None or last_ns is None else Timed.ask(tables, first_ns, last_ns)
    return Account(
        source=opened.source,
        notes=opened.notes,
        frames=sum(camera.frames for camera in cameras),
        boxes=sum(camera.boxes for camera in cameras),
        first_ns=first_ns,
        last_ns=last_ns,
        ages=ages_of(_together(ages.values())),
        cameras=cameras,
        classes=_all_classes(classes),
        hours=[] if timed is None else hours_of(timed),
        gaps=_gaps(tables),
        silences=_silences(tables, round(silence_s * NS_PER_S)),
        silence_s=silence_s,
        course=None if timed is None else course_of(timed, cameras),
    )


Key = tuple[str, str]


class _Camera(NamedTuple):
    fleet: str
    camera_id: str
    frames: Count
    sessions: Count
    first_ns: Count | None
    last_ns: Count | None


class _Gap(NamedTuple):
    fleet: str
    camera_id: str
    session_id: str
    first: Count
    frames: Count
    at_ns: Count


def _cameras(
    tables: Tables, ages: dict[Key, Counts], classes: dict[Key, list[ClassCount]], silence_ns: int
) -> list[CameraAccount]:
    origins: dict[Key, dict[str, int]] = defaultdict(dict)
    for fleet, camera_id, origin, frames in asked(tables, _ORIGINS, tuple[str, str, str, Count]):
        origins[fleet, camera_id][origin] = frames
    gaps = _by_camera(tables, _GAPS)
    silences = _by_camera(tables, _silence_sums(silence_ns))
    made = []
    for fleet, camera_id, frames, sessions, first_ns, last_ns in asked(tables, _CAMERAS, _Camera):
        key = (fleet, camera_id)
        own = classes.get(key, [])
        made.append(
            CameraAccount(
                fleet=fleet,
                camera_id=camera_id,
                frames=frames,
                origins=dict(sorted(origins[key].items())),
                sessions=sessions,
                first_ns=first_ns,
                last_ns=last_ns,
                boxes=sum(one.boxes for one in own),
                classes=own,
                gaps=gaps[key][0],
                missing=gaps[key][1],
                silences=silences[key][0],
                silent_s=round(silences[key][1] / NS_PER_S, 3),
                ages=ages_of(ages.get(key, {})),
            )
        )
    return made


def _by_camera(tables: Tables, sql: str) -> dict[Key, tuple[int, int]]:
    rows = asked(tables, sql, tuple[str, str, Count, Count])
    return defaultdict(lambda: (0, 0), {(fleet, camera_id): (count, total) for fleet, camera_id, count, total in rows})


def _silence_sums(silence_ns: int) -> str:
    return f"""
SELECT fleet, camera_id, count(*), CAST(sum(captured_at_ns - before) AS BIGINT) FROM ({_SINCE}) AS timed
WHERE captured_at_ns - before >= {silence_ns} GROUP BY fleet, camera_id"""


def _silences(tables: Tables, silence_ns: int) -> list[Silence]:
    longest = f"""
SELECT fleet, camera_id, before, captured_at_ns - before FROM ({_SINCE}) AS timed
WHERE captured_at_ns - before >= {silence_ns} ORDER BY captured_at_ns - before DESC LIMIT {MOST_TOLD}"""
    return [
        Silence(fleet=fleet, camera_id=camera_id, from_ns=from_ns, seconds=round(span_ns / NS_PER_S, 3))
        for fleet, camera_id, from_ns, span_ns in asked(tables, longest, tuple[str, str, Count, Count])
    ]


def _gaps(tables: Tables) -> list[Gap]:
    return [
        Gap(fleet=fleet, camera_id=camera_id, session_id=session, first_frame_id=first, frames=frames, at_ns=at_ns)
        for fleet, camera_id, session, first, frames, at_ns in asked(tables, _LARGEST_GAPS, _Gap)
    ]


def _ages(tables: Tables) -> dict[Key, Counts]:
    ages: dict[Key, Counts] = defaultdict(dict)
    for fleet, camera_id, tenths, frames in asked(tables, _AGES, tuple[str, str, int, Count]):
        ages[fleet, camera_id][tenths] = frames
    return ages


def _together(counts: Iterable[Counts]) -> Counts:
    total: Counts = defaultdict(int)
    for one in counts:
        for tenths, frames in one.items():
            total[tenths] += frames
    return total


def _classes(tables: Tables) -> dict[Key, list[ClassCount]]:
    classes: dict[Key, list[ClassCount]] = defaultdict(list)
    for fleet, camera_id, class_name, boxes, objects in asked(tables, _CLASSES, tuple[str, str, str, Count, Count]):
        count = ClassCount(class_name=class_name, boxes=boxes, objects=objects)
        classes[fleet, camera_id].append(count)
    return {key: _most_first(counts) for key, counts in classes.items()}


def _all_classes(classes: dict[Key, list[ClassCount]]) -> list[ClassCount]:
    boxes: dict[str, int] = defaultdict(int)
    objects: dict[str, int] = defaultdict(int)
    for count in itertools.chain.from_iterable(classes.values()):
        boxes[count.class_name] += count.boxes
        objects[count.class_name] += count.objects
    return _most_first([ClassCount(class_name=name, boxes=boxes[name], objects=objects[name]) for name in boxes])


def _most_first(counts: Iterable[ClassCount]) -> list[ClassCount]:
    return sorted(counts, key=lambda count: (-count.boxes, count.class_name))
