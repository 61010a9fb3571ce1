"""Rows of special hours → dates and times. Which of them are used is known when all of a source is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.date_names import are_among
from uphours.ingest.cases import Case, always, missing, unless, unread
from uphours.ingest.invisible import trimmed, trimmed_text
from uphours.ingest.local_dates import VALID_DATES, date_forms, day_of_date, read_once
from uphours.ingest.readers.batch import Batch, Problem
from uphours.ingest.weeks import IS_CLOSED, VALID_TIMES, Late, forms_of_times, is_closed_row, times_of
from uphours.schema import CLOSED, DAY_US, EVERY_STORE, EVERY_STORE_ID, LAST_INSTANT, MOST_HOURS

Rows = npt.NDArray[np.int64]
"""Of shape (rows, 4): store (`EVERY_STORE` for all), date, start and end."""

NAME_MAX_LENGTH: Final = 255
VALID_SPECIAL_TIMES: Final = f"{VALID_TIMES}; both blank are a closed date"
_TIMES: Final = ["start_time_local", "end_time_local"]
_LAST_DAY: Final = LAST_INSTANT // DAY_US
_BLANK: Final = {column: trimmed(pl.col(column).fill_null("")) == "" for column in _TIMES}
_BOTH_BLANK: Final = _BLANK["start_time_local"] & _BLANK["end_time_local"]
_CONTRADICTED: Final = "closed on a date for which other rows give times; valid is one of the two"
_LEFT_OUT: Final = (
    "another row of the date cannot be used, so none of them is: valid are dates of which every row can be read"
)
TOO_MANY_TIMES: Final = Case(
    pl.col("is_beyond"), *always(f"the date has more than {MOST_HOURS} different rows; valid are up to {MOST_HOURS}")
)

IS_EVERY_STORE: Final = (trimmed(pl.col("store_id")) == EVERY_STORE_ID).fill_null(False)
#: In rows of any other kind.
NAMES_EVERY_STORE: Final = Case(
    IS_EVERY_STORE,
    *always(f"store_id {EVERY_STORE_ID} is for special hours alone; valid are ids of stores, a row for each"),
)


def times_of_date(start: str, end: str) -> tuple[int | None, int | None]:
    """Read the times of a row, `CLOSED` where both say so or both are blank; None for what is no time."""
    return times_of(start, end) if trimmed_text(start) or trimmed_text(end) else CLOSED


def parsed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with ``day``, ``start`` and ``end`` and the number of `EVERY_STORE`, each distinct text read once."""
    times = rows.select(_TIMES).unique()
    read = [times_of_date(start or "", end or "") for start, end in times.iter_rows()]
    times = times.with_columns(pl.DataFrame(read, schema={"start": pl.Int64, "end": pl.Int64}, orient="row"))
    return rows.with_columns(
        day=read_once(rows["date"], day_of_date),
        store=pl.when(IS_EVERY_STORE).then(pl.lit(EVERY_STORE, dtype=pl.Int32)).otherwise("store"),
    ).join(times, on=_TIMES, how="left", nulls_equal=True, maintain_order="left")


def _cases_of_time(column: str, value: str) -> tuple[Case, Case]:
    absent = _BLANK[column] & ~_BOTH_BLANK
    said = f"missing {column} beside a time; {VALID_SPECIAL_TIMES}"
    return (
        Case(absent, *always(said)),
        unread(value, column, f"unreadable {column} {{}}; {VALID_SPECIAL_TIMES}", forms_of_times(column)),
    )


