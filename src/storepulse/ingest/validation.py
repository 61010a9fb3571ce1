"""Rows as text → accepted rows of numbers + quarantine. Every row ends in exactly one of the two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from storepulse.ingest.known import Known
from storepulse.ingest.reading import Batch
from storepulse.ingest.sources import Kind
from storepulse.kernel.hours import local_time_us, timezone_names
from storepulse.schema import (
    ACTIVE,
    DAY_US,
    INACTIVE,
    LAST_INSTANT,
    MINUTE_US,
    SECOND_US,
    STORE_ID_MAX_LENGTH,
    Codes,
    Instants,
    Statuses,
    instant_text,
)

Rows: TypeAlias = npt.NDArray[np.int64]
Case: TypeAlias = tuple[pl.Expr, pl.Expr]
"""When a row is bad, and why."""
Checked: TypeAlias = tuple[pl.DataFrame, list[Case]]
"""Rows with their values read (null where that failed), and the ways to be bad, the first of which is told."""

YEAR_2000_US: Final = 946_684_800 * SECOND_US
#: Up to here a batch is cheaper in few queries that look at each row than in more that look at each distinct value.
_FEW: Final = 1_000
#: So much of a bad value stands in the reason.
_SHOWN: Final = 60

#: What a spreadsheet makes of a long number; its last digits are gone.
_SCIENTIFIC: Final = r"^[+-]?\d+(?:[.,]\d+)?[eE][+-]\d+$|^[+-]?\d+[.,]\d+[eE]\d+$"
_USUAL_TIMESTAMP: Final = "%Y-%m-%d %H:%M:%S%.f UTC"
_ISO_TIMESTAMP: Final = "%Y-%m-%dT%H:%M:%S%.fZ"
# Not \d, which is all digits of all scripts: such a pattern takes a millisecond to prepare, at each use.
_TIMESTAMP: Final = (
    r"^\s*(?<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[ T](?<clock>[0-9]{2}:[0-9]{2})(?<second>:[0-9]{2}(?:\.[0-9]{1,9})?)?"
    r"\s*(?:Z|UTC|(?<sign>[+-])(?<hours>[0-9]{2})(?::?(?<minutes>[0-9]{2}))?)?\s*$"
)


class StoreIds:
    """Numbers for store ids, given out in order of first appearance; looks at each distinct text once."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._numbers: dict[str, int] = {}
        self._categories = pl.Categories.random(namespace="storepulse")
        # Polars forgets categories that no series has; this one keeps them, and has the first.
        self._anchor = pl.Series([""]).cast(pl.Categorical(self._categories))
        # By category, that is by distinct text: the store's number, or the reason why it has none.
        self._by_category: npt.NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self._problems: list[str | None] = []
        self._is_bad: npt.NDArray[np.bool_] = np.empty(0, dtype=np.bool_)
        self._known: dict[str, Known] = {}

    def number(self, store_id: str) -> int:
        """Return the number of one id that is known to be good."""
        number = self._numbers.setdefault(store_id, len(self.texts))
        if number == len(self.texts):
            self.texts.append(store_id)
        return number

    def numbers(self, texts: pl.Series) -> tuple[Codes, pl.Series]:
        """Return a number for each text (0 where it is no id), and why it is none (null where it is one)."""
        categories = self._looked_up(texts.fill_null(""))
        problems = pl.Series(self._problems, dtype=pl.String)
        return self._by_category[categories], problems.gather(categories)

    def numbers_of_good(self, ids: pl.Series) -> Codes | None:
        """Return a number for each id, text or integer, or None where one of them is none.

        For a few hundred thousand ids in millions of rows much cheaper than `numbers`.
        """
        if ids.null_count():
            return None
        known = self._known.setdefault(str(ids.dtype), Known(ids.dtype))
        numbers = known.numbers(ids)
        missing = np.flatnonzero(numbers < 0)
        if len(missing):
            new = ids.gather(missing)
            categories = self._looked_up(new.cast(pl.String))
            if self._is_bad[categories].any():
                return None
            numbers[missing] = self._by_category[categories]
            known.learn(new, numbers[missing])
        return numbers

    def _looked_up(self, texts: pl.Series) -> npt.NDArray[np.uint32]:
        """Return the category of each text; each that is new was looked at."""
        categories = texts.cast(pl.Categorical(self._categories)).to_physical().to_numpy()
        # A list of all categories takes longer than a batch, and most of the time there is no new one.
        if len(categories) and categories.max() >= len(self._problems):
            self._look_at(self._categories.to_series()[len(self._problems) :])
        return categories

    def _look_at(self, new: pl.Series) -> None:
        ids = pl.DataFrame({"id": new.cast(pl.String)}).with_columns(_ID).with_columns(problem=_ID_PROBLEM)
        self._problems += ids["problem"].to_list()
        numbers = [0 if problem else self.number(store_id) for store_id, problem in ids.iter_rows()]
        self._by_category = np.append(self._by_category, np.array(numbers, dtype=np.int32))
        self._is_bad = np.append(self._is_bad, ids["problem"].is_not_null().to_numpy())


