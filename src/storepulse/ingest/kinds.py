"""Which kind of rows a file holds: told from the names of its columns, never from its own name."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NoReturn, get_args

import polars as pl

from storepulse.errors import InputError
from storepulse.ingest.reading import (
    DAMAGED_PARQUET,
    array_text,
    elements,
    format_of,
    header_text,
    is_whole,
    json_object,
    places,
    shown,
    split,
    wanted,
)
from storepulse.ingest.sources import Kind
from storepulse.schema import INPUT_COLUMNS

_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
#: In so many bytes the header of a CSV file must end, and a JSON object must be found that has all columns.
_LOOKED_AT: Final = 1 << 20


def kind_of(source_name: str, reader: io.BufferedReader) -> Kind:
    """Tell which kind of rows a reader stands before; it is read on, a Parquet file to its end.

    Raises
    ------
    InputError
        It is empty or no known format, or no kind fits its columns, or several do.
    """
    form = format_of(source_name, reader)
    if form == "Parquet":
        return _only(source_name, [_parquet_columns(source_name, reader)])
    content = reader.read(_LOOKED_AT)
    if form == "CSV":
        header = header_text(content.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0])
        return _only(source_name, list(split(header, source_name).values()))
    return _kind_of_objects(source_name, _array_objects(content) if form == "JSON array" else _line_objects(content))


def _only(name: str, headers: Sequence[Sequence[str]]) -> Kind:
    """Return the one kind whose columns one of the headers has."""
    fitting = [kind for kind in _KINDS if any(is_whole(kind, places(kind, titles)) for titles in headers)]
    if len(fitting) != 1:
        _refuse(name, fitting, headers[0])
    return fitting[0]


def _kind_of_objects(name: str, objects: Iterator[Mapping[str, object]]) -> Kind:
    """Return the one kind that the first object fits which fits any: a bad row before it spoils nothing."""
    first: Mapping[str, object] | None = None
    for row in objects:
        first = row if first is None else first
        fitting = [kind for kind in _KINDS if _has_all(kind, row)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            _refuse(name, fitting, list(row))
    _refuse(name, [], list(first or ()))


def _has_all(kind: Kind, row: Mapping[str, object]) -> bool:
    return all(any(name in row for name in (column, *others)) for column, others in INPUT_COLUMNS[kind].items())


def _refuse(name: str, fitting: Sequence[Kind], titles: Sequence[str]) -> NoReturn:
    says = f"may be any of {', '.join(fitting)}" if fitting else "is neither polls nor hours nor timezones"
    needs = "; ".join(f"{kind} need {wanted(kind)}" for kind in _KINDS)
    raise InputError(f"{name} {says}: it has {shown(titles) or 'no columns'}; {needs}, and a file holds one kind")


def _line_objects(content: bytes) -> Iterator[Mapping[str, object]]:
    rows = (json_object(line) for line in content.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    return (row for row, problem in rows if problem is None)


def _array_objects(content: bytes) -> Iterator[Mapping[str, object]]:
    try:
        for value, _, _ in elements(array_text(content)):
            if isinstance(value, dict):
                yield value
    except (json.JSONDecodeError, RecursionError):
        return  # the end of what is looked at, or of what is JSON: the reading will tell


def _parquet_columns(name: str, reader: io.BufferedReader) -> list[str]:
    try:
        return list(pl.read_parquet_schema(io.BytesIO(reader.read())))
    except DAMAGED_PARQUET as error:
        raise InputError(f"cannot read {name} as Parquet: {error}") from error
