"""Asks the fleet that the page belongs to, through its control socket, in an event loop."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import ControlError

SOCKET = "control"
"""As `pipeline.supervise.control` calls it; whoever starts a fleet in Python may go without."""
ANSWER_S = 30.0
MOST_BYTES = 4 << 20


def can_be_asked(directory: Path) -> bool:
    """Whether there is a socket to ask through."""
    return (directory / SOCKET).exists()


async def ask(directory: Path, request: Mapping[str, Any], answer_s: float = ANSWER_S) -> Any:
    """The fleet's answer.

    Raises:
        ControlError: It refuses, or does not answer in time.
    """
    try:
        async with asyncio.timeout(answer_s):
            answer = json.loads(await _exchange(directory / SOCKET, json.dumps(request).encode() + b"\n"))
    except (OSError, ValueError, TimeoutError, asyncio.LimitOverrunError):
        raise ControlError("the fleet does not answer; is it ending, or busy with another change?") from None
    if not answer.get("ok"):
        raise ControlError(str(answer.get("error")))
    return answer.get("result")


async def _exchange(socket: Path, line: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(socket), limit=MOST_BYTES)
    try:
        writer.write(line)
        await writer.drain()
        return await reader.readline()
    finally:
        writer.close()