@dataclass
class Accepted:
    """The good rows of a load, column by column, stores numbered in order of first appearance.

    Polls: ``stores`` int32, ``times`` int64, ``statuses`` uint8. Hours: int64 of shape (rows, 4), columns store,
    day, start and end, local microseconds as written. Zones: ``(store, name)``. All with repetitions, in the
    order of the input.
    """

    store_ids: StoreIds = field(default_factory=StoreIds)
    stores: list[Codes] = field(default_factory=list)
    times: list[Instants] = field(default_factory=list)
    statuses: list[Statuses] = field(default_factory=list)
    hours: list[Rows] = field(default_factory=list)
    timezones: list[tuple[int, str]] = field(default_factory=list)

    def add(self, kind: Kind, batch: Batch, now: int | None) -> tuple[int, pl.DataFrame]:
        """Accept the good rows of a batch; return how many, and ``(line, reason)`` of each other one.

        ``now``, in microseconds: a poll over 24 h after it is from the future; None: no poll is.
        """
        is_few = kind == "polls" and batch.rows.height <= _FEW and batch.rows.schema["timestamp_utc"] == pl.String
        rows, cases = self._few_polls(batch.rows, now) if is_few else self._checked(kind, batch.rows, now)
        is_bad = rows["is_bad"]
        if not is_bad.any():
            _KEEP[kind](self, rows)
            return rows.height, _NONE_BAD
        good = rows.filter(~is_bad)
        _KEEP[kind](self, good)
        reason = pl.coalesce("problem", *(pl.when(applies).then(text) for applies, text in cases))
        # In one chunk: over several, nested formats of Polars 2.1 run past the end of the first.
        return good.height, rows.filter(is_bad).rechunk().select("line", reason=reason)

    def _checked(self, kind: Kind, rows: pl.DataFrame, now: int | None) -> Checked:
        numbers, id_problems = self.store_ids.numbers(rows["store_id"])
        rows = rows.with_columns(store=pl.Series(numbers), problem=pl.coalesce("problem", id_problems))
        rows, cases = _CHECKS[kind](rows, now)
        return rows.with_columns(is_bad=_is_bad(cases)), cases

    def _few_polls(self, rows: pl.DataFrame, now: int | None) -> Checked:
        """Check polls in as few queries as can be: for some rows it is their number that takes the time."""
        cases = _poll_cases(now)
        rows = (
            rows.hstack([instants(rows["timestamp_utc"]).alias("observed_at")])
            .lazy()
            .with_columns_seq(pl.col("store_id").fill_null("").str.strip_chars().alias("id"), _STATUS_CODE)
            .with_columns_seq(problem=pl.coalesce("problem", _ID_PROBLEM))
            .with_columns_seq(is_bad=_is_bad(cases))
            .collect(optimizations=_AS_WRITTEN)
        )
        ids = zip(rows["id"].to_list(), rows["problem"].to_list(), strict=True)
        numbers = [0 if problem else self.store_ids.number(store_id) for store_id, problem in ids]
        return rows.hstack([pl.Series("store", numbers, dtype=pl.Int32)]), cases

    def _keep_polls(self, rows: pl.DataFrame) -> None:
        self.stores.append(rows["store"].to_numpy())
        self.times.append(rows["observed_at"].to_numpy())
        self.statuses.append(rows["status_code"].to_numpy())

    def _keep_hours(self, rows: pl.DataFrame) -> None:
        columns = rows.select(pl.col("store", "day_number", "start", "end").cast(pl.Int64))
        self.hours.append(columns.to_numpy(order="c").reshape(-1, 4))

    def _keep_timezones(self, rows: pl.DataFrame) -> None:
        self.timezones.extend(rows.select("store", "timezone").iter_rows())


