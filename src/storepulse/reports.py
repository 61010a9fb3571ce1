"""Where everything meets: a fleet → its timeline → totals for every store and window → CSV, JSON, Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import polars as pl

from storepulse.errors import InputError
from storepulse.kernel.availability import Availability, availability
from storepulse.kernel.hours import reach, sessions, tzdata_version
from storepulse.kernel.observations import sort_each
from storepulse.kernel.outages import outages_in
from storepulse.kernel.policy import Policy
from storepulse.kernel.timeline import timeline
from storepulse.kernel.windows import DEFAULT_WINDOWS, ELAPSED_US, Window, Windows, windows
from storepulse.schema import (
    DEFAULT_TIMEZONE,
    HOUR_US,
    MINUTE_US,
    Fleet,
    Observations,
    Sessions,
    Spans,
    WeeklyHours,
    instant_text,
)

FORMATS: Final = ("csv", "json", "parquet")

_STORES_AT_ONCE: Final = 4096

Figures: TypeAlias = dict[str, npt.NDArray[Any]]

#: Columns of the printed table, by the figure of the report that each one shows.
_PRINTED: Final = {"uptime": "uptime_us", "downtime": "downtime_us"}
_PRINTED_IN_DETAIL: Final = _PRINTED | {
    "unknown": "unknown_us",
    "business_time": "business_us",
    "availability": "availability",
    "coverage": "coverage",
    "uptime_min": "uptime_min_us",
    "uptime_max": "uptime_max_us",
    "observations": "observations",
    "outages": "outages",
    "longest_outage": "longest_outage_us",
}


@dataclass(frozen=True)
class Reconstruction:
    """Sessions, observations and the spans made of them, for all stores of a fleet in its order."""

    sessions: Sessions
    observations: Observations
    spans: Spans


def reconstruct(
    fleet: Fleet, start: int, end: int, as_of: int, policy: Policy, *, merged: bool = True
) -> Reconstruction:
    """Return the timeline of every store over ``[start, end)``, as it is known at ``as_of``."""
    end = min(end, as_of)
    start = min(start, end)
    return _reconstruction(fleet.observations(start, end, as_of), fleet.hours, start, end, policy, merged=merged)


def _reconstruction(
    observations: Observations, hours: WeeklyHours, start: int, end: int, policy: Policy, *, merged: bool = True
) -> Reconstruction:
    first_seen, last_seen = _seen(observations, start, end)
    open_hours = sessions(hours, *reach(hours, first_seen, last_seen, start, end))
    spans = timeline(observations, open_hours, start, end, policy, merged=merged)
    return Reconstruction(open_hours, observations, spans)


def _seen(observations: Observations, start: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last instant observed, per store; start and end where there is none."""
    first, stop = observations.offsets[:-1], observations.offsets[1:]
    any_seen = first < stop
    times = np.append(observations.times, 0)
    return np.where(any_seen, times[first], start), np.where(any_seen, times[stop - 1], end)


@dataclass(frozen=True)
class Totals(Availability):
    """All that is counted per store and window: int64 arrays of shape (stores, windows)."""

    outages: npt.NDArray[np.int64]
    longest_outage_us: npt.NDArray[np.int64]

    def of(self, stores: npt.NDArray[np.int64]) -> Totals:
        """Return those of some stores, given by position."""
        return Totals(*(values[stores] for values in vars(self).values()))


def totals(observations: Observations, hours: WeeklyHours, laid: Windows, as_of: int, policy: Policy) -> Totals:
    """Add up every store and window.

    Some thousand stores at a time, in threads: their arrays stay in the processor's cache, memory does not grow
    with the spans of the whole fleet, and the kernel does not hold Python's lock.
    """
    n = len(hours.zones)
    start, end = _extent(laid, as_of)

    def part(first: int) -> Totals:
        stop = min(first + _STORES_AT_ONCE, n)
        mine = laid.of(slice(first, stop))
        made = _reconstruction(observations.of(first, stop), hours.of(first, stop), start, end, policy)
        added = availability(made.spans, made.sessions, made.observations, mine, as_of)
        counts, longest = outages_in(made.spans, mine, as_of)
        return Totals(**vars(added), outages=counts, longest_outage_us=longest)

    with ThreadPoolExecutor() as threads:
        parts = list(threads.map(part, range(0, max(n, 1), _STORES_AT_ONCE)))
    return Totals(*(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in parts), strict=True)))


