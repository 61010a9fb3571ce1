"""A store → Parquet files for other programs: observations by date of UTC, business hours, time zones.

The files are what `storepulse report` reads, and give the same report as the store.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import numpy as np
import polars as pl

from storepulse.errors import InputError
from storepulse.ingest.places import described, files_of, is_in_bucket, put
from storepulse.kernel.hours import local_time_text
from storepulse.schema import DAY_US, WeeklyHours
from storepulse.store import Snapshot, Store

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is exported, the stores that are done, and the stores in total."""

#: What there can be exported to.
FORMATS: Final = ("parquet",)

#: So many observations are held before they are written; some 40 bytes each.
_ROWS: Final = 16_000_000
_GROUP_ROWS: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_STATUSES: Final = pl.Series(["inactive", "active"])


@dataclass(frozen=True)
class Exported:
    """What was exported: how much, and into how many files."""

    stores: int
    observations: int
    files: int


def export(
    store: Store, target: str, *, now: int, progress: Progress | None = None, rows_at_once: int = _ROWS
) -> Exported:
    """Write a store, as it is at this moment, into a new folder, or below a prefix of an object store.

    ``date=YYYY-MM-DD/part-NNNNN.parquet`` with ``store_id, timestamp_utc, status``; ``business_hours.parquet``
    and ``timezones.parquet``. A folder is there in the end, whole, or not at all. In an object store, the empty object
    ``_SUCCESS`` comes last.

    Raises
    ------
    InputError
        There is something at the target already, or it cannot be written.
    """
    with _target(target, now) as write:
        return _exported(store, write, progress, rows_at_once)


_Write: TypeAlias = Callable[[str, pl.DataFrame], None]


def _exported(store: Store, write: _Write, progress: Progress | None, rows_at_once: int) -> Exported:
    with store.snapshot() as fleet:
        ids = pl.Series("store_id", fleet.store_ids, dtype=pl.String)
        observations = files = 0
        for part, (stores, times, statuses) in enumerate(_parts(fleet, progress, rows_at_once)):
            for day, chosen in _by_date(times):
                date = (_EPOCH + timedelta(days=day)).date()
                rows = _polls(ids.gather(stores[chosen]), times[chosen], statuses[chosen])
                write(f"date={date}/part-{part:05}.parquet", rows)
                files += 1
            observations += len(times)
        write("business_hours.parquet", _hours(ids, fleet.hours))
        write("timezones.parquet", _zones(ids, fleet.hours))
    return Exported(len(ids), observations, files + 2)


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


def _hours(ids: pl.Series, hours: WeeklyHours) -> pl.DataFrame:
    return pl.DataFrame(
        [
            ids.gather(hours.stores.astype(np.uint32)),
            pl.Series("day", hours.weekdays, dtype=pl.Int64),
            pl.Series("start_time_local", list(map(local_time_text, hours.opens_local.tolist())), dtype=pl.String),
            pl.Series("end_time_local", list(map(local_time_text, hours.closes_local.tolist())), dtype=pl.String),
        ]
    )


def _zones(ids: pl.Series, hours: WeeklyHours) -> pl.DataFrame:
    """Return a row for each store, so that also one without polls and hours is known."""
    names = pl.Series("timezone_str", hours.zone_names, dtype=pl.String)
    return pl.DataFrame([ids, names.gather(hours.zones.astype(np.uint32))])


def _written(table: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    table.write_parquet(file, compression="zstd", compression_level=1, row_group_size=_GROUP_ROWS)
    return file.getvalue()


@contextmanager
def _target(target: str, now: int) -> Iterator[_Write]:
    if is_in_bucket(target):
        base = target.rstrip("/")
        if files_of(f"{base}/", now=now):
            raise _taken(described(target))
        yield lambda name, table: put(f"{base}/{name}", [_written(table)])
        put(f"{base}/_SUCCESS", [b""])
        return
    path = Path(target)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise _taken(target)
    try:
        folder = Path(tempfile.mkdtemp(dir=path.absolute().parent, prefix=f".{path.name}."))
        try:
            yield lambda name, table: _write_file(folder / name, _written(table))
            if path.exists():
                path.rmdir()  # it is empty
            folder.chmod(0o777 & ~_umask())
            folder.replace(path)
        except BaseException:
            shutil.rmtree(folder)
            raise
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}; name a new folder in one that exists") from error


def _taken(target: str) -> InputError:
    return InputError(f"there is something at {target} already; name a folder that is new or empty")


def _write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
