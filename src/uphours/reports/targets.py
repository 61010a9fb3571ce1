"""What is left of the downtime that targets allow: in a whole calendar period, of all their stores and of each.

The budget follows from calendar and ledger, over the whole period, future schedule and known exclusions included; what
is used of it follows from the polls so far. A target counts a store as long as the store belongs to its filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np

from uphours.kernel.local_time import local_date, tzdata_version
from uphours.kernel.periods import Period, period_around
from uphours.kernel.policy import Policy
from uphours.kernel.schedule import zone_changes
from uphours.kernel.windows import laid_in_pieces, windows
from uphours.reports.ahead import Ahead, ahead
from uphours.reports.downtime_budgets import Budget, Measured, measure_pieces, nothing_observed
from uphours.reports.measure import extent, latest_instant, schedule_over
from uphours.reports.memberships import AttributedFleet, Memberships, memberships
from uphours.reports.reading import read_windows
from uphours.schema import (
    PERIODS,
    SINCE_EVER,
    WHOLE_SHARE,
    Schedule,
    Target,
    instant_iso,
)
from uphours.version import VERSION
from uphours.where import where_of_texts

_EPOCH: Final = date(1970, 1, 1)
#: Of a target that is asked for by its share alone.
_USUAL_PERIOD: Final = "month"


class TargetedFleet(AttributedFleet, Protocol):
    """A fleet for which there are targets."""

    def targets(self) -> list[Target]:
        """Return all targets, in order of name and date."""


@dataclass(frozen=True)
class Outcome:
    """How a target stands in a period: of its stores together, and of each.

    ``store_ids``: those that belong to it at some time of the period, in order of position in the fleet.
    ``not_observed``: how many others belong to it that were never observed, and do not count.
    """

    target: Target
    period: Period
    store_ids: Sequence[str]
    not_observed: int
    _measured: Measured

    @property
    def nbytes(self) -> int:
        """How much memory its figures take."""
        return self._measured.nbytes

    @cached_property
    def pooled(self) -> Budget:
        """The sums over all stores."""
        return self._measured.budget(self.target, slice(None))

    @cached_property
    def is_met(self) -> list[bool | None]:
        """Whether each store meets the target so far; None where nothing is known of it."""
        return self._measured.is_met(self.target)

    def by_store(self) -> list[tuple[str, Budget]]:
        """Return each store, the worst first: by availability, then by id; those of which nothing is known last."""
        return self._worst_first(range(len(self.store_ids)))

    def below(self, most: int | None = None) -> list[tuple[str, Budget]]:
        """Return the stores that are below the target, the worst first, and ``most`` of them at most."""
        return self._worst_first([place for place, is_met in enumerate(self.is_met) if is_met is False], most)

    def _worst_first(self, places: Sequence[int], most: int | None = None) -> list[tuple[str, Budget]]:
        up, down = self._measured.uptime_us.tolist(), self._measured.downtime_us.tolist()

        def badness(place: int) -> tuple[Fraction, str]:
            known = up[place] + down[place]
            return Fraction(up[place], known) if known else Fraction(2), self.store_ids[place]

        return [
            (self.store_ids[place], self._measured.budget(self.target, place))
            for place in sorted(places, key=badness)[:most]
        ]

    def facts(self, most: int | None = None) -> dict[str, Any]:
        """Return it as plain values; with ``most`` of the stores that are below the target, unless given all."""
        return {
            **definition(self.target),
            "calendar_period": self.period.facts(),
            **self.pooled.facts(),
            "stores": len(self.store_ids),
            "stores_met": self.is_met.count(True),
            "stores_below": self.is_met.count(False),
            "stores_unknown": self.is_met.count(None),
            "stores_not_observed": self.not_observed,
            "below": [{"store_id": store_id, **budget.facts()} for store_id, budget in self.below(most)],
        }


@dataclass(frozen=True)
class Targets:
    """Targets that are in force in a period, in order of name; ``defined``: all that there are, with their dates.

    ``today``: the earliest of the dates that the clocks of the stores show at ``as_of``.
    """

    as_of: int
    policy: Policy
    outcomes: list[Outcome]
    defined: list[Target]
    loads_seen: int | None = None
    entries_seen: int | None = None
    ahead: Ahead | None = None
    today: date = _EPOCH

    def of_stores(self, fleet: TargetedFleet) -> Targets:
        """Return the targets to which any store of a fleet belongs at some time, as though there were no others."""
        shown = [outcome.target for outcome in self.outcomes]
        wheres = {target.where for target in [*self.defined, *shown] if target.share is not None}
        chosen = {where for where in wheres if any(_fits(_belonging(fleet, where), where))}
        names = {target.name for target in self.defined if target.share is not None and target.where in chosen}
        return replace(
            self,
            outcomes=[outcome for outcome in self.outcomes if outcome.target.where in chosen],
            defined=[
                target
                for target in self.defined
                if target.name in names and (target.share is None or target.where in chosen)
            ],
        )

    def facts(self, most: int | None = None) -> dict[str, Any]:
        """Return all of it as plain values; ``most`` as in `Outcome.facts`."""
        return {
            "as_of": instant_iso(self.as_of),
            "as_of_us": self.as_of,
            "policy": self.policy.to_dict(),
            "version": VERSION,
            "tzdata": tzdata_version(),
            **({} if self.ahead is None else {"ahead": self.ahead.facts()}),
            "targets": [outcome.facts(most) for outcome in self.outcomes],
            "defined": [definition(target) for target in self.defined],
        }


def definition(target: Target) -> dict[str, Any]:
    """Return what a target is, as a row that can be loaded again."""
    return {
        "name": target.name,
        "where": target.where.replace("\n", ";"),
        "target": None if target.share is None else target.share * 100 / WHOLE_SHARE,
        "period": target.period or None,
        "valid_from": None if target.since == SINCE_EVER else str(_EPOCH + timedelta(days=target.since)),
    }


def targets(
    fleet: TargetedFleet,
    *,
    period: Period | None = None,
    expected: int | None = None,
    as_of: int | None = None,
    policy: Policy | None = None,
    all_stores: bool = False,
    loads_seen: int | None = None,
    entries_seen: int | None = None,
    now: int | None = None,
) -> Targets:
    """Return how the targets stand that are in force on the first day of a period.

    Parameters
    ----------
    period
        Targets of its kind are looked at. Unless given: of each kind the period that has not ended yet, at ``as_of``,
        in the zone of every store.
    expected
        A share in 100,000ths: look at one target of every store with it, instead of those that are in force. Its period
        is the month unless given.
    as_of
        UTC microseconds; the latest observation unless given. No poll after it is used.
    all_stores
        Also count stores without any observation at or before ``as_of``.
    loads_seen, entries_seen, now
        As with `uphours.reports.measure.run_report`.

    Raises
    ------
    InputError
        There is no observation to take ``as_of`` from, or observations of the period were pruned.
    """
    policy = policy or Policy()
    far = None
    if as_of is None:
        as_of = latest_instant(fleet)
        far = None if now is None else ahead(fleet, as_of, now)
    defined = fleet.targets()
    today = _date_furthest_behind(fleet.clocks, as_of)
    if expected is None:
        periods = [period_around(kind, today) for kind in PERIODS] if period is None else [period]
        shown = {one: in_force(defined, one) for one in periods}
    else:
        only = period or period_around(_USUAL_PERIOD, today)
        shown = {only: [Target(f"{expected * 100 / WHOLE_SHARE:g} %", SINCE_EVER, "", expected, only.kind)]}
    outcomes = [
        outcome
        for one, chosen in shown.items()
        if chosen
        for outcome in _outcomes(fleet, one, chosen, as_of, policy, all_stores=all_stores)
    ]
    outcomes.sort(key=lambda outcome: (outcome.target.name, outcome.period.name))
    return Targets(as_of, policy, outcomes, defined, loads_seen, entries_seen, far, today)


def in_force(defined: Sequence[Target], period: Period) -> list[Target]:
    """Return the targets of the kind of a period that are in force on its first day, in order of name."""
    day = (period.first - _EPOCH).days
    latest = {target.name: target for target in sorted(defined, key=lambda one: one.since) if target.since <= day}
    chosen = [target for target in latest.values() if target.share is not None and target.period == period.kind]
    return sorted(chosen, key=lambda target: target.name)


def wanted_of(where: str) -> dict[str, tuple[str, ...]]:
    """Return the values that a store of a target must have one of, by name of attribute."""
    return dict(where_of_texts(where.splitlines()))


def _belonging(fleet: TargetedFleet, where: str) -> Memberships:
    return memberships(fleet.clocks, fleet.attributes(), list(wanted_of(where)))


def _fits(belongs: Memberships, where: str) -> list[bool]:
    """Return which of the values that hold at some time are those of the stores that are meant."""
    wanted = wanted_of(where).values()
    return [all(value in some for value, some in zip(key, wanted, strict=True)) for key in belongs.keys]


def _date_furthest_behind(clocks: Schedule, as_of: int) -> date:
    """Return the earliest of the dates that the clocks of stores show; without stores that of UTC."""
    zones = clocks.zones.copy()
    stores, since, changed = zone_changes(clocks)
    begun = since <= as_of
    zones[stores[begun]] = changed[begun]  # of several of a store, the last one stays
    names = {clocks.zone_names[zone] for zone in np.unique(zones).tolist()} or {"UTC"}
    return min(local_date(name, as_of) for name in names)


def _outcomes(
    fleet: TargetedFleet, period: Period, chosen: Sequence[Target], as_of: int, policy: Policy, *, all_stores: bool
) -> list[Outcome]:
    """Measure the stores of each target in a period; the fleet is read once."""
    window = period.window()
    known = read_windows(fleet, as_of=as_of, chosen=[window])
    laid = windows([window], as_of, fleet.clocks)
    start, end = extent(laid, int(laid.ends.max(initial=as_of)))
    whole = schedule_over(fleet, nothing_observed(len(fleet.store_ids)), start, end)
    # A store that was ever observed up to as_of has an observation here, however old.
    observed = np.diff(known.known.offsets) > 0
    attributes = fleet.attributes()
    values: dict[tuple[str, ...], Memberships] = {}
    made = []
    for target in chosen:
        names = tuple(wanted_of(target.where))
        if names not in values:
            values[names] = memberships(fleet.clocks, attributes, names)
        belongs = values[names]
        fits = np.array(_fits(belongs, target.where), dtype=np.bool_)
        starts = np.maximum(laid.starts[belongs.stores, 0], belongs.starts)
        ends = np.minimum(laid.ends[belongs.stores, 0], belongs.ends)
        rows = np.flatnonzero(fits[belongs.groups] & (starts < ends)) if len(fits) else np.empty(0, dtype=np.int64)
        counts = observed[belongs.stores[rows]] | all_stores
        others = len(np.unique(belongs.stores[rows[~counts]]))
        rows = rows[counts]
        stores, pieces, _ = laid_in_pieces(belongs.stores[rows].astype(np.int64), starts[rows], ends[rows])
        measured = measure_pieces(known.of(stores), whole.pick(stores), pieces, as_of, policy)
        made.append(Outcome(target, period, [fleet.store_ids[store] for store in stores.tolist()], others, measured))
    return made
