"""The contracts: what the tables and arrays that pass between the parts look like.

Tables (Polars) stand at the edges, arrays (NumPy) inside; both are described here and nowhere else.
Instants are int64 microseconds since the epoch, UTC; intervals are half-open ``[start, end)``. Inside,
stores are numbered ``0 … n-1`` in the order of ``store_ids``, and arrays that belong to stores come with
``offsets`` (int64, length n + 1): store *i* owns the elements ``offsets[i]:offsets[i + 1]``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from storepulse.errors import InputError

Instants: TypeAlias = npt.NDArray[np.int64]
Offsets: TypeAlias = npt.NDArray[np.int64]
Codes: TypeAlias = npt.NDArray[np.int32]
Statuses: TypeAlias = npt.NDArray[np.uint8]

MILLISECOND_US: Final = 1_000
SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

#: Bounds of a session that never opened and never closes: the years 1 and 9999.
BEGINNING_OF_TIME: Final = -62_135_596_800 * SECOND_US
END_OF_TIME: Final = 253_402_300_800 * SECOND_US

#: Instants that can be asked for: the years 1970 to 2199.
FIRST_INSTANT: Final = 0
LAST_INSTANT: Final = 7_258_118_400 * SECOND_US

#: A store without a zone of its own.
DEFAULT_TIMEZONE: Final = "America/Chicago"

#: Status of an observation, and of a span; a span can also be unknown.
INACTIVE: Final = 0
ACTIVE: Final = 1
UNKNOWN: Final = 2
SPAN_STATUSES: Final = ("down", "up", "unknown")

STORE_ID_MAX_LENGTH: Final = 255

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
}


@dataclass(frozen=True)
class Observations:
    """Poll results, per store in order of time, no instant twice.

    ``times``: int64, when observed. ``statuses``: uint8, ``INACTIVE`` or ``ACTIVE``.
    """

    offsets: Offsets
    times: Instants
    statuses: Statuses

    def of(self, first: int, stop: int) -> Observations:
        """Return those of the stores ``first … stop-1``, numbered from 0."""
        offsets = self.offsets[first : stop + 1]
        mine = slice(offsets[0], offsets[-1])
        return Observations(offsets - offsets[0], self.times[mine], self.statuses[mine])


@dataclass(frozen=True)
class WeeklyHours:
    """Opening rows as given, and the zone of each store.

    ``stores``: int32, the store of each row, ascending. ``weekdays``: int64, 0 = Monday … 6 = Sunday.
    ``opens_local``, ``closes_local``: int64, microseconds since local midnight as written, so an overnight
    row has ``closes_local <= opens_local``. ``zones``: int32 per store, an index into ``zone_names``.
    ``zone_is_default``: bool per store, nobody gave it a zone; None: all have one of their own.
    """

    stores: Codes
    weekdays: npt.NDArray[np.int64]
    opens_local: npt.NDArray[np.int64]
    closes_local: npt.NDArray[np.int64]
    zones: Codes
    zone_names: tuple[str, ...]
    zone_is_default: npt.NDArray[np.bool_] | None = None

    def of(self, first: int, stop: int) -> WeeklyHours:
        """Return those of the stores ``first … stop-1``, numbered from 0."""
        mine = slice(*np.searchsorted(self.stores, [first, stop]).tolist())
        return WeeklyHours(
            self.stores[mine] - np.int32(first), self.weekdays[mine], self.opens_local[mine], self.closes_local[mine],
            self.zones[first:stop], self.zone_names,
            None if self.zone_is_default is None else self.zone_is_default[first:stop],
        )  # fmt: skip


@dataclass(frozen=True)
class Sessions:
    """When each store is open: maximal intervals ``[starts, ends)`` in UTC, ascending per store."""

    offsets: Offsets
    starts: Instants
    ends: Instants


@dataclass(frozen=True)
class Spans:
    """The timeline: sessions cut into intervals of one status, ascending per store.

    ``statuses``: uint8, ``INACTIVE``, ``ACTIVE`` or ``UNKNOWN``. ``confirmed``: bool. ``evidence``: int64,
    position in the observations of the one that speaks for the span's first instant, -1 where none does.
    """

    offsets: Offsets
    starts: Instants
    ends: Instants
    statuses: Statuses
    confirmed: npt.NDArray[np.bool_]
    evidence: npt.NDArray[np.int64]


class Fleet(Protocol):
    """Some stores and what is known about them; store *i* is called ``store_ids[i]``."""

    @property
    def store_ids(self) -> Sequence[str]:
        """The n ids, in no particular order."""

    @property
    def hours(self) -> WeeklyHours:
        """Their opening rows and zones."""

    def latest_observation(self) -> int | None:
        """Return when anything was last observed, at any store; None if nothing ever was."""

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        """Return what a timeline over ``[start, end)`` needs, nothing of it after ``as_of``.

        Per store at least the observations inside, the last one at or before ``start`` and the first one at
        or after ``end``, where they exist.
        """


_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?))?\s*(Z|UTC|[+-]\d\d(?::?[0-5]\d)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|min|h|d)", re.ASCII)
_DURATION_UNITS_US: Final = {
    "us": 1, "ms": 1000, "s": SECOND_US, "m": MINUTE_US, "min": MINUTE_US, "h": HOUR_US, "d": DAY_US,
}  # fmt: skip


def instant_us(value: str | datetime | int) -> int:
    """Read an instant: text, an aware datetime, or already microseconds since the epoch.

    Text is ``2023-01-25 18:13:22.47922 UTC`` or ISO 8601; without a zone it is UTC, a date alone is its
    midnight. Digits beyond the microsecond are cut off.

    >>> instant_us("2023-01-25 18:13:22.47922 UTC")
    1674670402479220
    """
    if isinstance(value, str):
        us = _read_instant(value)
    elif isinstance(value, int):
        us = value
    elif value.tzinfo is None:
        raise InputError(f"the instant {value} has no time zone; give an aware datetime")
    else:
        us = (value - _EPOCH) // timedelta(microseconds=1)
    if not FIRST_INSTANT <= us < LAST_INSTANT:
        raise InputError(f"the instant {value} is out of range; valid are the years 1970 to 2199")
    return us


def _read_instant(value: str) -> int:
    match = _INSTANT.fullmatch(value.strip())
    try:
        if match is None:
            raise ValueError
        date, time, zone = match.groups()
        text = f"{date}T{(time or '00:00')[:15]}{'+00:00' if zone in (None, 'Z', 'UTC') else zone}"
        return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
    except ValueError:
        raise InputError(
            f"cannot read the instant {value!r}; valid are 2023-01-25T18:13:22Z, "
            "'2023-01-25 18:13:22.47922 UTC', an offset such as +01:00, or a date alone"
        ) from None


def instant_text(us: int) -> str:
    """Write an instant the way the input has it: ``2023-01-25 18:13:22.479220 UTC``."""
    moment = _EPOCH + timedelta(microseconds=us)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f UTC") if us % SECOND_US else moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def instant_iso(us: int) -> str:
    """Write an instant in ISO 8601: ``2023-01-25T18:13:22.479220Z``."""
    return instant_text(us).replace(" UTC", "Z").replace(" ", "T")


def iso_or_none(us: int | None) -> str | None:
    """Write an instant that may not be there in ISO 8601."""
    return None if us is None else instant_iso(us)


def duration_us(value: str | timedelta) -> int:
    """Read a duration: ``90m``, ``1.5h``, ``2d``, or a timedelta.

    >>> duration_us("90m") == duration_us("1.5h") == 5_400_000_000
    True
    """
    if isinstance(value, timedelta):
        us = value // timedelta(microseconds=1)
    elif match := _DURATION.fullmatch(value.strip()):
        us = int(Decimal(match[1]) * _DURATION_UNITS_US[match[2]])
    else:
        raise InputError(f"cannot read the duration {value!r}; valid are 90m, 1.5h, 2d, 45s")
    if us > LAST_INSTANT:
        raise InputError(f"the duration {value} is too long; valid are up to 230 years")
    return us
