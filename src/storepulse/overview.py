"""A fleet at a glance: the state of every store at one instant, since when, and its figures in one window.

The rows are found, sorted and cut into pages here; what the figures are is decided in `storepulse.reports`.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias, get_args
from zlib import crc32

import numpy as np
import numpy.typing as npt

from storepulse.errors import InputError
from storepulse.kernel.hours import sessions, timezone_names
from storepulse.kernel.outages import outages
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import Window
from storepulse.reports import NEVER, Figures, Known, Report, latest, read, reconstruct, run_report
from storepulse.schema import (
    ACTIVE,
    DAY_US,
    DEFAULT_TIMEZONE,
    INACTIVE,
    SPAN_STATUSES,
    Fleet,
    Instants,
    Spans,
    Statuses,
    WeeklyHours,
)

Sort: TypeAlias = Literal["store_id", "availability", "lost_time", "since", "last_observed"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)
#: What a store can be without, so that it has the default.
Lacking: TypeAlias = Literal["hours", "timezone"]
LACKING: Final[tuple[Lacking, ...]] = get_args(Lacking)
Observed: TypeAlias = Literal["ever", "never"]

#: States by their code: the statuses of a span, and one more.
STATES: Final = (*SPAN_STATUSES, "closed")
_CLOSED: Final = STATES.index("closed")

#: No store with hours stays closed longer, even if a clock change swallows one of its weekly sessions.
_LONGEST_CLOSED_US: Final = 15 * DAY_US


@dataclass(frozen=True)
class Overview:
    """What is known of each store at ``report.as_of``; all arrays in the order of ``store_ids``.

    ``report``: all stores, one window. ``states``: uint8, a position in ``STATES``. ``since_us``,
    ``last_observed_at_us``: int64, ``NEVER`` where there is none. ``timezone_is_default``: bool, nobody gave
    the store a zone. ``hours_are_default``: bool, there is no row of hours.

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
    followed_back_to_us: int

    @property
    def store_ids(self) -> Sequence[str]:
        """The ids, in order of text."""
        return self.report.store_ids

    @cached_property
    def figures(self) -> Figures:
        """Every figure of the report, by name, as an array with an element a store."""
        return {name: values[:, 0] for name, values in self.report.figures().items()}


def overview(
    fleet: Fleet,
    *,
    as_of: int | None = None,
    window: str | Window = "last_week",
    policy: Policy | None = None,
    version: str,
    whole_history: bool = False,
    loads_seen: int | None = None,
) -> Overview:
    """Look at all stores of a fleet, observed or not.

    Parameters
    ----------
    as_of
        UTC microseconds; the latest observation unless given. Nothing after it is used.
    window
        Of the figures, by name or whole.
    version
        The version of the program, for the record.
    whole_history
        Follow every state back to the first observation of its store: exact, and for single stores. Without
        it, back to the start of the window, or a week where that is further.
    loads_seen
        The number of the last load that the store held, for the record.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or the window is unknown.
    """
    policy = policy or Policy()
    as_of = latest(fleet) if as_of is None else as_of
    known = read(fleet, as_of=as_of, window=window, whole_history=whole_history)
    report = run_report(
        known, as_of=as_of, chosen=[window], policy=policy, all_stores=True, version=version, loads_seen=loads_seen
    )

    states, since = _states(known, as_of, policy)
    hours = fleet.hours
    order = np.array(sorted(range(len(fleet.store_ids)), key=list(fleet.store_ids).__getitem__), dtype=np.int64)
    zones = [hours.zone_names[zone] for zone in hours.zones[order].tolist()]
    return Overview(
        report=report,
        states=states[order],
        since_us=since[order],
        last_observed_at_us=known.last_seen()[order],
        timezones=zones,
        timezone_is_default=(
            np.zeros(len(order), dtype=np.bool_) if hours.zone_is_default is None else hours.zone_is_default[order]
        ),
        hours_are_default=np.bincount(hours.stores, minlength=len(hours.zones))[order] == 0,
        followed_back_to_us=known.start,
    )


# --- the state, and since when -----------------------------------------------------------------------


