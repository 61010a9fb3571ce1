"""What a report reads of calendars and ledgers: to the microsecond, and as much as it depends on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from tests.fixtures.databases import url_in
from tests.fixtures.loads_by_hand import EVERY, by_hand
from uphours.database.database import connect
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.windows import DEFAULT_WINDOWS, Window
from uphours.load_record import Loaded
from uphours.reports.fleet import overview
from uphours.reports.measure import run_report
from uphours.reports.writers import written
from uphours.schema import CLOSED, DAY_US, HOUR_US, MINUTE_US, SECOND_US, Fleet, Schedule

AS_OF = date(2023, 1, 25)
LONG_AGO = Window("long_ago", "2022-11-01", "2022-11-20T13:37:00.000001Z")
#: Long before anything was seen, and up to the last poll.
CHOICES: Sequence[Sequence[str | Window]] = (DEFAULT_WINDOWS, ("yesterday", LONG_AGO), (LONG_AGO,))
#: 09:00:30.000001, the microsecond before midnight, and the last one that a row may end with.
ODD_START, ODD_END, LAST_END = 9 * HOUR_US + 30 * SECOND_US + 1, DAY_US - 1, 2 * DAY_US


def reports(fleet: Fleet) -> list[bytes]:
    return [written(run_report(fleet, chosen=chosen, all_stores=True), "json", detail=True) for chosen in CHOICES]


def rows(schedule: Schedule) -> list[list[tuple[int, ...]]]:
    special = schedule.special
    assert special is not None
    assert schedule.since is not None
    weekly = (schedule.stores, schedule.since, schedule.weekdays, schedule.opens_local, schedule.closes_local)
    by_date = (special.stores, special.dates, special.opens_local, special.closes_local)
    return [list(zip(*(column.tolist() for column in columns), strict=True)) for columns in (weekly, by_date)]


def test_times_off_the_minute_are_read_as_they_were_given(tmp_path: Path) -> None:
    loaded = by_hand(
        polls=[
            (store, f"2023-01-{day} {hour:02}:07", hour % 2)
            for store in "123" for day in (23, 24, 25) for hour in range(24)
        ],
        hours=[
            *(("1", "", day, ODD_START, ODD_END) for day in range(7)),
            *(("2", "2023-01-23", day, 12 * HOUR_US + day, LAST_END - day) for day in range(7)),
            ("3", "", 0, 0, DAY_US), ("3", "2023-01-24", 1, 1, SECOND_US - 1),
            ("3", "2023-01-24", 1, LAST_END - 1, LAST_END),
        ],
        special=[
            ("1", "2023-01-24", ODD_START, LAST_END), ("1", "2023-01-24", 1, 2), ("2", "2023-01-25", *CLOSED),
            (EVERY, "2023-01-25", ODD_START + 2 * MINUTE_US, ODD_END - 1),
        ],
        adjustments=[{"store": "1", "start": "2023-01-24 10:00:00.000001", "end": "2023-01-24 10:30:00.999999"}],
    )  # fmt: skip
    database = connect(url_in(tmp_path))
    database.write(loaded)
    memory = memory_fleet(loaded)
    with database.snapshot() as fleet:
        assert rows(fleet.schedule) == rows(memory.schedule)
        start, end = 19380 * DAY_US, 19383 * DAY_US
        around = fleet.schedule_over(start, end, np.full(3, start), np.full(3, end))
        assert rows(around) == rows(memory.schedule)
        assert fleet.adjustments_over(start, end).ends.tolist() == memory.adjustments.ends.tolist()
        assert reports(fleet) == reports(memory)


def test_a_report_reads_as_much_of_the_calendar_as_it_depends_on(tmp_path: Path, seed: int) -> None:
    """Stores that were not seen for long or have no hours, weeks of any length, dates and entries all year."""
    loaded = random_fleet(random.Random(seed))
    database = connect(url_in(tmp_path))
    database.write(loaded)
    memory = memory_fleet(loaded)
    ids = random.Random(seed).sample(list(loaded.store_ids), 10)
    for chosen in (None, ids):
        with database.snapshot(chosen) as fleet:
            assert reports(fleet) == reports(memory.of(chosen))
            ours, theirs = overview(fleet), overview(memory.of(chosen))
            assert ours.states.tolist() == theirs.states.tolist()
            assert ours.since_us.tolist() == theirs.since_us.tolist()


def random_fleet(rng: random.Random) -> Loaded:
    stores, days = [str(number) for number in range(40)], [AS_OF - timedelta(days=back) for back in range(120)]
    later = [*days, *(AS_OF + timedelta(days=ahead) for ahead in range(20))]

    def hours() -> tuple[int, int]:
        start = rng.choice([0, ODD_START, 10 * HOUR_US, 20 * HOUR_US])
        return start, rng.choice([ODD_END, DAY_US, start + 30 * HOUR_US // 7, min(start + DAY_US, LAST_END)])

    def polls(store: str) -> list[tuple[str, str, int]]:
        seen = rng.choice(
            [days[:3], days[:8], days[30:60], [days[0], days[99]], [days[2], days[20]], [days[60], days[100]]]
        )
        found = [
            (
                store,
                f"{day} {rng.randrange(24):02}:{rng.randrange(60):02}:00.000{rng.randrange(1000):03}",
                rng.randrange(2),
            )
            for day in seen
            for _ in range(4)
        ]
        return [row for row in found if row[1] < f"{AS_OF} 12:00"]

    def interval(store: str) -> dict[str, str]:
        start = rng.choice(days)
        end = start + timedelta(days=rng.choice([0, 1, 40]))
        counts_as = rng.choice(["excluded", "up", "down", "unknown"])
        return {"store": store, "start": f"{start} 09:00", "end": f"{end} 18:30:00.000001", "counts_as": counts_as}

    weeks = sorted({(store, rng.choice(["", str(rng.choice(later))])) for store in stores[20:] for _ in range(2)})
    return by_hand(
        polls=[("0", f"{AS_OF} 12:00", 1), *(row for store in stores for row in polls(store))],
        hours=list({
            (store, since, day, *hours()) for store, since in weeks for day in rng.sample(range(7), rng.randint(1, 7))
        }),
        zones={(store, ""): rng.choice(["UTC", "America/Chicago", "Pacific/Apia"]) for store in stores},
        special=list({
            (store, str(day), *(CLOSED if rng.random() < 0.5 else hours()))
            for store in (*stores[::2], EVERY)
            for day in rng.sample(later, 2 if store == EVERY else rng.choice([1, 2, 60]))
        }),
        adjustments=[interval(rng.choice(stores)) for _ in range(40)],
    )  # fmt: skip
