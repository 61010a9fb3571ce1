"""Texts that name an instant → microseconds since the epoch, UTC: ISO 8601 in all its forms, and Unix time."""

from __future__ import annotations

import re
from datetime import date, timedelta
from fractions import Fraction
from typing import Final

import polars as pl

from uphours.schema import DAY_US, HOUR_US, MINUTE_US, SECOND_US

#: For messages.
VALID_TIMESTAMPS: Final = (
    "valid are 2023-01-22 12:09:39.388884 UTC, ISO 8601 with a date and a time, and Unix time of 10, 13, 16 or 19 "
    "digits before the point"
)
_USUAL: Final = "%Y-%m-%d %H:%M:%S%.f UTC"
_ISO: Final = "%Y-%m-%dT%H:%M:%S%.fZ"
# Not \d, which is all digits of all scripts: such a pattern takes a millisecond to prepare, at each use.
_ZONE: Final = (
    r"(?:[Zz]|[Uu][Tt][Cc]?|[Gg][Mm][Tt]|(?P<sign>[+\u2212-])(?P<hours>[0-9]{2})(?::?(?P<minutes>[0-9]{2}))?)?"
)
_CALENDAR: Final = (
    r"^\s*(?P<year>[0-9]{4})-?(?P<month>[0-9]{2})-?(?P<day>[0-9]{2})[ Tt](?P<hour>[0-9]{2}):?(?P<minute>[0-9]{2})"
    r"(?::?(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?\s*" + _ZONE + r"\s*$"
)
_UNIX: Final = r"^\s*(?P<whole>[0-9]{10}|[0-9]{13}|[0-9]{16}|[0-9]{19})(?:\.(?P<part>[0-9]+))?\s*$"
_ANY: Final = re.compile(
    r"\s*(?P<year>[0-9]{4})(?:-?(?P<month>[0-9]{2})-?(?P<day>[0-9]{2})|-?W(?P<week>[0-9]{2})-?(?P<weekday>[1-7])"
    r"|-?(?P<ordinal>[0-9]{3}))[ Tt](?P<hour>[0-9]{2})(?::?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2}))?)?"
    r"(?:[.,](?P<fraction>[0-9]+))?\s*" + _ZONE + r"\s*"
)
_EPOCH: Final = date(1970, 1, 1)


def instants(timestamps: pl.Series) -> pl.Series:
    """Read timestamps as microseconds; null where that fails. Digits beyond the microsecond are cut off."""
    if timestamps.dtype == pl.Int64:
        return timestamps  # read already
    read = timestamps.to_frame("text").select(_EXACT).to_series()
    for again in (_usual_instants, _iso_instants, _unix_instants, _calendar_instants, _other_instants):
        unread = read.is_null().arg_true()
        if not len(unread):
            break
        texts = timestamps.gather(unread)
        if texts.null_count() == len(texts):
            break
        read = read.scatter(unread, again(texts))
    return read


def _usual_instants(timestamps: pl.Series) -> pl.Series:
    return timestamps.str.to_datetime(_USUAL, time_unit="us", strict=False).cast(pl.Int64)


def _iso_instants(timestamps: pl.Series) -> pl.Series:
    return timestamps.str.to_datetime(_ISO, time_unit="us", strict=False).cast(pl.Int64)


def _groups(timestamps: pl.Series, pattern: pl.Expr, value: pl.Expr) -> pl.Series:
    return timestamps.to_frame("text").select(pattern).unnest("text").select(value).to_series()


def _unix_instants(timestamps: pl.Series) -> pl.Series:
    return _groups(timestamps, _UNIX_PARTS, _UNIX_INSTANT)


def _calendar_instants(timestamps: pl.Series) -> pl.Series:
    return _groups(timestamps, _CALENDAR_PARTS, _CALENDAR_INSTANT)


def _other_instants(timestamps: pl.Series) -> pl.Series:
    return pl.Series([None if text is None else instant_of(text) for text in timestamps.to_list()], dtype=pl.Int64)


