"""The ledger: what counts differently at which stores, and who said so. Entries are added, never changed.

An entry that withdraws another makes it as if it had never been; it can be withdrawn itself. An entry is live unless a
live one withdraws it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, func, insert, select

from uphours.database import audit, locks
from uphours.database.dialects.dialect import dialect_of, parts_of
from uphours.database.store_numbers import known_numbers
from uphours.database.tables import adjusted, adjustments
from uphours.errors import ConflictError, InputError, NotFoundError, no_store, shown
from uphours.kernel.live_entries import withdrawn_by
from uphours.schema import LAST_INSTANT, SPAN_STATUSES, WITHDRAWAL, Instants, check_reason, instant_text

Rows: TypeAlias = npt.NDArray[np.int64]
"""Shape (rows, 3): the number of a store, start and end of an interval."""

_HINT: Final = "`uphours adjustments` lists them"
_LARGEST: Final = 2**31 - 1


@dataclass(frozen=True)
class Once:
    """What makes a repeated request one: the idempotency key of its sender, and a checksum of what it asks for."""

    key: str
    asked: str


@dataclass(frozen=True)
class Said:
    """What an entry says beside its intervals: a status of spans or `WITHDRAWAL`, and for the latter what of.

    ``idempotency_key``, ``asked``: of the request that it was entered by, as in `Once`.
    """

    counts_as: str
    reason: str
    note: str = ""
    withdraws: int | None = None
    idempotency_key: str | None = None
    asked: str | None = None


@dataclass(frozen=True)
class Entry:
    """An entry as people see it; instants in UTC microseconds.

    ``withdraws``: the entry that it takes back. ``withdrawn_by``: the live entry that takes this one back. ``stores``:
    how many it speaks of; ``start``, ``end``: from the first to the last of their instants; none of a withdrawal.
    ``intervals``: those of one store, where it was asked for.
    """

    entry: int
    counts_as: str
    withdraws: int | None
    withdrawn_by: int | None
    reason: str
    note: str
    actor: str
    at: int
    load: int | None
    stores: int
    start: int | None
    end: int | None
    intervals: Sequence[tuple[int, int]] | None = None

    def facts(self) -> dict[str, Any]:
        """Return the entry as plain values."""
        return asdict(self)


def enter(
    connection: Connection,
    store_ids: Sequence[str],
    starts: Instants,
    ends: Instants,
    *,
    counts_as: str,
    reason: str,
    note: str = "",
    actor: str,
    now: int,
    once: Once | None = None,
) -> int:
    """Enter intervals ``[starts[i], ends[i])`` of the stores ``store_ids[i]``, UTC microseconds; return the entry.

    A store may stand there several times. Overlapping and touching intervals of a store become one. A request that
    repeats one of the same actor enters nothing; the entry of that one is returned.

    Raises
    ------
    InputError
        There is no interval, one is empty or out of range, or there is no such status or reason.
    NotFoundError
        There is no such store.
    ConflictError
        The idempotency key was used for another request.
    """
    if counts_as not in SPAN_STATUSES:
        raise InputError(f"cannot count as {shown(counts_as)}; valid are {', '.join(SPAN_STATUSES)}")
    if not len(store_ids):
        raise InputError("an entry needs an interval of one store at least")
    check_reason(reason)
    _check_intervals(starts, ends)
    numbers = known_numbers(connection, sorted(set(store_ids)))
    if missing := set(store_ids) - numbers.keys():
        raise no_store(min(missing))
    rows = np.column_stack([[numbers[store_id] for store_id in store_ids], starts, ends]).astype(np.int64)
    locks.take(connection, "ledger")
    if (before := entered_before(connection, actor, once)) is not None:
        return before
    said = Said(counts_as, reason, note, None, *_identity(once))
    merged_rows = merged(rows)
    entry = append(connection, [(said, merged_rows)], actor=actor, now=now, load=None)[0]
    details = {
        "counts_as": counts_as, "reason": reason, "stores": len(numbers), "from": instant_text(int(rows[:, 1].min())),
        "to": instant_text(int(rows[:, 2].max())),
    }  # fmt: skip
    audit.record(connection, at=now, actor=actor, action="adjust", subject=str(entry), details=details)
    return entry


def withdraw(
    connection: Connection,
    entry: int,
    *,
    reason: str,
    note: str = "",
    actor: str,
    now: int,
    once: Once | None = None,
) -> int:
    """Enter that an entry is taken back; return the number of the new entry, or as with `enter` of the one before.

    Raises
    ------
    InputError
        There is no such reason.
    NotFoundError
        There is no such entry.
    ConflictError
        It is withdrawn already, or the idempotency key was used for another request.
    """
    check_reason(reason)
    locks.take(connection, "ledger")
    if (before := entered_before(connection, actor, once)) is not None:
        return before
    links = links_of(connection)
    if entry not in links:
        raise NotFoundError("entry", str(entry), _HINT)
    by = withdrawn_by(links).get(entry)
    if by is not None:
        raise ConflictError(f"entry {entry} is withdrawn already, by entry {by}; valid is to withdraw that one")
    said = Said(WITHDRAWAL, reason, note, entry, *_identity(once))
    made = append(connection, [(said, np.empty((0, 3), dtype=np.int64))], actor=actor, now=now, load=None)[0]
    details = {"withdraws": entry, "reason": reason}
    audit.record(connection, at=now, actor=actor, action="withdraw", subject=str(made), details=details)
    return made


def entered_before(connection: Connection, actor: str, once: Once | None) -> int | None:
    """Return the entry that the same request of an actor has made, if there is one.

    Raises
    ------
    ConflictError
        The idempotency key was used for another request.
    """
    if once is None:
        return None
    a = adjustments.c
    found = connection.execute(
        select(a.entry, a.asked).where(a.actor == actor, a.idempotency_key == once.key)
    ).one_or_none()
    if found is None:
        return None
    if found.asked != once.asked:
        raise ConflictError("this Idempotency-Key was used for another request; use a new one")
    entry: int = found.entry
    return entry


def _identity(once: Once | None) -> tuple[str | None, str | None]:
    return (None, None) if once is None else (once.key, once.asked)


def append(
    connection: Connection, entries: Sequence[tuple[Said, Rows]], *, actor: str, now: int, load: int | None
) -> list[int]:
    """Add entries with the intervals of each, as `merged` returns them; return their numbers.

    The caller holds the lock ``ledger``, so that entries are numbered in the order in which they become visible.
    """
    first = last_entry(connection) + 1
    numbers = [first + place for place in range(len(entries))]
    facts = [
        {**asdict(said), "entry": number, "actor": actor, "at": now, "load": load}
        for number, (said, _) in zip(numbers, entries, strict=True)
    ]
    if facts:
        connection.execute(insert(adjustments), facts)
        counts = [len(rows) for _, rows in entries]
        together = np.column_stack([np.repeat(numbers, counts), np.concatenate([rows for _, rows in entries])])
        dialect_of(connection).insert_rows(connection, adjusted.name, together.astype(np.int64))
    return numbers


def merged(rows: Rows) -> Rows:
    """Return intervals in order of store and time, of which no two of a store overlap or touch."""
    found: list[list[int]] = []
    for store, start, end in sorted(rows.tolist()):
        if found and found[-1][0] == store and start <= found[-1][2]:
            found[-1][2] = max(found[-1][2], end)
        else:
            found.append([store, start, end])
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def last_entry(connection: Connection) -> int:
    """Return the number of the last entry; 0 before the first."""
    last: int = connection.execute(select(func.coalesce(func.max(adjustments.c.entry), 0))).scalar_one()
    return last


def links_of(connection: Connection) -> dict[int, int | None]:
    """Return what each entry withdraws, by number."""
    rows = connection.execute(select(adjustments.c.entry, adjustments.c.withdraws))
    return {row.entry: row.withdraws for row in rows}


def list_entries(
    connection: Connection,
    *,
    store_id: str | None = None,
    before: int | None = None,
    limit: int | None = None,
    seen: Sequence[str] | None = None,
) -> list[Entry]:
    """Return entries, the newest first; those ``before`` one, at most ``limit``.

    ``store_id``: only entries about this store, and what withdraws them, with its intervals. ``seen``: as though there
    were no other stores than these.

    Raises
    ------
    NotFoundError
        There is no such store.
    """
    links = links_of(connection)
    chosen: Collection[int] = links.keys()
    intervals: Mapping[int, Sequence[tuple[int, int]]] = {}
    among = None if seen is None else _numbers(connection, seen)
    if store_id is not None:
        if seen is not None and store_id not in seen:
            raise no_store(store_id)
        intervals = _intervals(connection, _number(connection, store_id))
        chosen = _with_withdrawals(links, intervals.keys())
    elif among is not None:
        chosen = _with_withdrawals(links, _about(connection, among))
    numbers = sorted((entry for entry in chosen if before is None or entry < before), reverse=True)[:limit]
    return _entries(connection, numbers, withdrawn_by(links), None if store_id is None else intervals, among)


def find_entry(connection: Connection, entry: int, *, seen: Sequence[str] | None = None) -> Entry:
    """Return one entry; ``seen`` as with `list_entries`.

    Raises
    ------
    NotFoundError
        There is no such entry.
    """
    if seen is None:
        return find_entries(connection, [entry])[0]
    links, among = links_of(connection), _numbers(connection, seen)
    if entry not in _with_withdrawals(links, _about(connection, among)):
        raise NotFoundError("entry", str(entry), _HINT)
    return _entries(connection, [entry], withdrawn_by(links), None, among)[0]


def is_about_others(connection: Connection, entry: int, seen: Sequence[str]) -> bool:
    """Say whether an entry, or what it withdraws in the end, is about other stores than these."""
    links = links_of(connection)
    while (withdraws := links.get(entry)) is not None:
        entry = withdraws
    i = adjusted.c
    stores = connection.execute(select(i.store.distinct()).where(i.entry == entry)).scalars()
    return not set(_numbers(connection, seen)).issuperset(stores)


def find_entries(connection: Connection, entries: Sequence[int]) -> list[Entry]:
    """Return some entries, in the given order.

    Raises
    ------
    NotFoundError
        There is no such entry.
    """
    links = links_of(connection)
    for entry in entries:
        if entry not in links:
            raise NotFoundError("entry", str(entry), _HINT)
    return _entries(connection, entries, withdrawn_by(links), None)


#: What `Entry` has of the table.
_COLUMNS: Final = [adjustments.c[field.name] for field in fields(Entry) if field.name in adjustments.c]


def _entries(
    connection: Connection,
    numbers: Sequence[int],
    by: Mapping[int, int],
    intervals: Mapping[int, Sequence[tuple[int, int]]] | None,
    among: Sequence[int] | None = None,
) -> list[Entry]:
    """Return some entries; ``among``: the stores that count, by number, where not all do."""
    a = adjustments.c
    found: dict[int, Entry] = {}
    for part in parts_of(numbers):
        size_of = _sizes(connection, part, among)
        for row in connection.execute(select(*_COLUMNS).where(a.entry.in_(part))).mappings():
            entry = row["entry"]
            count, start, end = size_of.get(entry, (0, None, None))
            mine = None if intervals is None else intervals.get(entry, ())
            found[entry] = Entry(**row, withdrawn_by=by.get(entry), stores=count, start=start, end=end, intervals=mine)
    return [found[entry] for entry in numbers]


def _sizes(
    connection: Connection, entries: Sequence[int], among: Sequence[int] | None
) -> dict[int, tuple[int, int | None, int | None]]:
    """Return of entries how many stores they are about, the first and the last instant."""
    i = adjusted.c
    query = select(i.entry, func.count(i.store.distinct()), func.min(i.start_at), func.max(i.end_at))
    query = query.where(i.entry.in_(entries)).group_by(i.entry)
    found: dict[int, tuple[int, int | None, int | None]] = {}
    for part in [None] if among is None else parts_of(among):
        for entry, count, start, end in connection.execute(query if part is None else query.where(i.store.in_(part))):
            before = found.get(entry, (0, start, end))
            found[entry] = (before[0] + count, min(before[1], start), max(before[2], end))
    return found


def _about(connection: Connection, stores: Sequence[int]) -> set[int]:
    """Return the entries about some stores, given by number."""
    query = select(adjusted.c.entry.distinct())
    return {
        entry
        for part in parts_of(stores)
        for entry in connection.execute(query.where(adjusted.c.store.in_(part))).scalars()
    }


def _numbers(connection: Connection, store_ids: Sequence[str]) -> list[int]:
    return sorted(known_numbers(connection, store_ids).values())


def _number(connection: Connection, store_id: str) -> int:
    number = known_numbers(connection, [store_id]).get(store_id)
    if number is None:
        raise no_store(store_id)
    return number


def _intervals(connection: Connection, store: int) -> dict[int, list[tuple[int, int]]]:
    i = adjusted.c
    query = select(i.entry, i.start_at, i.end_at).where(i.store == store).order_by(i.entry, i.start_at)
    found: dict[int, list[tuple[int, int]]] = {}
    for entry, start, end in connection.execute(query):
        found.setdefault(entry, []).append((start, end))
    return found


def _with_withdrawals(links: Mapping[int, int | None], entries: Iterable[int]) -> set[int]:
    """Return entries and all that withdraws them, or withdraws that."""
    chosen = set(entries)
    for entry in sorted(links):
        if links[entry] in chosen:
            chosen.add(entry)
    return chosen


def _check_intervals(starts: Instants, ends: Instants) -> None:
    if len(wrong := np.flatnonzero(ends <= starts)):
        start, end = (instant_text(int(times[wrong[0]])) for times in (starts, ends))
        raise InputError(f"the interval from {start} to {end} is empty; valid is an end after the start")
    if starts.min(initial=0) < 0 or ends.max(initial=0) > LAST_INSTANT:
        raise InputError("an interval is out of range; valid are the years 1970 to 2199")
