"""Measure the service over HTTP against the same work done in process, in one run.

    python bench/service.py [--stores 14092] [--only polling,report,ingest,posts,pages]

Ratios are what counts; the two sides of each take turns or run at the same time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from run import NOW, Comparison, Files, keep, make_files, remove, seconds

from uphours import demo
from uphours.database.database import Database, connect
from uphours.ingest.load import read_files, read_rows
from uphours.reports.measure import run_report
from uphours.reports.writers import written
from uphours.schema import HOUR_US, SECOND_US, instant_iso

BASELINE = Path(__file__).with_name("service.json")
PAIRS = 5
CLIENTS = 100
POSTERS = 64


@contextmanager
def service(path: Path, **settings: str) -> Iterator[str]:
    """Run the service on a store; yield its URL."""
    changes = {f"UPHOURS_{name.upper()}": value for name, value in settings.items()}
    log = path.with_suffix(".log")
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", "uphours", "serve", "--port", "0", "--db", f"sqlite:///{path}"],
            env={**os.environ, **changes},
            stdout=sink,
            stderr=sink,
        )
    try:
        deadline = time.monotonic() + 60
        while not (match := re.search(r'"url": "([^"]+)"', log.read_text())) or "worker started" not in log.read_text():
            if time.monotonic() > deadline or process.poll() is not None:
                raise SystemExit(log.read_text())
            time.sleep(0.05)
        time.sleep(1)
        yield match[1]
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class Connection:
    """A client that costs little, so that the service is measured and not its clients."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, url: str) -> Connection:
        host, port = url.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        length = int(re.search(rb"content-length: (\d+)", answer)[1])  # type: ignore[index]
        return status, await self.reader.readexactly(length)

    def close(self) -> None:
        self.writer.close()


def finished(client: httpx.Client, report: str) -> None:
    while (state := client.get(f"/v1/reports/{report}").json())["finished_at"] is None:
        time.sleep(0.01)
    assert state["state"] == "complete", state


# --- polling ------------------------------------------------------------------------------------------------


def bench_polling(path: Path) -> list[Comparison]:
    """100 clients, each asking in turn for a report and for /healthz, ten times a second, while ten reports run."""
    with service(path) as url, httpx.Client(base_url=url, timeout=60) as client:
        client.post("/trigger_report")
        time.sleep(2)
        polls, healths = asyncio.run(poll(url, client))
    ours, other = p99(polls), p99(healths)
    print(f"{len(polls):,} polls and {len(healths):,} of /healthz; medians {median(polls)} and {median(healths)} ms")
    return [shown(Comparison("p99 of /get_report against that of /healthz", ours, other, ours / other, 5))]


async def poll(url: str, client: httpx.Client) -> tuple[list[float], list[float]]:
    ids = [
        client.post("/v1/reports", json={"as_of": instant_iso(demo.AS_OF - place * SECOND_US)}).json()["id"]
        for place in range(10)
    ]
    polls: list[float] = []
    healths: list[float] = []
    running = True

    async def one(place: int) -> None:
        connection = await Connection.open(url)
        while running:
            for path, times in ((f"/get_report?report_id={ids[place % 10]}", polls), ("/healthz", healths)):
                await asyncio.sleep(random.uniform(0.05, 0.15))
                began = time.perf_counter()
                status, body = await connection.request("GET", path)
                if status != 200:
                    raise SystemExit(f"{path}: {status} {body!r}")
                times.append(time.perf_counter() - began)
        connection.close()

    async def watch() -> None:
        nonlocal running
        connection = await Connection.open(url)
        for report in ids:
            while True:
                _, body = await connection.request("GET", f"/v1/reports/{report}")
                state = json.loads(body)
                if state["finished_at"] is not None:
                    assert state["state"] == "complete", state
                    break
                await asyncio.sleep(0.1)
        running = False

    await asyncio.gather(watch(), *(one(place) for place in range(CLIENTS)))
    return polls, healths


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[-1]


def median(times: list[float]) -> str:
    return f"{statistics.median(times) * 1000:.1f}"


# --- one report -----------------------------------------------------------------------------------------------


