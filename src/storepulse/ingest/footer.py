"""What a Parquet file says of its own size, read from its footer alone, before anything is decompressed.

The footer is a Thrift struct in the compact protocol (apache/parquet-format, ``parquet.thrift``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_MAGIC: Final = b"PAR1"
_DEEPEST: Final = 32

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 1, 2, 3, 7, 8, 9, 10, 11, 12, 13
_INTEGERS: Final = (4, 5, 6)
_WIDTHS: Final = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}

# Numbers of fields: FileMetaData.num_rows and .row_groups; RowGroup.total_byte_size and .num_rows.
_FILE_ROWS, _FILE_GROUPS, _GROUP_BYTES, _GROUP_ROWS = 3, 4, 2, 3


@dataclass(frozen=True)
class Footer:
    """The rows of a Parquet file, and the bytes of its columns without compression."""

    rows: int
    uncompressed_bytes: int


def footer(content: bytes) -> Footer:
    """Read the footer of a Parquet file.

    Raises
    ------
    ValueError
        The footer is damaged.
    """
    length = int.from_bytes(content[-8:-4], "little")
    if not content.endswith(_MAGIC) or not 0 < length <= len(content) - 12:
        raise ValueError("its footer is damaged")
    metadata = _Reader(content[-8 - length : -8]).struct()
    groups = [group for group in _some(metadata.get(_FILE_GROUPS)) if isinstance(group, dict)]
    rows = max(_whole(metadata.get(_FILE_ROWS)), sum(_whole(group.get(_GROUP_ROWS)) for group in groups))
    return Footer(rows, sum(_whole(group.get(_GROUP_BYTES)) for group in groups))


def _some(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _whole(value: object) -> int:
    return max(value, 0) if isinstance(value, int) else 0


class _Reader:
    """Values of the compact protocol, one after the other; texts are passed over."""

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
            return self._pass(self._varint())
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
