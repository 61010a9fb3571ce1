"""The record of a load: what it brings, what it rejected and why, and what that means for the stores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from uphours.printable import printable
from uphours.schema import (
    DEFAULT_TIMEZONE,
    EVERY_STORE,
    HOUR_US,
    MINUTE_US,
    Codes,
    Instants,
    Setting,
    Statuses,
    Target,
    instant_text,
)

#: Of the rejected rows of a load, this many are kept, and this many bytes of each; the others are counted.
MOST_KEPT: Final = 10_000
#: So much of a row stands in a message.
SHOWN: Final = 120
RAW_BYTES: Final = 4_096
#: A latest observation this far from the one before is worth a word: it alone decides what reports speak for.
_FAR_US: Final = 6 * HOUR_US


@dataclass(frozen=True)
class Rejected:
    """Rows of a file that were rejected for the same cause: how many, and the first of them.

    ``file``: the position of the file in the load. ``raw``: the row as it was, its first 4 kB, as text.
    """

    file: int
    cause: str
    rows: int
    line: int
    reason: str
    raw: str


@dataclass(frozen=True)
class StoreCounts:
    """How many stores there are after a load, and what is known of them.

    ``hours_unknown``: with rows of hours or zones of which none could be used. ``always_open``: the others without any
    row of hours. ``in_default_timezone``: without any row of zones. ``polled``: with polls. The last four: with rows of
    hours or zones, usable or not, and with polls besides.
    """

    stores: int
    always_open: int
    in_default_timezone: int
    hours_unknown: int
    polled: int
    with_hours: int
    polled_with_hours: int
    with_timezone: int
    polled_with_timezone: int

    @staticmethod
    def count(
        polled: npt.NDArray[np.bool_],
        with_hours: npt.NDArray[np.bool_],
        with_timezone: npt.NDArray[np.bool_],
        hours_known: npt.NDArray[np.bool_],
    ) -> StoreCounts:
        """Count stores of which these things are known."""
        n = len(polled)
        return StoreCounts(
            stores=n,
            always_open=int((~with_hours & hours_known).sum()),
            in_default_timezone=n - int(with_timezone.sum()),
            hours_unknown=n - int(hours_known.sum()),
            polled=int(polled.sum()),
            with_hours=int(with_hours.sum()),
            polled_with_hours=int((with_hours & polled).sum()),
            with_timezone=int(with_timezone.sum()),
            polled_with_timezone=int((with_timezone & polled).sum()),
        )

    def sentences(self) -> Iterator[str]:
        """Say how stores count, and where ids of polls and of hours or zones do not meet."""
        if self.always_open:
            yield f"{_stores(self.always_open)} as always open (no hours given)"
        if self.in_default_timezone:
            yield f"{_stores(self.in_default_timezone)} in {DEFAULT_TIMEZONE} (no time zone given)"
        if self.hours_unknown:
            why = "rows of hours or zones were given, none could be used"
            yield f"{_stores(self.hours_unknown)} with unknown hours ({why})"
        yield from _meeting("hours", self.polled, self.with_hours, self.polled_with_hours)
        yield from _meeting("a time zone", self.polled, self.with_timezone, self.polled_with_timezone)


def _stores(number: int) -> str:
    return f"{number:,} store counts" if number == 1 else f"{number:,} stores count"


def _meeting(what: str, polled: int, given: int, both: int) -> Iterator[str]:
    """Say where ids do not meet; that stores with polls have no hours was said already."""
    rest = given - both
    if polled and rest:
        yield (
            f"{both:,} of {polled:,} {'store' if polled == 1 else 'stores'} with polls "
            f"{'has' if both == 1 else 'have'} {what}; "
            f"{rest:,} {'store' if rest == 1 else 'stores'} with {what} {'has' if rest == 1 else 'have'} no polls"
        )


class _Bringing(Protocol):
    """What a load says of stores beside polls, hours and zones, as `Loaded` has it."""

    @property
    def special_hours(self) -> npt.NDArray[np.int64]: ...
    @property
    def attributes(self) -> Mapping[tuple[int, str, int], str]: ...
    @property
    def adjustments(self) -> Sequence[AdjustmentRow]: ...
    @property
    def targets(self) -> Mapping[tuple[str, int], Target]: ...


@dataclass(frozen=True)
class Brought:
    """How much a load brings beside polls, hours and zones.

    ``special_stores``, ``special_dates``: for how many stores, and on how many different dates there are special hours;
    ``for_every_store``: whether some are for all stores. ``attributes``: values of stores. ``entries``: of the ledger.
    ``targets``: of availability, one for each name and date.
    """

    special_stores: int = 0
    special_dates: int = 0
    for_every_store: bool = False
    attributes: int = 0
    entries: int = 0
    targets: int = 0

    @staticmethod
    def of(loaded: _Bringing) -> Brought:
        """Count what a load brings."""
        stores, dates = (set(loaded.special_hours[:, column].tolist()) for column in (0, 1))
        return Brought(
            special_stores=len(stores - {EVERY_STORE}),
            special_dates=len(dates),
            for_every_store=EVERY_STORE in stores,
            attributes=len(loaded.attributes),
            entries=len({(row.file, row.entry or (row.line, row.store)) for row in loaded.adjustments}),
            targets=len(loaded.targets),
        )

    def sentences(self) -> Iterator[str]:
        """Say what was brought."""
        if self.special_dates:
            of = ["all stores"] if self.for_every_store else []
            of += [_number(self.special_stores, "store", "stores")] if self.special_stores else []
            yield f"special hours of {' and of '.join(of)} on {_number(self.special_dates, 'date', 'dates')}"
        if self.attributes:
            yield f"{_number(self.attributes, 'attribute', 'attributes')} of stores"
        if self.entries:
            yield f"{_number(self.entries, 'entry', 'entries')} for the ledger"
        if self.targets:
            yield _number(self.targets, "target", "targets")


def _number(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"


@dataclass(frozen=True)
class Summary:
    """What a load did.

    ``rejected``: in order of file, the most frequent cause first. ``rows_kept``: how many rejected rows are kept.
    ``notices``: what was noticed when the files were read. ``stores``: the fleet afterwards; None where a load does not
    look at it. ``unusable_left_out``: stores whose hours or zone stay as they were, because the rows that came for them
    could not be used. ``restated``: stores with polls whose hours, zone or special hours in force
    changed, so that figures of the past change. ``latest_observed_at``: the latest observation, if it lies after the
    clock (``now``) or far from the one before.
    ``pruned_before``: from when on observations are complete, where the files brought a later limit than there was.
    ``brought``: how much came beside polls, hours and zones; None in loads of earlier versions.
    """

    rejected: Sequence[Rejected] = ()
    rows_kept: int = 0
    notices: Sequence[str] = ()
    stores: StoreCounts | None = None
    unusable_left_out: int = 0
    restated: int = 0
    latest_observed_at: int | None = None
    observed_before_at: int | None = None
    now_at: int | None = None
    pruned_before: int | None = None
    brought: Brought | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain values."""
        return asdict(self)

    @staticmethod
    def from_dict(facts: Mapping[str, Any]) -> Summary:
        """Return the summary of plain values."""
        rejected = [Rejected(**one) for one in facts["rejected"]]
        counts = None if facts["stores"] is None else StoreCounts(**facts["stores"])
        brought = None if facts.get("brought") is None else Brought(**facts["brought"])
        notices = tuple(facts["notices"])
        return Summary(**{**facts, "rejected": rejected, "notices": notices, "stores": counts, "brought": brought})

    def to_json(self) -> str:
        """Return the summary as text."""
        return json.dumps(self.to_dict(), ensure_ascii=True, separators=(",", ":"))

    def sentences(self) -> list[str]:
        """Say what the load means for the stores, a sentence each."""
        said = [*self.notices]
        if self.brought is not None:
            said += self.brought.sentences()
        if self.stores is not None:
            said += self.stores.sentences()
        if self.unusable_left_out:
            one = self.unusable_left_out == 1
            said.append(
                f"{self.unusable_left_out:,} {'store keeps its' if one else 'stores keep their'} hours or time zone: "
                f"none of the rows that came for {'it' if one else 'them'} could be used"
            )
        if self.restated:
            # Special hours and last days are of a date by nature.
            is_of_dates = self.brought is not None and (self.brought.special_dates or self.brought.attributes)
            hint = "" if is_of_dates else "; rows with a valid_from change nothing before it"
            said.append(f"figures of the past change for {_number(self.restated, 'store', 'stores')}{hint}")
        if self.pruned_before is not None:
            before = instant_text(self.pruned_before)
            said.append(f"observations before {before} are not complete; windows that begin earlier are refused")
        said += self._latest()
        return said

    def _latest(self) -> Iterator[str]:
        if self.latest_observed_at is None:
            return
        latest = f"the latest observation, {instant_text(self.latest_observed_at)}, is"
        if self.now_at is not None and self.latest_observed_at > self.now_at:
            yield f"{latest} {_length(self.latest_observed_at - self.now_at)} ahead of the clock"
        if self.observed_before_at is not None:
            yield f"{latest} {_length(self.latest_observed_at - self.observed_before_at)} after the one before"


