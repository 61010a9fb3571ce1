"""The questions that a list of stores answers one at a time: who needs attention, who is down throughout, and so on.

Defined here once, for the API, the page, and what is exported from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from uphours.reports.comparison import change_facts
from uphours.reports.fleet import Overview
from uphours.reports.reading import NEVER
from uphours.reports.store_states import STATES
from uphours.schema import DAY_US, HOUR_US, WHOLE_SHARE, Target
from uphours.wire.words import Tab

TABS: Final[tuple[Tab, ...]] = get_args(Tab)
#: Outages in the window from which on a store is unstable.
UNSTABLE_OUTAGES: Final = 5
#: A store without a poll for longer than this is not polled.
NOT_POLLED_US: Final = DAY_US

_DOWN: Final = STATES.index("down")
_Rows: TypeAlias = npt.NDArray[np.bool_]


def tab_rows(overview: Overview) -> dict[Tab, _Rows]:
    """Return which rows of an overview belong to each tab, as bool arrays; a row may belong to several.

    ``attention``: down now, and not throughout the window. ``down_throughout``: down all known open time of the
    window, and some is known. ``unstable``: at least ``UNSTABLE_OUTAGES`` outages in the window. ``below_target``: a
    known availability below a target of the store, but not down throughout. ``not_polled``: no poll in the window, or
    none for more than ``NOT_POLLED_US`` before as_of. ``incomplete``: without hours, without usable hours, or without
    a zone.
    """
    totals, last = overview.report.totals, overview.last_observed_at_us
    throughout = (totals.downtime_us[:, 0] > 0) & (totals.uptime_us[:, 0] == 0)
    not_seen = (last == NEVER) | (last < overview.report.as_of - NOT_POLLED_US)
    return {
        "attention": (overview.states == _DOWN) & ~throughout,
        "down_throughout": throughout,
        "unstable": totals.outages[:, 0] >= UNSTABLE_OUTAGES,
        "below_target": _below(overview) & ~throughout,
        "not_polled": not_seen | (totals.observations[:, 0] == 0),
        "incomplete": overview.hours_are_default | ~overview.hours_known | overview.timezone_is_default,
        "all": np.ones(len(overview.store_ids), dtype=np.bool_),
    }


def missed(overview: Overview, row: int) -> list[Target]:
    """Return the targets that a store is below in the window, given by position, the highest first."""
    up, down = (overview.figures[name][row].item() for name in ("uptime_us", "downtime_us"))
    return [target for target in overview.expected.by_store(row) if _is_below(up, down, target.share or 0)]


def _below(overview: Overview) -> _Rows:
    # A store that is below one of its targets is below the highest.
    shares = overview.expected.shares.tolist()
    up, down = overview.figures["uptime_us"].tolist(), overview.figures["downtime_us"].tolist()
    return np.array([_is_below(*of_store) for of_store in zip(up, down, shares, strict=True)], dtype=np.bool_)


def _is_below(up: int, down: int, share: int) -> bool:
    # As integers of Python: 64 bits do not hold the products of decades.
    return up * WHOLE_SHARE < share * (up + down)


@dataclass(frozen=True)
class KeyFigures:
    """The key figures of a fleet: stores by what is wrong, and availability with and without those down throughout.

    ``went_down_day``, ``went_down_hour``: down at as_of, and since at most a day, or an hour. ``others``: stores of
    which something is known in the window and that are not down throughout it. ``with_target``: how many of them have
    a target, and ``below_target``: how many of those miss it. Availabilities are pooled, 0 to 1, None where nothing
    is known; ``change_of_others`` is the difference to that of the same stores in the window before; None without a
    comparison, and where less than half of that window was watched.
    """

    down_now: int
    went_down_day: int
    went_down_hour: int
    down_throughout: int
    hours_unknown: int
    others: int
    with_target: int
    below_target: int
    downtime_us: int
    downtime_throughout_us: int
    availability: float | None
    availability_of_others: float | None
    change_of_others: float | None


def key_figures(overview: Overview) -> KeyFigures:
    """Return the key figures of a fleet."""
    rows = tab_rows(overview)
    throughout, is_down = rows["down_throughout"], overview.states == _DOWN
    as_of, since = overview.report.as_of, overview.since_us
    lately = is_down & (since != NEVER)
    up, down = overview.figures["uptime_us"], overview.figures["downtime_us"]
    others = (up + down > 0) & ~throughout
    return KeyFigures(
        down_now=_count(is_down),
        went_down_day=_count(lately & (since >= as_of - DAY_US)),
        went_down_hour=_count(lately & (since >= as_of - HOUR_US)),
        down_throughout=_count(throughout),
        hours_unknown=_count(~overview.hours_known),
        others=_count(others),
        with_target=_count(others & (overview.expected.shares > 0)),
        below_target=_count(rows["below_target"]),
        downtime_us=sum(down.tolist()),
        downtime_throughout_us=sum(down[throughout].tolist()),
        availability=_pooled(up, down),
        availability_of_others=_pooled(up[~throughout], down[~throughout]),
        change_of_others=_change(overview, ~throughout),
    )


def _change(overview: Overview, rows: _Rows) -> float | None:
    if overview.figures_before is None:
        return None
    watched, business = (sum(overview.figures_before[name][rows].tolist()) for name in ("watched_us", "business_us"))
    if 2 * watched < business:
        return None
    now, before = (
        {name: sum(figures[name][rows].tolist()) for name in ("uptime_us", "downtime_us")}
        for figures in (overview.figures, overview.figures_before)
    )
    change: float | None = change_facts(now, before)["availability_change"]
    return change


def _count(rows: _Rows) -> int:
    return int(np.count_nonzero(rows))


def _pooled(up: npt.NDArray[Any], down: npt.NDArray[Any]) -> float | None:
    total_up, total_down = sum(up.tolist()), sum(down.tolist())
    return total_up / (total_up + total_down) if total_up + total_down else None
