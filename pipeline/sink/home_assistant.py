"""How a camera introduces itself to Home Assistant: its MQTT discovery, one message a device.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload, which Home Assistant knows since 2024.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.sink.names import node, slug

SEEING = "{{ 'online' if value_json.state in ['live', 'degraded'] else 'offline' }}"
"""A camera is available while its pictures are detected: `pipeline.wire.SEEING`."""
PRESENT = "{{ 'ON' if value | int(0) > 0 else 'OFF' }}"


def config_topic(discovery_prefix: str, fleet: str, camera_id: str) -> str:
    """Where a camera is announced; an empty message there takes it away again."""
    return f"{discovery_prefix}/device/{node(f'camfleet-{fleet}')}/{node(camera_id)}/config"


def device_config(fleet: str, camera_id: str, prefix: str, classes: Mapping[str, str], qos: int) -> bytes:
    """A camera's announcement, JSON: its state, and for each class how many there are and whether there is any.

    Args:
        fleet: The fleet's name.
        camera_id: The camera.
        prefix: What the topics of the fleet begin with.
        classes: Names of the classes, by the level of their topics.
        qos: With which Home Assistant subscribes.
    """
    identity, status = f"camfleet/{fleet}/{camera_id}", {"topic": f"{prefix}/status"}
    components = {"state": {**_state(f"{prefix}/{camera_id}/state"), "availability": [status]}}
    for level, name in sorted(classes.items()):
        topic = f"{prefix}/{camera_id}/count/{level}"
        components[f"count_{node(name)}"] = _count(name, topic)
        components[f"presence_{node(name)}"] = _presence(name, topic)
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
        "components": components,
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


def _presence(name: str, topic: str) -> dict[str, Any]:
    return {
        "platform": "binary_sensor",
        "name": name,
        "state_topic": topic,
        "value_template": PRESENT,
        "device_class": "occupancy",
    }
