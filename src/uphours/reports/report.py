"""A report: totals per store and window, what they were made with, and the figures that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.errors import InputError
from uphours.kernel.availability import Availability
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Windows
from uphours.reports.ahead import Ahead
from uphours.schema import instant_iso

#: The stores whose figures are written at a time.
STORES_IN_PART: Final = 4_096

Figures: TypeAlias = dict[str, npt.NDArray[Any]]
_Time = TypeVar("_Time", int, npt.NDArray[np.int64])


@dataclass(frozen=True)
class Totals(Availability):
    """All that is counted per store and window: int64 arrays of shape (stores, windows)."""

    outages: npt.NDArray[np.int64]
    longest_outage_us: npt.NDArray[np.int64]

    def of(self, stores: npt.NDArray[np.int64] | slice) -> Totals:
        """Return those of some stores, given by position."""
        return Totals(*(values[stores] for values in vars(self).values()))


@dataclass(frozen=True)
class Report:
    """Totals per store and window, with what they were made from; stores in order of id as text.

    ``version`` and ``tzdata`` are the versions of the program and of the zone rules. ``raw``: the ledger was ignored.
    ``loads_seen`` and ``entries_seen`` are the numbers of the last load and of the last entry of the ledger that the
    database held, None for a report that was not made from a database. They are for the record alone, and in no output
    of figures, so the same fleet from files gives the same bytes; a workbook alone names the entry on the sheet About.
    ``ahead``: by how much ``as_of`` is ahead of the
    clock, where it is the latest observation and that is ahead; the only thing that depends on the clock.
    ``hours_known``: bool per store, false where rows of hours or zones were given and none could be used: such a store
    has no sessions, so nothing of it counts. ``attributes``: values that stand beside the ids, by name, of each store;
    None where it has none.
    """

    as_of: int
    policy: Policy
    version: str
    tzdata: str
    store_ids: Sequence[str]
    windows: Windows
    totals: Totals
    hours_known: npt.NDArray[np.bool_]
    raw: bool = False
    loads_seen: int | None = None
    entries_seen: int | None = None
    ahead: Ahead | None = None
    attributes: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Return what the report was made with, as plain values."""
        return {
            "as_of": instant_iso(self.as_of),
            "as_of_us": self.as_of,
            "policy": self.policy.to_dict(),
            **({"raw": True} if self.raw else {}),
            "version": self.version,
            "tzdata": self.tzdata,
            **({} if self.ahead is None else {"ahead": self.ahead.facts()}),
        }

    def figures(self) -> Figures:
        """Return every figure as an array of shape (stores, windows), in the order of the columns of `table`.

        Unknown time is booked as the policy's ``assume`` says. Coverage is the watched share of business time.
        """
        totals = self.totals
        up, down, unknown = booked(self.policy, totals.uptime_us, totals.downtime_us, totals.unknown_us)
        raw = booked(self.policy, totals.raw_uptime_us, totals.raw_downtime_us, totals.raw_unknown_us)
        return {
            "uptime_us": up,
            "downtime_us": down,
            "unknown_us": unknown,
            "excluded_us": totals.excluded_us,
            "scheduled_us": totals.scheduled_us,
            "business_us": totals.business_us,
            **dict(zip(("raw_uptime_us", "raw_downtime_us", "raw_unknown_us"), raw, strict=True)),
            "watched_us": totals.watched_us,
            "uptime_min_us": totals.uptime_min_us,
            "uptime_max_us": totals.uptime_max_us,
            "availability": _ratio(up, up + down),
            "coverage": _ratio(totals.watched_us, totals.business_us),
            "observations": totals.observations,
            "outages": totals.outages,
            "longest_outage_us": totals.longest_outage_us,
        }

    def in_parts(self) -> Iterator[Report]:
        """Yield reports of some thousand stores each, in order; one without stores where there are none."""
        for first in range(0, max(len(self.store_ids), 1), STORES_IN_PART):
            part = slice(first, first + STORES_IN_PART)
            yield replace(
                self,
                store_ids=self.store_ids[part],
                windows=self.windows.of(part),
                totals=self.totals.of(part),
                hours_known=self.hours_known[part],
                attributes={name: values[part] for name, values in self.attributes.items()},
            )

    def of(self, rows: npt.NDArray[np.int64]) -> Report:
        """Return some of the stores, given by position, in that order."""
        places = rows.tolist()
        return replace(
            self,
            store_ids=[self.store_ids[row] for row in places],
            windows=self.windows.of(rows),
            totals=self.totals.of(rows),
            hours_known=self.hours_known[rows],
            attributes={name: [values[row] for row in places] for name, values in self.attributes.items()},
        )

    def table(self) -> pl.DataFrame:
        """Return one row per store and window, exact: microseconds, counts, and ratios as float64 or null.

        Raises
        ------
        InputError
            An attribute is called as another column.
        """
        n, w = self.windows.starts.shape
        figures = {"start_us": self.windows.starts, "end_us": self.windows.ends} | self.figures()
        check_titles(["store_id", *self.attributes, "window", "hours_known", *figures])
        ids = pl.Series("store_id", self.store_ids, dtype=pl.String)
        names = pl.Series("window", self.windows.names, dtype=pl.String)
        table = pl.DataFrame(
            [
                ids.gather(np.repeat(np.arange(n), w)),
                *(
                    pl.Series(name, values, dtype=pl.String).gather(np.repeat(np.arange(n), w))
                    for name, values in self.attributes.items()
                ),
                names.gather(np.tile(np.arange(w), n)),
                pl.Series("hours_known", np.repeat(self.hours_known, w)),
                *(pl.Series(name, values.ravel()) for name, values in figures.items()),
            ]
        )
        return table.with_columns(pl.col("availability", "coverage").fill_nan(None))


def check_titles(titles: Sequence[str]) -> None:
    """Refuse attributes that are called as other columns.

    Raises
    ------
    InputError
        A title stands twice.
    """
    if repeated := {title for title in titles if titles.count(title) > 1}:
        raise InputError(
            f"an attribute is called {', '.join(sorted(repeated))}, as a column of the report; valid are attributes "
            "with names of their own"
        )


def booked(policy: Policy, up: _Time, down: _Time, unknown: _Time) -> tuple[_Time, _Time, _Time]:
    """Return up, down and unknown time with the unknown one where the policy's ``assume`` says."""
    if policy.assume == "active":
        return up + unknown, down, unknown * 0
    if policy.assume == "inactive":
        return up, down + unknown, unknown * 0
    return up, down, unknown


def _ratio(parts: npt.NDArray[np.int64], wholes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    ratios: npt.NDArray[np.float64] = np.full(parts.shape, np.nan)
    np.divide(parts, wholes, out=ratios, where=wholes != 0)
    return ratios
