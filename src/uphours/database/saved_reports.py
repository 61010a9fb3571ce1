"""Saved reports: requests that are kept by name, to be asked again of what is there then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, insert, select

from uphours.database import audit, locks
from uphours.database.tables import saved_reports
from uphours.errors import ConflictError, InputError, NotFoundError, shown

NAME_MAX_LENGTH: Final = 100
#: How many one owner may have; everything that lists them lists all.
MOST_SAVED: Final = 100


@dataclass(frozen=True)
class SavedReport:
    """A request by name.

    ``owner``: the key, bound to some stores, that has it to itself; blank: all who see every store share it.
    ``request``: as `uphours.reports.request.ReportRequest.to_dict` writes it, without an instant. ``created_by``: the
    key that saved it last, and ``created_at`` when, in UTC microseconds.
    """

    name: str
    owner: str
    request: Mapping[str, Any]
    created_by: str
    created_at: int


def check_name(name: str) -> None:
    """Refuse a name that cannot stand in an address, or that cannot be read.

    Raises
    ------
    InputError
        It is empty or too long, has a slash or what is not printable, or begins with a dot or has blanks around it.
    """
    is_plain = name.isprintable() and name == name.strip() and "/" not in name and not name.startswith(".")
    if not 1 <= len(name) <= NAME_MAX_LENGTH or not is_plain:
        raise InputError(
            f"a report cannot be saved as {shown(name)}; valid are 1 to {NAME_MAX_LENGTH} printable characters without "
            "a slash, without blanks around them and without a dot in front",
            field="name",
        )


def save(connection: Connection, report: SavedReport, *, actor: str) -> None:
    """Save a report; one that its owner has under the same name already is replaced.

    Raises
    ------
    InputError
        As with `check_name`.
    ConflictError
        Its owner has as many as there may be.
    """
    check_name(report.name)
    locks.take(connection, "saved reports")
    s = saved_reports.c
    connection.execute(delete(saved_reports).where(s.owner == report.owner, s.name == report.name))
    count = connection.execute(select(func.count()).where(s.owner == report.owner)).scalar_one()
    if count >= MOST_SAVED:
        raise ConflictError(
            f"{count} reports are saved already, as many as there may be; delete one of them first", field="name"
        )
    request = json.dumps(report.request, ensure_ascii=False, allow_nan=False)
    connection.execute(insert(saved_reports).values(**{**vars(report), "request": request}))
    _record(connection, report, actor, "report.save", report.created_at)


def forget(connection: Connection, name: str, owner: str, *, actor: str, now: int) -> SavedReport:
    """Delete a saved report, and return what it was.

    Raises
    ------
    NotFoundError
        There is none.
    """
    locks.take(connection, "saved reports")
    report = find(connection, name, owner)
    s = saved_reports.c
    connection.execute(delete(saved_reports).where(s.owner == owner, s.name == name))
    _record(connection, report, actor, "report.forget", now)
    return report


def _record(connection: Connection, report: SavedReport, actor: str, action: str, at: int) -> None:
    details = {"owner": report.owner} if report.owner else {}
    audit.record(connection, at=at, actor=actor, action=action, subject=report.name, details=details)


def find(connection: Connection, name: str, owner: str) -> SavedReport:
    """Return a saved report.

    Raises
    ------
    NotFoundError
        There is none.
    """
    found = next((report for report in list_saved(connection, owner) if report.name == name), None)
    if found is None:
        raise no_saved_report(name)
    return found


def no_saved_report(name: str) -> NotFoundError:
    """Return what is said where there is none."""
    return NotFoundError("saved report", name, "`GET /v1/saved-reports` lists those that there are")


def list_saved(connection: Connection, owner: str | None) -> list[SavedReport]:
    """Return the saved reports of an owner, or all of them, by name and then by owner."""
    s = saved_reports.c
    query = select(saved_reports).order_by(s.name, s.owner)
    rows = connection.execute(query if owner is None else query.where(s.owner == owner)).mappings()
    return [SavedReport(**{**row, "request": json.loads(row["request"])}) for row in rows]
