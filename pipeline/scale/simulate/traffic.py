"""Messages: how many a fleet sends, what they weigh, and what proxies and subscribers do for them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pipeline.scale.simulate.measured import Measured
from pipeline.scale.simulate.scenario import Scenario

BITS, GIGA = 8, 1e9
US = 1e-6


@dataclass(frozen=True, slots=True)
class Traffic:
    """What goes through a fleet's proxies at one moment.

    Attributes:
        in_hz: Messages from shards; a proxy hears all of them, since it keeps the newest of each camera.
        copies_hz: Messages to subscribers, all together.
        reader_hz: Messages to one that hears everything.
        message_bytes: Of each, on average.
        in_cores: CPU time a second that a single proxy would need for what comes in.
        out_cores: The same for what goes out.
        reader_cores: The same for one in Python that hears everything.
    """

    in_hz: float
    copies_hz: float
    reader_hz: float
    message_bytes: float
    in_cores: float
    out_cores: float
    reader_cores: float

    @property
    def proxy_busy(self) -> float:
        """How busy the busier of one proxy's two threads would be: one hands on, ZeroMQ's encrypts and sends."""
        return max(self.in_cores, self.out_cores)

    @property
    def out_gbit(self) -> float:
        """To subscribers, Gbit/s."""
        return self.copies_hz * self.message_bytes * BITS / GIGA

    @property
    def reader_gbit(self) -> float:
        """To one that hears everything, Gbit/s."""
        return self.reader_hz * self.message_bytes * BITS / GIGA


def traffic(scenario: Scenario, costs: Measured, cameras: float, asked: float = 1.0) -> Traffic:
    """What so many cameras send, at an hour when they send this share of their frames.

    Objects in sight go with the hour as frames do. Every decoded frame is a message.
    """
    who, camera = scenario.subscribers, scenario.camera
    sent_hz = cameras * camera.fps * asked
    desks = cameras / 1000 * who.desks_per_1000
    desks_hz = desks * min(who.desk_cameras, cameras) * camera.fps * asked
    copies_hz = who.everything * sent_hz + desks_hz
    size = message_bytes(scenario, costs, asked)
    in_us = sent_hz * (costs.proxy_message_us.value + size * costs.proxy_byte_us.value)
    out_us = copies_hz * (costs.proxy_copy_us.value + size * costs.proxy_copied_byte_us.value)
    reader_us = sent_hz * (costs.reader_message_us.value + size * costs.reader_byte_us.value)
    return Traffic(sent_hz, copies_hz, sent_hz, size, US * in_us, US * out_us, US * reader_us)


def message_bytes(scenario: Scenario, costs: Measured, asked: float = 1.0) -> float:
    """A frame's message with the objects that are in sight at such an hour."""
    objects = scenario.camera.objects * asked
    if scenario.subscribers.compact:
        return costs.compact_frame_bytes.value + objects * costs.compact_object_bytes.value
    return costs.frame_bytes.value + objects * costs.object_bytes.value


def proxies(scenario: Scenario, seen: Traffic) -> int:
    """How many processes carry it, each as busy as the scenario allows, copies included.

    Shards are shared out among them, so that each takes its part of what comes and what goes.
    """
    by_core = seen.proxy_busy / scenario.proxies.full
    by_network = seen.out_gbit / scenario.node.network_gbit / scenario.proxies.full
    return scenario.proxies.copies * max(1, math.ceil(max(by_core, by_network)))
