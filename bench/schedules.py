"""What special days, dated weeks and the ledger cost: a report with them against one without, and their own work."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from bench.fleet import NOW, Fleet, report
from bench.results import Figure, Row, compare, main, measured, median_ms, side
from uphours.database import ledger
from uphours.database.database import Database, connect
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files
from uphours.kernel.policy import Policy
from uphours.reports.adjusting import Adjustment, moved, plan
from uphours.reports.store_calendar import calendar
from uphours.schema import HOUR_US, Instants, instant_us

#: Special days of each store around the week that is reported on, and adjusted intervals of every tenth store.
_SPECIAL_DAYS: Final = 30
_INTERVALS: Final = 30
_LAST_DAY: Final = date(2023, 1, 25)


def schedules(fleet: Fleet) -> list[Row]:
    """Compare databases with the same polls: one is plain, one has dated weeks, special days and a ledger."""
    full = connect(f"sqlite:///{fleet.new_database('full')}")
    named = write_schedules(fleet.folder, fleet.store_ids)
    loaded = measured(lambda: load_files(full, named, now=NOW))
    adjust(full, fleet.store_ids[::10])
    name = f"report with dated weeks, {_SPECIAL_DAYS} special days a store and 10 % of stores adjusted"
    ours, yardstick = side(lambda: report(full)), side(lambda: report(fleet.database))
    everywhere = Adjustment(
        counts_as="unknown", reason="other", start=instant_us("2023-01-20"), end=instant_us("2023-01-21")
    )
    with full.snapshot() as stores:
        planned = plan(stores, everywhere)
        previewed = measured(lambda: moved(stores, everywhere, planned, policy=Policy()))
        ids = [stores.store_ids[place] for place in planned.stores.tolist()]
    entered = measured(partial(enter, full, ids, planned.starts, planned.ends, "unknown"))
    with full.snapshot(fleet.store_ids[:1]) as one:
        ten_years = partial(calendar, one.schedule, 0, _LAST_DAY, _LAST_DAY + timedelta(days=3653))
        of_store = median_ms(ten_years, fleet.pairs(5))
    return [
        compare(name, "without", ours, yardstick, at_most=1.1, pairs=fleet.pairs(9)),
        Figure("load of the special days and dated weeks", loaded.seconds, "s"),
        Figure("an entry of the ledger over all stores, what it would move", previewed.seconds, "s"),
        Figure("an entry of the ledger over all stores", entered.seconds, "s", 1),
        Figure("calendar of a store over ten years", of_store, "ms", 50),
    ]


def write_schedules(folder: Path, store_ids: Sequence[str]) -> dict[Kind, list[str]]:
    """Write special days, and a second week of each store, in force from the middle of the last week on."""
    special, hours = folder / "special.csv", folder / "dated.csv"
    first = _LAST_DAY - timedelta(days=6)
    days = [first + timedelta(days=12 * number) for number in range(_SPECIAL_DAYS)]
    with special.open("w", encoding="utf-8") as file:
        file.write("store_id,date,start_time_local,end_time_local,name\n")
        for store_id in store_ids:
            for place, day in enumerate(days):
                file.write(f"{store_id},{day},{'closed,closed' if place % 2 else '10:00,16:00'},special day {place}\n")
    with hours.open("w", encoding="utf-8") as file:
        file.write("store_id,day,start_time_local,end_time_local,valid_from\n")
        for store_id in store_ids:
            file.writelines(f"{store_id},{day},09:30,20:30,{_LAST_DAY - timedelta(days=3)}\n" for day in range(7))
    return {"special": [str(special)], "hours": [str(hours)]}


def adjust(database: Database, store_ids: Sequence[str]) -> None:
    """Enter intervals of some stores, an entry each."""
    first = instant_us("2023-01-18T12:00Z")
    for number in range(_INTERVALS):
        starts = np.full(len(store_ids), first + number * 6 * HOUR_US)
        enter(database, store_ids, starts, starts + HOUR_US, ("excluded", "up", "down")[number % 3])


def enter(database: Database, store_ids: Sequence[str], starts: Instants, ends: Instants, counts_as: str) -> None:
    with database.writing() as connection:
        ledger.enter(
            connection, store_ids, starts, ends, counts_as=counts_as, reason="other", actor="bench", now=NOW
        )  # fmt: skip


SECTIONS = {"schedules": schedules}

if __name__ == "__main__":
    main(SECTIONS, __doc__)
