"""The service over HTTP: against the same work in process, and pages against a limit."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import numpy as np

from bench.connection import connected
from bench.fleet import NOW, Fleet, remove, report
from bench.processes import PROGRAM, Service, file_options, run, service
from bench.results import Figure, Row, Section, compare, main, measured, median_ms, of_medians, side
from uphours import demo
from uphours.database.database import connect
from uphours.ingest.load import read_rows
from uphours.schema import HOUR_US, SECOND_US, instant_iso

_CLIENTS: Final = 100
_POSTERS: Final = 64
_REPORTS: Final = 10


def served(measure: Callable[[Fleet, Service], list[Row]], fleet: Fleet) -> list[Row]:
    """Measure with a service of the fleet that runs."""
    with service(fleet.new_database("served")) as running:
        return measure(fleet, running)


def polling(fleet: Fleet, running: Service) -> list[Row]:
    """Ask for reports and for /healthz in turn, 100 clients ten times a second, while ten reports run."""
    with httpx.Client(base_url=running.url, timeout=60) as client:
        finished(client, client.post("/v1/reports").json()["id"])
        polls, healths = asyncio.run(poll(running.url, client))
    if not polls:
        print("the reports of so small a fleet were complete before a client had asked for one")
        return []
    ours, yardstick = (np.percentile(times, [99, 50]) * 1000 for times in (polls, healths))
    name = f"of polling while {_REPORTS} reports run"
    return [
        of_medians(f"p99 {name}", "/healthz", "ms", ours[0], yardstick[0], 2),
        of_medians(f"median {name}", "/healthz", "ms", ours[1], yardstick[1], None),
    ]


async def poll(url: str, client: httpx.Client) -> tuple[list[float], list[float]]:
    """Return how long each poll of an unfinished report took, and each request to /healthz, in seconds."""
    ids = [ordered(client, demo.AS_OF - place * SECOND_US) for place in range(_REPORTS)]
    polls: list[float] = []
    healths: list[float] = []
    unfinished = list(ids)

    async def ask(place: int) -> None:
        async with connected(url) as connection:
            while unfinished:
                report_path = f"/get_report?report_id={unfinished[place % len(unfinished)]}"
                for path, times in ((report_path, polls), ("/healthz", healths)):
                    await asyncio.sleep(random.uniform(0.05, 0.15))
                    began = time.perf_counter()
                    status, body = await connection.request("GET", path)
                    if status != 200:
                        raise SystemExit(f"{path}: {status} {body!r}")
                    if body.startswith(b"{"):  # else it is the CSV of a report that is complete
                        times.append(time.perf_counter() - began)

    async def watch() -> None:
        async with connected(url) as connection:
            for name in ids:
                while True:
                    _, body = await connection.request("GET", f"/v1/reports/{name}")
                    state = json.loads(body)
                    if state["finished_at"] is not None:
                        assert state["state"] == "complete", state
                        break
                    await asyncio.sleep(0.1)
                unfinished.remove(name)

    await asyncio.gather(watch(), *(ask(place) for place in range(_CLIENTS)))
    return polls, healths


def ordered(client: httpx.Client, as_of: int) -> str:
    """Ask for a report; return its id."""
    return str(client.post("/v1/reports", json={"as_of": instant_iso(as_of)}).raise_for_status().json()["id"])


def finished(client: httpx.Client, name: str) -> None:
    while (state := client.get(f"/v1/reports/{name}").json())["finished_at"] is None:
        time.sleep(0.01)
    assert state["state"] == "complete", state


def report_over_http(fleet: Fleet, running: Service) -> list[Row]:
    """Measure from the trigger to the CSV in hand."""
    ours, theirs = count(), count()

    with httpx.Client(base_url=running.url, timeout=60) as client:

        def over_http() -> bytes:
            name = ordered(client, demo.AS_OF - next(ours) * SECOND_US)
            finished(client, name)
            return client.get(f"/v1/reports/{name}/result").content

        def in_process() -> bytes:
            return report(fleet.database, as_of=demo.AS_OF - next(theirs) * SECOND_US)

        assert over_http() == in_process()
        name = "report over HTTP, from the trigger to the CSV"
        compared = compare(
            name, "the same in process", side(over_http), side(in_process), at_most=None, pairs=fleet.pairs(5)
        )
    return [compared]


def ingest(fleet: Fleet) -> list[Row]:
    """Send all files as one upload, and load them with `uphours load`, each into a database of its own."""
    numbers = count()
    pairs = fleet.pairs(3)
    with ExitStack() as stack:
        clients = [
            stack.enter_context(httpx.Client(base_url=stack.enter_context(service(path)).url, timeout=120))
            for path in (
                empty_database(fleet.folder / f"uploaded-{number}.db") for number in range(pairs + (pairs > 1))
            )
        ]

        def over_http() -> None:
            sent: dict[str, tuple[str, bytes]] = {
                kind: (f"{kind}.csv", Path(name).read_bytes()) for kind, (name,) in fleet.files.items()
            }
            clients[next(numbers)].post("/v1/loads", files=sent).raise_for_status()

        def command() -> None:
            remove(fleet.folder / "loaded.db")
            run([PROGRAM, "load", "--db", f"sqlite:///{fleet.folder / 'loaded.db'}", *file_options(fleet.files)])

        name = "load of the three files over HTTP"
        return [compare(name, "`uphours load`", side(over_http), side(command), at_most=None, pairs=pairs)]


def empty_database(path: Path) -> Path:
    connect(f"sqlite:///{path}").migrate()
    return path


def posts(fleet: Fleet, running: Service) -> list[Row]:
    """Send one observation a request from 64 clients, and commit the same in process, one by one."""
    chance = random.Random(1)
    rows = [
        {
            "store_id": chance.choice(fleet.store_ids),
            "status": "active",
            "timestamp_utc": instant_iso(demo.AS_OF - chance.randrange(24 * HOUR_US)),
        }
        for _ in range(20_000 if fleet.stores == Fleet.USUAL else 200)
    ]
    took = measured(lambda: asyncio.run(post(running.url, rows))).seconds
    database = connect(f"sqlite:///{fleet.new_database('each')}", keep_open=True)
    alone = rows[: len(rows) // 20]

    def one_by_one() -> None:
        for row in alone:
            database.write(read_rows([row], name="bench", now=NOW))

    each = measured(one_by_one).seconds
    database.close()
    name = f"single observations a second, {_POSTERS} clients"
    return [of_medians(name, "one commit each", "a second", len(rows) / took, len(alone) / each, None)]


async def post(url: str, rows: list[dict[str, str]]) -> None:
    waiting = iter([json.dumps(row).encode() for row in rows])

    async def client() -> None:
        async with connected(url) as connection:
            for body in waiting:
                status, answer = await connection.request("POST", "/v1/observations", body)
                if status != 200:
                    raise SystemExit(f"{status} {answer!r}")

    await asyncio.gather(*(client() for _ in range(_POSTERS)))


def pages(fleet: Fleet, running: Service) -> list[Row]:
    """Look at each page as one client: when nothing has changed, and when a poll comes in each second."""
    store_id = fleet.store_ids[0]
    with httpx.Client(base_url=running.url, timeout=60) as client:
        describe(client, fleet.store_ids)
        name = ordered(client, demo.AS_OF)
        finished(client, name)
        addresses = {
            "fleet": "/",
            "fleet, sorted and filtered": "/?tab=all&sort=availability&search=7",
            "fleet, below targets": "/?tab=below_target",
            "fleet, by hours of the week": "/?tab=all&lost_in=Fri+18-21",
            "time of the week": "/week",
            "groups": "/groups?by=region",
            "targets": "/targets",
            "adjustments": "/adjustments",
            "store": f"/stores/{store_id}",
            "reports": "/reports",
            "one report": f"/reports/{name}",
            "data": "/data",
            "one load": "/data/loads/1",
        }
        rows: list[Row] = [looked_at(fleet, client, page, address) for page, address in addresses.items()]
        with new_polls(running.url, store_id):
            rows += [
                looked_at(fleet, client, f"{page}, while polls come in", addresses[page]) for page in ("fleet", "data")
            ]
    return rows


def describe(client: httpx.Client, store_ids: Sequence[str]) -> None:
    """Give the stores names and regions, and set targets of all and of some of them."""
    rows = [
        {"store_id": store_id, "name": f"Shop {place}", "region": f"R{place % 12}"}
        for place, store_id in enumerate(store_ids)
    ]
    for first in range(0, len(rows), 5000):
        client.put("/v1/stores", json=rows[first : first + 5000]).raise_for_status()
    targets = [{"name": "norm", "target": 98, "period": "month"}]
    targets += [{"name": "first", "where": "region=R1", "target": 99, "period": "week"}]
    client.put("/v1/targets", json=targets).raise_for_status()


def looked_at(fleet: Fleet, client: httpx.Client, page: str, address: str) -> Figure:
    def look() -> None:
        answer = client.get(address, headers={"Accept": "text/html"})
        assert answer.status_code == 200, answer.text

    look()
    return Figure(f"page: {page}", median_ms(look, fleet.pairs(20)), "ms", 300)


@contextmanager
def new_polls(url: str, store_id: str) -> Iterator[None]:
    """Send a poll each second for the length of a block."""
    ends = threading.Event()

    def send() -> None:
        with httpx.Client(base_url=url, timeout=60) as client:
            at = demo.AS_OF
            while not ends.wait(1.0):
                at += SECOND_US
                row = {"store_id": store_id, "status": "active", "timestamp_utc": instant_iso(at)}
                client.post("/v1/observations", json=row).raise_for_status()

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        ends.set()
        sending.join()


SECTIONS: dict[str, Section] = {
    "polling": partial(served, polling),
    "report over HTTP": partial(served, report_over_http),
    "load over HTTP": ingest,
    "single observations": partial(served, posts),
    "pages": partial(served, pages),
}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
