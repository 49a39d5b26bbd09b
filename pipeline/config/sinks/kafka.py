"""What a fleet file says of a Kafka sink."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipeline.config.secret import Secret
from pipeline.config.sinks.address import Address, address_of
from pipeline.config.sinks.base import SinkSettings
from pipeline.config.sinks.broker import CaFile, Encoding, template_of

KafkaUrl = Annotated[Address, address_of(kafka=9092, kafkas=9093)]


class KafkaSettings(SinkSettings):
    """Topics of a Kafka cluster; the key of a message is its camera, so each camera's order holds."""

    kind: ClassVar[str] = "kafka"
    extra: ClassVar[str] = "sinks"
    needs: ClassVar[tuple[str, ...]] = ("aiokafka",)

    url: KafkaUrl = Field(
        default="kafka://127.0.0.1:9092",
        validate_default=True,
        description="One of its brokers, which names the others: kafka://user@host:9092, or kafkas:// with TLS.",
    )
    password: Secret | None = Field(default=None, description="The user's password, such as ${KAFKA_PASSWORD}.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512",
        description="How user and password are shown, by SASL's names. PLAIN sends them as they are: with TLS only.",
    )
    ca_file: CaFile = None
    topic: Annotated[str, template_of("_.-")] = Field(
        default="camfleet.{fleet}.{kind}",
        description="Which topic a message goes to; {kind} is detections, cameras or fleet. Made by the cluster, or by "
        "whoever runs it.",
    )
    encoding: Encoding = Field(default="json", description="How messages are written.")
