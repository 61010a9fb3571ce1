"""Rows of a load for the ledger → entries: each once, however often a file is loaded; rows that cannot be are rejected.

An entry of a file is there already if a live entry of the ledger says the same of the same stores, or if one does that
was withdrawn in the same words as the file withdraws it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from sqlalchemy import Connection, func, select

from uphours.database import locks
from uphours.database.dialects.dialect import parts_of
from uphours.database.ledger import Rows, Said, append, merged
from uphours.database.schedules import rows_of
from uphours.database.tables import adjusted, adjustments, timezones
from uphours.kernel.live_entries import withdrawn_by
from uphours.kernel.schedule import local_to_utc_of
from uphours.kernel.schedule_rows import Weeks, schedule, zones_of
from uphours.load_record import AdjustmentRow, Loaded
from uphours.schema import WITHDRAWAL, Codes, Instants, instant_text

_Name: TypeAlias = tuple[int, str]
"""A file of the load, and what it calls an entry."""


@dataclass(frozen=True)
class RejectedRow:
    """A row that cannot be entered: why, and the reason without the values."""

    row: AdjustmentRow
    reason: str
    cause: str


@dataclass
class Entered:
    """What came of the rows of a load: new entries, rows that say what was there already, and rows that are no use."""

    entries: list[int] = field(default_factory=list)
    repeated: int = 0
    rejected: list[RejectedRow] = field(default_factory=list)


@dataclass
class _Draft:
    """An entry of a file: its first row, the intervals of all, how many rows it has, and who withdraws it there."""

    first: AdjustmentRow
    intervals: list[tuple[int, int, int]] = field(default_factory=list)
    rows: int = 0
    withdrawn_by: list[_Draft] = field(default_factory=list)

    @property
    def words(self) -> tuple[str, str, str]:
        return self.first.counts_as, self.first.reason, self.first.note

    @property
    def is_withdrawal(self) -> bool:
        return self.first.counts_as == WITHDRAWAL


def enter(connection: Connection, loaded: Loaded, numbers: Codes, *, load: int, actor: str) -> Entered:
    """Enter the rows of a load that the ledger does not have yet; after the zones of its stores are replaced.

    ``numbers``: those of the stores of the load. ``load``: its own.
    """
    entered = Entered()
    if not loaded.adjustments:
        return entered
    locks.take(connection, "ledger")
    drafts, names = _drafts(loaded.adjustments, *_instants(connection, loaded, numbers), numbers, entered)
    ledger = _Ledger(connection, drafts)
    new: list[tuple[Said, Rows]] = []
    number_of: dict[int, int] = {}
    for draft in drafts:
        target = None
        if draft.is_withdrawal:
            target = _target(draft, names, number_of, ledger, entered)
            if target is None:
                continue
        said, intervals = Said(*draft.words, target), merged(np.array(draft.intervals, dtype=np.int64).reshape(-1, 3))
        number = ledger.saying(draft, said, intervals)
        if number is not None:
            entered.repeated += draft.rows
        elif target in ledger.withdrawn:
            _reject(entered, draft.first, *_withdrawn_already(target, ledger.withdrawn[target]))
            continue
        else:
            number = ledger.add(said, intervals)
            new.append((said, intervals))
        number_of[id(draft)] = number
    entered.entries = append(connection, new, actor=actor, now=loaded.started_at, load=load)
    return entered


def _reject(entered: Entered, row: AdjustmentRow, reason: str, cause: str) -> None:
    entered.rejected.append(RejectedRow(row, reason, cause))


def _withdrawn_already(target: int, by: int) -> tuple[str, str]:
    cause = "the entry that it withdraws is withdrawn already"
    return f"entry {target} is withdrawn already, by entry {by}; valid is to withdraw that one", cause


def _instants(connection: Connection, loaded: Loaded, numbers: Codes) -> tuple[Instants, Instants]:
    """Return when the interval of each row starts and ends, in UTC."""
    rows = loaded.adjustments
    bounds = np.array([(row.start, row.end) for row in rows], dtype=np.int64)
    is_local = np.array([row.is_local for row in rows], dtype=np.bool_)
    if is_local.any():
        stores = np.array([row.store for row in rows], dtype=np.int32)[is_local]
        place_of = {int(numbers[place]): place for place in set(stores.tolist())}
        zones = rows_of(connection, "store, valid_from, timezone", timezones, sorted(place_of))
        nothing = np.empty(0, dtype=np.int64)
        weeks = Weeks(nothing.astype(np.int32), nothing, nothing, nothing, None)
        placed = [(name, since, [place_of[number]]) for number, since, name in zones]
        local = schedule(weeks, zones_of(len(numbers), placed), [])
        for column in (0, 1):
            bounds[is_local, column] = local_to_utc_of(local, stores, bounds[is_local, column])
    return bounds[:, 0], bounds[:, 1]


def _drafts(
    rows: Sequence[AdjustmentRow], starts: Instants, ends: Instants, numbers: Codes, entered: Entered
) -> tuple[list[_Draft], dict[_Name, _Draft]]:
    """Put rows together that are one entry; in order of the first row of each."""
    drafts: list[_Draft] = []
    names: dict[_Name, _Draft] = {}
    for row, start, end in zip(rows, starts.tolist(), ends.tolist(), strict=True):
        is_withdrawal = row.counts_as == WITHDRAWAL
        if end <= start and not is_withdrawal:
            _reject(entered, row, *_empty(row, start, end))
            continue
        draft = names.get((row.file, row.entry)) if row.entry else None
        if draft is None:
            draft = _Draft(row)
            drafts.append(draft)
            target = names.get((row.file, row.withdraws)) if is_withdrawal else None
            if target is not None:
                target.withdrawn_by.append(draft)
            if row.entry:
                names[row.file, row.entry] = draft
        elif (*draft.words, draft.first.withdraws) != (row.counts_as, row.reason, row.note, row.withdraws):
            _reject(entered, row, *_contradicting(row, draft.first))
            continue
        draft.rows += 1
        if not is_withdrawal:
            draft.intervals.append((int(numbers[row.store]), start, end))
    return drafts, names


def _empty(row: AdjustmentRow, start: int, end: int) -> tuple[str, str]:
    cause = "the interval is empty"
    return f"{cause}: it is from {instant_text(start)} to {instant_text(end)}; valid is an end after the start", cause


def _contradicting(row: AdjustmentRow, first: AdjustmentRow) -> tuple[str, str]:
    cause = "another row of the same entry says something else"
    return (
        f"line {first.line}, of the same entry {row.entry!r}, says something else; valid are the same counts_as, "
        "reason, note and withdraws in all rows of an entry"
    ), cause


def _target(
    draft: _Draft, names: Mapping[_Name, _Draft], number_of: Mapping[int, int], ledger: _Ledger, entered: Entered
) -> int | None:
    """Return the number of the entry that a row withdraws; where there is none, the row is rejected."""
    row = draft.first
    named = names.get((row.file, row.withdraws))
    if named is not None and named is not draft:
        number = number_of.get(id(named))
    else:
        text = row.withdraws.strip()
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
        number = number if number in ledger.before else None
    if number is None:
        last = max(ledger.before, default=0)
        numbers = f"and the numbers of the ledger, 1 to {last}" if last else "the ledger has none yet"
        reason = f"there is no entry {row.withdraws!r} to withdraw; valid are entries that stand above it in the file, "
        _reject(entered, row, reason + numbers, "there is no entry to withdraw")
    return number


class _Ledger:
    """What the ledger says, with what a load adds to it."""

    def __init__(self, connection: Connection, drafts: Sequence[_Draft]) -> None:
        rows = connection.execute(select(adjustments)).mappings().all()
        self.said = {row["entry"]: Said(row["counts_as"], row["reason"], row["note"], row["withdraws"]) for row in rows}
        self.before = set(self.said)
        self.withdrawn = withdrawn_by({entry: said.withdraws for entry, said in self.said.items()})
        self._withdrawals: dict[int, list[int]] = {}
        for entry, said in self.said.items():
            if said.withdraws is not None:
                self._withdrawals.setdefault(said.withdraws, []).append(entry)
        self._saying: dict[tuple[Said, bytes], list[int]] = {}
        for entry, intervals in self._like(connection, drafts).items():
            self._saying.setdefault((self.said[entry], intervals.tobytes()), []).append(entry)
        self._next = max(self.said, default=0) + 1

    def _like(self, connection: Connection, drafts: Sequence[_Draft]) -> dict[int, Rows]:
        """Return the intervals of entries that may say the same as one of a file."""
        wanted = {(*draft.words, *_extent(draft)) for draft in drafts if not draft.is_withdrawal}
        words = {one[:3] for one in wanted}
        extents = select(adjusted.c.entry, func.min(adjusted.c.start_at), func.max(adjusted.c.end_at))
        alike = [
            entry
            for entry, start, end in connection.execute(extents.group_by(adjusted.c.entry))
            if (said := _words(self.said[entry])) in words and (*said, start, end) in wanted
        ]
        found: dict[int, list[tuple[int, int, int]]] = {entry: [] for entry in alike}
        a = adjusted.c
        for part in parts_of(alike):
            query = select(a.entry, a.store, a.start_at, a.end_at).where(a.entry.in_(part))
            for entry, *interval in connection.execute(query.order_by(a.entry, a.store, a.start_at)):
                found[entry].append((interval[0], interval[1], interval[2]))
        return {entry: np.array(rows, dtype=np.int64) for entry, rows in found.items()}

    def saying(self, draft: _Draft, said: Said, intervals: Rows) -> int | None:
        """Return the entry that says what a draft says."""
        if said.withdraws is None:
            alike = self._saying.get((said, intervals.tobytes()), [])
        else:
            alike = [entry for entry in self._withdrawals.get(said.withdraws, []) if self.said[entry] == said]
        also_withdrawn = [entry for entry in alike if self._is_withdrawn_so(draft, entry)]
        live = [entry for entry in alike if entry not in self.withdrawn]
        return next(iter(also_withdrawn + live), None)

    def _is_withdrawn_so(self, draft: _Draft, entry: int) -> bool:
        """Say whether an entry is withdrawn as the file withdraws a draft."""
        return any(
            _words(self.said[by]) == withdrawal.words
            and (by not in self.withdrawn or self._is_withdrawn_so(withdrawal, by))
            for withdrawal in draft.withdrawn_by
            for by in self._withdrawals.get(entry, [])
        )

    def add(self, said: Said, intervals: Rows) -> int:
        """Take note of a new entry; return its number."""
        number, self._next = self._next, self._next + 1
        self.said[number] = said
        if said.withdraws is None:
            self._saying.setdefault((said, intervals.tobytes()), []).append(number)
        else:
            self._withdrawals.setdefault(said.withdraws, []).append(number)
            self._withdraw(said.withdraws, number)
        return number

    def _withdraw(self, entry: int, by: int) -> None:
        self.withdrawn[entry] = by
        freed = self.said[entry].withdraws
        if freed is not None:
            self.withdrawn.pop(freed, None)
            withdrawn_again = self.said[freed].withdraws
            if withdrawn_again is not None:
                self._withdraw(withdrawn_again, freed)


def _words(said: Said) -> tuple[str, str, str]:
    return said.counts_as, said.reason, said.note


def _extent(draft: _Draft) -> tuple[int, int]:
    return min(start for _, start, _ in draft.intervals), max(end for _, _, end in draft.intervals)
