"""What a fleet file says of an MQTT sink."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from pipeline.config.base import Number, mistake
from pipeline.config.secret import Secret
from pipeline.config.sinks.address import Address, address_of
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.broker import CaFile

LONGEST_PREFIX = 1000
"""Bytes; MQTT's own bound is 65,535 for the whole topic."""


def _prefix(value: str) -> str:
    bad = any(one in "+#" or not one.isprintable() for one in value)
    if bad or "" in value.split("/") or value.startswith("$") or len(value.encode()) > LONGEST_PREFIX:
        raise mistake(
            "expected the beginning of a topic, such as camfleet/town: no + and #, no / at its ends, no $ in front"
        )
    return value


Prefix = Annotated[str, AfterValidator(_prefix), WithJsonSchema({"type": "string", "pattern": r"^[^+#]+$"})]
MqttUrl = Annotated[Address, address_of(mqtt=1883, mqtts=8883)]


class MqttSettings(SinkSettings):
    """Topics of an MQTT broker, all retained: how each camera is, how many objects of each class it sees."""

    kind: ClassVar[str] = "mqtt"
    extra: ClassVar[str] = "sinks"
    needs: ClassVar[tuple[str, ...]] = ("aiomqtt",)

    url: MqttUrl = Field(
        default="mqtt://127.0.0.1:1883",
        validate_default=True,
        description="The broker: mqtt://user@host:1883, or mqtts:// with TLS. Keep the password out of it.",
    )
    password: Secret | None = Field(default=None, description="The user's password, such as ${MQTT_PASSWORD}.")
    ca_file: CaFile = None
    client_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=128,
        description="What the broker knows the sink by; without it camfleet-FLEET-SINK. Two of one name put each "
        "other out.",
    )
    prefix: Prefix | None = Field(
        default=None,
        description="What its topics begin with; without it camfleet/FLEET. No two sinks share one: each clears "
        "what is there of cameras that its fleet does not have any more.",
    )
    qos: Literal[0, 1] = Field(
        default=1, description="1 has the broker confirm what it got; 0 takes what is on its way for received."
    )
    objects_hz: Number = Field(
        default=1.0,
        ge=0,
        le=5,
        description="How often a second, at most, a camera's newest frame is told with its boxes; 0 tells none. Counts "
        "and states come whenever they change.",
    )
    snapshots: bool = Field(
        default=False,
        description="Publish the newest picture of an event of each camera, JPEG, under `<camera>/snapshot`, and "
        "announce it to Home Assistant as an image; the fleet file needs `evidence`. Off, because it leaves this "
        "machine.",
    )
    discovery: bool = Field(
        default=False,
        description="Announce each camera to Home Assistant (2024.11 and later) as a device, with counts and presence "
        "by class. Off, because it writes outside of `prefix`.",
    )
    discovery_prefix: Prefix = Field(
        default="homeassistant", description="Where Home Assistant looks, as its MQTT integration is set."
    )
