"""What the calendar and the ledger cost: a report with them against one without, one entry over all stores.

    python -m bench.calendars [--stores 14092]

Both databases hold the same polls. Processor seconds, as the two sides take turns in one process.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from bench.run import NOW, make_files
from uphours.database import ledger
from uphours.database.database import Database, connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files
from uphours.kernel.policy import Policy
from uphours.reports.adjusting import Adjustment, moved, plan
from uphours.reports.measure import run_report
from uphours.reports.store_calendar import calendar
from uphours.reports.writers import written
from uphours.schema import HOUR_US, instant_us

#: Special days of each store around the week that is reported on, and adjusted intervals of every tenth store.
SPECIAL_DAYS = 30
INTERVALS = 30
AS_OF_DAY = date(2023, 1, 25)
PAIRS = 9


def rows_of_special_days(store_ids: Sequence[str]) -> Iterator[str]:
    days = [AS_OF_DAY - timedelta(days=6) + timedelta(days=12 * number) for number in range(SPECIAL_DAYS)]
    for store_id in store_ids:
        for place, day in enumerate(days):
            yield f"{store_id},{day},{'closed,closed' if place % 2 else '10:00,16:00'},special day {place}\n"


def write_calendar(folder: Path, plain: Database) -> dict[Kind, list[str]]:
    """Write special days, and the weeks of all stores again, in force from the middle of the last week on."""
    special, hours = folder / "special.csv", folder / "dated.csv"
    with plain.snapshot() as fleet:
        ids = list(fleet.store_ids)
    with special.open("w") as file:
        file.write("store_id,date,start_time_local,end_time_local,name\n")
        file.writelines(rows_of_special_days(ids))
    with hours.open("w") as file:
        file.write("store_id,day,start_time_local,end_time_local,valid_from\n")
        for store_id in ids:
            file.writelines(f"{store_id},{day},09:30,20:30,{AS_OF_DAY - timedelta(days=3)}\n" for day in range(7))
    return {"special": [str(special)], "hours": [str(hours)]}


def adjust(database: Database) -> int:
    """Enter intervals for every tenth store, an entry a day; return how many."""
    with database.snapshot() as fleet:
        ids = list(fleet.store_ids)[::10]
    first = instant_us("2023-01-18T12:00Z")
    for number in range(INTERVALS):
        starts = np.full(len(ids), first + number * 6 * HOUR_US)
        with database.writing() as connection:
            ledger.enter(
                connection, ids, starts, starts + HOUR_US, counts_as=("excluded", "up", "down")[number % 3],
                reason="other", actor="bench", now=NOW,
            )  # fmt: skip
    return len(ids) * INTERVALS


def spent(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def compare(name: str, ours: Callable[[], object], yardstick: Callable[[], object], target: float) -> None:
    ours(), yardstick()
    times = [(spent(ours), spent(yardstick)) for _ in range(PAIRS)]
    mine, other = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = statistics.median(a / b for a, b in times)
    print(f"{name:<58} {mine:7.3f} s  against {other:7.3f} s  = {ratio:5.2f}  (at most {target})", flush=True)


def report_of(database: Database) -> Callable[[], object]:
    def report() -> object:
        with database.snapshot() as fleet:
            return written(run_report(fleet), "csv")

    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stores", type=int, default=14_092)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="uphours-bench-") as name:
        folder = Path(name)
        files = make_files(folder, arguments.stores)
        plain, special, full = (connect(f"sqlite:///{folder / one}.db") for one in ("plain", "special", "full"))
        for database in (plain, special, full):
            load_files(database, files.names(), now=NOW)
        named = write_calendar(folder, plain)
        start = time.perf_counter()
        load_files(special, {"special": named["special"]}, now=NOW)
        print(
            f"load of {SPECIAL_DAYS} special days and a dated week for each store: {time.perf_counter() - start:.2f} s"
        )
        load_files(full, named, now=NOW)
        adjust(special)
        print(f"{adjust(full):,} adjusted intervals at a tenth of {arguments.stores:,} stores")
        compare("report with special days and a ledger", report_of(special), report_of(plain), 1.1)
        compare("report with special days, dated weeks and a ledger", report_of(full), report_of(plain), 1.1)

        with full.snapshot() as fleet:
            wanted = Adjustment(
                counts_as="unknown", reason="other", start=instant_us("2023-01-20"), end=instant_us("2023-01-21")
            )
            planned = plan(fleet, wanted)
            took = spent(lambda: moved(fleet, wanted, planned, policy=Policy()))
            print(f"what an entry over all stores would move: {took:.2f} s")
            ids = [fleet.store_ids[place] for place in planned.stores.tolist()]

        def enter() -> None:
            with full.writing() as connection:
                ledger.enter(
                    connection, ids, planned.starts, planned.ends, counts_as="unknown", reason="other",
                    actor="bench", now=NOW,
                )  # fmt: skip

        start = time.perf_counter()
        enter()
        print(f"one entry over {len(ids):,} stores: {time.perf_counter() - start:.2f} s (at most 1)")
        with full.snapshot(ids[:1]) as fleet:
            first = AS_OF_DAY
            took = statistics.median(
                spent(lambda: calendar(fleet.schedule, 0, first, first + timedelta(days=3653))) for _ in range(5)
            )
        print(f"a store's calendar of ten years: {took * 1e3:.0f} ms (at most 50)")


if __name__ == "__main__":
    main()
