"""Files → a load in a store, or a fleet in memory. Good rows are kept, the others set aside, none is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from storepulse.errors import InputError, NotFoundError
from storepulse.ingest.kinds import kind_of
from storepulse.ingest.places import named
from storepulse.ingest.reading import Batch, batches, table_batch, values_batch
from storepulse.ingest.sources import (
    STANDARD_INPUT,
    UNLIMITED,
    Kind,
    Limits,
    Progress,
    Source,
    detected,
    opened,
)
from storepulse.ingest.validation import Accepted
from storepulse.kernel.observations import distinct
from storepulse.schema import DEFAULT_TIMEZONE, Observations, WeeklyHours
from storepulse.store import Store
from storepulse.store.loads import Load, Loaded, LoadedFile, Quarantined

Number = TypeVar("Number", bound=np.generic)
T = TypeVar("T")

__all__ = [
    "Kind",
    "Limits",
    "MemoryFleet",
    "Progress",
    "Source",
    "ahead",
    "detected",
    "find",
    "kind_of",
    "load",
    "memory_fleet",
    "read",
    "read_rows",
    "read_sources",
    "read_tables",
    "weekly_hours",
]

_TABLE_NAMES: Final[Mapping[Kind, str]] = {
    "polls": "observations",
    "hours": "business_hours",
    "timezones": "timezones",
}


def read(
    names: Mapping[Kind, Sequence[str]],
    *,
    now: int | None,
    version: str,
    progress: Progress | None = None,
    limits: Limits = UNLIMITED,
) -> Loaded:
    """Read files of each kind, named by path, glob, ``-`` for standard input, or a place in an object store.

    Parameters
    ----------
    names
        What to read, by kind: ``polls``, ``hours``, ``timezones``.
    now
        UTC microseconds; polls over 24 h later are quarantined. None: none is.
    version
        The version of the program, for the record.
    progress
        Told how far the reading is.
    limits
        How much each file may hold.

    Raises
    ------
    InputError
        Nothing is named, a file cannot be read, lacks a column, or holds too much. Bad rows raise nothing.
    """
    found = find(names, now=now or 0)
    return read_sources(found, now=now, version=version, progress=progress, limits=limits)


def find(names: Mapping[Kind, Sequence[str]], *, now: int) -> list[Source]:
    """Find what `read` reads.

    Raises
    ------
    InputError
        Nothing is named, or what is named is not there.
    """
    found = [source for kind, some in names.items() for source in named(kind, some, now=now)]
    if not found:
        raise InputError("nothing to load: name files with --polls, --hours or --timezones")
    if sum(source.name == STANDARD_INPUT for source in found) > 1:
        raise InputError("standard input (-) is named twice; it can be read once")
    return found


def read_sources(
    found: Sequence[Source],
    *,
    now: int | None,
    version: str,
    progress: Progress | None = None,
    limits: Limits = UNLIMITED,
) -> Loaded:
    """Read sources, wherever their bytes are; otherwise as `read`.

    Raises
    ------
    InputError
        A source cannot be read, lacks a column, or holds too much. Bad rows raise nothing.
    """
    accepted = Accepted()
    files: list[LoadedFile] = []
    quarantine: list[Quarantined] = []
    for position, source in enumerate(found):
        files.append(read_source(source, position, accepted, quarantine, now, progress, limits))
    return loaded(accepted, files, quarantine, started_at=now or 0, version=version)


def read_rows(rows: Sequence[object], *, name: str, now: int | None, version: str) -> Loaded:
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
    quarantine: list[Quarantined] = []
    good = add_batch("polls", values_batch("polls", rows), 0, accepted, quarantine, now)
    file = LoadedFile("polls", name, "", 0, len(rows), good, len(rows) - good)
    return loaded(accepted, [file], quarantine, started_at=now or 0, version=version)


def read_tables(tables: Mapping[Kind, pl.DataFrame], *, version: str) -> Loaded:
    """Read tables that are in memory already; no poll in them is from the future.

    Raises
    ------
    InputError
        A table lacks a column, or its store ids are floating-point numbers. Bad rows raise nothing.
    """
    accepted = Accepted()
    files: list[LoadedFile] = []
    quarantine: list[Quarantined] = []
    for position, (kind, table) in enumerate(tables.items()):
        name = _TABLE_NAMES[kind]
        good = add_batch(kind, table_batch(kind, table, name), position, accepted, quarantine, None)
        files.append(LoadedFile(kind, name, "", 0, table.height, good, table.height - good))
    return loaded(accepted, files, quarantine, started_at=0, version=version)


def load(
    store: Store,
    names: Mapping[Kind, Sequence[str]],
    *,
    now: int,
    version: str,
    progress: Progress | None = None,
) -> Load:
    """Read files and write what they hold into a store: all of it or, when anything fails, nothing."""
    return store.write(read(names, now=now, version=version, progress=progress))


def read_source(
    source: Source,
    position: int,
    accepted: Accepted,
    quarantine: list[Quarantined],
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
    good, before, header = 0, len(quarantine), None
    with opened(source, progress, limits) as (stream, reader):
        for batch in ahead(batches(source, reader, limits)):
            good += add_batch(source.kind, batch, position, accepted, quarantine, now)
            header = batch.header
        sha256 = stream.sha256()
    bad = len(quarantine) - before
    return LoadedFile(source.kind, source.name, sha256, stream.bytes_read, good + bad, good, bad, header)


def ahead(items: Iterator[T]) -> Iterator[T]:
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
    quarantine: list[Quarantined],
    now: int | None,
) -> int:
    """Put each row of a batch into ``accepted`` or ``quarantine``; return how many were accepted."""
    good, bad = accepted.add(kind, batch, now)
    if not bad.height:
        return good
    lines = bad["line"].to_list()
    quarantine += [
        Quarantined(position, line, raw, reason)
        for line, raw, reason in zip(lines, batch.raw(lines), bad["reason"].to_list(), strict=True)
    ]
    return good


def loaded(
    accepted: Accepted,
    files: Sequence[LoadedFile],
    quarantine: Sequence[Quarantined],
    *,
    started_at: int,
    version: str,
) -> Loaded:
    """Sum up what was accepted: the stores with a good row, each row of hours once, and one zone a store."""
    stores = _joined(accepted.stores, np.int32)
    hours, zones = hours_of(accepted), zones_of(accepted)
    rows_of_hours, named_zones = sum(map(len, accepted.hours)), len(set(accepted.timezones))

    # A store that only bad rows speak of is none.
    known = np.zeros(len(accepted.store_ids.texts), dtype=np.bool_)
    for some in (stores, hours[:, 0], np.array(list(zones), dtype=np.int64)):
        known[some] = True
    numbers = (np.cumsum(known) - 1).astype(np.int32)
    hours[:, 0] = numbers[hours[:, 0]]
    return Loaded(
        started_at=started_at,
        version=version,
        store_ids=list(compress(accepted.store_ids.texts, known)),
        stores=numbers[stores],
        times=_joined(accepted.times, np.int64),
        statuses=_joined(accepted.statuses, np.uint8),
        hours=hours,
        timezones={int(numbers[store]): name for store, name in zones.items()},
        repeated=rows_of_hours - len(hours) + len(accepted.timezones) - named_zones,
        conflicting=named_zones - len(zones),
        files=files,
        quarantine=quarantine,
    )


def hours_of(accepted: Accepted) -> npt.NDArray[np.int64]:
    """Return the accepted rows of hours, each once, in order of store."""
    rows = _joined(accepted.hours, np.int64).reshape(-1, 4)
    return np.unique(rows, axis=0) if len(rows) else rows


def zones_of(accepted: Accepted) -> dict[int, str]:
    """Return one zone a store: of two the first by name, in whatever order they came."""
    zones: dict[int, str] = {}
    for store, name in sorted(set(accepted.timezones)):
        zones.setdefault(store, name)
    return zones


def _joined(parts: Iterable[npt.NDArray[Number]], dtype: type[Number]) -> npt.NDArray[Number]:
    return np.concatenate([np.empty(0, dtype=dtype), *(part.ravel() for part in parts)])


@dataclass(frozen=True)
class MemoryFleet:
    """A fleet that is held in memory (see `storepulse.schema.Fleet`).

    ``latest`` is the latest observation at any store, also when the fleet is narrowed down to some.
    """

    store_ids: Sequence[str]
    hours: WeeklyHours
    all_observations: Observations
    latest: int | None

    def latest_observation(self) -> int | None:
        """Return when anything was last observed."""
        return self.latest

    def of(self, store_ids: Sequence[str] | None) -> MemoryFleet:
        """Return the named stores alone; all of them for None.

        Raises
        ------
        NotFoundError
            There is no such store.
        """
        if store_ids is None:
            return self
        places = {store_id: place for place, store_id in enumerate(self.store_ids)}
        if missing := set(store_ids) - places.keys():
            raise NotFoundError("store", min(missing), "it is in none of the tables")
        chosen = np.array(sorted(places[store_id] for store_id in set(store_ids)), dtype=np.int64)
        everything, hours = self.all_observations, self.hours
        spans = [slice(*everything.offsets[store : store + 2]) for store in chosen]
        rows = np.isin(hours.stores, chosen)
        return MemoryFleet(
            [self.store_ids[store] for store in chosen],
            WeeklyHours(
                np.searchsorted(chosen, hours.stores[rows]).astype(np.int32), hours.weekdays[rows],
                hours.opens_local[rows], hours.closes_local[rows], hours.zones[chosen], hours.zone_names,
                None if hours.zone_is_default is None else hours.zone_is_default[chosen],
            ),
            Observations(
                np.cumsum([0, *(span.stop - span.start for span in spans)]),
                _joined((everything.times[span] for span in spans), np.int64),
                _joined((everything.statuses[span] for span in spans), np.uint8),
            ),
            self.latest,
        )  # fmt: skip

    def observations(self, _start: int, _end: int, as_of: int) -> Observations:
        """Return all observations up to ``as_of``."""
        everything = self.all_observations
        kept = everything.times <= as_of
        before = np.concatenate([[0], np.cumsum(kept)])
        return Observations(before[everything.offsets], everything.times[kept], everything.statuses[kept])


def memory_fleet(loaded: Loaded) -> MemoryFleet:
    """Hold a load in memory instead of writing it into a store."""
    n = len(loaded.store_ids)
    hours = weekly_hours(loaded.hours, loaded.timezones, n)
    polls = distinct(loaded.stores, loaded.times, loaded.statuses, n)
    latest = int(loaded.times.max()) if len(loaded.times) else None
    return MemoryFleet(loaded.store_ids, hours, polls.observations, latest)


def weekly_hours(rows: npt.NDArray[np.int64], timezones: Mapping[int, str], n: int) -> WeeklyHours:
    """Return the hours of ``n`` stores, from rows and zones as `Loaded` has them."""
    names = sorted({DEFAULT_TIMEZONE, *timezones.values()})
    codes = {name: code for code, name in enumerate(names)}
    zones = np.full(n, codes[DEFAULT_TIMEZONE], dtype=np.int32)
    given = np.array(list(timezones), dtype=np.int64)
    zones[given] = [codes[name] for name in timezones.values()]
    is_default = np.ones(n, dtype=np.bool_)
    is_default[given] = False
    return WeeklyHours(rows[:, 0].astype(np.int32), rows[:, 1], rows[:, 2], rows[:, 3], zones, tuple(names), is_default)
