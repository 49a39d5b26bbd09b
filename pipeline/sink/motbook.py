"""MOTChallenge's text: a file for each camera and session, and beside it an `.ini` with what has no line.

The format: https://motchallenge.net/instructions/; its last three numbers mean nothing in pictures.
"""

from __future__ import annotations

import configparser
from collections.abc import Sequence
from pathlib import Path

from pipeline.sink.book import SessionKey, final_of, unwritable
from pipeline.sink.textbook import TextBook, whole_lines
from pipeline.wire import FrameResult, Message

_RATE = 25.0
"""Said of a session that has one frame so far."""
_BYTES = "bytes"


class MotLines:
    """A line for each object; frames and classes are counted from 1."""

    suffix, header = ".txt", b""

    def __init__(self, key: SessionKey, whole: int | None = None) -> None:
        """Of this session alone; of a file that was left, so many bytes are known to hold whole frames."""
        self._key, self._whole = key, whole

    def lines(self, message: Message) -> bytes:
        """None of a frame without objects."""
        if not isinstance(message, FrameResult):
            return b""
        return "".join(
            f"{message.frame_id + 1},{box.track_id},{left:.2f},{top:.2f},{right - left:.2f},{bottom - top:.2f},"
            f"{box.score:.4f},{box.class_id + 1},-1,-1\n"
            for box in message.tracks
            for left, top, right, bottom in (box.xyxy,)
        ).encode()

    def frame_of(self, line: bytes) -> tuple[SessionKey, int] | None:
        """By its first number."""
        number = line.partition(b",")[0]
        return (self._key, int(number) - 1) if number.isdigit() and len(number) < 19 else None

    def whole(self, content: bytes) -> int:
        """As the `.ini` says: nothing in the lines tells whether a frame has another one."""
        lines = whole_lines(content)
        return lines if self._whole is None or not 0 <= self._whole <= lines else self._whole


class MotBook:
    """The lines of a session, and its `.ini`, which says how many bytes of them are right."""

    def __init__(self, part: Path, key: SessionKey) -> None:
        """Begin, or go on; raises as `TextBook` does."""
        self._ini = final_of(part).with_suffix(".ini")
        self._text = TextBook(part, MotLines(key, _whole(self._ini)))
        self._first: FrameResult | None = None
        self._last: FrameResult | None = None

    @property
    def size(self) -> int:
        """Bytes; something as soon as there was a frame."""
        return self._text.size or int(self._last is not None)

    def add(self, messages: Sequence[Message]) -> None:
        """Append the lines of these, and say how many frames there are."""
        self._text.add(messages)
        for message in messages:
            if isinstance(message, FrameResult):
                self._first, self._last = self._first or message, message
        if self._first is not None and self._last is not None:
            self._describe(self._first, self._last)

    def close(self) -> None:
        """Give it its name."""
        self._text.close()

    def _describe(self, first: FrameResult, last: FrameResult) -> None:
        """As `seqinfo.ini` does."""
        frames, seconds = last.frame_id - first.frame_id, last.pts_s - first.pts_s
        rate = frames / seconds if frames > 0 and seconds > 0 else _RATE
        width, height = last.frame_wh
        beside = self._ini.with_suffix(".ini.new")
        try:
            beside.write_text(
                f"[Sequence]\nname={self._ini.stem}\nframeRate={rate:.3f}\nseqLength={last.frame_id + 1}\n"
                f"imWidth={width}\nimHeight={height}\n{_BYTES}={self._text.size}\n"
            )
            beside.replace(self._ini)
        except OSError as error:
            raise unwritable(self._ini, error) from error


def _whole(ini: Path) -> int | None:
    """How many bytes of the lines are right; None where that is not known."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(ini.read_text())
        return parser.getint("Sequence", _BYTES)
    except (OSError, ValueError, configparser.Error):
        return None
