"""What a calendar feed reads of the database: special hours, and what live entries of the ledger exclude."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.databases import url_in
from tests.fixtures.loads_by_hand import by_hand
from tests.fixtures.tables import NOW
from uphours.database import ledger, special_dates
from uphours.database.database import Database, connect
from uphours.database.dated_values import EVERY
from uphours.database.feed import Exclusion, SpecialDate, exclusions, notes_of, numbers_of
from uphours.database.feed import special_dates as read_special_dates
from uphours.errors import NotFoundError
from uphours.schema import CLOSED, DAY_US, HOUR_US

TODAY = 20_000
NINE_TO_TEN = (9 * HOUR_US, 10 * HOUR_US)
EVENING = (20 * HOUR_US, 21 * HOUR_US)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = connect(url_in(tmp_path))
    made.write(by_hand(polls=[("1", "2023-01-25 10:00", 1), ("2", "2023-01-25 11:00", 0)]))
    return made


def enter(
    database: Database, *stores: str, day: int = TODAY, days: int = 1, counts_as: str = "excluded", note: str = ""
) -> int:
    starts = np.full(len(stores), day * DAY_US, dtype=np.int64)
    with database.writing() as connection:
        return ledger.enter(
            connection, stores, starts, starts + days * DAY_US, counts_as=counts_as, reason="other", note=note,
            actor="me", now=NOW,
        )  # fmt: skip


def excluded(database: Database, *stores: str, first: int = TODAY, last: int = TODAY) -> list[Exclusion]:
    with database.reading() as connection:
        return exclusions(connection, numbers_of(connection, stores) if stores else None, first, last)


def test_special_hours_are_those_of_every_store_and_of_the_stores_that_are_asked_about(database: Database) -> None:
    with database.writing() as connection:
        one = numbers_of(connection, ["1"])["1"]
        hours = [
            (EVERY, TODAY, *CLOSED), (one, TODAY, *EVENING), (one, TODAY, *NINE_TO_TEN), (EVERY, TODAY - 1, *CLOSED),
            (EVERY, TODAY + 2, *CLOSED), (one, TODAY + 1, *CLOSED),
        ]  # fmt: skip
        special_dates.replace(connection, np.array(hours, dtype=np.int64), {(one, TODAY): "Eve"}, load=1)
        special_dates.replace(connection, np.array([(EVERY, TODAY + 1, *CLOSED)], dtype=np.int64), {}, load=9)
        common = read_special_dates(connection, {}, TODAY, TODAY + 1)
        of_one = read_special_dates(connection, numbers_of(connection, ["1"]), TODAY, TODAY + 1)
        of_two = read_special_dates(connection, numbers_of(connection, ["2"]), TODAY, TODAY + 1)
    assert common == [SpecialDate(None, TODAY, (), "", NOW), SpecialDate(None, TODAY + 1, (), "", 0)]
    assert of_two == common
    assert of_one == [
        *common,
        SpecialDate("1", TODAY, (NINE_TO_TEN, EVENING), "Eve", NOW),
        SpecialDate("1", TODAY + 1, (), "", NOW),
    ]


def test_an_exclusion_has_its_stores_and_reaches_from_the_first_start_to_the_last_end(database: Database) -> None:
    day = TODAY * DAY_US
    starts = np.array([day, day + 5 * HOUR_US, day + HOUR_US], dtype=np.int64)
    with database.writing() as connection:
        entry = ledger.enter(
            connection, ["1", "1", "2"], starts, starts + HOUR_US, counts_as="excluded", reason="other", actor="me",
            now=NOW,
        )  # fmt: skip
    assert excluded(database) == [Exclusion(entry, "other", 2, day, day + 6 * HOUR_US, NOW)]
    assert excluded(database, "2") == [Exclusion(entry, "other", 1, day + HOUR_US, day + 2 * HOUR_US, NOW)]


def test_only_live_entries_that_exclude_time_then_and_there_are_found(database: Database) -> None:
    here = enter(database, "1")
    enter(database, "1", counts_as="up")
    before, after = enter(database, "1", day=TODAY - 1), enter(database, "1", day=TODAY + 1)
    around = enter(database, "2", day=TODAY - 9, days=20)
    gone = enter(database, "1", "2")
    with database.writing() as connection:
        withdrawal = ledger.withdraw(connection, gone, reason="other", actor="me", now=NOW)
    assert [one.entry for one in excluded(database)] == [here, around]
    assert [one.entry for one in excluded(database, "1")] == [here]
    assert [one.entry for one in excluded(database, "2")] == [around]
    assert [one.entry for one in excluded(database, "1", "2", first=TODAY - 1, last=TODAY + 1)] == [
        here, before, after, around,
    ]  # fmt: skip
    with database.writing() as connection:
        ledger.withdraw(connection, withdrawal, reason="other", actor="me", now=NOW)
    assert [one.entry for one in excluded(database)] == [here, around, gone]


def test_notes_are_those_of_the_entries_that_are_named(database: Database) -> None:
    first, _, third = (enter(database, "1", note=note) for note in ("a", "b", ""))
    with database.reading() as connection:
        assert notes_of(connection, [first, third]) == {first: "a", third: ""}
        assert notes_of(connection, []) == {}


def test_an_unknown_store_is_named(database: Database) -> None:
    with database.reading() as connection:
        assert set(numbers_of(connection, ["2", "1", "2"])) == {"1", "2"}
        for unknown in ("3", "1 ", "", "é"):
            with pytest.raises(NotFoundError, match=f"there is no store '{unknown}'"):
                numbers_of(connection, ["1", unknown])
