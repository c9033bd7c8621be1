"""What comes before every route: size limits, who may call, and what the browser may load."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders

from planner.web.limits import ServerLimits
from planner.web.problems import Json, problem

Scope = MutableMapping[str, object]
Event = MutableMapping[str, object]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)
DROPPED_BYTES = 100_000_000  # read of a refused body before the connection is cut
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Guards:
    """Wraps an application: no request over the limit, none from another site, headers on all.

    ``hosts``: the names it answers to, "*" for any.
    """

    def __init__(self, app: App, limits: ServerLimits, hosts: Collection[str] = ("*",)) -> None:
        self._app = app
        self._limits = limits
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._answers_to(headers.get("host", "")):
            refused = problem(
                "this server does not answer to this name",
                field="Host",
                found=headers.get("host", "")[:200] or None,
                allowed=", ".join(self._hosts),
                action="open its own address, or start it with --host 0.0.0.0",
            )
            await _answer(send, 400, refused)
            return
        if _is_foreign(headers):
            refused = problem("requests from other sites are refused", field="Origin")
            await _answer(send, 403, refused)
            return
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._limits.body_bytes:
            # with Expect the client waits for an answer before it sends the body
            if "expect" not in headers:
                await _dropped(receive)
            await _answer(send, 413, self._too_large())
            return
        await self._counted(scope, receive, send)

    def _answers_to(self, host: str) -> bool:
        name = re.sub(r":\d*$", "", host)
        return "*" in self._hosts or name.lower() in self._hosts

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body as it comes; of one that is too large no answer but the refusal goes out."""
        taken, more = 0, True

        async def counting() -> Event:
            nonlocal taken, more
            event = await receive()
            body = event.get("body", b"")
            taken += len(body) if isinstance(body, bytes) else 0
            more = bool(event.get("more_body"))
            if taken > self._limits.body_bytes:
                return {"type": "http.request", "body": b"", "more_body": False}
            return event

        async def sending(event: Event) -> None:
            if taken > self._limits.body_bytes:
                return
            if event["type"] == "http.response.start":
                _harden(event)
            await send(event)

        await self._app(scope, counting, sending)
        if taken > self._limits.body_bytes:
            if more:
                await _dropped(receive)
            await _answer(send, 413, self._too_large())

    def _too_large(self) -> Json:
        return problem(
            "the request is too large", allowed=f"at most {self._limits.body_bytes:,} bytes"
        )


async def _dropped(receive: Receive) -> None:
    """Read the rest of a refused body: a client that still sends would see a reset, not the refusal."""
    dropped = 0
    while dropped < DROPPED_BYTES:
        event = await receive()
        body = event.get("body", b"")
        dropped += len(body) if isinstance(body, bytes) else 0
        if not event.get("more_body"):  # also where the client has gone
            return


def _is_foreign(headers: Headers) -> bool:
    """Whether a browser sent this for a page of another site."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "none") == "cross-site"
    return urlsplit(origin).netloc != headers.get("host")


def _harden(event: Event) -> None:
    headers = MutableHeaders(raw=_raw(event))
    for name, value in _HEADERS.items():
        headers[name] = value
    event["headers"] = headers.raw


def _raw(event: Event) -> list[tuple[bytes, bytes]]:
    raw = event.get("headers", [])
    return [(bytes(n), bytes(v)) for n, v in raw] if isinstance(raw, list) else []


async def _answer(send: Send, status: int, body: Json) -> None:
    data = json.dumps({"problems": [body]}).encode()
    start: Event = {
        "type": "http.response.start",
        "status": status,
        "headers": [(b"content-type", b"application/json")],
    }
    _harden(start)
    await send(start)
    await send({"type": "http.response.body", "body": data})
