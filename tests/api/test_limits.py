"""How much, how long and how often: what a client may not use up."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
import zstandard

from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import (
    Service,
    ServiceProcess,
    connected,
    heard,
    in_time,
    left_of_uploads,
    logged,
    said,
    service,
    status_of,
)

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in what these are about

MIB = 1 << 20
LARGEST = 24 * MIB
NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service with little patience."""
    folder = tmp_path_factory.mktemp("narrow")
    with service(
        folder, max_body_bytes=str(LARGEST), max_decompressed_bytes=str(64 * MIB), max_rows="10",
        upload_seconds="1.5", workers="1",
    ) as running:  # fmt: skip
        assert in_time(lambda: "worker started" in running.log.read_text(), 60)
        yield running
        assert left_of_uploads(running) == (0, 0)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service that takes large bodies."""
    with service(tmp_path_factory.mktemp("wide"), max_body_bytes=str(4096 * MIB), workers="1") as running:
        assert in_time(lambda: "worker started" in running.log.read_text(), 60)
        yield running


@pytest.fixture(scope="module")
def client(wide: Service) -> Iterator[httpx.Client]:
    """A client of a service of this file alone: odd rows that are good change a fleet."""
    with wide.client() as made:
        yield made


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


def chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


@contextmanager
def little_memory(running: ServiceProcess, more: int = 100 * MIB) -> Iterator[None]:
    """Watch the memory of a service and its workers: none of them may take much more than at the beginning."""
    processes = [psutil.Process(running.process.pid), *running.workers()]
    before = [process.memory_info().rss for process in processes]
    most = list(before)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            for place, process in enumerate(processes):
                most[place] = max(most[place], process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    grown = [(last - first) // MIB for first, last in zip(before, most, strict=True)]
    assert max(grown) < more // MIB, f"MiB that the service and its workers took: {grown}"


# --- bodies that are too large ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "length"),
    [
        ("/v1/observations", LARGEST + 1), ("/v1/loads", LARGEST + 1), ("/v1/reports", MIB + 1),
        ("/trigger_report", MIB + 1), ("/v1/observations", 10**17), ("/none", MIB + 1), ("/static/docs.js", MIB + 1),
    ],
)  # fmt: skip
def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(narrow: Service, path: str, length: int) -> None:
    answer = said(narrow, head("POST", path, f"Content-Length: {length}"))
    assert status_of(answer) == 413
    assert b"application/problem+json" in answer
    assert b"connection: close" in answer.lower()


def test_a_client_that_asks_first_is_not_told_to_go_on(narrow: Service) -> None:
    answer = said(narrow, head("POST", "/v1/loads", f"Content-Length: {LARGEST + 1}", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(("path", "largest"), [("/v1/observations", LARGEST), ("/v1/reports", MIB)])
def test_a_body_without_a_length_is_refused_when_it_becomes_too_large(narrow: Service, path: str, largest: int) -> None:
    sent = 0
    with connected(narrow) as connection:
        connection.sendall(head("POST", path, "Transfer-Encoding: chunked", "Content-Type: application/json"))
        try:
            while sent < 10 * LARGEST:
                connection.sendall(chunk(b" " * MIB))
                sent += MIB
        except OSError:
            pass  # it does not listen any more
        answer = heard(connection)
    assert status_of(answer) in (413, 0), "the answer is lost when it comes while we still send"
    assert sent <= largest + 8 * MIB, "it went on listening"
    assert in_time(lambda: any(line.get("status") == 413 and line.get("path") == path for line in logged(narrow)))


@pytest.mark.slow
def test_a_gigabyte_passes_through_little_memory_and_leaves_nothing_when_it_breaks_off(wide: ServiceProcess) -> None:
    line = b'{"store_id": "1", "status": "active", "timestamp_utc": "2023-01-25T12:00:00Z"}\n'
    block = chunk(line * (4 * MIB // len(line)))
    with wide.client() as client, little_memory(wide):
        waited = []
        with connected(wide, seconds=60) as connection:
            connection.sendall(head("POST", "/v1/observations", "Transfer-Encoding: chunked", *NDJSON_LINES))
            for number in range(256):
                connection.sendall(block)
                if number % 16 == 0:
                    began = time.monotonic()
                    assert client.get("/healthz").status_code == 200
                    waited.append(time.monotonic() - began)
            assert left_of_uploads(wide)[0] == 1
        assert in_time(lambda: left_of_uploads(wide) == (0, 0))
    assert sorted(waited)[len(waited) // 2] < 1, waited
    assert not [one for one in logged(wide) if one["level"] == "error"], "a client that leaves is no defect"


NDJSON_LINES = [f"{name}: {value}" for name, value in NDJSON.items()]


# --- bombs --------------------------------------------------------------------------------------------


def gzip_bomb(mebibytes: int) -> bytes:
    return gzip.compress(b"0" * (64 * MIB), 6) * (mebibytes // 64)


def zstd_bomb(mebibytes: int) -> bytes:
    return zstandard.compress(b"0" * (64 * MIB)) * (mebibytes // 64)


@pytest.mark.slow
@pytest.mark.parametrize("media_type", ["application/x-ndjson", "text/csv", "application/json"])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_ten_gigabytes_of_zeros_are_refused_in_little_memory(
    narrow: ServiceProcess, encoding: str, media_type: str
) -> None:
    bomb = {"gzip": gzip_bomb, "zstd": zstd_bomb}[encoding](10_240)
    assert len(bomb) < LARGEST
    headers = {"Content-Type": media_type, "Content-Encoding": encoding}
    with narrow.client() as client, little_memory(narrow, 300 * MIB):
        answer = client.post("/v1/observations", content=bomb, headers=headers)
    assert answer.status_code == 422, answer.text
    assert "a line of over 16 MiB" in answer.json()["detail"]
    assert left_of_uploads(narrow) == (0, 0)


@pytest.mark.parametrize("content", [b"0" * 64 * MIB, b"[" + b" " * 64 * MIB])
def test_a_small_body_that_becomes_large_is_refused_before_it_does(narrow: ServiceProcess, content: bytes) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with narrow.client() as client, little_memory(narrow, 30 * MIB):
        answer = client.post("/v1/observations", content=gzip.compress(content), headers=headers)
    assert answer.status_code == 413


def test_a_file_of_too_many_rows_is_refused(narrow: Service) -> None:
    rows = tables.table("polls", *(f"{number},active,2023-01-24 10:00:00 UTC" for number in range(11)))
    with narrow.client() as client:
        answer = client.post("/v1/observations", content=rows, headers={"Content-Type": "text/csv"})
        assert answer.status_code == 422, answer.text
        assert "10 rows" in answer.json()["detail"]
        assert client.get("/v1/stores").status_code in (200, 404, 422)
        assert client.get("/v1/loads").json()["loads"] == []


@pytest.mark.parametrize(
    "content", [gzip.compress(b"x" * 1000)[:-9], b"\x1f\x8b\x08\x00garbage"], ids=["cut", "garbage"]
)
@pytest.mark.parametrize("media_type", ["application/json", "text/csv"])
def test_damaged_compression_is_the_mistake_of_the_client(narrow: Service, media_type: str, content: bytes) -> None:
    headers = {"Content-Type": media_type, "Content-Encoding": "gzip"}
    with narrow.client() as client:
        assert client.post("/v1/observations", content=content, headers=headers).status_code in (400, 422)


# --- time ---------------------------------------------------------------------------------------------


def test_a_body_that_takes_too_long_is_given_up(narrow: Service) -> None:
    for path in ("/v1/observations", "/v1/reports"):
        began = time.monotonic()
        answer = said(narrow, head("POST", path, "Content-Length: 100000", *NDJSON_LINES) + b"{")
        assert status_of(answer) == 408
        assert b"application/problem+json" in answer
        assert 1 < time.monotonic() - began < 10
    assert in_time(lambda: left_of_uploads(narrow) == (0, 0))


def test_a_body_that_trickles_is_given_up_all_the_same(narrow: Service) -> None:
    with connected(narrow) as connection:
        connection.sendall(head("POST", "/v1/observations", "Content-Length: 100000", *NDJSON_LINES))
        trickle(connection, b"{", 20)
        assert status_of(heard(connection)) == 408


def trickle(connection: socket.socket, piece: bytes, times: int) -> int:
    """Send a piece every 0.2 s until the other side closes; return how often."""
    for number in range(times):
        try:
            connection.sendall(piece)
        except OSError:
            return number
        time.sleep(0.2)
    return times


def test_a_body_that_nobody_reads_may_not_go_on_for_ever(narrow: Service) -> None:
    with connected(narrow) as connection:
        connection.sendall(head("GET", "/healthz", "Transfer-Encoding: chunked"))
        assert status_of(connection.recv(1 << 16)) == 200
        assert trickle(connection, chunk(b" "), 120) < 120


def test_headers_that_trickle_are_given_up(narrow: Service) -> None:
    for piece in (b"X: y\r\n", b""):
        with connected(narrow) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            began = time.monotonic()
            trickle(connection, piece, 20)
            assert heard(connection) == b""
            assert time.monotonic() - began < 10


def test_a_connection_that_says_nothing_is_closed(narrow: Service) -> None:
    with connected(narrow) as connection:
        assert heard(connection) == b""


@pytest.mark.parametrize("line", [b"GET /" + b"x" * MIB, b"X-Long: " + b"x" * MIB, b"X: y\r\n" * (MIB // 6)])
def test_headers_that_are_too_large_are_refused(narrow: Service, line: bytes) -> None:
    start = b"" if line.startswith(b"GET") else b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
    with connected(narrow) as connection:
        with suppress(OSError):  # it does not listen any more
            connection.sendall(start + line)
        assert status_of(heard(connection)) in (431, 400, 0)


def test_endless_headers_take_little_memory(wide: ServiceProcess) -> None:
    for start in (
        b"GET /",
        head("GET", "/healthz")[:-2] + b"X: ",
        head("GET", "/", "Transfer-Encoding: chunked") + b"1;",
    ):
        with connected(wide) as connection, little_memory(wide, 30 * MIB):
            connection.sendall(start)
            with pytest.raises(OSError, match=r"reset|pipe"):
                connection.sendall(b"x" * 200 * MIB)


def test_idle_connections_keep_nobody_waiting(wide: Service) -> None:
    with ExitStack() as stack:
        for _ in range(500):
            connection = stack.enter_context(connected(wide))
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: local")
        began = time.monotonic()
        with wide.client() as client:
            assert client.get("/readyz").status_code == 200
        assert time.monotonic() - began < 5


def test_an_upload_that_breaks_off_leaves_nothing_behind(wide: Service) -> None:
    for lines in (["Content-Length: 100000000"], ["Transfer-Encoding: chunked"]):
        with connected(wide) as connection:
            connection.sendall(head("POST", "/v1/observations", *lines, *NDJSON_LINES) + b"8\r\n{      }\r\n")
            assert in_time(lambda: left_of_uploads(wide)[0] == 1)
        assert in_time(lambda: left_of_uploads(wide) == (0, 0))
    assert not [one for one in logged(wide) if one["level"] == "error"], "a client that leaves is no defect"


def test_a_sent_form_that_breaks_off_leaves_nothing_behind(wide: Service) -> None:
    start = b'--sep\r\nContent-Disposition: form-data; name="polls"; filename="a"\r\n\r\nstore'
    with connected(wide) as connection:
        lines = ("Content-Length: 100000", "Content-Type: multipart/form-data; boundary=sep")
        connection.sendall(head("POST", "/v1/loads", *lines) + start)
        time.sleep(0.2)
    with wide.client() as client:
        client.get("/v1/jobs/after-the-form")
    assert in_time(lambda: any(one.get("status") == 499 and one["path"] == "/v1/loads" for one in logged(wide)))
    assert left_of_uploads(wide) == (0, 0)


# --- what is hard to read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000, b'{"a":' * 100_000, b"[" * 500_000 + b"]" * 500_000, b'"' + b"\\" * 100_001, b"\xff\xfe", b"",
        b"[]", b"nul", b"[1,]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/v1/observations", "/v1/reports"])
def test_json_that_cannot_be_read_is_the_mistake_of_the_client(client: httpx.Client, path: str, content: bytes) -> None:
    answer = client.post(path, content=content, headers={"Content-Type": "application/json"})
    expected = (202,) if path == "/v1/reports" and not content else (400, 413, 422)
    assert answer.status_code in expected, answer.text


@pytest.mark.parametrize(
    "value",
    [
        "9" * 1_000_000, "-" + "9" * 5000, "1e999999999", "0." + "1" * 900_000, "NaN", "Infinity", "-Infinity", "null",
        "[" * 900 + "]" * 900, "{}", "true", '"\\ud800"', '"\\u0000"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["store_id", "status", "timestamp_utc", "more"])
def test_odd_values_are_set_aside_with_a_reason(client: httpx.Client, name: str, value: str) -> None:
    row = {"store_id": '"odd"', "status": '"active"', "timestamp_utc": '"2023-01-25T12:00:00Z"', name: value}
    content = "{" + ", ".join(f'"{key}": {one}' for key, one in row.items()) + "}"
    answer = client.post("/v1/observations", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200, answer.text
    outcome = answer.json()
    assert outcome["accepted"] + outcome["quarantined"] == 1
    if name in ("status", "timestamp_utc") and (name, value) != ("status", "true"):  # a word for active
        assert outcome["quarantined"] == 1
    rows = client.get(outcome["quarantine"])
    assert rows.status_code == 200
    assert len(rows.json()["rows"]) == outcome["quarantined"]


def test_huge_numbers_in_options_are_the_mistake_of_the_client(client: httpx.Client) -> None:
    for content in (b'{"all_stores": ' + b"9" * 900_000 + b"}", b'{"as_of": ' + b"9" * 5000 + b"}"):
        answer = client.post("/v1/reports", content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
        assert len(answer.content) < 10_000
    assert client.get("/v1/loads", params={"limit": "9" * 5000}).status_code == 422
    assert client.get("/v1/loads/" + "9" * 5000).status_code == 422


ODD = {
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n",
    "the same length twice": b"Content-Length: 2\r\nContent-Length: 2\r\n",
    "a negative length": b"Content-Length: -1\r\n",
    "a signed length": b"Content-Length: +2\r\n",
    "a hexadecimal length": b"Content-Length: 0x2\r\n",
    "a length that is no number": b"Content-Length: two\r\n",
    "a huge length": b"Content-Length: " + b"9" * 100 + b"\r\n",
    "length and chunks": b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
    "an unknown transfer": b"Transfer-Encoding: rot13\r\n",
    "chunks twice": b"Transfer-Encoding: chunked, chunked\r\n",
    "a folded line": b"X-Folded: a\r\n b\r\n",
    "a space before the colon": b"Content-Length : 2\r\n",
    "a bare line feed": b"X: a\nContent-Length: 2\r\n",
    "a NUL": b"X-Odd: a\x00b\r\n",
    "no name": b": x\r\n",
    "a media type that is none": b"Content-Type: ;;;=\xff\r\nContent-Length: 2\r\n",
    "a form without a boundary": b"Content-Type: multipart/form-data\r\nContent-Length: 2\r\n",
    "an unknown encoding": b"Content-Encoding: br\r\nContent-Length: 2\r\n",
    "many encodings": b"Content-Encoding: gzip, gzip\r\nContent-Length: 2\r\n",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n",
}


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
@pytest.mark.parametrize("path", ["/v1/observations", "/v1/loads", "/v1/reports"])
def test_odd_headers_are_the_mistake_of_the_client(served: Service, path: str, odd: bytes) -> None:
    start = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
    with connected(served, seconds=5) as connection:
        connection.sendall(start + odd + b"\r\n{}")
        answer = heard(connection)
    assert 200 <= status_of(answer) < 500, answer[:300]


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET", b"GET /healthz", b"GET /healthz HTTP/9.9", b"G\x00T / HTTP/1.1", b"CONNECT example.com:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1", b"GET http://[ HTTP/1.1", b"GET \xff HTTP/1.1", b"GET //evil.example/ HTTP/1.1",
        b"GET http://evil.example/healthz HTTP/1.1", b"PRI * HTTP/2.0", b"BREW /healthz HTTP/1.1",
        b"\x16\x03\x01\x02\x00",
    ],
)  # fmt: skip
def test_odd_requests_are_the_mistake_of_the_client(served: Service, request_line: bytes) -> None:
    with connected(served, seconds=5) as connection:
        connection.sendall(request_line + b"\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = heard(connection)
    assert status_of(answer) < 500 or status_of(answer) == 505, answer[:300]  # 505: this version is not spoken


def test_a_field_of_a_form_that_is_no_file_may_not_be_large(client: httpx.Client) -> None:
    body = b'--sep\r\nContent-Disposition: form-data; name="polls"\r\n\r\n' + b"x" * (2 * MIB) + b"\r\n--sep--\r\n"
    answer = client.post("/v1/loads", content=body, headers={"Content-Type": "multipart/form-data; boundary=sep"})
    assert answer.status_code in (400, 413, 422), answer.text


def test_a_form_may_not_have_too_many_files(client: httpx.Client) -> None:
    answer = client.post("/v1/loads", files=[("files", (str(number), b"x")) for number in range(101)])
    assert answer.status_code == 400
    assert json.loads(answer.text)["status"] == 400


def test_the_queue_is_limited(tmp_path: Path) -> None:
    with service_threads(tmp_path, queue_limit="2", wait_seconds="0") as running, running.client() as client:
        for number in range(2):
            assert client.post("/v1/observations", content=tables.POLLS, headers=NDJSON).status_code == 202, number
        # Loads keep no report out: each kind has a queue of its own.
        for options in ({"all_stores": True}, {"windows": ["last_day"]}):
            assert client.post("/v1/reports", json=options).status_code == 202
        for answer in (
            client.post("/v1/observations", content=tables.POLLS, headers=NDJSON),
            client.post("/v1/reports"),
            client.get("/trigger_report"),
        ):
            assert answer.status_code == 429
            assert int(answer.headers["retry-after"]) > 0
        assert left_of_uploads(running) == (0, 2)
        assert client.post("/v1/observations", json=[]).status_code == 400
