"""The lease table: durable work that one worker at a time holds, and that is taken over when its worker dies.

A claim moves the fence of its job on. Anyone who writes anything for a job does it in a transaction that first
checks that the fence is still the one of its claim: a worker that was thought dead cannot finish what another
has taken over, so each result is written once.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    RowMapping,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from uphours.database import locks
from uphours.database.dialects.dialect import dialect_of
from uphours.database.tables import jobs, reports, uploads
from uphours.errors import LeaseLostError, QueueFullError
from uphours.schema import MILLISECOND_US, MINUTE_US, SECOND_US
from uphours.wire.words import JobKind, JobState

KINDS: Final[tuple[JobKind, ...]] = get_args(JobKind)

#: A worker that has not been heard of for so long is taken for dead.
LEASE_US: Final = 5 * SECOND_US
#: After a failure nothing waits longer than this; what seems to was put off by a clock that was ahead.
LONGEST_WAIT_US: Final = MINUTE_US
#: The `due_at` of what is due at once, whatever any clock says.
_AT_ONCE: Final = 0
#: A job whose worker has died so often is not tried again.
MAX_ATTEMPTS: Final = 5
DIED: Final = f"given up: the process that worked on it died {MAX_ATTEMPTS} times"
#: Jobs that a worker tries to get, the first ones in turn; others are taking those that it does not get.
_CANDIDATES: Final = 16
#: And looks so often again, as others may have taken all of them since they were read.
_ROUNDS: Final = 10
#: Jobs that are asked for in one statement.
_NAMES_AT_ONCE: Final = 500
#: Files that have not all come in after so long no longer count as waiting: the end of a server breaks uploads off.
RECEIVING_US: Final = 15 * MINUTE_US


@dataclass(frozen=True)
class Job:
    """A job as it stands; instants in UTC microseconds."""

    job: str
    kind: JobKind
    request: dict[str, Any]
    state: JobState
    created_at: int
    started_at: int | None
    finished_at: int | None
    attempts: int
    done: int
    total: int | None
    reason: str | None
    as_of: int | None
    loads_seen: int | None
    load: int | None
    entries_seen: int | None


@dataclass(frozen=True)
class Claim:
    """The right to work on a job, until another worker gets one with a higher fence."""

    job: str
    kind: JobKind
    request: dict[str, Any]
    attempts: int
    fence: int


def new_id() -> str:
    """Return a name that cannot be guessed."""
    return secrets.token_hex(16)


def canonical(request: Mapping[str, Any]) -> str:
    """Return a request as text, the same for the same request."""
    return json.dumps(request, sort_keys=True, separators=(",", ":"))


def submit(
    connection: Connection,
    kind: JobKind,
    request: Mapping[str, Any],
    *,
    now: int,
    limit: int | None = None,
    share: str | None = None,
    state: JobState = "queued",
    size: int = 0,
    asked_by: str = "",
) -> str:
    """Put a job into the queue and return its name.

    Jobs take turns as they come, but a large one lets those go first that come a little later and are smaller: a
    millisecond for each store of its ``size``, a minute at most, so that none waits for ever.

    Raises
    ------
    QueueFullError
        ``limit`` jobs of this kind are waiting already.
    """
    if limit is not None:
        check_room(connection, kind, limit, now=now, asked_by=asked_by)
    job = new_id()
    connection.execute(
        insert(jobs).values(
            job=job,
            kind=kind,
            request=canonical(request),
            share=share,
            state=state,
            created_at=now,
            due_at=_AT_ONCE,
            turn_at=now + min(size * MILLISECOND_US, LONGEST_WAIT_US),
            attempts=0,
            fence=0,
            done=0,
        )
    )
    return job


def check_room(connection: Connection, kind: JobKind, limit: int, *, now: int, asked_by: str = "") -> None:
    """Refuse one more job of a kind where ``limit`` of it are waiting: uploads keep no report out.

    ``asked_by``: the key that asks; half of the room at most is for one key.

    Raises
    ------
    QueueFullError
        Too many are waiting already.
    """
    waiting = select(func.count()).where(jobs.c.kind == kind, or_(jobs.c.state == "queued", _receiving(now)))
    locks.take(connection, "queue")
    if (found := connection.execute(waiting).scalar_one()) >= limit:
        raise QueueFullError(found)
    if asked_by:
        own = connection.execute(waiting.where(_asked_by(kind, asked_by))).scalar_one()
        if own >= max(limit // 2, 1):
            raise QueueFullError(own, "jobs of this API key")


def _asked_by(kind: JobKind, key: str) -> ColumnElement[bool]:
    if kind == "report":
        return jobs.c.job.in_(select(reports.c.job).where(reports.c.requested_by == key))
    # What a load remembers begins with who asked for it: `canonical` sorts names.
    return jobs.c.request.startswith(f'{{"actor":"key:{key}"', autoescape=True)


def received(connection: Connection, job: str, request: Mapping[str, Any], *, now: int) -> None:
    """Queue a job whose files have all come in.

    Raises
    ------
    LeaseLostError
        It was cancelled, or has expired.
    """
    values = {"state": "queued", "request": canonical(request), "due_at": _AT_ONCE, "turn_at": now}
    waits = (jobs.c.job == job, jobs.c.state == "receiving")
    if not connection.execute(update(jobs).where(*waits).values(values)).rowcount:
        raise LeaseLostError("the upload took so long that it was given up; send it again")


def active(connection: Connection, share: str) -> str | None:
    """Return the job under this name for shared work that is waiting or being done."""
    query = select(jobs.c.job).where(jobs.c.share == share, jobs.c.state.in_(["queued", "running"])).limit(1)
    return connection.execute(query).scalar()


def receiving(connection: Connection, share: str, *, now: int) -> bool:
    """Say whether the files of a job under this name are coming in."""
    query = select(jobs.c.job).where(jobs.c.share == share, _receiving(now)).limit(1)
    return connection.execute(query).first() is not None


def any_queued(connection: Connection, kinds: Collection[JobKind], now: int) -> bool:
    """Say whether a job is waiting; a look that needs no lock."""
    sql = "SELECT job FROM jobs WHERE state = 'queued' AND (due_at <= ? OR due_at > ?) AND kind IN (?) LIMIT 1"
    return _looked(connection, sql, (now, now + LONGEST_WAIT_US), kinds).first() is not None


def late(connection: Connection, kinds: Collection[JobKind], now: int) -> dict[str, int]:
    """Return the jobs whose lease is over, and since when; 0 where the worker is known to be dead.

    Also those whose lease ends later than any lease that begins now: there the worker's clock is ahead, or ours was.
    Whether the worker is dead shows in whether its lease still changes.
    """
    sql = (
        "SELECT job, lease_until FROM jobs WHERE state = 'running' AND (lease_until < ? OR lease_until > ?) "
        "AND kind IN (?)"
    )
    return dict(map(tuple, _looked(connection, sql, (now, now + 2 * LEASE_US), kinds)))


def _looked(
    connection: Connection, sql: str, instants: tuple[int, int], kinds: Collection[JobKind]
) -> CursorResult[Any]:
    # As text: idle workers look twenty times a second, and to build a query takes four times as long as to run it.
    marked = sql.replace("(?)", f"({', '.join('?' * len(kinds))})").replace("?", dialect_of(connection).mark)
    return connection.exec_driver_sql(marked, (*instants, *kinds))


def claim(
    connection: Connection, worker: str, kinds: Collection[JobKind], *, now: int, dead: Collection[str] | None = None
) -> Claim | None:
    """Take the job whose turn it is, or one whose worker is dead; none that someone else is taking just now.

    ``dead``: the jobs that may be taken over if their lease is still over; unless given, all of them.
    """
    of_kind = and_(jobs.c.kind.in_(kinds), jobs.c.state == "running")
    is_over = jobs.c.lease_until < now
    if dead is None:
        abandoned = and_(of_kind, is_over)
    else:
        abandoned = and_(of_kind, or_(is_over, jobs.c.lease_until > now + 2 * LEASE_US), jobs.c.job.in_(dead))
    _give_up(connection, abandoned, now)
    row = _first_free(connection, or_(_queued(kinds, now), abandoned), now)
    if row is None:
        return None
    made = Claim(row["job"], row["kind"], json.loads(row["request"]), row["attempts"] + 1, row["fence"] + 1)
    connection.execute(
        update(jobs)
        .where(jobs.c.job == made.job)
        .values(
            state="running",
            worker=worker,
            fence=made.fence,
            attempts=made.attempts,
            lease_until=now + LEASE_US,
            started_at=func.coalesce(jobs.c.started_at, now),
            done=0,
        )
    )
    return made


def _first_free(connection: Connection, wanted: ColumnElement[bool], now: int) -> RowMapping | None:
    """Lock the job whose turn it is, or the first after it that no one else has locked."""
    # A turn further ahead than any could be now was given by a clock that was ahead: that job has waited.
    turn = case((jobs.c.turn_at > now + LONGEST_WAIT_US, 0), else_=jobs.c.turn_at)
    # Names first, and then one row by its key: a sorted query would lock every row that it looks at on MySQL.
    in_turn = select(jobs.c.job).where(wanted).order_by(turn, jobs.c.job).limit(_CANDIDATES)
    for _ in range(_ROUNDS):
        names = connection.execute(in_turn).scalars().all()
        for job in names:
            one = select(jobs).where(jobs.c.job == job, wanted).with_for_update(skip_locked=True)
            if (row := connection.execute(one).mappings().first()) is not None:
                return row
        if not names:
            break
    return None


def _give_up(connection: Connection, abandoned: ColumnElement[bool], now: int) -> None:
    """End the jobs whose workers have died too often."""
    hopeless = select(jobs.c.job).where(abandoned, jobs.c.attempts >= MAX_ATTEMPTS)
    if connection.execute(hopeless.limit(1)).first() is None:
        return
    names = connection.execute(hopeless.with_for_update(skip_locked=True)).scalars().all()
    if names:
        connection.execute(delete(uploads).where(uploads.c.job.in_(names)))
        ended = {"state": "failed", "finished_at": now, "reason": DIED}
        connection.execute(update(jobs).where(jobs.c.job.in_(names)).values(ended))


def _receiving(now: int) -> ColumnElement[bool]:
    return and_(jobs.c.state == "receiving", jobs.c.created_at >= now - RECEIVING_US)


def _queued(kinds: Collection[JobKind], now: int) -> ColumnElement[bool]:
    is_due = or_(jobs.c.due_at <= now, jobs.c.due_at > now + LONGEST_WAIT_US)
    return and_(jobs.c.kind.in_(kinds), jobs.c.state == "queued", is_due)


def beat(connection: Connection, held: Claim, *, now: int, done: int, total: int | None) -> None:
    """Say that the worker is alive, and how far it is.

    Raises
    ------
    LeaseLostError
        The job is no longer this worker's.
    """
    _change(connection, held, lease_until=now + LEASE_US, done=done, total=total)


def hold(connection: Connection, held: Claim, *, now: int) -> None:
    """Make sure, in a transaction that writes, that the job is still this worker's, and will be until its end.

    No one else can change the job until then, not even its heartbeat: as late as possible.

    Raises
    ------
    LeaseLostError
        It is not.
    """
    _change(connection, held, lease_until=now + LEASE_US)


def finish(
    connection: Connection,
    held: Claim,
    *,
    now: int,
    state: JobState = "complete",
    reason: str | None = None,
    **values: int | None,
) -> None:
    """End a job, with what came out of it.

    ``values``: ``as_of``, ``loads_seen``, ``entries_seen``, ``load``, ``done``, ``total``.

    Raises
    ------
    LeaseLostError
        The job is no longer this worker's.
    """
    _change(connection, held, state=state, reason=reason, finished_at=now, lease_until=None, **values)


def hand_back(connection: Connection, held: Claim, *, now: int, wait: int = 0, reason: str | None = None) -> None:
    """Put a job back into the queue, to be due after ``wait``; an attempt that went well so far does not count.

    ``wait``: microseconds, `LONGEST_WAIT_US` at most.

    Raises
    ------
    LeaseLostError
        The job is no longer this worker's.
    """
    attempts = held.attempts if wait else held.attempts - 1
    due_at = now + min(wait, LONGEST_WAIT_US) if wait else _AT_ONCE
    _change(connection, held, state="queued", due_at=due_at, lease_until=None, reason=reason, attempts=attempts)


def _change(connection: Connection, held: Claim, **values: object) -> None:
    mine = (jobs.c.job == held.job, jobs.c.fence == held.fence, jobs.c.state == "running")
    if not connection.execute(update(jobs).where(*mine).values(values)).rowcount:
        raise LeaseLostError(f"the job {held.job} is no longer this worker's")


def release(connection: Connection, worker: str) -> None:
    """Let the jobs of a worker that is known to be dead be taken over at once."""
    connection.execute(update(jobs).where(jobs.c.state == "running", jobs.c.worker == worker).values(lease_until=0))


def cancel(connection: Connection, job: str, *, now: int) -> None:
    """End a job that no one waits for any more, whether it has begun or not."""
    unfinished = (jobs.c.job == job, jobs.c.state.in_(["receiving", "queued", "running"]))
    connection.execute(update(jobs).where(*unfinished).values(state="cancelled", finished_at=now, lease_until=None))


def ended(connection: Connection, names: Collection[str]) -> list[str]:
    """Return those of some jobs that have ended; one that is not there any more has."""
    found: list[str] = []
    for start in range(0, len(names), _NAMES_AT_ONCE):
        some = list(names)[start : start + _NAMES_AT_ONCE]
        going_on = select(jobs.c.job).where(jobs.c.job.in_(some), jobs.c.finished_at.is_(None))
        going = set(connection.execute(going_on).scalars())
        found += [job for job in some if job not in going]
    return found


def find(connection: Connection, job: str) -> Job | None:
    """Return a job by name."""
    row = connection.execute(select(*COLUMNS).where(jobs.c.job == job)).mappings().first()
    return None if row is None else job_of(row)


#: The columns that make a `Job`.
COLUMNS: Final = [jobs.c[name] for name in Job.__dataclass_fields__]


def job_of(row: RowMapping) -> Job:
    """Return the job that a row with `COLUMNS` describes."""
    return Job(**{name: row[name] for name in Job.__dataclass_fields__} | {"request": json.loads(row["request"])})


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many jobs there are of each kind and state."""
    query = select(jobs.c.kind, jobs.c.state, func.count()).group_by(jobs.c.kind, jobs.c.state)
    return {(kind, state): count for kind, state, count in connection.execute(query)}


def waiting_since(connection: Connection) -> int | None:
    """Return since when the longest waiting job has been due; None when none is waiting."""
    since = case((jobs.c.due_at == _AT_ONCE, jobs.c.created_at), else_=jobs.c.due_at)
    return connection.execute(select(func.min(since)).where(jobs.c.state == "queued")).scalar()
