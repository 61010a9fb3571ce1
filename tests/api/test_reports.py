"""Reports of the native API: the same numbers as the library and the command line, each made once."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from sqlalchemy import func, select

import uphours
from tests.fixtures import known, tables
from tests.fixtures.databases import url_in
from tests.fixtures.services import Service, begin_service, finished, service
from tests.fixtures.workers import database_in, work_off, worker
from uphours.cli.command_line import run
from uphours.database import api_keys, queue
from uphours.database import reports as report_table
from uphours.database.tables import jobs, reports, results
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.schema import DAY_US, HOUR_US
from uphours.service.terms import now_us

MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@pytest.fixture(scope="module")
def client(served: Service) -> Iterator[httpx.Client]:
    """A client of the shared service, one for all tests: to make one takes longer than most of them."""
    with served.client() as made:
        yield made


def library(**options: Any) -> pl.DataFrame:
    """Return what the library says of the shared fleet."""
    fleet = (pl.read_csv(io.StringIO(tables.CONTENTS[kind]), infer_schema=False) for kind in list(tables.CONTENTS)[:3])
    return uphours.report(*fleet, **options)


def made(client: httpx.Client, **body: Any) -> str:
    """Have a report made; return its id."""
    answer = client.post("/v1/reports", json=body)
    assert answer.status_code == 202, answer.text
    report: str = answer.json()["id"]
    state = finished(client, report)
    assert state["state"] == "complete", state
    return report


def exact(client: httpx.Client, report: str) -> pl.DataFrame:
    content = client.get(f"/v1/reports/{report}/result", params={"format": "parquet"}).raise_for_status().content
    return pl.read_parquet(io.BytesIO(content))


# --- the numbers -------------------------------------------------------------------------------------

AS_OF = "2023-01-25T14:30:00Z"
OWN = {"name": "two_days", "start": "2023-01-24T00:00:00Z", "end": "2023-01-26T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("body", "options"),
    [
        ({}, {}),
        ({"as_of": AS_OF}, {"as_of": AS_OF}),
        ({"as_of": "2023-01-25 09:30:00-05:00"}, {"as_of": AS_OF}),
        (
            {"windows": ["yesterday", "last_hour", OWN]},
            {"windows": ["yesterday", "last_hour", Window("two_days", OWN["start"], OWN["end"])]},
        ),
        ({"interpolation": "next"}, {"policy": Policy(interpolation="next")}),
        ({"interpolation": "nearest"}, {"policy": Policy(interpolation="nearest")}),
        ({"prefer_in_session": False}, {"policy": Policy(prefer_in_session=False)}),
        ({"max_age": "90m"}, {"policy": Policy(max_age=timedelta(minutes=90))}),
        ({"confirm_within": "2d"}, {"policy": Policy(confirm_within=timedelta(days=2))}),
        (
            {"max_age": "1h", "assume": "active"},
            {"policy": Policy(max_age=timedelta(hours=1), assume="active")},
        ),
        (
            {"max_age": "1h", "assume": "inactive"},
            {"policy": Policy(max_age=timedelta(hours=1), assume="inactive")},
        ),
        ({"stores": ["2"]}, {"stores": ["2"]}),
        ({"stores": ["2", "1", "2"]}, {"stores": ["1", "2"]}),
        ({"as_of": "2023-01-24T12:00:00Z"}, {"as_of": "2023-01-24T12:00:00Z"}),
        ({"as_of": "2023-01-24T12:00:00Z", "all_stores": True}, {"as_of": "2023-01-24T12:00:00Z", "all_stores": True}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_every_option_gives_the_numbers_of_the_library(
    client: httpx.Client, body: dict[str, Any], options: dict[str, Any]
) -> None:
    assert_frame_equal(exact(client, made(client, **body)), library(**options))


def test_no_body_at_all_asks_for_the_default_report(client: httpx.Client) -> None:
    report = client.post("/v1/reports").raise_for_status().json()["id"]
    finished(client, report)
    assert_frame_equal(exact(client, report), library())


@pytest.mark.parametrize("form", MEDIA_TYPES)
@pytest.mark.parametrize("detail", [False, True])
def test_a_result_is_byte_for_byte_what_the_command_line_writes(
    client: httpx.Client, served: Service, tmp_path: Path, form: str, detail: bool
) -> None:
    body = {"as_of": AS_OF, "windows": ["last_hour", "last_day"], "max_age": "3h", "interpolation": "nearest"}
    report = made(client, **body)
    path = f"/v1/reports/{report}/result"
    answer = client.get(path, params={"format": form, "detail": detail})
    output = tmp_path / f"report.{form}"
    words = ["report", "--db", url_in(served.folder), "--as-of", AS_OF, "--max-age", "3h"]
    words += ["--interpolation", "nearest", "--window", "last_hour", "--window", "last_day", "--format", form]
    run([*words, *(["--detail"] if detail else []), "-o", str(output)], standalone_mode=False)
    assert answer.content == output.read_bytes()
    assert answer.headers["content-type"] == MEDIA_TYPES[form]
    name = f'attachment; filename="uphours-20230125T143000Z.{form}"'
    assert answer.headers["content-disposition"] == name


def test_a_result_is_csv_without_detail_unless_asked_otherwise(client: httpx.Client) -> None:
    report = made(client)
    path = f"/v1/reports/{report}/result"
    plain = client.get(path)
    assert plain.content == client.get(path, params={"format": "csv", "detail": "false"}).content
    assert "coverage" not in plain.text
    assert "coverage_last_week" in client.get(path, params={"detail": "true"}).text


# --- asking, and how far it is -----------------------------------------------------------------------


def test_a_trigger_answers_at_once_and_says_where_to_look(client: httpx.Client) -> None:
    answer = client.post("/v1/reports", json={"as_of": AS_OF, "all_stores": True})
    assert answer.status_code == 202
    state = answer.json()
    assert answer.headers["location"] == f"/v1/reports/{state['id']}"
    assert state["as_of"] == AS_OF
    assert state["options"]["all_stores"] is True
    assert state["options"]["windows"] == ["last_hour", "last_day", "last_week"]
    ended = finished(client, state["id"])
    assert ended["result"] == f"/v1/reports/{state['id']}/result"
    assert client.get(ended["result"]).status_code == 200


def test_a_complete_report_says_what_it_is_made_of(client: httpx.Client) -> None:
    state = finished(client, client.post("/v1/reports").json()["id"])
    assert state["as_of"] == "2023-01-25T15:04:05.123456Z"
    assert state["progress"] == {"done": 2, "total": 2}
    assert state["loads_seen"] == client.get("/v1/loads").json()["loads"][0]["load"]
    assert state["reason"] is None
    assert state["created_at"] <= state["finished_at"]
    assert state["started_at"] <= state["finished_at"]


def test_a_queued_report_has_neither_progress_nor_result(waiting: httpx.Client, unattended: Service) -> None:
    state = waiting.post("/v1/reports").json()
    assert (state["state"], state["progress"]) == ("queued", {"done": 0, "total": None})
    assert [state[name] for name in ("started_at", "finished_at", "as_of", "loads_seen", "reason", "result")] == [
        None
    ] * 6
    assert waiting.get(f"/v1/reports/{state['id']}").json() == state
    work_off(unattended.folder)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"windows": ["last_year"]}, ["last_year", "last_week", "previous_month"]),
        ({"windows": []}, ["windows", "at least 1"]),
        ({"windows": ["last_day", "last_day"]}, ["last_day", "more than once"]),
        ({"windows": [OWN | {"name": "last_day"}]}, ["last_day", "taken"]),
        ({"windows": [OWN | {"end": OWN["start"]}]}, ["two_days", "not after its start"]),
        ({"windows": [OWN | {"colour": "red"}]}, ["colour"]),
        ({"as_of": "yesterday"}, ["yesterday", "2023-01-25T18:13:22Z"]),
        ({"as_of": "1969-12-31T23:59:59Z"}, ["1969-12-31", "1970 to 2199"]),
        ({"as_of": 1674670402}, ["as_of", "string"]),
        ({"interpolation": "cubic"}, ["interpolation", "'previous', 'next' or 'nearest'"]),
        ({"assume": "up"}, ["assume", "'unknown', 'active' or 'inactive'"]),
        ({"max_age": "soon"}, ["soon", "90m"]),
        ({"max_age": "0s"}, ["max_age", "longer than nothing"]),
        ({"stores": []}, ["stores", "at least 1"]),
        ({"stores": "1"}, ["stores", "list"]),
        ({"colour": "red"}, ["colour"]),
        ([1, 2], ["body"]),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_mistake_is_a_problem_that_names_what_is_valid(client: httpx.Client, body: object, says: list[str]) -> None:
    answer = client.post("/v1/reports", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == 422
    assert [word for word in says if word not in problem["detail"]] == [], problem["detail"]


def test_a_body_that_is_no_json_is_a_problem(client: httpx.Client) -> None:
    answer = client.post("/v1/reports", content=b"{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert "JSON" in answer.json()["detail"]


def test_a_report_on_a_store_that_nobody_knows_is_refused_at_once(client: httpx.Client) -> None:
    answer = client.post("/v1/reports", json={"stores": ["1", "nobody"]})
    assert answer.status_code == 422
    assert "'nobody'" in answer.json()["detail"]


def test_an_unknown_report_is_a_problem_everywhere(client: httpx.Client) -> None:
    for verb, path in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
        answer = client.request(verb, f"/v1/reports/no-such-report{path}")
        assert answer.status_code == 404
        assert "no-such-report" in answer.json()["detail"]


def test_an_unknown_format_is_a_problem_that_names_the_valid_ones(client: httpx.Client) -> None:
    answer = client.get(f"/v1/reports/{made(client)}/result", params={"format": "pdf"})
    assert answer.status_code == 422
    assert "csv|json|parquet|xlsx" in answer.json()["detail"]


# --- asking twice ------------------------------------------------------------------------------------


def asked_with_key(client: httpx.Client, key: str, token: str | None = None, **body: Any) -> httpx.Response:
    headers = {"Idempotency-Key": key} | ({"Authorization": f"Bearer {token}"} if token else {})
    return client.post("/v1/reports", json=body, headers=headers)


def test_the_same_idempotency_key_gives_the_same_report(client: httpx.Client) -> None:
    first = asked_with_key(client, "same", as_of=AS_OF)
    finished(client, first.json()["id"])
    again = asked_with_key(client, "same", as_of=AS_OF, prefer_in_session=True)  # the same, said in other words
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json()["id"] == first.json()["id"]
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["state"] == "complete"


def test_the_same_idempotency_key_for_another_request_is_a_conflict(client: httpx.Client) -> None:
    asked_with_key(client, "taken", as_of=AS_OF)
    answer = asked_with_key(client, "taken", as_of=AS_OF, all_stores=True)
    assert answer.status_code == 409
    assert "use a new one" in answer.json()["detail"]


def test_without_an_idempotency_key_asking_again_gives_another_report(client: httpx.Client) -> None:
    reports = {client.post("/v1/reports", json={"as_of": AS_OF}).json()["id"] for _ in range(3)}
    assert len(reports) == 3


def test_callers_do_not_get_in_the_way_of_each_others_idempotency_keys(client: httpx.Client, served: Service) -> None:
    with database_in(served.folder).writing() as connection:
        tokens = [
            api_keys.create(connection, name=name, scopes=["read"], now=now_us(), actor="test")[1]
            for name in ("a", "b")
        ]
    answers = [asked_with_key(client, "shared", token, as_of=AS_OF) for token in (*tokens, None)]
    assert [answer.status_code for answer in answers] == [202] * 3
    assert len({answer.json()["id"] for answer in answers}) == 3
    assert asked_with_key(client, "shared", tokens[1], all_stores=True).status_code == 409


def test_one_idempotency_key_at_the_same_time_makes_one_report(client: httpx.Client) -> None:
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda: answers.append(asked_with_key(client, "at once", as_of=AS_OF)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert len({answer.json()["id"] for answer in answers}) == 1


# --- sharing -----------------------------------------------------------------------------------------


def job_of(folder: Path, report: str) -> str:
    with database_in(folder).reading() as connection:
        return report_table.find(connection, report).job.job


def results_of(folder: Path, job: str) -> int:
    with database_in(folder).reading() as connection:
        query = select(func.count()).where(results.c.job == job)
        return connection.execute(query).scalar_one()


def test_who_asks_for_the_same_while_it_waits_shares_the_work(waiting: httpx.Client, unattended: Service) -> None:
    body = {"as_of": "2023-01-25T11:00:00Z", "stores": ["always", "late"]}
    first = waiting.post("/v1/reports", json=body).json()["id"]
    second = waiting.post("/v1/reports", json=body | {"stores": ["late", "always", "late"]}).json()["id"]
    other = waiting.post("/v1/reports", json=body | {"all_stores": True}).json()["id"]
    assert first != second
    job = job_of(unattended.folder, first)
    assert job_of(unattended.folder, second) == job
    assert job_of(unattended.folder, other) != job
    assert work_off(unattended.folder) == 2
    states = [waiting.get(f"/v1/reports/{report}").json()["state"] for report in (first, second, other)]
    assert states == ["complete"] * 3
    assert results_of(unattended.folder, job) == 1
    with database_in(unattended.folder).reading() as connection:
        assert connection.execute(select(jobs.c.attempts).where(jobs.c.job == job)).scalar_one() == 1
    contents = [waiting.get(f"/v1/reports/{report}/result").content for report in (first, second)]
    assert contents[0] == contents[1]


def test_whoever_cancels_leaves_the_shared_work_to_the_others(waiting: httpx.Client, unattended: Service) -> None:
    first, second = (waiting.post("/v1/reports", json={"all_stores": True}).json()["id"] for _ in range(2))
    assert waiting.delete(f"/v1/reports/{first}").json()["state"] == "cancelled"
    assert waiting.get(f"/v1/reports/{second}").json()["state"] == "queued"
    assert work_off(unattended.folder) == 1
    assert waiting.get(f"/v1/reports/{first}").json()["state"] == "cancelled"
    assert waiting.get(f"/v1/reports/{first}/result").status_code == 409
    assert waiting.get(f"/v1/reports/{second}/result").status_code == 200


def test_a_cancelled_report_tells_nothing_of_how_the_shared_work_went_on(
    waiting: httpx.Client, unattended: Service
) -> None:
    first, second = (waiting.post("/v1/reports", json={"assume": "active"}).json()["id"] for _ in range(2))
    cancelled = waiting.delete(f"/v1/reports/{first}").json()
    work_off(unattended.folder)
    assert waiting.get(f"/v1/reports/{second}").json()["state"] == "complete"
    assert waiting.get(f"/v1/reports/{first}").json() == cancelled


def test_after_a_load_the_same_request_is_made_anew(waiting: httpx.Client, unattended: Service) -> None:
    before = waiting.post("/v1/reports").json()["id"]
    poll = {"store_id": "always", "status": "active", "timestamp_utc": known.AS_OF}
    assert waiting.post("/v1/observations", json=poll).json()["repeated"] == 1
    after = waiting.post("/v1/reports").json()["id"]
    assert job_of(unattended.folder, before) != job_of(unattended.folder, after)
    assert work_off(unattended.folder) == 2


def test_a_finished_report_is_not_shared_with_who_asks_later(waiting: httpx.Client, unattended: Service) -> None:
    jobs = []
    for _ in range(2):
        report = waiting.post("/v1/reports", json={"as_of": known.AS_OF}).json()["id"]
        jobs.append(job_of(unattended.folder, report))
        assert work_off(unattended.folder) == 1
    assert jobs[0] != jobs[1]


# --- cancelling --------------------------------------------------------------------------------------


def test_a_cancelled_report_is_never_made(waiting: httpx.Client, unattended: Service) -> None:
    report = waiting.post("/v1/reports", json={"as_of": "2023-01-25T10:00:00Z"}).json()["id"]
    cancelled = waiting.delete(f"/v1/reports/{report}")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert cancelled.json()["finished_at"] is not None
    assert work_off(unattended.folder) == 0
    assert results_of(unattended.folder, job_of(unattended.folder, report)) == 0
    answer = waiting.get(f"/v1/reports/{report}/result")
    assert (answer.status_code, "cancelled" in answer.json()["detail"]) == (409, True)


def test_cancelling_again_changes_nothing(waiting: httpx.Client) -> None:
    report = waiting.post("/v1/reports", json={"as_of": "2023-01-25T10:00:00Z"}).json()["id"]
    first, second = (waiting.delete(f"/v1/reports/{report}") for _ in range(2))
    assert (second.status_code, second.json()) == (200, first.json())


def test_a_report_that_has_ended_cannot_be_cancelled(client: httpx.Client) -> None:
    report = made(client)
    answer = client.delete(f"/v1/reports/{report}")
    assert answer.status_code == 409
    assert "complete" in answer.json()["detail"]
    assert client.get(f"/v1/reports/{report}").json()["state"] == "complete"


def test_a_report_that_is_being_made_can_be_cancelled(waiting: httpx.Client, unattended: Service) -> None:
    report = waiting.post("/v1/reports", json={"as_of": "2023-01-25T09:00:00Z"}).json()["id"]
    database = database_in(unattended.folder)
    with database.writing() as connection:
        held = queue.claim(connection, "busy", ["report"], now=now_us())
    assert held is not None
    assert waiting.get(f"/v1/reports/{report}").json()["state"] == "running"
    assert waiting.get(f"/v1/reports/{report}/result").status_code == 409
    assert waiting.delete(f"/v1/reports/{report}").json()["state"] == "cancelled"
    with database.writing() as connection, pytest.raises(uphours.UphoursError, match="no longer"):
        queue.finish(connection, held, now=now_us())


def test_the_result_of_a_queued_report_is_a_conflict(waiting: httpx.Client, unattended: Service) -> None:
    report = waiting.post("/v1/reports").json()["id"]
    answer = waiting.get(f"/v1/reports/{report}/result")
    assert answer.status_code == 409
    assert "queued" in answer.json()["detail"]
    work_off(unattended.folder)


# --- the list ----------------------------------------------------------------------------------------


def test_the_list_is_paged_from_the_newest_and_stays_stable_while_new_ones_come(
    waiting: httpx.Client, unattended: Service
) -> None:
    asked = [
        waiting.post("/v1/reports", json={"as_of": f"2023-01-25T10:00:0{second}Z"}).json()["id"] for second in range(7)
    ]
    pages: list[list[str]] = []
    cursor: str | None = None
    while sum(map(len, pages)) < 7:
        query = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = waiting.get("/v1/reports", params=query).raise_for_status().json()
        pages.append([report["id"] for report in page["reports"]])
        cursor = page["next_cursor"]
        waiting.post("/v1/reports", json={"as_of": f"2023-01-25T10:00:1{len(pages)}Z"}).raise_for_status()
    assert [len(page) for page in pages] == [3, 3, 3]
    assert [report for page in pages for report in page][:7] == asked[::-1]
    work_off(unattended.folder)


def test_the_last_page_has_no_cursor(waiting: httpx.Client, unattended: Service) -> None:
    waiting.post("/v1/reports").raise_for_status()
    found = waiting.get("/v1/reports", params={"limit": 1000}).json()
    assert found["next_cursor"] is None
    exactly = waiting.get("/v1/reports", params={"limit": len(found["reports"])}).json()
    assert exactly == found
    work_off(unattended.folder)


@pytest.mark.parametrize("query", [{"cursor": "x"}, {"cursor": "W10"}, {"limit": 0}, {"limit": 1001}, {"limit": "all"}])
def test_a_page_that_cannot_be_is_a_problem(client: httpx.Client, query: dict[str, Any]) -> None:
    answer = client.get("/v1/reports", params=query)
    assert answer.status_code == 422
    assert next(iter(query)) in answer.json()["detail"]


# --- files -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def path(client: httpx.Client) -> str:
    """The path of a result."""
    return f"/v1/reports/{made(client)}/result"


def test_a_result_that_has_not_changed_is_not_sent_again(client: httpx.Client, path: str) -> None:
    tag = client.get(path).headers["etag"]
    for names in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = client.get(path, headers={"If-None-Match": names})
        assert (answer.status_code, answer.content) == (304, b""), names
        assert answer.headers["etag"] == tag
    assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_each_format_of_a_result_has_a_tag_of_its_own_that_stays(client: httpx.Client, path: str) -> None:
    layouts = [(form, detail) for form in MEDIA_TYPES for detail in (False, True)]
    tags = [client.get(path, params={"format": form, "detail": detail}).headers["etag"] for form, detail in layouts]
    assert len(set(tags)) == len(tags)
    again = [client.get(path, params={"format": form, "detail": detail}).headers["etag"] for form, detail in layouts]
    assert again == tags


def test_a_result_is_sent_whole(client: httpx.Client, path: str) -> None:
    whole = client.get(path)
    assert "accept-ranges" not in whole.headers
    answer = client.get(path, headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.content) == (200, whole.content)


# --- the queue, and what outlives the process --------------------------------------------------------


@pytest.mark.slow
def test_a_full_queue_refuses_and_what_is_in_it_outlives_the_service(tmp_path: Path) -> None:
    tables.load(database_in(tmp_path), tmp_path, polls=tables.POLLS, hours=tables.HOURS, timezones=tables.TIMEZONES)
    stopped = begin_service(tmp_path, workers="0", queue_limit="2")
    with stopped.client() as client:
        bodies = [{"as_of": f"2023-01-25T1{hour}:00:00Z"} for hour in range(3)]
        asked = [client.post("/v1/reports", json=body).json()["id"] for body in bodies[:2]]
        shared = client.post("/v1/reports", json=bodies[0])  # it needs no place of its own
        refused = client.post("/v1/reports", json=bodies[2])
        legacy = client.post("/trigger_report")
    assert stopped.stop() == 0
    assert shared.status_code == 202
    for answer in (refused, legacy):
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert answer.headers["content-type"] == "application/problem+json"
        assert "2 jobs are waiting" in answer.json()["detail"]

    with service(tmp_path, workers="1", queue_limit="2") as again, again.client() as client:
        for report, body in zip([*asked, shared.json()["id"]], [*bodies[:2], bodies[0]], strict=True):
            assert finished(client, report)["state"] == "complete"
            assert_frame_equal(exact(client, report), library(**body))


def test_reports_expire_with_their_results_and_younger_ones_stay(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    tables.load(database, tmp_path, polls=tables.POLLS)
    old, young = (request(tmp_path, now=tables.NOW + hours * HOUR_US) for hours in (0, 2))
    with database.writing() as connection:
        assert report_table.expire(connection, before=tables.NOW + HOUR_US, broken_off_before=0) == 1
    with database.reading() as connection:
        with pytest.raises(uphours.NotFoundError, match="kept for some weeks"):
            report_table.find(connection, old)
        found = report_table.find(connection, young)
        assert [row.job for row in connection.execute(select(jobs.c.job))] == [found.job.job]
        assert [row.job for row in connection.execute(select(results.c.job))] == [found.job.job]


def request(folder: Path, *, now: int, done: bool = True) -> str:
    """Ask for a report at an instant, and have it made then."""
    options = uphours.reports.request.ReportRequest(as_of=known.AS_OF_US).to_dict()
    with database_in(folder).writing() as connection:
        asked = report_table.request(
            connection, options, made_with="test", requested_by="", now=now, limit=100, idempotency_key=None
        )
    if done:
        assert worker(folder, now=lambda: now).work_once()
    return asked.report


def test_a_report_that_still_waits_does_not_expire(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    tables.load(database, tmp_path, polls=tables.POLLS)
    report = request(tmp_path, now=tables.NOW, done=False)
    with database.writing() as connection:
        assert report_table.expire(connection, before=tables.NOW + DAY_US, broken_off_before=0) == 0
    with database.reading() as connection:
        assert report_table.find(connection, report).state == "queued"


def test_a_shared_result_stays_as_long_as_somebody_may_fetch_it(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    tables.load(database, tmp_path, polls=tables.POLLS)
    old = request(tmp_path, now=tables.NOW, done=False)
    young = request(tmp_path, now=tables.NOW + 2 * HOUR_US)
    with database.writing() as connection:
        assert report_table.expire(connection, before=tables.NOW + HOUR_US, broken_off_before=0) == 1
    with database.reading() as connection:
        assert [row.report for row in connection.execute(select(reports.c.report))] == [young]
        assert report_table.result(connection, report_table.find(connection, young).job.job)
        with pytest.raises(uphours.NotFoundError):
            report_table.find(connection, old)


def test_the_schedule_of_a_worker_forgets_reports_once_an_hour(tmp_path: Path) -> None:
    database = database_in(tmp_path)
    tables.load(database, tmp_path, polls=tables.POLLS)
    clock = {"now": tables.NOW}
    ticking = worker(tmp_path, now=lambda: clock["now"], keep_us=1_000_000)
    ticking.tick()  # the first time of the schedule: nothing is there
    report = request(tmp_path, now=tables.NOW)
    clock["now"] += HOUR_US - 1
    ticking.tick()
    with database.reading() as connection:
        assert report_table.find(connection, report).state == "complete"
    clock["now"] += 1
    ticking.tick()
    with database.reading() as connection, pytest.raises(uphours.NotFoundError):
        report_table.find(connection, report)


def test_an_expired_report_is_not_found_over_http(waiting: httpx.Client, unattended: Service) -> None:
    report = waiting.post("/v1/reports").json()["id"]
    work_off(unattended.folder)
    result = f"/v1/reports/{report}/result"
    assert waiting.get(result).status_code == 200
    worker(unattended.folder, now=lambda: now_us() + DAY_US, keep_us=1_000_000).tick()
    for path in (f"/v1/reports/{report}", result, f"/get_report?report_id={report}"):
        assert waiting.get(path).status_code == 404
