"""What the page of a store says first: its state, for how much open time, what speaks for it, and what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from uphours.kernel.policy import Policy
from uphours.kernel.schedule import sessions
from uphours.reports.downtime_budgets import nothing_observed
from uphours.reports.last_day import Evidence, last_days
from uphours.reports.measure import schedule_over, timelines
from uphours.reports.reading import Known
from uphours.schema import ACTIVE, DAY_US, INACTIVE, SPAN_STATUSES, Fleet

#: How far ahead the next opening is looked for.
_AHEAD_US: Final = 60 * DAY_US
_POLLED: Final = {"up": ACTIVE, "down": INACTIVE}


@dataclass(frozen=True)
class Headline:
    """What speaks for the state of a store at an instant, and what comes next; instants in UTC microseconds.

    ``open_us``: the open time since the state began, as far as it is in that state; None where it is not known since
    when. ``polls``: how many polls in a row, up to the instant, say so; ``first_poll_us`` and ``last_poll_us``: the
    first and the last of them. ``closes_us``: when the session ends that goes on; ``opens_us``: when the next one
    begins; None where there is none within sixty days, and of a store that is always open. ``evidence``: as in
    `uphours.reports.last_day.LastDay`.
    """

    open_us: int | None
    polls: int
    first_poll_us: int | None
    last_poll_us: int | None
    closes_us: int | None
    opens_us: int | None
    evidence: Evidence | None


def headline(
    fleet: Fleet, known: Known, counted: Fleet, state: str, since: int | None, as_of: int, policy: Policy
) -> Headline:
    """Return what there is to say of the only store of a fleet.

    ``known``: all that was ever observed of it; ``counted``: the same as it counts, perhaps without the ledger.
    """
    first, last, polls = _polls(known, state, as_of)
    closes, opens = _next(fleet, as_of)
    (day,) = last_days(counted, as_of, policy)
    open_time = _open_time(counted, state, since, as_of, policy)
    return Headline(open_time, polls, first, last, closes, opens, day.evidence)


def _open_time(fleet: Fleet, state: str, since: int | None, as_of: int, policy: Policy) -> int | None:
    if since is None or state not in SPAN_STATUSES or since >= as_of:
        return None
    spans = timelines(fleet, since, as_of, as_of, policy).spans
    chosen = spans.statuses == SPAN_STATUSES.index(state)
    return int((spans.ends - spans.starts)[chosen].sum())


def _polls(known: Known, state: str, as_of: int) -> tuple[int | None, int | None, int]:
    """Return the first and the last of the latest polls in a row that say that a store is in a state, and how many."""
    if state not in _POLLED:
        return None, None, 0
    heard = known.known.times <= as_of
    times, statuses = known.known.times[heard], known.known.statuses[heard]
    others = np.flatnonzero(statuses != _POLLED[state])
    run = times[others[-1] + 1 if len(others) else 0 :]
    return (int(run[0]), int(run[-1]), len(run)) if len(run) else (None, None, 0)


def _next(fleet: Fleet, as_of: int) -> tuple[int | None, int | None]:
    """Return when the only store of a fleet closes, if it is open, and when it opens next."""
    until = as_of + _AHEAD_US
    schedule = schedule_over(fleet, nothing_observed(1), as_of, until)
    found = sessions(schedule, np.array([as_of]), np.array([until]))
    closes = [
        end for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True) if start <= as_of < end
    ]
    opens = [start for start in found.starts.tolist() if start > as_of]
    return (closes[0] if closes and closes[0] < until else None), (opens[0] if opens else None)
