"""What a page costs: the service's time for it, and what a browser must fetch before it can paint anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import psutil
import pytest
from playwright.sync_api import Browser

from tests.fixtures.named_fleets import load_shops
from tests.fixtures.services import ServiceProcess, service

pytestmark = pytest.mark.slow

STORES: Final = 2_000
PAGES: Final = (
    "/",
    "/?tab=below_target&sort=availability&search=shop",
    "/?tab=all&lost_in=Mon+00-24",
    "/week",
    "/stores/{store}",
    "/stores/{store}?view=calendar&window=this_month",
    "/groups?by=region",
    "/targets",
    "/adjustments",
    "/reports",
    "/data",
    "/data/loads/1",
)
#: Of processor time, for a page whose figures are kept: half of what a page may take in all.
MOST_SECONDS: Final = 0.15
LOOKS: Final = 10

#: A slow connection, as browsers emulate it.
LATENCY_S: Final = 0.15
BYTES_A_SECOND: Final = 1_600_000 / 8
#: Until something is painted, of which the service may take 0.3.
PAINTED_S: Final = 1.0


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """Serve 2,000 stores with names, regions, and targets of all and of some."""
    folder = tmp_path_factory.mktemp("fleet")
    load_shops(folder, STORES, targets="name,where,target,period\nnorm,,98,month\ntexas,region=TX,99,week\n")
    with service(folder, workers="1") as running:
        yield running


def test_a_page_takes_little_of_the_processor(fleet: ServiceProcess) -> None:
    process = psutil.Process(fleet.process.pid)

    def spent() -> float:
        times = process.cpu_times()
        return times.user + times.system

    with fleet.client(headers={"Accept": "text/html"}) as client:
        store = client.get("/v1/stores", params={"limit": 1}).json()["stores"][0]["store_id"]
        costs = {}
        for path in (one.format(store=store) for one in PAGES):
            client.get(path).raise_for_status()
            before = spent()
            for _ in range(LOOKS):
                client.get(path)
            costs[path] = (spent() - before) / LOOKS
    assert {path: cost for path, cost in costs.items() if cost > MOST_SECONDS} == {}


@pytest.mark.parametrize("path", ["/", "/data", "/targets", "/stores/{store}"])
def test_little_is_fetched_before_a_page_is_painted(
    browser: Browser, fleet: ServiceProcess, path: str, record_property: Callable[[str, object], None]
) -> None:
    with fleet.client() as client:
        store = client.get("/v1/stores", params={"limit": 1}).json()["stores"][0]["store_id"]
    address = fleet.url + path.format(store=store)
    with browser.new_context(viewport={"width": 1366, "height": 768}) as context:
        context.new_page().goto(address)  # what the page shows is kept from now on
    with browser.new_context(viewport={"width": 1366, "height": 768}) as context:
        page = context.new_page()
        throttled = context.new_cdp_session(page)
        throttled.send("Network.enable")
        speed = {"downloadThroughput": BYTES_A_SECOND, "uploadThroughput": BYTES_A_SECOND}
        throttled.send("Network.emulateNetworkConditions", {"offline": False, "latency": LATENCY_S * 1000, **speed})
        page.goto(address, wait_until="load")
        page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
        found: dict[str, Any] = page.evaluate(
            """() => ({
              painted: performance.getEntriesByName("first-contentful-paint")[0].startTime,
              page: performance.getEntriesByType("navigation")[0].transferSize,
              blocking: performance.getEntriesByType("resource")
                .filter((one) => one.renderBlockingStatus === "blocking")
                .map((one) => [one.initiatorType, one.transferSize]),
            })"""
        )
    record_property("painted_ms", found["painted"])
    assert {kind for kind, _ in found["blocking"]} == {"link"}
    assert len(found["blocking"]) <= 2
    # To connect, for the page, and for its style sheets, which come together.
    fetched = found["page"] + sum(size for _, size in found["blocking"])
    assert 3 * LATENCY_S + fetched / BYTES_A_SECOND + 0.3 <= PAINTED_S