def bench_report(path: Path, polls: int) -> list[Comparison]:
    """From the trigger to the CSV in hand, against the same call in a process that runs already."""
    database = connect(f"sqlite:///{path}")

    def in_process(place: int) -> bytes:
        with database.snapshot() as fleet:
            made = run_report(fleet, as_of=demo.AS_OF - place * SECOND_US)
        return written(made, "csv")

    with service(path) as url, httpx.Client(base_url=url, timeout=60) as client:

        def over_http(place: int) -> bytes:
            body = {"as_of": instant_iso(demo.AS_OF - place * SECOND_US)}
            report = client.post("/v1/reports", json=body).json()["id"]
            finished(client, report)
            return client.get(f"/v1/reports/{report}/result").content

        assert over_http(0) == in_process(0)
        return [compared(f"trigger to CSV of {polls:,} polls, against in process", over_http, in_process, 1.3)]


def compared(name: str, ours: Callable[[int], object], yardstick: Callable[[int], object], target: float) -> Comparison:
    ours(100), yardstick(100)
    pairs = [(seconds(lambda: ours(place)), seconds(lambda: yardstick(place))) for place in range(1, PAIRS + 1)]  # noqa: B023
    mine, other = zip(*pairs, strict=True)
    ratio = statistics.median(a / b for a, b in pairs)
    return shown(Comparison(name, statistics.median(mine), statistics.median(other), ratio, target))


# --- pages ----------------------------------------------------------------------------------------------------

#: A page is usable within so many seconds of the service's time.
USABLE_S = 0.3
LOOKS = 20


def bench_pages(path: Path) -> list[Comparison]:
    """Each page, whole, as one client gets it: when nothing has changed, and when new polls come in all the time."""
    with service(path) as url, httpx.Client(base_url=url, timeout=60) as client:
        describe(client)
        stores = client.get("/v1/stores", params={"limit": 1}).json()["stores"]
        client.get("/v1/fleet/history"), client.get("/v1/fleet/heatmap")
        report = client.post("/v1/reports").json()["id"]
        finished(client, report)
        pages = {
            "fleet": "/",
            "fleet, sorted and filtered": "/?sort=availability&state=down&search=7&below_percent=95",
            "fleet, below targets": "/?tab=below_target",
            "fleet, by hours of the week": "/?tab=all&lost_in=Fri+18-21",
            "week": "/week",
            "groups": "/groups?by=region",
            "targets": "/targets",
            "adjustments": "/adjustments",
            "store": f"/stores/{stores[0]['store_id']}",
            "reports": "/reports",
            "one report": f"/reports/{report}",
            "data": "/data",
            "load": "/data/loads/1",
        }
        made = [looked_at(f"page {name}, against 300 ms", client, address) for name, address in pages.items()]
        with new_polls(url, stores[0]["store_id"]):
            made += [
                looked_at(f"page {name} while polls come in, against 300 ms", client, pages[name])
                for name in ("fleet", "week", "data")
            ]
        return made


def describe(client: httpx.Client) -> None:
    """Give the stores names and regions, and set targets of all and of some of them."""
    ids: list[str] = []
    query: dict[str, Any] = {"limit": 1000}
    while len(ids) == 0 or query["cursor"]:
        page = client.get("/v1/stores", params=query).raise_for_status().json()
        ids += [store["store_id"] for store in page["stores"]]
        query["cursor"] = page["next_cursor"]
    rows = [
        {"store_id": store_id, "name": f"Shop {place}", "region": f"R{place % 12}"}
        for place, store_id in enumerate(ids)
    ]
    for first in range(0, len(rows), 5000):
        client.put("/v1/stores", json=rows[first : first + 5000]).raise_for_status()
    targets = [{"name": "norm", "target": 98, "period": "month"}]
    targets += [{"name": "first", "where": "region=R1", "target": 99, "period": "week"}]
    client.put("/v1/targets", json=targets).raise_for_status()


def looked_at(name: str, client: httpx.Client, address: str) -> Comparison:
    def look() -> None:
        answer = client.get(address, headers={"Accept": "text/html"})
        assert answer.status_code == 200, answer.text

    look()
    times = [seconds(look) for _ in range(LOOKS)]
    return shown(Comparison(name, statistics.median(times), USABLE_S, statistics.median(times) / USABLE_S, 1.0))


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
                assert client.post("/v1/observations", json=row).status_code == 200

    sending = threading.Thread(target=send)
    sending.start()
    try:
        yield
    finally:
        ends.set()
        sending.join()


# --- ingest ---------------------------------------------------------------------------------------------------


