"""Every route of the service, asked with every kind of key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

from tests.api.conftest import load_small_fleet
from tests.fixtures import tables
from tests.fixtures.commands import start
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.services import Service, in_time, service
from uphours.database import api_keys
from uphours.database.database import connect
from uphours.service.app import create_app
from uphours.service.auth import Sees, scope_of, sees_of
from uphours.settings import settings

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in what these are about

OPEN = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/docs"), ("GET", "/openapi.json"), ("GET", "/sign-in")}
#: They take a key in another way, and are asked in `test_sessions`.
SIGNING = {("POST", "/sign-in"), ("POST", "/sign-out")}
#: It takes the token of a key in its address, and is asked in `test_calendar_feed`.
FEED = {("GET", "/v1/calendar/{token}.ics")}
ADMIN = {
    ("GET", "/v1/audit"),
    ("PUT", "/v1/targets"),
    ("POST", "/targets"),
    ("POST", "/targets/ending"),
    *((method, f"{under}/keys") for under in ("", "/v1") for method in ("GET", "POST")),
    *(("POST", f"{under}/keys/{{key_id}}/revocation") for under in ("", "/v1")),
}
INGEST = {
    ("POST", "/v1/observations"),
    ("PUT", "/v1/business-hours"),
    ("PUT", "/v1/timezones"),
    ("PUT", "/v1/special-hours"),
    ("PUT", "/v1/stores"),
    ("POST", "/v1/loads"),
    ("DELETE", "/v1/jobs/{job_id}"),
    ("POST", "/v1/demo"),
    ("GET", "/store_csv_data"),
    ("POST", "/store_csv_data"),
    ("POST", "/stores/{store_id:path}/hours"),
}
ADJUST = {
    ("POST", "/adjustments/many"),
    *(
        ("POST", f"{under}{path}")
        for under in ("", "/v1")
        for path in ("/adjustments", "/adjustments/{entry}/withdrawal")
    ),
}
MALFORMED = ("sp_", "sp_a_b", "x" * 5000, "sp_aaaaaaaaaaaa_" + "a" * 52, "sp_AAAAAAAAAAAA_" + "a" * 52, "\xff")
BURST = 150


@dataclass(frozen=True)
class Guarded:
    """A service that asks for keys; ``tokens`` are keys by their scopes."""

    running: Service
    tokens: dict[str, str]

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {} if token is None else {b"Authorization": f"Bearer {token}".encode("latin-1")}
        return self.running.client(headers=headers)


@pytest.fixture(scope="module")
def guarded(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    load_small_fleet(folder)
    made = start(folder, "keys", "create", "the test", "--scope", "admin")
    assert made.returncode == 0, made.stderr
    tokens = {scope: new_key(folder, scope) for scope in ("read", "ingest", "adjust")}
    tokens["revoked"] = new_key(folder, "admin")
    tokens["admin"] = made.stdout.decode().strip()
    revoke(folder, tokens["revoked"])
    with service(
        folder, require_key="true", workers="0", wait_seconds="0", queue_limit="10000",
        rate_burst=str(BURST), rate_per_second="0.1",
    ) as running:  # fmt: skip
        yield Guarded(running, tokens)


def new_key(folder: Path, *scopes: str) -> str:
    with connect(url_in(folder)).writing() as connection:
        return api_keys.create(connection, name="a test", scopes=scopes, now=tables.NOW, actor="test")[1]


def revoke(folder: Path, token: str) -> None:
    with connect(url_in(folder)).writing() as connection:
        api_keys.revoke(connection, token.split("_")[1], now=tables.NOW, actor="test")


def leaves(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    """Go through routes and the routers that they include."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from leaves(included.routes)


@pytest.fixture(scope="module")
def routes(engine: str, tmp_path_factory: pytest.TempPathFactory) -> list[BaseRoute]:
    folder = tmp_path_factory.mktemp("routes")
    app = create_app(settings(database_url=url_in(folder)))
    return list(leaves(app.routes))


@pytest.fixture(scope="module")
def asked(routes: list[BaseRoute]) -> list[tuple[str, str]]:
    """Every method and path that can be asked for."""
    return sorted((m, route.path) for route in routes if isinstance(route, APIRoute) for m in route.methods or ())


def request(client: httpx.Client, method: str, path: str) -> httpx.Response:
    values = {"store_id": "1", "load": "1"}
    filled = re.sub(r"\{(\w+)[^}]*\}", lambda match: values.get(match[1], "0" * 32), path)
    query = {"report_id": "0" * 32} if filled in ("/get_report", "/api/get_report") else {}
    return client.request(method, filled, params=query)


def statuses(client: httpx.Client, asked: list[tuple[str, str]]) -> dict[tuple[str, str], int]:
    return {one: request(client, *one).status_code for one in asked if one not in OPEN | SIGNING | FEED}


