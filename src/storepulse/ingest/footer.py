"""What a Parquet file says of itself, read from its footer alone, before anything is decompressed.

How much it holds, and of each row group where its columns lie and between which bounds their values are. The footer is
a Thrift struct in the compact protocol (apache/parquet-format, ``parquet.thrift``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAGIC: Final = b"PAR1"
#: The length of the footer and the magic bytes, at the end of a file.
TAIL: Final = 8
_DEEPEST: Final = 32

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 1, 2, 3, 7, 8, 9, 10, 11, 12, 13
_INTEGERS: Final = (4, 5, 6)
_WIDTHS: Final = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}

# Numbers of fields: FileMetaData, RowGroup, ColumnChunk, ColumnMetaData, Statistics.
_FILE_ROWS, _FILE_GROUPS = 3, 4
_GROUP_CHUNKS, _GROUP_BYTES, _GROUP_ROWS = 1, 2, 3
_CHUNK_METADATA: Final = 3
_PATH, _COMPRESSED_BYTES, _DATA_AT, _DICTIONARY_AT, _STATISTICS = 3, 7, 9, 11, 12
# In order of preference: the first two are of files that are older than the other two.
_GREATEST, _LEAST = (5, 1), (6, 2)


@dataclass(frozen=True)
class Chunk:
    """A column in one row group: its bytes ``[start, stop)`` of the file, and bounds of its values as they are stored.

    A bound is None where the file does not say it.
    """

    start: int
    stop: int
    least: bytes | None
    greatest: bytes | None


@dataclass(frozen=True)
class Group:
    """A row group: how many rows, and its columns by name; nested ones are left out."""

    rows: int
    chunks: Mapping[str, Chunk]


@dataclass(frozen=True)
class Footer:
    """The rows of a Parquet file, the bytes of its columns without compression, and its row groups in order."""

    rows: int
    uncompressed_bytes: int
    groups: tuple[Group, ...]


def footer(content: bytes) -> Footer:
    """Read the footer of a Parquet file, of which ``content`` is all, or an end that is long enough.

    Raises
    ------
    ValueError
        The footer is damaged.
    """
    length = footer_length(content[-TAIL:])
    if length > len(content) - TAIL:
        raise ValueError("its footer is damaged")
    metadata = _Reader(content[-TAIL - length : -TAIL]).struct()
    groups = [group for group in _some(metadata.get(_FILE_GROUPS)) if isinstance(group, dict)]
    rows = max(_whole(metadata.get(_FILE_ROWS)), sum(_whole(group.get(_GROUP_ROWS)) for group in groups))
    uncompressed = sum(_whole(group.get(_GROUP_BYTES)) for group in groups)
    return Footer(rows, uncompressed, tuple(map(_group, groups)))


def footer_length(tail: bytes) -> int:
    """Return how long the footer is that ends in these last bytes of a file, without them.

    Raises
    ------
    ValueError
        They are not the end of a Parquet file.
    """
    length = int.from_bytes(tail[:4], "little")
    if not tail.endswith(MAGIC) or not length:
        raise ValueError("its footer is damaged")
    return length


def _group(fields: dict[int, Any]) -> Group:
    chunks = {}
    for chunk in _some(fields.get(_GROUP_CHUNKS)):
        metadata = chunk.get(_CHUNK_METADATA) if isinstance(chunk, dict) else None
        if isinstance(metadata, dict) and len(path := _some(metadata.get(_PATH))) == 1 and isinstance(path[0], bytes):
            chunks[path[0].decode("utf-8", "replace")] = _chunk(metadata)
    return Group(_whole(fields.get(_GROUP_ROWS)), chunks)


def _chunk(fields: dict[int, Any]) -> Chunk:
    statistics = fields.get(_STATISTICS)
    statistics = statistics if isinstance(statistics, dict) else {}
    start = min(filter(None, (_whole(fields.get(_DATA_AT)), _whole(fields.get(_DICTIONARY_AT)))), default=0)
    least, greatest = (
        next((found for number in numbers if isinstance(found := statistics.get(number), bytes)), None)
        for numbers in (_LEAST, _GREATEST)
    )
    return Chunk(start, start + _whole(fields.get(_COMPRESSED_BYTES)), least, greatest)


def _some(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int:
    return max(value, 0) if isinstance(value, int) else 0


class _Reader:
    """Values of the compact protocol, one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Read a struct: its values by the numbers of their fields."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = self._value(head & 15, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("its footer is damaged: nested too deeply")
        if kind in _INTEGERS:
            return self._integer()
        if kind in (_TRUE, _FALSE):
            return None
        if kind in _WIDTHS:
            return self._pass(_WIDTHS[kind])
        if kind == _BINARY:
            length = self._varint()
            self._pass(length)
            return self._content[self._at - length : self._at]
        if kind in (_LIST, _SET):
            return self._list(depth + 1)
        if kind == _MAP:
            return self._map(depth + 1)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise ValueError(f"its footer is damaged: type {kind}")

    def _list(self, depth: int) -> list[Any]:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        return [self._element(head & 15, depth) for _ in range(size)]

    def _map(self, depth: int) -> None:
        size = self._varint()
        kinds = self._byte() if size else 0
        for _ in range(size):
            self._element(kinds >> 4, depth)
            self._element(kinds & 15, depth)

    def _element(self, kind: int, depth: int) -> Any:
        # In a field a truth value is part of the head, in a list it is a byte of its own.
        return self._pass(1) if kind in (_TRUE, _FALSE) else self._value(kind, depth)

    def _integer(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _varint(self) -> int:
        number = shift = 0
        while (byte := self._byte()) & 0x80:
            number |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise ValueError("its footer is damaged: endless number")
        return number | byte << shift

    def _byte(self) -> int:
        self._pass(1)
        return self._content[self._at - 1]

    def _pass(self, count: int) -> None:
        self._at += count
        if self._at > len(self._content):
            raise ValueError("its footer is damaged: it ends too early")