def _extent(laid: Windows, as_of: int) -> tuple[int, int]:
    """Return from where to where all windows reach, nothing of it after ``as_of``."""
    if not laid.starts.size:
        return as_of, as_of
    end = min(int(laid.ends.max()), as_of)
    return min(int(laid.starts.min()), end), end


def latest(fleet: Fleet) -> int:
    """Return the instant a report speaks for when nobody names one: the latest observation.

    Raises
    ------
    InputError
        There is no observation.
    """
    as_of = fleet.latest_observation()
    if as_of is None:
        raise InputError("there are no observations yet; load polls first, or name an instant (as_of, --as-of)")
    return as_of


@dataclass(frozen=True)
class Report:
    """Totals per store and window, with what they were made from; stores in order of id as text."""

    as_of: int
    policy: Policy
    version: str
    store_ids: Sequence[str]
    windows: Windows
    totals: Totals

    def facts(self) -> dict[str, Any]:
        """Return what the report was made with, as plain values."""
        return {
            "as_of": _iso(self.as_of),
            "as_of_us": self.as_of,
            "policy": self.policy.facts(),
            "version": self.version,
            "tzdata": tzdata_version(),
        }

    def figures(self) -> Figures:
        """Return every figure as an array of shape (stores, windows), in the order of the columns of `table`.

        Unknown time is booked as the policy's ``assume`` says; coverage is what was known before that.
        """
        totals = self.totals
        up, down, unknown = totals.uptime_us, totals.downtime_us, totals.unknown_us
        if self.policy.assume == "active":
            up, unknown = up + unknown, np.zeros_like(unknown)
        elif self.policy.assume == "inactive":
            down, unknown = down + unknown, np.zeros_like(unknown)
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


def run_report(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    chosen: Sequence[str | Window] = DEFAULT_WINDOWS,
    policy: Policy | None = None,
    all_stores: bool = False,
    version: str,
) -> Report:
    """Make a report of a fleet.

    Parameters
    ----------
    as_of
        UTC microseconds; the latest observation unless given. Nothing after it is used.
    chosen
        Windows, by name or whole.
    all_stores
        Also report stores without any observation at or before ``as_of``.
    version
        The version of the program, for the record.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or a window is unknown.
    """
    policy = policy or Policy()
    as_of = latest(fleet) if as_of is None else as_of
    laid = windows(chosen, as_of, fleet.hours)
    observations = fleet.observations(*_extent(laid, as_of), as_of)
    counted = totals(observations, fleet.hours, laid, as_of, policy)

    # Whoever was ever observed up to as_of has an observation here, however old.
    observed = np.flatnonzero(np.diff(observations.offsets))
    reported = np.arange(len(fleet.store_ids)) if all_stores else observed
    order = np.array(sorted(reported.tolist(), key=list(fleet.store_ids).__getitem__), dtype=np.int64)
    store_ids = [fleet.store_ids[store] for store in order]
    return Report(as_of, policy, version, store_ids, laid.of(order), counted.of(order))


def warm_up() -> None:
    """Run the whole kernel once, on one store without anything, so that its machine code is loaded.

    That takes a new process about 0.3 s, which can pass in a thread while the store is being read.
    """
    none = np.empty(0, dtype=np.int64)
    hours = WeeklyHours(none.astype(np.int32), none, none, none, np.zeros(1, dtype=np.int32), (DEFAULT_TIMEZONE,))
    observations = Observations(np.zeros(2, dtype=np.int64), none, none.astype(np.uint8))
    as_of = ELAPSED_US["last_week"]
    sort_each(observations.offsets, observations.times)
    totals(observations, hours, windows(DEFAULT_WINDOWS, as_of, hours), as_of, Policy())


def written(report: Report, form: str, *, detail: bool = False) -> bytes:
    """Return the report as a file of the given format; the same inputs give the same bytes.

    CSV is for people: minutes in the columns of ``last_hour``, hours in all others, percentages, two decimals;
    ``detail`` adds columns. JSON and Parquet are exact, always whole, and name the policy.
    """
    match form:
        case "csv":
            return _csv(report, detail=detail)
        case "json":
            return _json(report)
        case "parquet":
            return _parquet(report)
    raise InputError(f"there is no format {form!r}; valid are {', '.join(FORMATS)}")


