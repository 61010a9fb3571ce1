"""Instants: read from text, datetimes and numbers, written as text; inside, microseconds since the epoch, UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeAlias, TypeGuard

import numpy as np

from uphours.durations import MILLISECOND_US, SECOND_US
from uphours.errors import InputError, shown, wrong

Instant: TypeAlias = str | date | int | np.integer[Any]
"""Text, an aware datetime, a date (its midnight, UTC), or microseconds since the epoch, UTC."""


#: Bounds of a session that never opened and never closes: the years 1 and 9999.
BEGINNING_OF_TIME: Final = -62_135_596_800 * SECOND_US
END_OF_TIME: Final = 253_402_300_800 * SECOND_US

#: Instants that can be asked for: the years 1970 to 2199.
FIRST_INSTANT: Final = 0
LAST_INSTANT: Final = 7_258_118_400 * SECOND_US

#: No observation is older; a number that says so is in another unit than microseconds.
YEAR_2000_US: Final = 946_684_800 * SECOND_US

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?))?\s*(Z|UTC|[+-]\d\d(?::?[0-5]\d)?)?", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: What an instant may be given as, for messages.
VALID_INSTANTS: Final = (
    "text such as 2023-01-25T18:13:22Z, aware datetimes, dates, and whole microseconds since 1970 in UTC"
)


def instant_us(value: Instant, name: str = "the instant") -> int:
    """Read an instant: text, an aware datetime, a date, or already microseconds since the epoch.

    Text is ``2023-01-25 18:13:22.47922 UTC`` or ISO 8601; without a zone it is UTC, a date alone is its
    midnight. Digits beyond the microsecond are cut off. ``name`` is what messages call it.

    >>> instant_us("2023-01-25 18:13:22.47922 UTC")
    1674670402479220

    Raises
    ------
    InputError
        It is not one of these, has no zone, or is out of range; or a number that is in seconds or milliseconds.
    """
    if isinstance(value, str):
        us = _text_us(value, name)
    elif isinstance(value, datetime):
        us = _datetime_us(value, name)
    elif isinstance(value, date):
        us = (value - _EPOCH.date()) // timedelta(microseconds=1)
    elif is_whole_number(value):
        us = _number_us(int(value), name)
    else:
        raise wrong(name, value, VALID_INSTANTS)
    return checked_instant(us, name)


def checked_instant(us: int, name: str = "the instant") -> int:
    """Return an instant in microseconds that can be asked for.

    Raises
    ------
    InputError
        It is out of range.
    """
    if not FIRST_INSTANT <= us < LAST_INSTANT:
        is_text = BEGINNING_OF_TIME < us < END_OF_TIME
        text = instant_text(us) if is_text else f"{shown(us)} microseconds after 1970"
        raise InputError(f"{name}, {text}, is out of range; valid are the years 1970 to 2199")
    return us


def _text_us(value: str, name: str) -> int:
    match = _INSTANT.fullmatch(value.strip())
    try:
        if match is None:
            raise ValueError
        day, time, zone = match.groups()
        text = f"{day}T{(time or '00:00')[:15]}{'+00:00' if zone in (None, 'Z', 'UTC') else zone}"
        return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)
    except ValueError:
        raise InputError(
            f"cannot read {name} {shown(value)}; valid are 2023-01-25T18:13:22Z, "
            "'2023-01-25 18:13:22.47922 UTC', an offset such as +01:00, or a date alone"
        ) from None


def _datetime_us(value: datetime, name: str) -> int:
    if value != value:  # what pandas has for a missing one
        raise wrong(name, value, VALID_INSTANTS)
    if value.utcoffset() is None:
        raise InputError(f"{name} {value} has no time zone; give an aware datetime")
    try:
        return int((value - _EPOCH) // timedelta(microseconds=1))
    except (OverflowError, ValueError):  # those of other libraries reach further
        raise InputError(f"{name} {value} is out of range; valid are the years 1970 to 2199") from None


def is_whole_number(value: object) -> TypeGuard[int | np.integer[Any]]:
    """Tell whether a value is a whole number of Python or NumPy; truth values and durations are not one."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64)


def _number_us(value: int, name: str) -> int:
    as_if = {"seconds": value * SECOND_US, "milliseconds": value * MILLISECOND_US, "nanoseconds": value // 1000}
    for unit, us in as_if.items():
        if YEAR_2000_US <= us < LAST_INSTANT:
            raise InputError(f"{name} is {value}, which looks like {unit}; numbers are microseconds since 1970: {us}")
    if 0 < value < YEAR_2000_US:
        raise wrong(name, value, f"{VALID_INSTANTS}, from the year 2000 on")
    return value


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
