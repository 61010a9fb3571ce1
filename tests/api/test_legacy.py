"""The clients of the earlier systems: their requests, in the order in which they make them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures import known
from tests.fixtures.commands import begin
from tests.fixtures.databases import only_sqlite
from tests.fixtures.services import Service, service
from tests.fixtures.workers import at_work, work_off

pytestmark = [pytest.mark.slow, only_sqlite]  # no engine shows in what these are about

MINUTES = """\
store_id,uptime_last_hour,downtime_last_hour,uptime_last_day,downtime_last_day,uptime_last_week,downtime_last_week
always,30.00,30.00,1110.00,330.00,9750.00,330.00
late,0.67,59.33,0.67,1439.33,0.67,10079.33
shut,0.00,0.00,0.00,0.00,480.00,0.00
wednesdays,0.00,60.00,0.00,180.00,0.00,480.00
"""
DOCUMENTED = """\
store_id,uptime_last_hour(in minutes),uptime_last_day(in hours),update_last_week(in hours),\
downtime_last_hour(in minutes),downtime_last_day(in hours),downtime_last_week(in hours)
always,30.00,18.50,162.50,30.00,5.50,5.50
late,0.67,0.01,0.01,59.33,23.99,167.99
shut,0.00,0.00,8.00,0.00,0.00,0.00
wednesdays,0.00,0.00,0.00,60.00,3.00,8.00
"""
TITLED = """\
store_id,uptime_last_hour(in mins),uptime_last_day(in hrs),uptime_last_week(in hrs),\
downtime_last_hour(in mins),downtime_last_day(in hrs),downtime_last_week(in hrs)
always,30.00,18.50,162.50,30.00,5.50,5.50
late,0.67,0.01,0.01,59.33,23.99,167.99
shut,0.00,0.00,8.00,0.00,0.00,0.00
wednesdays,0.00,0.00,0.00,60.00,3.00,8.00
"""
FILES = {"store_status.csv": known.POLLS, "menu_hours.csv": known.HOURS, "bq-results.csv": known.TIMEZONES}
#: How each of them triggers a report, and asks for it.
SPOKEN = [
    ("POST", "/trigger_report", "/get_report?report_id="),
    ("GET", "/trigger_report", "/get_report?report_id="),
    ("POST", "/api/trigger_report", "/api/get_report?report_id="),
    ("GET", "/api/trigger_report", "/api/get_report?report_id="),
    ("POST", "/report/trigger_report", "/report/get_report/"),
    ("GET", "/trigger-report", "/get-report-status/"),
    ("GET", "/trigger-report", "/get-report/"),
]
WORDS = (
    "csv_file",
    "error_code",
    "Running",
    "Complete",
    "Failed",
    "processing",
    "completed",
    "Report not found",
    "Data stored",
    "in mins",
    "in minutes",
    "update_last_week",
    "in hrs",
)


@pytest.fixture(scope="module")
def earlier(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve an empty store without a worker; the three files lie in its data folder."""
    folder = tmp_path_factory.mktemp("earlier")
    files = folder / "data"
    files.mkdir()
    for name, content in FILES.items():
        (files / name).write_text(content)
    with service(folder, "--data-folder", str(files), workers="0") as running:
        yield running


@pytest.fixture(scope="module")
def failed(earlier: Service) -> list[tuple[str, str]]:
    """Where each system asks for a report that failed, and its id: nothing was loaded yet."""
    with earlier.client() as client:
        made = [(asked, triggered(client, verb, path)) for verb, path, asked in SPOKEN]
    work_off(earlier.folder)
    return made


@pytest.fixture(scope="module")
def loaded(earlier: Service, failed: list[tuple[str, str]]) -> dict[str, Any]:
    """What the service answers when it is told to load its data folder."""
    with earlier.client() as client, at_work(earlier.folder):
        answer: dict[str, Any] = client.post("/store_csv_data").raise_for_status().json()
    return answer


@pytest.fixture(scope="module")
def speaking(earlier: Service, loaded: dict[str, Any]) -> Iterator[httpx.Client]:
    """A client of the service with the fleet loaded."""
    with earlier.client() as made:
        yield made


def triggered(client: httpx.Client, verb: str, path: str) -> str:
    report: str = client.request(verb, path).raise_for_status().json()["report_id"]
    return report


