"""Rows of business hours → days and times. What a number means as a day is known when all of a source is read."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.ingest.cases import missing, unless, unread
from uphours.ingest.invisible import trimmed, trimmed_text
from uphours.ingest.local_dates import VALID_DATES, date_forms, day_of_date, read_once
from uphours.ingest.readers.batch import Batch, Problem
from uphours.kernel.local_time import local_time_us
from uphours.schema import CLOSED, DAY_US, SINCE_EVER

Rows: TypeAlias = npt.NDArray[np.int64]
"""Of shape (rows, 5): store, valid_from (`uphours.schema.SINCE_EVER` where none is given), day, start and end."""

_NAMES: Final = (
    ("monday", "mon", "mo"), ("tuesday", "tues", "tue", "tu"), ("wednesday", "weds", "wed", "we"),
    ("thursday", "thurs", "thur", "thu", "th"), ("friday", "fri", "fr"), ("saturday", "sat", "sa"),
    ("sunday", "sun", "su"),
)  # fmt: skip
_DAYS: Final = {name: day for day, names in enumerate(_NAMES) for name in names}
_NUMBER: Final = re.compile(r"([0-7])(?:\.0+)?")
_ISO_SUNDAY: Final = 7
_CLOSED: Final = "closed"
_MOST_KEPT: Final = 10_000
_LONGEST_KEPT: Final = 4 << 10
#: Where the numbers of named days begin: above all that are written as numbers.
_NAMED: Final = 8
_TIMES: Final = ["start_time_local", "end_time_local"]
_COLUMNS: Final = ("store", "since", "day_number", "start", "end")
IS_CLOSED: Final = trimmed(pl.col("start_time_local")).str.to_lowercase() == _CLOSED


VALID_DAYS: Final = (
    "valid are 0 (Monday) to 6 (Sunday), English names, and in files without a 0 also 1 (Monday) to 7 (Sunday)"
)
VALID_TIMES: Final = "valid are 09:00, 09:00:00, 0900, 9:00 AM, 9pm, as an end 24:00 or 26:00, and closed for both"
_ISO_NOTICE: Final = "days are read as 1 (Monday) to 7 (Sunday): no row says 0, and some say 7"
_NO_MONDAY_NOTICE: Final = "no row is of day 0 (Monday); days are read as 0 (Monday) to 6 (Sunday), so 1 is a Tuesday"


def _alike(text: str) -> Problem:
    return Problem(text, text)


_SEVEN: Final = _alike("day is 7 where other rows have day 0; valid are 0 (Monday) to 6 (Sunday) or 1 to 7")
_CONTRADICTED: Final = _alike("closed on a day for which other rows give times; valid is one of the two")


def day_of(text: str) -> int | None:
    """Read a day: 0 to 7 as it is written, names from 8 (Monday) on; None for what is no day.

    >>> [day_of(text) for text in ("0", "7.0", "Mon", "thursday", "8")]
    [0, 7, 8, 11, None]
    """
    word = trimmed_text(text).casefold().removesuffix(".")
    if word in _DAYS:
        return _NAMED + _DAYS[word]
    number = _NUMBER.fullmatch(word)
    return int(number[1]) if number else None


def times_of(start: str, end: str) -> tuple[int | None, int | None]:
    """Read the times of a row, `CLOSED` for a closed day; None for what is no time."""
    start, end = trimmed_text(start), trimmed_text(end)
    if start.casefold() == end.casefold() == _CLOSED:
        return CLOSED
    return local_time_us(start), local_time_us(end)


def parsed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with ``day_number`` (as `day_of`), ``start`` and ``end``, each distinct text read once."""
    times = rows.select(_TIMES).unique()
    read = [times_of(start or "", end or "") for start, end in times.iter_rows()]
    times = times.with_columns(pl.DataFrame(read, schema={"start": pl.Int64, "end": pl.Int64}, orient="row"))
    return rows.with_columns(day_number=read_once(rows["day"], day_of)).join(
        times, on=_TIMES, how="left", nulls_equal=True, maintain_order="left"
    )


def dated(rows: pl.DataFrame, otherwise: int) -> pl.DataFrame:
    """Return rows with ``since``, the day that ``valid_from`` names; ``otherwise`` where it says nothing."""
    is_blank = (trimmed(pl.col("valid_from")) == "").fill_null(True)
    if rows["valid_from"].null_count() == rows.height:
        return rows.with_columns(since=pl.lit(otherwise, dtype=pl.Int64))
    read = rows.with_columns(since=read_once(rows["valid_from"], day_of_date))
    return read.with_columns(since=pl.when(is_blank).then(pl.lit(otherwise, dtype=pl.Int64)).otherwise("since"))


VALID_FROM: Final = unread(
    "since",
    "valid_from",
    f"unreadable valid_from {{}}; {VALID_DATES}, and nothing for since ever",
    date_forms("valid_from"),
)


def forms_of_times(column: str) -> list[tuple[str, str]]:
    """Return what is often given for a time, and what to do about it."""
    return [
        (
            r"^[0-9:.,]+\s*(?:[Zz]|[+-][0-9]{2}:?[0-9]{2}|(?i:UTC|GMT))$",
            f"{column} {{}} has an offset from UTC; valid are times of the store's own clock, without one",
        ),
        (
            r"^(?:0?\.[0-9]+|[01]\.0+)$",
            f"{column} {{}} is a part of a day, as spreadsheets store a time; export the cells as hh:mm",
        ),
        (r"^[0-9]{1,2}$", f"{column} {{}} may be hours or minutes; write 09:00 or 0900"),
        (r"^[0-9]{4}-[0-9]{2}-[0-9]{2}", f"{column} {{}} has a date; valid are times of day alone"),
        (r"^(?i:closed)$", f"{column} {{}} stands beside a time; valid is closed for both"),
    ]


