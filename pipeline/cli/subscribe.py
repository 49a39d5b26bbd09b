"""`camfleet subscribe`: read a running fleet's messages in a terminal or a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.settings import KeyOption, ServerKeyOption, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.client import Statistics, Subscriber
    from pipeline.wire import CameraState, FleetState, FrameResult, Message

DEFAULT = "tcp://127.0.0.1:5555"


def subscribe(
    endpoint: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Where the fleet publishes; several for several fleets. \\[default: {DEFAULT}]", show_default=False
        ),
    ] = None,
    *,
    camera: Annotated[
        list[str] | None, typer.Option("--camera", "-c", help="Only this camera; may be given several times.")
    ] = None,
    class_name: Annotated[
        list[str] | None,
        typer.Option(
            "--class", metavar="NAME", help="Only objects of this class; may be given several times. Frames all come."
        ),
    ] = None,
    min_score: Annotated[
        float, typer.Option("--min-score", min=0, max=1, help="Only objects from this score on. Frames all come.")
    ] = 0.0,
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
    fleet: Annotated[
        bool,
        typer.Option(
            "--fleet",
            help="Also how the fleet is, once a second: whether it keeps its promise, and who breaks it.",
        ),
    ] = False,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="Let frames travel in a sixth of the bytes, rounded to tenths of a pixel."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, the keys of the wire.")] = False,
    key: KeyOption = None,
    server_key: ServerKeyOption = None,
) -> None:
    """Print a line for every frame that a fleet publishes.

    Waits for the fleet if it is not running yet. At the end it tells what it has missed. Works in a pipe:

        camfleet subscribe --camera gate --json | jq -c '[.frame_id, (.tracks | length)]'
        camfleet subscribe --states --json | jq -c 'select(.kind == "cameras") | [.camera_id, .state, .detail]'
        camfleet subscribe --fleet --json | jq -c 'select(.kind == "fleet") | [.kept, .broken_by]'
    """
    from pipeline.client import Subscriber

    lines = _Lines(states=states, fleet=fleet, as_json=as_json)
    seen = 0
    with Subscriber(
        endpoint or DEFAULT,
        camera or None,
        classes=class_name or None,
        min_score=min_score,
        states="all",
        compact=compact,
        key=key_of(key, server_key),
    ) as subscriber:
        try:
            for message in _messages(subscriber, timeout or None):
                seen += lines.show(message)
                if count and seen >= count:
                    return
        finally:
            _tell_missed(subscriber.statistics())


def _tell_missed(statistics: Statistics) -> None:
    """A line on stderr, unless all has arrived."""
    import sys

    if statistics.missed:
        print(f"camfleet: {readable_missed(statistics)}", file=sys.stderr)


def _messages(subscriber: Subscriber[Message], timeout_s: float | None) -> Iterator[Message]:
    """Everything that comes, as long as frames do: a camera that only says how it is has fallen silent.

    Raises:
        SubscriberTimeout: No frame for so long.
    """
    import time

    from pipeline.errors import SubscriberTimeout
    from pipeline.wire import FrameResult

    last_s = time.monotonic()
    while True:
        try:
            message = subscriber.receive(timeout_s and max(0.0, last_s + timeout_s - time.monotonic()))
        except SubscriberTimeout:
            raise SubscriberTimeout(f"no frame within {timeout_s:g} s; {subscriber.why_silent()}") from None
        if isinstance(message, FrameResult):
            last_s = time.monotonic()
        yield message


class _Lines:
    """What is printed of the messages."""

    def __init__(self, *, states: bool, fleet: bool, as_json: bool) -> None:
        self._states, self._fleet, self._as_json = states, fleet, as_json
        self._told: dict[str, tuple[str, str]] = {}

    def show(self, message: Message) -> bool:
        """Print it, if it was asked for; whether it was a frame."""
        from pipeline.wire import CameraState, FleetState, FrameResult

        if isinstance(message, FrameResult):
            self._print(readable(message), message)
        elif isinstance(message, FleetState) and self._fleet:
            self._print(readable_fleet(message), message)
        elif isinstance(message, CameraState) and self._states and (self._as_json or self._is_news(message)):
            self._print(readable_state(message), message)
        return isinstance(message, FrameResult)

    def _is_news(self, state: CameraState) -> bool:
        told, self._told[state.camera_id] = self._told.get(state.camera_id), (state.state, state.detail)
        return told != (state.state, state.detail)

    def _print(self, line: str, message: Message) -> None:
        print(_json(message, kind=self._states or self._fleet) if self._as_json else line, flush=True)


def _json(message: Message, *, kind: bool) -> str:
    import msgspec

    if not kind:
        return msgspec.json.encode(message).decode()
    return msgspec.json.encode({"kind": message.kind, **msgspec.structs.asdict(message)}).decode()


def readable(result: FrameResult) -> str:
    """One line for people: what, how old, and what is in the frame.

    A box is written as class, track id and, unless it was detected in this frame, `~` and the milliseconds since; then
    in brackets what second looks have found. A frame that no detection stands behind says so.
    """
    from pipeline.redact import printable

    boxes = "  ".join(
        f"{box.class_name}#{box.track_id}"
        + ("" if box.origin == "detected" else f"~{box.since_detected_ms:.0f}ms")
        + (f"({box.labels})" if box.attributes else "")
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


def readable_fleet(fleet: FleetState) -> str:
    """One line for people: whether a fleet keeps its promise, who breaks it, and what it does."""
    from pipeline.observe.words import sentence, some

    frames = sum(camera.frame_hz for camera in fleet.cameras.values())
    detected = sum(camera.detect_hz for camera in fleet.cameras.values())
    restarts = sum(process.restarts for process in fleet.processes)
    verdict = {
        True: f"keeps p95 ≤ {fleet.p95_ms:g} ms",
        False: f"does not keep p95 ≤ {fleet.p95_ms:g} ms",
        None: "cannot say yet whether it keeps its promise",
    }[fleet.kept]
    does = f"{len(fleet.cameras)} cameras, {frames:.0f} frames/s, {detected:.0f} detected/s"
    again = f", {restarts} restarts" if restarts else ""
    why = [*fleet.broken_by.items(), *fleet.loss_broken_by.items()]
    broken = some([sentence(f"{name}: {reason}") for name, reason in why])
    return f"{fleet.fleet:<12} {verdict}{_of_loss(fleet)}; {does}{again}{'; ' * bool(broken)}{broken}"


def _of_loss(fleet: FleetState) -> str:
    """The verdict on the promise of accuracy; nothing where there is none."""
    if fleet.max_loss is None:
        return ""
    word = {True: "keeps", False: "does not keep", None: "cannot say yet whether it keeps"}[fleet.loss_kept]
    return f", {word} loss ≤ {fleet.max_loss:g}"


def readable_missed(statistics: Statistics) -> str:
    """One line for people: how many frames did not arrive, of which cameras, and what else happened."""
    from pipeline.observe.words import some

    cameras = sorted(statistics.missed.items(), key=lambda item: -item[1])
    events = [
        f"{count} {event}"
        for count, event in (
            (statistics.reconnects, "reconnections"),
            (statistics.publisher_restarts, "restarts of the publisher"),
        )
        if count
    ]
    return (
        f"{sum(statistics.missed.values())} frames were published and did not arrive: "
        f"{some([f'{count} of {camera_id}' for camera_id, count in cameras])}"
        f"{'; ' * bool(events)}{', '.join(events)}"
    )
