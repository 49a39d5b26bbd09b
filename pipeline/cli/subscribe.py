"""`camfleet subscribe`: read a running fleet's messages in a terminal or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.client import Subscriber
    from pipeline.wire import CameraState, FrameResult, Message


def subscribe(
    endpoint: Annotated[str, typer.Argument(help="Where the fleet publishes.")] = "tcp://127.0.0.1:5555",
    *,
    camera: Annotated[
        list[str] | None, typer.Option("--camera", "-c", help="Only this camera; may be given several times.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=0, help="End after so many frames; 0 never ends.")] = 0,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", min=0, help="Give up after so many seconds without a frame, and say why; 0 waits for ever."
        ),
    ] = 0.0,
    states: Annotated[
        bool,
        typer.Option(
            "--states",
            help="Also how the cameras are: a line whenever that changes; in --json every message, each with its kind.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, the keys of the wire.")] = False,
) -> None:
    """Print a line for every frame that a fleet publishes.

    Waits for the fleet if it is not running yet. Works in a pipe:
    camfleet subscribe --camera gate --json | jq -c '[.frame_id, (.tracks | length)]'
    camfleet subscribe --states --json | jq -c 'select(.kind == "cameras") | [.camera_id, .state, .detail]'
    """
    from pipeline.client import Subscriber

    lines = _Lines(states, as_json)
    seen = 0
    with Subscriber(endpoint, camera or None, states=True) as subscriber:
        for message in _messages(subscriber, timeout or None):
            seen += lines.show(message)
            if count and seen >= count:
                return


def _messages(
    subscriber: Subscriber[FrameResult | CameraState], timeout_s: float | None
) -> Iterator[FrameResult | CameraState]:
    """Everything that comes, as long as frames do: a camera that only says how it is has fallen silent.

    Raises:
        SubscriberTimeout: No frame for so long.
    """
    import time

    from pipeline.client import why_silent
    from pipeline.errors import SubscriberTimeout
    from pipeline.wire import FrameResult

    last_s = time.monotonic()
    while True:
        try:
            message = subscriber.receive(timeout_s and max(0.0, last_s + timeout_s - time.monotonic()))
        except SubscriberTimeout:
            why = why_silent(subscriber.states)
            raise SubscriberTimeout(f"no frame within {timeout_s:g} s; {why}") from None
        if isinstance(message, FrameResult):
            last_s = time.monotonic()
        yield message


class _Lines:
    """What is printed of the messages."""

    def __init__(self, states: bool, as_json: bool) -> None:
        self._states, self._as_json = states, as_json
        self._told: dict[str, tuple[str, str]] = {}

    def show(self, message: FrameResult | CameraState) -> bool:
        """Print it, if it was asked for; whether it was a frame."""
        from pipeline.wire import CameraState

        if isinstance(message, CameraState):
            if self._states and (self._as_json or self._is_news(message)):
                self._print(_json(message, kind=True) if self._as_json else readable_state(message))
            return False
        self._print(_json(message, kind=self._states) if self._as_json else readable(message))
        return True

    def _is_news(self, state: CameraState) -> bool:
        told, self._told[state.camera_id] = self._told.get(state.camera_id), (state.state, state.detail)
        return told != (state.state, state.detail)

    def _print(self, line: str) -> None:
        print(line, flush=True)


def _json(message: Message, *, kind: bool) -> str:
    import msgspec

    if not kind:
        return msgspec.json.encode(message).decode()
    return msgspec.json.encode({"kind": message.kind, **msgspec.structs.asdict(message)}).decode()


def readable(result: FrameResult) -> str:
    """One line for people: what, how old, and what is in the frame.

    A box is written as class, track id and, unless it was detected in this frame, `~` and the milliseconds since. A
    frame that no detection stands behind says so.
    """
    from pipeline.redact import printable

    boxes = "  ".join(
        f"{box.class_name}#{box.track_id}" + ("" if box.origin == "detected" else f"~{box.since_detected_ms:.0f}ms")
        for box in result.tracks
    )
    lost = f"  LOST {result.lost}" if result.lost else ""
    found = f"{len(result.tracks):>3} objects" if result.origin != "skipped" else "  ? objects"
    return printable(
        f"{result.camera_id:<12} {result.frame_id:>7}  {result.origin:<12} {result.age_ms:>6.1f} ms"
        f"  {found}{lost}  {boxes}"
    ).rstrip()


def readable_state(state: CameraState) -> str:
    """One line for people: how a camera is, since when, when it is tried again, and why."""
    from pipeline.observe.words import clock, sentence

    since = f" since {clock(state.since_ns)}" if state.since_ns else ""
    retry = f", next try at {clock(state.retry_at_ns)}" if state.retry_at_ns else ""
    why = f": {sentence(state.detail)}" if state.detail else ""
    return f"{state.camera_id:<12} is {state.state}{since}{retry}{why}"
