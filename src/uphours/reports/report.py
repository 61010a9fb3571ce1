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
from uphours.kernel.windows_before import apart, together
from uphours.reports.ahead import Ahead
from uphours.reports.comparison import Changes, changes
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
    None where it has none. ``before``: the same stores in the windows before, where a comparison is asked for.
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
    before: Report | None = None

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

    def changes(self) -> Changes:
        """Return the changes from the windows before, of figures with unknown time booked as the policy says."""
        assert self.before is not None  # a comparison was asked for
        return changes(*self._known_times(), *self.before._known_times())

    def _known_times(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        totals = self.totals
        up, down, _ = booked(self.policy, totals.uptime_us, totals.downtime_us, totals.unknown_us)
        return up, down

    def together(self) -> Report:
        """Return one report of the windows, and behind them of the windows before; itself where there are none."""
        if self.before is None:
            return self
        pairs = zip(vars(self.totals).values(), vars(self.before.totals).values(), strict=True)
        return replace(
            self,
            windows=together(self.windows, self.before.windows),
            totals=Totals(*(np.concatenate(pair, axis=1) for pair in pairs)),
            before=None,
        )

    def apart(self) -> Report:
        """Return the report of the windows, with one of the windows before, out of what `together` returned."""
        now, before = apart(self.windows)
        w = len(now.names)
        values = vars(self.totals).values()
        return replace(
            self,
            windows=now,
            totals=Totals(*(columns[:, :w] for columns in values)),
            before=replace(self, windows=before, totals=Totals(*(columns[:, w:] for columns in values))),
        )

    def sums(self) -> list[dict[str, Any]]:
        """Return the figures of all stores together in each window, as integers of Python: 64 bits may be too few.

        With a comparison, ``before`` are those of the window before.
        """
        if self.before is not None:
            pairs = zip(replace(self, before=None).sums(), self.before.sums(), strict=True)
            return [now | {"before": before} for now, before in pairs]
        figures = self.figures()

        def of(place: int) -> dict[str, Any]:
            whole = {
                name: sum(values[:, place].tolist()) for name, values in figures.items() if values.dtype.kind == "i"
            }
            return whole | {"longest_outage_us": int(figures["longest_outage_us"][:, place].max(initial=0))}

        return [of(place) for place in range(len(self.windows.names))]

    def in_parts(self) -> Iterator[Report]:
        """Yield reports of some thousand stores each, in order; one without stores where there are none."""
        for first in range(0, max(len(self.store_ids), 1), STORES_IN_PART):
            yield self._part(slice(first, first + STORES_IN_PART))

    def _part(self, part: slice) -> Report:
        return replace(
            self,
            store_ids=self.store_ids[part],
            windows=self.windows.of(part),
            totals=self.totals.of(part),
            hours_known=self.hours_known[part],
            attributes={name: values[part] for name, values in self.attributes.items()},
            before=None if self.before is None else self.before._part(part),
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
            before=None if self.before is None else self.before.of(rows),
        )

    def table(self) -> pl.DataFrame:
        """Return one row per store and window, exact: microseconds, counts, and ratios as float64 or null.

        With a comparison, ``availability_change`` and ``downtime_change_us`` follow, and everything of the window
        before with ``before_`` in front.

        Raises
        ------
        InputError
            An attribute is called as another column.
        """
        n, w = self.windows.starts.shape
        columns = self._columns()
        if self.before is not None:
            columns += self._change_columns()
            columns += [column.alias(f"before_{column.name}") for column in self.before._columns()]
        check_titles(["store_id", *self.attributes, "window", "hours_known", *(column.name for column in columns)])
        ids = pl.Series("store_id", self.store_ids, dtype=pl.String)
        names = pl.Series("window", self.windows.names, dtype=pl.String)
        return pl.DataFrame(
            [
                ids.gather(np.repeat(np.arange(n), w)),
                *(
                    pl.Series(name, values, dtype=pl.String).gather(np.repeat(np.arange(n), w))
                    for name, values in self.attributes.items()
                ),
                names.gather(np.tile(np.arange(w), n)),
                pl.Series("hours_known", np.repeat(self.hours_known, w)),
                *columns,
            ]
        )

    def _columns(self) -> list[pl.Series]:
        """Return bounds and figures, an element for each store and window."""
        figures = {"start_us": self.windows.starts, "end_us": self.windows.ends} | self.figures()
        return [pl.Series(name, values.ravel(), nan_to_null=True) for name, values in figures.items()]

    def _change_columns(self) -> list[pl.Series]:
        change = self.changes()
        columns = {"availability_change": change.availability, "downtime_change_us": change.downtime_us}
        unknown = pl.Series(~change.known.ravel())
        return [pl.Series(name, values.ravel()).set(unknown, None) for name, values in columns.items()]


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