def _states(fleet: Known, as_of: int, policy: Policy) -> tuple[Statuses, Instants]:
    """Return the state of each store at the instant ``as_of``, and since when it has it."""
    first_seen = fleet.first_seen()
    start = max(int(first_seen[first_seen != NEVER].min(initial=as_of)), fleet.start)
    # The timeline goes on for the microsecond that begins with as_of; nothing observed in it is known but at as_of.
    spans = reconstruct(fleet, start, as_of + 1, as_of + 1, policy).spans
    states = np.full(len(first_seen), _CLOSED, dtype=np.uint8)
    last = spans.offsets[1:] - 1
    any_span = np.flatnonzero(np.diff(spans.offsets))
    is_open = any_span[spans.ends[last[any_span]] > as_of]
    states[is_open] = spans.statuses[last[is_open]]
    since = np.where(
        states == _CLOSED,
        _closed_since(fleet.hours, states == _CLOSED, as_of),
        _open_since(spans, states, first_seen, fleet.start, as_of),
    )
    return states, since


def _open_since(spans: Spans, states: Statuses, first_seen: Instants, back_to: int, as_of: int) -> Instants:
    """Return when the run of spans began that goes on at ``as_of``, for stores that are open then."""
    stores = np.repeat(np.arange(len(states)), np.diff(spans.offsets))
    # What the kernel says of outages holds for runs of any status, once that status is called down. Before its
    # first observation nobody looked at a store, so nothing goes on there.
    goes_on = (spans.statuses == states[stores]) & (spans.ends > first_seen[stores])
    runs = outages(replace(spans, statuses=np.where(goes_on, INACTIVE, ACTIVE).astype(np.uint8)))
    ongoing = runs.ends > as_of
    run_stores, starts = runs.stores[ongoing], runs.starts[ongoing]
    # A run from the first span on may have begun before it, if the store was observed by then.
    may_be_longer = (starts == spans.starts[spans.offsets[run_stores]]) & (first_seen[run_stores] <= back_to)
    since = np.full(len(states), NEVER, dtype=np.int64)
    since[run_stores] = np.where(may_be_longer, NEVER, np.maximum(starts, first_seen[run_stores]))
    since[first_seen == NEVER] = NEVER
    return since


def _closed_since(hours: WeeklyHours, closed: npt.NDArray[np.bool_], as_of: int) -> Instants:
    """Return when the last session before ``as_of`` ended, for stores that are closed then."""
    starts = np.where(closed, as_of - _LONGEST_CLOSED_US, as_of)
    found = sessions(hours, starts, np.full(len(closed), as_of))
    since = np.full(len(closed), NEVER, dtype=np.int64)
    any_session = np.diff(found.offsets) > 0
    since[any_session] = found.ends[found.offsets[1:][any_session] - 1]
    return since


# --- plain values ------------------------------------------------------------------------------------


def facts(overview: Overview, row: int) -> dict[str, Any]:
    """Return what is known of one store as plain values, given its position; None where there is nothing."""
    return {
        "store_id": overview.store_ids[row],
        "state": STATES[overview.states[row]],
        "since_us": _instant_or_null(overview.since_us[row]),
        "last_observed_at_us": _instant_or_null(overview.last_observed_at_us[row]),
        "timezone": overview.timezones[row],
        "timezone_is_default": bool(overview.timezone_is_default[row]),
        "hours_are_default": bool(overview.hours_are_default[row]),
        **{name: _number_or_null(values[row].item()) for name, values in overview.figures.items()},
    }


