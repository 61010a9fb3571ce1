"""Take pictures of the pages for the documentation: a made-up fleet of 2,000 stores in a real browser.

Needs Debian's Chromium; ``make screenshots`` installs it where it may.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import polars as pl
from playwright.sync_api import Page, sync_playwright

from uphours import demo
from uphours.schema import MINUTE_US
from uphours.service.terms import now_us

HERE: Final = Path(__file__).parent / "pictures" / "pages"
SIZES: Final = {"phone": (390, 844), "laptop": (1366, 900), "wall": (2560, 1440)}
STORES: Final = 2_000
#: Each store has one of each, in turn.
PLACES: Final = (
    "Midtown",
    "Lakeside",
    "Airport",
    "Harbour",
    "Oak Park",
    "Old Town",
    "Campus",
    "Riverside",
    "Hillcrest",
)
REGIONS: Final = ("TX", "CA", "NY", "FL", "IL", "WA", "CO")
BRANDS: Final = ("Bakery", "Coffee", "Pizza")
COMMAND: Final = str(Path(sys.executable).with_name("uphours"))


def main() -> None:
    HERE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fleet, empty = folder / "fleet", folder / "empty"
        empty.mkdir()
        fill(fleet)
        for served, shoot in ((fleet, shoot_fleet), (empty, shoot_first_run)):
            with_service(served, shoot)


def fill(folder: Path) -> None:
    ids = pl.Series([str(1_000_000_000_000_000_000 + 650_000_000_000_037 * store) for store in range(STORES)])
    demo.write_files(folder, ids, as_of=now_us() - 4 * MINUTE_US)
    with (folder / "polls.csv").open("a") as file:
        file.write(f"{ids[6]},activ,2023-01-25 10:00:00 UTC\n8.41954E+18,active,2023-01-25 10:00:00 UTC\n")
    with (folder / "stores.csv").open("w") as file:
        file.write("store_id,name,region,brand\n")
        for place, store_id in enumerate(ids):
            words = (of[place % len(of)] for of in (REGIONS, BRANDS))
            file.write(f"{store_id},#{place + 1} {PLACES[place % len(PLACES)]},{','.join(words)}\n")
    (folder / "targets.csv").write_text("name,target,period\nnorm,98,month\n")
    kinds = ("polls", "hours", "timezones", "stores", "targets")
    files = [word for kind in kinds for word in (f"--{kind}", f"{kind}.csv")]
    subprocess.run([COMMAND, "load", *files], cwd=folder, check=True)


def with_service(folder: Path, shoot: Callable[[str], None]) -> None:
    with (folder / "log").open("wb") as log:
        serving = subprocess.Popen([COMMAND, "serve", "--port", "0"], cwd=folder, stderr=log)
    try:
        while not (found := re.search(r'"url": "(http[^"]+)"', (folder / "log").read_text())):
            time.sleep(0.1)
        shoot(found[1])
    finally:
        serving.terminate()
        serving.wait()


def shoot_fleet(url: str) -> None:
    def report(page: Page) -> None:
        page.goto(f"{url}/reports")
        page.get_by_role("button", name="Make the report").click()
        page.locator(".downloads").wait_for(timeout=60_000)

    def store(page: Page) -> None:
        page.goto(f"{url}/?tab=unstable")
        page.locator("#stores tbody a").first.click()
        page.wait_for_load_state("networkidle")

    shoot("report", report)
    shoot("fleet", lambda page: page.goto(url))
    shoot("store", store)
    shoot("reports", lambda page: page.goto(f"{url}/reports"))
    shoot("groups", lambda page: page.goto(f"{url}/groups?by=region"))
    shoot("targets", lambda page: page.goto(f"{url}/targets"))
    shoot("adjustments", lambda page: page.goto(f"{url}/adjustments"))
    shoot("data", lambda page: page.goto(f"{url}/data"))


def shoot_first_run(url: str) -> None:
    shoot("first-run", lambda page: page.goto(url))


def shoot(name: str, go: Callable[[Page], object]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", chromium_sandbox=False)
        for size, (width, height) in SIZES.items():
            scheme = "dark" if size == "phone" else "light"
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            page.set_default_timeout(60_000)
            go(page)
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(500)
            page.screenshot(path=HERE / f"{name}-{size}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
