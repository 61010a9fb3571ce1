"""What a calendar feed shows: special hours by date, and what live entries of the ledger exclude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection, func, select

from uphours.database.dated_values import EVERY
from uphours.database.dialects.dialect import parts_of
from uphours.database.ledger import links_of
from uphours.database.store_numbers import known_numbers
from uphours.database.tables import adjusted, adjustments, loads, special_hours
from uphours.errors import no_store
from uphours.kernel.live_entries import withdrawn_by
from uphours.schema import CLOSED, DAY_US, EXCLUDED, SPAN_STATUSES

_EXCLUDED: Final = SPAN_STATUSES[EXCLUDED]


@dataclass(frozen=True)
class SpecialDate:
    """The special hours of a date, in days since the epoch; ``store_id``: None for those of every store.

    ``openings``: in microseconds since midnight as written; none where the stores are closed. ``at``: when the load
    that brought them began, UTC microseconds; 0 where that is not known.
    """

    store_id: str | None
    day: int
    openings: tuple[tuple[int, int], ...]
    name: str
    at: int


@dataclass(frozen=True)
class Exclusion:
    """An entry of the ledger that excludes time, of all its stores or of those that are asked about.

    ``stores``: how many. ``start``, ``end``: from the first to the last of their instants. ``at``: when it was entered.
    Instants in UTC microseconds.
    """

    entry: int
    reason: str
    stores: int
    start: int
    end: int
    at: int


def numbers_of(connection: Connection, store_ids: Sequence[str]) -> dict[str, int]:
    """Return the numbers of stores, by id.

    Raises
    ------
    NotFoundError
        There is no such store.
    """
    numbers = known_numbers(connection, sorted(set(store_ids)))
    if missing := set(store_ids) - numbers.keys():
        raise no_store(min(missing))
    return {store_id: numbers[store_id] for store_id in store_ids}


def special_dates(connection: Connection, numbers: Mapping[str, int], first: int, last: int) -> list[SpecialDate]:
    """Return the special hours from date to date, both included: those of every store, and those of some stores.

    ``numbers``: the numbers of these stores, by id.
    """
    ids: dict[int, str | None] = {EVERY: None, **{number: store_id for store_id, number in numbers.items()}}
    s = special_hours.c
    query = select(s.store, s.date, s.start_local_us, s.end_local_us, s.name, func.coalesce(loads.c.started_at, 0))
    found: dict[tuple[int, int], SpecialDate] = {}
    for part in parts_of(sorted(ids)):
        chosen = query.outerjoin(loads, s.load == loads.c.load).where(s.date.between(first, last), s.store.in_(part))
        for store, day, start, end, name, at in connection.execute(chosen.order_by(s.store, s.date, s.start_local_us)):
            of_date = found.get((store, day), SpecialDate(ids[store], day, (), name, at))
            opening = () if (start, end) == CLOSED else ((start, end),)
            found[store, day] = replace(of_date, openings=of_date.openings + opening, at=max(of_date.at, at))
    return list(found.values())


def exclusions(connection: Connection, numbers: Mapping[str, int] | None, first: int, last: int) -> list[Exclusion]:
    """Return the live entries that exclude time between two dates (UTC), both included.

    ``numbers``: only of these stores, by id; None for all.
    """
    withdrawn = withdrawn_by(links_of(connection))
    a, i = adjustments.c, adjusted.c
    start, end = func.min(i.start_at), func.max(i.end_at)
    query = select(a.entry, a.reason, func.count(i.store.distinct()), start, end, a.at)
    query = query.join(adjusted, i.entry == a.entry).where(a.counts_as == _EXCLUDED)
    query = query.group_by(a.entry, a.reason, a.at)
    found: dict[int, Exclusion] = {}
    for part in [None] if numbers is None else parts_of(sorted(numbers.values())):
        for row in connection.execute(query if part is None else query.where(i.store.in_(part))):
            one, before = Exclusion(*row), found.get(row.entry)
            if before is not None:
                one = replace(
                    one,
                    stores=before.stores + one.stores,
                    start=min(before.start, one.start),
                    end=max(before.end, one.end),
                )
            found[one.entry] = one
    return [
        found[entry]
        for entry in sorted(found.keys() - withdrawn.keys())
        if found[entry].start < (last + 1) * DAY_US and found[entry].end > first * DAY_US
    ]


def notes_of(connection: Connection, entries: Sequence[int]) -> dict[int, str]:
    """Return the notes of entries of the ledger."""
    a = adjustments.c
    return {
        entry: note
        for part in parts_of(entries)
        for entry, note in connection.execute(select(a.entry, a.note).where(a.entry.in_(part)))
    }
