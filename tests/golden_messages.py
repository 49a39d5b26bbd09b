"""The messages of each released version as they went over the wire, and their JSON Schema, kept for ever.

A version is written once, from `tests/wire_messages.py`, before it is released:

    python -m tests.golden_messages 1.0

What is there is never written again: it is what programs of other people were made for.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.wire import compact, encode, publisher_id, stamp, to_json
from pipeline.wire.schema import message_schema
from tests.wire_messages import ALL, FRAME

GOLDEN = Path(__file__).parent / "golden"
SCHEMA = "schema.json"
PUBLISHER, NUMBER = "5f2a90c1d7e4", 41


def written() -> Iterator[tuple[str, bytes]]:
    """The files of a version: every kind of message, numbered as a publisher does, in both encodings."""
    for message in (*ALL, compact(FRAME)):
        body = stamp(encode(message), publisher_id(PUBLISHER), NUMBER)
        yield f"{message.kind}.msgpack", body
        yield f"{message.kind}.json", to_json(body)
    yield SCHEMA, json.dumps(message_schema(), indent=1, ensure_ascii=False).encode() + b"\n"


def main() -> None:
    """Write a version that is not there yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("version")
    folder = GOLDEN / parser.parse_args().version
    folder.mkdir(parents=True)
    for name, content in written():
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
