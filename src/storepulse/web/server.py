"""uvicorn, with what it leaves open: clients that never finish their headers, and requests that wait at the end."""

from __future__ import annotations

import asyncio
import socket
from types import FrameType
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from storepulse.errors import InputError
from storepulse.settings import Settings
from storepulse.web.service import Service

_HEADERS_S: Final = 20.0
_GRACE_S: Final = 4
_MOST_CONNECTIONS: Final = 4096


class _Protocol(HttpToolsProtocol):
    """Closes connections whose request line and headers take too long."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_headers()

    def on_message_begin(self) -> None:
        self._wait_for_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._no_longer_wait()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._no_longer_wait()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._no_longer_wait()
        self._patience = self.loop.call_later(_HEADERS_S, self.transport.close)

    def _no_longer_wait(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

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


def run(app: FastAPI, taken: socket.socket) -> None:
    """Serve until a signal says to stop; requests that are being handled get some seconds to end."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config, app.state.service).run(sockets=[taken])