def fleet_facts(overview: Overview) -> dict[str, Any]:
    """Return the fleet as a whole as plain values: stores, how many have each state, and sums over all stores.

    Availability and coverage are those of the sums, never a mean of percentages.
    """
    # As integers of Python: thirty years of ten thousand stores do not fit into 64 bits.
    sums = {
        name: sum(values.tolist())
        for name, values in overview.figures.items()
        if name not in ("availability", "coverage", "longest_outage_us")
    }
    known = sums["business_us"] - sum(overview.report.totals.unknown_us[:, 0].tolist())
    counts = np.bincount(overview.states, minlength=len(STATES)).tolist()
    return {
        "stores": len(overview.store_ids),
        "states": dict(zip(STATES, counts, strict=True)),
        **sums,
        "availability": _ratio(sums["uptime_us"], sums["uptime_us"] + sums["downtime_us"]),
        "coverage": _ratio(known, sums["business_us"]),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _instant_or_null(instant: np.int64) -> int | None:
    return None if instant == NEVER else int(instant)


def _number_or_null(value: float) -> float | None:
    return None if value != value else value  # NaN


# --- pages -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    """Some rows of an overview, by position, and how to go on.

    ``next_cursor`` is None on the last page. ``total_matching`` counts the rows on all pages.
    """

    rows: list[int]
    next_cursor: str | None
    total_matching: int


@dataclass(frozen=True)
class Cursor:
    """The place after one row in a sorted list: what the row is sorted by (None: it has no value), and its id."""

    sort: Sort
    descending: bool
    key: float | None
    store_id: str

    def encode(self) -> str:
        """Write it as text that stands in a URL as it is."""
        packed = json.dumps([self.sort, self.descending, self.key, self.store_id]).encode()
        return urlsafe_b64encode(crc32(packed).to_bytes(4, "big") + packed).decode().rstrip("=")

    @staticmethod
    def decode(text: str) -> Cursor:
        """Read what `encode` wrote.

        Raises
        ------
        InputError
            Something else, or somebody changed it.
        """
        try:
            packed = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))[4:]
            sort, descending, key, store_id = json.loads(packed)
            cursor = Cursor(sort, descending, key, store_id)
            if cursor.encode() == text and _makes_sense(sort, descending, key, store_id):
                return cursor
        except (ValueError, TypeError, RecursionError):
            pass
        raise InputError(
            f"cannot read the cursor {text[:100]!r}; valid is the next_cursor of the page before, unchanged"
        )


def _makes_sense(sort: object, descending: object, key: object, store_id: object) -> bool:
    in_range = key is None or (isinstance(key, (int, float)) and -(2**63) <= key < 2**63)
    return sort in SORTS and isinstance(descending, bool) and in_range and isinstance(store_id, str)


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
    after: str | None = None,
    limit: int,
) -> Page:
    """Return one page of the rows that match everything asked for.

    The order is total: rows without a value come last in either direction, equal ones in order of store id.

    Parameters
    ----------
    search
        Part of a store id, in capitals or not.
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
        The ``next_cursor`` of the page before; None for the first page.
    limit
        The number of rows on a page, at least 1.

    Raises
    ------
    InputError
        A value is not valid, or the cursor was not made by a page in the same order.
    """
    if limit < 1:
        raise InputError(f"limit is {limit}; valid are 1 and more")
    matching = _matching(overview, search, states, timezones, availability_below)
    matching &= _looked_after(overview, without or (), observed, last_observed_before)
    ranks = _ranks(overview, sort, descending=descending)
    # Stable: equal rows stay in the order of the overview, which is that of their ids.
    order = np.lexsort((ranks.keys, ranks.none))
    order = order[matching[order]]
    rest = order if after is None else order[ranks.later(Cursor.decode(after), overview.store_ids)[order]]
    rows: list[int] = rest[:limit].tolist()
    goes_on = len(rest) > limit
    return Page(rows, ranks.cursor_after(rows[-1], overview.store_ids[rows[-1]]) if goes_on else None, len(order))


def _matching(
    overview: Overview,
    search: str | None,
    states: Collection[str] | None,
    timezones: Collection[str] | None,
    availability_below: float | None,
) -> npt.NDArray[np.bool_]:
    matching = np.ones(len(overview.store_ids), dtype=np.bool_)
    if search is not None:
        part = search.casefold()
        matching &= np.array([part in store_id.casefold() for store_id in overview.store_ids], dtype=np.bool_)
    if states is not None:
        matching &= np.isin(overview.states, [_state_code(state) for state in states])
    if timezones is not None:
        _check_timezones(timezones)
        matching &= np.array([zone in timezones for zone in overview.timezones], dtype=np.bool_)
    if availability_below is not None:
        if not 0 <= availability_below <= 1:
            raise InputError(f"availability_below is {availability_below}; valid are 0 to 1")
        matching &= overview.figures["availability"] < availability_below  # false for what is not known
    return matching


def _looked_after(
    overview: Overview, without: Collection[str], observed: Observed | None, last_observed_before: int | None
) -> npt.NDArray[np.bool_]:
    """Say of each row whether its store lacks what it shall lack, and was observed when it shall have been."""
    if unknown := sorted(set(without) - set(LACKING)):
        raise InputError(f"no store is without {unknown[0]!r}; valid are {', '.join(LACKING)}")
    if observed not in (None, *get_args(Observed)):
        raise InputError(f"observed is {observed!r}; valid are {', '.join(get_args(Observed))}")
    matching = np.ones(len(overview.store_ids), dtype=np.bool_)
    if "hours" in without:
        matching &= overview.hours_are_default
    if "timezone" in without:
        matching &= overview.timezone_is_default
    never = overview.last_observed_at_us == NEVER
    if observed is not None:
        matching &= never if observed == "never" else ~never
    if last_observed_before is not None:
        matching &= ~never & (overview.last_observed_at_us < last_observed_before)
    return matching


def _state_code(state: str) -> int:
    if state not in STATES:
        raise InputError(f"there is no state {state!r}; valid are {', '.join(STATES)}")
    return STATES.index(state)


def _check_timezones(timezones: Collection[str]) -> None:
    if unknown := set(timezones) - timezone_names():
        raise InputError(f"unknown time zone {min(unknown)!r}; valid are IANA names such as {DEFAULT_TIMEZONE!r}")


@dataclass(frozen=True)
class _Ranks:
    """What the rows of an overview are ordered by: first ``none``, the rows without a value, then ``keys``."""

    sort: Sort
    descending: bool
    values: npt.NDArray[Any]
    none: npt.NDArray[np.bool_]

    @cached_property
    def keys(self) -> npt.NDArray[Any]:
        """Return numbers that ascend in the order asked for."""
        return np.where(self.none, 0, -self.values if self.descending else self.values)

    def cursor_after(self, row: int, store_id: str) -> str:
        no_key = self.sort == "store_id" or self.none[row]
        return Cursor(self.sort, self.descending, None if no_key else self.values[row].item(), store_id).encode()

    def later(self, cursor: Cursor, store_ids: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Say of each row whether it comes after the cursor, whose own row need not be there any more."""
        if (cursor.sort, cursor.descending) != (self.sort, self.descending):
            raise InputError(
                f"the cursor continues a list sorted by {_order(cursor)}, this one is sorted by {_order(self)}; "
                "valid is the next_cursor of the page before"
            )
        places = np.arange(len(store_ids))
        following = places >= bisect_right(store_ids, cursor.store_id)
        if self.sort == "store_id":
            return places < bisect_left(store_ids, cursor.store_id) if self.descending else following
        if cursor.key is None:
            return self.none & following
        key = -cursor.key if self.descending else cursor.key
        later: npt.NDArray[np.bool_] = self.none | (self.keys > key) | ((self.keys == key) & following)
        return later


def _order(sorted_list: Cursor | _Ranks) -> str:
    return f"{sorted_list.sort}, {'descending' if sorted_list.descending else 'ascending'}"


def _ranks(overview: Overview, sort: Sort, *, descending: bool) -> _Ranks:
    figures, none = overview.figures, np.zeros(len(overview.states), dtype=np.bool_)
    match sort:
        case "store_id":
            return _Ranks(sort, descending, np.arange(len(none)), none)
        case "availability":
            return _Ranks(sort, descending, figures["availability"], np.isnan(figures["availability"]))
        case "lost_time":
            return _Ranks(sort, descending, figures["downtime_us"], none)
        case "since":
            return _Ranks(sort, descending, overview.since_us, overview.since_us == NEVER)
        case "last_observed":
            seen_at = overview.last_observed_at_us
            return _Ranks(sort, descending, seen_at, seen_at == NEVER)
    raise InputError(f"cannot sort by {sort!r}; valid are {', '.join(SORTS)}")
