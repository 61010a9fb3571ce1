"""What is known of the sources that are watched: which files were read, what failed, when to try again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from uphours.database.tables import failing_files, source_files, sources, ticks
from uphours.schema import DAY_US, SECOND_US

#: How long after a first failure a source is tried again; each further failure doubles it.
FIRST_RETRY_US: Final = 30 * SECOND_US
_MOST_DOUBLINGS: Final = 20
#: A file is tried again after a day at the latest; of a source, the failures of up to this many files are kept.
_LONGEST_RETRY_US: Final = DAY_US
_MOST_FAILING: Final = 1000
#: So much of an error is kept.
_MOST_ERROR: Final = 1000
_PARAMETERS: Final = 500


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


@dataclass(frozen=True)
class FailingFile:
    """A file of a source that could not be read, and when it is tried again; instants in UTC microseconds."""

    name: str
    error: str
    failures: int
    failed_at: int
    retry_at: int


def states(connection: Connection) -> dict[str, SourceState]:
    """Return how each source is that was ever read, by name."""
    return {row["source"]: SourceState(**row) for row in connection.execute(select(sources)).mappings()}


def known(connection: Connection, source: str) -> set[str]:
    """Return the fingerprints of the files of a source that were read."""
    query = select(source_files.c.fingerprint).where(source_files.c.source == source)
    return set(connection.execute(query).scalars())


def record_file(connection: Connection, source: str, fingerprint: str, name: str, *, load: int, now: int) -> None:
    """Remember that a file was read, in the transaction that writes what it held."""
    _forget(connection, source, [fingerprint])
    values = {"source": source, "fingerprint": fingerprint, "name": name, "load": load, "read_at": now}
    connection.execute(insert(source_files).values(values))
    _change(connection, source, {"brought_at": now, "files_read": _state(connection, source).files_read + 1})


def begin_visit(connection: Connection, source: str, *, now: int) -> None:
    """Remember that a source is being visited, however that ends."""
    _change(connection, source, {"checked_at": now})


def record_failure(connection: Connection, source: str, fingerprint: str, name: str, *, error: str, now: int) -> None:
    """Remember that a file could not be read; it is tried again after ever longer."""
    this = (failing_files.c.source == source, failing_files.c.fingerprint == fingerprint)
    before = connection.execute(select(failing_files.c.failures).where(*this)).scalar()
    if before is None and _failing_count(connection, source) >= _MOST_FAILING:
        return
    wait = min(FIRST_RETRY_US << min(before or 0, _MOST_DOUBLINGS), _LONGEST_RETRY_US)
    values = {
        "name": name, "error": error[:_MOST_ERROR], "failures": (before or 0) + 1, "failed_at": now,
        "retry_at": now + wait,
    }  # fmt: skip
    if before is None:
        connection.execute(insert(failing_files).values(source=source, fingerprint=fingerprint, **values))
    else:
        connection.execute(update(failing_files).where(*this).values(values))


def _failing_count(connection: Connection, source: str) -> int:
    query = select(func.count()).select_from(failing_files).where(failing_files.c.source == source)
    count: int = connection.execute(query).scalar_one()
    return count


def waiting(connection: Connection, source: str, *, now: int) -> set[str]:
    """Return the fingerprints of the files that could not be read and are not to be tried again yet."""
    query = select(failing_files.c.fingerprint).where(failing_files.c.source == source, failing_files.c.retry_at > now)
    return set(connection.execute(query).scalars())


def forget_others(connection: Connection, source: str, fingerprints: Collection[str]) -> None:
    """Forget the files that could not be read and are not there any more, or are other ones by now."""
    found = connection.execute(select(failing_files.c.fingerprint).where(failing_files.c.source == source)).scalars()
    _forget(connection, source, set(found) - set(fingerprints))


def _forget(connection: Connection, source: str, fingerprints: Collection[str]) -> None:
    names = sorted(fingerprints)
    for start in range(0, len(names), _PARAMETERS):
        some = names[start : start + _PARAMETERS]
        of_them = (failing_files.c.source == source, failing_files.c.fingerprint.in_(some))
        connection.execute(delete(failing_files).where(*of_them))


def failing(connection: Connection) -> dict[str, list[FailingFile]]:
    """Return the files that could not be read, by source, those that failed last first."""
    columns = [failing_files.c[name] for name in FailingFile.__dataclass_fields__]
    query = select(failing_files.c.source, *columns).order_by(
        failing_files.c.failed_at.desc(), failing_files.c.fingerprint
    )
    found: dict[str, list[FailingFile]] = {}
    for source, *values in connection.execute(query):
        found.setdefault(source, []).append(FailingFile(*values))
    return found


def record_visit(connection: Connection, source: str, *, now: int, error: str | None, every: int) -> SourceState:
    """Remember how a visit to a source went.

    After a failure it is visited sooner than at its next time, and so it is when a file is to be tried again.
    """
    first = select(func.min(failing_files.c.retry_at)).where(failing_files.c.source == source)
    again = connection.execute(first).scalar()
    before = _state(connection, source)
    failures = before.failures + 1 if error else 0
    wait = min(FIRST_RETRY_US << min(failures - 1, _MOST_DOUBLINGS), every) if error else 0
    values = {
        "checked_at": now,
        "succeeded_at": before.succeeded_at if error else now,
        "failures": failures,
        "retry_at": now + wait if error else again,
        "error": None if error is None else error[:_MOST_ERROR],
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
    """Forget times that no one will come for again; the last one of a schedule may go on until its next."""
    last = connection.execute(select(ticks.c.schedule, func.max(ticks.c.due_at)).group_by(ticks.c.schedule)).all()
    for schedule, due_at in last:
        old = (ticks.c.schedule == schedule, ticks.c.due_at < before, ticks.c.due_at < due_at)
        connection.execute(delete(ticks).where(*old))
