"""Retention: what is older than an instant goes, except the last observation of each store before it.

That one speaks for the time until the next, so that every window from the instant on gives the same numbers as before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sqlalchemy import bindparam, delete, func, select

from uphours.database import audit, locks, polled_days, properties
from uphours.database.tables import loads, observations, stores
from uphours.errors import InputError
from uphours.schema import duration_us, instant_text, instant_us

if TYPE_CHECKING:
    from uphours.database.database import Database

#: Stores that are pruned in one transaction, so that no one waits long for it.
_STORES_AT_ONCE: Final = 200


@dataclass(frozen=True)
class Pruned:
    """What was taken away: observations before an instant, UTC microseconds."""

    before: int
    observations: int


def prune(
    database: Database, before: int, *, now: int, actor: str, progress: Callable[[int, int], None] | None = None
) -> Pruned:
    """Take away all observations before an instant, but the last one of each store.

    Killed at any moment it leaves a store that is right, and may be run again. Where observations are cut into parts
    by time, parts that lie before the instant go as a whole, whatever they hold.

    Parameters
    ----------
    before
        UTC microseconds. From now on reports of windows that begin earlier are refused.
    progress
        Called with the stores done and the stores in total.

    Raises
    ------
    InputError
        The instant lies after the latest observation.
    DatabaseUnavailableError
        Reports that are being made kept the table in use for long; run again.
    """
    with database.writing() as connection:
        locks.take(connection, "loads")
        latest = connection.execute(select(func.max(loads.c.last_observed_at))).scalar()
        if latest is None or before > latest:
            known = "there are none" if latest is None else f"the latest one is of {instant_text(latest)}"
            raise InputError(f"cannot prune observations before {instant_text(before)}: {known}")
        done_before = properties.get(connection, "pruned_before")
        # First of all: a report must not see a history of which a part is gone.
        properties.put(connection, "pruned_before", str(max(before, int(done_before or 0))))
        polled_days.forget(connection, before)
        last = connection.execute(select(func.coalesce(func.max(stores.c.store), 0))).scalar_one()
    gone = database.engine.drop_parts(before)
    for first in range(1, last + 1, _STORES_AT_ONCE):
        gone += _prune_some(database, first, first + _STORES_AT_ONCE - 1, before)
        if progress is not None:
            progress(min(first + _STORES_AT_ONCE - 1, last), last)
    with database.writing() as connection:
        details = {"before": instant_text(before), "observations": gone}
        audit.record(connection, at=now, actor=actor, action="prune", subject="observations", details=details)
    return Pruned(before, gone)


def _prune_some(database: Database, first: int, last: int, before: int) -> int:
    o = observations.c
    kept = (
        select(o.store, func.max(o.observed_at).label("kept_at"), func.min(o.observed_at).label("first_at"))
        .where(o.store.between(first, last), o.observed_at < before)
        .group_by(o.store)
    )
    earlier = delete(observations).where(o.store == bindparam("of"), o.observed_at < bindparam("kept_at"))
    with database.writing() as connection:
        locks.take(connection, "loads")
        found = [
            {"of": row.store, "kept_at": row.kept_at} for row in connection.execute(kept) if row.first_at < row.kept_at
        ]
        return sum(connection.execute(earlier, one).rowcount for one in found)


def instant_before(text: str, *, now: int) -> int:
    """Read an instant, or how long before ``now`` it was; UTC microseconds.

    Raises
    ------
    InputError
        It is neither.
    """
    try:
        return now - duration_us(text)
    except InputError:
        pass
    try:
        return instant_us(text)
    except InputError as error:
        raise InputError(f"{error}; valid is also how long ago it was, such as 400d") from None
