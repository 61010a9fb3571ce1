"""How many stores there are, and what is known of them: counted once, and then kept up with what loads bring.

All of a fleet is counted where a load brings hours or zones. Between two such loads stores can only become more, and
stores without polls can get some: only these are looked at.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, Table, and_, case, func, select

from uphours.database import properties
from uphours.database.dialects.dialect import parts_of
from uphours.database.tables import business_hours, observations, stores, timezones, unknown_hours
from uphours.load_record import StoreCounts
from uphours.schema import Setting

#: With more stores that were never polled than this, all of the fleet is counted each time.
_MOST_UNPOLLED: Final = 1_000


@dataclass(frozen=True)
class _Kept:
    """Counts of the stores up to a number, and those of them without polls."""

    counts: StoreCounts
    newest: int
    unpolled: Sequence[int]

    @staticmethod
    def read(text: str) -> _Kept:
        kept = json.loads(text)
        return _Kept(StoreCounts(**kept["counts"]), kept["newest"], kept["unpolled"])

    def to_json(self) -> str:
        return json.dumps(asdict(self), separators=(",", ":"))


def store_counts(connection: Connection, *, polls_alone: bool = False) -> StoreCounts:
    """Return the counts of all stores of the database.

    Parameters
    ----------
    polls_alone
        No hours and no zones of stores that were known have changed since this was asked last.
    """
    text = properties.get(connection, "store_counts")
    before = _Kept.read(text) if text is not None and polls_alone else None
    after = _counted(connection) if before is None else _kept_up(connection, before)
    if len(after.unpolled) > _MOST_UNPOLLED:
        if text is not None:
            properties.put(connection, "store_counts", None)
    elif after != before:
        properties.put(connection, "store_counts", after.to_json())
    return after.counts


def is_polled() -> ColumnElement[bool]:
    """Say whether a store has any observation: one look at the end of its part of the table."""
    o = observations.c
    latest = select(o.observed_at).where(o.store == stores.c.store).order_by(o.observed_at.desc()).limit(1)
    return latest.scalar_subquery().is_not(None)


def _counted(connection: Connection) -> _Kept:
    counts = _count(connection)
    unpolled = [] if counts.stores == counts.polled else _unpolled(connection, limit=_MOST_UNPOLLED + 1)
    return _Kept(counts, _newest(connection), unpolled)


def _kept_up(connection: Connection, before: _Kept) -> _Kept:
    newest, unpolled, counts = _newest(connection), [*before.unpolled], asdict(before.counts)
    if unpolled:
        left = {store for part in parts_of(unpolled) for store in _unpolled(connection, stores.c.store.in_(part))}
        for part in parts_of([store for store in unpolled if store not in left]):
            polled = _count(connection, stores.c.store.in_(part))
            counts["polled"] += polled.stores
            counts["polled_with_hours"] += polled.with_hours
            counts["polled_with_timezone"] += polled.with_timezone
        unpolled = [store for store in unpolled if store in left]
    if newest > before.newest:
        is_new = stores.c.store > before.newest
        new = _count(connection, is_new)
        counts = {name: number + getattr(new, name) for name, number in counts.items()}
        if new.polled < new.stores:
            unpolled += _unpolled(connection, is_new, limit=_MOST_UNPOLLED + 1)
    return _Kept(StoreCounts(**counts), newest, unpolled)


def _newest(connection: Connection) -> int:
    newest: int = connection.execute(select(func.coalesce(func.max(stores.c.store), 0))).scalar_one()
    return newest


def _unpolled(connection: Connection, *chosen: ColumnElement[bool], limit: int | None = None) -> list[int]:
    query = select(stores.c.store).where(*chosen, ~is_polled()).order_by(stores.c.store).limit(limit)
    return list(connection.execute(query).scalars())


def _count(connection: Connection, *chosen: ColumnElement[bool]) -> StoreCounts:
    """Count chosen stores, or all."""
    tables: dict[Setting, Table] = {"hours": business_hours, "timezones": timezones}
    of_store = stores.c.store
    unknown = select(unknown_hours.c.store).where(unknown_hours.c.store == of_store)

    def has(kind: Setting) -> ColumnElement[bool]:
        table = tables[kind]
        usable = select(table.c.store).where(table.c.store == of_store).exists()
        return usable | unknown.where(unknown_hours.c.kind == kind).exists()

    facts = (
        select(
            is_polled().label("polled"),
            has("hours").label("hours"),
            has("timezones").label("timezone"),
            unknown.exists().label("unknown"),
        )
        .select_from(stores)
        .where(*chosen)
        .subquery()
    )
    f = facts.c

    def number(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
        return func.coalesce(func.sum(case((and_(*conditions), 1), else_=0)), 0)

    counts = connection.execute(
        select(
            func.count(),
            number(~f.hours, ~f.unknown),
            number(~f.timezone),
            number(f.unknown),
            number(f.polled),
            number(f.hours),
            number(f.hours, f.polled),
            number(f.timezone),
            number(f.timezone, f.polled),
        ).select_from(facts)
    ).one()
    return StoreCounts(*map(int, counts))
