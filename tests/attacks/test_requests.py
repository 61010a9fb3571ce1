"""Requests whose limits somebody tries to blur: each gets one answer, and nothing inside a body is ever a request."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

import pytest

from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.services import ServiceProcess, connected, heard
from uphours.database.database import connect

pytestmark = [pytest.mark.slow, only_sqlite]  # what is read from the wire does not depend on the database

#: What must never be run: it stands in bodies.
INNER = b"POST /trigger_report HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
LENGTH = f"Content-Length: {len(INNER)}"
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")
WEBSOCKET = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
CHUNKED = "Transfer-Encoding: chunked"


def head(line: str, *lines: str) -> bytes:
    """Return a request line and headers, with a Host."""
    return "\r\n".join([line, "Host: localhost", *lines, "", ""]).encode()


def post(*lines: str, path: str = "/v1/reports") -> bytes:
    return head(f"POST {path} HTTP/1.1", *lines)


def chunks(*contents: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(content), content) for content in (*contents, b""))


def statuses(running: ServiceProcess, *segments: bytes) -> list[int]:
    """Send segments, one after another, and return the statuses of all answers, until nothing more comes."""
    with connected(running, seconds=1.5) as connection:
        for segment in segments:
            try:
                connection.sendall(segment)
            except OSError:
                break  # it has closed, and what it said before counts
            time.sleep(0.05)
        answer = everything(connection)
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer) if status != b"100"]


def everything(connection: socket.socket) -> bytes:
    """Return what comes until the service closes the connection, or says nothing for a while."""
    found = b""
    with suppress(OSError):
        while block := connection.recv(1 << 16):
            found += block
    return found


def triggered(running: ServiceProcess) -> int:
    """Return how many reports were ever asked for."""
    with connect(url_in(running.folder)).reading() as connection:
        count: int = connection.exec_driver_sql("SELECT count(*) FROM reports").scalar_one()
    return count


BODIES: list[tuple[str, Sequence[bytes], Sequence[int]]] = [
    ("h2c, in one segment", [post(*H2C, LENGTH) + INNER], [422]),
    ("h2c, the body in a second segment", [post(*H2C, LENGTH), INNER], [422]),
    ("h2c, the head in two segments", [post(*H2C, LENGTH)[:40], post(*H2C, LENGTH)[40:], INNER[:9], INNER[9:]], [422]),
    ("h2c, chunked", [post(*H2C, CHUNKED), chunks(INNER)], [422]),
    ("h2c, chunks cut anywhere", [post(*H2C, CHUNKED) + chunks(INNER)[:7], chunks(INNER)[7:]], [422]),
    ("websocket with a body", [post(*WEBSOCKET, LENGTH), INNER], [422]),
    ("websocket to a page, with frames", [head("GET /healthz HTTP/1.1", *WEBSOCKET), b"\x81\x05hello"], [200]),
    ("an unknown protocol", [post("Connection: upgrade", "Upgrade: TLS/1.0", LENGTH), INNER], [422]),
    ("upgrade without a Connection header", [post("Upgrade: h2c", LENGTH), INNER], [422]),
    ("upgrade in odd letters", [post("CONNECTION: uPgRaDe", "UPGRADE: h2c", LENGTH), INNER], [422]),
    ("upgrade after empty lines", [b"\r\n\r\n" + post(*H2C, LENGTH), INNER], [422]),
    ("the second request asks for it", [head("GET /healthz HTTP/1.1"), post(*H2C, LENGTH), INNER], [200, 400]),
    ("the second, pipelined", [head("GET /healthz HTTP/1.1") + post(*H2C, LENGTH) + INNER], [200, 422]),
    ("the second, without a body", [head("GET /healthz HTTP/1.1"), head("GET /healthz HTTP/1.1", *H2C)], [200, 200]),
    ("a body that is JSON for nothing", [post(LENGTH, path="/healthz"), INNER], [405]),
    ("a body beside GET", [head("GET /healthz HTTP/1.1", LENGTH), INNER], [200]),
    ("a body beside DELETE", [head("DELETE /v1/reports/x HTTP/1.1", LENGTH), INNER], [404]),
    ("a foreign page's body", [post(LENGTH, "Origin: http://evil.example"), INNER], [403]),
    ("a body that is too large", [post("Content-Length: 99999999"), INNER], [413]),
    ("length and chunks", [post(LENGTH, CHUNKED) + b"0\r\n\r\n" + INNER], [400]),
    ("chunks and length", [post(CHUNKED, LENGTH) + b"0\r\n\r\n" + INNER], [400]),
    ("length and chunks with h2c", [post(*H2C, LENGTH, CHUNKED) + b"0\r\n\r\n" + INNER], [400]),
    ("two lengths", [post(LENGTH, "Content-Length: 0") + INNER], [400]),
    ("two lengths that agree, with h2c", [post(*H2C, LENGTH, LENGTH) + INNER], [422]),
    ("a list of lengths", [post("Content-Length: 5, 5") + b"hello" + INNER], [400]),
    ("a signed length", [post("Content-Length: +5") + b"hello" + INNER], [400]),
    ("an endless length", [post("Content-Length: " + "9" * 30) + INNER], [400]),
    ("a coding that is not chunked", [post("Transfer-Encoding: xchunked") + b"0\r\n\r\n" + INNER], [400]),
    ("gzip, chunked", [post("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n" + INNER], [501]),
    ("chunked twice", [post(CHUNKED, CHUNKED) + b"0\r\n\r\n" + INNER], [400]),
    ("a blank before the colon", [post("Transfer-Encoding : chunked") + b"0\r\n\r\n" + INNER], [400]),
    ("HTTP/1.0 with chunks", [head("POST /v1/reports HTTP/1.0", CHUNKED) + b"0\r\n\r\n" + INNER], [400]),
    ("a chunk of no size", [post(CHUNKED) + b"zz\r\n" + INNER], [400]),
    ("a chunk of negative size", [post(CHUNKED) + b"-1\r\n" + INNER], [400]),
    ("a chunk larger than it says", [post(CHUNKED) + b"3\r\nhello\r\n0\r\n\r\n" + INNER], [400]),
    ("a chunk of endless size", [post(CHUNKED) + b"f" * 40 + b"\r\n" + INNER], [400]),
    ("an extension that ends in LF", [post(CHUNKED) + b"5;x\nhello\r\n0\r\n\r\n" + INNER], [400]),
    ("chunks that end in LF", [post(CHUNKED) + b"5\nhello\n0\n\n" + INNER], [400]),
    ("two hosts", [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"], [400]),
    ("two hosts, with h2c", [head("GET /healthz HTTP/1.1", *H2C, "Host: b")], [400]),
    ("no host", [b"GET /healthz HTTP/1.1\r\n\r\n"], [400]),
    ("HTTP/0.9", [b"GET /healthz\r\n\r\n"], [505]),
    ("HTTP/2 without asking", [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], [400]),
    ("a folded header", [head("GET /healthz HTTP/1.1", "X: y", " z")], [400]),
    ("a header that ends in LF", [b"GET /healthz HTTP/1.1\nHost: localhost\n\n"], [400]),
    ("a bare CR", [head("GET /healthz HTTP/1.1", "X: y\rZ: z")], [400]),
    ("a NUL", [head("GET /healthz HTTP/1.1", "X: \0")], [400]),
    ("CONNECT", [head("CONNECT localhost:80 HTTP/1.1") + INNER], [400]),
    ("CONNECT, with h2c", [head("CONNECT localhost:80 HTTP/1.1", *H2C) + INNER], [405]),
]  # fmt: skip


@pytest.mark.parametrize(("segments", "expected"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])
def test_what_is_in_a_body_is_never_a_request(
    shared: ServiceProcess, segments: Sequence[bytes], expected: list[int]
) -> None:
    before = triggered(shared)
    found = statuses(shared, *segments)
    assert triggered(shared) == before, "what was in a body was run"
    answered_in_time = [status for status in found if status != 408]  # the rest of a head that never came
    # Several segments: the service may say no, and close, before all have been sent. Then the answer can be lost.
    assert answered_in_time == list(expected) or (not found and expected == [400]), found


def test_pipelined_requests_get_an_answer_each_in_order(shared: ServiceProcess) -> None:
    row = json.dumps({"store_id": "1", "status": "active", "timestamp_utc": "2023-01-24T10:00:00Z"}).encode()
    good = post(f"Content-Length: {len(row)}", path="/v1/observations") + row
    chunked = post(CHUNKED, path="/v1/observations") + chunks(row[:9], row[9:])
    last = head("GET /no-such-page HTTP/1.1", "Connection: close")
    assert statuses(shared, good + chunked + head("GET /healthz HTTP/1.1") + last) == [200, 200, 200, 404]
    assert statuses(shared, good[:50], good[50:] + last) == [200, 404]


def test_an_absolute_target_leads_where_its_path_does(shared: ServiceProcess) -> None:
    close = "Connection: close"
    assert statuses(shared, head("GET http://localhost/healthz HTTP/1.1", close)) == [200]
    assert statuses(shared, head("GET http://localhost/no-such HTTP/1.1", close)) == [404]


def test_a_request_that_asks_for_another_protocol_is_served_by_its_body(shared: ServiceProcess) -> None:
    body = json.dumps({"as_of": "2023-01-25T12:00:00Z"}).encode()
    for lines in (H2C, WEBSOCKET):
        for cut in (0, 10, len(body)):
            request = post(
                *lines, f"Content-Length: {len(body)}", "Content-Type: application/json", "Connection: close"
            )
            with connected(shared) as connection:
                connection.sendall(request + body[:cut])
                time.sleep(0.05)
                connection.sendall(body[cut:])
                answer = heard(connection)
            assert answer.startswith(b"HTTP/1.1 202 ")
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["as_of"] == "2023-01-25T12:00:00Z"
