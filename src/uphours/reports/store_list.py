"""A list of the stores of an overview: which of them, in which order, page by page."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
import polars as pl

from uphours.errors import InputError
from uphours.kernel.local_time import timezone_names
from uphours.reports.fleet import Overview
from uphours.reports.reading import NEVER
from uphours.reports.store_states import STATES
from uphours.reports.tabs import TABS, tab_rows
from uphours.schema import DEFAULT_TIMEZONE
from uphours.wire.words import Lacking, Observed, StoreOrder, Tab

SORTS: Final[tuple[StoreOrder, ...]] = get_args(StoreOrder)
#: The column that a list is sorted by; rows are numbered in the order of their ids.
_COLUMNS: Final[dict[StoreOrder, str]] = dict(
    zip(SORTS, ("row", "availability", "downtime_us", "since_us", "last_observed_at_us"), strict=True)
)
#: What a store can be without, so that it has the default.
LACKING: Final[tuple[Lacking, ...]] = get_args(Lacking)


@dataclass(frozen=True)
class Place:
    """The place after one row in a sorted list: what the row is sorted by (None: it has no value), and its id."""

    sort: StoreOrder
    descending: bool
    key: float | None
    store_id: str


@dataclass(frozen=True)
class Page:
    """Some rows of an overview, by position, and the place to go on from.

    ``end`` is None on the last page. ``total_matching`` counts the rows on all pages, ``tabs`` those of each tab that
    match all else.
    """

    rows: list[int]
    end: Place | None
    total_matching: int
    tabs: Mapping[Tab, int]


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
    tab: Tab = "all",
    sort: StoreOrder = "store_id",
    descending: bool = False,
    after: Place | None = None,
    limit: int,
) -> Page:
    """Return one page of the rows that match everything asked for.

    Of an overview with hours of the week, only stores that lose a larger share of these than of the window.

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
    tab
        Only rows of this tab; see `uphours.reports.tabs.tab_rows`.
    sort
        ``lost_time`` is the down time in the window, or in the hours of the week that the overview has besides,
        ``since`` the instant at which the state began, ``last_observed`` that of the last observation.
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
    if tab not in TABS:
        raise InputError(f"there is no tab {tab!r}; valid are {', '.join(TABS)}")
    found = _table(overview).filter(
        *_in_view(overview, search, states, timezones, availability_below),
        *_looked_after(without or (), observed, last_observed_before),
        *_losing_then(overview),
    )
    places, rows = found["row"].to_numpy(), tab_rows(overview)
    matching = found.filter(rows[tab][places])
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
    tabs = {name: int(np.count_nonzero(chosen[places])) for name, chosen in rows.items()}
    return Page(page["row"].to_list(), end, len(matching), tabs)


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
            "downtime_us": figures["downtime_us"] if overview.lost_then is None else overview.lost_then.downtime_us,
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


def _losing_then(overview: Overview) -> Iterator[pl.Expr]:
    """Yield that a store loses a larger share of the hours that were asked for than of its window, if some were."""
    then = overview.lost_then
    if then is not None:
        of_window = (overview.figures[name].tolist() for name in ("uptime_us", "downtime_us"))
        times = zip(then.uptime_us.tolist(), then.downtime_us.tolist(), *of_window, strict=True)
        # As integers of Python: 64 bits do not hold the products.
        rows = [lost * (up + down) > down * (kept + lost) for kept, lost, up, down in times]
        yield pl.lit(pl.Series(rows, dtype=pl.Boolean))


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
