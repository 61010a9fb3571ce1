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
from dataclasses import dataclass, fields
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.errors import InputError, NothingObservedError
from uphours.ingest.given import Given
from uphours.ingest.inputs import Kind, Progress
from uphours.ingest.load import find_inputs, prefetched
from uphours.ingest.quarantine import Quarantine, check_rejected
from uphours.ingest.readers.parquet_footer import latest_limit
from uphours.ingest.statuses import status_words
from uphours.ingest.validate import Accepted
from uphours.kernel.local_time import tzdata_version
from uphours.kernel.windows import windows
from uphours.large_files.asked_stores import AskedStores
from uphours.large_files.buffer import Extent, Held, grouped
from uphours.large_files.checked_rows import Intake, Rows
from uphours.large_files.cut_windows import MeasuredPieces
from uphours.large_files.growing import Growing
from uphours.large_files.parts import Piece, Read, pieces_of
from uphours.large_files.running import RunningTotals
from uphours.large_files.spill import Part, Spill, check_room
from uphours.load_record import LoadedFile, StoreCounts, Summary
from uphours.reports import measure
from uphours.reports.ahead import Ahead
from uphours.reports.answers import Answer, stores_of
from uphours.reports.groups import places_of, pooled
from uphours.reports.measure import totals
from uphours.reports.memberships import memberships, with_columns
from uphours.reports.pieces import Pieces
from uphours.reports.report import Report, Totals
from uphours.reports.request import ReportRequest
from uphours.schema import DAY_US, END_OF_TIME, LAST_INSTANT, SINCE_EVER, STATUS_BITS, Schedule, check_kept
from uphours.version import VERSION

#: What observations may take unless a caller says otherwise.
MEMORY_BYTES: Final = 2 * 10**9
#: Less than a batch of rows takes anyway is not worth asking for.
SMALLEST_MEMORY_BYTES: Final = 1 << 20
#: Local dates of two zones begin at most so far apart.
_ZONES_APART_US: Final = 2 * DAY_US
#: One that is kept takes 12 bytes, 8 more where rows are put together by store, and what is measured comes on top.
BYTES_PER_ROW: Final = 56


