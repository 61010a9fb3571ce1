"""Every choice of a policy on every surface, and one setting that all of a service follows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import polars as pl
import pytest
from typer.testing import CliRunner

import uphours
from tests.api.conftest import load_small_fleet
from tests.fixtures import tables
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import finished
from uphours.cli.command_line import application
from uphours.database.database import connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.policy import CHOICES, Policy
from uphours.large_files.incremental import report_from_files
from uphours.reports.answers import stores_of
from uphours.reports.archive import packed, unpacked
from uphours.reports.measure import run_report, run_request
from uphours.reports.request import ReportRequest
from uphours.reports.writers import written
from uphours.schema import duration_us
from uphours.settings import environment, settings

FIELDS = tuple(CHOICES)
#: Of each choice another value than the usual one, as people write it; and a whole policy in which all are others.
OTHER = {
    "interpolation": "next",
    "prefer_in_session": "false",
    "max_age": "12h",
    "confirm_within": "90m",
    "only_watched": "true",
    "assume": "inactive",
}
EVERY_OTHER = Policy().changed(OTHER)
NOBODY = Policy()


def as_json(name: str) -> object:
    return {"true": True, "false": False}.get(OTHER[name], OTHER[name])


def flag(name: str) -> list[str]:
    """Return the option of the command line that makes a choice."""
    option = name.replace("_", "-")
    return {"true": [f"--{option}"], "false": [f"--no-{option}"]}.get(OTHER[name], [f"--{option}", OTHER[name]])


def changed(name: str, policy: Policy = NOBODY) -> dict[str, Any]:
    return policy.changed({name: OTHER[name]}).to_dict()


def test_every_choice_has_another_value_here() -> None:
    assert tuple(OTHER) == FIELDS
    assert all(text != NOBODY.texts()[name] for name, text in EVERY_OTHER.texts().items())


@pytest.mark.parametrize("name", FIELDS)
def test_the_text_of_a_policy_is_read_back(name: str) -> None:
    for policy in (NOBODY.changed({name: OTHER[name]}), EVERY_OTHER.changed({name: NOBODY.texts()[name]})):
        assert Policy.read(policy.text()) == policy
        assert Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy
        assert NOBODY.changed(policy.texts()) == policy
    assert Policy.read("") == NOBODY


@pytest.mark.parametrize("name", FIELDS)
def test_a_query_makes_every_choice(client: httpx.Client, name: str) -> None:
    for path in ("/v1/stores", "/v1/stores/1", "/v1/stores/1/outages", "/v1/fleet/history", "/v1/fleet/heatmap"):
        found = client.get(path, params={name: OTHER[name], "window": "last_day"}).raise_for_status().json()
        assert found["policy"] == changed(name)


@pytest.mark.parametrize("name", FIELDS)
def test_a_body_makes_every_choice_and_takes_its_options_back(client: httpx.Client, name: str) -> None:
    made = client.post("/v1/reports", json={name: as_json(name)}).raise_for_status().json()
    assert made["options"]["policy"] == changed(name)
    again = client.post("/v1/reports", json=made["options"]).raise_for_status().json()
    assert again["options"] == made["options"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"as_of": "2023-01-25T12:00:00.5Z"},
        {"windows": ["today", {"name": "own", "start": "2023-01-20", "end": "2023-01-21T00:00:00.000001Z"}]},
        {"stores": ["1"]},
        {"all_stores": True},
        {"detail": True},
        {name: as_json(name) for name in FIELDS},
        {"max_age": None},
    ],
    ids=str,
)
def test_the_options_of_a_report_can_be_sent_back(client: httpx.Client, asked: dict[str, Any]) -> None:
    made = client.post("/v1/reports", json=asked).raise_for_status().json()
    assert set(made["options"]) == {
        "as_of_us",
        *(field.name for field in fields(ReportRequest) if field.name != "as_of"),
    }
    again = client.post("/v1/reports", json=made["options"]).raise_for_status().json()
    assert again["options"] == made["options"]
    for form in ("json", "csv"):
        files = [
            client.get(f"{finished(client, one['id'])['result']}?format={form}").raise_for_status().content
            for one in (made, again)
        ]
        assert files[0] == files[1]
    assert (b"availability" in files[0]) == asked.get("detail", False)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"as_of": "2023-01-25", "as_of_us": 1}, "as_of and as_of_us are both given"),
        ({"policy": {}, "assume": "active"}, "policy and assume are both given"),
        ({"policy": {"max_age": "2h"}}, "a policy has no 'max_age'"),
        ({"as_of_us": -1}, "out of range"),
    ],
)
def test_what_is_said_twice_or_wrongly_is_refused(client: httpx.Client, body: dict[str, Any], told: str) -> None:
    answer = client.post("/v1/reports", json=body)
    assert (answer.status_code, told in answer.json()["detail"]) == (422, True), answer.text


@pytest.mark.parametrize("name", FIELDS)
def test_the_form_makes_every_choice(client: httpx.Client, name: str) -> None:
    page = client.get("/reports").raise_for_status().text
    assert f'name="{name}"' in page
    # As a browser sends it: every field, an unticked box before the ticked one.
    usual = NOBODY.texts()
    sent: list[tuple[str, str]] = [("windows", "last_day"), ("windows", "")]
    sent += [(one, OTHER[one] if one == name else usual[one]) for one in FIELDS if one != "only_watched"]
    sent += [("only_watched", "false"), *([("only_watched", "true")] if name == "only_watched" else [])]
    answer = client.post(
        "/reports", content=urlencode(sent),
        headers={"Content-Type": "application/x-www-form-urlencoded"}, follow_redirects=False,
    )  # fmt: skip
    assert answer.status_code == 303, answer.text
    state = client.get(f"/v1{answer.headers['location']}").json()
    assert state["options"]["policy"] == changed(name)


@pytest.mark.parametrize("name", FIELDS)
def test_a_page_keeps_every_choice_in_its_address(client: httpx.Client, name: str) -> None:
    page = client.get("/", params={name: OTHER[name]}).raise_for_status().text
    assert f"{name}={OTHER[name]}" in page  # in the links to the stores
    assert f'name="{name}"' in page


@only_sqlite
def test_the_command_line_makes_every_choice(tmp_path: Path) -> None:
    load_small_fleet(tmp_path)
    for name in FIELDS:
        for words in (flag(name), ["--policy", NOBODY.changed({name: OTHER[name]}).text()]):
            for command in (["report"], ["explain", "1"]):
                ran = CliRunner().invoke(
                    application(), [*command, *words, "--format", "json", "--db", url_in(tmp_path)]
                )
                assert ran.exit_code == 0, (name, ran.output)
                assert json.loads(ran.stdout)["policy"] == changed(name)


@only_sqlite
@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_makes_every_choice_for_workers_too(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wanted = NOBODY.changed({name: OTHER[name]})
    assert settings(policy=wanted.text()).policy == wanted
    assert environment(settings(policy=wanted.text()))["UPHOURS_POLICY"] == wanted.text()
    (tmp_path / "settings.toml").write_text(f'policy = "{wanted.text()}"\n', encoding="utf-8")
    monkeypatch.setenv("UPHOURS_CONFIG", str(tmp_path / "settings.toml"))
    assert settings().policy == wanted
    monkeypatch.setenv("UPHOURS_POLICY", EVERY_OTHER.text())
    assert settings().policy == EVERY_OTHER


@only_sqlite
@pytest.mark.parametrize(
    "text", ["linear", "max_age", "max_age=soon", "next,previous", "speed=2", "only_watched=maybe"]
)
def test_a_setting_that_makes_no_sense_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(uphours.InputError, match=r"^the setting policy makes no sense: "):
        settings(policy=text)


@only_sqlite
@pytest.mark.parametrize("name", FIELDS)
def test_the_library_and_spark_take_every_choice(name: str) -> None:
    from uphours.reports.request import ReportRequest
    from uphours.spark.results import Reports

    policy = NOBODY.changed({name: OTHER[name]})
    observations = pl.read_csv(io.BytesIO(tables.POLLS.encode()), infer_schema=False)
    fleet = uphours.validate(observations).fleet
    made = uphours.report(observations, policy=policy, windows=["last_week"])
    as_of = fleet.latest_observation()
    assert as_of is not None
    assert Reports(ReportRequest(windows=("last_week",), policy=policy)).of_fleet(fleet, as_of).equals(made)


@only_sqlite
@pytest.mark.parametrize("name", FIELDS)
def test_files_jobs_and_kept_reports_take_every_choice(name: str, tmp_path: Path) -> None:
    policy = NOBODY.changed({name: OTHER[name]})
    request = ReportRequest(policy=policy)
    assert ReportRequest.from_dict(json.loads(json.dumps(request.to_dict()))).policy == policy  # as a job has it
    (tmp_path / "polls.csv").write_text(tables.POLLS)
    names: dict[Kind, list[str]] = {"polls": [str(tmp_path / "polls.csv")]}
    streamed = report_from_files(names, request, now=tables.NOW, folder=tmp_path).report
    held = run_request(memory_fleet(read_files(names, now=tables.NOW)), request)
    assert json.loads(written(streamed, "json"))["policy"] == policy.to_dict()
    assert written(streamed, "json") == written(held, "json")
    assert stores_of(unpacked(packed(held))).policy == policy


# --- one setting ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def following(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """A client of a service whose policy is another one in every choice."""
    folder = tmp_path_factory.mktemp("following")
    load_small_fleet(folder)
    with service_threads(folder, policy=EVERY_OTHER.text(), workers=1) as running, running.client() as made:
        yield made, folder


@pytest.mark.slow
def test_all_that_a_service_says_follows_its_policy(following: tuple[httpx.Client, Path]) -> None:
    client, _ = following
    for path in (
        "/v1/stores", "/v1/stores/1", "/v1/stores/1/timeline", "/v1/stores/1/outages", "/v1/stores/1/explanation",
        "/v1/fleet/history", "/v1/fleet/heatmap",
    ):  # fmt: skip
        assert client.get(path).raise_for_status().json()["policy"] == EVERY_OTHER.to_dict(), path
    made = client.post("/v1/reports").raise_for_status().json()
    assert made["options"]["policy"] == EVERY_OTHER.to_dict()
    exact = client.get(f"{finished(client, made['id'])['result']}?format=json").json()
    assert exact["policy"] == EVERY_OTHER.to_dict()
    listed = client.get("/v1/stores", params={"window": "last_week"}).json()
    figures = {store["store_id"]: store["windows"]["last_week"] for store in exact["stores"]}
    for store in listed["stores"]:
        if store["store_id"] in figures:
            assert {name: store[name] for name in figures[store["store_id"]]} == figures[store["store_id"]]


@pytest.mark.slow
def test_the_urls_of_earlier_systems_follow_it(following: tuple[httpx.Client, Path]) -> None:
    client, folder = following
    report_id = client.get("/trigger_report").raise_for_status().json()["report_id"]
    finished(client, report_id)
    csv = client.get("/get_report", params={"report_id": report_id}).raise_for_status().content
    with connect(url_in(folder)).snapshot() as fleet:
        assert written(run_report(fleet, policy=EVERY_OTHER), "csv") == csv
        assert written(run_report(fleet), "csv") != csv


@pytest.mark.slow
def test_a_request_can_still_say_otherwise(following: tuple[httpx.Client, Path]) -> None:
    client, _ = following
    for name in FIELDS:
        usual = NOBODY.texts()[name]
        expected = EVERY_OTHER.changed({name: usual}).to_dict()
        assert client.get("/v1/stores", params={name: usual}).raise_for_status().json()["policy"] == expected
    body = {"max_age": None, "interpolation": "nearest"}
    policy = client.post("/v1/reports", json=body).raise_for_status().json()["options"]["policy"]
    assert policy == EVERY_OTHER.changed({"max_age": None, "interpolation": "nearest"}).to_dict()
    assert client.post("/v1/reports", json={"policy": {}}).json()["options"]["policy"] == NOBODY.to_dict()


@pytest.mark.slow
def test_the_pages_show_the_policy_of_the_service_and_keep_what_differs(
    following: tuple[httpx.Client, Path],
) -> None:
    client, _ = following
    page = client.get("/", params={"tab": "all"}).raise_for_status().text
    assert 'value="12h"' in page
    assert 'name="only_watched" value="true" checked' in page
    assert 'href="/reports"' in page  # nothing differs
    page = client.get("/", params=[("only_watched", "false"), ("max_age", "none")]).raise_for_status().text
    assert "max_age=none&amp;only_watched=false" in page
    assert 'name="only_watched" value="true" checked' not in page


def test_durations_are_written_as_they_are_read() -> None:
    for us in (1, 999, 1_000, 90 * 60 * 10**6, 3_600 * 10**6, 86_400 * 10**6 * 3, 10**9 + 1):
        policy = Policy(max_age=timedelta(microseconds=us))
        assert duration_us(policy.texts()["max_age"]) == us
