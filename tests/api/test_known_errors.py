"""The ways in which services of this kind were seen to lose or mix up reports."""

from __future__ import annotations

import csv
import io

import httpx

from tests.fixtures.services import Service
from tests.fixtures.workers import work_off


def trigger(client: httpx.Client) -> str:
    return str(client.post("/trigger_report").json()["report_id"])


def poll(client: httpx.Client, report: str) -> httpx.Response:
    return client.get("/get_report", params={"report_id": report})


def test_running_can_be_seen_because_the_work_is_not_done_inside_the_request(
    waiting: httpx.Client, unattended: Service
) -> None:
    report = trigger(waiting)
    assert poll(waiting, report).json() == {"status": "Running"}
    work_off(unattended.folder)
    assert poll(waiting, report).headers["X-Report-Status"] == "Complete"


def test_an_unknown_report_is_not_running_for_ever_and_not_a_200(client: httpx.Client) -> None:
    answer = poll(client, "0" * 32)
    assert (answer.status_code, answer.json()) == (404, {"status": "Report not found"})


def test_every_report_has_a_file_of_its_own(waiting: httpx.Client, unattended: Service) -> None:
    reports = [
        waiting.post("/v1/reports", json={"windows": [window]}).json()["id"] for window in ("last_hour", "last_week")
    ]
    assert len(set(reports)) == 2
    work_off(unattended.folder)
    titles = [next(csv.reader(io.StringIO(waiting.get(f"/v1/reports/{one}/result").text)))[1] for one in reports]
    assert titles == ["uptime_last_hour", "uptime_last_week"]
