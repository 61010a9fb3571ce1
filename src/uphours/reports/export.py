"""A store → Parquet files for other programs: observations by date of UTC, the calendar, attributes, the ledger.

The files are what `uphours report` reads, and give the same report as the store.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from uphours.database.database import Database, Snapshot
from uphours.errors import InputError
from uphours.ingest.readers.parquet_footer import PRUNED_BEFORE
from uphours.ingest.sources.local import umask
from uphours.ingest.sources.resolve import described, files_of, is_in_bucket, put
from uphours.kernel.local_time import hours_text
from uphours.reports.targets import definition
from uphours.schema import (
    DAY_US,
    EVERY_STORE,
    EVERY_STORE_ID,
    OBSERVATION_STATUSES,
    SINCE_EVER,
    UNKNOWN_TIMEZONE,
    Schedule,
    SpecialHours,
    Target,
    instant_iso,
)

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is exported, the stores that are done, and the stores in total."""

#: What there can be exported to.
FORMATS: Final = ("parquet",)

#: Observations that are held before they are written; some 40 bytes each.
_ROWS: Final = 16_000_000
_GROUP_ROWS: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES: Final = pl.Series(OBSERVATION_STATUSES)
_NO_TARGET: Final = Target("", SINCE_EVER, "", None, "")
#: Files that are there even if they have no rows.
_ALWAYS: Final = ("business_hours", "timezones")


@dataclass(frozen=True)
class Exported:
    """What was exported: how much, and into how many files."""

    stores: int
    observations: int
    files: int


def export(
    database: Database, target: str, *, now: int, progress: Progress | None = None, rows_at_once: int = _ROWS
) -> Exported:
    """Write a database, as it is at this moment, into a new folder, or below a prefix of an object store.

    ``polls/date=YYYY-MM-DD/part-NNNNN.parquet`` with ``store_id, timestamp_utc, status``; ``business_hours.parquet``
    and ``timezones.parquet``; where there is anything of them, ``special_hours.parquet``, ``stores.parquet``
    (attributes), ``adjustments.parquet`` (the whole ledger, its entries called by their numbers) and
    ``targets.parquet``. A folder is there
    in the end, whole, or not at all. In an object store, the empty object ``_SUCCESS`` comes last. Each file says from
    when on the database has all observations, if some were pruned; all that read or load it refuse the windows that
    the database refuses.

    Raises
    ------
    InputError
        There is something at the target already, or it cannot be written.
    """
    with _target(target, now) as write:
        return _exported(database, write, progress, rows_at_once)


_Put: TypeAlias = Callable[[str, bytes], None]


def _exported(database: Database, put_file: _Put, progress: Progress | None, rows_at_once: int) -> Exported:
    with database.snapshot() as fleet:
        ids = pl.Series("store_id", fleet.store_ids, dtype=pl.String)
        before = fleet.pruned_before()
        facts = {} if before is None else {PRUNED_BEFORE: instant_iso(before)}

        def write(name: str, table: pl.DataFrame) -> None:
            put_file(name, _written(table, facts))

        observations = files = 0
        for part, (stores, times, statuses) in enumerate(_parts(fleet, progress, rows_at_once)):
            for day, chosen in _by_date(times):
                date = (_EPOCH + timedelta(days=day)).date()
                rows = _polls(ids.gather(stores[chosen]), times[chosen], statuses[chosen])
                write(f"polls/date={date}/part-{part:05}.parquet", rows)
                files += 1
            observations += len(times)
        named = {
            "business_hours": _hours(ids, fleet.schedule),
            "timezones": _zones(ids, fleet.schedule),
            "special_hours": _special(ids, fleet.schedule.special),
            "stores": _attributes(ids, fleet.attributes()),
            "adjustments": _ledger(ids, fleet),
            "targets": _targets(fleet.targets()),
        }
        for name, table in named.items():
            if table.height or name in _ALWAYS:
                write(f"{name}.parquet", table)
                files += 1
    return Exported(len(ids), observations, files)


