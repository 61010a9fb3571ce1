"""A service that needs keys: people sign in with one, and stay signed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched, check_accessible, load_demo
from tests.browser.test_data_in import drop
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours.database import api_keys
from uphours.database.database import Database
from uphours.service.terms import now_us
from uphours.wire.words import Scope


def key(database: Database, *scopes: Scope) -> str:
    with database.writing() as connection:
        return api_keys.create(connection, name="a person", scopes=scopes, now=now_us(), actor="test")[1]


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Service, Database]]:
    store = load_demo(tmp_path)
    key(store, "admin")
    with service_threads(tmp_path, workers=1, require_key="true") as running:
        yield running, store


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("API key").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_whoever_signs_in_gets_to_the_page_that_was_asked_for_and_can_do_what_the_key_may(
    page: Page, guarded: tuple[Service, Database]
) -> None:
    running, store = guarded
    page.goto(running.url + "/stores/1004?window=last_day")
    expect(page.locator("h1")).to_have_text("Sign in")
    check_accessible(page)
    sign_in(page, "sp_wrong")
    expect(page.get_by_role("alert").filter(has_text="not valid")).to_be_visible()
    sign_in(page, key(store, "read", "ingest"))
    page.wait_for_url("**/stores/1004?window=last_day")
    expect(page.locator("h1")).to_have_text("Store 1004")

    page.get_by_role("link", name="Reports", exact=True).click()
    page.get_by_role("button", name="Make the report").click()
    expect(page.locator(".headline")).to_contain_text("complete")
    page.get_by_role("link", name="Data", exact=True).click()
    page.wait_for_url("**/data")  # until its scripts run: nobody drops files before
    drop(page, {"polls.csv": "store_id,status,timestamp_utc\n1004,active,2023-01-25 17:30:00 UTC\n"})
    expect(page.locator(".upload .outcome")).to_contain_text("1 accepted")

    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("h1")).to_have_text("Sign in")
    page.goto(running.url + "/data")
    expect(page.locator("h1")).to_have_text("Sign in")


def test_a_session_ends_with_its_key_and_the_page_says_so(
    page: Page, guarded: tuple[Service, Database], watched: Watched
) -> None:
    running, store = guarded
    token = key(store, "read")
    page.goto(running.url)
    sign_in(page, token)
    expect(page.locator("h1")).to_have_text("Fleet")
    page.goto(running.url + "/data")
    expect(page.locator("main")).to_contain_text("may not bring rows")
    page.goto(running.url)
    with store.writing() as connection:
        found = next(one for one in api_keys.list_keys(connection) if token.startswith(f"sp_{one.key_id}_"))
        api_keys.revoke(connection, found.key_id, now=now_us(), actor="test")
    page.get_by_label("Search").fill("1004")
    expect(page.locator("h1")).to_have_text("Sign in")
    watched.errors.clear()


def test_no_cookie_can_be_read_by_a_script(page: Page, guarded: tuple[Service, Database]) -> None:
    running, store = guarded
    page.goto(running.url)
    sign_in(page, key(store, "read"))
    expect(page.locator("h1")).to_have_text("Fleet")
    assert page.evaluate("document.cookie") == ""
    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
