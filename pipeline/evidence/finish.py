"""A case from its first picture in a file to a record on disk; and what a life that was killed has left of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import msgspec
import structlog

from pipeline.clock import NS_PER_S
from pipeline.errors import SinkError
from pipeline.evidence.case import Case
from pipeline.evidence.clip import SUFFIXES, Clip
from pipeline.evidence.coded import Coded
from pipeline.evidence.film import Film, film_of
from pipeline.evidence.record import (
    PICTURE,
    RECORD,
    UNFINISHED,
    Footage,
    Record,
    Shot,
    beside,
    read_record,
    write_record,
    write_whole,
)
from pipeline.evidence.snapshot import Covers, take
from pipeline.wire.evidence import Evidence

log = structlog.get_logger()

CUT_OFF = "cut off: the process that wrote it was ended"


@dataclass(frozen=True, slots=True)
class Finished:
    """What is on disk.

    Attributes:
        stem: What its files are called, without their endings.
        record: What stands in the record.
    """

    stem: Path
    record: Record


def open_clip(case: Case, pictures: Sequence[Coded], suffix: str) -> Clip:
    """Begin to write; beside it stands what it is, for whoever finds it unfinished.

    Raises:
        SinkError: It cannot be written.
    """
    make_room(case)
    file = beside(case.stem, suffix, finished=False)
    try:
        clip = Clip(file, pictures, suffix)
        write_record(case.stem, Record(event=case.event, clip=_footage(clip, suffix, case)), finished=False)
    except SinkError:
        file.unlink(missing_ok=True)  # of a full disk: nobody would know what it is
        raise
    return clip


def make_room(case: Case) -> None:
    """Make the folder of its files.

    Raises:
        SinkError: It cannot be made.
    """
    try:
        case.stem.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{case.stem.parent} cannot be made: {error.strerror}") from None


def close_clip(case: Case, suffix: str) -> Footage | None:
    """The clip under its own name, at once; None where there is none.

    Raises:
        SinkError: It cannot be written.
    """
    if case.clip is None:
        return None
    case.clip.close()
    footage = _footage(case.clip, suffix, case)
    write_record(case.stem, Record(event=case.event, clip=footage), finished=False)
    try:
        beside(case.stem, suffix, finished=False).replace(beside(case.stem, suffix))
    except OSError as error:
        raise SinkError(f"{case.stem} cannot be written: {error.strerror}") from None
    return footage


def finish(
    case: Case, footage: Footage | None, pictures: Sequence[Coded], *, snapshot: bool, cover: Covers | None = None
) -> Finished:
    """The picture, then the record, each under its own name; blocks for as long as decoding takes.

    Args:
        case: It is over.
        footage: Its clip.
        pictures: What there still is of its camera, for one without a clip.
        snapshot: Whether a picture is wanted.
        cover: Covers it; None where nothing is to be covered.

    Raises:
        SinkError: Nothing can be written.
    """
    make_room(case)
    why = case.why if footage is not None or case.why else "nothing is kept of that time"
    shot = _shot(case, footage, pictures, cover) if snapshot else None
    record = Record(event=case.event, clip=footage, snapshot=shot, detail=why)
    write_record(case.stem, record)
    beside(case.stem, RECORD, finished=False).unlink(missing_ok=True)
    return Finished(case.stem, record)


def recover(folder: Path) -> Iterator[Finished]:
    """Finish what a life that was killed has left: what was written by then can be played, unless covered.

    Clips of which no record says what they are, as the disk was full, are removed.
    """
    for unfinished in sorted(folder.glob(f"*/*/{UNFINISHED}*{RECORD}")):
        record = read_record(unfinished)
        if record is None:
            continue
        stem = unfinished.with_name(unfinished.name.removeprefix(UNFINISHED).removesuffix(RECORD))
        try:
            for part in stem.parent.glob(f"{UNFINISHED}{stem.name}.*.part"):
                part.unlink()  # half a covered clip
            yield _recovered(stem, record)
            unfinished.unlink(missing_ok=True)
        except (SinkError, OSError) as error:
            log.warning(f"{stem} cannot be finished: {error}")
    for half in folder.glob(f"*/*/{UNFINISHED}*.new"):
        half.unlink(missing_ok=True)
    for suffix in SUFFIXES:
        for nameless in folder.glob(f"*/*/{UNFINISHED}*{suffix}"):
            if not nameless.with_suffix(RECORD).exists():
                nameless.unlink(missing_ok=True)


def told(fleet: str, finished: Finished) -> Evidence:
    """What is on disk, in words of the wire."""
    record, stem = finished.record, finished.stem
    clip, shot = record.clip, record.snapshot
    return Evidence(
        fleet=fleet,
        camera_id=record.event.camera_id,
        event_id=record.event.event_id,
        rule=record.event.rule,
        happening=record.event.happening,
        at_ns=record.event.at_ns,
        class_name=record.event.class_name,
        score=shot.score if shot and shot.xyxy else record.event.score,
        record=str(beside(stem, RECORD)),
        clip=str(stem.with_name(clip.file)) if clip else "",
        clip_from_ns=clip.from_ns if clip else 0,
        clip_to_ns=clip.to_ns if clip else 0,
        snapshot=str(stem.with_name(shot.file)) if shot else "",
        snapshot_at_ns=shot.at_ns if shot else 0,
        snapshot_wh=shot.wh if shot else (0, 0),
        xyxy=(shot.xyxy or (0.0, 0.0, 0.0, 0.0)) if shot else (0.0, 0.0, 0.0, 0.0),
        error_ms=shot.error_ms if shot else 0.0,
        detail=record.detail,
    )


def _shot(case: Case, footage: Footage | None, pictures: Sequence[Coded], cover: Covers | None) -> Shot | None:
    """The picture, on disk; None where there is none, which costs nothing else."""
    file = beside(case.stem, PICTURE)
    try:
        film = _film(case, footage, pictures)
        taken = take(film, case.best.sights, case.event.camera_id, file, cover) if film is not None else None
        if taken is None:
            return None
        write_whole(file, taken[1])
    except SinkError as error:
        log.warning(str(error), camera_id=case.event.camera_id)
        return None
    return taken[0]


def _film(case: Case, footage: Footage | None, pictures: Sequence[Coded]) -> Film | None:
    if case.clip is not None and footage is not None:
        return Film(case.stem.with_name(footage.file), case.clip.stream, case.clip.written)
    return film_of(pictures) if pictures else None


def _footage(clip: Clip, suffix: str, case: Case) -> Footage:
    times = [one.moment.at_ns for one in clip.written]
    last = clip.written[-1].moment
    return Footage(
        file=beside(case.stem, suffix).name,
        from_ns=min(times),
        to_ns=max(times),
        frames=len(clip.written),
        codec=clip.stream.codec,
        wh=clip.stream.frame_wh,
        aligned_by=last.aligned_by,
        error_ms=last.error_ms,
    )


def _recovered(stem: Path, record: Record) -> Finished:
    clip = record.clip
    for suffix in SUFFIXES:
        file = beside(stem, suffix, finished=False)
        if file.exists():
            clip = clip and _measured(file, clip)
            if clip is None:
                file.unlink()
            else:
                file.replace(beside(stem, suffix))
    if clip is not None and not stem.with_name(clip.file).exists():
        clip = None
    finished = Finished(stem, msgspec.structs.replace(record, clip=clip, detail=record.detail or CUT_OFF))
    write_record(stem, finished.record)
    return finished


def _measured(file: Path, clip: Footage) -> Footage | None:
    """How much of it there is; None if it cannot be played."""
    try:
        with av.open(str(file)) as container:
            # A picture of which only the beginning was written cannot be shown.
            whole = (packet for packet in container.demux(video=0) if not packet.is_corrupt)
            times = [packet.pts * packet.time_base for packet in whole if packet.pts is not None]
    except (av.FFmpegError, OSError):
        return None
    if not times:
        return None
    to_ns = clip.from_ns + round(float(max(times) - min(times)) * NS_PER_S)
    return msgspec.structs.replace(clip, to_ns=to_ns, frames=len(times))