def _parts(fleet: Snapshot, progress: Progress | None, rows_at_once: int) -> Iterator[tuple[Any, Any, Any]]:
    """Yield stores by position, times and statuses of some observations, in order of store and time."""
    held: list[tuple[Any, Any, Any]] = []
    count, total = 0, len(fleet.store_ids)
    for first, some in fleet.histories():
        stores = np.repeat(np.arange(len(some.offsets) - 1) + first, np.diff(some.offsets)).astype(np.int32)
        held.append((stores, some.times, some.statuses))
        count += len(stores)
        if count >= rows_at_once:
            yield _joined(held)
            held, count = [], 0
        if progress is not None:
            progress("stores", first + len(some.offsets) - 1, total)
    if count:
        yield _joined(held)


def _joined(held: list[tuple[Any, Any, Any]]) -> tuple[Any, Any, Any]:
    stores, times, statuses = (np.concatenate(column) for column in zip(*held, strict=True))
    return stores, times, statuses


def _by_date(times: Any) -> Iterator[tuple[int, Any]]:
    """Yield each date, in days since 1970, and the positions of its instants."""
    days = (times // DAY_US).astype(np.int32)
    order = np.argsort(days, kind="stable")
    found, firsts = np.unique(days[order], return_index=True)
    yield from zip(found.tolist(), np.split(order, firsts[1:]), strict=True)


def _polls(ids: pl.Series, times: Any, statuses: Any) -> pl.DataFrame:
    at = pl.Series("timestamp_utc", times).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame([ids, at, _STATUSES.gather(statuses.astype(np.uint32)).alias("status")])


def _hours(ids: pl.Series, schedule: Schedule) -> pl.DataFrame:
    since = np.full(len(schedule.stores), SINCE_EVER) if schedule.since is None else schedule.since
    return pl.DataFrame(
        [
            ids.gather(schedule.stores.astype(np.uint32)),
            pl.Series("day", schedule.weekdays, dtype=pl.Int64),
            *_opening(schedule.opens_local, schedule.closes_local),
            _dates("valid_from", since.tolist()),
        ]
    )


def _opening(opens: Any, closes: Any) -> tuple[pl.Series, pl.Series]:
    texts = list(map(hours_text, opens.tolist(), closes.tolist()))
    starts, ends = zip(*texts, strict=True) if texts else ((), ())
    start_texts = pl.Series("start_time_local", starts, dtype=pl.String)
    return start_texts, pl.Series("end_time_local", ends, dtype=pl.String)


def _dates(name: str, days: Iterable[int]) -> pl.Series:
    """Return dates as text, and null for none."""
    texts = [None if day == SINCE_EVER else str((_EPOCH + timedelta(days=day)).date()) for day in days]
    return pl.Series(name, texts, dtype=pl.String)


def _zones(ids: pl.Series, schedule: Schedule) -> pl.DataFrame:
    """Return a row for each store and date, so that also a store without polls and hours is known.

    A store whose hours are unknown, whether for its hours or its zone, is in a zone that is unknown: so it is read as
    one whose hours are unknown again.
    """
    dated, known = schedule.dated_zones, schedule.known()
    is_dated = np.zeros(len(ids), dtype=np.bool_)
    stores = np.arange(len(ids), dtype=np.int32)
    zones, since = schedule.zones, np.full(len(ids), SINCE_EVER)
    if dated is not None:
        is_dated[dated.stores] = known[dated.stores]
        chosen = is_dated[dated.stores]
        stores = np.concatenate([stores[~is_dated], dated.stores[chosen]])
        zones = np.concatenate([zones[~is_dated], dated.zones[chosen]])
        since = np.concatenate([since[~is_dated], dated.since[chosen]])
    names = pl.Series("timezone_str", schedule.zone_names, dtype=pl.String).gather(zones.astype(np.uint32))
    names = names.set(pl.Series(~known[stores]), UNKNOWN_TIMEZONE)
    return pl.DataFrame([ids.gather(stores.astype(np.uint32)), names, _dates("valid_from", since.tolist())])


def _special(ids: pl.Series, special: SpecialHours | None) -> pl.DataFrame:
    if special is None:
        return pl.DataFrame()
    texts = [EVERY_STORE_ID if store == EVERY_STORE else ids[store] for store in special.stores.tolist()]
    return pl.DataFrame(
        [
            pl.Series("store_id", texts, dtype=pl.String),
            _dates("date", special.dates.tolist()),
            *_opening(special.opens_local, special.closes_local),
            pl.Series("name", [name or None for name in special.names or ()], dtype=pl.String),
        ]
    )


def _attributes(ids: pl.Series, values: Sequence[tuple[int, str, int, str]]) -> pl.DataFrame:
    """Return a row for each store and date, with a column for each attribute: the values in force from that date on."""
    names = sorted({name for _, name, _, _ in values})
    rows: dict[tuple[int, int], dict[str, str]] = {}
    for store, name, since, value in values:
        rows.setdefault((store, since), {})[name] = value
    keys = sorted(rows)
    for before, after in pairwise(keys):
        if before[0] == after[0]:
            rows[after] = rows[before] | rows[after]
    columns = [pl.Series(name, [rows[key].get(name) or None for key in keys], dtype=pl.String) for name in names]
    stores = ids.gather([store for store, _ in keys]) if keys else ids.head(0)
    return pl.DataFrame([stores, _dates("valid_from", (since for _, since in keys)), *columns])


def _ledger(ids: pl.Series, fleet: Snapshot) -> pl.DataFrame:
    """Return all entries in order, so that they get the same numbers in a database that has none.

    A withdrawal stands beside a store of the entry that it withdraws in the end.
    """
    entries = fleet.entries()
    stores, numbers, starts, ends = fleet.intervals()
    said = {entry.entry: entry for entry in entries}
    some_store = dict(zip(numbers[::-1].tolist(), stores[::-1].tolist(), strict=True))
    rows = list(zip(numbers.tolist(), stores.tolist(), starts.tolist(), ends.tolist(), strict=True))
    for entry in entries:
        if entry.withdraws is not None:
            some_store[entry.entry] = some_store[entry.withdraws]
            rows.append((entry.entry, some_store[entry.entry], 0, 0))
    rows.sort()
    of_row = [said[number] for number, *_ in rows]

    def texts(name: str, values: Iterable[str | None]) -> pl.Series:
        return pl.Series(name, list(values), dtype=pl.String)

    def instants(name: str, values: Iterable[int]) -> pl.Series:
        pairs = zip(of_row, values, strict=True)
        return texts(name, (instant_iso(us) if entry.withdraws is None else None for entry, us in pairs))

    return pl.DataFrame(
        [
            texts("store_id", (ids[store] for _, store, _, _ in rows)),
            instants("start_utc", (start for _, _, start, _ in rows)),
            instants("end_utc", (end for _, _, _, end in rows)),
            texts("counts_as", (entry.counts_as for entry in of_row)),
            texts("reason", (entry.reason for entry in of_row)),
            texts("note", (entry.note or None for entry in of_row)),
            texts("entry", (str(entry.entry) for entry in of_row)),
            texts("withdraws", (None if entry.withdraws is None else str(entry.withdraws) for entry in of_row)),
        ]
    )


def _targets(targets: Sequence[Target]) -> pl.DataFrame:
    rows = [definition(target) for target in targets]
    kinds = {name: pl.Float64 if name == "target" else pl.String for name in definition(_NO_TARGET)}
    return pl.DataFrame(rows, schema=kinds)


def _written(table: pl.DataFrame, facts: dict[str, str]) -> bytes:
    file = io.BytesIO()
    table.write_parquet(file, compression="zstd", compression_level=1, row_group_size=_GROUP_ROWS, metadata=facts)
    return file.getvalue()


@contextmanager
def _target(target: str, now: int) -> Iterator[_Put]:
    if is_in_bucket(target):
        base = target.rstrip("/")
        if files_of(f"{base}/", now=now):
            raise _taken(described(target))
        yield lambda name, content: put(f"{base}/{name}", [content])
        put(f"{base}/_SUCCESS", [b""])
        return
    path = Path(target).resolve()  # of a link, what it leads to
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise _taken(target)
    try:
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            yield lambda name, content: _write_file(folder / name, content)
            if path.exists():
                path.rmdir()  # it is empty
            folder.chmod(0o777 & ~umask())
            folder.replace(path)
        except BaseException:
            shutil.rmtree(folder)
            raise
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; name a new folder in one that exists") from error


def _taken(target: str) -> InputError:
    return InputError(f"there is something at {target} already; name a folder that is new or empty")


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True, parents=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
