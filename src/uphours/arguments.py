"""What callers of the library and of Spark may give, argument by argument; all else is an `InputError` that says so.

Each function reads one kind of argument, of any type at all, before anything is done with it.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeAlias, TypedDict, TypeVar

import numpy as np
import polars as pl
from polars.exceptions import PanicException

from uphours.errors import InputError, wrong
from uphours.ingest.inputs import STANDARD_INPUT
from uphours.ingest.readers.arrow import frame
from uphours.kernel.policy import Policy
from uphours.kernel.windows import DEFAULT_WINDOWS, WINDOW_NAMES, Window, window_names
from uphours.reports.request import ReportRequest
from uphours.schema import VALID_INSTANTS, Instant, instant_text, instant_us, is_whole_number
from uphours.where import Where, where_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


_Given = ParamSpec("_Given")
_Returned = TypeVar("_Returned")


class ArrowTable(Protocol):
    """Anything with the Arrow PyCapsule interface."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Hand the table over."""


Path: TypeAlias = str | os.PathLike[str]
Table: TypeAlias = ArrowTable | pl.LazyFrame | Path | Sequence[Path]
"""A table in memory, or files: a path, a glob, a place in an object store, or a list of those."""


class ReportOptions(TypedDict, total=False):
    """What a report is asked for, whatever makes it."""

    as_of: Instant | None
    windows: Sequence[str | Window] | None
    policy: Policy | None
    where: Mapping[str, str | Sequence[str]] | None
    all_stores: bool


_VALID_TABLES: Final = (
    "tables of Polars, pandas, PyArrow or anything else with the Arrow PyCapsule interface, and paths of files"
)
_VALID_SPARK_TABLES: Final = "DataFrames of Spark, such as spark.read.parquet(…) and spark.createDataFrame(…)"
_VALID_WINDOWS: Final = f"lists of {', '.join(WINDOW_NAMES)} and Window('NAME', START, END)"
_VALID_STORES: Final = "lists of ids as text, such as ['1001']"
_VALID_POLICIES: Final = "Policy objects such as Policy(interpolation='nearest')"
_MOST_BUCKETS: Final = (1 << 31) - 1


def lists(options: Any) -> Callable[[Callable[_Given, _Returned]], Callable[_Given, _Returned]]:
    """Give a function that takes the keywords of a dictionary a signature that names each, and refuse all others."""

    def listing(function: Callable[_Given, _Returned]) -> Callable[_Given, _Returned]:
        known = inspect.signature(function)
        own = [one for one in known.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        types = {name: hint.__forward_arg__ for name, hint in options.__annotations__.items()}
        named = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=False if kind == "bool" else None, annotation=kind
            )
            for name, kind in types.items()
        ]
        signature = known.replace(parameters=[*own, *named])

        @wraps(function)
        def called(*args: _Given.args, **given: _Given.kwargs) -> _Returned:
            try:
                signature.bind(*args, **given)
            except TypeError as error:
                raise TypeError(f"{function.__name__}() {error}") from None
            return function(*args, **given)

        called.__signature__ = signature  # type: ignore[attr-defined]
        return called

    return listing


def request(
    options: Mapping[str, Any], *, by: Sequence[str] = (), columns: Sequence[str] | None = None
) -> ReportRequest:
    """Return what is asked for by `ReportOptions`, and by others that only some can answer."""
    return ReportRequest(
        as_of=instant("as_of", options.get("as_of")),
        windows=windows(options.get("windows")),
        policy=policy(options.get("policy")),
        stores=stores(options.get("stores")),
        where=where(options.get("where")),
        by=tuple(by),
        columns=optional_names("columns", columns),
        all_stores=flag("all_stores", options.get("all_stores", False)),
        raw=flag("raw", options.get("raw", False)),
        compare=flag("compare", options.get("compare", False)),
    )


# --- values --------------------------------------------------------------------------------------------------


def instant(name: str, value: Instant | None) -> int | None:
    """Return an instant in microseconds; None where none is given."""
    return None if value is None else instant_us(value, name)


def interval(start: Instant, end: Instant) -> tuple[int, int]:
    """Return both bounds of an interval in microseconds."""
    bounds = {"start": start, "end": end}
    for name, value in bounds.items():
        if value is None:
            raise wrong(name, value, VALID_INSTANTS)
    start_us, end_us = (instant_us(value, name) for name, value in bounds.items())
    check_order("end", start_us, end_us)
    return start_us, end_us


def check_order(name: str, start_us: int | None, end_us: int | None) -> None:
    """Refuse an end, called ``name``, that is not after the start, where both are known."""
    if start_us is not None and end_us is not None and start_us >= end_us:
        raise InputError(f"{name} {instant_text(end_us)} is not after start {instant_text(start_us)}")


def windows(value: Sequence[str | Window] | None) -> tuple[str | Window, ...]:
    """Return the windows that are asked for, by name or whole."""
    if value is None:
        return DEFAULT_WINDOWS
    chosen = _items("windows", value, _VALID_WINDOWS, ordered=True)
    window_names(chosen)
    return chosen


