"""A fleet at a glance: the state of every store at one instant, since when, and its figures in one window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.reports.columns import number_or_null
from uphours.reports.comparison import Changes, change_facts
from uphours.reports.expected import Expected, expected
from uphours.reports.history import LostThen, lost_then
from uphours.reports.last_day import LastDays, last_days
from uphours.reports.measure import latest_instant, run_report
from uphours.reports.memberships import Labels, rows_where
from uphours.reports.reading import NEVER, read_fleet
from uphours.reports.report import Figures, Report
from uphours.reports.standouts import Hours
from uphours.reports.store_states import STATES, states_at
from uphours.schema import Fleet, Instants, Statuses, Target
from uphours.where import NO_VALUE, Where


@dataclass(frozen=True)
class Overview:
    """What is known of each store at ``report.as_of``; all arrays in the order of ``store_ids``.

    ``report``: all stores, one window. ``states``: uint8, a position in ``STATES``. ``since_us``,
    ``last_observed_at_us``: int64, ``NEVER`` where there is none. ``timezone_is_default``: bool, without a zone
    of its own. ``hours_are_default``: bool, without hours: it is always open. ``hours_known``: bool,
    false where rows of hours or zones were given and none could be used; the state of the store is ``hours unknown``.
    ``expected``: what availability is expected of each store at ``report.as_of``. ``labels``: the values of their
    attributes at it. ``last_days``: the day up to it, and ``lost_then``: what is lost in some hours of the week, where
    it was asked for.

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
    expected: Expected
    labels: Labels = field(default_factory=dict)
    last_days: LastDays | None = None
    lost_then: LostThen | None = None

    def of(self, rows: npt.NDArray[np.int64]) -> Overview:
        """Return some of the stores, given by position, ascending."""
        places = rows.tolist()
        return Overview(
            self.report.of(rows), self.states[rows], self.since_us[rows], self.last_observed_at_us[rows],
            [self.timezones[row] for row in places], self.timezone_is_default[rows], self.hours_are_default[rows],
            self.hours_known[rows], self.followed_back_to_us, self.expected.of(rows),
            {name: [values[row] for row in places] for name, values in self.labels.items()},
            None if self.last_days is None else self.last_days.of(rows),
            None if self.lost_then is None else self.lost_then.of(rows),
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
    with_last_days: bool = False,
    targets: Sequence[Target] = (),
    hours: Hours | None = None,
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
    with_last_days
        Also keep the timelines of the last day.
    targets
        All targets that are set, whenever they are in force.
    hours
        Also measure what each store loses in these hours of the week, as its own clock shows them.

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

    lost = None if hours is None else lost_then(fleet, hours, as_of=as_of, window=window, policy=policy)
    states, since = states_at(known, as_of, policy)
    schedule = known.schedule
    order = np.array(sorted(range(len(fleet.store_ids)), key=list(fleet.store_ids).__getitem__), dtype=np.int64)
    labelled = {name: [values[store] for store in order.tolist()] for name, values in (labels or {}).items()}
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
        expected=expected(targets, as_of, labelled, len(order)),
        labels=labelled,
        last_days=last_days(known, as_of, policy).of(order) if with_last_days else None,
        lost_then=None if lost is None else lost.of(order),
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
        **_compared(overview, lambda figures: {name: number_or_null(of[row].item()) for name, of in figures.items()}),
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
