"""What somebody else hears from an MQTT broker."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.servers import PASSWORD, USER


class MqttListener:
    """Subscribes to everything, and again whenever the broker comes back.

    Attributes:
        kept: The newest body of each topic; those that were cleared are gone.
        heard: Every message: topic, body, and whether it was kept from before.
    """

    def __init__(self, port: int, *, login: bool = False) -> None:
        self.kept: dict[str, bytes] = {}
        self.heard: list[tuple[str, bytes, bool]] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        if login:
            self._client.username_pw_set(USER, PASSWORD)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_message = lambda client, _, message: self._hear(message)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def _hear(self, message: mqtt.MQTTMessage) -> None:
        self.heard.append((message.topic, message.payload, message.retain))
        if message.payload:
            self.kept[message.topic] = message.payload
        else:
            self.kept.pop(message.topic, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def kept_by(port: int) -> dict[str, bytes]:
    """What a broker has kept: what one hears who has just come, up to a message of one's own."""
    with MqttListener(port) as listener:
        client = listener._client
        while not any(topic == "the end" for topic, _, _ in listener.heard):
            client.publish("the end", b"x").wait_for_publish(5)
    return {topic: body for topic, body, retained in listener.heard if retained}