CASES: Final = (
    missing("date", VALID_DATES),
    unread("day", "date", f"unreadable date {{}}; {VALID_DATES}", date_forms("date")),
    unless(pl.col("day") >= 0, "date {} is before the year 1970", "date"),
    unless(pl.col("day") < _LAST_DAY, "date {} is after the year 2199", "date"),
    *(case for column, value in zip(_TIMES, ("start", "end"), strict=True) for case in _cases_of_time(column, value)),
    unless(
        (pl.col("start") < DAY_US)
        | ((pl.col("start") == CLOSED[0]) & (pl.col("end") == CLOSED[1]) & (IS_CLOSED | _BOTH_BLANK)),
        "start_time_local {} is on the next day; valid are starts before 24:00, in a row of that date",
        "start_time_local",
    ),
    unless(
        trimmed(pl.col("name").fill_null("")).str.len_chars() <= NAME_MAX_LENGTH,
        f"name {{}} is too long; valid are up to {NAME_MAX_LENGTH} characters",
        "name",
    ),
)


@dataclass
class SourceSpecial:
    """The rows of one source that are good, as far as a row alone can tell, and the dates that are left out."""

    rows: list[Rows] = field(default_factory=list)
    names: list[pl.Series] = field(default_factory=list)
    lines: list[tuple[list[int], Callable[[Sequence[int]], list[bytes]]]] = field(default_factory=list)
    #: Store and date of rows that cannot be used.
    unusable: set[tuple[int, int]] = field(default_factory=set)

    def keep(self, rows: pl.DataFrame, batch: Batch) -> None:
        """Take good rows of a batch: ``store``, ``day``, ``start``, ``end``, ``name`` and ``line``."""
        self.rows.append(values_of(rows))
        self.names.append(rows.select(trimmed(pl.col("name").fill_null(""))).to_series())
        self.lines.append((rows["line"].to_list(), batch.raw))

    def see(self, bad: pl.DataFrame) -> None:
        """Take rows of a batch that are rejected: their dates, as far as they are known."""
        known = bad.filter(~pl.col("id_is_bad") & pl.col("day").is_not_null())
        self.unusable.update(known.select("store", "day").unique().iter_rows())

    def settled(self) -> tuple[Rows, list[str], list[Late]]:
        """Return the rows that are used and what their dates are called, and those that are rejected."""
        rows = np.concatenate([np.empty((0, 4), dtype=np.int64), *self.rows])
        names = [name for part in self.names for name in part.to_list()]
        is_left_out, is_contradicted = of_dates(rows, self.unusable), contradicted(rows)
        is_bad = is_left_out | is_contradicted
        late: list[Late] = []
        start = 0
        for lines, raw in self.lines:
            places = np.flatnonzero(is_bad[start : start + len(lines)])
            chosen = [lines[place] for place in places.tolist()]
            for place, line, content in zip((places + start).tolist(), chosen, raw(chosen), strict=True):
                text = _LEFT_OUT if is_left_out[place] else _CONTRADICTED
                late.append(Late(int(rows[place, 0]), line, content, Problem(text, text)))
            start += len(lines)
        kept = np.flatnonzero(~is_bad)
        return rows[kept], [names[place] for place in kept.tolist()], late


def values_of(rows: pl.DataFrame) -> Rows:
    """Return good rows as they are kept."""
    return rows.select(pl.col("store", "day", "start", "end").cast(pl.Int64)).to_numpy(order="c").reshape(-1, 4)


def contradicted(rows: Rows) -> npt.NDArray[np.bool_]:
    """Say which rows are those of a closed date for which other rows give times."""
    is_closed = is_closed_row(rows[:, 2], rows[:, 3])
    if not is_closed.any():
        return is_closed
    dates = _dates(rows)
    found: npt.NDArray[np.bool_] = is_closed & are_among(dates, dates[~is_closed])
    return found


def of_dates(rows: Rows, dates: set[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Say which rows are of some dates of stores."""
    chosen = np.array(sorted(dates), dtype=np.int64).reshape(-1, 2)
    return are_among(_dates(rows), _dates(chosen))


def _dates(rows: Rows) -> npt.NDArray[np.int64]:
    """Return a number for each store and date; dates lie in the years 1 to 9999."""
    dates: npt.NDArray[np.int64] = (rows[:, 0] << 24) + rows[:, 1] + (1 << 22)
    return dates
