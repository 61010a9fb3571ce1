"""A report straight from files that may be larger than memory: on this machine, or in an object store.

Each observation is read once. Windows need the observations inside them, and of each store the last one before and
the first one after; nothing else is kept. If these fit into memory, they are reported on as any others. If they do not:

- Where files say how old their rows are (Parquet does, for each row group), row groups are read in the order of time,
  whatever files they are in. As soon as nothing older can come, what is known is measured and only the last observation
  of each store is kept.
- Otherwise they go to temporary files, the stores divided among them, so that those of each fit into memory.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from storepulse import ingest, reports
from storepulse.errors import InputError, NotFoundError
from storepulse.ingest.sources import Kind, Progress
from storepulse.kernel.hours import tzdata_version
from storepulse.kernel.windows import windows
from storepulse.reports import Report, ReportOptions, RunningTotals, Totals
from storepulse.schema import DEFAULT_TIMEZONE, END_OF_TIME, LAST_INSTANT, WeeklyHours
from storepulse.store.loads import Quarantined
from storepulse.streaming.held import Extent, Held, grouped
from storepulse.streaming.intake import Aside, Intake, Rows
from storepulse.streaming.pieces import Piece, Read, pieces_of
from storepulse.streaming.spilling import Part, Spill, check_room

__all__ = ["BYTES_PER_ROW", "MEMORY_BYTES", "SMALLEST_MEMORY_BYTES", "Aside", "report"]

#: What observations may take unless somebody says otherwise.
MEMORY_BYTES: Final = 2 * 10**9
#: Less than a batch of rows takes anyway is not worth asking for.
SMALLEST_MEMORY_BYTES: Final = 1 << 20
#: One that is kept takes 12 bytes, and where rows are put in order there are several arrays of them.
BYTES_PER_ROW: Final = 56


def report(
    names: Mapping[Kind, Sequence[str]],
    options: ReportOptions,
    *,
    now: int,
    version: str,
    folder: Path,
    aside: Aside,
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress | None = None,
) -> Report:
    """Make a report of the fleet that files describe; the same as that of a store into which they were loaded.

    Parameters
    ----------
    names
        What to read, by kind: paths, globs, ``-``, and places in object stores. Hours and zones are held in memory.
    now
        UTC microseconds; polls over 24 h later are set aside.
    folder
        Where temporary files go: observations that do not fit into memory, and parts of files from object stores.
    aside
        Is given the rows that make no sense.
    memory_bytes
        What observations may take; what is kept of each store, and the result, come on top.

    Raises
    ------
    InputError
        A file cannot be read, there is no room in the folder, or there is no observation to take ``as_of`` from.
    NotFoundError
        A chosen store is in none of the files.
    """
    found = ingest.find(names, now=now)
    intake = Intake(now, aside)
    for source in found:
        if source.kind != "polls":
            quarantine: list[Quarantined] = []
            ingest.read_source(source, 0, intake.accepted, quarantine, now, progress)
            if quarantine:
                aside(source, quarantine)
    polls = pieces_of([source for source in found if source.kind == "polls"], folder)
    room = max(memory_bytes // BYTES_PER_ROW, 1)
    return _Streamed(intake, options, room, folder, version, progress).report(polls)


class _Streamed:
    """One report that is being made."""

    def __init__(
        self,
        intake: Intake,
        options: ReportOptions,
        room: int,
        folder: Path,
        version: str,
        progress: Progress | None,
    ) -> None:
        self._intake, self._options, self._folder = intake, options, folder
        self._version, self._progress = version, progress
        self._ids = intake.accepted.store_ids
        self._weekly = _Weekly(ingest.hours_of(intake.accepted), ingest.zones_of(intake.accepted))
        intake.accepted.hours.clear()  # of half a million stores they are 0.2 GB
        intake.accepted.timezones.clear()
        self._held = Held(room)
        self._held.grow(len(self._ids.texts))
        self._held.known[self._weekly.stores()] = True
        self._latest: int | None = None

    def report(self, polls: Sequence[Piece]) -> Report:
        """Read all pieces, and measure what is in them."""
        as_of = self._options.as_of
        bounded = all(piece.bounds for piece in polls)
        if as_of is None and bounded:
            as_of = _latest(polls, self._intake.now)
            if as_of is None:
                raise reports.nothing_observed()
        if as_of is not None and bounded:
            extent = self._extent(as_of)
            kept = sum(_kept(piece, extent) for piece in polls)
            if kept > self._held.room:
                in_order = sorted(polls, key=lambda piece: piece.bounds or (0, 0))
                if _fit(in_order, extent, self._held.room):
                    return self._made(as_of, self._in_slices(in_order, as_of, extent))
                check_room(self._folder, kept)
        with Spill(self._folder) as spill:
            as_of = self._gather(polls, as_of, spill)
            return self._made(as_of, self._in_parts(spill, as_of))

    # --- in the order of time -----------------------------------------------------------------------------------

    def _in_slices(self, polls: Sequence[Piece], as_of: int, extent: Extent) -> Totals:
        """Read pieces in order of their first row, and measure what is before all that is still to come."""
        running = RunningTotals(len(self._options.windows), extent.start)
        current: Piece | None = None
        for piece, rows in self._rows(polls):
            if piece is not current:
                assert piece.bounds is not None
                if self._held.count + _kept(piece, extent) > self._held.room:
                    self._measure(running, piece.bounds[0], as_of)
                current = piece
            for _ in self._held.add(rows, extent):
                raise InputError(f"{piece.source.label} has more rows than it says; write it again")
        self._measure(running, END_OF_TIME, as_of)
        self._held.free()
        return running.totals(len(self._ids.texts))

    def _measure(self, running: RunningTotals, until: int, as_of: int) -> None:
        """Measure each store up to its last row before an instant; all that is left at the end of time."""
        n = len(self._ids.texts)
        self._held.grow(n)
        running.grow(n)
        observations = self._held.give_up(n, until)
        ends = np.full(n, END_OF_TIME)
        if until < END_OF_TIME:
            ends = running.since[:n].copy()
            some = np.flatnonzero(np.diff(observations.offsets))
            ends[some] = np.maximum(ends[some], observations.times[observations.offsets[1:][some] - 1])
        hours = self._weekly.of(n)
        laid = windows(self._options.windows, as_of, hours)
        running.add(observations, hours, laid, ends, as_of, self._options.policy)

    # --- in parts of all stores ---------------------------------------------------------------------------------

    def _gather(self, polls: Sequence[Piece], as_of: int | None, spill: Spill) -> int:
        """Read all pieces; rows for which there is no room go to temporary files. Return as_of."""
        held = self._held
        extent = Extent(0, LAST_INSTANT, LAST_INSTANT) if as_of is None else self._extent(as_of)
        reached: int | None = None
        for _, rows in self._rows(polls):
            if as_of is None and self._latest != reached and self._latest is not None:
                # The windows of a later instant do not begin earlier: what is before them now, stays so.
                reached = self._latest
                extent = Extent(self._extent(reached).start, LAST_INSTANT, LAST_INSTANT)
            for _ in held.add(rows, extent):
                spill.add(*held.give_away())
        if as_of is None and self._latest is None:
            raise reports.nothing_observed()
        if spill.is_used:
            spill.add(*held.give_away())
            held.free()
        return self._latest if as_of is None else as_of  # type: ignore[return-value]  # it was looked at above

    def _in_parts(self, spill: Spill, as_of: int) -> Totals:
        """Measure the stores of one part after the other."""
        n, held, chosen = len(self._ids.texts), self._held, self._options.windows
        held.grow(n)
        made = Totals(*(np.zeros((n, len(chosen)), dtype=np.int64) for _ in fields(Totals)))
        parts = spill.parts(n, held.room) if spill.is_used else [Part(1, 0, *held.give_away())]
        for part in parts:
            mine = slice(part.rest, n, part.divisor)
            stores = part.stores // np.int32(part.divisor)
            observations, _ = grouped(stores, part.keys, held.before[mine], held.after[mine])
            hours = self._weekly.of(n, part.divisor, part.rest)
            laid = windows(chosen, as_of, hours)
            counted = reports.totals(observations, hours, laid, as_of, self._options.policy)
            for name, values in vars(counted).items():
                getattr(made, name)[mine] = values
        held.free()
        return made

    # --- both ---------------------------------------------------------------------------------------------------

    def _rows(self, polls: Sequence[Piece]) -> Iterator[tuple[Piece, Rows]]:
        """Read and check, each a step ahead in a thread; yield the rows."""
        for piece, rows in ingest.ahead(_checked(self._intake, ingest.ahead(_read(polls, self._progress)))):
            self._held.grow(len(self._ids.texts))
            if len(rows.times):
                latest = int(rows.times.max())
                self._latest = latest if self._latest is None else max(self._latest, latest)
            yield piece, rows

    def _extent(self, as_of: int) -> Extent:
        """Return from where to where the windows of any store reach."""
        names = self._weekly.of(0).zone_names
        nothing = np.empty(0, dtype=np.int64)
        zones = np.arange(len(names), dtype=np.int32)
        hours = WeeklyHours(nothing.astype(np.int32), nothing, nothing, nothing, zones, names)
        start, end = reports.extent(windows(self._options.windows, as_of, hours), as_of)
        return Extent(start, end, as_of)

    def _made(self, as_of: int, counted: Totals) -> Report:
        n, options = len(self._ids.texts), self._options
        texts = self._ids.texts[:n]
        reported = self._held.known[:n] if options.all_stores else self._held.observed[:n]
        if options.stores is not None:
            known = {texts[store] for store in np.flatnonzero(self._held.known[:n])}
            if missing := set(options.stores) - known:
                raise NotFoundError("store", min(missing), "it is in none of the tables")
            reported = reported & np.array([text in set(options.stores) for text in texts], dtype=np.bool_)
        laid = windows(options.windows, as_of, self._weekly.of(n))
        whole = Report(as_of, options.policy, self._version, tzdata_version(), texts, laid, counted)
        return reports.in_order(whole, np.flatnonzero(reported))


class _Weekly:
    """Rows of hours and zones, by number of store: read first, so that they are the same however many stores come."""

    def __init__(self, rows: npt.NDArray[np.int64], zones: Mapping[int, str]) -> None:
        self._rows, self._zones = rows, zones
        self._made = ingest.weekly_hours(rows, zones, max([-1, *rows[:, 0].tolist(), *zones]) + 1)

    def stores(self) -> npt.NDArray[np.int64]:
        """Return the numbers of all stores that have hours or a zone."""
        return np.array([*np.unique(self._rows[:, 0]).tolist(), *self._zones], dtype=np.int64)

    def of(self, n: int, divisor: int = 1, rest: int = 0) -> WeeklyHours:
        """Return the hours of those of ``n`` stores whose number is ``rest`` modulo ``divisor``."""
        made = self._made
        if n > len(made.zones):
            default = np.int32(made.zone_names.index(DEFAULT_TIMEZONE))
            more = np.full(n - len(made.zones), default, dtype=np.int32)
            made = self._made = replace(made, zones=np.concatenate([made.zones, more]))
        if divisor == 1:
            return made.of(0, n)
        rows = made.stores % divisor == rest
        return WeeklyHours(
            made.stores[rows] // np.int32(divisor), made.weekdays[rows], made.opens_local[rows],
            made.closes_local[rows], made.zones[rest:n:divisor], made.zone_names,
        )  # fmt: skip


def _read(polls: Sequence[Piece], progress: Progress | None) -> Iterator[tuple[Piece, Read]]:
    return ((piece, read) for piece in polls for read in piece.read(progress))


def _checked(intake: Intake, reads: Iterator[tuple[Piece, Read]]) -> Iterator[tuple[Piece, Rows]]:
    return ((piece, intake.rows(piece.source, read)) for piece, read in reads)


def _latest(polls: Sequence[Piece], now: int) -> int | None:
    """Return the latest good observation; as a rule, only the row group that reaches furthest is read for it."""
    intake = Intake(now, lambda _source, _rows: None)  # bad rows are told when the piece is read in its turn
    latest: int | None = None
    for last, piece in sorted(((_last(piece), piece) for piece in polls), key=itemgetter(0), reverse=True):
        if latest is not None and last <= latest:
            break
        for read in piece.read(None):
            rows = intake.rows(piece.source, read)
            if len(rows.times):
                latest = max(latest or 0, int(rows.times.max()))
    return latest


def _last(piece: Piece) -> int:
    return piece.bounds[1] if piece.bounds else LAST_INSTANT


def _kept(piece: Piece, extent: Extent) -> int:
    """Return how many rows of a piece lie in the windows, at most."""
    first, last = piece.bounds or (extent.start, extent.end)
    return 0 if last < extent.start or first > extent.end else piece.rows or 0


def _fit(polls: Sequence[Piece], extent: Extent, room: int) -> bool:
    """Say whether rows fit into memory that are measured as soon as all pieces that may begin before them were read."""
    count = 0
    reaching: list[tuple[int, int]] = []
    for piece in polls:
        first, last = piece.bounds or (0, LAST_INSTANT)
        rows = _kept(piece, extent)
        if count + rows > room:
            while reaching and reaching[0][0] < first:
                count -= heapq.heappop(reaching)[1]
        if count + rows > room:
            return False
        heapq.heappush(reaching, (last, rows))
        count += rows
    return True
