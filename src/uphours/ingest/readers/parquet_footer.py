"""What a Parquet file says of itself, read from its footer alone, before anything is decompressed.

How much it holds, and of each row group where its columns lie and between which bounds their values are. The footer is
a Thrift struct in the compact protocol (apache/parquet-format, ``parquet.thrift``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from uphours.errors import InputError
from uphours.schema import instant_us

MAGIC: Final = b"PAR1"
#: What a file calls the instant from which on it has all observations; before it, only the last one of each store.
PRUNED_BEFORE: Final = "uphours.pruned_before"
#: The length of the footer and the magic bytes, at the end of a file.
TAIL: Final = 8
_DEEPEST: Final = 32
# Numbers of types, as they are stored and as they are meant.
_BYTES, _FIXED_BYTES = 6, 7
_DECIMAL, _TIME_MILLIS, _TIME_MICROS, _INTERVAL = 5, 7, 8, 21
#: Logical types from here on are younger than what reads the file.
_LAST_KNOWN_LOGICAL: Final = 15
_UUID_BYTES: Final = 16

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT, _UUID = 1, 2, 3, 7, 8, 9, 10, 11, 12, 13
_INTEGERS: Final = (4, 5, 6)
_WIDTHS: Final = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}

# Numbers of fields: FileMetaData, KeyValue, SchemaElement, LogicalType, TimeUnit, RowGroup, ColumnChunk,
# ColumnMetaData, Statistics.
_FILE_SCHEMA, _FILE_ROWS, _FILE_GROUPS, _FILE_FACTS = 2, 3, 4, 5
_FACT_NAME, _FACT_VALUE = 1, 2
_STORED, _LENGTH, _NAME, _CHILDREN, _CONVERTED, _LOGICAL = 1, 2, 4, 5, 6, 10
_LOGICAL_TIME, _TIME_UNIT = 7, 2
_UNITS_PER_SECOND: Final = {1: 10**3, 2: 10**6, 3: 10**9}
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
class Types:
    """What the columns of a file are meant as, where a reader of tables may not know or may lose it.

    ``uuids``: 16 bytes each. ``clocks``: times of day, in units per second. ``texts``: bytes of any length, which are
    meant as text or may be. ``strange``: of a type that readers of tables do not have. Nested columns are left out.
    """

    uuids: frozenset[str]
    clocks: Mapping[str, int]
    texts: frozenset[str]
    strange: frozenset[str]


@dataclass(frozen=True)
class Footer:
    """What a Parquet file says of itself.

    ``rows``. ``uncompressed_bytes``: of its columns. ``titles``: the names of its columns, nested ones among them, in
    order. ``types``. ``groups``: its row groups, in order. ``facts``: what its writer says of it, by name.
    """

    rows: int
    uncompressed_bytes: int
    titles: tuple[str, ...]
    types: Types
    groups: tuple[Group, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


def pruned_before_of(facts: Mapping[str, str], label: str) -> int | None:
    """Return from when on the observations of a file are complete, UTC microseconds; None where it does not say so.

    Raises
    ------
    InputError
        What it says is no instant; the message begins with ``label``, which is what it calls the file.
    """
    text = facts.get(PRUNED_BEFORE)
    try:
        return None if text is None else instant_us(text)
    except InputError as error:
        raise InputError(f"{label} says from when on it is complete, in {PRUNED_BEFORE}: {error}") from error


def latest_limit(*limits: int | None) -> int | None:
    """Return the latest of some limits; None where there is none at all."""
    return max((limit for limit in limits if limit is not None), default=None)


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
    schema = _some(metadata.get(_FILE_SCHEMA))
    titles = tuple(name for name, _ in _outermost(schema))
    return Footer(rows, uncompressed, titles, _types(schema), tuple(map(_group, groups)), _facts(metadata))


def without_meaning(content: bytes, names: Collection[str]) -> bytes:
    """Return the end of a Parquet file in which some columns are what is stored: bytes and integers, meant as nothing.

    Parameters
    ----------
    content
        The whole file, or an end of it that begins where its footer begins, or before.
    names
        The columns; only such as are not nested.

    Returns
    -------
    bytes
        A footer, its length and the magic bytes, to put where the footer of the file begins.

    Raises
    ------
    ValueError
        The footer is damaged.
    """
    length = footer_length(content[-TAIL:])
    metadata = content[-TAIL - length : -TAIL]
    fields = []
    for number, kind, value in _Reader(metadata).fields():
        if number == _FILE_SCHEMA:
            fields.append((number, kind, _schema_without_meaning(value, names)))
        elif number != _FILE_FACTS:  # in which some programs say all types once more
            fields.append((number, kind, value))
    bare = _struct(fields)
    return bare + len(bare).to_bytes(4, "little") + MAGIC


def _schema_without_meaning(elements: bytes, names: Collection[str]) -> bytes:
    reader = _Reader(elements)
    size = reader.list_size()
    written, nested = [elements[: reader.at]], 0
    for place in range(size):
        fields = list(reader.fields())
        element = _Reader(_struct(fields)).struct()
        name, children = element.get(_NAME), _whole(element.get(_CHILDREN))
        if place and nested:
            nested += children - 1
        elif place and children:
            nested = children
        elif place and isinstance(name, bytes) and name.decode("utf-8", "replace") in names:
            fields = [field for field in fields if field[0] not in (_CONVERTED, _LOGICAL)]
        written.append(_struct(fields))
    return b"".join(written)


def _types(schema: list[Any]) -> Types:
    uuids, clocks, texts, strange = set(), dict[str, int](), set(), set()
    for name, element in _leaves(schema):
        stored, converted = element.get(_STORED), element.get(_CONVERTED)
        logical = element.get(_LOGICAL)
        meant = next(iter(logical), 0) if isinstance(logical, dict) else 0
        if (
            stored == _FIXED_BYTES
            and element.get(_LENGTH) == _UUID_BYTES
            and converted != _DECIMAL
            and meant != _DECIMAL
        ):
            uuids.add(name)
        elif stored == _BYTES:
            texts.add(name)
        elif meant == _LOGICAL_TIME or converted in (_TIME_MILLIS, _TIME_MICROS):
            clocks[name] = _units(logical, converted)
        if converted == _INTERVAL or meant > _LAST_KNOWN_LOGICAL:
            strange.add(name)
    return Types(frozenset(uuids), clocks, frozenset(texts), frozenset(strange))


def _leaves(schema: list[Any]) -> Iterator[tuple[str, dict[int, Any]]]:
    """Yield the columns that are not nested."""
    return ((name, element) for name, element in _outermost(schema) if not _whole(element.get(_CHILDREN)))


def _outermost(schema: list[Any]) -> Iterator[tuple[str, dict[int, Any]]]:
    """Yield the columns, nested ones without what is in them."""
    nested = 0
    for element in schema[1:]:
        if not isinstance(element, dict):
            continue
        children, name = _whole(element.get(_CHILDREN)), element.get(_NAME)
        if nested:
            nested += children - 1
            continue
        nested = children
        if isinstance(name, bytes):
            yield name.decode("utf-8", "replace"), element


def _units(logical: Any, converted: Any) -> int:
    time = logical.get(_LOGICAL_TIME) if isinstance(logical, dict) else None
    unit = time.get(_TIME_UNIT) if isinstance(time, dict) else None
    if isinstance(unit, dict) and unit:
        return _UNITS_PER_SECOND.get(next(iter(unit)), 10**6)
    return 10**3 if converted == _TIME_MILLIS else 10**6


def _struct(fields: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Write a struct of fields: number, kind and value of each, in order."""
    content, before = bytearray(), 0
    for number, kind, value in fields:
        step = number - before
        content += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _varint(number << 1)
        content += value
        before = number
    return bytes(content) + b"\0"


