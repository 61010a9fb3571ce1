"""A report: totals per store and window, what they were made with, and the figures that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from storepulse.kernel.availability import Availability
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import Windows
from storepulse.schema import instant_iso

Figures: TypeAlias = dict[str, npt.NDArray[Any]]
_Time = TypeVar("_Time", int, npt.NDArray[np.int64])


@dataclass(frozen=True)
class Totals(Availability):
    """All that is counted per store and window: int64 arrays of shape (stores, windows)."""

    outages: npt.NDArray[np.int64]
    longest_outage_us: npt.NDArray[np.int64]

    def of(self, stores: npt.NDArray[np.int64]) -> Totals:
        """Return those of some stores, given by position."""
        return Totals(*(values[stores] for values in vars(self).values()))


@dataclass(frozen=True)
class Report:
    """Totals per store and window, with what they were made from; stores in order of id as text.

    ``version`` and ``tzdata`` are the versions of the program and of the zone rules. ``loads_seen`` is the number of
    the last load that the store held, None for a report that was not made from a store. It is for the record alone,
    and in no output: the same fleet from files gives the same bytes.
    """

    as_of: int
    policy: Policy
    version: str
    tzdata: str
    store_ids: Sequence[str]
    windows: Windows
    totals: Totals
    loads_seen: int | None = None

    def facts(self) -> dict[str, Any]:
        """Return what the report was made with, as plain values."""
        return {
            "as_of": instant_iso(self.as_of),
            "as_of_us": self.as_of,
            "policy": self.policy.facts(),
            "version": self.version,
            "tzdata": self.tzdata,
        }

    def figures(self) -> Figures:
        """Return every figure as an array of shape (stores, windows), in the order of the columns of `table`.

        Unknown time is booked as the policy's ``assume`` says; coverage is what was known before that.
        """
        totals = self.totals
        up, down, unknown = booked(self.policy, totals.uptime_us, totals.downtime_us, totals.unknown_us)
        return {
            "uptime_us": up,
            "downtime_us": down,
            "unknown_us": unknown,
            "business_us": totals.business_us,
            "uptime_min_us": totals.uptime_min_us,
            "uptime_max_us": totals.uptime_max_us,
            "availability": _ratio(up, up + down),
            "coverage": _ratio(totals.business_us - totals.unknown_us, totals.business_us),
            "observations": totals.observations,
            "outages": totals.outages,
            "longest_outage_us": totals.longest_outage_us,
        }

    def table(self) -> pl.DataFrame:
        """Return one row per store and window, exact: microseconds, counts, and ratios as float64 or null."""
        n, w = self.windows.starts.shape
        figures = {"start_us": self.windows.starts, "end_us": self.windows.ends} | self.figures()
        ids = pl.Series("store_id", self.store_ids, dtype=pl.String)
        names = pl.Series("window", self.windows.names, dtype=pl.String)
        table = pl.DataFrame(
            [
                ids.gather(np.repeat(np.arange(n), w)),
                names.gather(np.tile(np.arange(w), n)),
                *(pl.Series(name, values.ravel()) for name, values in figures.items()),
            ]
        )
        return table.with_columns(pl.col("availability", "coverage").fill_nan(None))


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
