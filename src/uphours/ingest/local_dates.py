"""Texts that name a local date, or an instant on a wall clock → days, and microseconds, since 1970 began there."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Final

import polars as pl

from uphours.ingest.invisible import trimmed_text
from uphours.kernel.local_time import local_time_us
from uphours.schema import DAY_US

#: For messages.
VALID_DATES: Final = "valid are dates such as 2026-12-24 and 20261224"
VALID_LOCAL_INSTANTS: Final = (
    "valid are times of the store's own clock such as 2026-12-24T09:30, and dates alone, which are their midnight"
)
_EPOCH: Final = date(1970, 1, 1).toordinal()
_DATE: Final = r"([0-9]{4})(?:-([0-9]{2})-([0-9]{2})|([0-9]{2})([0-9]{2}))"
#: Programs write a date as its midnight; where they name a zone, it is UTC.
_DAY: Final = re.compile(
    _DATE + r"(?:[ Tt]00:?00(?::?00(?:[.,]0+)?)?(?:\s*(?:[Zz]|[Uu][Tt][Cc]|[+-]00(?::?00)?))?)?", re.ASCII
)
_INSTANT: Final = re.compile(_DATE + r"(?:[ Tt]\s*(\S.*))?", re.ASCII)
_OTHER_ORDER: Final = r"^[0-9]{1,2}[./-][0-9]{1,2}[./-](?:[0-9]{4}|[0-9]{2})\b"


def day_of_date(text: str) -> int | None:
    """Read a date as days since 1970-01-01; None for what is no date.

    >>> [day_of_date(text) for text in ("1970-01-02", "19700102", "1970-01-02T00:00:00Z", "1970-02-30")]
    [1, 1, 1, None]
    """
    match = _DAY.fullmatch(trimmed_text(text))
    return None if match is None else _days(match)


def date_text(days: int) -> str:
    """Write days since 1970-01-01 as a date.

    >>> date_text(-719162)
    '0001-01-01'
    """
    return date.fromordinal(_EPOCH + days).isoformat()


def wall_clock_us(text: str) -> int | None:
    """Read a date and a time of a wall clock as microseconds since the start of 1970 on it; None for anything else.

    >>> wall_clock_us("1970-01-02") == wall_clock_us("1970-01-02 00:00:00") == DAY_US
    True
    """
    match = _INSTANT.fullmatch(trimmed_text(text))
    days = None if match is None else _days(match)
    if match is None or days is None:
        return None
    time = local_time_us(match[6]) if match[6] else 0
    return None if time is None or time > DAY_US else days * DAY_US + time


def _days(match: re.Match[str]) -> int | None:
    try:
        return date(int(match[1]), int(match[2] or match[4]), int(match[3] or match[5])).toordinal() - _EPOCH
    except ValueError:
        return None


def read_once(texts: pl.Series, read: Callable[[str], int | None]) -> pl.Series:
    """Return what each text says as a number, each distinct one read once."""
    distinct = texts.drop_nulls().unique()
    numbers = pl.Series([read(text) for text in distinct.to_list()], dtype=pl.Int64)
    return texts.replace_strict(distinct, numbers, default=None, return_dtype=pl.Int64)


def date_forms(column: str) -> list[tuple[str, str]]:
    """Return what is often given for a date, and what to do about it."""
    return [
        (r"^[0-9]{4}-?[0-9]{2}-?[0-9]{2}[ Tt][0-9]", f"{column} {{}} has a time of day; valid are dates alone"),
        (_OTHER_ORDER, f"{column} {{}} may have the day or the month first; write 2026-12-24"),
        (
            r"^[0-9]{5}(?:\.[0-9]*)?$",
            f"{column} {{}} is a number of days, as spreadsheets store a date; export the cells as yyyy-mm-dd",
        ),
    ]


def local_instant_forms(column: str) -> list[tuple[str, str]]:
    """Return what is often given for an instant on a wall clock, and what to do about it."""
    return [
        (
            r"[ Tt][0-9:.,]+\s*(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?|(?i:UTC|GMT))$",
            f"{column} {{}} has an offset from UTC; valid are times of the store's own clock, without one",
        ),
        (_OTHER_ORDER, f"{column} {{}} may have the day or the month first; write 2026-12-24T09:30"),
    ]
