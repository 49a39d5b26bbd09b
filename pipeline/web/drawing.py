"""Zones and lines that somebody draws on the page: checked as `camfleet check` does. Nothing is written or changed."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pipeline.config.rulesdraft import Drawn, Section, check_drawn
from pipeline.errors import ConfigError
from pipeline.redact import redact

LONGEST = 64 << 10
"""Bytes: about a hundred zones of ten corners."""

Scalar = str | float | int | bool | None


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A zone or line, as `pipeline.config.rulesdraft.Drawn` has it."""

    section: Section
    name: Annotated[str, msgspec.Meta(max_length=200)]
    keys: dict[str, Scalar | list[Scalar | list[Scalar]] | dict[str, Scalar | list[Scalar]]]


_shapes = msgspec.json.Decoder(Annotated[list[Shape], msgspec.Meta(max_length=256)])


class Drawing:
    """Checks what browsers draw; belongs to an event loop."""

    def __init__(self) -> None:
        """Nobody draws yet."""
        self._turn = asyncio.Lock()

    async def check(self, request: Request) -> Response:
        """Answers `yaml`, what is right as a fleet file says it, and `mistakes`: `section`, `name`, `key`, `text`."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST:
                return JSONResponse({"error": f"is larger than {LONGEST >> 10} KiB"}, 413)
        try:
            shapes = _shapes.decode(body)
            drawn = [Drawn(shape.section, shape.name, shape.keys) for shape in shapes]
            # In a thread, and one at a time: pictures do not wait for it.
            async with self._turn:
                checked = await asyncio.to_thread(check_drawn, drawn)
        except (msgspec.MsgspecError, RecursionError):
            return JSONResponse({"error": "is no list of zones and lines"}, 400)
        except ConfigError as error:
            return JSONResponse({"error": redact(error)}, 422)
        return Response(msgspec.json.encode(checked), media_type="application/json")
