"""Clients that keep connections without using them: they are closed, and they shut out none that does."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

from tests.attacks.conftest import Target, served, watched
from tests.attacks.test_requests import CHUNKED, head, post
from tests.fixtures.databases import only_sqlite
from tests.fixtures.services import ServiceProcess, connected, heard

pytestmark = [pytest.mark.slow, only_sqlite]

#: Several times as many as the service keeps, and how many of them come in a second.
MANY, A_SECOND = 2_000, 500
#: The largest answer that needs no key.
LARGE = head("GET /static/swagger-ui/swagger-ui-bundle.js HTTP/1.1")


@contextmanager
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < MANY + 1_000:
        pytest.skip(f"this machine lets a process open only {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, MANY + 1_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def open_and_leave(running: ServiceProcess, stack: ExitStack, request: bytes) -> None:
    """Open a connection with little room for an answer, send a request, and never read."""
    url = httpx.URL(running.url)
    connection = stack.enter_context(socket.socket())
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect((url.host, url.port or 80))
    with suppress(OSError):
        connection.sendall(request)


@pytest.mark.parametrize(
    "request_",
    [
        LARGE,
        LARGE * 20,
        head("GET /openapi.json HTTP/1.1") * 3,
        head("GET /healthz HTTP/1.1")[:-2],
        post("Content-Length: 100", path="/v1/observations"),
    ],
    ids=["an answer", "many answers", "answers that are made for each", "half a head", "half a body"],
)
def test_thousands_of_connections_that_only_wait_shut_nobody_out(target: Target, request_: bytes) -> None:
    with many_files(), target() as running, ExitStack() as stack, watched(running), running.client() as client:
        began = time.monotonic()
        for number in range(MANY):
            open_and_leave(running, stack, request_)
            if number % 500 == 0:
                served(client)
            time.sleep(max(0.0, began + number / A_SECOND - time.monotonic()))
        served(client)


def test_a_client_that_reads_nothing_for_a_while_is_closed(target: Target) -> None:
    with target(workers="0") as running, connected(running, seconds=120) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(LARGE * 3)
        time.sleep(65)
        found = 0
        with suppress(OSError):
            while block := connection.recv(1 << 16):
                found += len(block)
        assert found < 1_400_000, "the answer came whole"


def test_a_slow_reader_that_goes_on_reading_gets_all_of_its_answer(target: Target) -> None:
    with target(workers="0") as running, running.client() as client, connected(running, seconds=60) as connection:
        whole = client.get(LARGE.split()[1].decode(), headers={"Accept-Encoding": "identity"}).content
        connection.sendall(LARGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        found = b""
        while block := connection.recv(64 << 10):
            found += block
            time.sleep(0.2)
        assert found.endswith(whole)


def test_a_head_or_a_body_that_never_ends_is_closed(target: Target) -> None:
    with target(workers="0", upload_seconds="2") as running:
        for request in (
            b"GET /healthz HTTP/1.1\r\nHost: local",
            b"\r\n",
            b"",
            post("Content-Length: 100"),
            post(CHUNKED, path="/v1/observations") + b"5",
            head("GET /healthz HTTP/1.1") + b"GET /hea",
        ):
            with connected(running, seconds=20) as connection:
                connection.sendall(request)
                began = time.monotonic()
                heard(connection)
                assert time.monotonic() - began < 12, request


def test_a_head_and_a_body_of_nothing_are_bounded(target: Target) -> None:
    with target(workers="0") as running, watched(running, slowest_s=3):
        for start in (
            b"GET /",
            head("GET /healthz HTTP/1.1")[:-2] + b"X: ",
            b"\r\n" * 1_000,
            post(CHUNKED, path="/v1/observations") + b"1;",
            post("Connection: upgrade", "Upgrade: h2c", CHUNKED, path="/v1/observations") + b"1;",
        ):
            with connected(running) as connection:
                connection.sendall(start)
                with pytest.raises(OSError, match=r"reset|pipe|Broken"):
                    connection.sendall((b"\r\n" if start.startswith(b"\r") else b"xx") * (50 << 20))


def test_an_idle_connection_is_closed(shared: ServiceProcess) -> None:
    with connected(shared) as connection:
        connection.sendall(head("GET /healthz HTTP/1.1"))
        began = time.monotonic()
        assert heard(connection).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - began < 15
