"""What the page serves, by path."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from pipeline.config.page import Page
from pipeline.errors import ControlError, PageError
from pipeline.redact import redact
from pipeline.web import control
from pipeline.web.drawing import Drawing
from pipeline.web.hearing import Heard
from pipeline.web.inlet import Inlets
from pipeline.web.live import Live
from pipeline.web.operations import routes as operations
from pipeline.web.safety import COOKIE, Guard, same, ticket
from pipeline.web.snapshot import snapshot

STATIC = Path(__file__).parent / "static"
LONGEST_FORM = 1024
"""Bytes."""
SNAPSHOTS_AT_ONCE = 4
CHANGES = {"pause": "camera-pause", "resume": "camera-resume"}

Endpoint = Callable[[Request], Awaitable[Response]]


class Site:
    """The page of one fleet; belongs to an event loop.

    Attributes:
        app: What uvicorn serves.
        heard: What is known of the fleet.
    """

    def __init__(self, page: Page, directory: Path, inside: str, fleet: str) -> None:
        """Prepare; nothing is heard before it is entered."""
        self._page, self._directory, self._inside = page, directory, inside
        self.heard = Heard(fleet, directory, inside)
        self._inlets = Inlets()
        self._live = Live(self.heard, self._inlets, directory, may_change=page.token is not None)
        self._snapshots = asyncio.Semaphore(SNAPSHOTS_AT_ONCE)
        self.app: ASGIApp = Guard(Starlette(routes=self._routes()), page)

    async def __aenter__(self) -> Self:
        self._live.open()
        self.heard.open(self._inlets)
        self._inlets.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.close()
        self._inlets.close()

    def _routes(self) -> list[BaseRoute]:
        return [
            Route("/", self._index),
            Route("/login", self._ask_token),
            Route("/login", self._take_token, methods=["POST"]),
            Route("/logout", self._leave, methods=["POST"]),
            WebSocketRoute("/live", self._live.serve),
            Route("/cameras/{camera}.jpg", self._picture),
            Route("/api/history/{camera}", self._history),
            Route("/api/cameras/{camera}/{change}", self._change, methods=["POST"]),
            Route("/api/reload", self._reload, methods=["POST"]),
            Route("/api/rules/check", Drawing().check, methods=["POST"]),
            Mount("/static", _Static(directory=STATIC)),
            *operations(self.heard),
        ]

    async def _index(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def _ask_token(self, request: Request) -> Response:
        if self._page.token is None:
            return RedirectResponse("/", 303)
        return FileResponse(STATIC / "login.html", headers={"cache-control": "no-cache"})

    async def _take_token(self, request: Request) -> Response:
        if self._page.token is None:
            return RedirectResponse("/", 303)
        given = await _field(request, "token")
        if given is None or not same(given, self._page.token.reveal()):
            return FileResponse(STATIC / "refused.html", 401)
        response = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        response.set_cookie(
            COOKIE, ticket(self._page.token.reveal()), httponly=True, samesite="strict", secure=secure, path="/"
        )
        return response

    async def _leave(self, request: Request) -> Response:
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")
        return response

    async def _picture(self, request: Request) -> Response:
        camera_id = request.path_params["camera"]
        if not self.heard.knows(camera_id):
            return PlainTextResponse("the fleet has no such camera\n", 404)
        boxes = request.query_params.get("boxes", "0") not in ("", "0", "false", "no")
        if self._snapshots.locked():
            return PlainTextResponse("too many ask for pictures; try again\n", 503, {"retry-after": "1"})
        async with self._snapshots:
            try:
                jpeg = await asyncio.to_thread(snapshot, self._directory, self._inside, camera_id, boxes=boxes)
            except PageError as error:
                return PlainTextResponse(f"{redact(error)}\n", 504)
        return Response(jpeg, media_type="image/jpeg")

    async def _history(self, request: Request) -> Response:
        points = self._live.history.of(request.path_params["camera"])
        return Response(msgspec.json.encode({"points": points}), media_type="application/json")

    async def _change(self, request: Request) -> Response:
        command = CHANGES.get(request.path_params["change"])
        if command is None:
            return JSONResponse({"error": "no such change"}, 404)
        return await self._ask({"command": command, "name": request.path_params["camera"]})

    async def _reload(self, request: Request) -> Response:
        return await self._ask({"command": "reload"})

    async def _ask(self, order: dict[str, Any]) -> Response:
        if self._page.token is None:
            return JSONResponse({"error": "this page only shows; set page.token to change the fleet from here"}, 403)
        try:
            return JSONResponse({"result": await control.ask(self._directory, order)})
        except ControlError as error:
            return JSONResponse({"error": redact(error)}, 409)


class _Static(StaticFiles):
    """Files that browsers may keep, and ask whether they are still the same."""

    def file_response(self, *arguments: Any, **options: Any) -> Response:
        response = super().file_response(*arguments, **options)
        response.headers["cache-control"] = "no-cache"
        return response


async def _field(request: Request, name: str) -> str | None:
    """A field of a short form; None where there is none."""
    from urllib.parse import parse_qs

    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_FORM:
            return None
    return parse_qs(body.decode("latin-1"), max_num_fields=4, encoding="utf-8").get(name, [None])[0]