def instant_of(text: str) -> int | None:
    """Read one timestamp of ISO 8601, in whichever form; None where it names no instant.

    24:00 is the midnight that ends the day. A leap second, 23:59:60 UTC, is the second that follows it, as in Unix
    time. A fraction is one of the last part that is there.

    >>> instant_of("2024-W19-1T15,5Z") == instant_of("2024-127T15:30") == instant_of("20240506T153000+0000")
    True
    """
    match = _ANY.fullmatch(text)
    if match is None:
        return None
    try:
        day = _date(match)
    except ValueError:
        return None
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    unit = SECOND_US if match["second"] else MINUTE_US if match["minute"] else HOUR_US
    fraction = int(Fraction(f"0.{match['fraction'][:12]}") * unit) if match["fraction"] else 0
    us = (hour * 60 + minute) * MINUTE_US + second * SECOND_US + fraction
    hours, minutes = int(match["hours"] or 0), int(match["minutes"] or 0)
    if minute > 59 or second > 60 or hours > 23 or minutes > 59 or (hour > 23 and us != DAY_US):
        return None
    offset = (hours * 60 + minutes) * MINUTE_US
    return (day - _EPOCH).days * DAY_US + us - (offset if match["sign"] == "+" else -offset)


def _date(match: re.Match[str]) -> date:
    year = int(match["year"])
    if match["week"]:
        return date.fromisocalendar(year, int(match["week"]), int(match["weekday"]))
    if match["ordinal"]:
        day = date(year, 1, 1) + timedelta(days=int(match["ordinal"]) - 1)
        if day.year != year:
            raise ValueError
        return day
    return date(year, int(match["month"]), int(match["day"]))


def _calendar_instant() -> pl.Expr:
    date_text = pl.concat_str("year", "month", "day", separator="-")
    clock_text = pl.concat_str("hour", "minute", pl.col("second").fill_null("00"), separator=":")
    fraction = pl.col("fraction").fill_null("").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64, strict=False)
    hours, minutes = (pl.col(name).cast(pl.Int64).fill_null(0) for name in ("hours", "minutes"))
    offset = pl.when((hours < 24) & (minutes < 60)).then((hours * 60 + minutes) * MINUTE_US)
    local = pl.concat_str(date_text, clock_text, separator=" ")
    written = local.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False).cast(pl.Int64)
    return written + fraction - pl.when(pl.col("sign") == "+").then(offset).otherwise(-offset)


def _unix_instant() -> pl.Expr:
    whole, digits = pl.col("whole").cast(pl.Int64, strict=False), pl.col("whole").str.len_bytes()
    part = pl.col("part").fill_null("")

    def parts(count: int) -> pl.Expr:
        return part.str.slice(0, count).str.pad_end(count, "0").cast(pl.Int64, strict=False)

    return (
        pl.when(digits == 10).then(whole * SECOND_US + parts(6))
        .when(digits == 13).then(whole * 1000 + parts(3))
        .when(digits == 16).then(whole)
        .otherwise(whole // 1000)
    )  # fmt: skip


def _exact() -> pl.Expr:
    """Read the usual form where each part has all its digits, three times as fast as Polars reads a fraction."""
    text = pl.col("text")
    # Each text is another one: to remember them takes as long as to read them.
    seconds = text.str.slice(0, 19).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False, cache=False)
    fraction = text.str.slice(19).str.strip_suffix(" UTC").str.slice(1).str.pad_end(6, "0")
    instant = seconds.cast(pl.Int64) + fraction.cast(pl.Int64, strict=False)
    return pl.when(text.str.slice(19).str.contains(r"^(?:\.[0-9]{1,6})? UTC$")).then(instant)


# Made once: to make an expression takes longer than to apply it to some rows.
_EXACT: Final = _exact()
_CALENDAR_PARTS: Final = pl.col("text").str.extract_groups(_CALENDAR)
_CALENDAR_INSTANT: Final = _calendar_instant()
_UNIX_PARTS: Final = pl.col("text").str.extract_groups(_UNIX)
_UNIX_INSTANT: Final = _unix_instant()
