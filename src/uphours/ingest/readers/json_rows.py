"""JSON → batches: one object a line, an array of objects, or a document that holds the rows in some other layout."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, Final

import polars as pl

from uphours.errors import InputError
from uphours.ingest.inputs import Kind, Limits, Source
from uphours.ingest.readers.batch import ATTRIBUTES, NOT_UTF8, OF_LINES, Batch, Problem, append_line, text_rows
from uphours.ingest.readers.blocks import BLOCK, blocks, pieces
from uphours.ingest.readers.extended_json import plain
from uphours.ingest.readers.json_texts import (
    DECODER,
    LONGEST_VALUE,
    Element,
    Member,
    Repeated,
    behind_blanks,
    concatenated,
    decoded,
    elements,
    members_of,
    text_of,
)
from uphours.ingest.readers.titles import (
    all_places,
    ambiguity,
    attribute_places,
    is_whole,
    no_attribute,
    optional_columns,
    places,
    shown,
    wanted,
)
from uphours.schema import INPUT_COLUMNS

ROWS_AT_ONCE: Final = 100_000
LONGEST_DOCUMENT: Final = 64 << 20
#: Values that are parsed are up to thirty times as large as their text, so few of them are held at once.
_CHARACTERS_AT_ONCE: Final = 4 << 20
#: From here on a line that is alone is taken for a document: it is read an element at a time.
_LONG: Final = 1 << 20
_USUAL_KEYS, _USUAL_CHARACTERS = 50, 1000
#: A line that is not blank, from its first sign on: found in one pass, however many blanks there are.
_LINE: Final = re.compile(rb"\S[^\n]*")
#: What bytes that are no UTF-8 become on their way through text.
_NOT_UTF8_BYTES: Final = re.compile("[\udc80-\udcff]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NOT_AN_OBJECT: Final = Problem("not a JSON object", "not a JSON object")
_LONG_ROW: Final = f"a row of over {LONGEST_VALUE >> 20} MiB"
_TOO_LONG: Final = Problem(_LONG_ROW, _LONG_ROW)
_LOST: Final = Problem("a character is cut in half: a lone surrogate", "a character is cut in half: a lone surrogate")
_VALID: Final = (
    "valid are one object a line, an array of objects, and one object that has the rows in one array and nothing of "
    "them elsewhere"
)

# --- lines ------------------------------------------------------------------------------------------------------


def json_batches(source: Source, reader: io.BufferedReader, limits: Limits) -> Iterator[Batch]:
    """Read JSON that begins with an object: one a line, unless all of it is a document of another layout.

    Raises
    ------
    InputError
        It is a document that does not have its rows in one place, or a line is endless.
    """
    content = blocks(source, reader)
    first = next(content, b"")
    whole = _document_begun(source.kind, first, content)
    if isinstance(whole, bytes):
        yield from document_batches(source, text_of(whole))
        return
    line = 1
    for block in chain(whole, content):
        for piece in pieces(block, ROWS_AT_ONCE):
            yield _lines_batch(source.kind, piece.split(b"\n"), line)
            line += piece.count(b"\n")


def _document_begun(kind: Kind, first: bytes, more: Iterator[bytes]) -> bytes | list[bytes]:
    """Return the whole document where the first line begins one, else the blocks that were read to tell."""
    read = [first]
    lines = _two_lines(first)
    while len(lines) < 2 and (block := next(more, None)) is not None:
        read.append(block)
        lines = (lines + _two_lines(block))[:2]
    if not lines:
        return read
    head, *others = lines
    if not others and len(head) > _LONG:
        return b"".join(read)
    if len(head) > _LONG:
        return read
    try:
        value = DECODER.decode(head.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        if not others or not _goes_on(head, error):
            return read
    else:
        # An object that fills the file, but is no row, may hold the rows.
        is_row = isinstance(value, dict) and _is_row(kind, value)
        return read if others or is_row else b"".join(read)
    size = sum(map(len, read))
    for block in more:
        read.append(block)
        size += len(block)
        if size > LONGEST_DOCUMENT:
            return read
    content = b"".join(read)
    # A first line that was cut off is a bad row among good ones.
    return read if json_object(others[0])[1] is None and not _is_document(content) else content


def _is_row(kind: Kind, value: Mapping[str, object]) -> bool:
    """Tell whether an object that is alone is a row, well or badly made, and does not hold rows."""
    found = places(kind, tuple(value))
    holds_arrays = any(isinstance(inner, list) for inner in value.values())
    return bool(found) and (is_whole(kind, found) or not holds_arrays) and not _is_columns(kind, value)


def _two_lines(block: bytes) -> list[bytes]:
    """Return the first lines of a block that are not blank, two at most."""
    return [match[0] for match in islice(_LINE.finditer(block), 2)]


def _goes_on(line: bytes, error: Exception) -> bool:
    """Tell whether JSON is good up to the end of a line; a string cannot go on behind it."""
    return (
        isinstance(error, json.JSONDecodeError)
        and not error.msg.startswith("Unterminated string")
        and not line[len(error.doc[: error.pos].encode("utf-8", "surrogateescape")) :].strip()
    )


def _is_document(content: bytes) -> bool:
    try:
        return any(True for _ in concatenated(text_of(content)))
    except (json.JSONDecodeError, RecursionError):
        return False


def _lines_batch(kind: Kind, lines: list[bytes], first_line: int) -> Batch:
    numbered = ((number, *json_object(line)) for number, line in enumerate(lines, first_line) if line.strip())

    def raw(numbers: Sequence[int]) -> list[bytes]:
        return [lines[number - first_line].removesuffix(b"\r") for number in numbers]

    return _batch(kind, numbered, raw)


def json_object(line: bytes) -> tuple[dict[str, Any], Problem | None]:
    """Return the object that stands on a line, or an empty one and the problem with it."""
    if len(line) > LONGEST_VALUE:
        return {}, _TOO_LONG
    try:
        return _row(decoded(line.decode("utf-8")))
    except UnicodeDecodeError:
        return {}, NOT_UTF8
    except (ValueError, RecursionError) as error:
        return {}, Problem(f"not a JSON object: {error}", "not a JSON object")


def _row(value: object) -> tuple[dict[str, Any], Problem | None]:
    return (value, None) if isinstance(value, dict) else ({}, _NOT_AN_OBJECT)


# --- arrays and other documents ---------------------------------------------------------------------------------


def array_batches(source: Source, reader: io.BufferedReader, _limits: Limits) -> Iterator[Batch]:
    """Read a JSON array of objects.

    Raises
    ------
    InputError
        It is no such array, or too long to be held in memory.
    """
    content = bytearray()
    while block := reader.read(BLOCK):
        content += block
        if len(content) > LONGEST_DOCUMENT:
            raise InputError(
                f"{source.label} is a JSON array of over {LONGEST_DOCUMENT >> 20} MiB; "
                "give JSON Lines, one object a line"
            )
    text = text_of(content)
    del content
    with_error = f"{source.label} is no JSON array"
    yield from _element_batches(source.kind, text, elements(text), with_error)


def document_batches(source: Source, text: str) -> Iterator[Batch]:
    """Read objects that follow each other over several lines, or the one array of rows of a single object.

    Raises
    ------
    InputError
        It is no JSON, or a single object that does not have its rows in one place.
    """
    with_error = f"{source.label} is no JSON"
    try:
        members, end = members_of(text, behind_blanks(text, 0))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{with_error}: {error}; {_VALID}") from None
    at = _start_of_rows(source, members) if behind_blanks(text, end) == len(text) else None
    rows = concatenated(text) if at is None else elements(text, at, alone=False)
    yield from _element_batches(source.kind, text, rows, with_error)


def _start_of_rows(source: Source, members: Sequence[Member]) -> int | None:
    """Return where the one array of rows begins in an object that is alone; None where the object is a row itself.

    Raises
    ------
    InputError
        It is neither.
    """
    keys = [member.key for member in members]
    known = [keys[place] for place in places(source.kind, keys).values()]
    if _is_columns(source.kind, {member.key: [] if member.is_array else member.value for member in members}):
        raise InputError(
            f"{source.label} is column-oriented JSON: {shown(known)} hold the values of many rows; write one object a "
            f"row (pandas: orient='records'). {_VALID}"
        )
    arrays = [member for member in members if member.is_array]
    of_rows = [member for member in arrays if member.value] or arrays
    if "columns" in keys and [member.key for member in arrays if not member.value].count("data"):
        raise InputError(
            f"{source.label} is JSON with the names of the columns apart from the rows; write one object a row "
            f"(pandas: orient='records'). {_VALID}"
        )
    if known and not of_rows:
        return None
    if len(of_rows) == 1 and not known and keys.count(of_rows[0].key) == 1:
        return of_rows[0].at
    has = f"{len(of_rows)} arrays, {shown(member.key for member in of_rows)}" if of_rows else "no array of rows"
    beside = f" beside {shown(key for key in keys if key not in {member.key for member in of_rows}) or 'nothing'}"
    raise InputError(f"{source.label} is one JSON object with {has}{beside}; {_VALID}")


def _is_columns(kind: Kind, value: Mapping[str, object]) -> bool:
    """Tell whether an object holds a list, or an object by row, wherever a row has its value."""
    values = list(value.values())
    held = [values[place] for place in places(kind, tuple(value)).values()]
    return bool(held) and all(
        isinstance(inner, list) or (isinstance(inner, dict) and not any(key.startswith("$") for key in inner))
        for inner in held
    )


def _element_batches(kind: Kind, text: str, found: Iterator[Element], with_error: str) -> Iterator[Batch]:
    line = 1
    try:
        while part := _some(found):
            yield _elements_batch(kind, text, part, line)
            line += len(part)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{with_error}: {error}; {_VALID}") from None


def _some(found: Iterator[Element]) -> list[Element]:
    part: list[Element] = []
    for element in found:
        part.append(element)
        if len(part) == ROWS_AT_ONCE or element[2] - part[0][1] > _CHARACTERS_AT_ONCE:
            break
    return part


def _elements_batch(kind: Kind, text: str, part: Sequence[Element], first_line: int) -> Batch:
    def row(value: object, start: int, end: int) -> tuple[dict[str, Any], Problem | None]:
        is_utf8 = text.isascii() or not _NOT_UTF8_BYTES.search(text, start, end)
        return _row(value) if is_utf8 else ({}, NOT_UTF8)

    def raw(numbers: Sequence[int]) -> list[bytes]:
        spans = (part[number - first_line][1:] for number in numbers)
        return [text[start:end].encode("utf-8", "surrogateescape") for start, end in spans]

    return _batch(kind, ((number, *row(*found)) for number, found in enumerate(part, first_line)), raw)


def values_batch(kind: Kind, values: Sequence[object]) -> Batch:
    """Take JSON values that are parsed already, their whole numbers as text; they are numbered from 1."""
    numbered = ((number, *_row(value)) for number, value in enumerate(values, 1))

    def raw(numbers: Sequence[int]) -> list[bytes]:
        return [dumped(values[number - 1]).encode() for number in numbers]

    return _batch(kind, numbered, raw)


# --- rows -------------------------------------------------------------------------------------------------------


def _batch(
    kind: Kind,
    numbered: Iterable[tuple[int, dict[str, Any], Problem | None]],
    raw: Callable[[Sequence[int]], list[bytes]],
) -> Batch:
    """Make a batch of JSON objects: the line of each, the object, and the problem with it."""
    columns = [*INPUT_COLUMNS[kind], *optional_columns(kind)]
    table: dict[str, list[Any]] = {column: [] for column in (*columns, *OF_LINES)}
    appends = [(column, table[column].append) for column in columns]
    attributes: dict[str, list[Any]] = {column: [] for column in ATTRIBUTES}
    for line, row, problem in numbered:
        keys, unclear = _keys_of(kind, tuple(row))
        if problem is None and isinstance(row, Repeated):
            problem = _keys_of(kind, row.keys_as_written)[1]
        for column, append in appends:
            key = keys.get(column)
            value = None if key is None else _value(row[key], column)
            if isinstance(value, str):
                if not value.isascii() and _SURROGATE.search(value):
                    value, problem = value.encode("utf-8", "replace").decode(), problem or _LOST
            elif value is not None:
                if column == "store_id" and problem is None:
                    problem = _no_id(value)
                value = dumped(value)
            append(value)
        if kind == "stores" and problem is None:
            problem = unclear or _add_attributes(attributes, line, row)
        append_line(table, line, problem or unclear)
    said = pl.DataFrame(attributes, schema=ATTRIBUTES) if kind == "stores" else None
    return Batch(text_rows(table), raw, attributes=said)


def _add_attributes(table: dict[str, list[Any]], line: int, row: Mapping[str, Any]) -> Problem | None:
    """Append what an object says of its store; return what is wrong with it."""
    problem = None
    for name, key in attribute_keys(tuple(row)).items():
        value = _value(row[key], name)
        if isinstance(value, list | dict):
            valid = "valid are text, numbers, true and false"
            problem = problem or Problem(
                f"the attribute {name} is {dumped(value)[:60]}; {valid}", f"an attribute has parts; {valid}"
            )
        text = value if isinstance(value, str) else "" if value is None else dumped(value)
        if _SURROGATE.search(name + text):
            problem = problem or _LOST
        else:
            for column, cell in zip(ATTRIBUTES, (line, name, text), strict=True):
                table[column].append(cell)
    return problem


def _keys_of(kind: Kind, keys: tuple[str, ...]) -> tuple[dict[str, str], Problem | None]:
    """Return what `_keys` does, remembered for keys of which many rows may have the same."""
    return _keys(kind, keys) if _is_usual(keys) else _keys.__wrapped__(kind, keys)


def attribute_keys(keys: tuple[str, ...]) -> dict[str, str]:
    """Return under which key an object has each attribute of a store."""
    return _attribute_keys(keys) if _is_usual(keys) else _attribute_keys.__wrapped__(keys)


def _is_usual(keys: tuple[str, ...]) -> bool:
    return len(keys) <= _USUAL_KEYS and sum(map(len, keys)) <= _USUAL_CHARACTERS


@lru_cache(maxsize=1024)
def _attribute_keys(keys: tuple[str, ...]) -> dict[str, str]:
    return {name: keys[at[0]] for name, at in attribute_places(keys).items()}


@lru_cache(maxsize=1024)
def _keys(kind: Kind, keys: tuple[str, ...]) -> tuple[dict[str, str], Problem | None]:
    """Return under which key an object has each column, and what is wrong with its keys."""
    found = {column: keys[place] for column, place in all_places(kind, keys).items()}
    if twice := ambiguity(kind, keys):
        return found, Problem(f"the object has {twice}; valid is one", "the object has two keys for one column")
    missing = next((column for column in INPUT_COLUMNS[kind] if column not in found), None)
    if missing is not None:
        has = f"the object has {shown(keys) or 'no keys'}, not {wanted(kind)}"
        return found, Problem(f"missing {missing}: {has}", f"missing {missing}: the object has no such key")
    if useless := no_attribute(kind, keys):
        return found, Problem(f"the object has a key {useless}", "the object has a key that can be no attribute")
    return found, None


def _no_id(value: object) -> Problem:
    valid = "valid are text and whole numbers"
    return Problem(f"store_id is {dumped(value)[:60]}; {valid}", f"unusable store_id; {valid}")


def json_attribute(row: Mapping[str, Any], key: str) -> object:
    """Return the value that a JSON object of stores has under a key; what is extended JSON is a plain value."""
    return _value(row[key], key)


def is_id(value: object) -> bool:
    """Say whether a JSON value, its whole numbers read as text, may be an id, or says that there is none."""
    return value is None or isinstance(value, str)


def json_value(kind: Kind, row: Mapping[str, Any], column: str) -> object:
    """Return the value that a JSON object has for a column, under whichever of its names; None where it has none.

    What is extended JSON is a plain value here.
    """
    key = _keys_of(kind, tuple(row))[0].get(column)
    return None if key is None else _value(row[key], column)


def _value(value: object, column: str) -> object:
    return value if isinstance(value, str) else plain(value, column)


def dumped(value: object) -> str:
    """Return a JSON value as JSON; one that is nested too deeply for that, as a word on it."""
    try:
        return json.dumps(value)
    except RecursionError:
        return '"nested too deeply to be shown"'