CASES: Final = (
    missing("day", VALID_DAYS),
    unread("day_number", "day", f"unreadable day {{}}; {VALID_DAYS}", []),
    *(
        case
        for column, value in zip(("start_time_local", "end_time_local"), ("start", "end"), strict=True)
        for case in (
            missing(column, VALID_TIMES),
            unread(value, column, f"unreadable {column} {{}}; {VALID_TIMES}", forms_of_times(column)),
        )
    ),
    unless(
        (pl.col("start") < DAY_US) | ((pl.col("start") == CLOSED[0]) & (pl.col("end") == CLOSED[1]) & IS_CLOSED),
        "start_time_local {} is on the next day; valid are starts before 24:00, in a row of that day",
        "start_time_local",
    ),
    VALID_FROM,
)


class Late(NamedTuple):
    """A row that is rejected when all of its source is known: its store and line, the row as it was, and why."""

    store: int
    line: int
    raw: bytes
    problem: Problem


@dataclass
class SourceHours:
    """The rows of hours of one source that are good, as far as a row alone can tell."""

    rows: list[Rows] = field(default_factory=list)
    #: Whether the day of each row is a number.
    numbered: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    #: Of rows that may still be rejected: position, line, and the row as it was.
    doubtful: list[tuple[int, int, bytes]] = field(default_factory=list)
    count: int = 0
    #: Whether some rows, good or bad, have the days 0 and 7.
    seen: tuple[bool, bool] = (False, False)

    def see(self, days: pl.Series) -> None:
        """Take the days of all rows of a batch."""
        has_zero, has_seven = self.seen
        self.seen = has_zero or bool((days == 0).any()), has_seven or bool((days == _ISO_SUNDAY).any())

    def keep(self, rows: pl.DataFrame, batch: Batch) -> None:
        """Take good rows of a batch: ``store``, ``since``, ``day_number``, ``start``, ``end`` and ``line``."""
        values = values_of(rows).copy()
        is_number = values[:, 2] < _NAMED
        doubtful = np.flatnonzero((values[:, 2] == _ISO_SUNDAY) | _is_closed(values))
        lines = rows["line"].gather(doubtful).to_list()
        positions = (doubtful + self.count).tolist()
        # Of a load no more rejected rows than that are kept, and no more of each.
        kept = lines[: max(0, _MOST_KEPT - len(self.doubtful))]
        raws = [raw[:_LONGEST_KEPT] for raw in batch.raw(kept)] + [b""] * (len(lines) - len(kept))
        self.doubtful += zip(positions, lines, raws, strict=True)
        values[~is_number, 2] -= _NAMED
        self.rows.append(values)
        self.numbered.append(is_number)
        self.count += len(values)

    def settled(self, seen: tuple[bool, bool] | None = None) -> tuple[Rows, list[Late], str | None]:
        """Return the rows as they are meant, those that are rejected, and a word on what numbers of days mean.

        ``seen``: that of all of a source of which these rows are a part.
        """
        rows = np.concatenate([np.empty((0, 5), dtype=np.int64), *self.rows])
        is_number = np.concatenate([np.empty(0, dtype=np.bool_), *self.numbered])
        has_zero, has_seven = self.seen if seen is None else seen
        notice = None
        if has_seven and not has_zero:
            rows[is_number, 2] -= 1
            notice = _ISO_NOTICE
        elif is_number.any() and not has_zero:
            notice = _NO_MONDAY_NOTICE
        problems = [(is_number & (rows[:, 2] == _ISO_SUNDAY), _SEVEN), (_contradicted(rows), _CONTRADICTED)]
        late = [
            Late(int(rows[position, 0]), line, raw, next(problem for where, problem in problems if where[position]))
            for position, line, raw in self.doubtful
            if any(where[position] for where, _ in problems)
        ]
        is_bad = np.logical_or.reduce([where for where, _ in problems])
        return rows[~is_bad], late, notice


def without_contradicted(rows: Rows) -> Rows:
    """Return rows without those of closed days for which other rows give times."""
    return rows[~_contradicted(rows)]


def values_of(rows: pl.DataFrame) -> Rows:
    """Return good rows as they are kept, days as `day_of` reads them."""
    values = rows.select(pl.col(_COLUMNS).cast(pl.Int64)).to_numpy(order="c")
    return values.reshape(-1, len(_COLUMNS))


def is_closed_row(starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Say of the start and end of each row whether they are those of a closed day."""
    is_closed: npt.NDArray[np.bool_] = (starts == CLOSED[0]) & (ends == CLOSED[1])
    return is_closed


def _is_closed(rows: Rows) -> npt.NDArray[np.bool_]:
    return is_closed_row(rows[:, 3], rows[:, 4])


def _contradicted(rows: Rows) -> npt.NDArray[np.bool_]:
    is_closed = _is_closed(rows)
    if not is_closed.any():
        return is_closed
    # One number for each day of each week; dates lie in the years 1 to 9999.
    since = np.where(rows[:, 1] == SINCE_EVER, 0, rows[:, 1] + (1 << 22))
    days = (rows[:, 0] << 27) + (since << 3) + rows[:, 2]
    contradicted: npt.NDArray[np.bool_] = is_closed & np.isin(days, days[~is_closed])
    return contradicted
