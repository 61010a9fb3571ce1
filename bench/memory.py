"""Peak memory of `load`, of `report`, and of a service that has answered requests of all kinds for a while."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import Final

from bench.connection import connected
from bench.fleet import Fleet
from bench.processes import PROGRAM, Service, file_options, peak_mb, run, service
from bench.results import Figure, Row, main
from uphours import demo
from uphours.schema import SECOND_US, instant_iso

_REQUESTS: Final = 10_000
_CLIENTS: Final = 4
#: What is asked for in turns. {store} is one store after the other.
_MIX: Final = (
    "/", "/stores/{store}", "/v1/stores?limit=100", "/stores/{store}?window=yesterday", "/v1/stores/{store}",
    "/?tab=all&sort=availability", "/v1/stores/{store}/timeline", "/week", "/v1/stores/{store}/outages",
    "/v1/fleet/history", "/data", "/v1/fleet/heatmap", "/v1/stores/{store}/explanation", "/reports", "/v1/loads",
    "/healthz", "POST /v1/observations", "/v1/reports", "/metrics", "/?window=yesterday", "POST /v1/reports",
)  # fmt: skip
#: A report is asked for once in this many rounds: each takes as long as a hundred pages.
_ROUNDS_A_REPORT: Final = 10


def memory(fleet: Fleet) -> list[Row]:
    rows = of_commands(fleet)
    with service(fleet.new_database("served")) as running:
        return rows + of_service(fleet, running)


def of_commands(fleet: Fleet) -> list[Row]:
    url = f"sqlite:///{fleet.folder / 'memory.db'}"
    load = run([PROGRAM, "load", "--db", url, *file_options(fleet.files)])
    report = run([PROGRAM, "report", "--db", url, "-o", fleet.folder / "memory.csv"])
    return [
        Figure("memory of load", load.peak_mb or 0, "MB", 450),
        Figure("memory of report", report.peak_mb or 0, "MB", 300),
    ]


def of_service(fleet: Fleet, running: Service) -> list[Row]:
    requests = _REQUESTS if fleet.stores == Fleet.USUAL else len(_MIX)
    asyncio.run(send(running.url, requests, fleet.store_ids))
    workers = max(map(peak_mb, running.worker_pids()))
    return [
        Figure(f"memory of serve after {requests:,} mixed requests", peak_mb(running.pid), "MB", 350),
        Figure("memory of its largest worker", workers, "MB"),
    ]


async def send(url: str, requests: int, store_ids: list[str]) -> None:
    """Send requests of the mix from some clients; each must succeed."""
    numbers = iter(range(requests))
    seconds = count(1)

    async def client() -> None:
        async with connected(url) as connection:
            for number in numbers:
                method, path, body = request(number)
                status, answer = await connection.request(method, path, body)
                if status not in (200, 202):
                    raise SystemExit(f"{path}: {status} {answer[:500]!r}")

    def request(number: int) -> tuple[str, str, bytes]:
        turn, place = divmod(number, len(_MIX))
        method, _, path = _MIX[place].rpartition(" ")
        if path == "/v1/observations":
            at = instant_iso(demo.AS_OF + next(seconds) * SECOND_US)
            row = {"store_id": store_ids[0], "status": "active", "timestamp_utc": at}
            return method, path, json.dumps(row).encode()
        if method and not turn % _ROUNDS_A_REPORT:
            return method, path, b"{}"
        return "GET", path.format(store=store_ids[number % len(store_ids)]), b""

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))


SECTIONS = {"memory": memory}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
