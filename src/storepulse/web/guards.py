"""What stands around every request: its id, its log line, its limits, and the headers of its answer."""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from structlog.contextvars import bind_contextvars, clear_contextvars

from storepulse.settings import Settings
from storepulse.web.metrics import Metrics
from storepulse.web.origins import SAFE, Way
from storepulse.web.problems import RETRY_AFTER_S, problem

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

log = structlog.get_logger("storepulse.http")

#: The largest body where no rows are sent.
_SMALL_BODY: Final = 1 << 20
_TAKES_ROWS: Final = ("/v1/observations", "/v1/business-hours", "/v1/timezones", "/v1/loads")
#: Asked so often that only failures are worth a line; of observations, each commit has one.
_QUIET: Final = ("/healthz", "/readyz", "/metrics", "/v1/observations")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
_CLIENT_LEFT: Final = 499
#: How often a body that is waited for is interrupted to look whether the service stops, and how long it gets then.
_LOOK_S: Final = 0.25
_GRACE_S: Final = 2.0
_STOPPING: Final = "the service is stopping; try again"
_LATER: Final = {"Connection": "close", "Retry-After": str(RETRY_AFTER_S)}

#: Nothing but the pages that say so themselves may run or embed anything.
HEADERS: Final = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # without any, browsers hide the origin of our own forms from us
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}
_RAW_HEADERS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Guards:
    """The outermost layer of the application: a defect inside becomes a problem, and a loud line in the log."""

    def __init__(self, app: App, settings: Settings, metrics: Metrics) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        names = settings.allowed_hosts or _own_names(settings)
        self._hosts = None if "*" in names else frozenset(name.lower() for name in names)
        self._way = Way(settings.trusted_proxies)

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
        except ClientDisconnect:
            answer.status = _CLIENT_LEFT
        except asyncio.CancelledError:
            if answer.status:
                raise
            # The service stops, and cannot wait for this request any longer.
            await problem(503, _STOPPING, headers=_LATER)(scope, receive, answer)
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
        stopping: asyncio.Event = scope["app"].state.service.stopping
        body = _Body(receive, self._largest(scope["path"]), self._settings.upload_seconds, stopping)
        await self._app(scope, body, answer)

    def _refusal(self, scope: MutableMapping[str, Any], headers: Headers) -> tuple[int, str] | None:
        host = _host_name(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            # A page elsewhere may have its own name lead to this machine (DNS rebinding).
            return 421, "this service does not answer to that host name; the setting allowed_hosts names the valid ones"
        if self._comes_from_elsewhere(scope, headers) and not self._welcome(scope, headers):
            return 403, "pages of other sites may not use this service; the setting cors_origins names those that may"
        length = headers.get("content-length", "0")
        largest = self._largest(scope["path"])
        if not length.isdecimal():
            return 400, "Content-Length is no number"
        if len(length) > 18 or int(length) > largest:
            return 413, f"the body is too large; valid are up to {largest} bytes here"
        return None

    def _comes_from_elsewhere(self, scope: MutableMapping[str, Any], headers: Headers) -> bool:
        if scope["method"] in SAFE:  # what they name as their origin is for the answer: who may read it
            return headers.get("sec-fetch-site") in ("cross-site", "same-site")
        return self._way.is_foreign(scope)

    def _welcome(self, scope: MutableMapping[str, Any], headers: Headers) -> bool:
        follows_a_link = scope["method"] in ("GET", "HEAD") and headers.get("sec-fetch-mode") == "navigate"
        return follows_a_link or headers.get("origin") in self._settings.cors_origins

    def _largest(self, path: str) -> int:
        return self._settings.max_body_bytes if path in _TAKES_ROWS else _SMALL_BODY

    def _note(self, scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.request(scope["method"], route, status, seconds)
        note = log.debug if route in _QUIET and status < 400 else log.info
        note(
            "request",
            method=scope["method"],
            path=scope["path"],
            status=status,
            milliseconds=round(seconds * 1000, 1),
            client=(scope.get("client") or ("",))[0],
        )


def _own_names(settings: Settings) -> tuple[str, ...]:
    asks_nobody = settings.on_loopback and not settings.require_key
    return (*_LOOPBACK_NAMES, settings.host) if asks_nobody else ("*",)


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
            own = [(name, value) for name, value in message.get("headers", ()) if name != b"x-request-id"]
            names = {name for name, _ in own}
            missing = [header for header in _RAW_HEADERS if header[0] not in names]
            message["headers"] = [*own, (b"x-request-id", self._request_id.encode()), *missing]
        await self._send(message)


class _Body:
    """Receives a body of a limited size in a limited time, and not for long when the service stops."""

    def __init__(self, receive: Receive, largest: int, seconds: float, stopping: asyncio.Event) -> None:
        self._receive, self._left, self._stopping = receive, largest, stopping
        self._largest = largest
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._leave_at: float | None = None
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()  # waits for the end of the connection
        message = await self._next()
        self._complete = not message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            detail = f"the body is too large; valid are up to {self._largest} bytes here"
            raise HTTPException(413, detail, {"Connection": "close"})
        return message

    async def _next(self) -> Message:
        while True:
            self._check_time()
            try:
                async with asyncio.timeout(_LOOK_S):
                    return await self._receive()
            except TimeoutError:
                continue

    def _check_time(self) -> None:
        now = self._loop.time()
        if now >= self._deadline:
            raise HTTPException(408, "the body took too long", {"Connection": "close"})
        if self._leave_at is None and self._stopping.is_set():
            self._leave_at = now + _GRACE_S
        if self._leave_at is not None and now >= self._leave_at:
            raise HTTPException(503, _STOPPING, _LATER)
