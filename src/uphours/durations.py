"""Durations: microseconds as whole numbers, and as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Final

from uphours.errors import InputError

MILLISECOND_US: Final = 1_000
SECOND_US: Final = 1_000_000
MINUTE_US: Final = 60 * SECOND_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US

#: From 1970 to the end of 2199.
LONGEST_US: Final = 84_006 * DAY_US

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(us|ms|s|m|min|h|d)", re.ASCII)
_UNITS_US: Final = {
    "us": 1, "ms": MILLISECOND_US, "s": SECOND_US, "m": MINUTE_US, "min": MINUTE_US, "h": HOUR_US, "d": DAY_US,
}  # fmt: skip


def duration_us(value: str | timedelta) -> int:
    """Read a duration: ``90m``, ``1.5h``, ``2d``, or a timedelta.

    >>> duration_us("90m") == duration_us("1.5h") == 5_400_000_000
    True

    Raises
    ------
    InputError
        It is neither, or longer than 230 years.
    """
    if isinstance(value, timedelta):
        us = int(value // timedelta(microseconds=1))
    elif match := _DURATION.fullmatch(value.strip()):
        us = int(Decimal(match[1]) * _UNITS_US[match[2]])
    else:
        raise InputError(f"cannot read the duration {value!r}; valid are 90m, 1.5h, 2d, 45s")
    if us > LONGEST_US:
        raise InputError(f"the duration {value} is too long; valid are up to 230 years")
    return us


def short_duration(us: int) -> str:
    """Write a duration as `duration_us` reads it, in the largest unit that it is whole in.

    >>> short_duration(5_400_000_000), short_duration(86_400_000_000), short_duration(1)
    ('90m', '1d', '1us')
    """
    name = next(name for name in ("d", "h", "m", "s", "ms", "us") if us % _UNITS_US[name] == 0)
    return f"{us // _UNITS_US[name]}{name}"
