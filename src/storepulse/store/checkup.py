"""A check-up of a store: can it be reached, is it whole, do the clocks agree, may we do our work, what is slow."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Connection, and_, func, select

from storepulse.errors import StoreError
from storepulse.schema import MINUTE_US, SECOND_US, instant_text
from storepulse.store import Store, days, migrations, properties
from storepulse.store.engines import Finding
from storepulse.store.jobs import LEASE_US, waiting_since
from storepulse.store.tables import (
    business_hours,
    jobs,
    loads,
    quarantine,
    results,
    sources,
    stores,
    timezones,
)

#: How long damage is looked for, in seconds.
_LOOK_OVER_S: Final = 60.0
#: A clock that is off by so much is worth a word; by a lease, workers take over each other's jobs.
_SKEW_WARNING_US: Final = SECOND_US
_SLOW_COMMIT_S: Final = 0.05
_COMMITS: Final = 5
_LONG_WAIT_US: Final = 10 * MINUTE_US


def checkup(store: Store, *, now: Callable[[], int]) -> Iterator[Finding]:
    """Look at everything, one thing after the other; ``now`` gives UTC microseconds.

    A store that cannot be used at all gives one finding that says why.
    """
    try:
        version = _version(store)
        yield version
        yield from store.engine.checkup()
        if version.state != "good":
            return  # the rest is about tables as this program knows them
        yield from _retention(store)
        yield from _clock(store, now)
        yield from _integrity(store)
        yield from _work(store, now())
        yield from _speed(store)
    except StoreError as error:
        yield Finding("store", "bad", str(error))


def _version(store: Store) -> Finding:
    store.engine.check_there()
    with store.engine.reading() as connection:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
    if migrations.check(found):
        says = f"the tables are at version {found}, this program's at {migrations.SCHEMA_VERSION}: `storepulse migrate`"
        return Finding("version", "warning", says)
    return Finding("version", "good", f"the tables are at version {found}, as this program's")


def _retention(store: Store) -> Iterator[Finding]:
    with store.reading() as connection:
        before = properties.get(connection, "pruned_before")
    if before is not None:
        yield Finding("retention", "good", f"observations before {instant_text(int(before))} were pruned")


def _clock(store: Store, now: Callable[[], int]) -> Iterator[Finding]:
    with store.reading() as connection:
        store.engine.server_time(connection)  # the first one takes longer
        earliest, server, latest = now(), store.engine.server_time(connection), now()
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


def _integrity(store: Store) -> Iterator[Finding]:
    whole = store.look_over(_LOOK_OVER_S)
    with store.reading() as connection:
        wrong = [says for says, count in _contradictions(connection) if count]
    if wrong:
        yield Finding("integrity", "bad", "; ".join(wrong))
    elif whole:
        yield Finding("integrity", "good", "nothing is damaged, and nothing contradicts anything else")
    else:
        yield Finding("integrity", "good", f"nothing is damaged in what could be looked at in {_LOOK_OVER_S:.0f} s")


def _contradictions(connection: Connection) -> Iterator[tuple[str, int]]:
    """Count what cannot be, whoever wrote it."""

    def count(query: object) -> int:
        found: int = connection.execute(select(func.count()).select_from(query)).scalar_one()  # type: ignore[arg-type]
        return found

    for table in (business_hours, timezones):
        nobody = select(table.c.store).where(table.c.store.not_in(select(stores.c.store))).subquery()
        yield f"{table.name} has rows of stores that are not there", count(nobody)
    set_aside = select(func.count()).where(quarantine.c.load == loads.c.load).scalar_subquery()
    lost = select(loads.c.load).where(loads.c.quarantined != set_aside).subquery()
    yield "a load lacks rows of its quarantine", count(lost)
    day = days.latest(connection)
    is_lacking = day is not None and not days.polled(connection, day, day)
    yield "polled_days lacks the day of the latest observation", int(is_lacking)
    first = and_(results.c.job == jobs.c.job, results.c.part == 0)
    empty = (
        select(jobs.c.job)
        .join(results, first, isouter=True)
        .where(jobs.c.kind == "report", jobs.c.state == "complete", results.c.job.is_(None))
        .subquery()
    )
    yield "a report is complete and has no result", count(empty)


def _work(store: Store, now: int) -> Iterator[Finding]:
    with store.reading() as connection:
        since = waiting_since(connection)
        late = connection.execute(
            select(func.count()).where(jobs.c.state == "running", jobs.c.lease_until < now - 2 * LEASE_US)
        ).scalar_one()
        failing = connection.execute(select(sources.c.source).where(sources.c.failures > 0)).scalars().all()
    if late:
        yield Finding("jobs", "warning", f"{late} of dead workers wait to be taken over: is a worker running?")
    elif since is not None and now - since > _LONG_WAIT_US:
        yield Finding("jobs", "warning", f"one has waited since {instant_text(since)}: is a worker running?")
    else:
        yield Finding("jobs", "good", "none waits for long")
    if failing:
        yield Finding("sources", "warning", f"failing: {', '.join(sorted(failing))}")


def _speed(store: Store) -> Iterator[Finding]:
    seconds = []
    for _ in range(_COMMITS):
        began = time.perf_counter()
        with store.writing() as connection:
            properties.put(connection, "checked_up", "")
        seconds.append(time.perf_counter() - began)
    median = statistics.median(seconds)
    says = f"a small commit takes {1000 * median:.1f} ms"
    yield Finding("speed", "warning" if median > _SLOW_COMMIT_S else "good", says)