def _length(us: int) -> str:
    return f"{us / HOUR_US:,.1f} h" if us >= HOUR_US else f"{us / MINUTE_US:,.1f} min"


def rejected_lines(rejected: Sequence[Rejected]) -> list[str]:
    """Say of each cause how many rows were rejected for it, with the first of them."""
    return [
        # Rows of a table on a cluster have no lines.
        f"{one.rows:,} × {one.cause} ({f'line {one.line}: ' if one.line else ''}{printable(one.raw, SHOWN)})"
        for one in rejected
    ]


@dataclass
class Latest:
    """The latest observation of what was read so far, and the latest one before it."""

    latest: int | None = None
    before: int | None = None

    def add(self, times: Instants) -> None:
        """Take note of observations."""
        if not len(times):
            return
        found = [int(times.max())]
        earlier = times[times < found[0]]
        found += [int(earlier.max())] if len(earlier) else []
        found += [us for us in (self.latest, self.before) if us is not None]
        first, *others = sorted(set(found), reverse=True)
        self.latest, self.before = first, next(iter(others), None)

    def noted(self, summary: Summary, now: int | None) -> Summary:
        """Return a summary with what deserves a word about the latest observation."""
        if self.latest is None:
            return summary
        ahead = now is not None and self.latest > now
        far = self.before is not None and self.latest - self.before > _FAR_US
        if not (ahead or far):
            return summary
        return replace(
            summary,
            latest_observed_at=self.latest,
            observed_before_at=self.before if far else None,
            now_at=now if ahead else None,
        )


