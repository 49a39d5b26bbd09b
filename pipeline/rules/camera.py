"""The rules of one camera: every frame's result in, the events that it brings out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from pipeline.config.rules import Anchor, Rules
from pipeline.errors import RuleError
from pipeline.rules.geometry import Places, Points, anchors
from pipeline.rules.held import Held, HeldState
from pipeline.rules.lines import AtLine, LineState
from pipeline.rules.objects import Here, Objects, Seen
from pipeline.rules.tell import Moment, Teller
from pipeline.rules.zones import AtZone, ZoneState
from pipeline.wire import FrameResult
from pipeline.wire.event import Event


class RulesState(msgspec.Struct):
    """All that is remembered of a camera; what can be kept on disk as it is."""

    objects: Objects = msgspec.field(default_factory=Objects)
    zones: dict[str, ZoneState] = {}
    lines: dict[str, LineState] = {}
    held: dict[str, HeldState] = {}


class CameraRules:
    """Judges a camera's results, one after the other; not thread-safe."""

    def __init__(self, rules: Rules, state: bytes = b"") -> None:
        """Begin, or go on where `state` was.

        Args:
            rules: The camera's.
            state: What another one had as `state` before it ended; rules that are new since begin by themselves, those
                that are gone are forgotten.

        Raises:
            RuleError: `state` is none.
        """
        self.rules = rules
        try:
            self._state = msgspec.msgpack.decode(state, type=RulesState) if state else RulesState()
        except msgspec.DecodeError as error:
            raise RuleError(f"what is remembered of events is damaged ({error}); delete it to begin anew") from None
        self._state.zones = {name: self._state.zones.get(name) or ZoneState() for name in rules.zones}
        self._state.lines = {name: self._state.lines.get(name) or LineState() for name in rules.lines}
        self._state.held = {
            name: self._state.held.get(name) or HeldState() for name, zone in rules.zones.items() if zone.attributes
        }
        self._places: Places | None = None
        self._zones: dict[str, AtZone] = {}
        self._lines: dict[str, AtLine] = {}
        self._held: dict[str, Held] = {}
        self._picture_wh = (0, 0)
        self._eager = any(zone.rests_on == "any" for zone in rules.zones.values())

    @property
    def state(self) -> bytes:
        """All that is remembered: with it another one goes on as if nothing had been."""
        return msgspec.msgpack.encode(self._state)

    def update(self, result: FrameResult) -> list[Event]:
        """The events that a frame brings.

        Args:
            result: The next frame of the camera. One of which nothing is known (`skipped`) brings none, and is no time
                in which nothing was there.

        Raises:
            RuleError: A zone or line lies outside the picture.
        """
        if result.origin == "skipped":
            return []
        now_ns = self._state.objects.moment(result)
        places = self._fit(result, now_ns)
        here = self._state.objects.update(result, now_ns)
        sight = _Sight(here, list(self._state.objects.forget()))
        return [*self._of_zones(sight, places), *self._of_lines(sight, places)]

    def _of_zones(self, sight: _Sight, places: Places) -> Iterator[Event]:
        # Predicted boxes move nobody in or out of a zone that waits for detections.
        looked = places.inside(sight.points) if sight.is_detected or self._eager else None
        for name, at_zone in self._zones.items():
            held = self._held.get(name)
            for seen in sight.gone:
                yield from at_zone.lose(seen) if held is None else held.lose(at_zone.lose(seen), seen)
            inside = looked[name] if looked is not None else at_zone.known(sight.ids)
            if held is not None:
                yield from held.update(at_zone.see(sight.here, sight.ids, inside), sight.seen)
            elif not at_zone.is_quiet(sight.ids, inside, self._moment.now_ns):
                yield from at_zone.see(sight.here, sight.ids, inside)

    def _of_lines(self, sight: _Sight, places: Places) -> Iterator[Event]:
        sides_px = places.sides_px(sight.points)
        for name, at_line in self._lines.items():
            for seen in sight.gone:
                yield from at_line.lose(seen)
            yield from at_line.see(sight.here, sight.ids, sides_px[name])

    def _fit(self, result: FrameResult, now_ns: int) -> Places:
        """Zones and lines in pixels of this frame, which is judged now."""
        if self._places is None or result.frame_wh != self._picture_wh:
            try:
                self._places, self._picture_wh = Places.of(self.rules, result.frame_wh), result.frame_wh
            except RuleError as error:
                raise RuleError(f"camera {result.camera_id}: {error}") from None
            self._moment = Moment(result, now_ns)
            self._lay(self._places, self._moment)
        self._moment.frame, self._moment.now_ns = result, now_ns
        return self._places

    def _lay(self, places: Places, moment: Moment) -> None:
        """Have every rule in its place; they judge by the moment."""
        self._zones = {
            name: AtZone(zone, self._state.zones[name], Teller(moment, name, zone), places.areas[name])
            for name, zone in self.rules.zones.items()
        }
        self._lines = {
            name: AtLine(line, self._state.lines[name], Teller(moment, name, line), places.barriers[name])
            for name, line in self.rules.lines.items()
        }
        self._held = {
            name: Held(self.rules.zones[name], state, self._zones[name].teller)
            for name, state in self._state.held.items()
        }


class _Sight:
    """What there is to be judged on a frame."""

    def __init__(self, here: Sequence[Here], gone: Sequence[Seen]) -> None:
        self.here, self.gone = here, gone
        self.ids = [one.seen.object_id for one in here]
        self.is_detected = any(one.look is not None for one in here)
        self._known: dict[Anchor, Points] = {}

    @property
    def seen(self) -> dict[str, Seen]:
        """Who is here, by the object's id."""
        return {one.seen.object_id: one.seen for one in self.here}

    def points(self, on: Anchor) -> Points:
        """(N, 2) float64, px: the point of each box that rules look at, computed when it is first asked for."""
        if on not in self._known:
            boxes = np.array([one.box.xyxy for one in self.here], np.float64).reshape(-1, 4)
            self._known[on] = anchors(boxes, on)
        return self._known[on]
