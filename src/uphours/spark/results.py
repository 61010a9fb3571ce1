"""Fleets → the tables that a job returns: reports and timelines, made by the one kernel.

Runs in Spark's Python workers, behind the shuffle.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from uphours import library
from uphours.errors import NothingObservedError
from uphours.ingest.memory_fleet import MemoryFleet
from uphours.kernel.policy import Policy
from uphours.kernel.windows import ELAPSED_US, Window, Windows, window_names, windows
from uphours.load_record import Latest
from uphours.reports.groups import Group, groups, groups_table, together
from uphours.reports.measure import run_request
from uphours.reports.memberships import labels, rows_having, with_columns
from uphours.reports.report import check_titles
from uphours.reports.request import ReportRequest
from uphours.schema import DAY_US, Schedule
from uphours.spark.fleet_partitions import Part, parts
from uphours.spark.rows import Needed, Versions, as_arrow, check_versions, gathered, versions

if TYPE_CHECKING:
    import pyarrow as pa

_FIGURES: Final = (
    "uptime_us long, downtime_us long, unknown_us long, excluded_us long, scheduled_us long, business_us long, "
    "raw_uptime_us long, raw_downtime_us long, raw_unknown_us long, watched_us long, uptime_min_us long, "
    "uptime_max_us long, availability double, coverage double, observations long, outages long, longest_outage_us long"
)
_REPORT: Final = f"window string, hours_known boolean, start_us long, end_us long, {_FIGURES}"
_NOTED: Final = f"store_id string, {_REPORT}"
_NOTE: Final = "note string"
_TIMELINE: Final = "store_id string, start timestamp, end timestamp, status string, confirmed boolean"


class Made(ABC):
    """What is made of a fleet."""

    @property
    @abstractmethod
    def schema(self) -> str:
        """The columns of the table, as Spark writes them."""

    @property
    def attributes(self) -> frozenset[str]:
        """The names of the attributes that are asked for."""
        return frozenset()

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
    """Reports, with the columns that they have in the library.

    ``request``: what is asked for; ``as_of`` comes with the rows.
    """

    request: ReportRequest

    @property
    def schema(self) -> str:
        """The columns of `uphours.report`.

        Raises
        ------
        InputError
            An attribute is called as another column.
        """
        return ", ".join(["store_id string", *_texts(self.request.columns, _REPORT, "store_id"), _REPORT])

    @property
    def attributes(self) -> frozenset[str]:
        """The names of the attributes that are asked for."""
        asked = self.request
        return frozenset([*(name for name, _ in asked.where), *asked.by, *asked.columns])

    def of_fleet(self, fleet: MemoryFleet, as_of: int) -> pl.DataFrame:
        """Return one row per store and window."""
        request = replace(self.request, as_of=as_of)
        asked = self.asked(fleet, as_of)
        return with_columns(run_request(asked, request), asked, request.columns).table()

    def asked(self, fleet: MemoryFleet, as_of: int) -> MemoryFleet:
        """Return the stores that the request is about, which may be none."""
        where = self.request.where
        if not where or not fleet.store_ids:
            return fleet
        labelled = labels(fleet, as_of, [name for name, _ in where])
        return fleet.of([fleet.store_ids[row] for row in rows_having(labelled, where)])

    def start(self, as_of: int) -> int:
        """Return when the earliest window begins, or a little before."""
        laid = laid_in_utc(self.request.windows, as_of)
        if all(start is not None for start, _end in laid.common.values()):
            return int(laid.starts.min())
        # A calendar window begins at each store's own midnight, and its date may be that of the day before.
        return int(laid_in_utc(self.request.windows, as_of - DAY_US).starts.min()) - 2 * DAY_US


@dataclass(frozen=True)
class NotedReports(Reports):
    """Reports of some stores or all, with what else the command has to tell, in a column of JSON.

    The command knows the attributes of stores: it adds the columns of them itself.
    """

    @property
    def schema(self) -> str:
        """The columns of a report, and notes."""
        return f"{_NOTED}, {_NOTE}"

    def of_part(self, part: Part) -> pl.DataFrame:
        """Return a report, and notes on its instant, on tables and on which stores there are."""
        request, fleet = replace(self.request, columns=()), part.fleet
        latest = Latest()
        latest.add(fleet.all_observations.times)
        notes: list[dict[str, Any]] = [
            {"stores": asdict(part.counts), "latest": [latest.latest, latest.before], "as_of": part.as_of}
        ]
        if request.stores is not None:
            known = sorted(set(request.stores).intersection(fleet.store_ids))
            fleet = fleet.of(known)
            notes.append({"known": known})
        made = pl.DataFrame(schema=_EMPTY)
        if part.as_of is not None:
            request = replace(request, as_of=part.as_of)
            if request.where:
                there = labels(fleet, part.as_of, [name for name, _ in request.where])
                fleet = self.asked(fleet, part.as_of)
                values = {name: sorted(set(values)) for name, values in there.items()}
                notes.append({"having": len(fleet.store_ids), "values": values})
            if request.by:
                of_part = groups(fleet, request, request.by)
                notes.append({"groups": [asdict(group) for group in of_part.groups]})
                report = of_part.report
            else:
                report = run_request(fleet, request)
            made = report.table()
        texts = [*part.notes, *map(json.dumps, notes)]
        told = pl.DataFrame({"note": texts}, schema={"note": pl.String})
        return pl.concat([made, told], how="diagonal").select(*_EMPTY, "note")


@dataclass(frozen=True)
class PartGroups(Reports):
    """The groups and the whole of some stores, as JSON: sums with unknown time booked as such."""

    @property
    def schema(self) -> str:
        """A column of notes."""
        return _NOTE

    def of_fleet(self, fleet: MemoryFleet, as_of: int) -> pl.DataFrame:
        """Return one row."""
        request = replace(self.request, as_of=as_of, policy=self.request.policy.changed({"assume": "unknown"}))
        made = groups(self.asked(fleet, as_of), request, request.by)
        note = json.dumps([asdict(group) for group in [*made.groups, made.fleet]])
        return pl.DataFrame({"note": [note]}, schema={"note": pl.String})


@dataclass(frozen=True)
class AddedGroups:
    """Adds up the groups of all parts, in one part."""

    request: ReportRequest

    @property
    def schema(self) -> str:
        """The columns of `uphours.groups`.

        Raises
        ------
        InputError
            An attribute is called as another column.
        """
        rest = f"window string, stores long, {_FIGURES}"
        return ", ".join([*_texts(self.request.by, rest), rest])

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield one row per group and window; those of the whole fleet come last."""
        of_parts = [groups_of(json.loads(note)) for rows in gathered(batches) for note in rows["note"]]
        if of_parts:
            added = together(of_parts, self.request.policy)
            yield from as_arrow(groups_table(added, self.request.by, window_names(self.request.windows)))


def groups_of(values: Sequence[dict[str, Any]]) -> list[Group]:
    """Return groups that were written as JSON."""
    return [
        Group(None if one["values"] is None else tuple(one["values"]), one["stores"], one["windows"]) for one in values
    ]


def _texts(names: Sequence[str], rest: str, *others: str) -> list[str]:
    """Return columns of text, beside others."""
    check_titles([*others, *names, *(column.split()[0] for column in rest.split(", "))])
    return ["`" + name.replace("`", "``") + "` string" for name in names]


@dataclass(frozen=True)
class Timelines(Made):
    """Timelines, with the columns that they have in the library."""

    first: int | None
    policy: Policy

    @property
    def schema(self) -> str:
        """The columns of `uphours.timeline`."""
        return _TIMELINE

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
_EMPTY: Final = {name: _TYPES[kind] for name, kind in (column.split() for column in _NOTED.split(", "))}