def stores(value: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the store ids that are asked for; None for all."""
    if value is None:
        return None
    ids = _items("stores", value, _VALID_STORES)
    for store_id in ids:
        if not isinstance(store_id, str):
            raise wrong("one of stores", store_id, _VALID_STORES)
    return ids


def text(name: str, value: str | None) -> str | None:
    """Return a text; None where none is given."""
    if value is not None and not isinstance(value, str):
        raise wrong(name, value, "text, and None")
    return value


def names(name: str, value: Sequence[str]) -> tuple[str, ...]:
    """Return names of attributes, at least one."""
    valid = "lists of names of attributes, such as ['region']"
    listed = _items(name, value, valid, ordered=True)
    if not listed or not all(isinstance(one, str) for one in listed):
        raise wrong(name, value, valid)
    return listed


def optional_names(name: str, value: Sequence[str] | None) -> tuple[str, ...]:
    """Return names of attributes; () where none are given."""
    return () if value is None else names(name, value)


def where(value: Mapping[str, str | Sequence[str]] | None) -> Where:
    """Return the values that stores must have, by attribute; () where none are given."""
    if value is None:
        return ()
    valid = "values by name of attribute, such as {'region': ['TX', 'CA']}"
    if not isinstance(value, Mapping):
        raise wrong("where", value, valid)
    listed = {
        attribute: (some,) if isinstance(some, str) else _items("where", some, valid)
        for attribute, some in value.items()
    }
    if not all(isinstance(text, str) for attribute, some in listed.items() for text in (attribute, *some)):
        raise wrong("where", value, valid)
    return where_of(listed)


def policy(value: Policy | None) -> Policy:
    """Return the policy; the default one where none is given."""
    if value is None:
        return Policy()
    if not isinstance(value, Policy):
        raise wrong("policy", value, _VALID_POLICIES)
    return value


def flag(name: str, value: bool) -> bool:
    """Return a truth value, as such."""
    if not isinstance(value, bool | np.bool):
        raise wrong(name, value, "True and False")
    return bool(value)


def buckets(value: int | None) -> int | None:
    """Return a number of buckets; None where Spark decides."""
    if value is None:
        return None
    if not (is_whole_number(value) and 1 <= value <= _MOST_BUCKETS):
        raise wrong("buckets", value, "whole numbers from 1 on, and None: then Spark decides")
    return int(value)


def _items(name: str, value: Any, valid: str, *, ordered: bool = False) -> tuple[Any, ...]:
    """Return what is in a list, a column or the like; not the characters of a text, nor the columns of a table."""
    # Its type is asked for columns, as a lazy frame would look for them.
    is_table = hasattr(type(value), "columns")
    is_other = isinstance(value, str | bytes | Mapping) or is_table or not hasattr(value, "__len__")
    if is_other or (ordered and isinstance(value, set | frozenset)) or getattr(value, "ndim", 1) != 1:
        raise wrong(name, value, valid)
    try:
        return tuple(value)
    except TypeError:
        raise wrong(name, value, valid) from None


# --- tables --------------------------------------------------------------------------------------------------


def table(name: str, value: Table | None) -> pl.DataFrame | list[str] | None:
    """Return a table as one of Polars, or the names of the files that it is in."""
    if value is None:
        return None
    if (paths := _paths(name, value)) is not None:
        return paths
    if _is_of_spark(value):
        raise InputError(
            f"{name} is a table of Spark; uphours.spark takes it as it is, and {name}.toArrow() makes one for here"
        )
    if not hasattr(type(value), "__arrow_c_stream__") and not isinstance(value, pl.LazyFrame):
        raise wrong(name, value, _VALID_TABLES)
    rows = _in_polars(name, value)
    # Without rows there is nothing to tell types from: other libraries call such columns numbers or objects.
    return rows if rows.height else pl.DataFrame(schema=dict.fromkeys(rows.columns, pl.String))


def _in_polars(name: str, value: Any) -> pl.DataFrame:
    try:
        return value.collect() if isinstance(value, pl.LazyFrame) else frame(value)
    except MemoryError:
        raise
    except (Exception, PanicException) as error:  # whatever the library raises that the table is from
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(f"{name} cannot be read as a table: {reason}; valid are {_VALID_TABLES}") from error


def _paths(name: str, value: Any) -> list[str] | None:
    """Return the names of files, or None for what does not name files."""
    if isinstance(value, str | os.PathLike):
        value = [value]
    if not isinstance(value, list | tuple):
        return None
    if not value or not all(isinstance(path, str | os.PathLike) for path in value):
        raise wrong(name, value, _VALID_TABLES)
    paths = [os.fsdecode(path) for path in value]
    for path in ("", STANDARD_INPUT):
        if path in paths:
            raise wrong(name, path, f"{_VALID_TABLES}; standard input is for the command line")
    return paths


def spark_table(name: str, value: DataFrame) -> DataFrame:
    """Return a table of Spark."""
    if not _is_of_spark(value):
        raise wrong(name, value, _VALID_SPARK_TABLES)
    return value


def _is_of_spark(value: object) -> bool:
    """Tell without importing Spark; with Spark Connect it is a class of another module."""
    return any(
        kind.__name__ == "DataFrame" and kind.__module__.startswith("pyspark.sql.") for kind in type(value).__mro__
    )
