"""What pages show once something was done on them, and without data: as `test_at_every_size.py` looks at pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Watched, check_accessible
from tests.browser.test_at_every_size import LOOKED_THROUGH, TOO_WIDE, WIDTHS, check_at_every_size, fleet, still
from tests.browser.test_calendar_and_ledger import type_stretch
from tests.fixtures.databases import url_in
from tests.fixtures.service_threads import service_threads
from tests.fixtures.services import Service
from uphours.database.database import connect

__all__ = ["fleet", "still"]  # fixtures of the same fleet, in a process of its own
pytestmark = pytest.mark.slow


def test_pages_without_data_stop_no_one_and_are_never_wider_than_their_window(still: Page, tmp_path: Path) -> None:
    connect(url_in(tmp_path))
    with service_threads(tmp_path) as running:
        for path in ("/", "/targets", "/groups", "/adjustments", "/reports", "/data"):
            still.goto(running.url + path, wait_until="networkidle")
            check_at_every_size(still)


def preview_a_stretch(page: Page) -> None:
    type_stretch(page, "2023-01-24T12:00", "2023-01-24T18:00").get_by_role("button", name="Preview").click()


def preview_a_day(page: Page, day: str = "2023-01-24") -> None:
    page.get_by_label("Day", exact=True).fill(day)
    page.get_by_label("region").select_option(["region=TX", "region=NY"])
    page.get_by_role("button", name="Preview").click()


@pytest.mark.parametrize(
    ("path", "do", "shown"),
    [
        ("/stores/1004", preview_a_stretch, ".preview"),
        ("/adjustments", preview_a_day, ".preview"),
        ("/adjustments", lambda page: preview_a_day(page, ""), ".mistake"),
    ],
    ids=["stretch", "day", "mistake"],
)
def test_an_answer_to_a_form_stops_no_one_and_is_never_wider_than_its_window(
    fleet: Service, still: Page, watched: Watched, path: str, do: Callable[[Page], None], shown: str
) -> None:
    still.goto(fleet.url + path, wait_until="networkidle")
    do(still)
    expect(still.locator(shown).first).to_be_visible()
    check_at_every_size(still)
    if shown == ".mistake":
        watched.errors[:] = [one for one in watched.errors if "422" not in one]  # the browser notes it


@pytest.mark.parametrize(
    ("path", "menus"),
    [
        ("/?tab=all&where=region=TX", ("#own-period", "#chip-1", "#chip-3", "#chip-more", "td.more details")),
        ("/stores/1004", (".periods .menu",)),
    ],
)
def test_an_open_menu_stops_no_one_and_is_never_wider_than_its_window(
    fleet: Service, still: Page, path: str, menus: tuple[str, ...]
) -> None:
    still.goto(fleet.url + path, wait_until="networkidle")
    for width in WIDTHS:
        still.set_viewport_size({"width": width, "height": 800})
        for menu in menus:
            still.locator(f"{menu} > summary").first.click()
            assert still.evaluate(TOO_WIDE) <= 0, (width, menu)
            if width in LOOKED_THROUGH:
                check_accessible(still, ".menu[open]")
            still.keyboard.press("Escape")
