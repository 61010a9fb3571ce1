"""A check-up of a database: can it be reached, is it whole, do the clocks agree, may we do our work, what is slow."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection, and_, case, func, select

from uphours.database import polled_days, properties
from uphours.database import sources as source_table
from uphours.database.database import Database
from uphours.database.dated_values import EVERY
from uphours.database.dialects.dialect import Finding
from uphours.database.migrate import SCHEMA_VERSION, check, check_ours
from uphours.database.queue import LEASE_US, waiting_since
from uphours.database.tables import (
    adjusted,
    adjustments,
    attributes,
    business_hours,
    jobs,
    loads,
    quarantine,
    results,
    sources,
    special_hours,
    stores,
    targets,
    timezones,
    unknown_hours,
)
from uphours.errors import DatabaseError, NotFoundError
from uphours.load_record import MOST_KEPT
from uphours.schema import MINUTE_US, PERIODS, SECOND_US, WHOLE_SHARE, WITHDRAWAL, instant_text

#: How long damage is looked for, in seconds.
_LOOK_OVER_S: Final = 60.0
#: A clock that is off by so much is worth a word; by a lease, workers take over each other's jobs.
_SKEW_WARNING_US: Final = SECOND_US
_SLOW_COMMIT_S: Final = 0.05
_COMMITS: Final = 5
#: Files of a source that are named.
_FILES_NAMED: Final = 5
_LONG_WAIT_US: Final = 10 * MINUTE_US


def checkup(database: Database, *, now: Callable[[], int]) -> Iterator[Finding]:
    """Look at everything, one thing after the other; ``now`` gives UTC microseconds.

    A store that cannot be used at all gives one finding that says why.
    """
    try:
        version = _version(database)
        yield version or Finding(
            "version", "good", "there are no tables yet: `uphours load` or `uphours migrate` makes them"
        )
        yield from database.engine.checkup()
        if version is None or version.state != "good":
            return  # the rest is about tables as this program knows them
        yield from _retention(database)
        yield from _clock(database, now)
        yield from _integrity(database)
        yield from _work(database, now())
        yield from _speed(database)
    except DatabaseError as error:
        yield Finding(error.about, "bad", str(error))
    except NotFoundError as error:
        yield Finding(error.kind, "bad", str(error))


def _version(database: Database) -> Finding | None:
    """Return what there is to say of the version; None where there is no database yet."""
    if database.engine.is_server:
        with database.engine.reading() as connection:
            if "alembic_version" not in check_ours(connection):
                return None
    else:
        try:
            database.engine.check_there()
        except NotFoundError:
            return None
    with database.engine.reading() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    if check(found):
        says = f"the tables are at version {found}, this program's at {SCHEMA_VERSION}: `uphours migrate`"
        return Finding("version", "warning", says)
    return Finding("version", "good", f"the tables are at version {found}, as this program's")


def _retention(database: Database) -> Iterator[Finding]:
    with database.reading() as connection:
        before = properties.get(connection, "pruned_before")
    if before is not None:
        yield Finding("retention", "good", f"observations before {instant_text(int(before))} were pruned")


def _clock(database: Database, now: Callable[[], int]) -> Iterator[Finding]:
    with database.reading() as connection:
        database.engine.server_time(connection)  # the first one takes longer
        earliest, server, latest = now(), database.engine.server_time(connection), now()
    if server is None:
        return
    skew = max(earliest - server, server - latest, 0)
    says = f"this machine's and the server's differ by {skew / SECOND_US:.3f} s"
    if skew >= LEASE_US // 2:
        yield Finding("clock", "bad", f"{says}: workers would take over each other's jobs; synchronize them")
    elif skew >= _SKEW_WARNING_US:
        yield Finding("clock", "warning", f"{says}; synchronize them")
    else:
        yield Finding("clock", "good", says)


def _integrity(database: Database) -> Iterator[Finding]:
    whole = database.look_over(_LOOK_OVER_S)
    with database.reading() as connection:
        wrong = [says for says, count in _contradictions(connection) if count]
    if wrong:
        yield Finding("integrity", "bad", "; ".join(wrong))
    elif whole:
        yield Finding("integrity", "good", "nothing is damaged, and nothing contradicts anything else")
    else:
        yield Finding("integrity", "good", f"nothing is damaged in what could be looked at in {_LOOK_OVER_S:.0f} s")


def _contradictions(connection: Connection) -> Iterator[tuple[str, int]]:
    """Count rows that contradict each other, whatever wrote them."""

    def count(query: object) -> int:
        found: int = connection.execute(select(func.count()).select_from(query)).scalar_one()  # type: ignore[arg-type]
        return found

    for table in (business_hours, timezones, unknown_hours, special_hours, attributes, adjusted):
        strays = select(table.c.store).where(table.c.store.not_in(select(stores.c.store)))
        if table is special_hours:
            strays = strays.where(table.c.store != EVERY)
        yield f"{table.name} has rows of stores that are not there", count(strays.subquery())
    for kind, usable in (("hours", business_hours), ("timezones", timezones)):
        both = select(unknown_hours.c.store).where(
            unknown_hours.c.kind == kind, unknown_hours.c.store.in_(select(usable.c.store))
        )
        yield f"the {kind} of stores that have some are said to be unknown", count(both.subquery())
    yield from _contradictions_of_the_ledger(connection)
    t = targets.c
    no_target = select(func.count()).where(
        (t.period.not_in(PERIODS) & t.share.is_not(None)) | ~t.share.between(1, WHOLE_SHARE)
    )
    yield "a target has no share of a period", connection.execute(no_target).scalar_one()
    set_aside = select(func.count()).where(quarantine.c.load == loads.c.load).scalar_subquery()
    # Of more rows than that, only the first ones are kept; loads of earlier versions have all.
    kept = case((loads.c.quarantined > MOST_KEPT, MOST_KEPT), else_=loads.c.quarantined)
    lost = select(loads.c.load).where((set_aside < kept) | (set_aside > loads.c.quarantined)).subquery()
    yield "a load lacks rows of its quarantine", count(lost)
    day = polled_days.latest(connection)
    is_lacking = day is not None and not polled_days.polled(connection, day, day)
    yield "polled_days lacks the day of the latest observation", int(is_lacking)
    first = and_(results.c.job == jobs.c.job, results.c.part == 0)
    empty = (
        select(jobs.c.job)
        .join(results, first, isouter=True)
        .where(jobs.c.kind == "report", jobs.c.state == "complete", results.c.job.is_(None))
        .subquery()
    )
    yield "a report is complete and has no result", count(empty)


def _contradictions_of_the_ledger(connection: Connection) -> Iterator[tuple[str, int]]:
    a, i = adjustments.c, adjusted.c
    entries, last = connection.execute(select(func.count(), func.coalesce(func.max(a.entry), 0))).one()
    yield "the ledger lacks entries", last - entries
    of_none = select(func.count()).where(a.counts_as != WITHDRAWAL, a.entry.not_in(select(i.entry)))
    yield "an entry of the ledger has no interval", connection.execute(of_none).scalar_one()
    other = adjustments.alias("other").c
    earlier = select(other.entry).where(other.entry == a.withdraws, other.entry < a.entry).exists()
    astray = select(func.count()).where(a.counts_as == WITHDRAWAL, ~earlier)
    yield "an entry of the ledger withdraws one that is not there", connection.execute(astray).scalar_one()
    empty = select(func.count()).where(i.end_at <= i.start_at)
    yield "an interval of the ledger is empty", connection.execute(empty).scalar_one()


def _work(database: Database, now: int) -> Iterator[Finding]:
    with database.reading() as connection:
        since = waiting_since(connection)
        late = connection.execute(
            select(func.count()).where(jobs.c.state == "running", jobs.c.lease_until < now - 2 * LEASE_US)
        ).scalar_one()
        failing = connection.execute(select(sources.c.source).where(sources.c.failures > 0)).scalars().all()
        files = source_table.failing(connection)
    if late:
        yield Finding("jobs", "warning", f"{late} of dead workers wait to be taken over: is a worker running?")
    elif since is not None and now - since > _LONG_WAIT_US:
        yield Finding("jobs", "warning", f"one has waited since {instant_text(since)}: is a worker running?")
    else:
        yield Finding("jobs", "good", "none waits for long")
    if failing:
        yield Finding("sources", "warning", f"failing: {', '.join(sorted(failing))}")
    for source, failing_files in sorted(files.items()):
        named = "; ".join(f"{file.name}: {file.error}" for file in failing_files[:_FILES_NAMED])
        more = len(failing_files) - _FILES_NAMED
        and_more = f"; and {more} more" if more > 0 else ""
        yield Finding("sources", "warning", f"files of {source} cannot be read: {named}{and_more}")


def _speed(database: Database) -> Iterator[Finding]:
    if not database.engine.is_writable():
        return  # which was said of the rights
    seconds = []
    for _ in range(_COMMITS):
        began = time.perf_counter()
        with database.writing() as connection:
            properties.put(connection, "checked_up", "")
        seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    says = f"a small commit takes {1000 * median:.1f} ms"
    yield Finding("speed", "warning" if median > _SLOW_COMMIT_S else "good", says)
