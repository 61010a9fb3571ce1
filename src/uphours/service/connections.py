"""Connections: which parser reads each, how long it may keep us waiting, and which one goes when all are taken.

uvicorn parses, frames and closes; what it leaves open is done here around its protocols, by the interfaces that are
documented: the callbacks of `asyncio.Protocol` and the ``state`` of an ASGI scope.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, cast

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = structlog.get_logger("uphours.connections")

#: Where a request finds its connection in the ``state`` of its scope.
STATE: Final = "connection"

#: The request line and headers of one request.
_MOST_HEAD_BYTES: Final = 64 << 10
#: Bytes of a body that bring nothing of it, such as extensions of chunks. uvicorn stops reading long before.
_MOST_IDLE_BYTES: Final = 1 << 20
#: How long a client may read nothing of its answer. The kernel takes an answer in pieces of up to 256 KiB, so
#: a client that reads 10 kB/s shows no progress for most of this time.
_UNREAD_S: Final = 60.0
_LOOK_S: Final = 0.5
#: What may lie here for clients that do not read, all together. Of one no more is counted than this: large answers
#: that several wait for are one object.
_MOST_UNREAD_BYTES: Final = 64 << 20
_MOST_COUNTED_BYTES: Final = 1 << 20

#: Also where lines end in LF alone: the parser says what it thinks of that.
_END_OF_HEAD: Final = re.compile(rb"\n\r?\n")
_UPGRADE: Final = re.compile(rb"\nupgrade[ \t]*:", re.IGNORECASE)
_TOO_LARGE: Final = b"the headers are too large; valid are up to 65536 bytes"


class Connections:
    """All connections of a server; the ones that wait for their clients in the order in which they began to.

    ``most``: when there are more, the one that has waited longest for its client is closed.
    """

    def __init__(self, *, head_s: float, most: int) -> None:
        self._head_s, self._most = head_s, most
        self._all: set[Connection] = set()
        self._waiting: dict[Connection, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, connection: Connection, loop: asyncio.AbstractEventLoop) -> None:
        """Take in a new connection, which waits for its first request."""
        if len(self._all) >= self._most and self._waiting:
            next(iter(self._waiting)).abort("all connections are taken, and its client kept it waiting longest")
        self._all.add(connection)
        self.wait(connection)
        if self._loop is None:
            self._loop = loop
            loop.call_later(_LOOK_S, self._look)

    def remove(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._all.discard(connection)
        self._waiting.pop(connection, None)

    def wait(self, connection: Connection) -> None:
        """Note that a connection waits for its client from now on, unless it did already."""
        self._waiting.setdefault(connection)

    def go_on(self, connection: Connection) -> None:
        """Note that the client of a connection has done what it was waited for."""
        self._waiting.pop(connection, None)

    def _look(self) -> None:
        assert self._loop is not None
        now = self._loop.time()
        unread = 0
        for connection in reversed(list(self._waiting)):  # those that began to wait last first
            unread += min(connection.unread, _MOST_COUNTED_BYTES)
            if connection.head_since is not None and now - connection.head_since > self._head_s:
                connection.abort("the headers took too long")
            elif connection.unread_for(now) > _UNREAD_S:
                connection.abort("the answer was not read")
            elif unread > _MOST_UNREAD_BYTES and connection.unread:
                connection.abort("too much is not read")
        self._loop.call_later(_LOOK_S, self._look)


class Connection(asyncio.Protocol):
    """One connection: hands what comes in to a protocol of uvicorn, and keeps track of what it waits for.

    httptools is fast, but takes a request that asks to change protocols for the last one, and its body for something
    else. A connection whose first request asks that is read by h11, which is slower and serves such a request by its
    body.
    """

    def __init__(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        connections: Connections,
    ) -> None:
        self._loop = _loop or asyncio.get_running_loop()
        self._server_state = server_state
        self._connections = connections
        self._make = {"config": config, "server_state": server_state, "_loop": self._loop}
        self._app_state = app_state
        self._transport: asyncio.Transport
        self._inner: HttpToolsProtocol | H11Protocol | None = None
        self._first = b""
        self._is_handling = False
        self._unparsed = 0
        self._unread = (0, 0.0)
        #: Whether it is closed, so that nothing more can be sent.
        self.is_gone = False
        #: Since when the headers of a request are waited for, in seconds of the loop; None: they are not.
        self.head_since: float | None = None

    @property
    def serves_upgrades(self) -> bool:
        """Whether a request that asks to change protocols is served by its body, as any other."""
        return isinstance(self._inner, H11Protocol)

    # --- what asyncio says ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self.head_since = self._loop.time()
        self._server_state.connections.add(self)  # as uvicorn's own protocols, so that it closes this one at the end
        self._connections.add(self, self._loop)

    def data_received(self, data: bytes) -> None:
        """Hand on what came in, once it is clear to which parser."""
        if self.head_since is None and not self._is_handling:
            self.head_since = self._loop.time()
        if self._is_too_much():
            return
        self._unparsed += len(data)
        if self._inner is not None:
            self._inner.data_received(data)
            return
        self._first = (self._first + data).lstrip(b"\r\n")
        if _END_OF_HEAD.search(self._first) or len(self._first) > _MOST_HEAD_BYTES:
            first, self._first = self._first, b""
            self._begin(first).data_received(first)

    def eof_received(self) -> None:
        """Close when the other side has nothing more to say, as uvicorn does."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it all, unless that is done."""
        if self.is_gone:
            return
        self.is_gone = True
        self._connections.remove(self)
        self._server_state.connections.discard(self)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Wait for a client that reads its answer slowly."""
        self._unread = (self.unread, self._loop.time())
        self._connections.wait(self)
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Go on with the answer."""
        if self._is_handling:
            self._connections.go_on(self)
        if self._inner is not None:
            self._inner.resume_writing()

    # --- what uvicorn and the service say ---

    def shutdown(self) -> None:
        """Close, as the server stops before there was a request."""
        self._transport.close()

    def handle(self) -> None:
        """Note that the headers of a request are there: the service has something to do."""
        self._is_handling = True
        self.head_since = None
        self._unparsed = 0
        self._connections.go_on(self)

    def wait_for_body(self) -> None:
        """Note that the service waits for more of a body."""
        self._connections.wait(self)

    def take_body(self) -> None:
        """Note that more of a body is there."""
        self._unparsed = 0
        self._connections.go_on(self)

    def answered(self) -> None:
        """Note that a request has its answer: now the client has to read it, or to ask for more."""
        self._is_handling = False
        self._unparsed = 0
        self._unread = (self.unread, self._loop.time())
        self._connections.wait(self)

    @property
    def unread(self) -> int:
        """How many bytes lie here for the client."""
        return self._transport.get_write_buffer_size()

    def unread_for(self, now: float) -> float:
        """Return for how many seconds the client has read nothing of what lies here for it."""
        size, since = self._unread
        left = self.unread
        if left != size:
            self._unread = (left, now)
            return 0.0
        return now - since if left else 0.0

    def abort(self, reason: str) -> None:
        """Close at once, whatever is left to send."""
        log.debug("a connection was closed", reason=reason)
        self._transport.abort()
        self.connection_lost(
            ConnectionAbortedError(reason)
        )  # the loop says so later, and requests would go on until then

    # --- inside ---

    def _begin(self, first: bytes) -> HttpToolsProtocol | H11Protocol:
        parser = H11Protocol if _UPGRADE.search(first) else HttpToolsProtocol
        self._inner = parser(**self._make, app_state={**self._app_state, STATE: self})
        self._server_state.connections.discard(self)
        self._inner.connection_made(self._transport)
        return self._inner

    def _is_too_much(self) -> bool:
        """Refuse headers, or what stands in a body beside the body, that grow and grow."""
        if self._is_handling:
            if self._unparsed <= _MOST_IDLE_BYTES:
                return False
            self.abort("a body with nothing in it")
        elif self._unparsed <= _MOST_HEAD_BYTES:
            return False
        else:
            head = f"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: {len(_TOO_LARGE)}\r\n"
            self._transport.write(f"{head}Content-Type: text/plain\r\nConnection: close\r\n\r\n".encode() + _TOO_LARGE)
            self._transport.close()
        return True
