"""How a camera introduces itself to Home Assistant: its MQTT discovery, one message a device.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload, which Home Assistant knows since 2024.11.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pipeline.sink.names import node, slug

SEEING = "{{ 'online' if value_json.state in ['live', 'degraded'] else 'offline' }}"
"""A camera is available while its pictures are detected: `pipeline.wire.SEEING`."""
TYPED = "{{ dict(value_json, event_type=value_json.happening) | tojson }}"
STARTS = "{{ value_json.happening if value_json.phase in ['begin', 'once'] and not value_json.revised else '' }}"
PRESENT = "{{ 'ON' if value | int(0) > 0 else 'OFF' }}"


def config_topic(discovery_prefix: str, fleet: str, camera_id: str) -> str:
    """Where a camera is announced; an empty message there takes it away again."""
    return f"{discovery_prefix}/device/{node(f'camfleet-{fleet}')}/{node(camera_id)}/config"


def device_config(  # noqa: PLR0917
    fleet: str,
    camera_id: str,
    prefix: str,
    classes: Mapping[str, str],
    happenings: Iterable[tuple[str, str]],
    qos: int,
    *,
    snapshots: bool = False,
) -> bytes:
    """A camera's announcement, JSON: its state, how many of each class and whether any, and what happens where.

    Args:
        fleet: The fleet's name.
        camera_id: The camera.
        prefix: What the topics of the fleet begin with.
        classes: Names of the classes, by the level of their topics.
        happenings: Zones and lines, and what has happened there: an entity that tells the newest for each zone or
            line, and a trigger for automations for each that begins.
        qos: With which Home Assistant subscribes.
        snapshots: Whether pictures of events are published.
    """
    identity, status = f"camfleet/{fleet}/{camera_id}", {"topic": f"{prefix}/status"}
    components = {"state": {**_state(f"{prefix}/{camera_id}/state"), "availability": [status]}}
    for level, name in sorted(classes.items()):
        topic = f"{prefix}/{camera_id}/count/{level}"
        components[f"count_{node(name)}"] = _count(name, topic)
        components[f"presence_{node(name)}"] = _presence(name, topic)
    if snapshots:
        components["snapshot"] = _snapshot(f"{prefix}/{camera_id}/snapshot")
    triggers: dict[str, dict[str, Any]] = {}
    for rule in sorted({rule for rule, _ in happenings}):
        topic, kinds = f"{prefix}/{camera_id}/events/{rule}", sorted(what for one, what in happenings if one == rule)
        components[f"events_{node(rule)}"] = _events(rule, topic, kinds)
        triggers |= {f"trigger_{node(rule)}_{what}": _trigger(rule, topic, what) for what in kinds}
    for key, one in components.items():
        one["unique_id"] = f"{identity}/{key}"
        # What Home Assistant would make of the names, too; said so that no naming rule of a later one changes it.
        one["default_entity_id"] = f"{one['platform']}.{slug(fleet, camera_id, one['name'])}"
    config = {
        "device": {
            "identifiers": [identity],
            "name": f"{fleet} {camera_id}",
            "manufacturer": "camfleet",
            "model": "camera",
        },
        "origin": {"name": "camfleet"},
        "availability": [status, {"topic": f"{prefix}/{camera_id}/state", "value_template": SEEING}],
        "availability_mode": "all",
        "qos": qos,
        "components": components | triggers,
    }
    return msgspec.json.encode(config)


def _state(topic: str) -> dict[str, Any]:
    """Available while the sink is: of a camera that is away, it says so."""
    return {
        "platform": "sensor",
        "name": "state",
        "state_topic": topic,
        "value_template": "{{ value_json.state }}",
        "json_attributes_topic": topic,
        "entity_category": "diagnostic",
        "icon": "mdi:cctv",
    }


def _count(name: str, topic: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "name": name,
        "state_topic": topic,
        "state_class": "measurement",
        "icon": "mdi:counter",
    }


def _snapshot(topic: str) -> dict[str, Any]:
    """https://www.home-assistant.io/integrations/image.mqtt/: the newest picture of an event."""
    return {
        "platform": "image",
        "name": "snapshot",
        "image_topic": topic,
        "content_type": "image/jpeg",
        "icon": "mdi:camera-iris",
    }


def _events(rule: str, topic: str, kinds: list[str]) -> dict[str, Any]:
    """https://www.home-assistant.io/integrations/event.mqtt/: takes JSON with `event_type`."""
    return {
        "platform": "event",
        "name": rule,
        "state_topic": topic,
        "event_types": kinds,
        "value_template": TYPED,
        "icon": "mdi:motion-sensor",
    }


def _trigger(rule: str, topic: str, happening: str) -> dict[str, Any]:
    """https://www.home-assistant.io/integrations/device_trigger.mqtt/: when it begins, or happens."""
    return {
        "platform": "device_automation",
        "automation_type": "trigger",
        "type": happening,
        "subtype": rule,
        "topic": topic,
        "value_template": STARTS,
        "payload": happening,
    }


def _presence(name: str, topic: str) -> dict[str, Any]:
    return {
        "platform": "binary_sensor",
        "name": name,
        "state_topic": topic,
        "value_template": PRESENT,
        "device_class": "occupancy",
    }
