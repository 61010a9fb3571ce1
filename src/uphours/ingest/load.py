"""Files → a load. Good rows are kept, the others set aside, none is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import compress
from typing import TYPE_CHECKING, Final, TypeVar, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.errors import InputError, shown
from uphours.ingest.given import Given
from uphours.ingest.ids import StoreIds
from uphours.ingest.inputs import STANDARD_INPUT, UNLIMITED, Kind, Limits, Progress, Source, opened
from uphours.ingest.quarantine import Quarantine, check_rejected
from uphours.ingest.readers.batch import Batch
from uphours.ingest.readers.batches import batches
from uphours.ingest.readers.json_rows import values_batch
from uphours.ingest.readers.parquet_footer import latest_limit
from uphours.ingest.readers.typed import table_batch
from uphours.ingest.sources.resolve import named
from uphours.ingest.statuses import status_words
from uphours.ingest.validate import Accepted
from uphours.load_record import Load, Loaded, LoadedFile, StoreCounts
from uphours.schema import SINCE_EVER

if TYPE_CHECKING:
    from uphours.database.database import Database

Number = TypeVar("Number", bound=np.generic)
T = TypeVar("T")

#: What the tables of the library and of Spark are called.
TABLE_NAMES: Final[Mapping[Kind, str]] = {
    "polls": "observations",
    "hours": "business_hours",
    "timezones": "timezones",
    "special": "special_hours",
    "stores": "attributes",
    "adjustments": "adjustments",
    "targets": "targets",
}


def read_files(
    names: Mapping[Kind, Sequence[str]],
    *,
    now: int | None,
    progress: Progress | None = None,
    limits: Limits = UNLIMITED,
    statuses: Mapping[str, str] | None = None,
    quarantine: Quarantine | None = None,
    strict: Fraction | None = None,
    valid_from: int = SINCE_EVER,
) -> Loaded:
    """Read files of each kind, named by path, glob, ``-`` for standard input, or a place in an object store.

    Parameters
    ----------
    names
        What to read, by kind: ``polls``, ``hours``, ``timezones``, ``special``, ``stores``, ``adjustments``,
        ``targets``.
    now
        UTC microseconds; polls over 24 h later are quarantined. None: none is.
    progress
        Called with how far the reading is.
    limits
        How much each file may hold.
    statuses
        Words of the input for ``active``, ``inactive`` and ``unknown``, beside the usual ones.
    quarantine
        Takes the rejected rows, also of a load that fails.
    strict
        The greatest share of rows that may be rejected; unless given, any.
    valid_from
        From which local date on rows of hours and zones hold that name none, in days since the epoch.

    Raises
    ------
    InputError
        Nothing is named, a file cannot be read, lacks a column, or holds too much.
    RejectedError
        A file has rows, and none of them can be used; or more rows are rejected than may be.
    """
    found = find_inputs(names, now=now or 0)
    return read_sources(
        found, now=now, progress=progress, limits=limits, statuses=statuses, quarantine=quarantine,
        strict=strict, valid_from=valid_from,
    )  # fmt: skip


def find_inputs(names: Mapping[Kind, Sequence[str]], *, now: int) -> list[Source]:
    """Find what `read` reads.

    Raises
    ------
    InputError
        Nothing is named, or what is named is not there.
    """
    try:
        found = [source for kind, some in names.items() for source in named(kind, some, now=now)]
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"cannot look for {shown(error.filename)}: {error.strerror}") from error
    if not found:
        raise InputError(f"nothing to load: name files with {', '.join(f'--{kind}' for kind in get_args(Kind))}")
    if sum(source.name == STANDARD_INPUT for source in found) > 1:
        raise InputError("standard input (-) is named twice; it can be read once")
    return found


def read_sources(
    found: Sequence[Source],
    *,
    now: int | None,
    progress: Progress | None = None,
    limits: Limits = UNLIMITED,
    statuses: Mapping[str, str] | None = None,
    quarantine: Quarantine | None = None,
    strict: Fraction | None = None,
    allow_unusable: bool = False,
    valid_from: int = SINCE_EVER,
) -> Loaded:
    """Read sources, wherever their bytes are; otherwise as `read`.

    ``allow_unusable``: a source may have no row that can be used.

    Raises
    ------
    InputError
        A source cannot be read, lacks a column, or holds too much.
    RejectedError
        A source has rows, and none of them can be used; or more rows are rejected than may be.
    """
    accepted = Accepted(status_words(statuses), store_ids=StoreIds(limits.ids), valid_from=valid_from)
    files: list[LoadedFile] = []
    quarantine = Quarantine() if quarantine is None else quarantine
    quarantine.names = [source.name for source in found]
    for position, source in enumerate(found):
        files.append(read_source(source, position, accepted, quarantine, now, progress, limits))
    if not allow_unusable:
        check_rejected(files, quarantine.rejected(), strict=strict)
    return collected(accepted, files, quarantine, started_at=now or 0)


def read_rows(rows: Sequence[object], *, name: str, now: int | None) -> Loaded:
    """Read polls that are JSON values already, made with ``json.loads(…, parse_int=str)``: objects, when all is well.

    Rows are numbered from 1. Each number is in the quarantine or belongs to an accepted observation, and
    ``stores``, ``times`` and ``statuses`` of the accepted ones stand in the order of ``rows``. So the k-th of
    them came from the k-th number that is not the ``line`` of a quarantined row.

    Parameters
    ----------
    name
        What the rows are called in the record of the load.
    now
        UTC microseconds; polls over 24 h later are quarantined. None: none is.
    """
    accepted = Accepted()
    quarantine = Quarantine(most=None)  # each request is answered with the reasons of its own rows
    good = add_batch("polls", values_batch("polls", rows), 0, accepted, quarantine, now)
    file = LoadedFile("polls", name, "", 0, len(rows), good, len(rows) - good)
    return collected(accepted, [file], quarantine, started_at=now or 0)


def read_tables(
    tables: Mapping[Kind, pl.DataFrame | Sequence[str]], *, statuses: Mapping[str, str] | None = None
) -> Loaded:
    """Read tables that are in memory already, or files by name, as `read` does; no poll in them is from the future.

    Raises
    ------
    InputError
        A table lacks a column, has two for the same, or one of a type of no use; or a file cannot be read. Bad rows
        raise nothing.
    """
    accepted = Accepted(status_words(statuses))
    files: list[LoadedFile] = []
    quarantine = Quarantine(most=None)
    for kind, table in tables.items():
        if not isinstance(table, pl.DataFrame):
            for source in find_inputs({kind: table}, now=0):
                files.append(read_source(source, len(files), accepted, quarantine, None))
            continue
        name, position = TABLE_NAMES[kind], len(files)
        add_batch(kind, table_batch(kind, table, name), position, accepted, quarantine, None)
        settle(name, position, accepted, quarantine)
        bad = quarantine.count(position)
        files.append(LoadedFile(kind, name, "", 0, table.height, table.height - bad, bad))
    return collected(accepted, files, quarantine, started_at=0)


def load_files(
    database: Database,
    names: Mapping[Kind, Sequence[str]],
    *,
    now: int,
    progress: Progress | None = None,
    actor: str | None = None,
    statuses: Mapping[str, str] | None = None,
    quarantine: Quarantine | None = None,
    strict: Fraction | None = None,
    valid_from: int = SINCE_EVER,
) -> Load:
    """Read files and write what they hold into a database: all of it or, when anything fails, nothing.

    ``actor``: who did it, for the audit trail; None puts nothing on record. The rest as with `read`.
    """
    loaded = read_files(
        names, now=now, progress=progress, statuses=statuses, quarantine=quarantine, strict=strict,
        valid_from=valid_from,
    )  # fmt: skip
    return database.write(loaded, actor=actor)


def read_source(
    source: Source,
    position: int,
    accepted: Accepted,
    quarantine: Quarantine,
    now: int | None,
    progress: Progress | None = None,
    limits: Limits = UNLIMITED,
) -> LoadedFile:
    """Read one source, the one at a position, into ``accepted`` and ``quarantine``.

    Raises
    ------
    InputError
        It cannot be read, lacks a column, or holds too much. Bad rows raise nothing.
    """
    rows, header = 0, None
    with opened(source, progress, limits) as (stream, reader):
        for batch in prefetched(batches(source, reader, limits)):
            add_batch(source.kind, batch, position, accepted, quarantine, now)
            rows += batch.rows.height
            header = batch.header
        sha256 = stream.sha256()
    settle(source.name, position, accepted, quarantine)
    bad = quarantine.count(position)
    return LoadedFile(source.kind, source.name, sha256, stream.bytes_read, rows, rows - bad, bad, header)


def prefetched(items: Iterator[T]) -> Iterator[T]:
    """Yield the items while another thread makes the next one: reading and checking take about as long."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item


