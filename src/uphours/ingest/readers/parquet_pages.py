"""What the pages of a Parquet file become when they are read, found from their heads before any is decompressed.

A kilobyte can be a billion rows, and so can a column inside of a column: a run of equal values takes some bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from uphours.ingest.readers.parquet_footer import Chunk, Group, struct_at

#: What a decoded value takes at the most, beside the bytes of its page.
VALUE_BYTES: Final = 16
# Numbers of fields: PageHeader, and in all of its kinds the number of values.
_UNCOMPRESSED, _COMPRESSED = 2, 3
_DATA, _DICTIONARY, _DATA_2 = 5, 7, 8
_VALUES: Final = 1


def decoded_bytes(content: bytes, group: Group) -> Mapping[str, int]:
    """Return how many bytes each column of a row group becomes when it is read.

    Raises
    ------
    ValueError
        The pages are damaged, or contradict what the footer says.
    """
    return {name: _decoded_bytes(content, name, chunk, group.rows) for name, chunk in group.chunks.items()}


def _decoded_bytes(content: bytes, name: str, chunk: Chunk, rows: int) -> int:
    at, values, size = chunk.start, 0, 0
    while at < chunk.stop:
        head, end = struct_at(content, at)
        compressed = _whole(head.get(_COMPRESSED))
        of_page = [head[kind] for kind in (_DATA, _DATA_2) if isinstance(head.get(kind), dict)]
        values += sum(_whole(page.get(_VALUES)) for page in of_page)
        if isinstance(dictionary := head.get(_DICTIONARY), dict):
            size += VALUE_BYTES * _whole(dictionary.get(_VALUES))
        size += _whole(head.get(_UNCOMPRESSED))
        if end + compressed <= at:
            raise ValueError(f"a page of its column {name!r} is damaged")
        at = end + compressed
    if values > rows:
        raise ValueError(f"the pages of its column {name!r} have {values:,} values, the row group {rows:,} rows")
    return size + VALUE_BYTES * rows


def _whole(value: Any) -> int:
    return max(value, 0) if isinstance(value, int) else 0
