"""uvicorn on a socket that is taken before anything else starts; requests that wait are let go at the end."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from functools import partial
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from uphours.errors import InputError
from uphours.service.connections import Connection, Connections
from uphours.service.deps import Service
from uphours.service.middleware import client_left
from uphours.settings import Settings

_GRACE_S: Final = 4
#: What uvicorn reports as an error when a client has left while others of its requests were waiting.
_BROKEN_OFF: Final = (
    "ASGI callable returned without starting response.",
    "ASGI callable returned without completing response.",
)
_MOST_CONNECTIONS: Final = 512
#: How long a client may take to send the headers of a request; not longer than its body may take.
_HEAD_S: Final = 20.0
#: Connections that the kernel completes before they are taken. It makes those beyond wait for a second or more.
_BACKLOG: Final = 4096
#: Requests of closed connections go on for a moment. Beyond this many for each connection, more are refused (503).
_REQUESTS_PER_CONNECTION: Final = 10
#: What else needs files: the store, its journal, uploads on their way, modules that are imported late.
_OTHER_FILES: Final = 256
#: What the kernel may hold of an answer that is not read; it doubles this. More would let it take megabytes for each.
_SEND_BYTES: Final = 64 << 10


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service, stop: threading.Event) -> None:
        super().__init__(config)
        self._service = service
        self._stop = stop
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def on_tick(self, counter: int) -> bool:
        if self._stop.is_set():
            self._service.stopping.set()
            self.should_exit = True
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._service.stopping.set)
        super().handle_exit(sig, frame)


def bound(settings: Settings) -> socket.socket:
    """Take the address that the settings name.

    Raises
    ------
    InputError
        It is taken, or not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)  # each connection has what this one has
    try:
        made.bind((settings.host, settings.port))
    except (OSError, UnicodeError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot listen on {settings.host} port {settings.port}: {reason}; --host and --port name another"
        ) from error
    made.set_inheritable(False)
    return made


def run(app: FastAPI, taken: socket.socket, stop: threading.Event) -> None:
    """Serve until a signal, or ``stop``, says to; requests that are being handled get some seconds to end.

    ``stop`` is looked at every 0.1 s: a signal that came before uvicorn listened to signals sets it.
    """
    service: Service = app.state.service
    most = _most_connections()
    connections = Connections(head_s=min(_HEAD_S, service.settings.upload_seconds), most=most)
    config = uvicorn.Config(
        app,
        http=partial(Connection, connections=connections),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        backlog=_BACKLOG,
        limit_concurrency=_REQUESTS_PER_CONNECTION * most,
        timeout_graceful_shutdown=_GRACE_S,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_broken_answer)
    _Server(config, service, stop).run(sockets=[taken])


def _is_no_broken_answer(record: logging.LogRecord) -> bool:
    """Let everything pass but what uvicorn reports of an answer to a client that has left."""
    return not (client_left.get() and record.getMessage() in _BROKEN_OFF)


def _most_connections() -> int:
    """Return how many connections there may be, and let this process open the files that they are."""
    try:
        import resource
    except ImportError:  # Windows, which has no such limit
        return _MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _OTHER_FILES
    if soft < wanted and soft != resource.RLIM_INFINITY:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(16, min(_MOST_CONNECTIONS, soft - _OTHER_FILES))