@dataclass(frozen=True)
class LoadedFile:
    """A source of a load: what it was, and how many of its rows went where; of a CSV file also its first line."""

    kind: str
    name: str
    sha256: str
    bytes: int
    rows_read: int
    accepted: int
    quarantined: int
    header: str | None = None


@dataclass(frozen=True)
class Quarantined:
    """A row that was rejected: the position of its file in the load, its line, its first 4 kB, and why.

    ``cause``: the reason without the value, the same for all rows that are rejected for the same cause.
    """

    file: int
    line: int
    raw: bytes
    reason: str
    cause: str


class AdjustmentRow(NamedTuple):
    """A row for the ledger: an interval of a store that counts differently, or the withdrawal of an entry.

    ``counts_as``: a status of spans (`uphours.schema.SPAN_STATUSES`), or ``withdrawal``. ``start``, ``end``: of a
    withdrawal both 0; else microseconds since the epoch, in UTC or, if ``is_local``, on the wall clock of the store,
    each in the zone in force on its own date. ``entry``: what the file calls the entry, blank where it says nothing:
    rows of a file with the same text are one entry. ``withdraws``: the entry that is withdrawn, as the file calls it,
    or by number one of the database. ``file``, ``line``: where the row stands.
    """

    store: int
    start: int
    end: int
    is_local: bool
    counts_as: str
    reason: str
    note: str
    entry: str
    withdraws: str
    file: int
    line: int


@dataclass(frozen=True)
class Loaded:
    """What a load brings; its stores are numbered by their position in ``store_ids``.

    ``stores``, ``times``, ``statuses``: observations as they came. ``hours``: int64 of shape (rows, 5), columns
    store, valid_from, day, start, end, each row once (a closed day as `uphours.schema.CLOSED`). ``timezones``: name by
    store and valid_from. ``special_hours``: int64 of shape (rows, 4), columns store (`uphours.schema.EVERY_STORE` for
    all), date, start, end, each row once; ``special_names``: what a store's date is called. ``attributes``: value by
    store, name and valid_from; a blank one takes a value away. Dates are days since the epoch, valid_from is
    `uphours.schema.SINCE_EVER` where none is given. ``adjustments``: rows for the ledger, in order.
    ``targets``: by name and valid_from.
    ``repeated``, ``conflicting``: rows of hours and zones left out. ``pruned_before``: from when on the observations
    are complete, where they are not. ``notices``: what a person should know of how the sources were read.

    ``unusable``: by kind, the stores for which rows of hours or zones were given of which none could be used.
    ``unreadable``: ids that stand on lines that are no rows, of stores that nothing else in the load speaks of: they
    count where the store is known already. ``quarantine``: the first of the rejected rows; ``rejected``: how many there
    were, by file and cause.
    """

    started_at: int
    store_ids: Sequence[str]
    stores: Codes
    times: Instants
    statuses: Statuses
    hours: npt.NDArray[np.int64]
    timezones: Mapping[tuple[int, int], str]
    unusable: Mapping[Setting, Sequence[int]]
    unreadable: Mapping[Setting, Sequence[str]]
    repeated: int
    conflicting: int
    files: Sequence[LoadedFile]
    quarantine: Sequence[Quarantined]
    rejected: Sequence[Rejected]
    notices: Sequence[str] = ()
    pruned_before: int | None = None
    special_hours: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 4), dtype=np.int64))
    special_names: Mapping[tuple[int, int], str] = field(default_factory=dict)
    attributes: Mapping[tuple[int, str, int], str] = field(default_factory=dict)
    adjustments: Sequence[AdjustmentRow] = ()
    targets: Mapping[tuple[str, int], Target] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """The record of a load.

    ``accepted`` rows are well-formed; among them ``repeated`` ones said again what was known already and
    ``conflicting`` ones contradicted another row for the same store and instant. ``summary``: what the load did; None
    for loads of earlier versions.
    """

    load: int
    started_at: int
    version: str
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantined: int
    first_observed_at: int | None
    last_observed_at: int | None
    files: Sequence[LoadedFile]
    summary: Summary | None

    def facts(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return asdict(self)
