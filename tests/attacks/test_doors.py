"""Who gets in: keys before bodies, hosts, pages elsewhere, and what strangers are told."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url
from starlette.routing import Mount

from tests.attacks.conftest import Target
from tests.attacks.test_requests import everything, head
from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.services import ServiceProcess, begin_service, connected, in_time, logged, said, service, status_of
from uphours.database import api_keys
from uphours.database.database import connect
from uphours.service.app import create_app
from uphours.service.auth import KeyedRoute, scope_of
from uphours.settings import settings
from uphours.wire.words import Scope

pytestmark = pytest.mark.slow

FRAME = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/80.0"
#: GETs of the earlier systems that change something.
CHANGING = ("/trigger_report", "/api/trigger_report", "/trigger-report", "/store_csv_data")


def new_key(folder: Path, *scopes: Scope) -> str:
    with connect(url_in(folder)).writing() as connection:
        return api_keys.create(connection, name="test", scopes=list(scopes), now=tables.NOW, actor="test")[1]


# --- keys before bodies -------------------------------------------------------------------------------


@only_sqlite
def test_every_route_knows_who_calls_before_it_reads_a_body(tmp_path: Path) -> None:
    found = routes(create_app(settings(database_url=url_in(tmp_path))).routes)
    odd = [route for route in found if not isinstance(route, KeyedRoute | Mount)]
    assert [getattr(route, "path", "") for route in odd] == ["/v1/observations"], "it does so itself"
    assert len(found) > 30


def routes(level: Iterable[Any]) -> list[Any]:
    """Return all routes, those of routers that are included in others too."""
    return [
        route
        for outer in level
        for route in (routes(outer.original_router.routes) if hasattr(outer, "original_router") else [outer])
    ]


def doors(folder: Path) -> list[tuple[str, str]]:
    """Return verb and path of each route that wants a key and takes a body."""
    app = create_app(settings(database_url=url_in(folder)))
    return [
        (method, route.path.replace("{", "").replace("}", ""))
        for route in routes(app.routes)
        if isinstance(route, KeyedRoute) and scope_of(route.endpoint) != "open"
        for method in sorted((route.methods or set()) - {"GET", "HEAD"})
    ]


@only_sqlite
def test_the_key_is_asked_for_before_the_body(tmp_path: Path) -> None:
    new_key(tmp_path, "read")
    with service(tmp_path, require_key="true", workers="0") as running:
        found = doors(tmp_path)
        assert {("POST", "/v1/reports"), ("POST", "/reports"), ("POST", "/v1/loads")} <= set(found)
        for method, path in [*found, ("POST", "/v1/observations")]:
            for kind in ("application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
                lines = ("Content-Length: 1000", f"Content-Type: {kind}", "Authorization: Bearer sp_wrong_key")
                began = time.monotonic()
                answer = said(running, head(f"{method} {path} HTTP/1.1", *lines) + b"{")
                assert status_of(answer) == 401, (method, path, kind, answer)
                assert b"connection: close" in answer.lower()
                assert time.monotonic() - began < 5, (method, path)


@only_sqlite
def test_a_key_without_the_scope_is_refused_before_the_body(tmp_path: Path) -> None:
    key = new_key(tmp_path, "read")
    with service(tmp_path, require_key="true", workers="0") as running:
        lines = ("Content-Length: 1000", f"Authorization: Bearer {key}")
        for path in ("/v1/loads", "/v1/observations", "/v1/demo"):
            assert status_of(said(running, head(f"POST {path} HTTP/1.1", *lines) + b"{")) == 403, path


@only_sqlite
def test_signing_in_takes_a_small_body_only(tmp_path: Path) -> None:
    new_key(tmp_path, "read")
    with service(tmp_path, require_key="true", workers="0") as running:
        form = "Content-Type: application/x-www-form-urlencoded"
        assert status_of(said(running, head("POST /sign-in HTTP/1.1", "Content-Length: 10000", form))) == 413
        chunked = head("POST /sign-in HTTP/1.1", "Transfer-Encoding: chunked", form)
        assert status_of(said(running, chunked + b"4000\r\n" + b"k" * 0x4000 + b"\r\n")) == 413


# --- what strangers are told, and under which names ---------------------------------------------------


def test_health_is_asked_under_any_name_and_nothing_else_is(target: Target) -> None:
    with target(allowed_hosts='["pulse.example"]', workers="0") as running, running.client() as client:
        for host in ("127.0.0.1:8000", "evil.example", "10.0.0.7", "pulse.example"):
            for path in ("/healthz", "/readyz"):
                assert client.get(path, headers={"Host": host}).status_code == 200, (path, host)
        assert client.get("/v1/stores", headers={"Host": "pulse.example"}).status_code == 200
        assert client.get("/v1/stores", headers={"Host": "evil.example"}).status_code == 421
        assert client.get("/healthz/../v1/stores", headers={"Host": "evil.example"}).status_code == 421


@only_sqlite
def test_a_service_without_keys_does_not_answer_to_any_name(tmp_path: Path) -> None:
    with service(tmp_path, "--host", "0.0.0.0", "--insecure", workers="0") as running, running.client() as client:
        for host in ("127.0.0.1", "localhost:9", "10.1.2.3:8000", "[fe80::1]", "0.0.0.0"):
            assert client.get("/v1/loads", headers={"Host": host}).status_code == 200, host
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3", "0x7f.1", ""):
            assert client.get("/v1/loads", headers={"Host": host}).status_code == 421, host


def test_readiness_tells_strangers_nothing_of_the_inside(engine: str, tmp_path: Path) -> None:
    running = begin_service(tmp_path, workers="0")
    try:
        url = make_url(url_in(tmp_path))
        with running.client() as client:
            if engine == "sqlite":
                file = Path(str(url.database))
                for path in (file, *file.parent.glob(f"{file.name}-*")):
                    path.rename(path.with_suffix(path.suffix + ".away"))
                file.write_bytes(b"no database" * 1000)
                assert in_time(lambda: client.get("/readyz").status_code == 503, 20)
                answer = client.get("/readyz").text
                assert str(tmp_path) not in answer
                assert file.name not in answer
    finally:
        running.stop()


# --- HEAD ---------------------------------------------------------------------------------------------


@only_sqlite
def test_head_is_get_without_a_body(shared: ServiceProcess, client: httpx.Client) -> None:
    for path in ("/", "/healthz", "/readyz", "/docs", "/openapi.json", "/v1/stores", "/v1/loads", "/v1/loads/99",
                 "/metrics", "/static/page.css", "/no-such-page", "/sign-in"):  # fmt: skip
        get, without = client.get(path), client.head(path)
        assert (without.status_code, without.content) == (get.status_code, b""), path
        varying = {"x-request-id", "date", "content-length" if path == "/metrics" else ""}
        if "request_id" in get.text or path == "/":
            varying.add("content-length")
        assert {name: value for name, value in without.headers.items() if name not in varying} == {
            name: value for name, value in get.headers.items() if name not in varying
        }, path
    answer = everything_after(shared, head("HEAD /docs HTTP/1.1") + head("HEAD /healthz HTTP/1.1"))
    assert answer.count(b"HTTP/1.1 200 ") == 2
    assert answer.endswith(b"\r\n\r\n")


def everything_after(running: ServiceProcess, request: bytes) -> bytes:
    with connected(running, seconds=1.5) as connection:
        connection.sendall(request)
        return everything(connection)


@only_sqlite
def test_head_changes_nothing(client: httpx.Client) -> None:
    before = client.get("/v1/reports").json()
    for path in CHANGING:
        answer = client.head(path)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST"), path
    assert client.get("/v1/reports").json() == before


# --- pages elsewhere ----------------------------------------------------------------------------------


ELSEWHERE: list[dict[str, str]] = [
    FRAME,
    FRAME | {"Sec-Fetch-Dest": "document"},  # a link
    FRAME | {"Sec-Fetch-Dest": "embed"},
    FRAME | {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Referer": "http://evil.example/page"},
    {"Referer": "http://localhost:1/"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"User-Agent": BROWSER},  # an old browser, whose page says that it must not say where it comes from
]
FROM_HERE: list[dict[str, str]] = [
    {},
    {"User-Agent": "curl/8.0"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "User-Agent": BROWSER},
    {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "User-Agent": BROWSER},
    {"User-Agent": BROWSER, "Referer": "{url}/docs"},
]


def reports_of(client: httpx.Client) -> list[str]:
    """Return the reports that were asked for; how far they are changes by itself."""
    return [one["id"] for one in client.get("/v1/reports").raise_for_status().json()["reports"]]


@only_sqlite
@pytest.mark.parametrize("path", CHANGING)
def test_no_page_elsewhere_changes_anything_by_a_get(shared: ServiceProcess, client: httpx.Client, path: str) -> None:
    before = reports_of(client)
    for headers in ELSEWHERE:
        answer = client.get(path, headers=headers)
        assert answer.status_code == 403, (headers, answer.text)
        assert answer.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert reports_of(client) == before
    for headers in FROM_HERE:
        written = {name: value.format(url=shared.url) for name, value in headers.items()}
        expected = 409 if path == "/store_csv_data" else 200  # there is no data folder
        assert client.get(path, headers=written).status_code == expected, headers


# --- small ones ---------------------------------------------------------------------------------------


@only_sqlite
def test_a_form_without_its_end_loads_nothing(client: httpx.Client) -> None:
    before = client.get("/v1/loads").json()
    part = 'Content-Disposition: form-data; name="{}"; filename="a.csv"\r\n\r\n{}'
    polls, hours = part.format("polls", tables.POLLS), part.format("hours", tables.HOURS)
    kind = {"Content-Type": "multipart/form-data; boundary=sep"}
    cut = [
        f"--sep\r\n{polls}\r\n--sep\r\n{hours}",
        f"--sep\r\n{polls}\r\n--sep\r\n{hours}\r\n--sep",
        f"--sep\r\n{polls}\r\n--sep\r\n{hours}\r\n--sep-",
        f"--sep\r\n{polls}\r\n--sep\r\n",
        f"--sep\r\n{polls}\r\n",
        "",
    ]
    for content in cut:
        answer = client.post("/v1/loads", content=content.encode(), headers=kind)
        assert answer.status_code in (400, 422), (content, answer.text)
    assert client.get("/v1/loads").json() == before
    whole = f"preamble\r\n--sep\r\n{polls}\r\n--sep\r\n{hours}\r\n--sep--\r\nepilogue"
    answer = client.post("/v1/loads", content=whole.encode(), headers=kind)
    assert answer.status_code in (200, 400), answer.text
    assert client.post("/v1/loads", content=whole.removeprefix("preamble\r\n").encode(), headers=kind).is_success


def test_a_number_that_no_column_holds_is_a_mistake_of_the_client(shared: ServiceProcess, client: httpx.Client) -> None:
    from uphours.service.api.paging import cursor

    for number in (2**31, 2**40, 2**63, 2**70, -(2**31), -(2**70), 10**400):
        for path, key in [
            ("/v1/loads", (number,)), ("/v1/loads/1/quarantine", (number, 1)), ("/v1/audit", (number,)),
            ("/v1/reports", (number, "x")), ("/data", (number,)), ("/data/loads/1", (1, number)),
            ("/reports", (number, "x")),
        ]:  # fmt: skip
            answer = client.get(path, params={"cursor": cursor(*key)})
            assert answer.status_code < 500, (path, number, answer.text)
        for path in (f"/v1/loads/{number}", f"/v1/loads/{number}/quarantine", f"/data/loads/{number}",
                     f"/v1/loads/1/quarantine?format=csv&file={number}", f"/v1/loads?limit={number}",
                     f"/v1/stores?limit={number}", f"/v1/stores?window=x={number}/{number}"):  # fmt: skip
            assert client.get(path).status_code < 500, path


@only_sqlite
def test_log_lines_are_short_and_hold_no_escapes(shared: ServiceProcess, client: httpx.Client) -> None:
    client.get("/" + "x" * 60_000)
    assert in_time(lambda: any(str(line.get("path", "")).startswith("/xxx") for line in logged(shared)))
    client.get("/%1b%5b2J%c2%9b31m%e2%80%ae")
    assert in_time(lambda: any("\\x1b[2J" in str(line.get("path", "")) for line in logged(shared)))
    text = shared.log.read_text()
    assert max(map(len, text.splitlines())) < 5_000
    assert text.replace("\n", "").isprintable()
    assert json.dumps("\x1b")[1:-1] not in text


@only_sqlite
def test_log_lines_for_people_hold_no_escapes_but_colours(target: Target) -> None:
    with target(log_format="console", log_level="info") as running, running.client() as client:
        client.get("/%1b%5b2J%c2%9b31m%e2%80%ae%0aevent%0d")
        text = b"\x1b[2J\n"
        csv = b"store_id,status,timestamp_utc\n" + text + b",up,2023-01-24 10:00:00 UTC\n"
        client.post("/v1/loads", files={"polls": ("\x1b[31mname\r\n", csv)})
        assert in_time(lambda: "\\x1b[2J" in running.log.read_text())
    plain = re.sub("\x1b\\[[0-9;]*m", "", running.log.read_text())
    assert plain.replace("\n", "").isprintable()
    assert not any(line.startswith("event") for line in plain.splitlines())