def report_from_files(
    names: Mapping[Kind, Sequence[str]],
    options: ReportRequest,
    *,
    now: int,
    folder: Path,
    quarantine: Quarantine | None = None,
    strict: Fraction | None = None,
    memory_bytes: int = MEMORY_BYTES,
    progress: Progress | None = None,
    statuses: Mapping[str, str] | None = None,
    valid_from: int = SINCE_EVER,
) -> Streamed:
    """Make a report of the fleet that files describe; the same as that of a database into which they were loaded.

    Parameters
    ----------
    names
        What to read, by kind: paths, globs, ``-``, and places in object stores. All but polls are held in memory.
    now
        UTC microseconds; polls over 24 h later are set aside.
    folder
        Where temporary files go: observations that do not fit into memory, and parts of files from object stores.
    quarantine
        Takes the rejected rows, also of a report that fails.
    strict
        The greatest share of rows that may be rejected; unless given, any.
    memory_bytes
        What observations may take; what is kept of each store, and the result, come on top.
    statuses
        Words of the input for ``active``, ``inactive`` and ``unknown``, beside the usual ones.
    valid_from
        From which local date on rows of hours and zones hold that name none, in days since the epoch.

    Raises
    ------
    InputError
        A file cannot be read, there is no room in the folder, or there is no observation to take ``as_of`` from.
    RejectedError
        A file has rows, and none of them can be used; or more rows are rejected than may be.
    NotFoundError
        A chosen store is in none of the files.
    """
    found = find_inputs(names, now=now)
    accepted = Accepted(status_words(statuses), valid_from=valid_from)
    intake = Intake(now, found, Quarantine() if quarantine is None else quarantine, accepted)
    intake.quarantine.names = [source.name for source in found]
    for source in found:
        if source.kind != "polls":
            intake.settings(source, progress)
    polls = pieces_of([source for source in found if source.kind == "polls"], folder)
    intake.accepted.pruned_before = latest_limit(
        intake.accepted.pruned_before, *(piece.pruned_before for piece in polls)
    )
    room = max(memory_bytes // BYTES_PER_ROW, 1)
    making = _Making(intake, options, room, folder, progress)
    try:
        made = making.answer(polls)
    except NothingObservedError:
        # All that was read may have been rejected: then that is the reason.
        check_rejected(intake.files(), intake.quarantine.rejected(), strict=strict)
        raise
    check_rejected(intake.files(), intake.quarantine.rejected(), strict=strict)
    return Streamed(made, intake.files(), making.summary())


@dataclass(frozen=True)
class Streamed:
    """What a request is answered with straight from files, what was read of each file, and what that means."""

    answer: Answer
    files: Sequence[LoadedFile]
    summary: Summary

    @property
    def report(self) -> Report:
        """That of the stores."""
        return stores_of(self.answer)


class _Making:
    """One report that is being made."""

    def __init__(
        self,
        intake: Intake,
        options: ReportRequest,
        room: int,
        folder: Path,
        progress: Progress | None,
    ) -> None:
        self._intake, self._options, self._folder = intake, options, folder
        self._progress = progress
        self._ids = intake.accepted.store_ids
        self._growing = Growing(Given.of(intake.accepted), raw=options.raw)
        self._asked = AskedStores(self._growing, self._ids.texts, options)
        self._pieces: MeasuredPieces | None = None
        intake.accepted.hours.clear()  # of half a million stores they are 0.2 GB
        intake.accepted.timezones.clear()
        intake.accepted.special_hours.clear()
        intake.accepted.special_names.clear()
        self._held = Held(room)
        self._held.grow(len(self._ids.texts))
        self._latest: int | None = None
        self._ahead: set[int] = set()

    def answer(self, polls: Sequence[Piece]) -> Answer:
        """Read all pieces, and measure what is in them."""
        as_of = self._options.as_of
        bounded = all(piece.bounds for piece in polls)
        if as_of is None and bounded:
            as_of = _latest(polls, self._intake.now, self._intake.accepted.words)
            if as_of is None:
                for _ in self._rows(polls):
                    pass  # so that all that is wrong is known
                raise NothingObservedError
        if as_of is not None:
            self._asked.settle(as_of)
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
            self._asked.settle(as_of)
            return self._made(as_of, self._in_parts(spill, as_of))

    # --- in the order of time -----------------------------------------------------------------------------------

    def _in_slices(self, polls: Sequence[Piece], as_of: int, extent: Extent) -> Totals:
        """Read pieces in order of their first row, and measure what is before all that is still to come."""
        self._cut(as_of, extent.start)
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
        if self._pieces is not None:
            self._pieces.end_slices()
        return running.totals(len(self._asked.numbers(len(self._ids.texts))))

    def _measure(self, running: RunningTotals, until: int, as_of: int) -> None:
        """Measure each store up to its last row before an instant; all that is left at the end of time."""
        n = len(self._ids.texts)
        self._held.grow(n)
        observations = self._held.give_up(n, until)
        asked = self._asked.numbers(n)
        if not self._asked.are_all:
            observations = observations.pick(asked)
        running.grow(len(asked))
        ends = np.full(len(asked), END_OF_TIME)
        if until < END_OF_TIME:
            ends = running.since[: len(asked)].copy()
            some = np.flatnonzero(np.diff(observations.offsets))
            ends[some] = np.maximum(ends[some], self._held.before[asked[some]] >> STATUS_BITS)
        schedule, adjustments = self._growing.schedule(n, asked), self._growing.adjustments(n, asked)
        laid = windows(self._options.windows, as_of, schedule)
        running.add(observations, schedule, adjustments, laid, ends, as_of, self._options.policy)
        if self._pieces is not None:
            self._pieces.add_slice(observations, schedule, adjustments, ends)

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
            raise NothingObservedError
        if spill.is_used:
            spill.add(*held.give_away())
            held.free()
        return self._latest if as_of is None else as_of  # type: ignore[return-value]  # it was looked at above

    def _in_parts(self, spill: Spill, as_of: int) -> Totals:
        """Measure the stores of one part after the other."""
        n, held, chosen = len(self._ids.texts), self._held, self._options.windows
        held.grow(n)
        self._cut(as_of, as_of)
        asked = self._asked.numbers(n)
        made = Totals(*(np.zeros((len(asked), len(chosen)), dtype=np.int64) for _ in fields(Totals)))
        parts = spill.parts(n, held.room) if spill.is_used else [Part(1, 0, *held.give_away())]
        for part in parts:
            places = np.flatnonzero(asked % part.divisor == part.rest)
            mine = asked[places]
            stores, keys = part.stores // np.int32(part.divisor), part.keys
            if not self._asked.are_all:
                is_asked = self._asked.mask(n)[part.rest :: part.divisor]
                rows = is_asked[stores]
                stores, keys = (np.cumsum(is_asked, dtype=np.int32) - np.int32(1))[stores[rows]], keys[rows]
            observations, _ = grouped(stores, keys, held.before[mine], held.after[mine])
            schedule, adjustments = self._growing.schedule(n, mine), self._growing.adjustments(n, mine)
            laid = windows(chosen, as_of, schedule)
            counted = totals(observations, schedule, adjustments, laid, as_of, self._options.policy)
            for name, values in vars(counted).items():
                getattr(made, name)[places] = values
            if self._pieces is not None:
                self._pieces.add_stores(places, observations, schedule, adjustments)
        held.free()
        return made

    # --- both ---------------------------------------------------------------------------------------------------

    def _rows(self, polls: Sequence[Piece]) -> Iterator[tuple[Piece, Rows]]:
        """Read and check, each a step ahead in a thread; yield the rows."""
        for piece, rows in prefetched(_checked(self._intake, prefetched(_read(polls, self._progress)))):
            self._held.grow(len(self._ids.texts))
            if len(rows.times):
                latest = int(rows.times.max())
                self._latest = latest if self._latest is None else max(self._latest, latest)
                if latest > self._intake.now:
                    self._ahead.update(np.unique(rows.stores[rows.times > self._intake.now]).tolist())
            if not self._asked.are_all and self._asked.is_settled:
                self._held.polled[rows.stores] = True
                rows = rows.where(self._asked.mask(len(self._ids.texts))[rows.stores])
            yield piece, rows

    def _cut(self, as_of: int, start: int) -> None:
        """Find the stores that change groups inside a window, as far as they are known: no others do."""
        if self._options.by:
            self._pieces = MeasuredPieces(self._cut_windows(as_of).cut(), start, as_of, self._options.policy)

    def _cut_windows(self, as_of: int) -> Pieces:
        described, by = self._asked.described(len(self._ids.texts)), self._options.by
        belongs = memberships(described.clocks, described.attributes(by), by)
        return Pieces.of(windows(self._options.windows, as_of, described.clocks), belongs)

    def _extent(self, as_of: int) -> Extent:
        """Return from where to where the windows of any store reach."""
        names, has_dated = self._growing.zones()
        nothing = np.empty(0, dtype=np.int64)
        zones = np.arange(len(names), dtype=np.int32)
        schedule = Schedule(nothing.astype(np.int32), nothing, nothing, nothing, zones, names)
        start, end = measure.extent(windows(self._options.windows, as_of, schedule), as_of)
        # Dates of one zone may be laid out in another one.
        return (
            Extent(start - _ZONES_APART_US, min(end + _ZONES_APART_US, as_of), as_of)
            if has_dated
            else Extent(start, end, as_of)
        )

    def _known(self, n: int) -> npt.NDArray[np.bool_]:
        """Say of each number whether it is of a store: with polls, or with anything else that was given."""
        known = self._held.polled[:n].copy()
        known[self._growing.stores()] = True
        return known

    def summary(self) -> Summary:
        """Return what was read means for the stores."""
        n = len(self._ids.texts)
        hours_known = self._growing.schedule(n).known()
        known, polled = self._known(n), self._held.polled[:n]
        with_hours, with_timezone = self._growing.given(n)
        counts = StoreCounts.count(polled[known], with_hours[known], with_timezone[known], hours_known[known])
        quarantine = self._intake.quarantine
        accepted = self._intake.accepted
        summary = Summary(
            quarantine.rejected(), len(quarantine.rows), accepted.notices, counts,
            pruned_before=accepted.pruned_before, brought=self._growing.brought,
        )  # fmt: skip
        return self._intake.latest.noted(summary, self._intake.now)

    def _made(self, as_of: int, counted: Totals) -> Answer:
        n, options = len(self._ids.texts), self._options
        self._asked.check(self._known(n), as_of)
        asked, texts = self._asked.numbers(n), self._ids.texts
        is_reported = (self._known(n) if options.all_stores else self._held.observed[:n])[asked]
        schedule = self._growing.schedule(n, asked)
        laid = windows(options.windows, as_of, schedule)
        check_kept(self._intake.accepted.pruned_before, *measure.extent(laid, as_of))
        now = self._intake.now
        far = options.as_of is None and as_of > now
        ahead = (
            Ahead.of(as_of, now, [texts[store] for store in self._ahead.intersection(asked.tolist())]) if far else None
        )
        ids = [texts[store] for store in asked.tolist()]
        whole = Report(
            as_of, options.policy, VERSION, tzdata_version(), ids, laid, counted, schedule.known(), options.raw,
            ahead=ahead,
        )  # fmt: skip
        report = measure.in_order(whole, np.flatnonzero(is_reported))
        if self._pieces is not None:
            places = places_of(ids, report.store_ids)
            return pooled(report, options.by, self._cut_windows(as_of), places, self._pieces.counted())
        return with_columns(report, self._asked.described(n), options.columns)


def _read(polls: Sequence[Piece], progress: Progress | None) -> Iterator[tuple[Piece, Read]]:
    return ((piece, read) for piece in polls for read in piece.read(progress))


def _checked(intake: Intake, reads: Iterator[tuple[Piece, Read]]) -> Iterator[tuple[Piece, Rows]]:
    return ((piece, intake.rows(piece.source, read)) for piece, read in reads)


def _latest(polls: Sequence[Piece], now: int, words: Mapping[str, int]) -> int | None:
    """Return the latest good observation; as a rule, only the row group that reaches furthest is read for it."""
    # Rejected rows are counted when the piece is read in its turn.
    intake = Intake(now, [piece.source for piece in polls], Quarantine(most=0), Accepted(words))
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
