"""What was read → observations as arrays, and rows that were set aside, which are counted and handed on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import polars as pl

from storepulse.errors import InputError
from storepulse.ingest import add_batch
from storepulse.ingest.reading import microseconds
from storepulse.ingest.sources import Source
from storepulse.ingest.validation import YEAR_2000_US, Accepted, instants
from storepulse.schema import DAY_US, LAST_INSTANT, Codes, Instants, Statuses
from storepulse.store.loads import Quarantined
from storepulse.streaming.pieces import Read, Table

Aside: TypeAlias = Callable[[Source, Sequence[Quarantined]], None]
"""Takes rows of a source that make no sense."""


@dataclass(frozen=True)
class Rows:
    """Observations in the order in which they came: ``stores`` by number, ``times`` and ``statuses``."""

    stores: Codes
    times: Instants
    statuses: Statuses

    def where(self, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Rows:
        """Return those that are chosen."""
        return Rows(self.stores[chosen], self.times[chosen], self.statuses[chosen])


@dataclass
class Intake:
    """Checks rows as `storepulse.ingest` does, and numbers stores in the order in which they appear.

    ``now``, in microseconds: a poll over 24 h after it is from the future.
    """

    now: int
    aside: Aside
    accepted: Accepted = field(default_factory=Accepted)

    def rows(self, source: Source, read: Read) -> Rows:
        """Return the good rows of what was read.

        Raises
        ------
        InputError
            Rows lie outside of the bounds that their file states.
        """
        table = read if isinstance(read, Table) else None
        if isinstance(read, Table):
            quick = self._quick(read)
            if quick is not None:
                return quick
            read = read.batch()
        quarantine: list[Quarantined] = []
        add_batch("polls", read, 0, self.accepted, quarantine, self.now)
        if quarantine:
            self.aside(source, quarantine)
        made = Rows(
            np.concatenate(self.accepted.stores), np.concatenate(self.accepted.times),
            np.concatenate(self.accepted.statuses),
        )  # fmt: skip
        for column in (self.accepted.stores, self.accepted.times, self.accepted.statuses):
            column.clear()
        if table is not None and len(made.times):
            _check_bounds(table, int(made.times.min()), int(made.times.max()))
        return made

    def _quick(self, table: Table) -> Rows | None:
        """Take rows column by column; None where one of them is bad, or may be, so that each is looked at."""
        observed_at = _instants(table.rows["timestamp_utc"])
        if observed_at is None:
            return None
        times = observed_at.to_numpy()
        if len(times):
            first, last = int(times.min()), int(times.max())
            if first < YEAR_2000_US or last >= LAST_INSTANT or last > self.now + DAY_US:
                return None
            _check_bounds(table, first, last)
        statuses = _statuses(table.rows["status"])
        if statuses is None:
            return None
        stores = self._numbers(table.rows["store_id"])
        return None if stores is None else Rows(stores, times, statuses)

    def _numbers(self, ids: pl.Series) -> Codes | None:
        is_plain = ids.dtype == pl.String or ids.dtype.is_integer()
        return self.accepted.store_ids.numbers_of_good(ids) if is_plain else None


def _check_bounds(table: Table, first: int, last: int) -> None:
    if table.bounds and not table.bounds[0] <= first <= last <= table.bounds[1]:
        raise InputError(
            f"{table.source.label} states between which instants its rows from {table.first_line} on lie, "
            "but they do not; write it again"
        )


def _instants(column: pl.Series) -> pl.Series | None:
    if column.null_count():
        return None
    if column.dtype == pl.String:
        column = instants(column)
        return None if column.null_count() else column
    if not isinstance(column.dtype, pl.Datetime):
        return None
    return column.to_physical() if column.dtype.time_unit == "us" else microseconds(column)


def _statuses(column: pl.Series) -> Statuses | None:
    if column.null_count():
        return None
    if column.dtype == pl.Boolean:
        return column.cast(pl.UInt8).to_numpy()
    if column.dtype != pl.String:
        return None
    active = column == "active"
    if not (active | (column == "inactive")).all():
        return None
    return active.cast(pl.UInt8).to_numpy()
