"""Reports that are saved by name: replaced, told apart by their owner, deleted, and all of it on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.databases import url_in
from tests.fixtures.tables import NOW
from uphours.database import saved_reports
from uphours.database.audit import list_audit
from uphours.database.database import Database, connect
from uphours.database.saved_reports import MOST_SAVED, NAME_MAX_LENGTH, SavedReport, check_name
from uphours.errors import ConflictError, InputError, NotFoundError
from uphours.reports.request import ReportRequest


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    made.migrate()
    yield made
    made.close()


def saved(name: str, owner: str = "", window: str = "last_week", now: int = NOW) -> SavedReport:
    return SavedReport(name, owner, ReportRequest(windows=(window,)).to_dict(), owner or "k1", now)


def save(database: Database, *reports: SavedReport) -> None:
    with database.writing() as connection:
        for report in reports:
            saved_reports.save(connection, report, actor=f"key:{report.created_by}")


def listed(database: Database, owner: str | None) -> list[SavedReport]:
    with database.reading() as connection:
        return saved_reports.list_saved(connection, owner)


def test_reports_are_saved_by_name_and_replaced_under_the_same_one(database: Database) -> None:
    save(database, saved("Käse 🏪"), saved("B"), saved("b"))
    assert listed(database, "") == [saved("B"), saved("Käse 🏪"), saved("b")]
    save(database, saved("b", window="yesterday", now=NOW + 1))
    assert listed(database, "") == [saved("B"), saved("Käse 🏪"), saved("b", window="yesterday", now=NOW + 1)]


def test_the_same_name_is_another_report_of_another_owner(database: Database) -> None:
    save(database, saved("weekly"), saved("weekly", "k2", "yesterday"))
    assert listed(database, "k2") == [saved("weekly", "k2", "yesterday")]
    assert listed(database, None) == [saved("weekly"), saved("weekly", "k2", "yesterday")]
    with database.writing() as connection:
        with pytest.raises(NotFoundError, match="saved report 'weekly'"):
            saved_reports.forget(connection, "weekly", "k3", actor="key:k3", now=NOW)
        assert saved_reports.forget(connection, "weekly", "k2", actor="key:k2", now=NOW + 1).owner == "k2"
    assert listed(database, None) == [saved("weekly")]
    with database.reading() as connection:
        lines = [(one.actor, one.action, one.subject, one.details) for one in list_audit(connection, limit=10)]
    assert lines == [
        ("key:k2", "report.forget", "weekly", {"owner": "k2"}),
        ("key:k2", "report.save", "weekly", {"owner": "k2"}),
        ("key:k1", "report.save", "weekly", {}),
    ]


def test_an_owner_has_a_hundred_saved_reports_and_no_more(database: Database) -> None:
    save(database, *(saved(f"report {number}") for number in range(MOST_SAVED)))
    with pytest.raises(ConflictError, match="delete one of them first"):
        save(database, saved("one more"))
    save(database, saved("report 0", window="yesterday"), saved("one more", "k2"))
    assert len(listed(database, None)) == MOST_SAVED + 1


@pytest.mark.parametrize("name", ["", "a" * (NAME_MAX_LENGTH + 1), " a", "a ", "a/b", "..", "a\nb", "a\u202eb"])
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="valid are 1 to 100"):
        check_name(name)
