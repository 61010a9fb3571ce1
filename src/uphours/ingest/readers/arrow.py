"""Tables of other libraries → Polars tables, through the Arrow interface, without loss at the ends of their types.

Polars has no UUIDs, makes null of 24:00, lets seconds overflow, and takes no text that is not UTF-8.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from uphours.ingest.readers.typed import clock_texts, uuid_texts
from uphours.schema import BEGINNING_OF_TIME, END_OF_TIME, SECOND_US

if TYPE_CHECKING:
    import pyarrow as pa

_PER_SECOND: Final = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_UUID_BYTES: Final = 16


def frame(table: Any) -> pl.DataFrame:
    """Return a table that has the Arrow PyCapsule interface as a Polars table."""
    if isinstance(table, pl.DataFrame):
        return table
    if find_spec("pyarrow") is None:
        return pl.DataFrame(table)
    import pyarrow as pa

    return frame_of_arrow(table if isinstance(table, pa.Table) else pa.table(table))


def frame_of_arrow(table: pa.Table) -> pl.DataFrame:
    """Return a table of PyArrow as a Polars table."""
    import pyarrow as pa

    clocks: dict[str, int] = {}
    uuids: list[str] = []
    for place, field in enumerate(table.schema):
        kind = field.type
        if isinstance(kind, pa.ExtensionType):
            kind = kind.storage_type
        stored: pa.DataType | None = None
        if pa.types.is_time(kind):
            clocks[field.name] = _PER_SECOND[kind.unit]
            stored = pa.int32() if pa.types.is_time32(kind) else pa.int64()
        elif pa.types.is_fixed_size_binary(kind) and kind.byte_width == _UUID_BYTES:
            uuids.append(field.name)
            stored = pa.binary()
        elif pa.types.is_timestamp(kind) and kind.unit == "s":
            table = table.set_column(place, field.name, _milliseconds(table.column(place), kind))
        if stored is not None:
            column = table.column(place)
            if isinstance(field.type, pa.ExtensionType):
                column = column.cast(kind)
            table = table.set_column(place, field.name, column.cast(stored))
    try:
        table.validate(full=True)
    except pa.ArrowInvalid:
        table = _texts_as_bytes(table)
    polars = pl.DataFrame(table)
    return polars.with_columns(
        *(uuid_texts(polars[name]) for name in uuids), *(clock_texts(polars[name], per) for name, per in clocks.items())
    )


def _milliseconds(seconds: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return instants in seconds as milliseconds; those outside the years 1 to 9999 as the nearer end of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    first, last = (pa.scalar(us // SECOND_US, pa.int64()) for us in (BEGINNING_OF_TIME, END_OF_TIME))
    later = pc.max_element_wise(seconds.cast(pa.int64()), first, skip_nulls=False)
    inside = pc.min_element_wise(later, last, skip_nulls=False)
    return pc.multiply(inside, 1000).cast(pa.timestamp("ms", kind.tz))


def _texts_as_bytes(table: pa.Table) -> pa.Table:
    import pyarrow as pa

    def stored(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_string(kind):
            return pa.binary()
        return pa.large_binary() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind

    for place, field in enumerate(table.schema):
        column, kind = table.column(place), field.type
        if pa.types.is_dictionary(kind):
            column = column.cast(kind.value_type)
            kind = kind.value_type
        table = table.set_column(place, field.name, column.cast(stored(kind)))
    return table