def assert_is_download(answer: httpx.Response, csv: str, status: str) -> None:
    assert answer.status_code == 200
    assert answer.text == csv
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="uphours-20230125T120000Z.csv"'
    assert answer.headers["x-report-status"] == status


@pytest.mark.parametrize("verb", ["POST", "GET"])
def test_the_original_client_triggers_polls_and_downloads(speaking: httpx.Client, earlier: Service, verb: str) -> None:
    started = speaking.request(verb, "/trigger_report")
    assert started.status_code == 200
    assert list(started.json()) == ["report_id"]
    report = started.json()["report_id"]
    assert len(report) >= 32

    asked = {"params": {"report_id": report}}
    running = speaking.get("/get_report", **asked)  # type: ignore[arg-type]
    assert (running.status_code, running.json()) == (200, {"status": "Running"})

    work_off(earlier.folder)
    assert_is_download(speaking.get("/get_report", **asked), known.CSV, "Complete")  # type: ignore[arg-type]
    inline = speaking.get("/get_report", **asked, headers={"Accept": "application/json"})  # type: ignore[arg-type]
    assert inline.json() == {"status": "Complete", "csv_file": known.CSV}


def test_a_worker_that_is_started_on_its_own_finishes_what_the_original_client_waits_for(
    speaking: httpx.Client, earlier: Service
) -> None:
    report = triggered(speaking, "POST", "/trigger_report")
    assert speaking.get("/get_report", params={"report_id": report}).json() == {"status": "Running"}
    worker = begin(earlier.folder, "worker")
    try:
        answer = httpx.Response(200)
        while "x-report-status" not in answer.headers:
            assert worker.poll() is None
            time.sleep(0.1)
            answer = speaking.get("/get_report", params={"report_id": report})
            assert "x-report-status" in answer.headers or answer.json() == {"status": "Running"}
    finally:
        worker.terminate()
        worker.communicate(timeout=30)
    assert worker.returncode == 0
    assert_is_download(answer, known.CSV, "Complete")


@pytest.mark.parametrize("verb", ["POST", "GET"])
def test_the_original_client_finds_everything_under_api_too(
    speaking: httpx.Client, earlier: Service, verb: str
) -> None:
    started = speaking.request(verb, "/api/trigger_report").raise_for_status().json()
    report = started["report_id"]
    assert list(started.items()) == [("message", "Success"), ("error_code", 200), ("report_id", report)]
    assert speaking.get("/api/get_report", params={"report_id": report}).json() == {"status": "Running"}
    work_off(earlier.folder)
    assert_is_download(speaking.get("/api/get_report", params={"report_id": report}), DOCUMENTED, "Complete")
    # Under its own URL the same report has the titles of the original, and the other way round.
    assert speaking.get("/get_report", params={"report_id": report}).text == known.CSV
    original = triggered(speaking, "POST", "/trigger_report")
    work_off(earlier.folder)
    inline = speaking.get("/api/get_report", params={"report_id": original}, headers={"Accept": "application/json"})
    assert inline.json() == {"status": "Complete", "csv_file": DOCUMENTED}


def test_the_client_that_wants_minutes_gets_the_csv_inside_json(speaking: httpx.Client, earlier: Service) -> None:
    started = speaking.post("/report/trigger_report")
    assert (started.status_code, list(started.json())) == (200, ["report_id"])
    report = started.json()["report_id"]
    assert speaking.get(f"/report/get_report/{report}").json() == {"status": "Running"}
    work_off(earlier.folder)
    answer = speaking.get(f"/report/get_report/{report}")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"status": "Complete", "csv_file": MINUTES}


def test_the_client_that_wants_units_in_titles_asks_for_the_status_and_then_fetches(
    speaking: httpx.Client, earlier: Service
) -> None:
    started = speaking.get("/trigger-report").raise_for_status().json()
    report = started["report_id"]
    assert started == {"report_id": report, "status": "processing"}
    assert speaking.get(f"/get-report-status/{report}").json() == {"status": "processing"}
    early = speaking.get(f"/get-report/{report}")
    assert early.json() == {"status": "processing"}
    assert "x-report-status" not in early.headers
    work_off(earlier.folder)
    assert speaking.get(f"/get-report-status/{report}").json() == {"status": "completed"}
    assert_is_download(speaking.get(f"/get-report/{report}"), TITLED, "completed")


