"""Clients of a service that is disturbed: they ask again until they are answered, and remember what they were told."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from tests.fixtures import tables
from tests.fixtures.databases import check_whole, opened
from tests.fixtures.services import ServiceProcess, begin_service, in_time
from uphours import Policy
from uphours.database.database import Database
from uphours.reports.measure import run_request
from uphours.reports.writers import written
from uphours.schema import MINUTE_US, SECOND_US, instant_iso, instant_text, instant_us
from uphours.service.bodies import checked
from uphours.service.report_body import report_request
from uphours.wire.report_messages import ReportBody

REPORTS = 30
INGESTS = 30
PATIENCE_S = 120.0
#: Every answer that means "try again".
AGAIN = (429, 503)


@dataclass
class Site:
    """The service as its clients know it: now and then it is gone, and comes back under another address."""

    folder: Path
    running: ServiceProcess
    logs: list[Path] = field(default_factory=list)
    gone: bool = False
    disturbed_until: float | None = None

    def restart(self) -> None:
        """Start it again."""
        self.running = begin_service(self.folder)
        self.logs.append(self.running.log)

    def defects(self) -> str:
        """Return what the log says of defects."""
        return "".join(line for line in self.running.log.read_text().splitlines(True) if '"level": "error"' in line)

    def ask(self, client: httpx.Client, verb: str, path: str, **more: Any) -> httpx.Response:
        """Ask until there is an answer, as a client does that must not lose anything.

        How often the service is there while it is being disturbed depends on how fast this machine starts processes:
        patience is counted from the last disturbance on.
        """
        last = "it was too late to ask"
        while not self.gone and (self.disturbed_until is None or time.monotonic() < self.disturbed_until + PATIENCE_S):
            try:
                answer = client.request(verb, self.running.url + path, **more)
            except httpx.TransportError as error:
                last = repr(error)
                time.sleep(0.1)
                continue
            if answer.status_code == 500:
                raise AssertionError(f"{verb} {path} meets a defect: {answer.text}; the log says: {self.defects()}")
            if answer.status_code not in AGAIN:
                return answer
            last = f"{answer.status_code} {answer.text}"
            time.sleep(0.2)
        log = self.running.log.read_text()[-3000:]
        raise AssertionError(f"{verb} {path} gets no answer; the last one was: {last}; the log ends with: {log}")


@dataclass
class Done:
    """What clients were told: the options of each report by its id, and the rows that were acknowledged."""

    reports: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: list[tuple[str, str, str]] = field(default_factory=list)


def body_of(number: int, as_of: int) -> dict[str, Any]:
    """Return the options of a report; those of two reports differ."""
    at = as_of - number * MINUTE_US
    windows = [
        {"name": f"w{place}", "start": instant_iso(at - (place + 2) * 3600 * SECOND_US), "end": instant_iso(at)}
        for place in range(20)
    ]
    interpolation = ("previous", "next", "nearest")[number % 3]
    return {"as_of": instant_iso(at), "windows": ["last_week", *windows], "interpolation": interpolation}


def report_on(site: Site, done: Done, as_of: int, numbers: Iterator[int], go_on: Callable[[int], bool]) -> None:
    with httpx.Client(timeout=60) as client:
        for number in numbers:
            if not go_on(number):
                return
            body = body_of(number, as_of)
            asked = site.ask(client, "POST", "/v1/reports", json=body, headers={"Idempotency-Key": f"report {number}"})
            assert asked.status_code == 202, asked.text
            report = asked.json()["id"]
            done.reports[report] = body
            while site.ask(client, "GET", f"/v1/reports/{report}").json()["finished_at"] is None:
                time.sleep(0.05)


def rows_of(number: int, count: int, as_of: int) -> list[tuple[str, str, str]]:
    """Return observations of stores that no report can see: all of them were made after its as_of."""
    return [
        (
            f"new-{number}-{row % 7}",
            ("active", "inactive")[(number + row) % 2],
            instant_text(as_of + (row + 1) * SECOND_US),
        )
        for row in range(count)
    ]


def ingest_on(site: Site, done: Done, as_of: int, numbers: Iterator[int], go_on: Callable[[int], bool]) -> None:
    names = ("store_id", "status", "timestamp_utc")
    with httpx.Client(timeout=60) as client:
        for number in numbers:
            if not go_on(number):
                return
            rows = rows_of(number, (20, 3_000, 500)[number % 3], as_of)
            csv = tables.table("polls", *map(",".join, rows)).encode()
            match number % 3:
                case 0:
                    sent = site.ask(
                        client, "POST", "/v1/observations", json=[dict(zip(names, row, strict=True)) for row in rows]
                    )
                case 1:
                    headers = {"Content-Type": "text/csv"}
                    sent = site.ask(client, "POST", "/v1/observations", content=csv, headers=headers)
                case _:
                    zones = tables.table("timezones", f"new-{number}-0,Europe/Berlin").encode()
                    files = [("polls", ("polls.csv", csv)), ("files", ("zones.csv", zones))]
                    sent = site.ask(client, "POST", "/v1/loads", files=files)
            if sent.status_code == 202:
                wait_for(site, client, sent.json()["id"])
            else:
                assert sent.status_code == 200, sent.text
                assert sent.json()["quarantined"] == 0
            done.rows += rows


def wait_for(site: Site, client: httpx.Client, job: str) -> None:
    """Wait for a load that was accepted but had not ended yet."""
    while (found := site.ask(client, "GET", f"/v1/jobs/{job}").json())["finished_at"] is None:
        time.sleep(0.05)
    assert found["state"] == "complete", found


class Numbers:
    """Gives each number to one thread."""

    def __init__(self) -> None:
        self._lock, self._next = threading.Lock(), 0

    def __iter__(self) -> Iterator[int]:
        while True:
            with self._lock:
                number, self._next = self._next, self._next + 1
            yield number


@contextmanager
def clients_at_work(
    site: Site, done: Done, as_of: int, *, reports: int = REPORTS, ingests: int = INGESTS
) -> Iterator[None]:
    """Let clients ask for reports and send rows for the length of a block, and until so many of each are done."""
    ends = threading.Event()
    report_numbers, ingest_numbers = iter(Numbers()), iter(Numbers())

    def go_on(number: int, enough: int) -> bool:
        return number < enough or not ends.is_set()

    with ThreadPoolExecutor(5) as threads:
        working: Sequence[Future[None]] = [
            *(
                threads.submit(report_on, site, done, as_of, report_numbers, partial(go_on, enough=reports))
                for _ in range(2)
            ),
            *(
                threads.submit(ingest_on, site, done, as_of, ingest_numbers, partial(go_on, enough=ingests))
                for _ in range(3)
            ),
        ]
        try:
            yield
        except BaseException:
            site.gone = True
            raise
        finally:
            site.disturbed_until = time.monotonic()
            ends.set()
        for one in working:
            one.result(2 * PATIENCE_S)


def undisturbed(database: Database, body: dict[str, Any]) -> bytes:
    request = report_request(checked(ReportBody, body), Policy())
    with database.snapshot() as fleet:
        made = run_request(fleet, request)
    return written(made, "parquet")


def all_ended(database: Database) -> bool:
    """Say whether no job is waiting or being done: a client that got no answer has sent its files once more."""
    with opened(database) as connection:
        return not connection.execute("SELECT 1 FROM jobs WHERE state IN ('queued', 'running')")


def check_database(database: Database, done: Done) -> None:
    assert in_time(lambda: all_ended(database), PATIENCE_S)
    check_whole(database)
    with opened(database) as connection:

        def rows(query: str) -> list[Any]:
            return connection.execute(query)

        # What a server was receiving when it was killed was never acknowledged; it stays until it expires. What it
        # could not keep is cancelled.
        states = Counter(state for (state,) in rows("SELECT state FROM jobs"))
        assert set(states) <= {"complete", "receiving", "cancelled"}, rows(
            "SELECT state, reason FROM jobs WHERE reason IS NOT NULL"
        )
        assert rows("SELECT DISTINCT state FROM jobs JOIN uploads USING (job)") in ([], [("receiving",)])
        unkept = "SELECT count(*) FROM jobs LEFT JOIN results USING (job) WHERE kind = 'report' AND content IS NULL"
        assert rows(unkept) == [(0,)]
        # A load is written in the transaction that ends its job, and so is its line in the audit trail.
        written = Counter(
            json.loads(details).get("job") for (details,) in rows("SELECT details FROM audit WHERE action = 'load'")
        )
        del written[None]
        assert written == Counter(
            name for (name,) in rows("SELECT job FROM jobs WHERE kind = 'load' AND state = 'complete'")
        )
        found = {
            (name, status, at)
            for name, status, at in rows(
                "SELECT store_id, status, observed_at FROM observations JOIN stores USING (store) "
                "WHERE store_id LIKE 'new-%'"
            )
        }
    expected = {(name, int(status == "active"), instant_us(at)) for name, status, at in done.rows}
    assert found == expected


def check_reports(site: Site, before: Database, done: Done) -> None:
    with httpx.Client(base_url=site.running.url, timeout=60) as client:
        for report, body in done.reports.items():
            state = client.get(f"/v1/reports/{report}").json()
            assert state["state"] == "complete", state
            result = client.get(f"/v1/reports/{report}/result", params={"format": "parquet"})
            assert result.status_code == 200, result.text
            assert result.content == undisturbed(before, body)


def check_logs(site: Site) -> None:
    logged = "".join(log.read_text() for log in site.logs)
    assert '"level": "error"' not in logged
    assert "Traceback" not in logged
    assert "Fatal Python error" not in logged
