"""A value of a column that has a type means what its text means: accepted alike, or rejected alike."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.tables import NOW, read_files, settings_of
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_tables
from uphours.ingest.readers.arrow import frame
from uphours.load_record import Loaded

WHOLE: dict[Kind, dict[str, str]] = {
    "polls": {"store_id": "1", "status": "up", "timestamp_utc": "2023-01-24T10:00:00Z"},
    "hours": {"store_id": "1", "day": "0", "start_time_local": "09:00", "end_time_local": "17:00"},
    "timezones": {"store_id": "1", "timezone_str": "UTC"},
}


class Form(NamedTuple):
    """A type of a column, values of it, and their text."""

    kind: Kind
    column: str
    type: pa.DataType
    values: st.SearchStrategy[Any]
    text: Any = str


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


def _instant(moment: datetime) -> str:
    return moment.isoformat(" ", "microseconds")


def _boolean(value: bool) -> str:
    return str(value).lower()


INT = st.one_of(st.integers(-3, 12), st.integers(-(2**31), 2**31 - 1), st.sampled_from([1_674_554_400]))
LONG = st.one_of(INT, st.integers(-(2**63), 2**63 - 1), st.sampled_from([10**12, 1_674_554_400_000_000]))
FLOATS = st.one_of(st.sampled_from([0.0, 1.0, 7.0, 0.5, 1.5, 1001.0]), st.integers(-(2**40), 2**40).map(float))
WORDS = st.sampled_from(
    ["1", "007", " up ", "Monday", "closed", "24:00", "9pm", "2023-01-24T10:00Z", "", "UTC", "7", "x"]
)
MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2210, 1, 1))  # noqa: DTZ001
TIMES = st.one_of(st.times(), st.sampled_from([time(0), time(23, 59), time(23, 59, 59, 999_999)]))
#: Ids are whole, whatever their scale: a number with a fraction is none, though its text may be.
DECIMALS = st.integers(-(10**6), 10**6).map(lambda number: Decimal(100 * number).scaleb(-2))


def _decimal(value: Decimal) -> str:
    return str(int(value))


_TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
_NUMBERED: Final[list[tuple[Kind, str]]] = [
    ("polls", "store_id"), ("hours", "day"), ("polls", "status"), ("polls", "timestamp_utc"),
]  # fmt: skip
FORMS = [
    *(Form(kind, column, type_, WORDS) for kind, columns in WHOLE.items() for column in columns for type_ in _TEXTS),
    *(
        Form(kind, column, type_, values)
        for kind, column in _NUMBERED
        for type_, values in [
            (pa.int64(), LONG), (pa.int32(), INT), (pa.int8(), st.integers(-128, 127)),
            (pa.uint64(), st.integers(0, 2**64 - 1)), (pa.uint8(), st.integers(0, 255)),
        ]
    ),
    Form("polls", "store_id", pa.float64(), FLOATS.filter(float.is_integer), _plain),
    Form("hours", "day", pa.float64(), FLOATS, _plain),
    Form("polls", "store_id", pa.decimal128(20, 2), DECIMALS, _decimal),
    Form("polls", "status", pa.bool_(), st.booleans(), _boolean),
    *(
        Form("polls", "timestamp_utc", pa.timestamp("us", zone), MOMENTS, _instant)
        for zone in (None, "UTC", "Asia/Kolkata")
    ),
    Form("polls", "timestamp_utc", pa.date32(), st.dates(date(1990, 1, 1), date(2210, 1, 1))),
    *(Form("hours", column, pa.time64("us"), TIMES, time.isoformat)
      for column in ("start_time_local", "end_time_local")),
    Form("polls", "store_id", pa.binary(), WORDS.map(str.encode), bytes.decode),
]  # fmt: skip


def array(form: Form, values: list[Any]) -> pa.Array:
    if isinstance(form.type, pa.DictionaryType):
        return pa.array(values, pa.string()).dictionary_encode()
    if pa.types.is_timestamp(form.type):
        return pa.array([moment.replace(tzinfo=UTC) for moment in values], pa.timestamp("us", "UTC")).cast(form.type)
    return pa.array(values, form.type)


def meaning(loaded: Loaded) -> tuple[Any, ...]:
    """Return what was accepted, and the lines that were rejected."""
    ids = loaded.store_ids
    return (
        sorted(
            (ids[store], int(us), int(status))
            for store, us, status in zip(loaded.stores, loaded.times, loaded.statuses, strict=True)
        ),
        *settings_of(loaded),
        [row.line for row in loaded.quarantine],
    )


def both(kind: Kind, rows: pa.Table) -> list[Loaded]:
    """Read a table from memory, and from Parquet."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        pq.write_table(rows, path)
        loads = [read_tables({kind: frame(rows)})]
        polars = pl.DataFrame(frame(rows))
        polars.write_parquet(Path(folder, "polars.parquet"))
        for name in ("rows.parquet", "polars.parquet"):
            loads.append(read_files({kind: [str(Path(folder, name))]}, now=LATER))
        return loads


#: So that no poll is from the future: tables of the library know no clock.
LATER = NOW + int(timedelta(days=365 * 300) / timedelta(microseconds=1))


@settings(max_examples=2 * settings().max_examples)
@given(form=st.sampled_from(FORMS), drawn=st.data())
def test_a_typed_value_means_what_its_text_means(form: Form, drawn: st.DataObject) -> None:
    values = drawn.draw(st.lists(form.values, min_size=1, max_size=4))
    height = len(values)
    columns = {name: pa.array([text] * height) for name, text in WHOLE[form.kind].items()}
    as_text = pa.table(columns | {form.column: pa.array([form.text(value) for value in values], pa.string())})
    typed = pa.table(columns | {form.column: array(form, values)})
    (expected,) = {repr(meaning(loaded)) for loaded in both(form.kind, as_text)}
    assert {repr(meaning(loaded)) for loaded in both(form.kind, typed)} == {expected}, (typed, as_text)
