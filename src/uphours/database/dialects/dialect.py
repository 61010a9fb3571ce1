"""The database engines: what they share, and how a URL names one.

What differs has one file an engine: bulk in, bulk out, replacing rows, locks, partitions, limits.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from uphours.database.dialects import urls
from uphours.errors import InputError
from uphours.schema import Codes, Instants, Statuses

if TYPE_CHECKING:
    from sqlalchemy import Connection

_VALID: Final = (
    "sqlite:///FILE, such as sqlite:///uphours.db, postgresql://USER:PASSWORD@HOST/DATABASE "
    "and mysql://USER:PASSWORD@HOST/DATABASE"
)


@dataclass(frozen=True)
class Grouped:
    """Rows of integers by what they are of, such as a store: the number of each, how many rows it has, and all rows.

    ``columns``: of shape (columns, rows).
    """

    keys: Codes
    counts: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]


Numbers: TypeAlias = range | Sequence[int]
"""Stores by number: all from one number to another, or some thousand that are listed."""


class Content(NamedTuple):
    """What a fleet follows from: the same content, the same fleet.

    The last load, the last entry of the ledger, and until when was pruned.
    """

    load: int
    entry: int
    pruned_before: str | None


#: The query that finds it.
CONTENT: Final = (
    "SELECT (SELECT coalesce(max(loads.load), 0) FROM loads), (SELECT coalesce(max(entry), 0) FROM adjustments), "
    "(SELECT value FROM properties WHERE name = 'pruned_before')"
)

#: All numbers that a store may have.
ALL_STORES: Final = range(1 << 31)


def among(stores: Numbers) -> str:
    """Return the condition of SQL by which a row is of one of these stores.

    The numbers stand in the statement itself: as parameters MySQL would look each of them up for each row.
    """
    if stores == ALL_STORES:
        return "TRUE"  # as a condition it would lead planners to an index that only takes longer
    if isinstance(stores, range):
        return f"store BETWEEN {stores.start} AND {stores.stop - 1}"
    return f"store IN ({', '.join(map(str, stores))})"


@dataclass(frozen=True)
class Finding:
    """What a look at one thing came to, in a sentence; a warning is something that works, but should be changed."""

    about: str
    state: Literal["good", "warning", "bad"]
    says: str


class Reader(Protocol):
    """Queries on a database as it was at one moment."""

    def rows(self, sql: str, **parameters: str | int) -> list[tuple[Any, ...]]:
        """Return all rows of a query with parameters such as ``:name``."""

    def named(self, name: str, stores: Numbers, **parameters: str | int) -> list[tuple[Any, ...]]:
        """Return all rows that the engine's query of this name finds of these stores."""

    def grouped(self, name: str, stores: Numbers, *, columns: int = 1, **parameters: int) -> Grouped:
        """Return what the engine's query of this name finds of these stores: a text of integers for each column."""


class Engine(ABC):
    """A database that holds our tables.

    Attributes
    ----------
    described
        What people call it: its URL or file, without a password.
    """

    #: The engine as a URL names it.
    name: ClassVar[str]
    #: How a parameter is written in SQL that goes to the driver as it is.
    mark: ClassVar[str]
    #: Whether a server holds it, which may be started later than its clients.
    is_server: ClassVar[bool] = False
    described: str

    @abstractmethod
    def check_there(self) -> None:
        """Refuse to read where there is nothing.

        Raises
        ------
        NotFoundError
            There is no such database.
        """

    @abstractmethod
    def reading(self) -> AbstractContextManager[Connection]:
        """Open a transaction for the small things, which sees the database as it is at its first statement."""

    @abstractmethod
    def writing(self) -> AbstractContextManager[Connection]:
        """Open a transaction that writes: all of it or nothing, and synced to disk at its end."""

    @abstractmethod
    def migrating(self) -> AbstractContextManager[Connection]:
        """Open a transaction that changes tables, as the only process that does."""

    @abstractmethod
    def snapshot(self) -> AbstractContextManager[Reader]:
        """Read the database as it is at this moment, without keeping a writer waiting."""

    @abstractmethod
    def look_over(self, seconds: float) -> bool:
        """Look for damage, for some seconds at most; return whether all was looked at that uphours can look at."""

    @abstractmethod
    def close(self) -> None:
        """Close the connections that were kept open."""

    @abstractmethod
    def prepare(self, connection: Connection, times: Instants) -> None:
        """Make room for observations of these instants, before anything else of the transaction touches them."""

    @abstractmethod
    def insert_observations(
        self, connection: Connection, stores: Codes, times: Instants, statuses: Statuses
    ) -> tuple[int, int]:
        """Insert observations, each instant of a store once, in order; return how many were new and how many replaced.

        An observation that is there already is replaced if its status differs.
        """

    @abstractmethod
    def insert_rows(self, connection: Connection, table: str, rows: npt.NDArray[np.int64]) -> None:
        """Insert whole rows of integers that are not there yet, fastest in the order of the table's key."""

    def insert_names(self, connection: Connection, table: str, rows: Sequence[tuple[int | str, ...]]) -> None:
        """Insert whole rows of numbers and texts, at least one, that are not there yet."""
        marks = ", ".join([self.mark] * len(rows[0]))
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", list(rows))

    @abstractmethod
    def drop_parts(self, before: int) -> int:
        """Take away the parts of the observations that lie before an instant, but the last one before it of each store.

        Return how many observations went; none where observations are not cut into parts.

        Raises
        ------
        DatabaseUnavailableError
            Reports that are being made kept them in use for long.
        """

    def is_writable(self) -> bool:
        """Say whether anything can be written, as far as that can be seen without writing."""
        return True

    @abstractmethod
    def table_names(self, connection: Connection) -> set[str]:
        """Return the names of the tables and views that are where ours are, or would be made."""

    @abstractmethod
    def checkup(self) -> Iterator[Finding]:
        """Look at what can be wrong with this engine: version, durability, rights, what is slow."""

    @abstractmethod
    def server_time(self, connection: Connection) -> int | None:
        """Return the time by the clock of the server, UTC microseconds; None where it is this machine's."""

    @abstractmethod
    def set_counters(self, connection: Connection) -> None:
        """Let the numbers that the engine gives to new rows go on after those that are there."""

    @abstractmethod
    def known_statuses(self, connection: Connection, keys: Sequence[tuple[int, int]]) -> Mapping[tuple[int, int], int]:
        """Return the statuses of those of the observations that are there, by store and instant."""


