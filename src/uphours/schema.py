"""The contracts: what the tables and arrays that pass between the parts look like.

Tables (Polars) stand at the edges, arrays (NumPy) inside; both are described here and nowhere else.
Instants are int64 microseconds since the epoch, UTC; intervals are half-open ``[start, end)``. Inside,
stores are numbered ``0 … n-1`` in the order of ``store_ids``, and arrays that belong to stores come with
``offsets`` (int64, length n + 1): store *i* owns the elements ``offsets[i]:offsets[i + 1]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from uphours.durations import DAY_US as DAY_US
from uphours.durations import HOUR_US as HOUR_US
from uphours.durations import MILLISECOND_US as MILLISECOND_US
from uphours.durations import MINUTE_US as MINUTE_US
from uphours.durations import SECOND_US as SECOND_US
from uphours.durations import duration_us as duration_us
from uphours.durations import short_duration as short_duration
from uphours.errors import InputError, shown
from uphours.instants import BEGINNING_OF_TIME as BEGINNING_OF_TIME
from uphours.instants import END_OF_TIME as END_OF_TIME
from uphours.instants import FIRST_INSTANT as FIRST_INSTANT
from uphours.instants import LAST_INSTANT as LAST_INSTANT
from uphours.instants import VALID_INSTANTS as VALID_INSTANTS
from uphours.instants import YEAR_2000_US as YEAR_2000_US
from uphours.instants import Instant as Instant
from uphours.instants import checked_instant as checked_instant
from uphours.instants import instant_iso as instant_iso
from uphours.instants import instant_text as instant_text
from uphours.instants import instant_us as instant_us
from uphours.instants import is_whole_number as is_whole_number
from uphours.instants import iso_or_none as iso_or_none

Instants: TypeAlias = npt.NDArray[np.int64]
Offsets: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.int32]
Statuses: TypeAlias = npt.NDArray[np.uint8]
_Value = TypeVar("_Value", bound=np.generic)
#: A store without a zone of its own.
DEFAULT_TIMEZONE: Final = "America/Chicago"

#: CLDR's name of a zone that is not known: of a store for which only unusable zones were given. It counts as UTC.
UNKNOWN_TIMEZONE: Final = "Etc/Unknown"

#: Start and end of the row of business hours that says of its day that the store is closed: from 24:00 to 24:00, which
#: is no time at all. No other row begins at 24:00.
CLOSED: Final = (DAY_US, 0)

#: Status of an observation, and of a span. Where a load says several things of one instant, the smallest one wins.
INACTIVE: Final = 0
ACTIVE: Final = 1
UNKNOWN: Final = 2
OBSERVATION_STATUSES: Final = ("inactive", "active", "unknown")
#: Status of a span alone: time that an entry of the ledger excludes.
EXCLUDED: Final = 3
SPAN_STATUSES: Final = ("down", "up", "unknown", "excluded")

#: Local dates are counted in days since the epoch. These two stand for no date: a week or zone without ``valid_from``,
#: a store without a first or a last day.
SINCE_EVER: Final = -(1 << 31)
FOR_EVER: Final = (1 << 31) - 1
#: The store of special hours that speak for every store, and how files write it.
EVERY_STORE: Final = -1
EVERY_STORE_ID: Final = "*"

#: What an entry of the ledger counts as that takes another one back.
WITHDRAWAL: Final = "withdrawal"
#: Why something counts differently: the reasons that an entry of the ledger may have.
REASONS: Final = (
    "planned closure", "platform outage", "collector failure", "store's own fault", "wrong data", "other",
)  # fmt: skip

#: For how long a target may be: calendar weeks, months and quarters.
PERIODS: Final = ("week", "month", "quarter")
#: The share of a target of 100 %.
WHOLE_SHARE: Final = 100_000

#: The bits of a packed observation that hold its status; see `pack`.
STATUS_BITS: Final = 2

#: Different rows of hours that a store may have: one for each hour of the week.
MOST_HOURS: Final = 168

#: The columns that each kind of input must have, and the other names they go by.
INPUT_COLUMNS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "polls": {"store_id": (), "status": (), "timestamp_utc": ()},
    "hours": {
        "store_id": (),
        "day": ("dayOfWeek", "day_of_week"),
        "start_time_local": (),
        "end_time_local": (),
    },
    "timezones": {"store_id": (), "timezone_str": ()},
    "special": {
        "store_id": (),
        "date": (),
        "start_time_local": (),
        "end_time_local": (),
    },
    "stores": {"store_id": ()},
    "adjustments": {"store_id": (), "counts_as": (), "reason": ()},
    "targets": {"name": (), "target": (), "period": ()},
}
#: The columns that a kind may have besides; of stores any other column is an attribute.
OPTIONAL_COLUMNS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "hours": {"valid_from": ()},
    "timezones": {"valid_from": ()},
    "special": {"name": ()},
    "stores": {"valid_from": ()},
    "adjustments": {
        "start_utc": (), "end_utc": (), "start_local": (), "end_local": (),
        "note": (), "entry": (), "withdraws": (),
    },
    "targets": {"where": (), "valid_from": ()},
}  # fmt: skip


Setting: TypeAlias = Literal["hours", "timezones"]
"""The kinds of input of which unusable rows leave the hours of a store unknown."""


@dataclass(frozen=True)
class Observations:
    """Poll results, per store in order of time, no instant twice.

    ``times``: int64, when observed. ``statuses``: uint8, ``INACTIVE``, ``ACTIVE`` or ``UNKNOWN``.
    """

    offsets: Offsets
    times: Instants
    statuses: Statuses

    def of(self, first: int, stop: int) -> Observations:
        """Return those of the stores ``first … stop-1``, numbered from 0."""
        offsets = self.offsets[first : stop + 1]
        mine = slice(offsets[0], offsets[-1])
        return Observations(offsets - offsets[0], self.times[mine], self.statuses[mine])

    def pick(self, chosen: npt.NDArray[np.int64]) -> Observations:
        """Return those of some stores, given by position, numbered from 0."""
        offsets, rows = picked(self.offsets, chosen)
        return Observations(offsets, self.times[rows], self.statuses[rows])


@dataclass(frozen=True)
class SpecialHours:
    """Rows that stand in for the weekly ones on one local date, in order of store and date.

    ``stores``: int32, the store of each row, `EVERY_STORE` for rows that speak for every store without rows of its own
    on that date. ``dates``: int64, days since the epoch. ``opens_local``, ``closes_local``: as in `Schedule`; a date on
    which no session starts has the one row `CLOSED`. ``names``: what people call the date, blank where nothing is said;
    None where no one has asked.
    """

    stores: Codes
    dates: npt.NDArray[np.int64]
    opens_local: npt.NDArray[np.int64]
    closes_local: npt.NDArray[np.int64]
    names: tuple[str, ...] | None

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.stores)

    def take(self, rows: npt.NDArray[np.int64], stores: Codes) -> SpecialHours:
        """Return some rows by position, with other numbers of their stores."""
        names = None if self.names is None else tuple(self.names[row] for row in rows.tolist())
        return SpecialHours(stores, self.dates[rows], self.opens_local[rows], self.closes_local[rows], names)


@dataclass(frozen=True)
class DatedZones:
    """The zones of stores that have dated ones, in order of store and date.

    ``stores``: int32. ``since``: int64, the local date from which on the zone is in force, days since the epoch,
    `SINCE_EVER` for one without a date. ``zones``: int32, an index into the names of the schedule. Before the first
    zone of such a store is in force, it is not scheduled.
    """

    stores: Codes
    since: npt.NDArray[np.int64]
    zones: Codes


@dataclass(frozen=True)
class Schedule:
    """When n stores are open: the rows of their weeks as given, their zones, special hours, first and last days.

    ``stores``: int32, the store of each row of a week, ascending. ``weekdays``: int64, 0 = Monday … 6 = Sunday.
    ``opens_local``, ``closes_local``: int64, microseconds since local midnight as written, so an overnight
    row has ``closes_local <= opens_local``; a closed day has the row `CLOSED`. ``since``: int64, the local date from
    which on the week of the row is in force, days since the epoch, `SINCE_EVER` for one without a date; None: no week
    has one. A store without any row is always open.

    ``zones``: int32 per store, an index into ``zone_names``: the zone, or the latest one of a store in ``dated_zones``.
    ``zone_is_default``: bool per store, no zone was given; None: all have one of their own.
    ``hours_known``: bool per store, false where rows of hours or zones were given and none could be used: such a
    store has no sessions; None: all are known.
    ``first_days``, ``last_days``: int64 per store, days since the epoch, both included, `SINCE_EVER` and `FOR_EVER`
    where there is no limit; None: no store has one.
    """

    stores: Codes
    weekdays: npt.NDArray[np.int64]
    opens_local: npt.NDArray[np.int64]
    closes_local: npt.NDArray[np.int64]
    zones: Codes
    zone_names: tuple[str, ...]
    zone_is_default: npt.NDArray[np.bool_] | None = None
    hours_known: npt.NDArray[np.bool_] | None = None
    since: npt.NDArray[np.int64] | None = None
    dated_zones: DatedZones | None = None
    special: SpecialHours | None = None
    first_days: npt.NDArray[np.int64] | None = None
    last_days: npt.NDArray[np.int64] | None = None

    def known(self) -> npt.NDArray[np.bool_]:
        """Return whether the hours of each store are known."""
        return np.ones(len(self.zones), dtype=np.bool_) if self.hours_known is None else self.hours_known

    def of(self, first: int, stop: int) -> Schedule:
        """Return that of the stores ``first … stop-1``, numbered from 0."""
        return self.pick(np.arange(first, stop, dtype=np.int64))

    def pick(self, chosen: npt.NDArray[np.int64]) -> Schedule:
        """Return that of some stores, given by position, ascending, numbered from 0."""

        def of_chosen(stores: Codes) -> tuple[npt.NDArray[np.int64], Codes]:
            """Return which rows are of chosen stores, and the new numbers of these."""
            if len(chosen) and chosen[-1] - chosen[0] + 1 == len(chosen):  # a range: rows lie in order of store
                bounds = np.searchsorted(stores, [chosen[0], chosen[-1] + 1]).tolist()
                rows = np.arange(*bounds, dtype=np.int64)
                return rows, stores[rows] - np.int32(chosen[0])
            rows = np.flatnonzero(np.isin(stores, chosen))
            return rows, np.searchsorted(chosen, stores[rows]).astype(np.int32)

        def per_store(values: npt.NDArray[_Value] | None) -> npt.NDArray[_Value] | None:
            return None if values is None else values[chosen]

        rows, stores = of_chosen(self.stores)
        dated, special = self.dated_zones, self.special
        if dated is not None:
            zone_rows, zone_stores = of_chosen(dated.stores)
            dated = DatedZones(zone_stores, dated.since[zone_rows], dated.zones[zone_rows]) if len(zone_rows) else None
        if special is not None:
            common = np.arange(np.searchsorted(special.stores, 0))  # of every store; they come first
            own_rows, own_stores = of_chosen(special.stores)
            numbers = np.concatenate([special.stores[common], own_stores])
            special = special.take(np.concatenate([common, own_rows]), numbers)
        return Schedule(
            stores, self.weekdays[rows], self.opens_local[rows], self.closes_local[rows],
            self.zones[chosen], self.zone_names, per_store(self.zone_is_default), per_store(self.hours_known),
            None if self.since is None else self.since[rows], dated, special,
            per_store(self.first_days), per_store(self.last_days),
        )  # fmt: skip


@dataclass(frozen=True)
class Adjustments:
    """What the ledger says of each store: disjoint intervals ``[starts, ends)`` in UTC, ascending per store.

    ``counts_as``: uint8, as the statuses of spans. ``entries``: int64, the number of the entry that decides.
    """

    offsets: Offsets
    starts: Instants
    ends: Instants
    counts_as: Statuses
    entries: npt.NDArray[np.int64]

    def of(self, first: int, stop: int) -> Adjustments:
        """Return those of the stores ``first … stop-1``, numbered from 0."""
        offsets = self.offsets[first : stop + 1]
        return self._rows(offsets - offsets[0], slice(offsets[0], offsets[-1]))

    def pick(self, chosen: npt.NDArray[np.int64]) -> Adjustments:
        """Return those of some stores, given by position, numbered from 0."""
        return self._rows(*picked(self.offsets, chosen))

    def _rows(self, offsets: Offsets, rows: slice | npt.NDArray[np.int64]) -> Adjustments:
        return Adjustments(offsets, self.starts[rows], self.ends[rows], self.counts_as[rows], self.entries[rows])


def picked(offsets: Offsets, chosen: npt.NDArray[np.int64]) -> tuple[Offsets, npt.NDArray[np.int64]]:
    """Return the offsets of some stores, given by position, and where their elements are."""
    counts = np.diff(offsets)[chosen]
    picked = np.concatenate([[0], np.cumsum(counts)])
    return picked, np.arange(picked[-1]) + np.repeat(offsets[:-1][chosen] - picked[:-1], counts)


class Target(NamedTuple):
    """What availability is expected of some stores, in each whole calendar period of a kind.

    ``since``: the local date from which on it is in force, days since the epoch, `SINCE_EVER` for one without a date.
    ``where``: which stores, as ``NAME=VALUE``, one a line; blank for every store. ``share``: of business time, in
    100,000ths; None: there is no target of this name from then on, and all else is blank. ``period``: of `PERIODS`.
    """

    name: str
    since: int
    where: str
    share: int | None
    period: str


@dataclass(frozen=True)
class Sessions:
    """When each store is open: maximal intervals ``[starts, ends)`` in UTC, ascending per store."""

    offsets: Offsets
    starts: Instants
    ends: Instants


@dataclass(frozen=True)
class Spans:
    """The timeline: sessions cut into intervals of one status, ascending per store.

    ``statuses``: uint8, ``INACTIVE``, ``ACTIVE``, ``UNKNOWN`` or ``EXCLUDED``. ``confirmed``: bool. ``evidence``:
    int64, position in the observations of the one that speaks for the span's first instant, -1 where none does.
    ``entries``: int64, the entry of the ledger that decides, 0 where none does; None: none does anywhere.
    """

    offsets: Offsets
    starts: Instants
    ends: Instants
    statuses: Statuses
    confirmed: npt.NDArray[np.bool_]
    evidence: npt.NDArray[np.int64]
    entries: npt.NDArray[np.int64] | None = None


def pack(times: Instants, statuses: Statuses) -> npt.NDArray[np.int64]:
    """Return each observation as one integer, ``instant << STATUS_BITS | status``.

    Their order is that of the instants, and at one instant that of the statuses.
    """
    return times << STATUS_BITS | statuses


def unpack(packed: npt.NDArray[np.int64]) -> tuple[Instants, Statuses]:
    """Return the instants and statuses of packed observations.

    >>> unpack(pack(np.array([5, -3]), np.array([2, 1], dtype=np.uint8)))
    (array([ 5, -3]), array([2, 1], dtype=uint8))
    """
    return packed >> STATUS_BITS, (packed & ((1 << STATUS_BITS) - 1)).astype(np.uint8)


class Fleet(Protocol):
    """Some stores and what is known about them; store *i* is called ``store_ids[i]``."""

    @property
    def store_ids(self) -> Sequence[str]:
        """The n ids, in no particular order."""

    @property
    def schedule(self) -> Schedule:
        """When they are open, on all dates."""

    @property
    def clocks(self) -> Schedule:
        """Their zones; nothing else of this schedule is asked."""

    def schedule_over(self, start: int, end: int, first_seen: Instants, last_seen: Instants) -> Schedule:
        """Return when they are open, as far as a timeline over ``[start, end)`` depends on it.

        ``first_seen``, ``last_seen``: per store, between which instants observations have a say in it.
        """

    @property
    def adjustments(self) -> Adjustments:
        """What the ledger says of them."""

    def adjustments_over(self, start: int, end: int) -> Adjustments:
        """Return what the ledger says of them, as far as a timeline over ``[start, end)`` depends on it."""

    def latest_observation(self) -> int | None:
        """Return when anything was last observed, at any store; None if nothing ever was."""

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        """Return what a timeline over ``[start, end)`` needs, nothing of it after ``as_of``.

        Per store at least the observations inside, the last one at or before ``start`` and the first one at
        or after ``end``, where they exist.
        """


def check_reason(reason: str) -> None:
    """Refuse a reason that no entry of the ledger may have.

    Raises
    ------
    InputError
        It is not one of `REASONS`.
    """
    if reason not in REASONS:
        raise InputError(f"there is no reason {shown(reason)}; valid are {', '.join(map(repr, REASONS))}")


def check_kept(pruned_before: int | None, start: int, end: int) -> None:
    """Refuse a window of which observations were pruned.

    Raises
    ------
    InputError
        It begins before the instant from which on all observations are there.
    """
    if pruned_before is not None and start < end and start < pruned_before:
        raise InputError(
            f"observations before {instant_text(pruned_before)} were pruned, all but the last one of each "
            f"store; this begins at {instant_text(start)}, valid are windows that begin later"
        )
