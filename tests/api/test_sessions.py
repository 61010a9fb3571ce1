"""Browsers sign in with a key: what the session may do, when it ends, and what pages elsewhere cannot do with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request

from tests.api.conftest import load_small_fleet
from tests.api.test_access import new_key, revoke
from tests.fixtures.commands import start
from tests.fixtures.databases import dump, only_sqlite, opened, url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service, in_time, logged, service
from uphours.database.database import connect
from uphours.service.app import create_app
from uphours.service.auth import COOKIE, Calling, csrf_token, needs
from uphours.settings import settings

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in what these are about

FRIEND = "https://dashboard.example"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Site": "same-origin"}
FAILURES = 10


@dataclass(frozen=True)
class Guarded:
    """A service that asks for keys; ``tokens`` are keys by their scopes."""

    running: Service
    tokens: dict[str, str]


@dataclass(frozen=True)
class Browser:
    """A client with the cookie of a session."""

    client: httpx.Client
    session: str

    def send(self, method: str, path: str, **headers: str | None) -> httpx.Response:
        """Ask as a script of the page does; headers that are None are left out."""
        named = {"X-CSRF-Token": csrf_of(self.session), "Sec-Fetch-Site": "same-origin"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return self.client.request(
            method, path, headers={name: value for name, value in named.items() if value is not None}
        )


def csrf_of(session: str) -> str:
    """Return what a page would have been given."""
    request = Request({"type": "http", "state": {"session": session}})
    return csrf_token(request)


@pytest.fixture(scope="module")
def guarded(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("sessions")
    load_small_fleet(folder)
    tokens = {scope: new_key(folder, *scope.split("+")) for scope in ("read", "ingest", "read+ingest", "admin")}
    with service(
        folder, require_key="true", workers="0", wait_seconds="0", cors_origins=json.dumps([FRIEND]),
        trusted_proxies='["127.0.0.1/32"]',
    ) as running:  # fmt: skip
        yield Guarded(running, tokens)


Browse = Callable[..., Browser]


@pytest.fixture
def browse(guarded: Guarded) -> Iterator[Browse]:
    """Makes browsers that have signed in with the key of a scope, or with none but a cookie."""
    with ExitStack() as stack:

        def browser(scope: str = "read", *, of: Service | None = None, session: str | None = None) -> Browser:
            client = stack.enter_context((of or guarded.running).client())
            if session is None:
                answer = client.post("/sign-in", data={"key": guarded.tokens[scope]})
                assert answer.status_code == 303, answer.text
                return Browser(client, client.cookies[COOKIE])
            client.cookies.set(COOKIE, session, domain="127.0.0.1")
            return Browser(client, session)

        yield browser


def sign_in(client: httpx.Client, key: str, **more: Any) -> httpx.Response:
    data = {"key": key} | more.pop("data", {})
    return client.post("/sign-in", data=data, **more)


def cookie_of(answer: httpx.Response) -> Any:
    """Return the cookie that an answer sets, with its attributes."""
    (found,) = SimpleCookie(answer.headers["set-cookie"]).values()
    return found


# --- signing in ---------------------------------------------------------------------------------------------


def test_whoever_signs_in_gets_a_cookie_that_no_script_and_no_other_site_can_use(guarded: Guarded) -> None:
    with guarded.running.client() as client:
        answer = sign_in(client, guarded.tokens["read"])
    assert (answer.status_code, answer.headers["location"], answer.content) == (303, "/", b"")
    cookie = cookie_of(answer)
    assert (cookie.key, len(cookie.value)) == (COOKIE, 52)
    attributes = {name: value for name, value in cookie.items() if value}
    assert attributes == {"path": "/", "httponly": True, "samesite": "strict", "max-age": str(12 * 3600)}


@pytest.mark.parametrize(
    ("headers", "secure"),
    [
        ({}, False),
        ({"X-Forwarded-Proto": "https"}, True),
        ({"X-Forwarded-Proto": "http"}, False),
        ({"Origin": "https://127.0.0.1:{port}"}, True),
        ({"Origin": "http://127.0.0.1:{port}"}, False),
    ],
)
def test_over_https_the_cookie_is_for_https_alone(guarded: Guarded, headers: dict[str, str], secure: bool) -> None:
    with guarded.running.client() as client:
        port = client.base_url.port
        headers = {name: value.format(port=port) for name, value in headers.items()}
        assert bool(cookie_of(sign_in(client, guarded.tokens["read"], headers=headers))["secure"]) is secure


def test_a_session_may_do_what_its_key_may(browse: Browse) -> None:
    browser = browse("read")
    assert browser.send("GET", "/v1/stores").status_code == 200
    assert browser.send("POST", "/v1/reports").status_code == 202
    assert browser.send("GET", "/v1/audit").status_code == 403
    assert browser.send("POST", "/v1/observations").status_code == 403
    more = browse("read+ingest")
    row = {"store_id": "1", "status": "active", "timestamp_utc": "2023-01-25T12:00:00Z"}
    for origin in ({}, {"Origin": str(more.client.base_url)}):
        headers = {"X-CSRF-Token": csrf_of(more.session)} | origin
        assert more.client.post("/v1/observations", json=row, headers=headers).status_code == 200
    assert browse("admin").send("GET", "/v1/audit").status_code == 200


def test_what_a_session_does_is_on_record_under_its_key(guarded: Guarded, browse: Browse) -> None:
    browser = browse("read")
    browser.send("GET", "/v1/jobs/asked-by-a-session")
    browser.send("POST", "/sign-out")
    key_id = guarded.tokens["read"].split("_")[1]
    with guarded.running.client(headers={"Authorization": f"Bearer {guarded.tokens['admin']}"}) as client:
        entries = client.get("/v1/audit").json()["entries"]
    out, into = [one for one in entries if one["action"].startswith("session.") and one["subject"] == key_id][:2]
    assert [(one["actor"], one["action"]) for one in (into, out)] == [
        (f"key:{key_id}", "session.begin"), (f"key:{key_id}", "session.end")
    ]  # fmt: skip
    assert in_time(lambda: "asked-by-a-session" in guarded.running.log.read_text())
    (line,) = [one for one in logged(guarded.running) if str(one.get("path")).endswith("asked-by-a-session")]
    assert line["actor"] == f"key:{key_id}"


def test_blanks_around_a_key_do_not_matter(guarded: Guarded) -> None:
    with guarded.running.client() as client:
        assert sign_in(client, f"  {guarded.tokens['read']}\r\n").headers["location"] == "/"


@pytest.mark.parametrize("key", ["", "sp_", "x" * 5000, "sp_aaaaaaaaaaaa_" + "a" * 52, "\x00", "é"])
def test_a_wrong_key_signs_nobody_in(guarded: Guarded, key: str) -> None:
    with guarded.running.client(headers={"X-Forwarded-For": f"192.0.2.{len(key) % 256}"}) as client:
        answer = sign_in(client, key)
        shown = sign_in(client, key, headers=PAGE, data={"next": "/stores?limit=5"})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert (shown.status_code, shown.headers["location"]) == (303, "/sign-in?refused=401&next=%2Fstores%3Flimit%3D5")
    assert "set-cookie" not in {**answer.headers, **shown.headers}


def test_a_key_that_cannot_read_or_is_revoked_signs_nobody_in(guarded: Guarded) -> None:
    revoked = new_key(guarded.running.folder, "read")
    revoke(guarded.running.folder, revoked)
    with guarded.running.client(headers={"X-Forwarded-For": "192.0.2.77"}) as client:
        small, ended = sign_in(client, guarded.tokens["ingest"]), sign_in(client, revoked)
        shown = sign_in(client, guarded.tokens["ingest"], headers=PAGE)
    assert (small.status_code, ended.status_code) == (403, 401)
    assert shown.headers["location"] == "/sign-in?refused=403&next=%2F"
    assert "signing in needs read" in small.json()["detail"]


def test_what_is_no_form_is_no_key(guarded: Guarded) -> None:
    key = guarded.tokens["read"]
    with guarded.running.client(headers={"X-Forwarded-For": "192.0.2.78"}) as client:
        assert client.post("/sign-in", json={"key": key}).status_code == 401
        assert client.post("/sign-in", params={"key": key}).status_code == 401
        assert client.post("/sign-in", files={"key": ("key", key)}).status_code == 400
        assert client.post("/sign-in", content=b"key=" + b"x" * (1 << 21)).status_code == 413
        assert client.get("/sign-in", params={"key": key}).headers.get("set-cookie") is None


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/stores/1?window=yesterday", "/stores/1?window=yesterday"), ("/", "/"), ("/a%2Fb", "/a%2Fb"), ("", "/"),
        ("//evil.example", "/"), ("/\\evil.example", "/"), ("\\\\evil.example", "/"), ("https://evil.example", "/"),
        ("http:evil.example", "/"), ("javascript:alert(1)", "/"), ("/\t/evil.example", "/"), ("/\n/evil", "/"),
        (" //evil.example", "/"), ("evil.example", "/"), ("/ok\r\nSet-Cookie: a=b", "/"), ("/" + "x" * 3000, "/"),
        ("///evil.example", "/"), ("/%0d%0aX: 1", "/%0d%0aX: 1"),
    ],
)  # fmt: skip
def test_signing_in_leads_to_pages_of_this_service_alone(guarded: Guarded, wanted: str, leads_to: str) -> None:
    with guarded.running.client() as client:
        answer = sign_in(client, guarded.tokens["read"], data={"next": wanted})
    expected = leads_to if " " not in leads_to else "/"
    assert (answer.status_code, answer.headers["location"]) == (303, expected)
    assert len(answer.headers.get_list("set-cookie")) == 1


# --- too many attempts --------------------------------------------------------------------------------------


def test_whoever_fails_often_has_to_wait_also_with_a_right_key_and_nobody_else(guarded: Guarded) -> None:
    def from_(address: str) -> dict[str, str]:
        return {"X-Forwarded-For": f"203.0.113.9, {address}"}

    with guarded.running.client() as client:
        for _ in range(3):  # right ones do not count
            assert sign_in(client, guarded.tokens["read"], headers=from_("198.51.100.1")).status_code == 303
        found = [sign_in(client, "sp_wrong", headers=from_("198.51.100.1")).status_code for _ in range(FAILURES + 2)]
        late = sign_in(client, guarded.tokens["read"], headers=from_("198.51.100.1"))
        shown = sign_in(client, guarded.tokens["read"], headers=from_("198.51.100.1") | PAGE)
        other = sign_in(client, guarded.tokens["read"], headers=from_("198.51.100.2"))
        no_proxy = sign_in(client, guarded.tokens["read"])
    assert found == [401] * FAILURES + [429] * 2
    assert (late.status_code, other.status_code, no_proxy.status_code) == (429, 303, 303)
    assert 0 < int(late.headers["retry-after"]) <= 60
    assert shown.headers["location"] == "/sign-in?refused=429&next=%2F"
    assert "set-cookie" not in {**late.headers, **shown.headers}


def test_the_addresses_of_one_customer_are_one(guarded: Guarded) -> None:
    with guarded.running.client() as client:
        found = [
            sign_in(client, "sp_wrong", headers={"X-Forwarded-For": f"2001:db8:1:1::{place:x}"}).status_code
            for place in range(FAILURES + 1)
        ]
    assert found == [401] * FAILURES + [429]


def test_a_key_comes_no_more_often_by_signing_in(engine: str, tmp_path: Path) -> None:
    load_small_fleet(tmp_path)
    token = new_key(tmp_path, "read")
    with (
        service_threads(tmp_path, require_key="true", rate_burst="5", rate_per_second="0.1") as running,
        running.client() as client,
    ):
        found = [sign_in(client, token).status_code for _ in range(4)]
        found += [client.get("/v1/loads").status_code for _ in range(2)]
        found += [sign_in(client, token).status_code]
        # Who is not believed to be a proxy cannot make up addresses.
        wrong = [sign_in(client, "x", headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(12)]
    assert found == [303] * 4 + [200, 429, 429]
    assert wrong == [401] * FAILURES + [429] * 2


# --- the end of a session -----------------------------------------------------------------------------------


def is_in(browser: Browser) -> bool:
    """Say whether the token of a browser is still good, whatever the client did with its cookie."""
    with httpx.Client(base_url=browser.client.base_url, cookies={COOKIE: browser.session}, timeout=60) as client:
        status = client.get("/v1/loads").status_code
    assert status in (200, 401)
    return status == 200


def test_after_signing_out_the_token_is_worth_nothing(browse: Browse) -> None:
    browser, other = browse(), browse()
    assert is_in(browser)
    answer = browser.send("POST", "/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    cookie = cookie_of(answer)
    assert (cookie.key, cookie.value, cookie["max-age"], cookie["path"]) == (COOKIE, "", "0", "/")
    assert not is_in(browser)
    assert is_in(other)


def test_signing_out_twice_or_without_a_session_is_no_mistake(guarded: Guarded, browse: Browse) -> None:
    browser = browse()
    headers = {"X-CSRF-Token": csrf_of(browser.session), "Cookie": f"{COOKIE}={browser.session}"}
    with guarded.running.client() as client:
        assert [client.post("/sign-out", headers=headers).status_code for _ in range(2)] == [303, 303]
        assert client.post("/sign-out").status_code == 303


def test_a_session_ends_with_its_key(guarded: Guarded) -> None:
    token = new_key(guarded.running.folder, "read")
    with guarded.running.client() as client:
        assert sign_in(client, token).status_code == 303
        browser = Browser(client, client.cookies[COOKIE])
        assert is_in(browser)
        assert start(guarded.running.folder, "keys", "revoke", token.split("_")[1]).returncode == 0
        assert not is_in(browser)
        assert client.get("/metrics", headers=PAGE).headers["location"] == "/sign-in?next=%2Fmetrics"


def test_a_session_ends_when_its_time_is_over(guarded: Guarded, browse: Browse) -> None:
    browser = browse()
    assert is_in(browser)
    with opened(url_in(guarded.running.folder)) as database:
        database.execute("UPDATE sessions SET expires_at = expires_at - 43200000000")
    assert not is_in(browser)


def test_how_long_it_lasts_is_a_setting(engine: str, tmp_path: Path) -> None:
    load_small_fleet(tmp_path)
    token = new_key(tmp_path, "read")
    with (
        service_threads(tmp_path, require_key="true", session_hours="0.001") as running,
        running.client() as client,
    ):
        answer = sign_in(client, token)
        assert cookie_of(answer)["max-age"] == "3"
        browser = Browser(client, cookie_of(answer).value)
        assert in_time(lambda: not is_in(browser), 20)
        ((begun, until),) = dump_sessions(tmp_path)
        assert until - begun == 3_600_000


def dump_sessions(folder: Path) -> list[tuple[int, int]]:
    with opened(url_in(folder)) as database:
        return [(begun, until) for begun, until in database.execute("SELECT created_at, expires_at FROM sessions")]


def test_each_time_somebody_signs_in_the_token_is_new_and_the_old_one_ends(guarded: Guarded, browse: Browse) -> None:
    browser = browse()
    answer = sign_in(browser.client, guarded.tokens["admin"])
    assert cookie_of(answer).value != browser.session
    assert not is_in(browser)


def test_a_token_that_somebody_else_put_there_is_not_taken_over(guarded: Guarded, browse: Browse) -> None:
    planted = "a" * 52
    with guarded.running.client(cookies={COOKIE: planted}) as client:
        answer = sign_in(client, guarded.tokens["read"])
        assert cookie_of(answer).value != planted
    assert not is_in(browse(session=planted))


def test_two_services_on_one_store_share_sessions(guarded: Guarded, browse: Browse) -> None:
    browser = browse()
    with service(guarded.running.folder, require_key="true", workers="0") as second:
        there = browse(of=second, session=browser.session)
        assert is_in(there)
        assert there.send("POST", "/sign-out").status_code == 303
    assert not is_in(browser)


# --- what pages elsewhere try -------------------------------------------------------------------------------

UNSAFE = [("POST", "/v1/reports"), ("DELETE", "/v1/reports/none"), ("PUT", "/v1/timezones"), ("POST", "/sign-out")]


@pytest.mark.parametrize(("method", "path"), [*UNSAFE, ("POST", "/v1/observations"), ("POST", "/v1/loads")])
@pytest.mark.parametrize("sent", [None, "", "x", "0" * 64, "é", "of another session"])
def test_without_the_token_of_the_page_a_session_changes_nothing(
    guarded: Guarded, browse: Browse, method: str, path: str, sent: str | None
) -> None:
    browser = browse("admin")
    if sent == "of another session":
        sent = csrf_of(browse("admin").session)
    before = dump(connect(url_in(guarded.running.folder)))
    headers = {} if sent is None else {b"X-CSRF-Token": sent.encode("latin-1")}
    answer = browser.client.request(method, path, headers=headers)
    assert answer.status_code == 403
    assert "X-CSRF-Token" in answer.json()["detail"]
    assert dump(connect(url_in(guarded.running.folder))) == before
    assert is_in(browser)


@pytest.mark.parametrize(("method", "path"), UNSAFE)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": None, "Origin": "https://evil.example"}, {"Sec-Fetch-Site": None, "Origin": "null"},
        {"Sec-Fetch-Site": None, "Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "none", "Origin": "http://a.b"},
        {"Sec-Fetch-Site": "cross-site", "Origin": FRIEND}, {"Sec-Fetch-Site": None, "Origin": FRIEND},
    ],
)  # fmt: skip
def test_a_page_of_another_origin_changes_nothing_even_with_the_token(
    browse: Browse, method: str, path: str, headers: dict[str, str | None]
) -> None:
    browser = browse("admin")
    assert browser.send(method, path, **headers).status_code == 403
    assert is_in(browser)


@pytest.mark.parametrize(("method", "path"), UNSAFE)
@pytest.mark.parametrize("sites", ["both", "site", "origin", "null"])
def test_a_page_of_ours_may_with_the_token(browse: Browse, method: str, path: str, sites: str) -> None:
    browser = browse("admin")
    origin = {"origin": "own", "both": "own", "null": "null"}.get(sites)
    headers = {
        "Sec-Fetch-Site": None if sites == "origin" else "same-origin",
        "Origin": str(browser.client.base_url).rstrip("/") if origin == "own" else origin,
    }
    assert browser.send(method, path, **headers).status_code not in (401, 403)


def test_a_key_in_its_header_needs_no_token_also_beside_a_cookie(guarded: Guarded, browse: Browse) -> None:
    browser = browse("read")
    bearer = {"Authorization": f"Bearer {guarded.tokens['read']}"}
    assert browser.client.post("/v1/reports", headers=bearer).status_code == 202
    wrong = {"Authorization": "Bearer sp_wrong", "X-CSRF-Token": csrf_of(browser.session)}
    assert browser.client.get("/v1/stores", headers=wrong | {"Accept": "text/html"}).status_code == 401


def test_a_page_elsewhere_signs_nobody_in(guarded: Guarded) -> None:
    with guarded.running.client() as client:
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": FRIEND}):
            answer = sign_in(client, guarded.tokens["read"], headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers


def test_links_that_change_something_are_not_for_sessions(browse: Browse) -> None:
    browser = browse("admin")
    for path in ("/trigger_report", "/store_csv_data"):
        answer = browser.client.get(path, headers=PAGE)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "text/html; charset=utf-8")


@pytest.mark.parametrize("cookie", ["", "x", "a" * 52, "a" * 5000, '"', "sp_aaaaaaaaaaaa_" + "a" * 52])
def test_any_other_cookie_is_nobody(guarded: Guarded, cookie: str) -> None:
    with guarded.running.client(headers={"Cookie": f"{COOKIE}={cookie}"}) as client:
        assert client.get("/v1/stores").status_code == 401
        assert client.post("/v1/reports").status_code == 401


def test_a_key_is_no_cookie_and_a_session_no_key(guarded: Guarded, browse: Browse) -> None:
    browser = browse()
    with guarded.running.client(cookies={COOKIE: guarded.tokens["read"]}) as client:
        assert client.get("/v1/stores").status_code == 401
    with guarded.running.client(headers={"Authorization": f"Bearer {browser.session}"}) as client:
        assert client.get("/v1/stores").status_code == 401


# --- pages --------------------------------------------------------------------------------------------------


def test_whoever_goes_to_a_page_without_a_session_is_led_to_where_to_sign_in(guarded: Guarded) -> None:
    with guarded.running.client() as client:
        answer = client.get("/metrics?a=b%2Fc&d=%C3%A9", headers=PAGE)
        program, api = client.get("/metrics"), client.get("/v1/stores", headers=PAGE)
        posted = client.post("/v1/reports", headers=PAGE)
        behind_a_password = client.get("/metrics", headers=PAGE, auth=("of", "the proxy"))
        wrong = client.get("/metrics", headers=PAGE | {"Authorization": "Bearer sp_wrong"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Fmetrics%3Fa%3Db%252Fc%26d%3D%25C3%25A9"
    assert [one.status_code for one in (program, api, posted, wrong)] == [401] * 4
    assert behind_a_password.status_code == 303
    assert program.headers["content-type"] == "application/problem+json"


def test_whoever_has_signed_in_sees_the_page(browse: Browse) -> None:
    browser = browse()
    assert browser.client.get("/metrics", headers=PAGE).status_code == 200


def test_a_link_elsewhere_leads_to_the_page_by_way_of_ours_for_the_sake_of_the_cookie(guarded: Guarded) -> None:
    headers = PAGE | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    with guarded.running.client() as client:
        answer = client.get("/metrics?a=b", headers=headers)
    assert (answer.status_code, answer.headers["refresh"], answer.content) == (200, "0; url=/metrics?a=b", b"")


def test_neither_keys_nor_sessions_are_in_the_log_or_in_answers(guarded: Guarded, browse: Browse) -> None:
    browser = browse("admin")
    told = [browser.send("GET", path).text for path in ("/v1/audit", "/metrics", "/v1/stores", "/v1/none")]
    told.append(browser.client.post("/v1/reports").text)
    told.append(sign_in(browser.client, guarded.tokens["admin"], data={"next": "/x"}).text)
    told.append(sign_in(browser.client, guarded.tokens["read"][:-1] + "!").text)
    browser.send("GET", "/v1/jobs/the-very-last-line")
    assert in_time(lambda: "the-very-last-line" in guarded.running.log.read_text())
    everything = json.dumps([*told, guarded.running.log.read_text()])
    assert "signed in" in everything
    assert "sign-in refused" in everything
    for secret in (browser.session, csrf_of(browser.session), browser.client.cookies[COOKIE]):
        assert secret not in everything
    for token in guarded.tokens.values():
        assert token.rpartition("_")[2][:-1] not in everything


# --- in the same process: pages that are made ---------------------------------------------------------------


@needs("read", sees="all")
async def _page(request: Request, caller: Calling) -> dict[str, str]:
    return {"csrf": csrf_token(request), "actor": caller.actor}


def ask(app: FastAPI, *steps: Callable[[httpx.AsyncClient], Any]) -> list[httpx.Response]:
    """Ask an application that is not served, one step after the other, as one client."""

    async def all_steps() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await step(client) for step in steps]

    return asyncio.run(all_steps())


def app_in(folder: Path, **more: Any) -> FastAPI:
    app = create_app(settings(database_url=url_in(folder), **more))
    app.add_api_route("/page", _page, methods=["GET", "POST"])
    return app


def test_a_page_is_given_the_token_that_its_scripts_and_forms_send(tmp_path: Path) -> None:
    load_small_fleet(tmp_path)
    key = new_key(tmp_path, "read")
    app = app_in(tmp_path, require_key=True)

    async def forms(client: httpx.AsyncClient) -> httpx.Response:
        token = (await client.get("/page")).json()["csrf"]
        assert len(token) == 64
        assert (await client.post("/page", headers={"X-CSRF-Token": token})).status_code == 200
        for field in ({}, {"csrf_token": ""}, {"csrf_token": token[:-1]}, {"other": token}):
            assert (await client.post("/page", data=field)).status_code == 403
        for sent in ({"files": {"csrf_token": ("f", token)}}, {"json": {"csrf_token": token}}):
            assert (await client.post("/page", **sent)).status_code == 403
        assert (await client.post("/page", params={"csrf_token": token})).status_code == 403
        assert (await client.post("/v1/reports", data={"csrf_token": token})).status_code == 403
        return await client.post("/page", data={"csrf_token": token, "more": "é"})

    _, answer = ask(app, lambda client: client.post("/sign-in", data={"key": key}), forms)
    assert (answer.status_code, answer.json()["actor"]) == (200, f"key:{key.split('_')[1]}")


def test_where_no_key_is_needed_there_is_nothing_to_sign_in_to(tmp_path: Path) -> None:
    load_small_fleet(tmp_path)
    key = new_key(tmp_path, "read")
    cookie = {"Cookie": f"{COOKIE}=of-another-service-on-this-machine"}
    signed, page, posted, shown = ask(
        app_in(tmp_path),
        lambda client: client.post("/sign-in", data={"key": key, "next": "/stores"}),
        lambda client: client.get("/page", headers=cookie),
        lambda client: client.post("/page", headers=cookie),
        lambda client: client.get("/page", headers=PAGE),
    )
    assert (signed.status_code, signed.headers["location"]) == (303, "/stores")
    assert "set-cookie" not in signed.headers
    for answer in (page, posted, shown):
        assert (answer.status_code, answer.json()) == (200, {"csrf": "", "actor": "no key"})


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "LOCALHOST:80"])
def test_where_no_key_is_needed_pages_of_other_origins_change_nothing_either(tmp_path: Path, host: str) -> None:
    load_small_fleet(tmp_path)
    own = [f"http://{host.lower()}", f"https://{host.lower()}"] if host != "LOCALHOST:80" else ["http://localhost"]
    foreign = ["null", "", "http://evil.example", "http://localhost:9999", f"http://{host.lower()}.evil.example",
               f"http://evil.example#{host}", f"http://{host}@evil.example", "chrome-extension://x", "http://[",
               f"ftp://{host}", host]  # fmt: skip

    def posts(origins: list[str], **more: str) -> list[int]:
        answers = ask(
            app_in(tmp_path),
            *(
                lambda client, origin=origin: client.post(
                    "/page",
                    headers={"Host": host, "Origin": origin} | {k.replace("_", "-"): v for k, v in more.items()},
                )
                for origin in origins
            ),
        )
        return [answer.status_code for answer in answers]

    assert posts(own) == [200] * len(own)
    assert posts(foreign) == [403] * len(foreign)
    assert posts(["null"], Sec_Fetch_Site="same-origin") == [200]
    assert posts(own[:1], Sec_Fetch_Site="cross-site") == [403]
