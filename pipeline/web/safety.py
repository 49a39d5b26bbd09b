"""Who may see the page, and what a browser may do with it.

Without a token the page is for this machine: it answers only to this machine's own names, so that a site in a browser
that has its name point here (DNS rebinding) gets nothing, and nothing can be changed. With a token everything but the
form that asks for it, and `/livez`, wants it: as a cookie that the form gives, or as `Authorization: Bearer …`.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.config.page import Page

COOKIE = "camfleet"
OPEN = ("/livez", "/login")
"""What needs no token; of files only those that the form is made of."""
OPEN_FILES = ("/static/style.css", "/static/icon.svg")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


class Guard:
    """Stands before everything that is served."""

    def __init__(self, app: ASGIApp, page: Page) -> None:
        """Guard this app by what the fleet file says of its page."""
        self._app = app
        self._token = None if page.token is None else page.token.reveal()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] not in ("http", "websocket"):
            return
        refused = self._refusal(scope)
        if refused is not None:
            await self._refuse(refused, scope, receive, send)
        else:
            await self._app(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> PlainTextResponse | RedirectResponse | None:
        """What to answer instead; None where the request may pass."""
        headers = Headers(scope=scope)
        if self._token is None and not _is_here(headers.get("host", "")):
            return PlainTextResponse("this page is for this machine only; it knows no such host\n", 421)
        changes = scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")
        if changes and not _is_same_origin(headers):
            return PlainTextResponse("asked by another site\n", 403)
        if self._token is None or scope["path"] in (*OPEN, *OPEN_FILES) or self._knows(headers):
            return None
        if scope["type"] == "http" and scope["path"] == "/":
            return RedirectResponse("/login", 303)
        return PlainTextResponse("a token is needed\n", 401, {"www-authenticate": "Bearer"})

    def _knows(self, headers: Headers) -> bool:
        assert self._token is not None, "asked only where there is one"
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and same(given.strip(), self._token):
            return True
        return same(cookie_in(headers), ticket(self._token))

    @staticmethod
    async def _refuse(
        response: PlainTextResponse | RedirectResponse, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await response(scope, receive, _with_headers(send))


def ticket(token: str) -> str:
    """What a browser keeps of a token: it opens the page, and the token cannot be read from it."""
    return hmac.new(token.encode(), b"camfleet page", hashlib.sha256).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def cookie_in(headers: Headers) -> str:
    """The page's cookie; empty where there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _is_here(host: str) -> bool:
    """Whether a `Host` names this machine."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_same_origin(headers: Headers) -> bool:
    """Whether a page of ours asks, or nobody's: browsers say who it is whenever something may change."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return urlsplit(origin).netloc == headers.get("host")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return sending