def test_every_route_declares_a_scope(routes: list[BaseRoute]) -> None:
    found = {
        (method, route.path): scope_of(route.endpoint)
        for route in routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    for scope, expected in (("open", OPEN | SIGNING | FEED), ("admin", ADMIN), ("ingest", INGEST), ("adjust", ADJUST)):
        assert {one for one, declared in found.items() if declared == scope} == expected
    rest = set(found) - OPEN - SIGNING - FEED - ADMIN - INGEST - ADJUST
    assert {found[one] for one in rest} == {"read"}


def test_every_route_declares_what_it_shows_to_keys_that_are_bound_to_some_stores(routes: list[BaseRoute]) -> None:
    for route in routes:
        if isinstance(route, APIRoute):
            assert sees_of(route.endpoint) in get_args(Sees), route.path
            if scope_of(route.endpoint) in ("ingest", "admin"):
                assert sees_of(route.endpoint) == "all", route.path


def test_besides_routes_with_a_scope_there_are_only_the_files_of_the_pages(routes: list[BaseRoute]) -> None:
    others = [route for route in routes if not isinstance(route, APIRoute)]
    assert [(type(route), getattr(route, "path", None)) for route in others] == [(Mount, "/static")]


def test_open_routes_ask_for_nothing(guarded: Guarded) -> None:
    with guarded.client() as client:
        assert {one: request(client, *one).status_code for one in OPEN} == dict.fromkeys(OPEN, 200)
        assert client.get("/static/docs.js").status_code == 200


def test_a_wrong_key_closes_no_open_route(guarded: Guarded) -> None:
    with guarded.client("sp_wrong") as client:
        assert {one: request(client, *one).status_code for one in OPEN} == dict.fromkeys(OPEN, 200)


def test_no_other_route_lets_anybody_in_without_a_key(guarded: Guarded, asked: list[tuple[str, str]]) -> None:
    with guarded.client() as client:
        found = statuses(client, asked)
    assert len(found) > 25
    assert found == dict.fromkeys(found, 401)


def test_no_route_lets_a_revoked_key_in(guarded: Guarded, asked: list[tuple[str, str]]) -> None:
    with guarded.client(guarded.tokens["revoked"]) as client:
        found = statuses(client, asked)
    assert found == dict.fromkeys(found, 401)


@pytest.mark.parametrize("token", MALFORMED)
def test_no_route_lets_in_what_is_no_key(guarded: Guarded, asked: list[tuple[str, str]], token: str) -> None:
    with guarded.client(token) as client:
        found = statuses(client, asked)
    assert found == dict.fromkeys(found, 401)


@pytest.mark.parametrize(
    "value", ["Basic {token}", "{token}", "bearer", "Token {token}", "Bearer {token} {token}", "Bearer {token}x"]
)
def test_a_key_counts_only_where_it_belongs(guarded: Guarded, value: str) -> None:
    token = guarded.tokens["admin"]
    with guarded.running.client() as client:
        assert client.get("/v1/audit", headers={"Authorization": value.format(token=token)}).status_code == 401
        assert client.get("/v1/audit", params={"token": token, "access_token": token}).status_code == 401
        assert client.get("/v1/audit", headers={"Cookie": f"token={token}"}).status_code == 401


@pytest.mark.parametrize(
    ("scope", "refused"),
    [("read", INGEST | ADMIN | ADJUST), ("admin", set())],
)
def test_a_key_opens_the_routes_of_its_scope_and_admin_opens_all(
    guarded: Guarded, asked: list[tuple[str, str]], scope: str, refused: set[tuple[str, str]]
) -> None:
    with guarded.client(guarded.tokens[scope]) as client:
        found = statuses(client, asked)
    assert {one for one, status in found.items() if status == 403} == refused
    assert {one: status for one, status in found.items() if status == 401 or status >= 500} == {}


@pytest.mark.parametrize(("scope", "opened"), [("ingest", INGEST), ("adjust", ADJUST)])
def test_a_key_that_writes_reads_nothing_and_writes_nothing_else(
    guarded: Guarded, asked: list[tuple[str, str]], scope: str, opened: set[tuple[str, str]]
) -> None:
    with guarded.client(guarded.tokens[scope]) as client:
        found = statuses(client, asked)
    assert {one for one, status in found.items() if status != 403} == opened


def test_a_refusal_says_what_is_needed_and_how_to_send_it(guarded: Guarded) -> None:
    with guarded.client() as client:
        missing = client.get("/v1/stores")
    with guarded.client(guarded.tokens["revoked"]) as client:
        wrong = client.get("/v1/stores")
    with guarded.client(guarded.tokens["read"]) as client:
        small = client.get("/v1/audit")
    for answer in (missing, wrong):
        assert answer.headers["www-authenticate"] == 'Bearer realm="uphours"'
    assert "www-authenticate" not in small.headers
    for answer, status, hint in ((missing, 401, "Bearer"), (wrong, 401, "not valid"), (small, 403, "needs admin")):
        assert answer.headers["content-type"] == "application/problem+json"
        found = answer.json()
        assert (found["status"], answer.status_code) == (status, status)
        assert hint in found["detail"]


def test_where_every_request_needs_a_key_any_name_is_good_as_behind_a_proxy(guarded: Guarded) -> None:
    with guarded.client() as client:
        assert client.get("/readyz", headers={"Host": "reports.example"}).status_code == 200
        assert client.get("/v1/loads", headers={"Host": "reports.example"}).status_code == 401


def test_unknown_and_revoked_keys_get_the_same_answer(guarded: Guarded) -> None:
    said = []
    known = guarded.tokens["admin"]
    wrong = known[:-1] + ("x" if known[-1] != "x" else "y")  # one in 32 ends in x
    for token in ("sp_aaaaaaaaaaaa_" + "a" * 52, guarded.tokens["revoked"], wrong):
        with guarded.client(token) as client:
            found = client.get("/v1/stores").json()
        del found["request_id"]
        said.append(found)
    assert said[0] == said[1] == said[2]


def test_a_key_is_refused_as_soon_as_it_is_revoked(guarded: Guarded) -> None:
    token = new_key(guarded.running.folder, "read")
    with guarded.client(token) as client:
        assert client.get("/v1/loads").status_code == 200
        assert start(guarded.running.folder, "keys", "revoke", token.split("_")[1]).returncode == 0
        assert client.get("/v1/loads").status_code == 401


def test_a_key_that_is_made_while_the_service_runs_is_good_at_once(guarded: Guarded) -> None:
    with guarded.client(new_key(guarded.running.folder, "read", "ingest")) as client:
        assert client.get("/v1/loads").status_code == 200
        assert client.post("/v1/observations", json=row("1")).status_code == 200
        assert client.get("/v1/audit").status_code == 403


def row(store: str) -> dict[str, str]:
    return {"store_id": store, "status": "active", "timestamp_utc": "2023-01-25T12:00:00Z"}


def test_what_is_done_is_on_record_under_the_key(guarded: Guarded) -> None:
    token = guarded.tokens["ingest"]
    with guarded.client(token) as client:
        assert client.post("/v1/observations", json=row("1")).status_code == 200
    with guarded.client(guarded.tokens["admin"]) as client:
        (latest, *_) = [one for one in client.get("/v1/audit").json()["entries"] if one["action"] == "load"]
    assert latest["actor"] == f"key:{token.split('_')[1]}"


def test_only_admin_cancels_the_reports_of_others(guarded: Guarded) -> None:
    with guarded.client(guarded.tokens["admin"]) as client:
        report = client.post("/v1/reports").json()["id"]
    with guarded.client(guarded.tokens["read"]) as client:
        own = client.post("/v1/reports", json={"all_stores": True}).json()["id"]
        assert client.delete(f"/v1/reports/{report}").status_code == 403
        assert client.delete(f"/v1/reports/{own}").status_code == 200
    with guarded.client(guarded.tokens["admin"]) as client:
        assert client.delete(f"/v1/reports/{report}").status_code == 200


def test_saved_reports_are_shared_by_all_who_see_every_store(guarded: Guarded) -> None:
    with guarded.client(guarded.tokens["read"]) as client:
        saved = client.put("/v1/saved-reports/weekly", json={"windows": ["previous_week"]}).raise_for_status().json()
        assert (saved["owner"], saved["created_by"]) == (None, guarded.tokens["read"].split("_")[1])
    with guarded.client(guarded.tokens["admin"]) as client:
        assert client.get("/v1/saved-reports").json()["saved_reports"] == [saved]
        actions = [one["action"] for one in client.get("/v1/audit").json()["entries"]]
        assert "report.save" in actions
        assert client.delete("/v1/saved-reports/weekly").json() == saved
        assert client.delete("/v1/saved-reports/weekly").status_code == 404


def test_a_key_that_comes_too_often_has_to_wait_and_no_other(guarded: Guarded) -> None:
    token = new_key(guarded.running.folder, "read")
    with guarded.client(token) as client:
        found = [client.get("/v1/jobs/none").status_code for _ in range(BURST + 2)]
        late = client.get("/v1/jobs/none")
    assert found.count(404) in (BURST, BURST + 1)
    assert (found[-1], late.status_code) == (429, 429)
    assert 0 < int(late.headers["retry-after"]) <= 10
    assert late.headers["content-type"] == "application/problem+json"
    with guarded.client(new_key(guarded.running.folder, "read")) as client:
        assert client.get("/v1/jobs/none").status_code == 404


def test_no_token_stands_in_logs_metrics_audit_or_errors(guarded: Guarded) -> None:
    told: list[Any] = []
    for token in guarded.tokens.values():
        with guarded.client(token) as client:
            told += [client.get(path, params={"key": token}).text for path in ("/v1/stores", "/v1/audit", "/v1/none")]
            told.append(client.post("/v1/observations", content=b"{", headers={"X-Request-ID": "a b"}).text)
    with guarded.client(guarded.tokens["admin"]) as client:
        told += [client.get(path).text for path in ("/metrics", "/v1/audit", "/v1/sources", "/openapi.json")]
        client.get("/v1/jobs/the-last-line")
    assert in_time(lambda: "the-last-line" in guarded.running.log.read_text())
    told.append(guarded.running.log.read_text())
    everything = json.dumps(told)
    for token in guarded.tokens.values():
        key_id, secret = token.split("_")[1:]
        assert secret not in everything
        assert key_id in everything, "the id may be named, and is"
    assert "Bearer sp_" not in everything