def _varint(number: int) -> bytes:
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*content, number])


def struct_at(content: bytes, at: int) -> tuple[dict[int, Any], int]:
    """Return the struct that begins at a place, its values by the numbers of their fields, and where it ends.

    Raises
    ------
    ValueError
        There is none.
    """
    reader = _Reader(content, at)
    return reader.struct(), reader.at


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


def _facts(metadata: dict[int, Any]) -> dict[str, str]:
    pairs = [fact for fact in _some(metadata.get(_FILE_FACTS)) if isinstance(fact, dict)]
    return {
        fact[_FACT_NAME].decode("utf-8", "replace"): fact[_FACT_VALUE].decode("utf-8", "replace")
        for fact in pairs
        if isinstance(fact.get(_FACT_NAME), bytes) and isinstance(fact.get(_FACT_VALUE), bytes)
    }


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

    def __init__(self, content: bytes, at: int = 0) -> None:
        self._content = content
        self._at = at

    @property
    def at(self) -> int:
        """How far it has read."""
        return self._at

    def fields(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield the fields of a struct, their values as they are written: number, kind and value."""
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            start = self._at
            self._value(head & 15, 0)
            yield number, head & 15, self._content[start : self._at]

    def list_size(self) -> int:
        """Read the head of a list."""
        head = self._byte()
        return self._varint() if head >> 4 == 15 else head >> 4

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
        kind = self._content[self._at : self._at + 1]
        size = self.list_size()
        return [self._element(kind[0] & 15, depth) for _ in range(size)]

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
