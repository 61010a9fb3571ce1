"""Reports that were asked for: who waits for which job, and the results that are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Column, Connection, RowMapping, and_, delete, func, insert, or_, select, update

from uphours.database import locks, queue, uploads
from uphours.database.dialects.dialect import parts_of
from uphours.database.queue import Job
from uphours.database.tables import adjustments, jobs, loads, reports, results, stores
from uphours.database.tables import uploads as upload_table
from uphours.errors import ConflictError, NotFoundError
from uphours.wire.words import JobState

_PARAMETERS: Final = 500
_HINT: Final = "reports are kept for some weeks; trigger a new one"


@dataclass(frozen=True)
class Requested:
    """A report that was asked for, and the job that makes it; of a cancelled report as it is for who cancelled."""

    report: str
    requested_by: str
    created_at: int
    cancelled_at: int | None
    job: Job

    @property
    def state(self) -> JobState:
        """How far it is."""
        return self.job.state


def request(
    connection: Connection,
    options: Mapping[str, Any],
    *,
    made_with: str,
    requested_by: str,
    now: int,
    limit: int,
    idempotency_key: str | None = None,
) -> Requested:
    """Ask for a report; anyone who asks for the same on the same data while it is being made shares the work.

    Parameters
    ----------
    options
        What a job remembers, as plain values.
    made_with
        The versions of what makes it.
    idempotency_key
        Asking again with the same key gives the same report.

    Raises
    ------
    QueueFullError
        ``limit`` jobs are waiting already.
    ConflictError
        The idempotency key was used for another request.
    """
    locks.take(connection, "queue")
    if idempotency_key is not None:
        before = _by_idempotency_key(connection, requested_by, idempotency_key)
        if before is not None:
            if queue.canonical(before.job.request) != queue.canonical(options):
                raise ConflictError("this Idempotency-Key was used for another request; use a new one")
            return before
    seen = f"{_last(connection, loads.c.load)} {_last(connection, adjustments.c.entry)}"
    share = hashlib.sha256(f"{queue.canonical(options)} {made_with} {seen}".encode()).hexdigest()
    job = queue.active(connection, share) or queue.submit(
        connection,
        "report",
        options,
        now=now,
        limit=limit,
        share=share,
        size=size(connection, options),
        asked_by=requested_by,
    )
    report = queue.new_id()
    connection.execute(
        insert(reports).values(
            report=report, job=job, requested_by=requested_by, created_at=now, idempotency_key=idempotency_key
        )
    )
    return find(connection, report)


def size(connection: Connection, options: Mapping[str, Any]) -> int:
    """Return of how many stores a report is."""
    if (chosen := options.get("stores")) is not None:
        return len(chosen)
    return _last(connection, stores.c.store)


def _last(connection: Connection, number: Column[Any]) -> int:
    last: int = connection.execute(select(func.coalesce(func.max(number), 0))).scalar_one()
    return last


def _by_idempotency_key(connection: Connection, requested_by: str, key: str) -> Requested | None:
    query = _QUERY.where(reports.c.requested_by == requested_by, reports.c.idempotency_key == key)
    row = connection.execute(query).mappings().first()
    return None if row is None else _requested(row)


_MINE: Final = ("report", "requested_by", "cancelled_at")
_QUERY: Final = select(
    *(reports.c[name] for name in _MINE), reports.c.created_at.label("requested_at"), *queue.COLUMNS
).join_from(reports, jobs, reports.c.job == jobs.c.job)


def _requested(row: RowMapping) -> Requested:
    mine = {name: row[name] for name in _MINE}
    job = queue.job_of(row)
    if row["cancelled_at"] is not None:
        job = _cancelled(job, row["cancelled_at"])
    return Requested(**mine, created_at=row["requested_at"], job=job)


def _cancelled(job: Job, at: int) -> Job:
    """Return a job as cancelled: others may wait for it still, but what comes of it is theirs."""
    started_at = None if job.started_at is None or job.started_at > at else job.started_at
    nothing: dict[str, Any] = dict.fromkeys(("total", "reason", "as_of", "loads_seen", "entries_seen"))
    return replace(job, state="cancelled", started_at=started_at, finished_at=at, done=0, **nothing)


def find(connection: Connection, report: str) -> Requested:
    """Return a report by name.

    Raises
    ------
    NotFoundError
        There is none, or it has expired.
    """
    found = find_some(connection, {report}).get(report)
    if found is None:
        raise no_report(report)
    return found


def find_some(connection: Connection, names: Collection[str]) -> dict[str, Requested]:
    """Return those of some reports that there are, by name."""
    # A driver may refuse a text that can be no name, and with it all the others.
    possible = [name for name in names if name.isascii() and name.isprintable()]
    return {
        row["report"]: _requested(row)
        for part in parts_of(possible)
        for row in connection.execute(_QUERY.where(reports.c.report.in_(part))).mappings()
    }


def no_report(report: str) -> NotFoundError:
    """Return the error that there is no such report."""
    return NotFoundError("report", report[:64], _HINT)


def list_reports(
    connection: Connection, *, before: tuple[int, str] | None, limit: int, requested_by: str | None = None
) -> list[Requested]:
    """Return reports, the newest first, after the one that ``before`` names by created_at and report.

    ``requested_by``: those of one key alone.
    """
    query = _QUERY if requested_by is None else _QUERY.where(reports.c.requested_by == requested_by)
    query = query.order_by(reports.c.created_at.desc(), reports.c.report.desc()).limit(limit)
    if before is not None:
        at, report = before
        older = or_(reports.c.created_at < at, and_(reports.c.created_at == at, reports.c.report < report))
        query = query.where(older)
    return [_requested(row) for row in connection.execute(query).mappings()]


def cancel(connection: Connection, report: str, *, now: int) -> Requested:
    """Cancel a report; its job ends with the last one that waits for it. Cancelling again changes nothing.

    Raises
    ------
    NotFoundError
        There is no such report.
    ConflictError
        It has ended already.
    """
    locks.take(connection, "queue")
    found = find(connection, report)
    if found.state == "cancelled":
        return found
    if found.job.finished_at is not None:
        raise ConflictError(f"the report {report} has ended already: it is {found.state}")
    connection.execute(update(reports).where(reports.c.report == report).values(cancelled_at=now))
    others = select(reports.c.report).where(reports.c.job == found.job.job, reports.c.cancelled_at.is_(None))
    if connection.execute(others.limit(1)).first() is None:
        queue.cancel(connection, found.job.job, now=now)
    return find(connection, report)


def keep(connection: Connection, job: str, content: bytes) -> None:
    """Keep the result of a job, in the transaction that ends it."""
    parts = [content[start : start + uploads.PART] for start in range(0, len(content), uploads.PART)]
    connection.execute(insert(results), [{"job": job, "part": at, "content": part} for at, part in enumerate(parts)])


def result(connection: Connection, job: str) -> bytes:
    """Return the result of a job that is complete.

    Raises
    ------
    NotFoundError
        There is none, or it has just expired.
    """
    query = select(results.c.content).where(results.c.job == job).order_by(results.c.part)
    parts = connection.execute(query).scalars().all()
    if not parts:
        raise NotFoundError("result of job", job, _HINT)
    return b"".join(parts)


def expire(connection: Connection, *, before: int, broken_off_before: int) -> int:
    """Forget reports that were asked for before an instant, and all other jobs that ended before it.

    ``broken_off_before``: uploads that began before it and never came in whole are forgotten too. Returns how many
    reports were forgotten.
    """
    ended = jobs.c.finished_at.is_not(None)
    # The names are read first: MySQL changes no table that the same statement reads.
    old = select(reports.c.report).join(jobs, reports.c.job == jobs.c.job).where(reports.c.created_at < before, ended)
    forgotten = _forget(connection, reports.c.report, connection.execute(old).scalars().all())
    nobody_waits = ~select(reports.c.report).where(reports.c.job == jobs.c.job).exists()
    left_over = and_(ended, jobs.c.finished_at < before, nobody_waits)
    broken_off = and_(jobs.c.state == "receiving", jobs.c.created_at < broken_off_before)
    gone = connection.execute(select(jobs.c.job).where(or_(left_over, broken_off))).scalars().all()
    for column in (results.c.job, upload_table.c.job, jobs.c.job):
        _forget(connection, column, gone)
    return forgotten


def _forget(connection: Connection, column: Column[Any], names: Sequence[str]) -> int:
    parts = (names[start : start + _PARAMETERS] for start in range(0, len(names), _PARAMETERS))
    return sum(connection.execute(delete(column.table).where(column.in_(part))).rowcount for part in parts)