def test_a_body_is_not_asked_for_and_does_no_harm(speaking: httpx.Client, earlier: Service) -> None:
    for path in ("/trigger_report", "/api/trigger_report", "/report/trigger_report"):
        assert speaking.post(path, json={}).status_code == 200
        assert speaking.post(path, content=b"whatever", headers={"Content-Type": "text/plain"}).status_code == 200
    work_off(earlier.folder)


def test_a_report_that_failed_says_why(earlier: Service, failed: list[tuple[str, str]]) -> None:
    with earlier.client() as client:
        for asked, report in failed:
            answer = client.get(f"{asked}{report}")
            word = "failed" if "-" in asked else "Failed"
            assert (answer.status_code, answer.json()["status"]) == (200, word), asked
            assert answer.json()["reason"].startswith("there are no observations yet"), asked


def test_an_unknown_report_is_not_found(speaking: httpx.Client) -> None:
    for _, _, asked in SPOKEN:
        answer = speaking.get(f"{asked}no-such-report")
        assert (answer.status_code, answer.json()) == (404, {"status": "Report not found"}), asked


def test_a_forgotten_report_id_is_named(speaking: httpx.Client) -> None:
    answer = speaking.get("/get_report")
    assert answer.status_code == 422
    assert "report_id" in answer.json()["detail"]


def test_every_report_id_is_another(speaking: httpx.Client, earlier: Service) -> None:
    made = [triggered(speaking, verb, path) for verb, path, _ in SPOKEN * 3]
    assert len(set(made)) == len(made)
    work_off(earlier.folder)
    assert len({speaking.get(f"/get-report/{report}").text for report in made}) == 1


def test_two_reports_are_two_files_each_its_own(speaking: httpx.Client, earlier: Service) -> None:
    poll = {"store_id": "always", "timestamp_utc": "2023-01-25T11:30:00Z"}
    before = triggered(speaking, "POST", "/trigger_report")
    work_off(earlier.folder)
    speaking.post("/v1/observations", json=poll | {"status": "inactive"}).raise_for_status()
    try:
        after = triggered(speaking, "POST", "/trigger_report")
        work_off(earlier.folder)
    finally:
        speaking.post("/v1/observations", json=poll | {"status": "active"}).raise_for_status()
    assert speaking.get("/get_report", params={"report_id": before}).text == known.CSV
    changed = known.CSV.replace("always,30.00,18.50,162.50,30.00,5.50,5.50", "always,0.00,18.00,162.00,60.00,6.00,6.00")
    assert speaking.get("/get_report", params={"report_id": after}).text == changed


def test_a_report_can_be_fetched_in_any_dialect_whoever_triggered_it(speaking: httpx.Client, earlier: Service) -> None:
    report = speaking.post("/v1/reports").json()["id"]
    work_off(earlier.folder)
    assert speaking.get("/get_report", params={"report_id": report}).text == known.CSV
    assert speaking.get(f"/report/get_report/{report}").json()["csv_file"] == MINUTES
    assert speaking.get(f"/get-report/{report}").text == TITLED
    assert speaking.get(f"/v1/reports/{report}/result").text == known.CSV


def test_downloads_of_the_dialects_have_entity_tags_of_their_own(speaking: httpx.Client, earlier: Service) -> None:
    report = triggered(speaking, "POST", "/trigger_report")
    work_off(earlier.folder)
    own, titled = f"/get_report?report_id={report}", f"/get-report/{report}"
    tags = {path: speaking.get(path).headers["etag"] for path in (own, titled)}
    assert tags[own] != tags[titled]
    for path, tag in tags.items():
        assert speaking.get(path, headers={"If-None-Match": tag}).status_code == 304
    assert speaking.get(own, headers={"If-None-Match": tags[titled]}).status_code == 200


# --- loading the data folder -------------------------------------------------------------------------


@pytest.fixture
def data_folder(earlier: Service, loaded: dict[str, Any]) -> Iterator[Path]:
    """The data folder, which is as it was after the test."""
    folder = earlier.folder / "data"
    yield folder
    for path in folder.iterdir():
        path.unlink()
    for name, content in FILES.items():
        (folder / name).write_text(content)


def test_the_data_folder_is_loaded_and_counted(loaded: dict[str, Any]) -> None:
    assert loaded == {
        "message": "Data stored successfully!",
        "load": 1,
        "rows_read": 16,
        "accepted": 16,
        "repeated": 0,
        "conflicting": 0,
        "quarantined": 0,
        "reasons": [],
        "reasons_left_out": 0,
        "quarantine": "/v1/loads/1/quarantine",
    }


