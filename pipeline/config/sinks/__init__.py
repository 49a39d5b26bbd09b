"""What a fleet file says of its sinks: one kind a file, known by its class.

A kind is there once its module is named here; `choice.py` makes of all of them what a fleet file may say.
"""

from pipeline.config.sinks import database, file, kafka, mqtt, nats, redis, traces, webhook

__all__ = ["database", "file", "kafka", "mqtt", "nats", "redis", "traces", "webhook"]
