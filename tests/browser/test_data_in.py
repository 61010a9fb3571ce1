"""From an empty store to a finished report, with nothing but a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched, load_demo
from tests.fixtures.databases import opened, url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service, begin_service
from tests.fixtures.workers import worker
from uphours import demo
from uphours.database import queue
from uphours.service.terms import now_us


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Service]:
    with service_threads(tmp_path, workers=1) as running:
        yield running


def drop(page: Page, files: dict[str, str]) -> None:
    """Drop files onto the page, as from a folder beside it."""
    page.evaluate(
        """(files) => {
            const carried = new DataTransfer();
            for (const [name, text] of Object.entries(files)) carried.items.add(new File([text], name));
            const target = document.querySelector("[data-upload]");
            for (const kind of ["dragover", "drop"])
                target.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
        }""",
        files,
    )


def test_files_are_dropped_on_an_empty_store_and_a_report_is_made_and_fetched(
    page: Page, empty: Service, tmp_path: Path
) -> None:
    demo.make_files(tmp_path / "files")
    page.goto(empty.url)
    expect(page.locator("h1")).to_have_text("There are no observations yet")
    drop(
        page,
        {f"{kind}.csv": (tmp_path / "files" / f"{kind}.csv").read_text() for kind in ("polls", "hours", "timezones")},
    )
    expect(page.locator(".upload .outcome")).to_contain_text("3 set aside")
    page.get_by_role("link", name="What is wrong with them").click()
    expect(page.locator("main")).to_contain_text("activ")
    page.get_by_role("link", name="Fleet", exact=True).click()
    page.locator("#tab-all").click()
    expect(page.locator("#stores tbody tr")).to_have_count(40)

    page.get_by_role("link", name="Reports", exact=True).click()
    page.get_by_role("button", name="Make the report").click()
    page.wait_for_url("**/reports/*")
    expect(page.locator(".headline")).to_contain_text("complete")
    with page.expect_download() as fetched:
        page.get_by_role("link", name="CSV", exact=True).click()
    with empty.client() as client:
        report = client.get("/v1/reports").json()["reports"][0]["id"]
        assert fetched.value.path().read_bytes() == client.get(f"/v1/reports/{report}/result").content
    for form in ("XLSX", "PARQUET", "JSON"):
        with page.expect_download() as fetched:
            page.get_by_role("link", name=form, exact=True).click()
        assert fetched.value.path().stat().st_size > 1_000
    page.get_by_role("link", name="Reports", exact=True).click()
    expect(page.locator("table tbody tr")).to_have_count(1)


def test_rows_that_were_set_aside_are_fetched_fixed_and_loaded_again(page: Page, empty: Service) -> None:
    page.goto(empty.url)
    bad = "store_id,status,timestamp_utc\n1,active,2023-01-25 10:00:00 UTC\n1,activ,2023-01-25 11:00:00 UTC\n"
    drop(page, {"polls.csv": bad})
    page.get_by_role("link", name="What is wrong with them").click()
    page.wait_for_url("**/data/loads/*")
    with page.expect_download() as fetched:
        page.get_by_role("link", name="CSV", exact=True).click()
    fixed = fetched.value.path().read_text().replace("activ,", "active,")
    drop(page, {"fixed.csv": fixed})
    expect(page.locator(".upload .outcome")).to_contain_text("1 rows read: 1 accepted")


def test_a_file_that_nobody_can_read_is_refused_with_what_is_valid(
    page: Page, empty: Service, watched: Watched
) -> None:
    page.goto(empty.url + "/data")
    drop(page, {"picture.csv": "colour,size\nred,1\n"})
    expect(page.locator(".upload .outcome .notice.bad")).to_contain_text("picture.csv")
    watched.errors.clear()
    expect(page.locator("main")).to_contain_text("None yet")


def test_the_demo_is_one_press_away(page: Page, empty: Service) -> None:
    page.goto(empty.url)
    page.get_by_role("button", name="Load the demo data").click()
    expect(page.locator("h1")).to_have_text("Fleet")
    expect(page.locator("#tab-all .stores")).to_have_text("40")
    expect(page.locator("#standing .notice")).to_have_count(0)  # its polls end now


def test_a_report_shows_how_far_it_is_and_then_that_it_is_complete(page: Page, tmp_path: Path) -> None:
    store = load_demo(tmp_path)
    with service_threads(tmp_path) as running:
        page.goto(running.url + "/reports")
        page.get_by_role("button", name="Make the report").click()
        expect(page.locator("#progress")).to_contain_text("waiting for a worker")
        with store.writing() as connection:
            held = queue.claim(connection, "test", ["report"], now=now_us())
        assert held is not None
        with store.writing() as connection:
            queue.beat(connection, held, now=now_us(), done=17, total=43)
        expect(page.locator("#progress")).to_contain_text("17 of 43 stores")
        assert page.locator("progress").get_attribute("value") == "17"
        with store.writing() as connection:
            queue.hand_back(connection, held, now=now_us())
        assert worker(tmp_path).work_once()
        expect(page.locator(".headline")).to_contain_text("complete")
        expect(page.locator(".downloads li")).to_have_count(5)


def test_a_report_is_cancelled(page: Page, tmp_path: Path) -> None:
    load_demo(tmp_path)
    with service_threads(tmp_path) as running:
        page.goto(running.url + "/reports")
        page.get_by_role("button", name="Make the report").click()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".headline")).to_contain_text("cancelled")


def test_a_mistake_in_a_form_is_told_with_what_is_valid(page: Page, shared: Service, watched: Watched) -> None:
    page.goto(shared.url + "/reports")
    page.get_by_label("Own dates").fill("mine=2023-01-25")
    page.get_by_role("button", name="Make the report").click()
    refusal = "cannot read the window 'mine=2023-01-25'; valid are NAME=START/END"
    expect(page.locator("#mistake-windows")).to_contain_text(refusal)
    watched.errors.clear()  # the browser notes the 422


def test_a_service_that_is_gone_is_said_and_so_is_its_return(page: Page, tmp_path: Path, watched: Watched) -> None:
    load_demo(tmp_path)
    running = begin_service(tmp_path, workers="0")
    page.goto(running.url + "/?tab=all")
    expect(page.locator("#stores tbody tr")).to_have_count(43)
    running.kill()
    page.get_by_label("Search").fill("1004")
    expect(page.locator("#trouble")).to_contain_text("does not answer")
    expect(page.locator("#stores tbody tr")).to_have_count(43)  # what was seen stays
    again = begin_service(tmp_path, "--port", running.url.rsplit(":", 1)[1], workers="0")
    try:
        page.get_by_label("Search").fill("1005")
        expect(page.locator("#stores tbody tr")).to_have_count(1)
        expect(page.locator("#trouble")).to_be_hidden()
        watched.errors.clear()  # the browser notes each request that met no service
    finally:
        assert again.stop() == 0


def test_an_error_of_the_service_is_a_page_that_says_so(page: Page, tmp_path: Path, watched: Watched) -> None:
    load_demo(tmp_path)
    running = begin_service(tmp_path, workers="0")
    try:
        with opened(url_in(tmp_path)) as database:
            database.execute("ALTER TABLE loads RENAME TO gone")
        page.goto(running.url + "/data")
        expect(page.locator("h1")).to_have_text("Internal Server Error")
        expect(page.locator("main .notice.bad")).to_contain_text("no such table")
        expect(page.get_by_role("link", name="To the fleet")).to_be_visible()
        watched.errors.clear()
    finally:
        running.stop()
