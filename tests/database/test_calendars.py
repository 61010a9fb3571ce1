"""Dated weeks and zones, special hours and attributes: what a load replaces, what that restates, and what is read."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures.databases import check_whole, dump, url_in
from tests.fixtures.loads_by_hand import EVERY, by_hand, day
from tests.fixtures.tables import NOW
from uphours.database import special_dates
from uphours.database.copy import copy
from uphours.database.database import Database, connect
from uphours.database.loads import list_stores
from uphours.schema import CLOSED, DAY_US, EVERY_STORE, FOR_EVER, HOUR_US, SINCE_EVER, Schedule

NINE, FIVE = 9 * HOUR_US, 17 * HOUR_US
#: Polls of two stores, the last ones on January 25, in UTC; of a third there is none.
POLLS = [("1", "2023-01-20 10:00", 1), ("1", "2023-01-25 10:00", 1), ("2", "2023-01-25 03:00", 0)]
ZONES = {("1", ""): "UTC", ("2", ""): "America/Chicago", ("3", ""): "UTC"}  # at store 2 it is January 24 still


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(url_in(tmp_path))
    made.write(by_hand(polls=POLLS, zones=ZONES))
    return made


def restated(database: Database, **brought: Any) -> int:
    summary = database.write(by_hand(**brought)).summary
    assert summary is not None
    return summary.restated


def schedule(database: Database, stores: list[str] | None = None) -> Schedule:
    with database.snapshot(stores) as fleet:
        return fleet.schedule


def weeks(database: Database, store: str = "1") -> list[tuple[int, int, int, int]]:
    made = schedule(database, [store])
    since = np.full(len(made.stores), SINCE_EVER) if made.since is None else made.since
    columns = (since, made.weekdays, made.opens_local // HOUR_US, made.closes_local // HOUR_US)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_a_dated_week_replaces_the_week_of_its_date(database: Database) -> None:
    database.write(by_hand(hours=[("1", "", 0, NINE, FIVE), ("1", "", 1, NINE, FIVE), ("2", "", 0, NINE, FIVE)]))
    assert schedule(database).since is None
    database.write(by_hand(hours=[("1", "2023-02-01", 2, NINE, FIVE), ("1", "2023-03-01", 3, NINE, FIVE)]))
    database.write(by_hand(hours=[("1", "2023-02-01", 4, NINE, FIVE)]))
    february, march = day("2023-02-01"), day("2023-03-01")
    ever = [(SINCE_EVER, 0, 9, 17), (SINCE_EVER, 1, 9, 17)]
    assert weeks(database) == [*ever, (february, 4, 9, 17), (march, 3, 9, 17)]
    assert weeks(database, "2") == [(SINCE_EVER, 0, 9, 17)]
    with database.reading() as connection:
        assert [row["hours_rows"] for row in list_stores(connection)] == [1, 1, 0]


def test_an_undated_week_replaces_all_weeks_and_so_do_those_that_come_with_it(database: Database) -> None:
    database.write(by_hand(hours=[("1", "", 0, NINE, FIVE), ("1", "2023-02-01", 1, NINE, FIVE)]))
    database.write(by_hand(hours=[("1", "", 2, NINE, FIVE), ("1", "2023-03-01", 3, NINE, FIVE)]))
    assert weeks(database) == [(SINCE_EVER, 2, 9, 17), (day("2023-03-01"), 3, 9, 17)]
    database.write(by_hand(hours=[("1", "", 4, NINE, FIVE)]))
    assert weeks(database) == [(SINCE_EVER, 4, 9, 17)]


def test_zones_are_replaced_as_weeks_are(database: Database) -> None:
    database.write(by_hand(zones={("1", "2023-02-01"): "Asia/Tokyo", ("3", "2023-02-01"): "Europe/Berlin"}))
    database.write(by_hand(zones={("3", ""): "Europe/Paris"}))
    made = schedule(database)
    dated = made.dated_zones
    assert dated is not None
    assert dated.stores.tolist() == [0, 0]
    assert dated.since.tolist() == [SINCE_EVER, day("2023-02-01")]
    assert [made.zone_names[zone] for zone in dated.zones] == ["UTC", "Asia/Tokyo"]
    assert [made.zone_names[zone] for zone in made.zones] == ["Asia/Tokyo", "America/Chicago", "Europe/Paris"]
    with database.reading() as connection:
        zones = [row["timezone"] for row in list_stores(connection)]
    assert zones == ["Asia/Tokyo", "America/Chicago", "Europe/Paris"]
    assert schedule(database, ["2", "3"]).dated_zones is None


def test_special_hours_replace_whole_dates(database: Database) -> None:
    database.write(
        by_hand(
            special=[("1", "2023-12-24", NINE, FIVE), ("1", "2023-12-25", *CLOSED), (EVERY, "2023-12-25", *CLOSED)],
            special_names={("1", "2023-12-25"): "Käse", (EVERY, "2023-12-25"): "Christmas"},
        )
    )
    database.write(by_hand(special=[("1", "2023-12-25", NINE, FIVE), ("1", "2023-12-25", FIVE, FIVE + HOUR_US)]))
    special = schedule(database).special
    assert special is not None
    assert special.names is not None
    rows = (special.stores, special.dates - day("2023-12-25"), special.opens_local, special.closes_local)
    assert list(zip(*(column.tolist() for column in rows), special.names, strict=True)) == [
        (EVERY_STORE, 0, *CLOSED, "Christmas"), (0, -1, NINE, FIVE, ""), (0, 0, NINE, FIVE, ""),
        (0, 0, FIVE, FIVE + HOUR_US, ""),
    ]  # fmt: skip
    other = schedule(database, ["2"]).special
    assert other is not None
    assert other.stores.tolist() == [EVERY_STORE]


def test_special_dates_are_replaced_as_sets_of_rows_are(database: Database, seed: int) -> None:
    """By a model of sets: what is stored after each load, and on which dates other hours hold."""
    rng = random.Random(seed)
    model: dict[tuple[int, int], set[tuple[int, int, str]]] = {}
    for load in range(1, 13):
        names: dict[tuple[int, int], str] = {}
        given: dict[tuple[int, int], set[tuple[int, int, str]]] = {}
        for date in {(rng.randrange(4), 19_000 + rng.randrange(6)) for _ in range(rng.randrange(12))}:
            name = rng.choice(["", "Käse", "\U0001f600", "z"])
            if name:
                names[date] = name
            hours = rng.choice([[CLOSED], [(NINE, FIVE)], [(NINE, FIVE + 1), (FIVE, 2 * DAY_US)]])
            given[date] = {(*row, name) for row in hours}
        rows = [(*date, start, end) for date, new in given.items() for start, end, _ in new]
        rng.shuffle(rows)
        with database.writing() as connection:
            changed = special_dates.replace(connection, np.array(rows, dtype=np.int64).reshape(-1, 4), names, load=load)
            query = "SELECT store, date, start_local_us, end_local_us, special_hours.name FROM special_hours"
            stored = sorted(map(tuple, connection.exec_driver_sql(query)))
        hours_of = {date: {row[:2] for row in new} for date, new in model.items()}
        expected = {date for date, new in given.items() if {row[:2] for row in new} != hours_of.get(date, set())}
        assert sorted(map(tuple, changed.tolist())) == sorted(expected)
        model |= given
        assert stored == sorted((*date, *row) for date, new in model.items() for row in new)


def test_attributes_have_one_value_a_date_and_a_blank_one_takes_it_away(database: Database) -> None:
    def values() -> list[tuple[int, str, int, str]]:
        with database.snapshot(["1"]) as fleet:
            return sorted(fleet.attributes())

    february = day("2023-02-01")
    both = {
        ("1", "region", ""): "TX",
        ("1", "region", "2023-02-01"): "OK",
        ("1", "brand", ""): "B",
        ("2", "x", ""): "y",
    }
    database.write(by_hand(attributes=both))
    assert values() == [(0, "brand", SINCE_EVER, "B"), (0, "region", SINCE_EVER, "TX"), (0, "region", february, "OK")]
    database.write(by_hand(attributes={("1", "region", "2023-02-01"): "", ("1", "brand", "2023-02-01"): "C"}))
    assert values() == [
        (0, "brand", SINCE_EVER, "B"), (0, "brand", february, "C"),
        (0, "region", SINCE_EVER, "TX"), (0, "region", february, ""),  # none from that date on
    ]  # fmt: skip
    database.write(by_hand(attributes={("1", "brand", ""): "D", ("1", "region", ""): ""}))
    assert values() == [(0, "brand", SINCE_EVER, "D")]


def test_a_blank_last_day_opens_a_store_again(database: Database) -> None:
    database.write(by_hand(attributes={("1", "last_day", ""): "2023-01-03"}))
    database.write(by_hand(attributes={("1", "last_day", "2023-06-01"): ""}))
    assert schedule(database).last_days is None


def test_first_and_last_days_are_part_of_the_schedule(database: Database) -> None:
    assert (schedule(database).first_days, schedule(database).last_days) == (None, None)
    database.write(by_hand(attributes={("1", "first_day", ""): "2023-01-02", ("2", "last_day", ""): "2023-01-03"}))
    made = schedule(database)
    assert made.first_days is not None
    assert made.last_days is not None
    assert made.first_days.tolist() == [day("2023-01-02"), SINCE_EVER, SINCE_EVER]
    assert made.last_days.tolist() == [FOR_EVER, day("2023-01-03"), FOR_EVER]


@pytest.mark.parametrize(
    ("stores", "brought"),
    [
        (2, {"hours": [(store, "", 0, NINE, FIVE) for store in "123"]}),
        (2, {"hours": [(store, "2023-01-24", 0, NINE, FIVE) for store in "123"]}),
        (1, {"hours": [(store, "2023-01-25", 0, NINE, FIVE) for store in "123"]}),
        (0, {"hours": [(store, "2023-01-26", 0, NINE, FIVE) for store in "123"], "now": NOW + 900 * DAY_US}),
        (2, {"zones": {("1", "2023-01-25"): "Asia/Tokyo", ("2", "2023-01-25"): "Asia/Tokyo"}}),
        (1, {"zones": {("1", "2023-01-25"): "Asia/Tokyo", ("2", "2023-01-26"): "Asia/Tokyo"}}),
        (0, {"zones": {("1", "2023-01-25"): "UTC", ("2", ""): "America/Chicago"}}),
        (1, {"special": [(store, "2023-01-25", *CLOSED) for store in "123"]}),
        (2, {"special": [(EVERY, "2023-01-24", *CLOSED), (EVERY, "2023-01-27", *CLOSED)]}),
        (1, {"special": [("1", "2023-01-24", *CLOSED), ("1", "2023-01-26", *CLOSED), ("3", "2023-01-24", *CLOSED)]}),
        (2, {"attributes": {("1", "first_day", ""): "2023-01-02", ("2", "first_day", ""): "2023-03-01"}}),
        (1, {"attributes": {("1", "last_day", ""): "2023-01-24", ("2", "last_day", ""): "2023-01-24"}}),
        (0, {"attributes": {("1", "region", ""): "TX", ("2", "last_day", ""): "2023-12-31"}}),
    ],
)
def test_the_past_changes_where_something_else_holds_up_to_the_last_poll(
    database: Database, stores: int, brought: dict[str, Any]
) -> None:
    database.write(by_hand(hours=[(store, "", 1, NINE, FIVE) for store in "123"]))
    assert restated(database, **brought) == stores
    before = dump(database)
    assert restated(database, **brought) == 0
    names = ("business_hours", "timezones", "special_hours", "attributes")
    assert {name: dump(database)[name] for name in names} == {name: before[name] for name in names}


def test_where_a_week_was_in_force_from_a_date_on_another_first_week_restates_from_there(database: Database) -> None:
    database.write(by_hand(hours=[("1", "2023-01-10", 0, NINE, FIVE), ("1", "2023-03-01", 1, NINE, FIVE)]))
    assert restated(database, hours=[("1", "2023-03-01", 2, NINE, FIVE)]) == 0
    assert restated(database, hours=[("1", "2023-01-20", 0, NINE, FIVE)]) == 0  # the same week as before
    assert restated(database, hours=[("1", "2023-01-20", 3, NINE, FIVE)]) == 1


def test_a_first_week_with_a_date_closes_a_store_before_it(database: Database) -> None:
    assert restated(database, hours=[("1", "2030-01-01", 0, NINE, FIVE)]) == 1


def test_own_special_hours_stand_before_those_of_every_store(database: Database) -> None:
    database.write(by_hand(special=[("1", "2023-01-24", NINE, FIVE)]))
    assert restated(database, special=[(EVERY, "2023-01-24", *CLOSED)]) == 1


def test_of_a_store_whose_hours_are_unknown_no_special_date_restates_anything(database: Database) -> None:
    database.write(by_hand(unusable=["1"]))
    assert restated(database, special=[("1", "2023-01-20", *CLOSED)]) == 0
    assert restated(database, special=[(EVERY, "2023-01-20", *CLOSED)]) == 1
    assert restated(database, hours=[("1", "2023-03-01", 0, NINE, FIVE)]) == 1
    assert schedule(database).hours_known is None


def test_many_random_loads_leave_what_replacing_one_by_one_leaves(tmp_path: Path, seed: int) -> None:
    """By a model of dictionaries; and a copy, and the part of a few stores, have the same."""
    rng = random.Random(seed)
    database = connect(url_in(tmp_path))
    stores, dates = [str(number) for number in range(30)], ["", "2023-01-10", "2023-01-20", "2023-02-01"]
    model: dict[tuple[str, str], dict[str, Any]] = {}
    for _ in range(12):
        given: dict[tuple[str, str], dict[str, Any]] = {}
        for store in rng.sample(stores, 12):
            for kind in ("hours", "zones", "region"):
                for since in rng.sample(dates, rng.randrange(3)):
                    value = {
                        "hours": sorted(rng.sample(range(7), rng.randint(1, 3))),
                        "zones": rng.choice(["UTC", "Asia/Tokyo", "America/Chicago"]),
                        "region": rng.choice(["TX", "OK", ""]),
                    }[kind]
                    given.setdefault((kind, store), {})[since] = value
        for key, new in given.items():
            whole = new if "" in new else {**model.get(key, {}), **new}
            model[key] = {since: value for since, value in whole.items() if value or since}
        database.write(
            by_hand(
                hours=[
                    (store, since, number, NINE, FIVE)
                    for (kind, store), new in given.items() if kind == "hours"
                    for since, numbers in new.items() for number in numbers
                ],
                zones={
                    (s, since): v for (kind, s), new in given.items() if kind == "zones" for since, v in new.items()
                },
                attributes={
                    (s, kind, since): v
                    for (kind, s), new in given.items() if kind == "region"
                    for since, v in new.items()
                },
            )
        )  # fmt: skip
    check_whole(database)
    expected = sorted((*key, day(since), str(value)) for key, new in model.items() for since, value in new.items())
    other = connect(url_in(tmp_path, "copy.db", fresh=True))
    copy(database, other)
    for made in (database, other):
        assert everything(made) == expected
    few = ["3", "17", "4"]
    few = [store for store in few if store in {store for _, store in model}]
    assert everything(database, few) == [row for row in expected if row[1] in few]


def everything(database: Database, stores: list[str] | None = None) -> list[tuple[str, str, int, str]]:
    found: list[tuple[str, str, int, str]] = []
    with database.snapshot(stores) as fleet:
        made, ids = fleet.schedule, fleet.store_ids
        found += [(name, ids[store], since, value) for store, name, since, value in fleet.attributes()]
    since = np.full(len(made.stores), SINCE_EVER) if made.since is None else made.since
    days: dict[tuple[int, int], list[int]] = {}
    for store, first, weekday in sorted(zip(made.stores.tolist(), since.tolist(), made.weekdays.tolist(), strict=True)):
        days.setdefault((store, first), []).append(weekday)
    found += [("hours", ids[store], first, str(numbers)) for (store, first), numbers in days.items()]
    dated = made.dated_zones
    assert made.zone_is_default is not None
    is_dated = set() if dated is None else set(dated.stores.tolist())
    if dated is not None:
        rows = zip(dated.stores.tolist(), dated.since.tolist(), dated.zones.tolist(), strict=True)
        found += [("zones", ids[store], first, made.zone_names[zone]) for store, first, zone in rows]
    found += [
        ("zones", ids[store], SINCE_EVER, made.zone_names[zone])
        for store, zone in enumerate(made.zones.tolist())
        if store not in is_dated and not made.zone_is_default[store]
    ]
    return sorted(found)