def bench_ingest(files: Files, folder: Path) -> list[Comparison]:
    """All files as one upload, against `uphours load` of the same files, each into a store of its own."""

    def command(place: int) -> None:
        words = [sys.executable, "-m", "uphours", "load", "--db", f"sqlite:///{folder / f'loaded-{place}.db'}"]
        options = [word for kind, (name,) in files.names().items() for word in (f"--{kind}", name)]
        subprocess.run([*words, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        remove(folder / f"loaded-{place}.db")

    def over_http(place: int) -> None:
        client = clients[place]
        sent = {kind: (f"{kind}.csv", Path(name).open("rb")) for kind, (name,) in files.names().items()}  # noqa: SIM115
        answer = client.post("/v1/loads", files=sent)
        assert answer.status_code == 200, answer.text

    clients: dict[int, httpx.Client] = {}
    turns: list[tuple[float, float]] = []
    for place in range(PAIRS):
        path = folder / f"service-{place}.db"
        with service(path) as url, httpx.Client(base_url=url, timeout=120) as client:
            clients[place] = client
            turns.append((seconds(lambda: over_http(place)), seconds(lambda: command(place))))  # noqa: B023
        remove(path)
    mine, other = zip(*turns, strict=True)
    # The target is a rate, at least half of that of the command: a time at most twice as long.
    ratio = statistics.median(a / b for a, b in turns)
    name = "bulk ingest over HTTP, against `uphours load`"
    return [shown(Comparison(name, statistics.median(mine), statistics.median(other), ratio, 2))]


# --- single observations --------------------------------------------------------------------------------------


def bench_posts(folder: Path) -> list[Comparison]:
    """One observation a request from 64 clients, against one commit each of the same."""
    chance = random.Random(1)
    rows = [
        {
            "store_id": str(chance.randrange(14_092)),
            "status": "active",
            "timestamp_utc": instant_iso(demo.AS_OF - chance.randrange(24 * HOUR_US)),
        }
        for _ in range(20_000)
    ]
    turns = []
    for place in range(PAIRS):
        path = folder / f"posts-{place}.db"
        with service(path) as url:
            ours = asyncio.run(post(url, rows))
        database = connect(f"sqlite:///{folder / f'each-{place}.db'}", keep_open=True)
        turns.append((ours, one_commit_each(database, rows[:500])))
        database.close()
    mine, other = zip(*turns, strict=True)
    ratio = statistics.median(a / b for a, b in turns)
    print(f"{statistics.median(mine):,.0f} observations a second, one commit each {statistics.median(other):,.0f}")
    # A rate, at least five times that of the yardstick: a time a row of at most a fifth.
    name = "single posts from 64 clients, against one commit each"
    return [shown(Comparison(name, 1 / statistics.median(mine), 1 / statistics.median(other), 1 / ratio, 1 / 5))]


async def post(url: str, rows: list[dict[str, str]]) -> float:
    waiting = iter([json.dumps(row).encode() for row in rows])

    async def one() -> None:
        connection = await Connection.open(url)
        for body in waiting:
            status, answer = await connection.request("POST", "/v1/observations", body)
            if status != 200:
                raise SystemExit(f"{status} {answer!r}")
        connection.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(POSTERS)))
    return len(rows) / (time.perf_counter() - began)


def one_commit_each(database: Database, rows: list[dict[str, str]]) -> float:
    database.write(read_rows(rows[:1], name="bench", now=NOW))
    began = time.perf_counter()
    for row in rows:
        database.write(read_rows([row], name="bench", now=NOW))
    return len(rows) / (time.perf_counter() - began)


def shown(made: Comparison) -> Comparison:
    print(made, flush=True)
    return made


ALL = ("polling", "report", "ingest", "posts", "pages")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=14_092)
    parser.add_argument("--only", default=",".join(ALL), help=f"some of {','.join(ALL)}")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="uphours-bench-") as name:
        folder = Path(name)
        files = make_files(folder, arguments.stores)
        path = folder / "fleet.db"
        loaded = read_files(files.names(), now=NOW)
        connect(f"sqlite:///{path}").write(loaded)
        polls = len(loaded.times)
        print(f"{len(loaded.store_ids):,} stores, {polls:,} polls")
        sections: dict[str, Callable[[], list[Comparison]]] = {
            "polling": lambda: bench_polling(path),
            "report": lambda: bench_report(path, polls),
            "ingest": lambda: bench_ingest(files, folder),
            "posts": lambda: bench_posts(folder),
            "pages": lambda: bench_pages(path),
        }
        for section in chosen:
            results[section] = [vars(one) for one in sections[section]()]
    if set(chosen) == set(ALL):
        keep(BASELINE, arguments.stores, results)


if __name__ == "__main__":
    main()
