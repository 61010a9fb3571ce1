"""uvicorn, with what it leaves open: clients that never finish their headers, and requests that wait at the end."""

from __future__ import annotations

import asyncio
import socket
import threading
from functools import partial
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from storepulse.errors import InputError
from storepulse.settings import Settings
from storepulse.web.service import Service

_MOST_HEADER_BYTES: Final = 64 << 10
_GRACE_S: Final = 4
_MOST_CONNECTIONS: Final = 4096


class _Protocol(HttpToolsProtocol):
    """Closes connections whose request line and headers take too long, or too much room.

    As long may a client go on with a body that was answered before its end.
    """

    def __init__(self, *arguments: Any, headers_s: float, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._headers_s = headers_s
        self._patience: asyncio.TimerHandle | None = None
        self._receiving = False
        self._unparsed = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait(self._headers_s)

    def data_received(self, data: bytes) -> None:
        self._unparsed += len(data)
        super().data_received(data)
        # What the parser holds back: headers, or what stands between the parts of a body and behind it.
        if self._unparsed > _MOST_HEADER_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers are too large.")

    def on_message_begin(self) -> None:
        self._receiving = True
        self._wait(self._headers_s)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._unparsed = 0
        self._no_longer_wait()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed = 0
        self._receiving = False
        self._no_longer_wait()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._receiving and self.cycle.response_complete:
            self._wait(self._headers_s)

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_longer_wait()
        super().connection_lost(exc)

    def _wait(self, seconds: float) -> None:
        self._no_longer_wait()
        self._patience = self.loop.call_later(seconds, self.transport.close)

    def _no_longer_wait(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service, stop: threading.Event) -> None:
        super().__init__(config)
        self._service = service
        self._stop = stop
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._stop.is_set():  # before there was anybody to tell
            self.should_exit = True

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

    ``stop`` is looked at when everything has started, for signals that came before.
    """
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        http=partial(_Protocol, headers_s=service.settings.headers_seconds),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config, service, stop).run(sockets=[taken])
