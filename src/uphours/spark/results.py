"""Fleets → the tables that a job returns: reports and timelines, made by the one kernel.

Runs in Spark's Python workers, behind the shuffle.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import polars as pl

from uphours import library
from uphours.errors import NothingObservedError
from uphours.ingest.memory_fleet import MemoryFleet
from uphours.kernel.policy import Policy
from uphours.kernel.windows import ELAPSED_US, Window, Windows, windows
from uphours.load_record import Latest
from uphours.reports.measure import run_report
from uphours.schema import DAY_US, Schedule
from uphours.spark.fleet_partitions import Part, parts
from uphours.spark.rows import Needed, Versions, as_arrow, check_versions, versions

if TYPE_CHECKING:
    import pyarrow as pa

_REPORT: Final = (
    "store_id string, window string, hours_known boolean, start_us long, end_us long, uptime_us long, "
    "downtime_us long, unknown_us long, excluded_us long, scheduled_us long, business_us long, raw_uptime_us long, "
    "raw_downtime_us long, raw_unknown_us long, watched_us long, uptime_min_us long, uptime_max_us long, "
    "availability double, coverage double, observations long, outages long, longest_outage_us long"
)
_TIMELINE: Final = "store_id string, start timestamp, end timestamp, status string, confirmed boolean"


class Made(ABC):
    """What is made of a fleet."""

    schema: ClassVar[str]

    @abstractmethod
    def of_fleet(self, fleet: MemoryFleet, as_of: int) -> pl.DataFrame:
        """Return the table of some stores."""

    @abstractmethod
    def start(self, as_of: int) -> int:
        """Return from when on each observation can be needed, at any store."""

    def needs(self, as_of: int | None) -> Needed | None:
        """Return which observations can be needed; None where the instant is not known yet."""
        return None if as_of is None else Needed(min(self.start(as_of), as_of), as_of)

    def of_part(self, part: Part) -> pl.DataFrame:
        """Return the table of some stores of a bucket.

        Raises
        ------
        InputError
            Nothing was ever observed, so there is no instant to speak for.
        """
        if part.as_of is None:
            raise NothingObservedError
        return self.of_fleet(part.fleet, part.as_of)

    def of_buckets(self, as_of: int | None, pruned_before: int | None = None) -> OfBuckets:
        """Return what Spark calls with the rows of each bucket.

        ``pruned_before``: from when on all observations are there; None: none is missing.
        """
        return OfBuckets(self, as_of, pruned_before, versions())


@dataclass(frozen=True)
class OfBuckets:
    """Makes a table of each bucket's rows."""

    made: Made
    as_of: int | None
    pruned_before: int | None
    made_with: Versions

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the table, some thousand stores at a time."""
        check_versions(self.made_with)
        for part in parts(batches, self.as_of, self.made.needs):
            whole = replace(part, fleet=replace(part.fleet, pruned_before=self.pruned_before))
            yield from as_arrow(self.made.of_part(whole))


@dataclass(frozen=True)
class Reports(Made):
    """Reports, with the columns that they have in the library."""

    chosen: Sequence[str | Window]
    policy: Policy
    all_stores: bool = False
    raw: bool = False
    schema: ClassVar = _REPORT

    def of_fleet(self, fleet: MemoryFleet, as_of: int) -> pl.DataFrame:
        """Return one row per store and window."""
        return run_report(
            fleet, as_of=as_of, chosen=self.chosen, policy=self.policy, all_stores=self.all_stores, raw=self.raw
        ).table()

    def start(self, as_of: int) -> int:
        """Return when the earliest window begins, or a little before."""
        laid = laid_in_utc(self.chosen, as_of)
        if all(start is not None for start, _end in laid.common.values()):
            return int(laid.starts.min())
        # A calendar window begins at each store's own midnight, and its date may be that of the day before.
        return int(laid_in_utc(self.chosen, as_of - DAY_US).starts.min()) - 2 * DAY_US


@dataclass(frozen=True)
class NotedReports(Reports):
    """Reports of some stores or all, with what else the command has to tell, in a column of JSON."""

    stores: frozenset[str] | None = None
    schema: ClassVar = f"{_REPORT}, as_of_us long, note string"

    def of_part(self, part: Part) -> pl.DataFrame:
        """Return a report, the instant it speaks for, and notes on tables and on which stores there are."""
        fleet = part.fleet
        latest = Latest()
        latest.add(fleet.all_observations.times)
        notes = [*part.notes, json.dumps({"stores": asdict(part.counts), "latest": [latest.latest, latest.before]})]
        if self.stores is not None:
            known = sorted(self.stores.intersection(fleet.store_ids))
            fleet, notes = fleet.of(known), [*notes, json.dumps({"known": known})]
        told = pl.DataFrame({"note": notes}, schema={"note": pl.String})
        if part.as_of is None:
            made = pl.DataFrame(schema=_EMPTY)
        else:
            made = self.of_fleet(fleet, part.as_of).with_columns(as_of_us=pl.lit(part.as_of))
        return pl.concat([made, told], how="diagonal").select(*_EMPTY, "note")


@dataclass(frozen=True)
class Timelines(Made):
    """Timelines, with the columns that they have in the library."""

    first: int | None
    policy: Policy
    schema: ClassVar = _TIMELINE

    def of_fleet(self, fleet: MemoryFleet, as_of: int) -> pl.DataFrame:
        """Return one row per span."""
        whole = library.Validated(fleet, pl.DataFrame())  # its bad rows were dealt with before the shuffle
        return library.timeline(whole, start=self.start(as_of), as_of=as_of, policy=self.policy)

    def start(self, as_of: int) -> int:
        """Return when the timeline begins."""
        return as_of - ELAPSED_US["last_week"] if self.first is None else self.first


def laid_in_utc(chosen: Sequence[str | Window], as_of: int) -> Windows:
    """Return windows as they are laid for one store whose clock shows UTC."""
    return windows(chosen, as_of, _IN_UTC)


_NONE: Final = np.empty(0, dtype=np.int64)
_IN_UTC: Final = Schedule(_NONE.astype(np.int32), _NONE, _NONE, _NONE, np.zeros(1, dtype=np.int32), ("Etc/UTC",))
_TYPES: Final = {"string": pl.String, "boolean": pl.Boolean, "long": pl.Int64, "double": pl.Float64}
_EMPTY: Final = {
    name: _TYPES[kind] for name, kind in (column.split() for column in f"{_REPORT}, as_of_us long".split(", "))
}
