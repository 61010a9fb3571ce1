"""Which kind of rows a file holds: found by the names of its columns, never by its own name."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Final, NoReturn, get_args

from uphours.errors import InputError
from uphours.ingest.inputs import UNLIMITED, Kind, Limits
from uphours.ingest.readers.batches import format_of
from uphours.ingest.readers.csv_lines import header_of, split
from uphours.ingest.readers.json_rows import json_object
from uphours.ingest.readers.json_texts import elements, text_of
from uphours.ingest.readers.parquet import parquet_titles
from uphours.ingest.readers.titles import attribute_places, is_whole, places, shown, wanted
from uphours.schema import INPUT_COLUMNS

_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
#: Targets are of no store.
_TARGETS: Final[Kind] = "targets"
#: Any table that has store ids may be one of stores, so it is one only where nothing hints at another kind.
_STORES: Final[Kind] = "stores"
_OTHERS: Final = tuple(kind for kind in _KINDS if kind != _STORES)
_HINTS: Final = frozenset(
    name.casefold()
    for kind in _OTHERS
    if kind != _TARGETS  # whose columns have names that attributes may have, too
    for column, names in INPUT_COLUMNS[kind].items()
    for name in (column, *names)
    if column not in ("store_id", "reason")
) | {"start_utc", "end_utc", "start_local", "end_local"}
#: Within this many bytes the header of a CSV file must end, and a JSON object must be found that has all columns.
_LOOKED_AT: Final = 1 << 20
_ARRAY_OF_OBJECTS: Final = re.compile(r"\[(?=[ \t\r\n]*\{)")


def kind_of(source_name: str, reader: io.BufferedReader, limits: Limits = UNLIMITED) -> Kind:
    """Tell which kind of rows a reader stands before; it is read on, a Parquet file to its end.

    Raises
    ------
    InputError
        It is empty or no known format, or no kind fits its columns, or several do.
    """
    form = format_of(source_name, reader)
    if form == "Parquet":
        return _only(source_name, [parquet_titles(source_name, reader, limits)])
    content = reader.read(_LOOKED_AT)
    if form == "CSV":
        header = header_of(content)
        return _only(source_name, list(split(header.text, source_name, header.delimiter).values()))
    objects = _array_objects(content)
    return _kind_of_objects(source_name, objects if form == "JSON array" else chain(_line_objects(content), objects))


def _only(name: str, headers: Sequence[Sequence[str]]) -> Kind:
    """Return the one kind whose columns one of the headers has."""
    fitting = [kind for kind in _OTHERS if any(_has_all(kind, titles) for titles in headers)]
    if not fitting and any(map(_are_of_stores, headers)):
        return _STORES
    if len(fitting) != 1:
        _refuse(name, fitting, headers[0])
    return fitting[0]


def _kind_of_objects(name: str, objects: Iterator[Mapping[str, object]]) -> Kind:
    """Return the one kind that the first object fits which fits any: a bad row before it spoils nothing.

    Where none fits any other kind, they are of stores if all are that have a store.
    """
    first: Mapping[str, object] | None = None
    of_stores: list[bool] = []
    for row in objects:
        first = row if first is None else first
        titles = tuple(row)
        fitting = [kind for kind in _OTHERS if _has_all(kind, titles)]
        if not fitting and _has_all(_STORES, titles):
            of_stores.append(_are_of_stores(titles))
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            _refuse(name, fitting, list(row))
    if of_stores and all(of_stores):
        return _STORES
    _refuse(name, [], list(first or ()))


def _has_all(kind: Kind, titles: Sequence[str]) -> bool:
    has_stores = kind == _TARGETS and is_whole(_STORES, places(_STORES, titles))
    return is_whole(kind, places(kind, titles)) and not has_stores


def _are_of_stores(titles: Sequence[str]) -> bool:
    attributes = attribute_places(titles)
    return _has_all(_STORES, titles) and bool(attributes) and not any(name.casefold() in _HINTS for name in attributes)


def _refuse(name: str, fitting: Sequence[Kind], titles: Sequence[str]) -> NoReturn:
    says = f"may be any of {', '.join(fitting)}" if fitting else f"is neither {' nor '.join(_KINDS)}"
    needs = "; ".join(f"{kind} need {_needed(kind)}" for kind in _KINDS)
    raise InputError(f"{name} {says}: it has {shown(titles) or 'no columns'}; {needs}, and a file holds one kind")


def _needed(kind: Kind) -> str:
    if kind == _STORES:
        return f"{wanted(kind)}, attributes, and no column of another kind"
    return wanted(kind) + (", and start and end, _utc or _local" if kind == "adjustments" else "")


def _line_objects(content: bytes) -> Iterator[Mapping[str, object]]:
    rows = (json_object(line) for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return (row for row, problem in rows if problem is None)


def _array_objects(content: bytes) -> Iterator[Mapping[str, object]]:
    """Yield the objects of each array of objects that begins somewhere: of all of it, or inside of another object."""
    text = text_of(content)
    starts = (match.start() for match in islice(_ARRAY_OF_OBJECTS.finditer(text), 100))
    for start in chain([0] if text.lstrip()[:1] == "[" else [], starts):
        try:
            for value, _, _ in elements(text, start, alone=False):
                if isinstance(value, dict):
                    yield value
        except (json.JSONDecodeError, RecursionError):
            continue  # the end of what is looked at, or of what is JSON: the reading will tell