@pytest.mark.parametrize("verb", ["GET", "POST"])
def test_loading_the_data_folder_again_changes_no_number(speaking: httpx.Client, earlier: Service, verb: str) -> None:
    with at_work(earlier.folder):
        answer = speaking.request(verb, "/store_csv_data")
    assert answer.status_code == 200
    assert answer.json()["message"] == "Data stored successfully!"
    assert (answer.json()["accepted"], answer.json()["repeated"]) == (16, 8)
    report = triggered(speaking, "POST", "/trigger_report")
    work_off(earlier.folder)
    assert speaking.get("/get_report", params={"report_id": report}).text == known.CSV


def test_without_the_setting_there_is_no_data_folder_to_load(client: httpx.Client) -> None:
    for verb in ("GET", "POST"):
        answer = client.request(verb, "/store_csv_data")
        assert answer.status_code == 409
        assert "UPHOURS_DATA_FOLDER" in answer.json()["detail"]


def test_a_data_folder_without_csv_files_is_a_mistake(
    speaking: httpx.Client, earlier: Service, data_folder: Path
) -> None:
    for path in data_folder.iterdir():
        path.rename(path.with_suffix(".txt"))
    with at_work(earlier.folder):
        answer = speaking.post("/store_csv_data")
    assert answer.status_code == 422
    assert "no file to load" in answer.json()["detail"]


def test_a_broken_file_in_the_data_folder_keeps_all_of_it_out(
    speaking: httpx.Client, earlier: Service, data_folder: Path
) -> None:
    (data_folder / "broken.csv").write_text("shop,colour\nalways,red\n")
    (data_folder / "new.csv").write_text("store_id,status,timestamp_utc\nnew,active,2023-01-25T10:00:00Z\n")
    before = speaking.get("/v1/loads").json()["loads"][0]["load"]
    with at_work(earlier.folder):
        answer = speaking.post("/store_csv_data")
    assert answer.status_code == 422
    assert "broken.csv" in answer.json()["detail"]
    assert "colour" in answer.json()["detail"]
    assert speaking.get("/v1/loads").json()["loads"][0]["load"] == before
    assert speaking.get("/v1/stores/new").status_code == 404


def test_bad_rows_in_the_data_folder_are_set_aside_and_the_others_loaded(
    speaking: httpx.Client, earlier: Service, data_folder: Path
) -> None:
    (data_folder / "more.csv").write_text(
        "store_id,status,timestamp_utc\nalways,asleep,2023-01-25T10:00:00Z\nalways,active,2023-01-24T10:00:00Z\n"
    )
    with at_work(earlier.folder):
        answer = speaking.get("/store_csv_data").raise_for_status().json()
    assert (answer["accepted"], answer["quarantined"]) == (17, 1)
    (reason,) = answer["reasons"]
    assert (Path(reason["file"]).name, reason["line"]) == ("more.csv", 2)


# --- nothing of it in the native API -----------------------------------------------------------------


def test_no_word_of_the_dialects_is_in_the_schemas_of_the_native_api(speaking: httpx.Client) -> None:
    document = speaking.get("/openapi.json").json()
    native = {path: item for path, item in document["paths"].items() if path.startswith("/v1/")}
    assert native
    text = json.dumps([native, *schemas_of(document, native).values()])
    assert [word for word in WORDS if word in text] == []


def schemas_of(document: dict[str, Any], part: object) -> dict[str, Any]:
    """Return the schemas that a part of an OpenAPI document refers to, directly or not."""
    found: dict[str, Any] = {}
    left = [part]
    while left:
        for word in json.dumps(left.pop()).split('"'):
            name = word.removeprefix("#/components/schemas/")
            if name != word and name not in found:
                found[name] = document["components"]["schemas"][name]
                left.append(found[name])
    return found


def test_no_word_of_the_dialects_is_in_an_answer_of_the_native_api(speaking: httpx.Client, earlier: Service) -> None:
    report = triggered(speaking, "GET", "/trigger-report")
    queued = speaking.get(f"/v1/reports/{report}")
    work_off(earlier.folder)
    paths = ("", f"/{report}", f"/{report}/result", f"/{report}/result?format=json", "/unknown")
    answers = [queued, *(speaking.get(f"/v1/reports{path}") for path in paths)]
    assert [word for word in WORDS for answer in answers if word in answer.text] == []
