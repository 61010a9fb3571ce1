"""What was read → observations as arrays, and rejected rows, which are counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from uphours.errors import InputError
from uphours.ingest.inputs import Progress, Source
from uphours.ingest.load import add_batch, read_source
from uphours.ingest.quarantine import Quarantine
from uphours.ingest.readers.typed import microseconds
from uphours.ingest.statuses import status_codes
from uphours.ingest.timestamps import instants
from uphours.ingest.validate import Accepted
from uphours.large_files.parts import Read, Table
from uphours.load_record import Latest, LoadedFile
from uphours.schema import DAY_US, LAST_INSTANT, YEAR_2000_US, Codes, Instants, Statuses


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
    """Checks rows as `uphours.ingest` does, and numbers stores in the order in which they appear.

    ``now``, in microseconds: a poll over 24 h after it is from the future. ``sources``: all that are read, by whose
    positions rejected rows are known.
    """

    now: int
    sources: Sequence[Source]
    quarantine: Quarantine = field(default_factory=Quarantine)
    accepted: Accepted = field(default_factory=Accepted)
    latest: Latest = field(default_factory=Latest)
    read: dict[Source, LoadedFile] = field(default_factory=dict)

    def rows(self, source: Source, read: Read) -> Rows:
        """Return the good rows of what was read.

        Raises
        ------
        InputError
            Rows lie outside of the bounds that their file states.
        """
        made = self._checked(source, read)
        self.latest.add(made.times)
        self._count(source, read.rows.height, len(made.times))
        return made

    def settings(self, source: Source, progress: Progress | None) -> None:
        """Read a source of anything but polls."""
        place = self.sources.index(source)
        self.read[source] = read_source(source, place, self.accepted, self.quarantine, self.now, progress)

    def files(self) -> list[LoadedFile]:
        """Return what was read of each source so far."""
        return [self.read.get(source, LoadedFile(source.kind, source.name, "", 0, 0, 0, 0)) for source in self.sources]

    def _count(self, source: Source, rows: int, good: int) -> None:
        before = self.read.get(source, LoadedFile(source.kind, source.name, "", 0, 0, 0, 0))
        self.read[source] = replace(
            before,
            rows_read=before.rows_read + rows,
            accepted=before.accepted + good,
            quarantined=before.quarantined + rows - good,
        )

    def _checked(self, source: Source, read: Read) -> Rows:
        table = read if isinstance(read, Table) else None
        if isinstance(read, Table):
            quick = self._quick(read)
            if quick is not None:
                return quick
            read = read.batch()
        add_batch("polls", read, self.sources.index(source), self.accepted, self.quarantine, self.now)
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
        statuses = _statuses(table.rows["status"], self.accepted.words)
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


def _statuses(column: pl.Series, words: Mapping[str, int]) -> Statuses | None:
    if column.null_count():
        return None
    if column.dtype == pl.Boolean:
        return column.cast(pl.UInt8).to_numpy()
    if column.dtype != pl.String:
        return None
    codes = status_codes(column, words)
    return None if codes.null_count() else codes.to_numpy()
