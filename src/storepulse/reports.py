"""Where everything meets: a fleet → its timeline → totals for every store and window → CSV, JSON, Parquet."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
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
    observations = fleet.observations(start, end, as_of)
    first_seen, last_seen = _seen(observations, start, end)
    hours = sessions(fleet.hours, *reach(fleet.hours, first_seen, last_seen, start, end))
    spans = timeline(observations, hours, start, end, policy, merged=merged)
    return Reconstruction(hours, observations, spans)


def _seen(observations: Observations, start: int, end: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last instant observed, per store; start and end where there is none."""
    first, stop = observations.offsets[:-1], observations.offsets[1:]
    any_seen = first < stop
    times = np.append(observations.times, 0)
    return np.where(any_seen, times[first], start), np.where(any_seen, times[stop - 1], end)


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
    """Totals per store and window, with what they were made from; stores in order of id as text.

    ``outages`` and ``longest_outage_us`` are int64 of shape (stores, windows), like the fields of ``totals``.
    """

    as_of: int
    policy: Policy
    version: str
    store_ids: Sequence[str]
    windows: Windows
    totals: Availability
    outages: npt.NDArray[np.int64]
    longest_outage_us: npt.NDArray[np.int64]

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
            "outages": self.outages,
            "longest_outage_us": self.longest_outage_us,
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
    # An empty fleet has no windows of its own, and needs no timeline.
    start, end = (int(laid.starts.min()), int(laid.ends.max())) if laid.starts.size else (as_of, as_of)
    made = reconstruct(fleet, start, end, as_of, policy)
    totals = availability(made.spans, made.sessions, made.observations, laid, as_of)
    counts, longest = outages_in(made.spans, laid, as_of)

    # Whoever was ever observed up to as_of has an observation here, however old.
    observed = np.flatnonzero(np.diff(made.observations.offsets))
    reported = np.arange(len(fleet.store_ids)) if all_stores else observed
    order = np.array(sorted(reported.tolist(), key=list(fleet.store_ids).__getitem__), dtype=np.int64)
    return Report(
        as_of,
        policy,
        version,
        [fleet.store_ids[store] for store in order],
        laid.of(order),
        Availability(**{name: values[order] for name, values in vars(totals).items()}),
        counts[order],
        longest[order],
    )


def warm_up() -> None:
    """Run the whole kernel once, on one store without anything, so that its machine code is loaded.

    That takes a new process about 0.3 s, which can pass in a thread while the store is being read.
    """
    none = np.empty(0, dtype=np.int64)
    hours = WeeklyHours(none.astype(np.int32), none, none, none, np.zeros(1, dtype=np.int32), (DEFAULT_TIMEZONE,))
    observations = Observations(np.zeros(2, dtype=np.int64), none, none.astype(np.uint8))
    laid = windows(DEFAULT_WINDOWS, ELAPSED_US["last_week"], hours)
    sort_each(observations.offsets, observations.times)
    open_hours = sessions(hours, laid.starts[:, 0], laid.ends[:, 0])
    spans = timeline(observations, open_hours, 0, ELAPSED_US["last_week"], Policy())
    availability(spans, open_hours, observations, laid, ELAPSED_US["last_week"])
    outages_in(spans, laid, ELAPSED_US["last_week"])


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
