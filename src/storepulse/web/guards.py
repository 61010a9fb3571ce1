"""What stands around every request: its id, its log line, its limits, and the headers of its answer."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from structlog.contextvars import bind_contextvars, clear_contextvars

from storepulse.settings import Settings
from storepulse.web.metrics import Metrics
from storepulse.web.problems import problem

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

log = structlog.get_logger("storepulse.http")

#: The largest body where no rows are sent.
_SMALL_BODY: Final = 1 << 20
_TAKES_ROWS: Final = ("/v1/observations", "/v1/business-hours", "/v1/timezones", "/v1/loads")
_QUIET: Final = ("/healthz", "/readyz", "/metrics")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")

#: Nothing but the pages that say so themselves may run or embed anything.
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


class Guards:
    """The outermost layer of the application: a defect inside becomes a problem, and a loud line in the log."""

    def __init__(self, app: App, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        names = settings.allowed_hosts or (_LOOPBACK_NAMES if settings.on_loopback else ("*",))
        self._hosts = None if "*" in names else frozenset(name.lower() for name in names)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = headers.get("x-request-id", "")
        if not _REQUEST_ID.fullmatch(request_id):
            request_id = uuid.uuid4().hex
        clear_contextvars()
        bind_contextvars(request_id=request_id)
        answer = _Answer(send, request_id)
        began = time.perf_counter()
        try:
            await self._guarded(scope, headers, receive, answer)
        except Exception:
            log.exception("a request failed by a defect", method=scope["method"], path=scope["path"])
            if answer.status:
                raise  # too late for another answer: the connection breaks off
            await problem(500, "a defect of storepulse; its log says more under this request id")(
                scope, receive, answer
            )
        finally:
            self._note(scope, answer.status, time.perf_counter() - began)

    async def _guarded(
        self, scope: MutableMapping[str, Any], headers: Headers, receive: Receive, answer: _Answer
    ) -> None:
        refused = self._refusal(scope, headers)
        if refused is not None:
            status, why = refused
            await problem(status, why, headers={"Connection": "close"})(scope, receive, answer)
            return
        body = _Body(receive, self._largest(scope["path"]), self._settings.upload_seconds)
        await self._app(scope, body, answer)

    def _refusal(self, scope: MutableMapping[str, Any], headers: Headers) -> tuple[int, str] | None:
        host = _host_name(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            # A page elsewhere may have its own name lead to this machine (DNS rebinding).
            return 421, "this service does not answer to that host name; the setting allowed_hosts names the valid ones"
        if headers.get("sec-fetch-site") == "cross-site" and not self._welcome(scope, headers):
            return 403, "pages of other sites may not use this service; the setting cors_origins names those that may"
        length = headers.get("content-length", "0")
        largest = self._largest(scope["path"])
        if not length.isdecimal():
            return 400, "Content-Length is no number"
        if len(length) > 18 or int(length) > largest:
            return 413, f"the body is too large; valid are up to {largest} bytes here"
        return None

    def _welcome(self, scope: MutableMapping[str, Any], headers: Headers) -> bool:
        follows_a_link = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        return follows_a_link or headers.get("origin") in self._settings.cors_origins

    def _largest(self, path: str) -> int:
        return self._settings.max_body_bytes if path in _TAKES_ROWS else _SMALL_BODY

    def _note(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.request(scope["method"], route, status, seconds)
        note = log.debug if route in _QUIET else log.info
        note(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 1),
            client=(scope.get("client") or ("",))[0],
        )


def _host_name(host: str) -> str:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower()


class _Answer:
    """Sends an answer with the headers that every answer has."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self._request_id = send, request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers["x-request-id"] = self._request_id
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            message["headers"] = headers.raw
        await self._send(message)


class _Body:
    """Receives a body of a limited size in a limited time."""

    def __init__(self, receive: Receive, largest: int, seconds: float) -> None:
        self._receive, self._left = receive, largest
        self._largest = largest
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()  # waits for the end of the connection
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, "the body took too long", {"Connection": "close"}) from None
        self._complete = not message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            detail = f"the body is too large; valid are up to {self._largest} bytes here"
            raise HTTPException(413, detail, {"Connection": "close"})
        return message
