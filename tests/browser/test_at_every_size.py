"""Every page from 320 to 2560 pixels, in light, dark and forced colours: nothing is wider than its window, and nothing
stops people. A window of 683 or 342 pixels is one of 1366 at a zoom of 200 or 400 %."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import HOSTILE, LONG, Watched, check_accessible
from tests.browser.test_calendar_and_ledger import load_calendar_and_ledger
from tests.fixtures.databases import url_in
from tests.fixtures.named_fleets import load_named_fleet
from tests.fixtures.services import Service, finished, service
from uphours.database.database import connect

WIDTHS: Final = (320, 342, 360, 390, 640, 641, 683, 768, 800, 801, 1024, 1199, 1200, 1366, 1920, 2560)
#: Axe takes seconds: one window of each layout.
LOOKED_THROUGH: Final = (320, 683, 1366, 2560)
PAGES: Final = {
    "fleet": "/?tab=all",
    "attention": "/",
    "below targets": "/?tab=below_target&where=region=TX",
    "hours": "/?tab=all&lost_in=Mon+00-24&search=shop",
    "week": "/week",
    "last day": "/week?window=last_day",
    "store": "/stores/1004",
    "store with a long id": f"/stores/{LONG}",
    "no store": f"/stores/{LONG}0",
    "calendar of a store": "/stores/1004?view=calendar&window=this_month",
    "proof": "/stores/1004/proof",
    "hours of a store": "/stores/1004/calendar?from=2023-01-20&to=2023-02-17",
    "edit hours": "/stores/1004/hours",
    "groups": "/groups?by=region&by=name",
    "all stores as a group": "/groups",
    "targets": "/targets",
    "stores below a percentage": "/targets?percent=98&period=2023-01",
    "adjustments": "/adjustments",
    "entry of a load": "/adjustments/1",
    "entry": "/adjustments/4",
    "reports": "/reports",
    "data": "/data",
    "load": "/data/loads/1",
    "keys": "/keys",
}
pytestmark = pytest.mark.slow

#: By how many pixels, once the charts have followed the size of their window, which takes a frame.
TOO_WIDE: Final = """new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() =>
  done(document.documentElement.scrollWidth - document.documentElement.clientWidth))))"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve a fleet that has everything: names, regions, targets, special days, a ledger, ids that are hard to show."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    load_named_fleet(folder, targets="norm,,98,month\ntexas,region=TX,99,week\n")
    load_calendar_and_ledger(connect(url_in(folder)), folder)
    with service(folder, workers="1") as running:
        with running.client() as client:
            polls = [
                {"store_id": name, "status": "inactive", "timestamp_utc": "2023-01-25 17:00:00 UTC"}
                for name in (HOSTILE, LONG)
            ]
            client.post("/v1/observations", json=polls).raise_for_status()
            stretch = {"start": "2023-01-24T10:00:00Z", "end": "2023-01-24T13:00:00Z"}
            entry = {"stores": ["1001"], "counts_as": "excluded", "reason": "planned closure", **stretch}
            client.post("/v1/adjustments", json=entry).raise_for_status()
            for name in ("Weekly", ("the longest name that there may be " * 3)[:100].strip()):
                client.put(f"/v1/saved-reports/{name}", json={}).raise_for_status()
        yield running


@pytest.fixture(scope="module")
def pages(fleet: Service) -> dict[str, str]:
    """All pages, with that of a finished report."""
    with fleet.client() as client:
        made = client.post("/v1/reports", json={"columns": ["name"], "windows": ["last_week", "yesterday"]}).json()
        return {**PAGES, "report": f"/reports/{finished(client, made['id'])['id']}"}


@pytest.fixture
def still(browser: Browser, watched: Watched) -> Iterator[Page]:
    """A tab without animations, whose errors and foreign requests fail the test."""
    with browser.new_context(reduced_motion="reduce") as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        watched.watch(page)
        yield page


def check_at_every_size(page: Page) -> None:
    """Look at what a tab shows, with all open that is folded but menus, of which one is open at once, and the table of
    a chart, which takes axe long."""
    page.evaluate("for (const one of document.querySelectorAll('main details:not(.menu, .chart *)')) one.open = true")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 768})
        assert page.evaluate(TOO_WIDE) <= 0, width
        assert page.evaluate(BROKEN_WORDS) == [], width
        if width in LOOKED_THROUGH:
            check_accessible(page)
            page.emulate_media(forced_colors="active")
            assert page.evaluate(TOO_WIDE) <= 0, (width, "forced colours")
            page.emulate_media(forced_colors="none")
    assert page.evaluate("document.getAnimations().length") == 0
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"


@pytest.mark.parametrize("name", [*PAGES, "report"])
def test_a_page_stops_no_one_and_is_never_wider_than_its_window(
    fleet: Service, pages: dict[str, str], still: Page, watched: Watched, name: str
) -> None:
    still.goto(fleet.url + pages[name], wait_until="networkidle")
    check_at_every_size(still)
    if name == "no store":
        watched.errors[:] = [one for one in watched.errors if "404" not in one]  # the browser notes it


#: The words of headings, tabs and buttons that stand on more than one line.
BROKEN_WORDS: Final = r"""() => {
  const broken = [], range = document.createRange();
  for (const part of document.querySelectorAll("h1, h2, nav a, button, .button, summary, label")) {
    if (!part.checkVisibility() || part.closest(".id")) continue;
    const texts = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      if (text.parentElement.closest(".id, .visually-hidden, code")) continue;
      for (const word of text.data.matchAll(/[A-Za-z]+/g)) {
        range.setStart(text, word.index);
        range.setEnd(text, word.index + word[0].length);
        const lines = new Set([...range.getClientRects()].map((one) => Math.round(one.top)));
        if (lines.size > 1) broken.push(word[0]);
      }
    }
  }
  return broken;
}"""


def test_what_is_chosen_and_what_colour_draws_can_be_told_in_forced_colours(browser: Browser, fleet: Service) -> None:
    def background(of: str) -> Any:
        return page.locator(of).first.evaluate("one => getComputedStyle(one).backgroundColor")

    with browser.new_context(forced_colors="active", viewport={"width": 1366, "height": 768}) as context:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(fleet.url, wait_until="networkidle")
        for chosen, other in (
            (".top nav a[aria-current]", ".top nav a:not([aria-current])"),
            (".periods a[aria-current]", ".periods a:not([aria-current])"),
            (".tabs a[aria-current]", ".tabs a:not([aria-current])"),
        ):
            assert background(chosen) != background(other), chosen
        expect(page.locator("#week .heat")).to_be_visible()
        shades = {
            page.locator(f"#week td.{shade}").first.evaluate("one => getComputedStyle(one).backgroundColor")
            for shade in ("lost-1", "lost-2", "lost-3", "gained-1", "gained-2", "gained-3", "same")
            if page.locator(f"#week td.{shade}").count()
        }
        assert len(shades) > 2
        page.goto(fleet.url + "/data", wait_until="networkidle")
        assert background(".calendar td.all") != background("main")


def test_the_page_that_one_is_on_is_in_sight_in_the_navigation(browser: Browser, fleet: Service) -> None:
    with browser.new_context(viewport={"width": 320, "height": 768}) as context:
        page = context.new_page()
        page.goto(fleet.url + "/data", wait_until="networkidle")
        place = page.locator(".top nav [aria-current]").bounding_box()
        assert place is not None
        assert 0 <= place["x"] <= place["x"] + place["width"] <= 320