def add_batch(
    kind: Kind,
    batch: Batch,
    position: int,
    accepted: Accepted,
    quarantine: Quarantine,
    now: int | None,
) -> int:
    """Put each row of a batch into ``accepted`` or ``quarantine``; return how many were accepted."""
    accepted.pruned_before = latest_limit(accepted.pruned_before, batch.pruned_before)
    accepted.file = position
    good, bad = accepted.add(kind, batch, now)
    if bad.height:
        quarantine.add(position, batch, bad)
    return good


def settle(name: str, position: int, accepted: Accepted, quarantine: Quarantine) -> None:
    """Put the rows into ``quarantine`` that are rejected when all of the source at ``position`` is read."""
    quarantine.add_late(position, accepted.settle(name))


def collected(
    accepted: Accepted,
    files: Sequence[LoadedFile],
    quarantine: Quarantine,
    *,
    started_at: int,
) -> Loaded:
    """Sum up what was accepted: the stores that are known, and each row once.

    A store is known by a row that was accepted, or by rejected rows of its own hours or zone.
    """
    stores, given = _joined(accepted.stores, np.int32), Given.of(accepted)
    known = np.zeros(len(accepted.store_ids.texts), dtype=np.bool_)
    known[stores] = True
    known[given.stores()] = True
    numbers = (np.cumsum(known) - 1).astype(np.int32)
    unreadable = given.unreadable
    given = given.renumbered(numbers)
    return Loaded(
        started_at=started_at,
        store_ids=list(compress(accepted.store_ids.texts, known)),
        stores=numbers[stores],
        times=_joined(accepted.times, np.int64),
        statuses=_joined(accepted.statuses, np.uint8),
        hours=given.hours,
        timezones=given.timezones,
        special_hours=given.special_hours,
        special_names=given.special_names,
        attributes=given.attributes,
        adjustments=given.adjustments,
        targets=given.targets,
        unusable={
            kind: sorted(stores.union(int(numbers[store]) for store in unreadable[kind] if known[store]))
            for kind, stores in given.unusable.items()
        },
        unreadable={
            kind: [accepted.store_ids.texts[store] for store in sorted(stores) if not known[store]]
            for kind, stores in unreadable.items()
        },
        repeated=given.repeated,
        conflicting=given.conflicting,
        files=files,
        quarantine=quarantine.rows,
        rejected=quarantine.rejected(),
        notices=tuple(accepted.notices),
        pruned_before=accepted.pruned_before,
    )


def _joined(parts: Iterable[npt.NDArray[Number]], dtype: type[Number]) -> npt.NDArray[Number]:
    return np.concatenate([np.empty(0, dtype=dtype), *(part.ravel() for part in parts)])


def counts_of(loaded: Loaded) -> StoreCounts:
    """Count the stores of a load, and what it says of them."""
    n = len(loaded.store_ids)

    def marked(*stores: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        marks = np.zeros(n, dtype=np.bool_)
        for some in stores:
            marks[np.asarray(some, dtype=np.int64)] = True
        return marks

    unusable = loaded.unusable
    return StoreCounts.count(
        marked(loaded.stores),
        marked(loaded.hours[:, 0], unusable["hours"]),
        marked([store for store, _ in loaded.timezones], unusable["timezones"]),
        ~marked(unusable["hours"], unusable["timezones"]),
    )
