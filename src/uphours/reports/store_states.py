"""The state of each store of a fleet at one instant, and since when it has it."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from uphours.kernel.policy import Policy
from uphours.kernel.schedule import sessions
from uphours.reports.measure import Timelines, in_parts
from uphours.reports.reading import NEVER, Known
from uphours.reports.store_calendar import is_weekly
from uphours.schema import DAY_US, FIRST_INSTANT, SPAN_STATUSES, Instants, Schedule, Statuses

#: States by their code: the statuses of a span, and two more.
STATES: Final = (*SPAN_STATUSES, "closed", "hours unknown")
_CLOSED: Final = STATES.index("closed")
_HOURS_UNKNOWN: Final = STATES.index("hours unknown")

#: No store with hours stays closed longer, even if a clock change swallows one of its weekly sessions.
_LONGEST_CLOSED_US: Final = 15 * DAY_US
#: Special hours, a first week and a last day may close it for longer; further back it is not looked up.
_LONGEST_FOLLOWED_US: Final = 5 * 366 * DAY_US


def states_at(fleet: Known, as_of: int, policy: Policy) -> tuple[Statuses, Instants]:
    """Return the state of each store at the instant ``as_of``, and since when it has it."""
    first_seen = fleet.first_seen()
    start = max(int(first_seen[first_seen != NEVER].min(initial=as_of)), fleet.start)
    # The timeline goes on for the microsecond that begins with as_of; nothing observed in it is known but at as_of.
    parts = in_parts(
        fleet.known,
        fleet.schedule,
        fleet.adjustments,
        min(start, as_of + 1),
        as_of + 1,
        policy,
        lambda first, stop, made: _states_of(
            made, fleet.schedule.of(first, stop), first_seen[first:stop], fleet.start, as_of
        ),
    )
    states, since = zip(*parts, strict=True)
    return np.concatenate(states), np.concatenate(since)


def _states_of(
    made: Timelines, schedule: Schedule, first_seen: Instants, back_to: int, as_of: int
) -> tuple[Statuses, Instants]:
    spans = made.spans
    states = np.full(len(first_seen), _CLOSED, dtype=np.uint8)
    last = spans.offsets[1:] - 1
    any_span = np.flatnonzero(np.diff(spans.offsets))
    is_open = any_span[spans.ends[last[any_span]] > as_of]
    states[is_open] = spans.statuses[last[is_open]]
    since = np.where(
        states == _CLOSED,
        _closed_since(schedule, states == _CLOSED, as_of, is_whole=back_to <= FIRST_INSTANT),
        _open_since(made, states, first_seen, back_to, as_of),
    )
    states[~schedule.known()] = _HOURS_UNKNOWN
    return states, since


def _open_since(made: Timelines, states: Statuses, first_seen: Instants, back_to: int, as_of: int) -> Instants:
    """Return when the run of spans began that goes on at ``as_of``, for stores that are open then."""
    spans = made.spans
    stores = np.repeat(np.arange(len(states)), np.diff(spans.offsets))
    # Before its first observation a store was not watched, so nothing goes on there.
    found = made.runs((spans.statuses == states[stores]) & (spans.ends > first_seen[stores]))
    ongoing = found.ends > as_of
    run_stores, starts = found.stores[ongoing], found.starts[ongoing]
    # A run from the first span on may have begun before it, if the store was observed by then.
    may_be_longer = (starts == spans.starts[spans.offsets[run_stores]]) & (first_seen[run_stores] <= back_to)
    since = np.full(len(states), NEVER, dtype=np.int64)
    since[run_stores] = np.where(may_be_longer, NEVER, np.maximum(starts, first_seen[run_stores]))
    since[first_seen == NEVER] = NEVER
    return since


def _closed_since(schedule: Schedule, closed: npt.NDArray[np.bool_], as_of: int, *, is_whole: bool) -> Instants:
    """Return when the last session before ``as_of`` ended, for stores that are closed then.

    ``is_whole``: the schedule is known on all dates, so that a store which is closed for long can be followed.
    """
    since = np.full(len(closed), NEVER, dtype=np.int64)
    follows = is_whole and not is_weekly(schedule)
    lengths = [_LONGEST_CLOSED_US, _LONGEST_FOLLOWED_US] if follows else [_LONGEST_CLOSED_US]
    for length in lengths:
        starts = np.where(closed & (since == NEVER), as_of - length, as_of)
        found = sessions(schedule, starts, np.full(len(closed), as_of))
        any_session = np.diff(found.offsets) > 0
        since[any_session] = found.ends[found.offsets[1:][any_session] - 1]
    return since
