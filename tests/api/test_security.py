"""What an attacker, or a page elsewhere in somebody's browser, would try."""

from __future__ import annotations

import asyncio
import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from structlog.testing import capture_logs

from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service, in_time, logged, said, service, status_of
from uphours.service.app import create_app
from uphours.service.auth import needs
from uphours.service.middleware import HEADERS
from uphours.settings import settings

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in what these are about

ELSEWHERE = "https://evil.example"
FRIEND = "https://dashboard.example"


def check_headers(answer: httpx.Response) -> None:
    assert {name for name in HEADERS if name not in answer.headers} == set()
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers
    assert "x-request-id" in answer.headers
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200), ("GET", "/metrics", 200), ("GET", "/openapi.json", 200), ("GET", "/docs", 200),
        ("GET", "/static/docs.js", 200), ("GET", "/static/none.js", 404), ("GET", "/", 200),
        ("GET", "/none", 404), ("GET", "/v1/none", 404),
        ("PATCH", "/v1/reports", 405), ("POST", "/static/docs.js", 405), ("GET", "/v1/loads?limit=0", 422),
        ("OPTIONS", "/v1/reports", 405), ("HEAD", "/static/docs.js", 200), ("GET", "/v1/loads/99/quarantine", 404),
    ],
)  # fmt: skip
def test_every_answer_has_the_headers_that_protect(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    check_headers(answer)
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


def test_answers_without_a_page_allow_a_browser_nothing(client: httpx.Client) -> None:
    for path in ("/healthz", "/v1/stores", "/metrics", "/none", "/static/docs.js"):
        assert client.get(path).headers["content-security-policy"].startswith("default-src 'none'")


def test_answers_are_not_kept_unless_they_say_so(client: httpx.Client) -> None:
    assert client.get("/v1/stores").headers["cache-control"] == "no-store"


async def _boom() -> None:
    raise RuntimeError("secret of the inside")


def test_a_defect_is_a_problem_with_all_headers_and_without_details(tmp_path: Path) -> None:
    store = url_in(tmp_path)
    app = create_app(settings(database_url=store))
    app.add_api_route("/defect", needs("open", sees="all")(_boom))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get("/defect")

    with capture_logs() as logged:  # services in threads of this process would log it too
        answer = asyncio.run(ask())
    assert [line["event"] for line in logged if line["log_level"] == "error"] == ["a request failed by a defect"]
    assert answer.status_code == 500
    check_headers(answer)
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in answer.text


# --- pages of other sites -----------------------------------------------------------------------------


def test_no_page_elsewhere_is_allowed_anything_unless_configured(client: httpx.Client) -> None:
    for headers in ({"Origin": ELSEWHERE}, {"Origin": "null"}, {"Origin": ELSEWHERE, "Sec-Fetch-Site": "same-site"}):
        answer = client.get("/v1/stores", headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]
    asking = {"Origin": ELSEWHERE, "Access-Control-Request-Method": "POST"}
    assert client.options("/v1/reports", headers=asking).status_code == 405


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("mode", ["cors", "no-cors", "websocket", None])
def test_requests_that_a_page_elsewhere_makes_are_refused(client: httpx.Client, method: str, mode: str | None) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"} | ({"Sec-Fetch-Mode": mode} if mode else {})
    answer = client.request(method, "/trigger_report", headers=headers)
    assert answer.status_code == 403
    check_headers(answer)


def test_a_form_of_a_page_elsewhere_is_refused(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    files = {"polls": ("polls.csv", tables.POLLS)}
    assert client.post("/v1/loads", headers=headers, files=files).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_port_of_this_machine_is_elsewhere_too(client: httpx.Client, site: str) -> None:
    assert client.post("/trigger_report", headers={"Sec-Fetch-Site": site}).status_code == 403


def test_a_link_from_a_page_elsewhere_may_be_followed(client: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert client.get("/docs", headers=headers).status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_pages_and_typed_addresses_work(client: httpx.Client, site: str) -> None:
    assert client.get("/v1/stores", headers={"Sec-Fetch-Site": site}).status_code == 200


@pytest.fixture(scope="module")
def friendly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that a page elsewhere may use, under two names."""
    folder = tmp_path_factory.mktemp("friendly")
    with service_threads(
        folder, wait_seconds="0", cors_origins=json.dumps([FRIEND]),
        allowed_hosts='["reports.example", "127.0.0.1"]',
    ) as running:  # fmt: skip
        yield running


def test_a_page_that_is_configured_may_use_the_service(friendly: Service) -> None:
    headers = {"Origin": FRIEND, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}
    with friendly.client() as client:
        asking = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
        allowed = client.options("/v1/timezones", headers=headers | asking)
        answer = client.get("/v1/loads", headers=headers)
    assert (allowed.status_code, answer.status_code) == (200, 200)
    for one in (allowed, answer):
        assert one.headers["access-control-allow-origin"] == FRIEND
        assert "access-control-allow-credentials" not in one.headers
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", [ELSEWHERE, FRIEND + ".evil.example", FRIEND.upper(), "null", "*", ""])
def test_other_pages_may_not_although_one_may(friendly: Service, origin: str) -> None:
    with friendly.client() as client:
        asking = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        allowed = client.options("/v1/loads", headers=asking)
        answer = client.get("/v1/loads", headers={"Origin": origin})
        refused = client.get("/v1/loads", headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"})
    for one in (allowed, answer, refused):
        assert "access-control-allow-origin" not in one.headers
    assert refused.status_code == 403


# --- names of the service -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "evil.example:80", "[::2]", "[", "0"],
)
def test_a_foreign_name_that_leads_to_loopback_is_refused(client: httpx.Client, host: str) -> None:
    answer = client.get("/v1/stores", headers={"Host": host})
    assert answer.status_code == 421
    check_headers(answer)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1", "[::1]:80", "[::1]"])
def test_names_of_this_machine_are_good_on_loopback(client: httpx.Client, host: str) -> None:
    assert client.get("/v1/stores", headers={"Host": host}).status_code == 200


def test_several_host_headers_are_refused(served: Service) -> None:
    answer = said(
        served, b"GET /healthz HTTP/1.1\r\nHost: evil.example\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    assert 400 <= status_of(answer) < 500


def test_only_names_that_are_allowed_are_good_where_they_are_set(friendly: Service) -> None:
    with friendly.client() as client:
        for host, status in (("reports.example", 200), ("Reports.Example:443", 200), ("localhost", 421)):
            assert client.get("/v1/loads", headers={"Host": host}).status_code == status
            assert client.get("/healthz", headers={"Host": host}).status_code == 200  # a health check knows no name


def test_another_address_of_loopback_answers_to_itself(tmp_path: Path) -> None:
    with service_threads(tmp_path, host="127.0.0.2") as running, running.client() as client:
        assert running.url.startswith("http://127.0.0.2:")
        assert client.get("/readyz").status_code == 200
        assert client.get("/v1/loads", headers={"Host": "evil.example"}).status_code == 421
        assert client.get("/readyz", headers={"Host": "evil.example"}).status_code == 200


# --- what is injected ---------------------------------------------------------------------------------


def test_a_sane_request_id_is_taken_and_comes_back_everywhere(client: httpx.Client, served: Service) -> None:
    answer = client.get("/v1/jobs/none", headers={"X-Request-ID": "My.request_1-a"})
    assert answer.headers["x-request-id"] == "My.request_1-a"
    assert answer.json()["request_id"] == "My.request_1-a"
    assert in_time(lambda: any(line.get("request_id") == "My.request_1-a" for line in logged(served)))


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, "a\tb", '"},{"level":"error', "é", "<script>", "a,b"])
def test_another_request_id_is_replaced(client: httpx.Client, sent: str) -> None:
    answer = client.get("/v1/jobs/none", headers={b"X-Request-ID": sent.encode("latin-1")})
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_each_request_has_an_id_of_its_own(client: httpx.Client) -> None:
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(5)}) == 5


def test_log_lines_are_json_without_query_strings(client: httpx.Client, served: Service) -> None:
    client.get("/v1/jobs/first%0A%7B%22level%22%3A%22error%22%7D", params={"token": "hunter2"})
    client.get("/v1/jobs/last-of-these")
    assert in_time(lambda: "last-of-these" in served.log.read_text())
    lines = logged(served)
    (line,) = [one for one in lines if "/first" in str(one.get("path"))]
    assert set(line) >= {"event", "level", "timestamp", "request_id", "method", "path", "status", "milliseconds"}
    assert "hunter2" not in served.log.read_text()
    assert line["level"] == "info"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../etc/passwd", "passwd"), ("..\\..\\boot.ini", "boot.ini"), ("/etc/shadow", "shadow"),
        ('a".csv', 'a".csv'), ("a\x01\x7fb.csv", "ab.csv"), ("..", ".."), ("x" * 300, "x" * 200),
    ],
)  # fmt: skip
def test_the_name_of_a_sent_file_is_cleaned(client: httpx.Client, sent: str, kept: str) -> None:
    answer = send_named(client, sent.encode())
    assert answer.status_code == 200, answer.text
    (file,) = client.get(f"/v1/loads/{answer.json()['load']}").json()["files"]
    assert file["name"] == kept
    assert not [value for value in answer.headers.values() if kept in value]


@pytest.mark.parametrize(
    "sent", [b"a\r\nX-Evil: 1\r\n\r\nb", b"\"; filename*=UTF-8''%0d%0aX-Evil: 1", b"\xff\xfe\x00", b"\x00", b""]
)
def test_a_name_that_breaks_its_header_brings_nothing_else_in(client: httpx.Client, sent: bytes) -> None:
    answer = send_named(client, sent)
    assert answer.status_code in (200, 400, 422), answer.text
    assert "x-evil" not in answer.headers
    if answer.status_code == 200:
        load = answer.json()["load"]
        (file,) = client.get(f"/v1/loads/{load}").json()["files"]
        assert file["name"].isprintable()
        download = client.get(f"/v1/loads/{load}/quarantine", params={"format": "csv"})
        assert download.headers["content-disposition"] == f'attachment; filename="quarantine-{load}-0.csv"'


def send_named(client: httpx.Client, name: bytes) -> httpx.Response:
    """Send a file with one good and one bad row under a name, escaping nothing but what is given."""
    rows = tables.table("polls", "1,active,2023-01-24 10:00:00 UTC", "1,sleeping,2023-01-24 10:00:00 UTC")
    escaped = (
        name if b"\r\n" in name or b"filename*" in name else name.replace(b'"', b'\\"').replace(b"\\..", b"\\\\..")
    )
    body = (
        b'--sep\r\nContent-Disposition: form-data; name="polls"; filename="' + escaped + b'"\r\n\r\n'
        + rows.encode() + b"\r\n--sep--\r\n"
    )  # fmt: skip
    return client.post("/v1/loads", content=body, headers={"Content-Type": "multipart/form-data; boundary=sep"})


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fetc%2fpasswd", "%2e%2e%2f%2e%2e%2fuphours.db", "..", "%2e%2e", "a%00b", "%00", "a" * 64, "a" * 65,
        "x" * 8000, quote("é☃𝄞"), "%ff%fe", "%0d%0aX-Evil:%201", "'%20OR%201=1--", "*", "%25", "%", "uphours.db",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "path",
    [
        "/v1/reports/{}", "/v1/reports/{}/result", "/v1/jobs/{}", "/v1/stores/{}", "/v1/stores/{}/timeline",
        "/v1/loads/{}", "/get-report/{}", "/report/get_report/{}", "/get_report?report_id={}", "/static/{}",
    ],
)  # fmt: skip
def test_a_name_leads_to_no_file_and_to_no_defect(served: Service, path: str, name: str) -> None:
    request = f"GET {path.format(name)} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = said(served, request.encode())
    assert status_of(answer) in (404, 405, 422), answer[:500]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-evil" not in head.lower()
    assert json.loads(body)


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd", "/static/"]
)
def test_only_files_of_the_pages_are_given_out(served: Service, path: str) -> None:
    answer = said(served, f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    assert status_of(answer) == 404


SURROGATE = '"\\ud800"'


@pytest.mark.parametrize(
    "body",
    [
        "{" + SURROGATE + ": 1}", '{"stores": [' + SURROGATE + "]}", '{"as_of": ' + SURROGATE + "}",
        '{"windows": [' + SURROGATE + "]}", '{"windows": [{"name": ' + SURROGATE + ', "start": "x", "end": "y"}]}',
        '{"max_age": NaN}', '{"all_stores": Infinity}', '{"as_of": 1e999}', '{"stores": ["\\u0000"]}',
        '{"max_age": "999999999999999999999999h"}', '{"max_age": "' + "9" * 31 + 'd"}', '{"as_of": "9999-99-99"}',
    ],
)  # fmt: skip
def test_odd_json_is_no_defect(client: httpx.Client, body: str) -> None:
    answer = client.post("/v1/reports", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (202, 400, 422), answer.text
    assert answer.json()


@pytest.mark.parametrize("path", ["/v1/reports", "/v1/loads", "/v1/stores", "/v1/audit", "/v1/loads/1/quarantine"])
@pytest.mark.parametrize(
    "key",
    [
        '["\\ud800"]',
        '[1, "\\ud800"]',
        "[NaN]",
        "[1e400, 1]",
        "[[]]",
        "{}",
        "[" * 5000,
        "[true, 1]",
        "[9223372036854775808]",
    ],
)
def test_a_made_up_cursor_is_no_defect(client: httpx.Client, path: str, key: str) -> None:
    from base64 import urlsafe_b64encode

    cursor = urlsafe_b64encode(key.encode()).decode().rstrip("=")[:2000]
    assert client.get(path, params={"cursor": cursor}).status_code in (200, 422)


# --- places that are watched --------------------------------------------------------------------------


class _Polls(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        content = tables.POLLS.encode()
        self.send_response(200)
        self.send_header("ETag", '"one"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def inside_server() -> Iterator[tuple[int, list[str]]]:
    """A server inside the network; gives its port, and what it is asked for."""
    asked: list[str] = []

    class Handler(_Polls):
        pass

    Handler.asked = asked
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


def sources_of(running: Service) -> list[dict[str, Any]]:
    with running.client() as client:
        found: list[dict[str, Any]] = client.get("/v1/sources").raise_for_status().json()["sources"]
    return found


def visited(running: Service) -> bool:
    """Say whether each visit came to something: one is on record as soon as it begins."""
    return all(one["checked_at"] and (one["error"] or one["files_read"]) for one in sources_of(running))


@pytest.mark.slow
def test_a_watched_url_that_leads_inside_is_refused_and_says_so(tmp_path: Path) -> None:
    with inside_server() as (port, asked):
        places = [
            f"http://user:hunter2@{host}/polls.csv?token=hunter3&sig=hunter4"
            for host in (f"127.0.0.1:{port}", f"localhost:{port}", "169.254.169.254", "10.1.2.3", "[::1]:9", "0.0.0.0")
        ]
        words = [word for place in places for word in ("--watch", place)]
        with service(tmp_path, *words, workers="1") as running:
            assert in_time(lambda: visited(running))
            sources = sources_of(running)
            with running.client() as client:
                told = json.dumps([client.get(path).text for path in ("/v1/sources", "/metrics", "/v1/audit")])
        assert asked == []
    assert len(sources) == len(places)
    assert [one["state"] for one in sources] == ["failing"] * len(places)
    assert [one["error"] for one in sources if "not public" not in one["error"]] == []
    assert "hunter" not in told + running.log.read_text()
    assert f"127.0.0.1:{port}/polls.csv" in told


@pytest.mark.slow
def test_a_watched_url_that_leads_inside_is_read_where_that_is_allowed(tmp_path: Path) -> None:
    with inside_server() as (port, asked):
        place = f"http://user:hunter2@127.0.0.1:{port}/polls.csv?token=hunter3"
        with service(tmp_path, "--watch", place, workers="1", allow_private_addresses="true") as running:
            assert in_time(lambda: visited(running))
            (source,) = sources_of(running)
            with running.client() as client:
                stores = client.get("/v1/stores").json()["total_matching"]
                told = json.dumps([client.get(path).text for path in ("/v1/sources", "/metrics", "/v1/loads")])
    assert (source["state"], source["files_read"], source["error"], stores) == ("ok", 1, None, 2)
    assert "/polls.csv?token=hunter3" in asked
    assert "hunter" not in told + running.log.read_text()


# --- the page -----------------------------------------------------------------------------------------


class _References(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inline: list[str] = []
        self._inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        self.inline += [name for name, _ in attrs if name.startswith("on") or name == "style"]
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside in ("script", "style") and data.strip():
            self.inline.append(data)


def test_the_page_of_the_api_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    parser = _References()
    parser.feed(page.text)
    assert parser.inline == []
    assert len(parser.found) == 4
    for reference in parser.found:
        assert reference == "data:," or client.get(f"/{reference}").status_code == 200
        assert not re.match(r"[a-z]+:(?!,)|//|/", reference)
    script = client.get("/static/docs.js").text
    assert re.findall(r'"([^"]*)"', script) == ["openapi.json", "#api"]


def test_the_page_of_the_api_runs_only_what_lies_beside_it(client: httpx.Client) -> None:
    policy = client.get("/docs").headers["content-security-policy"]
    directives = {words[0]: words[1:] for words in (part.split() for part in policy.split(";"))}
    assert directives["default-src"] == ["'none'"]
    assert directives["script-src"] == ["'self'"]
    assert directives["connect-src"] == ["'self'"]
    assert directives["frame-ancestors"] == ["'none'"]
    assert "http" not in policy
