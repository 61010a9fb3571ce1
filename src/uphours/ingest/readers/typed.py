"""Tables that have types already → batches: a value means what its text would mean, at the ends of its type too."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import polars as pl
from polars.exceptions import PolarsError

from uphours.errors import InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.readers.batch import NO_PROBLEM, Batch
from uphours.ingest.readers.titles import ATTRIBUTE, whole_positions, with_attributes, with_optional
from uphours.kernel.local_time import local_time_text
from uphours.schema import BEGINNING_OF_TIME, DAY_US, END_OF_TIME, SECOND_US

#: From these numbers on not every whole number is a value of the type, so that an id may have been another one.
_INEXACT: Final[dict[type[pl.DataType], int]] = {pl.Float64: 1 << 53, pl.Float32: 1 << 24, pl.Float16: 1 << 11}
_TIMES: Final = ("start_time_local", "end_time_local")
_LOCAL: Final = ("start_local", "end_local")
#: Columns of other types than text, of which libraries make numbers with a fraction beside missing values.
_WITHOUT_FRACTION: Final = ("entry", "withdraws")
_UUID: Final = r"^(.{8})(.{4})(.{4})(.{4})(.{12})$"
_VALID_IDS: Final = "valid are text and whole numbers"
_EPOCH_DAYS: Final = (BEGINNING_OF_TIME // DAY_US, END_OF_TIME // DAY_US)
_NESTED: Final = (pl.List, pl.Array, pl.Struct, pl.Object)


class _Bad(NamedTuple):
    """Values that have no text: which, why, and the same without the value."""

    where: pl.Series
    reason: pl.Series
    cause: str


def table_batch(kind: Kind, table: pl.DataFrame, name: str, *, first_line: int = 1) -> Batch:
    """Take a table that has columns and types already; its rows are numbered from ``first_line``.

    Raises
    ------
    InputError
        It lacks a column, has two for the same, or a column is of a type that holds no such values.
    """
    positions = whole_positions(kind, table.columns, name)
    columns, bad = [], list[_Bad]()
    for column, position in positions.items():
        text, unusable = _text(table.to_series(position).alias(column), name)
        columns.append(text)
        bad += unusable
    lines = pl.int_range(first_line, first_line + table.height, eager=True).alias("line")
    rows = pl.DataFrame([*columns, lines]).with_columns(**NO_PROBLEM)
    for where, reason, cause in reversed(bad):
        chosen = pl.when(where)
        rows = rows.with_columns(
            problem=chosen.then(reason).otherwise("problem"),
            problem_cause=chosen.then(pl.lit(cause)).otherwise("problem_cause"),
        )
    rows, attributes = with_attributes(rows) if kind == "stores" else (rows, None)

    def raw(numbers: Sequence[int]) -> list[bytes]:
        chosen = _sayable(table[[number - first_line for number in numbers]])
        return [_dumped(row).encode("utf-8", "replace") for row in chosen.iter_rows(named=True)]

    return Batch(with_optional(kind, rows), raw, attributes=attributes)


def microseconds(instants: pl.Series) -> pl.Series:
    """Return datetimes as microseconds; those outside the years 1 to 9999 as the nearer end of them."""
    unit = instants.dtype.time_unit if isinstance(instants.dtype, pl.Datetime) else "us"
    numbers = instants.to_physical()  # with a zone or without, it counts from 1970 in UTC
    if unit == "ns":
        return numbers // 1000
    scale = 1000 if unit == "ms" else 1
    return numbers.clip(BEGINNING_OF_TIME // scale, END_OF_TIME // scale) * scale


def instant_texts(us: pl.Series) -> pl.Series:
    """Return instants as text, ``2023-01-25 18:13:22.479220``; those that `microseconds` clipped as what they are."""
    is_inside = (us > BEGINNING_OF_TIME) & (us < END_OF_TIME)
    outside = pl.Series(["before the year 1", "after the year 9999"]).gather((us > 0).cast(pl.UInt32).fill_null(0))
    inside = us.set(~is_inside, None).cast(pl.Datetime("us")).cast(pl.String)
    return inside.zip_with(is_inside.fill_null(True), outside)


def uuid_texts(column: pl.Series) -> pl.Series:
    """Return UUIDs of 16 bytes as they are written, in small letters with dashes."""
    return column.bin.encode("hex").str.replace(_UUID, "$1-$2-$3-$4-$5")


def clock_texts(column: pl.Series, per_second: int) -> pl.Series:
    """Return times of day that are whole numbers of a unit since midnight as text, ``24:00`` among them."""
    distinct = column.drop_nulls().unique()
    texts = [_clock_text(number * SECOND_US // per_second) for number in distinct.to_list()]
    return column.replace_strict(distinct, pl.Series(texts, dtype=pl.String), default=None, return_dtype=pl.String)


def _clock_text(us: int) -> str:
    return f"-{local_time_text(-us)}" if us < 0 else local_time_text(us)


def _text(column: pl.Series, name: str) -> tuple[pl.Series, list[_Bad]]:
    """Return a column as text (instants as microseconds), and the values of which there is none."""
    dtype = column.dtype
    if dtype == pl.Binary:
        return _of_bytes(column)
    if dtype == pl.Duration and column.name in _TIMES:  # how drivers of MySQL give a TIME
        return clock_texts(column.to_physical(), _per_second(column)), []
    if column.name == "timestamp_utc" and dtype == pl.Datetime:
        return microseconds(column), []
    if column.name == "store_id":
        return _ids(column, name)
    if dtype in _NESTED or dtype == pl.Duration:
        called = column.name.removeprefix(ATTRIBUTE)
        raise InputError(f"{called} in {name} is {dtype}; valid are text, and what the column is named after")
    if dtype in _INEXACT and (column.name in _WITHOUT_FRACTION or column.name.startswith(ATTRIBUTE)):
        return _without_fraction(column), []
    text = _plain_text(column)
    has_zone = isinstance(dtype, pl.Datetime) and dtype.time_zone is not None
    return (text + " UTC" if has_zone and column.name in _LOCAL else text), []


def _without_fraction(numbers: pl.Series) -> pl.Series:
    """Return numbers as text, whole ones as whole numbers, and what is no number as nothing."""
    numbers = numbers.cast(pl.Float64).set(numbers.is_nan(), None)
    is_whole = (numbers.floor() == numbers) & (numbers.abs() < _INEXACT[pl.Float64])
    whole = numbers.set(~is_whole, 0).cast(pl.Int64).cast(pl.String)
    return whole.zip_with(is_whole.fill_null(True), numbers.cast(pl.String))


def _plain_text(column: pl.Series) -> pl.Series:
    dtype = column.dtype
    if dtype == pl.Datetime:
        return instant_texts(microseconds(column))
    if dtype == pl.Date:  # Polars panics at dates that are not one
        first, last = _EPOCH_DAYS
        return column.set(~column.to_physical().is_between(first, last, closed="left"), None).cast(pl.String)
    if dtype == pl.Time:
        return clock_texts(column.to_physical(), 10**9)
    return column.cast(pl.String)


def _per_second(column: pl.Series) -> int:
    unit = column.dtype.time_unit if isinstance(column.dtype, pl.Duration) else "us"
    return {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit]


def _ids(column: pl.Series, name: str) -> tuple[pl.Series, list[_Bad]]:
    dtype = column.dtype
    if dtype in _INEXACT:
        return _of_floats(column, _INEXACT[type(dtype)])
    if dtype == pl.Decimal:
        text = column.cast(pl.String).str.replace(r"\.0*$", "")
        return text, _unless(~text.str.contains(".", literal=True), text)
    if dtype in _NESTED or dtype.is_temporal() or dtype == pl.Boolean:
        raise InputError(f"store_id in {name} is {dtype}; {_VALID_IDS}, also UUIDs and other bytes that are text")
    return column.cast(pl.String), []


def _of_floats(column: pl.Series, inexact: int) -> tuple[pl.Series, list[_Bad]]:
    """Return whole numbers as text; the type cannot say of a greater one whether it once was its neighbour."""
    column = column.set(column.is_nan(), None)
    text = column.cast(pl.String)
    is_exact = column.abs() < inexact
    is_whole = is_exact & (column.floor() == column)
    whole = column.set(~is_whole, 0).cast(pl.Int64).cast(pl.String)
    lost = f"is a floating-point number from {inexact} on, which has lost digits; keep ids as text or as integers"
    reasons = pl.select(pl.format("store_id {} {}", text.fill_null(""), pl.lit(lost))).to_series()
    too_large = _Bad(~is_exact.fill_null(True), reasons, f"store_id {lost}")
    return whole, [too_large, *_unless((is_whole | ~is_exact), text)]


def _unless(good: pl.Series, text: pl.Series) -> list[_Bad]:
    good = good.fill_null(True)
    if good.all():
        return []
    reasons = pl.select(pl.format("store_id is {}; {}", text.fill_null(""), pl.lit(_VALID_IDS))).to_series()
    return [_Bad(~good, reasons, f"unusable store_id; {_VALID_IDS}")]


def _of_bytes(column: pl.Series) -> tuple[pl.Series, list[_Bad]]:
    """Return bytes as the text that they are; 16 of them that are not one, in an id, as a UUID."""
    try:
        return column.cast(pl.String), []
    except PolarsError:
        pass  # some of them are no UTF-8
    is_id = column.name == "store_id"
    if is_id and (column.bin.size() == 16).all():  # of ten thousand UUIDs one is text, too
        return uuid_texts(column), []
    texts = {content: _decoded(content, is_id=is_id) for content in column.unique().to_list() if content is not None}
    values = [None if content is None else texts[content] for content in column.to_list()]
    text = pl.Series(column.name, values, dtype=pl.String)
    bad = text.is_null() & column.is_not_null()
    reason = f"{column.name} is not UTF-8 text"
    return text, [_Bad(bad, pl.Series([reason], dtype=pl.String).new_from_index(0, len(column)), reason)]


def _decoded(content: bytes, *, is_id: bool) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return str(uuid.UUID(bytes=content)) if is_id and len(content) == 16 else None


# --- rows as they were ------------------------------------------------------------------------------------------


def _sayable(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table with instants, dates and times as text: Python has none of them outside the years 1 to 9999."""

    def text(column: pl.Series) -> pl.Series:
        if column.dtype == pl.Duration:
            return column.to_physical()
        if column.dtype not in (pl.Datetime, pl.Date):
            return column
        said = _plain_text(column)
        return said.zip_with(said.is_not_null() | column.is_null(), column.to_physical().cast(pl.String))

    return table.with_columns(text(column) for column in table)


def _dumped(row: Mapping[str, object]) -> str:
    return json.dumps(row, default=_said, ensure_ascii=False)


def _said(value: object) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