def _missing(column: str, valid: str = "") -> Case:
    text = pl.col(column)
    reason = f"missing {column}" + (f"; {valid}" if valid else "")
    return text.is_null() | (text.str.strip_chars() == ""), pl.lit(reason)


def _unless(good: pl.Expr, reason: str, column: str) -> Case:
    """Say what is wrong with a value that is not good: quoted, without control characters, cut where it is endless."""
    text = pl.col(column)
    shown = pl.when(text.str.len_chars() > _SHOWN).then(text.str.head(_SHOWN) + "…").otherwise(text)
    return ~good, pl.format(reason, pl.format("'{}'", shown.str.replace_all(r"\p{Cc}", "\ufffd")))


def _is_bad(cases: Sequence[Case]) -> pl.Expr:
    return pl.any_horizontal(pl.col("problem").is_not_null(), *(applies for applies, _ in cases)).fill_null(False)


def _id_problem(store_id: pl.Expr) -> pl.Expr:
    length = store_id.str.len_chars()
    return (
        pl.when(store_id == "").then(pl.lit("missing store_id"))
        .when(length > STORE_ID_MAX_LENGTH)
        .then(pl.format(f"store_id has {{}} characters; valid are up to {STORE_ID_MAX_LENGTH}", length))
        .when(store_id.str.contains(r"\p{Cc}")).then(pl.lit("store_id has a control character"))
        .when(store_id.str.contains(_SCIENTIFIC))
        .then(pl.format("store_id {} is in scientific notation: a spreadsheet has cut off its digits", store_id))
    )  # fmt: skip


def _status_code(status: pl.Expr) -> pl.Expr:
    return pl.when(status == "active").then(ACTIVE).when(status == "inactive").then(INACTIVE).cast(pl.UInt8)


def _unusual_instant() -> pl.Expr:
    """Read a timestamp from the parts that `_TIMESTAMP` finds."""
    local = pl.concat_str("date", pl.lit(" "), "clock", pl.col("second").fill_null(":00"))
    hours, minutes = (pl.col(name).cast(pl.Int64).fill_null(0) for name in ("hours", "minutes"))
    offset = pl.when((hours < 24) & (minutes < 60)).then((hours * 60 + minutes) * MINUTE_US)
    sign = pl.when(pl.col("sign") == "-")
    written = local.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False).cast(pl.Int64)
    return written - sign.then(-offset).otherwise(offset)


# Made once: to make an expression takes longer than to apply it to some rows.
_ID: Final = pl.col("id").str.strip_chars()
_ID_PROBLEM: Final = _id_problem(pl.col("id"))
_STATUS_CODE: Final = _status_code(pl.col("status").str.strip_chars()).alias("status_code")
_PARTS: Final = pl.col("text").str.extract_groups(_TIMESTAMP)
_UNUSUAL_INSTANT: Final = _unusual_instant()
_POLL_CASES: Final = (
    _missing("status", "valid are active, inactive"),
    _unless(pl.col("status_code").is_not_null(), "unknown status {}; valid are active, inactive", "status"),
    _missing("timestamp_utc"),
    _unless(
        pl.col("observed_at").is_not_null(),
        "unreadable timestamp_utc {}; valid are 2023-01-22 12:09:39.388884 UTC and ISO 8601",
        "timestamp_utc",
    ),
    _unless(pl.col("observed_at") >= YEAR_2000_US, "timestamp_utc {} is before the year 2000", "timestamp_utc"),
    _unless(pl.col("observed_at") < LAST_INSTANT, "timestamp_utc {} is after the year 2199", "timestamp_utc"),
)
_AS_WRITTEN: Final = pl.QueryOptFlags.none()
_NONE_BAD: Final = pl.DataFrame(schema={"line": pl.Int64, "reason": pl.String})


