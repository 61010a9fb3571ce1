"""The audit trail: every line is kept as it was said, and can be read page by page."""

from __future__ import annotations

from pathlib import Path

import pytest

from storepulse.errors import InputError
from storepulse.store import Store, connect
from storepulse.store.audit import Entry, list_audit, record
from tests.fixtures.databases import url_in
from tests.fixtures.tables import NOW


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return connect(url_in(tmp_path, "store.db"))


def write(store: Store, number: int, first: int = 0) -> None:
    with store.writing() as connection:
        for place in range(first, first + number):
            record(connection, at=NOW, actor="key:x", action="job.cancel", subject=str(place), details={})


def page(store: Store, *, before: int | None = None, limit: int) -> list[Entry]:
    with store.reading() as connection:
        return list_audit(connection, before=before, limit=limit)


def test_a_line_comes_back_as_it_was_said(store: Store) -> None:
    details = {"name": "Zürich – 'x' \"y\" \n\x00 店", "number": 2**60, "list": [1, None, True], "inner": {"a": 0.5}}
    with store.writing() as connection:
        record(connection, at=NOW, actor="cli:me", action="key.create", subject="a b", details=details)
    (entry,) = page(store, limit=9)
    assert entry == Entry(1, NOW, "cli:me", "key.create", "a b", details)
    assert entry.facts() == {
        "entry": 1, "at": NOW, "actor": "cli:me", "action": "key.create", "subject": "a b", "details": details,
    }  # fmt: skip


def test_details_are_compact_json(store: Store) -> None:
    with store.writing() as connection:
        record(connection, at=NOW, actor="x", action="x", subject="x", details={"name": "é", "n": [1, 2]})
        kept = connection.exec_driver_sql("SELECT details FROM audit").scalar_one()
    assert kept == '{"name":"é","n":[1,2]}'


def test_details_that_json_cannot_hold_are_refused(store: Store) -> None:
    for value, error in ((float("nan"), ValueError), (b"bytes", TypeError)):
        with pytest.raises(error), store.writing() as connection:
            record(connection, at=NOW, actor="x", action="x", subject="x", details={"value": value})
    assert page(store, limit=9) == []


def test_an_empty_trail_has_no_lines(store: Store) -> None:
    store.migrate()
    assert page(store, limit=9) == []


def test_the_newest_line_comes_first_also_within_an_instant(store: Store) -> None:
    write(store, 3)
    assert [entry.subject for entry in page(store, limit=9)] == ["2", "1", "0"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 10, 100])
def test_pages_of_any_length_are_the_whole_trail_also_while_it_grows(store: Store, limit: int) -> None:
    write(store, 10)
    found: list[str] = []
    entries = page(store, limit=limit)
    while entries:
        assert len(entries) <= limit
        found += [entry.subject for entry in entries]
        write(store, 1, first=1000)
        entries = page(store, before=entries[-1].entry, limit=limit)
    assert found == [str(place) for place in reversed(range(10))]


def test_before_the_first_line_is_nothing(store: Store) -> None:
    write(store, 2)
    assert page(store, before=1, limit=9) == []


@pytest.mark.parametrize("number", [0, -1, 2**31, 10**30])
def test_a_number_that_no_page_can_have_is_refused(store: Store, number: int) -> None:
    write(store, 1)
    with pytest.raises(InputError, match=f"limit is {number}; valid are 1 to 2147483647"):
        page(store, limit=number)
    with pytest.raises(InputError, match=f"before is {number}; valid are 1 to 2147483647"):
        page(store, before=number, limit=1)


def test_the_largest_numbers_are_good(store: Store) -> None:
    write(store, 1)
    assert len(page(store, before=2**31 - 1, limit=2**31 - 1)) == 1
