"""What is fed with bytes of strangers, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.config import locate
from pipeline.rtsp import messages as rtsp_messages
from tests.fuzz import camera, discovery, doors, files, kept, messages, pages, rtsp, sinks, words

CORPUS = Path(__file__).with_name("corpus")
KIB = 1024


@dataclass(frozen=True, slots=True)
class Target:
    """One reader of foreign bytes.

    Attributes:
        run: Reads; refuses by one of the project's errors.
        share: Of a suite's cases, in thousandths: many where a case costs little and much depends on it.
        most_bytes: The largest input worth trying: what the reader takes, and a little more.
        tokens: Words of its language, which edits put in.
        values: Which of these it reads, so that edits may change its values, too.
    """

    run: Callable[[bytes], None]
    share: int
    most_bytes: int
    tokens: tuple[bytes, ...] = ()
    values: Literal["", "json", "msgpack"] = ""


TARGETS: dict[str, Target] = {
    "fleet": Target(files.fleet, 40, locate.MAX_BYTES, words.YAML),
    "scenario": Target(files.scenario, 30, locate.MAX_BYTES, words.YAML),
    "metadata": Target(
        files.metadata, 35, 64 * KIB, (*words.YAML, b"names: ", b"imgsz: ", b"2001-99-99", b"!!binary ")
    ),
    "report": Target(files.report, 40, 64 * KIB, words.JSON, values="json"),
    "sequence": Target(files.sequence, 45, 64 * KIB, words.ROWS),
    "arrivals": Target(files.arrivals, 60, 64 * KIB, (b"camfleet-arrive1", b"\xff" * 8, b"\x7f" + b"\x00" * 7)),
    "departures": Target(files.departures, 20, 64 * KIB),
    "order": Target(files.order, 80, 64 * KIB, (*words.JSON, b"NaN", b"Infinity", b'"seconds":'), values="json"),
    "wire": Target(messages.wire, 90, 64 * KIB, (*words.PACK, b"cameras/", b"detections/", b"\x00"), values="msgpack"),
    "link": Target(messages.link, 80, 64 * KIB, (*words.PACK, b"tick", b"hello", b"admission"), values="msgpack"),
    "control": Target(
        messages.control,
        60,
        64 * KIB,
        (*words.JSON, b'"command":', b'"camera-add"', b'"settings":', b'"url":'),
        values="json",
    ),
    "text": Target(messages.text, 60, 64 * KIB, words.ADDRESS),
    "spool": Target(sinks.spool, 14, 64 * KIB),
    "sink-settings": Target(sinks.settings, 40, 16 * KIB, (*words.JSON, *words.ADDRESS, b"${PASSWORD}"), values="json"),
    "sink-journal": Target(sinks.journal, 40, 64 * KIB, (*words.PACK, b"\x00\x00\x00")),
    "sink-lines": Target(sinks.lines, 30, 64 * KIB, (*words.JSON, *words.ROWS, b'"frame_id":', b"\r\n")),
    "rtsp-server": Target(rtsp.server, 60, 4 * rtsp_messages.MAX_HEADER_BYTES, words.RTSP),
    "rtsp-requests": Target(rtsp.requests, 70, 2 * rtsp_messages.MAX_HEADER_BYTES, words.RTSP),
    "rtsp-authorization": Target(rtsp.authorization, 50, rtsp_messages.MAX_HEADER_BYTES, words.AUTH),
    "rtsp-login": Target(
        rtsp.login,
        40,
        4 * rtsp_messages.MAX_HEADER_BYTES,
        (*words.RTSP, *words.AUTH, b"WWW-Authenticate: ", b" 401 No"),
    ),
    "rtsp-transport": Target(
        rtsp.transport, 50, rtsp_messages.MAX_HEADER_BYTES, (*words.RTSP, b"client_port=", b";", b",")
    ),
    "sdp": Target(rtsp.sdp, 40, 256 * KIB, words.NAL),
    "access-units": Target(camera.access_units, 50, 64 * KIB, (*words.NAL, b"\x05", b"\x04", b"\x01\xff")),
    "camera-times": Target(camera.times, 50, 64 * KIB, (b"\xff" * 8, b"\x00" * 7 + b"\x80", b"\xff" * 7 + b"\x7f")),
    "kept-lines": Target(kept.lines, 10, 64 * KIB, (*words.JSON, *words.ROWS, b'"kind":"detections"', b"fleet,")),
    "kept-duckdb": Target(kept.duckdb_database, 10, 128 * KIB, (b"DUCK", b"frames", b"boxes", b"\xff" * 8)),
    "kept-parquet": Target(kept.parquet, 10, 128 * KIB, (b"PAR1", b"frame_id", b"\xff" * 8, b"\x15\x00")),
    "kept-database": Target(kept.database, 10, 128 * KIB, (b"SQLite format 3\x00", b"frames", b"boxes", b"\xff" * 8)),
    "probe-matches": Target(discovery.matches, 20, 64 * KIB, words.SOAP),
    "stream-address": Target(discovery.address, 20, 4 * KIB, (*words.ADDRESS, b"${", b"$", b"hunter2", b"%3d", b"_a=")),
    "zap": Target(doors.zap, 60, 4 * KIB, words.ZAP),
    "key-file": Target(doors.key_file, 40, 80 * KIB, words.KEY_FILE),
    "subscription": Target(doors.subscription, 10, KIB, words.TOPICS),
    "page": Target(pages.document, 5, 4 * KIB, words.HTML),
    "chart": Target(pages.drawing, 1, KIB, words.HTML),
}


def seeds(name: str) -> list[bytes]:
    """The corpus of a target: what it takes, and what once broke it."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
