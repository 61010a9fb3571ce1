"""The audit trail: every line is kept as it was said, and can be read page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.databases import url_in
from tests.fixtures.tables import NOW
from uphours.database.audit import Entry, list_audit, record
from uphours.database.database import Database, connect
from uphours.errors import InputError


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(url_in(tmp_path, "store.db"))


def write(database: Database, number: int, first: int = 0) -> None:
    with database.writing() as connection:
        for place in range(first, first + number):
            record(connection, at=NOW, actor="key:x", action="job.cancel", subject=str(place), details={})


def page(database: Database, *, before: int | None = None, limit: int) -> list[Entry]:
    with database.reading() as connection:
        return list_audit(connection, before=before, limit=limit)


def test_a_line_comes_back_as_it_was_said(database: Database) -> None:
    details = {"name": "Zürich – 'x' \"y\" \n\x00 店", "number": 2**60, "list": [1, None, True], "inner": {"a": 0.5}}
    with database.writing() as connection:
        record(connection, at=NOW, actor="cli:me", action="key.create", subject="a b", details=details)
    (entry,) = page(database, limit=9)
    assert entry == Entry(1, NOW, "cli:me", "key.create", "a b", details)
    assert entry.facts() == {
        "entry": 1, "at": NOW, "actor": "cli:me", "action": "key.create", "subject": "a b", "details": details,
    }  # fmt: skip


def test_details_are_compact_json(database: Database) -> None:
    with database.writing() as connection:
        record(connection, at=NOW, actor="x", action="x", subject="x", details={"name": "é", "n": [1, 2]})
        kept = connection.exec_driver_sql("SELECT details FROM audit").scalar_one()
    assert kept == '{"name":"é","n":[1,2]}'


def test_details_that_json_cannot_hold_are_refused(database: Database) -> None:
    for value, error in ((float("nan"), ValueError), (b"bytes", TypeError)):
        with pytest.raises(error), database.writing() as connection:
            record(connection, at=NOW, actor="x", action="x", subject="x", details={"value": value})
    assert page(database, limit=9) == []


def test_an_empty_trail_has_no_lines(database: Database) -> None:
    database.migrate()
    assert page(database, limit=9) == []


def test_the_newest_line_comes_first_also_within_an_instant(database: Database) -> None:
    write(database, 3)
    assert [entry.subject for entry in page(database, limit=9)] == ["2", "1", "0"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 100])
def test_pages_of_any_length_are_the_whole_trail_also_while_it_grows(database: Database, limit: int) -> None:
    write(database, 10)
    found: list[str] = []
    entries = page(database, limit=limit)
    while entries:
        assert len(entries) <= limit
        found += [entry.subject for entry in entries]
        write(database, 1, first=1000)
        entries = page(database, before=entries[-1].entry, limit=limit)
    assert found == [str(place) for place in reversed(range(10))]


def test_before_the_first_line_is_nothing(database: Database) -> None:
    write(database, 2)
    assert page(database, before=1, limit=9) == []


@pytest.mark.parametrize("number", [0, -1, 2**31, 10**30])
def test_a_number_that_no_page_can_have_is_refused(database: Database, number: int) -> None:
    write(database, 1)
    with pytest.raises(InputError, match=f"limit is {number}; valid are 1 to 2147483647"):
        page(database, limit=number)
    with pytest.raises(InputError, match=f"before is {number}; valid are 1 to 2147483647"):
        page(database, before=number, limit=1)


def test_the_largest_numbers_are_good(database: Database) -> None:
    write(database, 1)
    assert len(page(database, before=2**31 - 1, limit=2**31 - 1)) == 1
