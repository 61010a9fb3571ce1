"""Connections to public hosts alone: a host is resolved once, and the addresses that were checked are connected to."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ssl import SSLContext
from typing import Any

import httpcore

from uphours.ingest.sources.addresses import Resolve, is_public


class Patience:
    """The seconds that may be spent on waiting for a server, all waits together; time between waits is free."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @contextmanager
    def wait(self) -> Iterator[float]:
        """Give the seconds that are left, and count what was used of them."""
        if self._left <= 0:
            raise httpcore.ReadTimeout
        start = time.monotonic()
        try:
            yield self._left
        finally:
            self._left -= time.monotonic() - start


class CheckedNetwork(httpcore.NetworkBackend):
    """Connects to the addresses that one resolution gave, if all of them may be connected to."""

    def __init__(
        self, network: httpcore.NetworkBackend, resolve: Resolve, patience: Patience, *, allow_private: bool
    ) -> None:
        self._network = network
        self._resolve = resolve
        self._patience = patience
        self._allow_private = allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of the host that answers.

        Raises
        ------
        httpcore.ConnectError
            The host has no address, one that is not public, or none that answers.
        """
        addresses = self._checked(host, port)
        for position, address in enumerate(addresses, start=1):
            try:
                with self._patience.wait() as left:
                    share = left / (len(addresses) + 1 - position)
                    return _PatientStream(
                        self._network.connect_tcp(address, port, share, local_address, socket_options), self._patience
                    )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if position == len(addresses):
                    raise
        raise httpcore.ConnectError(f"the host {host} has no address")

    def _checked(self, host: str, port: int) -> list[str]:
        with self._patience.wait() as left:
            addresses = _resolved(self._resolve, host, port, left)
        refused = [] if self._allow_private else [address for address in addresses if not is_public(address)]
        if refused:
            raise httpcore.ConnectError(
                f"refused, for {host} has the address {refused[0]}, which is not public; valid are hosts of the public "
                "internet, unless private addresses are allowed"
            )
        return addresses


def _resolved(resolve: Resolve, host: str, port: int, timeout: float) -> list[str]:
    """Resolve in a thread of its own, because the system's resolver knows no time limit."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(resolve(host, port))
        except OSError as error:
            answers.put(error)
        except UnicodeError:  # a label of over 63 characters
            answers.put(OSError(None, "no host can have that name"))

    threading.Thread(target=ask, daemon=True, name="uphours-resolve").start()
    try:
        answer = answers.get(timeout=timeout)
    except queue.Empty:
        raise httpcore.ConnectTimeout from None
    if isinstance(answer, OSError):
        raise httpcore.ConnectError(f"the host {host} is not found: {answer.strerror or answer}") from answer
    return answer


class _PatientStream(httpcore.NetworkStream):
    """A connection whose waits all come out of one budget."""

    def __init__(self, connection: httpcore.NetworkStream, patience: Patience) -> None:
        self._connection = connection
        self._patience = patience

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._patience.wait() as left:
            return self._connection.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._patience.wait() as left:
            self._connection.write(buffer, left)

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with self._patience.wait() as left:
            return _PatientStream(self._connection.start_tls(ssl_context, server_hostname, left), self._patience)

    def get_extra_info(self, info: str) -> Any:
        return self._connection.get_extra_info(info)
