"""What is read from the footers of Parquet files is what the library that wrote them says."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import pytest

from uphours.ingest.readers.parquet_footer import footer

pytestmark = pytest.mark.anywhere

ROWS, TIME = 1_000, 1_674_000_000_000_000
TABLE = pl.DataFrame(
    {
        "store_id": [f"s{n % 7}" for n in range(ROWS)],
        "timestamp_utc": pl.Series(range(TIME, TIME + 977 * ROWS, 977)).cast(pl.Datetime("us", "UTC")),
        "number": pl.Series([n * 3 - 500 for n in range(ROWS)]),
        "nested": [{"a": n, "b": "x"} for n in range(ROWS)],
    }
)  # fmt: skip


def by_polars() -> bytes:
    file = io.BytesIO()
    TABLE.write_parquet(file, row_group_size=300)
    return file.getvalue()


def by_arrow() -> bytes:
    file = io.BytesIO()
    pq.write_table(TABLE.to_arrow(), file, row_group_size=300)
    return file.getvalue()


@pytest.mark.parametrize("content", [by_polars(), by_arrow()], ids=["Polars", "Arrow"])
def test_row_groups_columns_and_bounds_are_those_of_the_file(content: bytes) -> None:
    said: Any = pq.ParquetFile(io.BytesIO(content)).metadata
    found = footer(content)
    assert found.rows == ROWS
    assert [group.rows for group in found.groups] == [said.row_group(n).num_rows for n in range(said.num_row_groups)]
    for number, group in enumerate(found.groups):
        assert set(group.chunks) == {"store_id", "timestamp_utc", "number"}
        for place, name in enumerate(group.chunks):
            column, chunk = said.row_group(number).column(place), group.chunks[name]
            assert column.path_in_schema == name
            start = min(filter(None, [column.dictionary_page_offset, column.data_page_offset]))
            assert (chunk.start, chunk.stop) == (start, start + column.total_compressed_size)
            stored = column.statistics.min, column.statistics.max
            bounds = (int.from_bytes(bound or b"", "little", signed=True) for bound in (chunk.least, chunk.greatest))
            if name == "number":
                assert tuple(bounds) == stored
            elif name == "timestamp_utc":
                assert tuple(datetime.fromtimestamp(us / 1_000_000, UTC) for us in bounds) == stored
            else:
                assert (chunk.least, chunk.greatest) == tuple(text.encode() for text in stored)


def test_the_end_of_a_file_is_enough_and_less_is_not() -> None:
    content = by_polars()
    length = int.from_bytes(content[-8:-4], "little") + 8
    assert footer(content[-length:]) == footer(content)
    for end in (content[-length + 1 :], content[-5:], b"", content[:-1]):
        with pytest.raises(ValueError, match="its footer is damaged"):
            footer(end)