def _csv(report: Report, *, detail: bool) -> bytes:
    figures = report.figures()
    columns = {"store_id": spreadsheet_safe(pl.Series(report.store_ids, dtype=pl.String))}
    for title, figure in (_PRINTED_IN_DETAIL if detail else _PRINTED).items():
        for place, window in enumerate(report.windows.names):
            values = figures[figure][:, place]
            if figure == "availability":
                up, down = figures["uptime_us"][:, place], figures["downtime_us"][:, place]
                text = _percentages(up, up + down)
            elif figure == "coverage":
                business = report.totals.business_us[:, place]
                text = _percentages(business - report.totals.unknown_us[:, place], business)
            elif figure.endswith("_us"):
                text = _two_decimals(_hundredths(values, MINUTE_US if window == "last_hour" else HOUR_US))
            else:
                text = pl.Series(values)
            columns[f"{title}_{window}"] = text
    return pl.DataFrame(columns).write_csv().encode()


def spreadsheet_safe(texts: pl.Series) -> pl.Series:
    """Put an apostrophe before what a spreadsheet would run as a formula."""
    dangerous = pl.col("text").str.contains("^[=+@\t-]")
    guarded = pl.when(dangerous).then("'" + pl.col("text")).otherwise("text")
    return texts.to_frame("text").select(guarded).to_series()


def _hundredths(parts: npt.NDArray[np.int64], whole: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64]:
    """Return 100 × parts / whole, rounded half to even without leaving the integers."""
    quotient, rest = np.divmod(parts * 100, whole)
    rounded: npt.NDArray[np.int64] = quotient + ((2 * rest > whole) | ((2 * rest == whole) & (quotient % 2 == 1)))
    return rounded


def _two_decimals(hundredths: npt.NDArray[np.int64]) -> pl.Series:
    whole, rest = np.divmod(hundredths, 100)
    return pl.Series(whole).cast(pl.String) + "." + pl.Series(rest).cast(pl.String).str.zfill(2)


def _percentages(parts: npt.NDArray[np.int64], wholes: npt.NDArray[np.int64]) -> pl.Series:
    """Return percentages with two decimals; 100 and 0 only where they are exact, null where the whole is 0."""
    # Digit by digit, as parts × 10,000 would not fit for a window of thirty years.
    percent, rest = np.divmod(parts * 100, np.maximum(wholes, 1))
    hundredths = percent * 100 + _hundredths(rest, np.maximum(wholes, 1))
    hundredths = np.where(parts < wholes, np.minimum(hundredths, 99_99), hundredths)
    hundredths = np.where(parts > 0, np.maximum(hundredths, 1), hundredths)
    return _two_decimals(hundredths).set(pl.Series(wholes == 0), None)


def _json(report: Report) -> bytes:
    figures = {name: values.tolist() for name, values in report.figures().items()}
    names, common = report.windows.names, report.windows.common
    starts, ends = report.windows.starts.tolist(), report.windows.ends.tolist()

    def in_window(store: int, place: int) -> dict[str, Any]:
        # A calendar window is another interval for each zone, so it stands with the store.
        own = (
            {"start_us": starts[store][place], "end_us": ends[store][place]}
            if common[names[place]] == (None, None)
            else {}
        )
        return own | {name: _or_null(values[store][place]) for name, values in figures.items()}

    document = report.facts() | {
        "windows": {
            name: dict(zip(("start_us", "end_us"), report.windows.common[name], strict=True)) for name in names
        },
        "stores": [
            {
                "store_id": store_id,
                "windows": {name: in_window(store, place) for place, name in enumerate(names)},
            }
            for store, store_id in enumerate(report.store_ids)
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _or_null(value: float) -> float | None:
    return None if value != value else value  # NaN


def _parquet(report: Report) -> bytes:
    file = io.BytesIO()
    facts = {f"storepulse.{name}": json.dumps(value) for name, value in report.facts().items()}
    report.table().write_parquet(file, metadata=facts)
    return file.getvalue()


def _ratio(parts: npt.NDArray[np.int64], wholes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    ratios: npt.NDArray[np.float64] = np.full(parts.shape, np.nan)
    np.divide(parts, wholes, out=ratios, where=wholes != 0)
    return ratios


def _iso(us: int) -> str:
    return instant_text(us).replace(" UTC", "Z").replace(" ", "T")