def engine_of(url: str, *, keep_open: bool) -> Engine:
    """Return the engine that a URL names; nothing is opened before it is used.

    Raises
    ------
    InputError
        The URL is not of a database that uphours can use, or its driver is not installed.
    """
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    match scheme:
        case "sqlite":
            from uphours.database.dialects.sqlite import SQLite

            return SQLite(url, keep_open=keep_open)
        case "postgresql" | "postgres":
            _check_driver("psycopg", "postgresql")
            from uphours.database.dialects.postgresql import PostgreSQL

            return PostgreSQL(url, keep_open=keep_open)
        case "mysql" | "mariadb":
            _check_driver("pymysql", "mysql")
            from uphours.database.dialects.mysql import MySQL

            return MySQL(url, keep_open=keep_open)
    raise InputError(f"{urls.shown(url)!r} names no database; valid are {_VALID}")


def _check_driver(module: str, extra: str) -> None:
    if find_spec(module) is None:
        raise InputError(f"{extra}://… needs the driver {module}; `pip install 'uphours[{extra}]'` brings it")


def dialect_of(connection: Connection) -> Engine:
    """Return the engine that a connection leads to."""
    made = connection.get_execution_options()[OPTION]
    assert isinstance(made, Engine)
    return made


#: The execution option by which a connection leads to its engine.
OPTION: Final = "uphours_engine"


def query(engine: str, name: str, stores: Numbers) -> str:
    """Return an engine's query of this name for some stores."""
    return _queries(engine)[name].replace("{stores}", among(stores))


@cache
def _queries(engine: str) -> Mapping[str, str]:
    """Return the named queries of an engine: each begins with a line ``-- name: …``."""
    text = resources.files(__package__).joinpath(f"{engine}.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def grouped(rows: Iterable[tuple[Any, ...]], columns: int) -> Grouped:
    """Put integers together that come as ``(key, comma-separated text of each column)``, one row a key or several.

    Texts instead of one Python object a value: as fast as a driver made for bulk reads. A text a column, as to put the
    columns of each row into one text takes a database longer than all the rest.
    """
    found = sorted(row for row in rows if row[1])
    keys, *texts = zip(*found, strict=True) if found else [()] * (columns + 1)
    counts = np.array([text.count(",") + 1 for text in texts[0]], dtype=np.int64)
    values = [np.fromstring(",".join(column), dtype=np.int64, sep=",") for column in texts]
    numbers = np.array(keys, dtype=np.int32)
    firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
    return Grouped(numbers[firsts], np.add.reduceat(counts, firsts) if len(firsts) else counts, np.stack(values))


def together(parts: Iterable[Grouped], columns: int) -> Grouped:
    """Put what several queries found into one."""
    every = [grouped([], columns), *parts]
    return Grouped(
        np.concatenate([part.keys for part in every]),
        np.concatenate([part.counts for part in every]),
        np.concatenate([part.columns for part in every], axis=1),
    )


#: Values in one statement, each a parameter.
_PARAMETERS: Final = 500
T = TypeVar("T")


def parts_of(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut values into parts that fit into the parameters of one statement."""
    return (values[start : start + _PARAMETERS] for start in range(0, len(values), _PARAMETERS))


def parts(rows: npt.NDArray[np.int64], size: int) -> Iterable[npt.NDArray[np.int64]]:
    """Cut rows into parts for one statement each."""
    return (rows[start : start + size] for start in range(0, len(rows), size))
