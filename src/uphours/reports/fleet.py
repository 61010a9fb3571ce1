"""A fleet at a glance: the state of every store at one instant, since when, and its figures in one window."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.errors import InputError
from uphours.kernel.local_time import timezone_names
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.reports.comparison import Changes, change_facts
from uphours.reports.measure import latest_instant, run_report
from uphours.reports.memberships import Labels, rows_where
from uphours.reports.reading import NEVER, read_fleet
from uphours.reports.report import Figures, Report
from uphours.reports.store_states import STATES, states_at
from uphours.schema import DEFAULT_TIMEZONE, Fleet, Instants, Statuses
from uphours.where import NO_VALUE, Where

Sort: TypeAlias = Literal["store_id", "availability", "lost_time", "since", "last_observed"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
#: The column that a list is sorted by; rows are numbered in the order of their ids.
_COLUMNS: Final[dict[Sort, str]] = dict(
    zip(SORTS, ("row", "availability", "downtime_us", "since_us", "last_observed_at_us"), strict=True)
)
#: What a store can be without, so that it has the default.
Lacking: TypeAlias = Literal["hours", "timezone"]
LACKING: Final[tuple[Lacking, ...]] = get_args(Lacking)
Observed: TypeAlias = Literal["ever", "never"]


@dataclass(frozen=True)
class Overview:
    """What is known of each store at ``report.as_of``; all arrays in the order of ``store_ids``.

    ``report``: all stores, one window. ``states``: uint8, a position in ``STATES``. ``since_us``,
    ``last_observed_at_us``: int64, ``NEVER`` where there is none. ``timezone_is_default``: bool, without a zone
    of its own. ``hours_are_default``: bool, without hours: it is always open. ``hours_known``: bool,
    false where rows of hours or zones were given and none could be used; the state of the store is ``hours unknown``.
    ``labels``: the values of the attributes of each store at ``report.as_of``.

    A state that is not ``closed`` was followed back to ``followed_back_to_us``, or to the first observation of
    the store if that is later. Of an observed store that had this state at its first open instant after
    ``followed_back_to_us``, it is only known that the state began then or before: its ``since_us`` is ``NEVER``.
    """

    report: Report
    states: Statuses
    since_us: Instants
    last_observed_at_us: Instants
    timezones: Sequence[str]
    timezone_is_default: npt.NDArray[np.bool_]
    hours_are_default: npt.NDArray[np.bool_]
    hours_known: npt.NDArray[np.bool_]
    followed_back_to_us: int
    labels: Labels = field(default_factory=dict)

    def of(self, rows: npt.NDArray[np.int64]) -> Overview:
        """Return some of the stores, given by position, ascending."""
        places = rows.tolist()
        return Overview(
            self.report.of(rows), self.states[rows], self.since_us[rows], self.last_observed_at_us[rows],
            [self.timezones[row] for row in places], self.timezone_is_default[rows], self.hours_are_default[rows],
            self.hours_known[rows], self.followed_back_to_us,
            {name: [values[row] for row in places] for name, values in self.labels.items()},
        )  # fmt: skip

    def where(self, where: Where) -> Overview:
        """Return the stores that have one of the values of each attribute; all of them for ().

        Raises
        ------
        InputError
            There is no such attribute, or no such store.
        """
        return self.of(np.array(rows_where(self.labels, where))) if where else self

    def label(self, row: int, name: str) -> str | None:
        """Return the value of an attribute of a store, given by position; None where it has none."""
        value = self.labels[name][row] if name in self.labels else NO_VALUE
        return None if value == NO_VALUE else value

    @cached_property
    def searched(self) -> list[str]:
        """What a search looks through of each store: its id and the values of its attributes, in small letters."""
        columns = [self.store_ids, *self.labels.values()]
        return ["\0".join(texts).casefold() for texts in zip(*columns, strict=True)]

    @property
    def store_ids(self) -> Sequence[str]:
        """The ids, in order of text."""
        return self.report.store_ids

    @property
    def before(self) -> Report | None:
        """The figures of the window before, where the overview was asked for a comparison; else None."""
        return self.report.before

    @cached_property
    def changes(self) -> Changes:
        """The changes from the window before, as arrays with an element a store; where there is a comparison."""
        made = self.report.changes()
        return Changes(*(values[:, 0] for values in vars(made).values()))

    @cached_property
    def figures(self) -> Figures:
        """Every figure of the report, by name, as an array with an element a store."""
        return _of_the_one_window(self.report)

    @cached_property
    def figures_before(self) -> Figures | None:
        """The same of the window before; None where there is no comparison."""
        return None if self.before is None else _of_the_one_window(self.before)


def _of_the_one_window(report: Report) -> Figures:
    return {name: values[:, 0] for name, values in report.figures().items()}


def overview(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    window: str | Window = "last_week",
    policy: Policy | None = None,
    whole_history: bool = False,
    compare: bool = False,
    loads_seen: int | None = None,
    entries_seen: int | None = None,
    labels: Labels | None = None,
) -> Overview:
    """Look at all stores of a fleet, observed or not.

    Parameters
    ----------
    as_of
        UTC microseconds; the latest observation unless given. Nothing after it is used.
    window
        Of the figures, by name or whole.
    whole_history
        Follow every state back to the first observation of its store: exact, and for single stores. Without
        it, back to the start of the window (of the one before, where it is compared), or a week where that is further.
    compare
        Also measure the window before.
    loads_seen, entries_seen
        The numbers of the last load and of the last entry of the ledger that the database held, for the record.
    labels
        The values of their attributes, in the order of the fleet.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or the window is unknown.
    """
    policy = policy or Policy()
    as_of = latest_instant(fleet) if as_of is None else as_of
    known = read_fleet(fleet, as_of=as_of, window=window, whole_history=whole_history, compare=compare)
    report = run_report(
        known, as_of=as_of, chosen=[window], policy=policy, all_stores=True, compare=compare, loads_seen=loads_seen,
        entries_seen=entries_seen,
    )  # fmt: skip

    states, since = states_at(known, as_of, policy)
    schedule = known.schedule
    order = np.array(sorted(range(len(fleet.store_ids)), key=list(fleet.store_ids).__getitem__), dtype=np.int64)
    zones = [schedule.zone_names[zone] for zone in schedule.zones[order].tolist()]
    return Overview(
        report=report,
        states=states[order],
        since_us=since[order],
        last_observed_at_us=known.last_seen()[order],
        timezones=zones,
        timezone_is_default=(
            np.zeros(len(order), dtype=np.bool_)
            if schedule.zone_is_default is None
            else schedule.zone_is_default[order]
        ),
        hours_are_default=(np.bincount(schedule.stores, minlength=len(schedule.zones)) == 0)[order]
        & schedule.known()[order],
        hours_known=schedule.known()[order],
        followed_back_to_us=known.start,
        labels={name: [values[store] for store in order.tolist()] for name, values in (labels or {}).items()},
    )


# --- plain values ------------------------------------------------------------------------------------


def facts(overview: Overview, row: int) -> dict[str, Any]:
    """Return what is known of one store as plain values, given its position; None where there is nothing."""
    return {
        "store_id": overview.store_ids[row],
        "name": overview.label(row, "name"),
        "attributes": {
            name: value
            for name in overview.labels
            if name != "name" and (value := overview.label(row, name)) is not None
        },
        "state": STATES[overview.states[row]],
        "since_us": _instant_or_null(overview.since_us[row]),
        "last_observed_at_us": _instant_or_null(overview.last_observed_at_us[row]),
        "timezone": overview.timezones[row],
        "timezone_is_default": bool(overview.timezone_is_default[row]),
        "hours_are_default": bool(overview.hours_are_default[row]),
        "hours_known": bool(overview.hours_known[row]),
        **_compared(overview, lambda figures: {name: _number_or_null(of[row].item()) for name, of in figures.items()}),
    }


def _compared(overview: Overview, plain: Callable[[Figures], dict[str, Any]]) -> dict[str, Any]:
    """Return figures as plain values; with a comparison also the changes, and those of the window before."""
    now = plain(overview.figures)
    if overview.figures_before is None:
        return now
    before = plain(overview.figures_before)
    return now | change_facts(now, before) | {"before": before}


def fleet_facts(overview: Overview) -> dict[str, Any]:
    """Return the fleet as a whole as plain values: stores, how many have each state, and sums over all stores.

    Availability and coverage are those of the sums, never a mean of percentages.
    """
    counts = np.bincount(overview.states, minlength=len(STATES)).tolist()
    return {
        "stores": len(overview.store_ids),
        "states": dict(zip(STATES, counts, strict=True)),
        **_compared(overview, _sums),
    }


def _sums(figures: Figures) -> dict[str, Any]:
    # As integers of Python: thirty years of ten thousand stores do not fit into 64 bits.
    sums = {
        name: sum(values.tolist())
        for name, values in figures.items()
        if name not in ("availability", "coverage", "longest_outage_us")
    }
    return sums | {
        "availability": _ratio(sums["uptime_us"], sums["uptime_us"] + sums["downtime_us"]),
        "coverage": _ratio(sums["watched_us"], sums["business_us"]),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _instant_or_null(instant: np.int64) -> int | None:
    return None if instant == NEVER else int(instant)


def _number_or_null(value: float) -> float | None:
    return None if value != value else value  # NaN


# --- pages -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """The place after one row in a sorted list: what the row is sorted by (None: it has no value), and its id."""

    sort: Sort
    descending: bool
    key: float | None
    store_id: str


@dataclass(frozen=True)
class Page:
    """Some rows of an overview, by position, and the place to go on from.

    ``end`` is None on the last page. ``total_matching`` counts the rows on all pages.
    """

    rows: list[int]
    end: Place | None
    total_matching: int


def selected(
    overview: Overview,
    *,
    search: str | None = None,
    states: Collection[str] | None = None,
    timezones: Collection[str] | None = None,
    availability_below: float | None = None,
    without: Collection[str] | None = None,
    observed: Observed | None = None,
    last_observed_before: int | None = None,
    sort: Sort = "store_id",
    descending: bool = False,
    after: Place | None = None,
    limit: int,
) -> Page:
    """Return one page of the rows that match everything asked for.

    The order is total: rows without a value come last in either direction, equal ones in order of store id.

    Parameters
    ----------
    search
        Part of a store id or of a value of an attribute, in capitals or not.
    states, timezones
        Only rows with one of these; nothing matches an empty collection.
    availability_below
        Only rows with a known availability less than this, 0 to 1.
    without
        Only rows that lack all of these: ``hours``, ``timezone``.
    observed
        Only rows that were ``ever`` or ``never`` observed up to as_of.
    last_observed_before
        Only rows whose last observation up to as_of was made before this instant, UTC microseconds; of a store that was
        never observed there is none.
    sort
        ``lost_time`` is the down time in the window, ``since`` the instant at which the state began, ``last_observed``
        that of the last observation.
    after
        The ``end`` of the page before; None for the first page.
    limit
        The number of rows on a page, at least 1.

    Raises
    ------
    InputError
        A value is not valid, or ``after`` is of a list in another order.
    """
    if limit < 1:
        raise InputError(f"limit is {limit}; valid are 1 and more")
    if sort not in SORTS:
        raise InputError(f"cannot sort by {sort!r}; valid are {', '.join(SORTS)}")
    matching = _table(overview).filter(
        *_in_view(overview, search, states, timezones, availability_below),
        *_looked_after(without or (), observed, last_observed_before),
    )
    rest = matching.sort(_COLUMNS[sort], "row", descending=[descending, False], nulls_last=True)
    if after is not None:
        if (theirs := (after.sort, after.descending)) != (ours := (sort, descending)):
            raise InputError(
                f"the cursor continues a list sorted by {_order(theirs)}, this one is sorted by {_order(ours)}; "
                "valid is the next_cursor of the page before"
            )
        rest = rest.filter(_later(after, overview.store_ids))
    page = rest.head(limit)
    end = None
    if len(rest) > limit:
        row = page.row(-1, named=True)
        key = None if sort == "store_id" else row[_COLUMNS[sort]]
        end = Place(sort, descending, key, overview.store_ids[row["row"]])
    return Page(page["row"].to_list(), end, len(matching))


def _table(overview: Overview) -> pl.DataFrame:
    """Return what rows are chosen and sorted by, as columns; null where there is no value."""
    figures = overview.figures
    table = pl.DataFrame(
        {
            "row": np.arange(len(overview.store_ids)),
            "store_id": pl.Series(overview.store_ids, dtype=pl.String),
            "state": overview.states,
            "timezone": pl.Series(overview.timezones, dtype=pl.String),
            "availability": figures["availability"],
            "downtime_us": figures["downtime_us"],
            "since_us": overview.since_us,
            "last_observed_at_us": overview.last_observed_at_us,
            "hours_are_default": overview.hours_are_default,
            "timezone_is_default": overview.timezone_is_default,
        }
    )
    instants = pl.col("since_us", "last_observed_at_us")
    return table.with_columns(pl.col("availability").fill_nan(None), pl.when(instants != NEVER).then(instants))


def _in_view(
    overview: Overview,
    search: str | None,
    states: Collection[str] | None,
    timezones: Collection[str] | None,
    availability_below: float | None,
) -> Iterator[pl.Expr]:
    """Yield what rows must meet, of what the list shows."""
    if search is not None:
        part = search.casefold()  # which Polars does not have
        yield pl.lit(pl.Series([part in text for text in overview.searched], dtype=pl.Boolean))
    if states is not None:
        yield pl.col("state").is_in([_state_code(state) for state in states])
    if timezones is not None:
        _check_timezones(timezones)
        yield pl.col("timezone").is_in(list(timezones))
    if availability_below is not None:
        if not 0 <= availability_below <= 1:
            raise InputError(f"availability_below is {availability_below}; valid are 0 to 1")
        yield pl.col("availability") < availability_below


def _looked_after(
    without: Collection[str], observed: Observed | None, last_observed_before: int | None
) -> Iterator[pl.Expr]:
    """Yield what rows must meet, of what their stores lack and when they were observed."""
    if unknown := sorted(set(without) - set(LACKING)):
        raise InputError(f"no store is without {unknown[0]!r}; valid are {', '.join(LACKING)}")
    if observed not in (None, *get_args(Observed)):
        raise InputError(f"observed is {observed!r}; valid are {', '.join(get_args(Observed))}")
    for lacking in without:
        yield pl.col("hours_are_default" if lacking == "hours" else "timezone_is_default")
    if observed is not None:
        last = pl.col("last_observed_at_us")
        yield last.is_null() if observed == "never" else last.is_not_null()
    if last_observed_before is not None:
        yield pl.col("last_observed_at_us") < last_observed_before


def _state_code(state: str) -> int:
    if state not in STATES:
        raise InputError(f"there is no state {state!r}; valid are {', '.join(STATES)}")
    return STATES.index(state)


def _check_timezones(timezones: Collection[str]) -> None:
    if unknown := set(timezones) - timezone_names():
        raise InputError(f"unknown time zone {min(unknown)!r}; valid are IANA names such as {DEFAULT_TIMEZONE!r}")


def _later(after: Place, store_ids: Sequence[str]) -> pl.Expr:
    """Choose the rows that come after a place, whose own row need not be there any more."""
    row, value = pl.col("row"), pl.col(_COLUMNS[after.sort])
    following = row >= bisect_right(store_ids, after.store_id)
    if after.sort == "store_id":
        return row < bisect_left(store_ids, after.store_id) if after.descending else following
    if after.key is None:
        return value.is_null() & following
    beyond = value < after.key if after.descending else value > after.key
    return value.is_null() | beyond | ((value == after.key) & following)


def _order(sort_and_direction: tuple[str, bool]) -> str:
    sort, descending = sort_and_direction
    return f"{sort[:40]}, {'descending' if descending else 'ascending'}"
