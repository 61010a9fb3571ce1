"""The audit trail: who did what to what, and when. Lines are added, never changed or taken away."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from uphours.database.tables import audit
from uphours.errors import InputError

_LARGEST: Final = 2**31 - 1


@dataclass(frozen=True)
class Entry:
    """A line of the trail: ``actor`` did ``action`` to ``subject`` at an instant. Later lines have greater numbers."""

    entry: int
    at: int
    actor: str
    action: str
    subject: str
    details: Mapping[str, object]

    def facts(self) -> dict[str, Any]:
        """Return the line as plain values."""
        return asdict(self)


def record(
    connection: Connection, *, at: int, actor: str, action: str, subject: str, details: Mapping[str, object]
) -> None:
    """Add a line, in the transaction of what it tells of: both are kept, or neither.

    ``details`` are values that JSON can hold, and never secrets: anyone who may read the trail reads all of it.
    """
    text = json.dumps(details, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    connection.execute(insert(audit).values(at=at, actor=actor, action=action, subject=subject, details=text))


def list_audit(connection: Connection, *, before: int | None = None, limit: int) -> list[Entry]:
    """Return up to ``limit`` lines, the newest first; the next page is ``before`` the last line of this one.

    Raises
    ------
    InputError
        ``before`` or ``limit`` is not a number that a page can have.
    """
    query = select(audit).order_by(audit.c.entry.desc()).limit(_counting("limit", limit))
    if before is not None:
        query = query.where(audit.c.entry < _counting("before", before))
    rows = connection.execute(query).mappings()
    return [Entry(**{**row, "details": json.loads(row["details"])}) for row in rows]


def _counting(name: str, value: int) -> int:
    """Refuse what SQLite reads as "no limit" (below 0) or cannot hold."""
    if not 1 <= value <= _LARGEST:
        raise InputError(f"{name} is {value}; valid are 1 to {_LARGEST}")
    return value
