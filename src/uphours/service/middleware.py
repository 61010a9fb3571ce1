"""What stands around every request: its id, its log line, its limits, and the headers of its answer."""

from __future__ import annotations

import asyncio
import errno
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from contextvars import ContextVar
from ipaddress import ip_address
from typing import Any, Final, TypeAlias

import structlog
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from structlog.contextvars import bind_contextvars, clear_contextvars

from uphours.database.api_keys import masked
from uphours.service.connections import Connection
from uphours.service.framing import connection_of, framing_refusal, has_body, is_last
from uphours.service.metrics import Metrics
from uphours.service.origins import AS_HEAD, SAFE, Way
from uphours.service.problems import RETRY_AFTER_S, problem
from uphours.settings import Settings

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

log = structlog.get_logger("uphours.http")

#: Whether the answer to the request of this context was broken off, as its client closed the connection.
client_left: ContextVar[bool] = ContextVar("client_left", default=False)

#: The largest body where no rows are sent.
_SMALL_BODY: Final = 1 << 20
_SMALL_BODY_S: Final = 60.0
#: The largest body where a form is read before there is a key: the form brings it.
_KEY_BODY: Final = 8 << 10
_OPEN_FORMS: Final = ("/sign-in", "/sign-out")
_TAKES_ROWS: Final = ("/v1/observations", "/v1/business-hours", "/v1/timezones", "/v1/loads")
#: Asked so often that only failures are worth a line; of observations, each commit has one.
_QUIET: Final = ("/healthz", "/readyz", "/metrics", "/v1/observations")
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FEED: Final = re.compile(r"^(/+v1/+calendar/+).*", re.IGNORECASE | re.DOTALL)
_LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "::1")
#: Those who ask for these name any host: a container asks itself, a load balancer an address.
_HEALTH: Final = ("/healthz", "/readyz")
_CLIENT_LEFT: Final = 499
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
#: How often a body that is waited for is interrupted to look whether the service stops, and how long it gets then.
_LOOK_S: Final = 0.25
_GRACE_S: Final = 2.0
#: How long nothing of a body may come.
_IDLE_S: Final = 30.0
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
_CLOSE: Final = (b"connection", b"close")
_RAW_HEADERS: Final = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class Guards:
    """The outermost layer of the application: a defect inside becomes a problem, and a loud line in the log."""

    def __init__(self, app: App, settings: Settings, metrics: Metrics, *, needs_key: bool) -> None:
        self._app, self._settings, self._metrics = app, settings, metrics
        self._hosts = _Hosts(settings, needs_key=needs_key)
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
        connection = connection_of(scope)
        answer = _Answer(send, request_id, connection)
        if connection is not None:
            connection.handle()
        began = time.perf_counter()
        method = scope["method"]
        if method == "HEAD":  # the server sends the headers of what a GET is answered, and nothing else
            scope = {**scope, "method": "GET", AS_HEAD: True}
        try:
            await self._guarded(scope, headers, receive, answer)
        except ClientDisconnect:
            answer.status = _CLIENT_LEFT
            client_left.set(True)
        except asyncio.CancelledError:
            if answer.status:
                raise
            # The service stops, and cannot wait for this request any longer.
            await problem(503, _STOPPING, headers=_LATER)(scope, receive, answer)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM and not answer.status:
                log.warning("no room on the disk for a request", path=_shown(scope["path"]), error=str(error))
                await problem(507, "the disk of the service is full", headers=_LATER)(scope, receive, answer)
                return
            log.exception("a request failed by a defect", method=scope["method"], path=_shown(scope["path"]))
            if answer.status:
                raise  # too late for another answer: the connection breaks off
            await problem(500, "a defect of uphours; its log says more under this request id")(scope, receive, answer)
        finally:
            if connection is not None:
                connection.answered()
            self._note(scope, method, answer.status, time.perf_counter() - began)

    async def _guarded(
        self, scope: MutableMapping[str, Any], headers: Headers, receive: Receive, answer: _Answer
    ) -> None:
        refused = framing_refusal(scope, headers) or self._refusal(scope, headers)
        if refused is not None:
            status, why = refused
            await problem(status, why, headers={"Connection": "close"})(scope, receive, answer)
            return
        stopping: asyncio.Event = scope["app"].state.service.stopping
        largest, seconds = self._bounds(scope["path"])
        body = _Body(
            receive,
            largest,
            seconds,
            stopping,
            connection_of(scope),
            is_announced=has_body(headers),
        )
        answer.body, answer.is_last = body, is_last(scope, headers)
        await self._app(scope, body, answer)

    def _refusal(self, scope: MutableMapping[str, Any], headers: Headers) -> tuple[int, str] | None:
        if scope["path"] not in _HEALTH and not self._hosts.include(headers.get("host", "")):
            return 421, "this service does not answer to that host name; the setting allowed_hosts names the valid ones"
        if self._comes_from_elsewhere(scope, headers) and not self._welcome(scope, headers):
            return 403, "pages of other sites may not use this service; the setting cors_origins names those that may"
        length = headers.get("content-length", "0")
        largest, _ = self._bounds(scope["path"])
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

    def _bounds(self, path: str) -> tuple[int, float]:
        """Return how large a body may be, and how long it may take."""
        patience = self._settings.upload_seconds
        if path in _TAKES_ROWS:
            return self._settings.max_body_bytes, patience
        return _KEY_BODY if path in _OPEN_FORMS else _SMALL_BODY, min(patience, _SMALL_BODY_S)

    def _note(self, scope: MutableMapping[str, Any], method: str, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        self._metrics.request(method, route, status, seconds)
        note = log.debug if route in _QUIET and status < 400 else log.info
        note(
            "request",
            method=method,
            path=_shown(scope["path"]),
            status=status,
            milliseconds=round(seconds * 1000, 1),
            client=(scope.get("client") or ("",))[0],
        )


def _shown(path: str) -> str:
    """Return a path as logs name it: without the token that the address of a calendar feed has, right or wrong."""
    return masked(_FEED.sub(r"\1…", path))


class _Hosts:
    """The names that the service answers to.

    Unless the settings name them, a service without keys answers to those of loopback alone, and where others can reach
    it to addresses too: a page elsewhere may have a name of its own lead here (DNS rebinding), but no address.
    """

    def __init__(self, settings: Settings, *, needs_key: bool) -> None:
        given = {name.lower() for name in settings.allowed_hosts}
        self._all = "*" in given or (needs_key and not given)
        self._addresses = not (given or needs_key or settings.on_loopback)
        self._names = given or {*_LOOPBACK_NAMES, settings.host.lower()}

    def include(self, host: str) -> bool:
        """Say whether a Host header names the service."""
        if self._all:
            return True
        name = _host_name(host)
        return name in self._names or (self._addresses and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _host_name(host: str) -> str:
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return name.lower()


class _Answer:
    """Sends an answer with the headers that every answer has."""

    def __init__(self, send: Send, request_id: str, connection: Connection | None) -> None:
        self._send, self._request_id, self._connection = send, request_id, connection
        self.status = 0
        self.body: _Body | None = None
        self.is_last = False

    async def __call__(self, message: Message) -> None:
        if self._connection is not None and self._connection.is_gone:
            raise ClientDisconnect  # the server would take the rest of the answer, and throw it away
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = [(name, value) for name, value in message.get("headers", ()) if name != b"x-request-id"]
            names = {name for name, _ in own}
            missing = [header for header in _RAW_HEADERS if header[0] not in names]
            if self._must_close and b"connection" not in names:
                missing.append(_CLOSE)
            message["headers"] = [*own, (b"x-request-id", self._request_id.encode()), *missing]
        try:
            await self._send(message)
        except RuntimeError:
            if self._connection is not None and self._connection.is_gone:  # it was closed while this waited to send
                raise ClientDisconnect from None
            raise

    @property
    def _must_close(self) -> bool:
        # What follows is the rest of a body, or nothing that the parser would read as a request.
        return self.is_last or (self.body is not None and self.body.is_unfinished)


class _Body:
    """Receives a body of a limited size in a limited time, and not for long when the service stops."""

    def __init__(
        self,
        receive: Receive,
        largest: int,
        seconds: float,
        stopping: asyncio.Event,
        connection: Connection | None,
        *,
        is_announced: bool,
    ) -> None:
        self._receive, self._left, self._stopping = receive, largest, stopping
        self._connection, self._is_announced = connection, is_announced
        self._largest = largest
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + seconds
        self._leave_at: float | None = None
        self._complete = False

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()  # waits for the end of the connection
        if self._connection is None:
            message = await self._next()
        else:
            self._connection.wait_for_body()
            message = await self._next()
            self._connection.take_body()
        self._complete = not message.get("more_body", False)
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            detail = f"the body is too large; valid are up to {self._largest} bytes here"
            raise HTTPException(413, detail, {"Connection": "close"})
        return message

    @property
    def is_unfinished(self) -> bool:
        """Whether there is a body of which not everything has been taken."""
        return self._is_announced and not self._complete

    async def _next(self) -> Message:
        idle_since = self._loop.time()
        while True:
            self._check_time()
            if self._loop.time() - idle_since >= _IDLE_S:
                detail = f"nothing of the body came for {_IDLE_S:g} seconds"
                raise HTTPException(408, detail, {"Connection": "close"})
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
