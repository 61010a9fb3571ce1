"""Targets over HTTP: set by admins alone, the worked case exact, the same in the client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest

from tests.api.test_ledger import load_case
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from tests.golden.test_operations import OF_TARGETS, TARGET_PARTS, options_of, target_of
from uphours.client import Client
from uphours.database import api_keys
from uphours.database.database import connect
from uphours.schema import PERIODS
from uphours.wire.words import TargetPeriod

pytestmark = [pytest.mark.slow, only_sqlite]  # no statement of its own: tests/database compares the engines

ROW = {"name": "norm", "target": 99.5, "period": "month"}


@pytest.fixture
def running(tmp_path: Any) -> Iterator[tuple[Service, dict[str, dict[str, str]]]]:
    """A service with a key for each scope."""
    with connect(url_in(tmp_path)).writing() as connection:
        tokens = {
            scope: api_keys.create(connection, name=scope, scopes=[scope], now=1, actor="me")[1]
            for scope in api_keys.SCOPES
        }
    with service_threads(tmp_path, workers=1) as made:
        yield made, {scope: {"Authorization": f"Bearer {token}"} for scope, token in tokens.items()}


@pytest.mark.parametrize("name", OF_TARGETS)
def test_the_worked_target_is_exact(running: tuple[Service, dict[str, dict[str, str]]], name: str) -> None:
    made, headers = running
    with made.client(headers=headers["admin"]) as client:
        load_case(client, name)
        put = client.put("/v1/targets", json=[ROW])
        assert (put.status_code, put.json()["accepted"], put.json()["summary"]["brought"]["targets"]) == (200, 1, 1)
        query = {"as_of": options_of(name)["as_of"]}
        said = client.get("/v1/targets", params=query, headers=headers["read"]).json()
        (target,) = said["targets"]
        assert {part: target[part] for part in TARGET_PARTS.values()} == target_of(name)
        assert (target["exhausted"], target["calendar_period"]["name"]) == ("projected", "2024-12")
        assert [one["store_id"] for one in target["below"]] == [f"{name}/1"]
        assert client.get("/v1/targets", params=query | {"period": "2024-12"}).json() == said
        none = client.get("/v1/targets", params=query | {"worst": 0}).json()["targets"][0]
        assert (none["below"], none["stores_below"]) == ([], 1)
        assert said["defined"] == [ROW | {"where": "", "valid_from": None}]
        again = client.put("/v1/targets", json=said["defined"])
        assert (again.status_code, again.json()["accepted"]) == (200, 1)
        assert (said["loads_seen"], said["entries_seen"]) == (put.json()["load"], 1)
        wrong = client.get("/v1/targets", params={"period": "soon"})
        assert (wrong.status_code, "cannot read the period 'soon'" in wrong.json()["detail"]) == (422, True)


def test_only_admin_sets_targets_and_the_audit_trail_has_them(
    running: tuple[Service, dict[str, dict[str, str]]],
) -> None:
    made, headers = running
    files = {"targets": ("targets.csv", "name,where,target,period\nnorm,,99.5,month\n")}
    with made.client() as client:
        poll = {"store_id": "a", "status": "active", "timestamp_utc": "2024-06-03T09:00Z"}
        assert client.post("/v1/observations", json=poll, headers=headers["ingest"]).status_code == 200
        for scope in api_keys.SCOPES:
            is_admin = scope == "admin"
            assert client.put("/v1/targets", json=[ROW], headers=headers[scope]).status_code == (
                200 if is_admin else 403
            ), scope
            may_read = scope in ("read", "admin")
            assert client.get("/v1/targets", headers=headers[scope]).status_code == (200 if may_read else 403), scope
        audited = client.get("/v1/audit", headers=headers["admin"]).json()["entries"]
        assert (audited[0]["action"], audited[0]["actor"].startswith("key:")) == ("load", True)
        assert "PUT /v1/targets" in str(audited[0]["details"])

        refused = client.post("/v1/loads", files=files, headers=headers["ingest"])
        assert (refused.status_code, "files of targets need it" in refused.json()["detail"]) == (403, True)
        refused = client.post("/v1/loads", files={"files": files["targets"]}, headers=headers["ingest"])
        assert (refused.status_code, "targets.csv holds targets" in refused.json()["detail"]) == (422, True)
        for field in ("targets", "files"):
            taken = client.post("/v1/loads", files={field: files["targets"]}, headers=headers["admin"])
            assert taken.json()["summary"]["brought"]["targets"] == 1, taken.text
        bad = client.put("/v1/targets", json=[ROW, ROW | {"period": "year"}], headers=headers["admin"]).json()
        assert (bad["accepted"], bad["quarantined"], bad["reasons"][0]["line"]) == (1, 1, 2)
        assert client.get("/v1/targets", headers=headers["feed"]).status_code == 403


def test_the_client_sets_and_reads_targets(running: tuple[Service, dict[str, dict[str, str]]]) -> None:
    made, headers = running
    with Client(made.url, headers["admin"]["Authorization"].removeprefix("Bearer ")) as client:
        client.send([{"store_id": "a", "status": "inactive", "timestamp_utc": "2024-06-03T09:00:00Z"}])
        assert client.put_targets([ROW, {"name": "x", "target": None, "period": "month"}])["accepted"] == 2
        said = client.targets(period="2024-06", as_of="2024-06-10T00:00:00Z", worst=5)
        (target,) = said["targets"]
        assert (target["met"], target["exhausted"], target["below"][0]["store_id"]) == (False, "past", "a")
        assert [one["name"] for one in said["defined"]] == ["norm"]


def test_words_are_the_same_everywhere() -> None:
    assert get_args(TargetPeriod) == PERIODS
