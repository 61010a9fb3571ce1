"""What is known of the sources that are watched: which files were read, what failed, when to try again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from storepulse.schema import SECOND_US
from storepulse.store.tables import source_files, sources, ticks

#: How long after a first failure a source is tried again; each further failure doubles it.
FIRST_RETRY_US: Final = 30 * SECOND_US
_MOST_DOUBLINGS: Final = 20


@dataclass(frozen=True)
class SourceState:
    """How a source is; ``brought_at`` is when it last had a new file. Instants in UTC microseconds."""

    source: str
    checked_at: int | None = None
    succeeded_at: int | None = None
    brought_at: int | None = None
    files_read: int = 0
    failures: int = 0
    retry_at: int | None = None
    error: str | None = None


def states(connection: Connection) -> dict[str, SourceState]:
    """Return how each source is that was ever read, by name."""
    return {row["source"]: SourceState(**row) for row in connection.execute(select(sources)).mappings()}


def known(connection: Connection, source: str) -> set[str]:
    """Return the fingerprints of the files of a source that were read."""
    query = select(source_files.c.fingerprint).where(source_files.c.source == source)
    return set(connection.execute(query).scalars())


def record_file(connection: Connection, source: str, fingerprint: str, name: str, *, load: int, now: int) -> None:
    """Remember that a file was read, in the transaction that writes what it held."""
    values = {"source": source, "fingerprint": fingerprint, "name": name, "load": load, "read_at": now}
    connection.execute(insert(source_files).values(values))
    _change(connection, source, {"brought_at": now, "files_read": _state(connection, source).files_read + 1})


def record_visit(connection: Connection, source: str, *, now: int, error: str | None, every: int) -> SourceState:
    """Remember how a visit to a source went; after a failure it is tried again sooner than at its next time."""
    before = _state(connection, source)
    failures = before.failures + 1 if error else 0
    wait = min(FIRST_RETRY_US << min(failures - 1, _MOST_DOUBLINGS), every) if error else 0
    values = {
        "checked_at": now,
        "succeeded_at": before.succeeded_at if error else now,
        "failures": failures,
        "retry_at": now + wait if error else None,
        "error": error,
    }
    _change(connection, source, values)
    return states(connection)[source]


def _state(connection: Connection, source: str) -> SourceState:
    return states(connection).get(source, SourceState(source))


def _change(connection: Connection, source: str, values: Mapping[str, object]) -> None:
    """Change what is known of a source; of a new one, as long as nothing is."""
    if not connection.execute(update(sources).where(sources.c.source == source).values(values)).rowcount:
        connection.execute(insert(sources).values({"source": source, "files_read": 0, "failures": 0, **values}))


def tick(connection: Connection, schedule: str, due_at: int) -> bool:
    """Say whether the caller is the first to come for this time of a schedule: only one ever is."""
    try:
        with connection.begin_nested():
            connection.execute(insert(ticks).values(schedule=schedule, due_at=due_at))
    except IntegrityError:
        return False
    return True


def forget_ticks(connection: Connection, *, before: int) -> None:
    """Forget times that nobody will come for again; the last one of a schedule may go on until its next."""
    last = connection.execute(select(ticks.c.schedule, func.max(ticks.c.due_at)).group_by(ticks.c.schedule)).all()
    for schedule, due_at in last:
        old = (ticks.c.schedule == schedule, ticks.c.due_at < before, ticks.c.due_at < due_at)
        connection.execute(delete(ticks).where(*old))