def _poll_cases(now: int | None) -> list[Case]:
    if now is None:
        return [*_POLL_CASES]
    reason = f"timestamp_utc {{}} is more than 24 h in the future, now is {instant_text(now)}"
    return [*_POLL_CASES, _unless(pl.col("observed_at") <= now + DAY_US, reason, "timestamp_utc")]


def _check_polls(rows: pl.DataFrame, now: int | None) -> Checked:
    parsed = rows.with_columns(
        _STATUS_CODE,
        observed_at=instants(rows["timestamp_utc"]),
        timestamp_utc=pl.col("timestamp_utc").cast(pl.String),
    )
    return parsed, _poll_cases(now)


def instants(timestamps: pl.Series) -> pl.Series:
    """Read timestamps as microseconds; null where that fails."""
    if timestamps.dtype == pl.Int64:
        return timestamps  # read already
    read = timestamps.str.to_datetime(_USUAL_TIMESTAMP, time_unit="us", strict=False).cast(pl.Int64)
    for again in (_iso_instants, _unusual_instants):
        unread = read.is_null().arg_true()
        if not len(unread):
            break
        read = read.scatter(unread, again(timestamps.gather(unread)))
    return read


def _iso_instants(timestamps: pl.Series) -> pl.Series:
    return timestamps.str.to_datetime(_ISO_TIMESTAMP, time_unit="us", strict=False).cast(pl.Int64)


def _unusual_instants(timestamps: pl.Series) -> pl.Series:
    return timestamps.to_frame("text").select(_PARTS).unnest("text").select(_UNUSUAL_INSTANT).to_series()


def _check_hours(rows: pl.DataFrame, _now: int | None) -> Checked:
    day = pl.col("day").str.strip_chars()
    parsed = rows.with_columns(
        day_number=pl.when(day.str.contains(r"^[0-6]$")).then(day.cast(pl.Int8, strict=False)),
        start=_by_text(rows["start_time_local"], _start_us),
        end=_by_text(rows["end_time_local"], local_time_us),
    )
    unreadable = "unreadable {} {{}}; valid are 09:00, 09:00:00 and 23:59:59.999"
    return parsed, [
        _missing("day", "valid are 0 (Monday) to 6 (Sunday)"),
        _unless(pl.col("day_number").is_not_null(), "day is {}; valid are 0 (Monday) to 6 (Sunday)", "day"),
        _missing("start_time_local"),
        _unless(pl.col("start").is_not_null(), unreadable.format("start_time_local"), "start_time_local"),
        _missing("end_time_local"),
        _unless(pl.col("end").is_not_null(), unreadable.format("end_time_local"), "end_time_local"),
    ]


def _start_us(text: str) -> int | None:
    us = local_time_us(text)
    return None if us == DAY_US else us  # 24:00 ends a day, it begins none


def _check_timezones(rows: pl.DataFrame, _now: int | None) -> Checked:
    name = pl.col("timezone_str").str.strip_chars()
    return rows.with_columns(timezone=name), [
        _missing("timezone_str"),
        _unless(
            name.is_in(sorted(timezone_names())),
            "unknown zone {}; valid are IANA names such as America/Chicago",
            "timezone_str",
        ),
    ]


def _by_text(texts: pl.Series, read: Callable[[str], int | None]) -> pl.Series:
    """Apply ``read`` to each distinct text."""
    distinct = texts.drop_nulls().unique()
    values = [read(text.strip()) for text in distinct]
    return texts.replace_strict(distinct, pl.Series(values, dtype=pl.Int64), default=None)


_CHECKS: Final[Mapping[Kind, Callable[[pl.DataFrame, int | None], Checked]]] = {
    "polls": _check_polls,
    "hours": _check_hours,
    "timezones": _check_timezones,
}
_KEEP: Final[Mapping[Kind, Callable[[Accepted, pl.DataFrame], None]]] = {
    "polls": Accepted._keep_polls,
    "hours": Accepted._keep_hours,
    "timezones": Accepted._keep_timezones,
}
