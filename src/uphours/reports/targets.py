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
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from uphours.kernel.local_time import local_date, tzdata_version
from uphours.kernel.periods import Period, period_around
from uphours.kernel.policy import Policy
from uphours.kernel.schedule import zone_changes
from uphours.kernel.windows import Windows, windows
from uphours.reports.ahead import Ahead, ahead
from uphours.reports.measure import Timelines, extent, in_parts, latest_instant, schedule_over
from uphours.reports.memberships import AttributedFleet, Memberships, memberships
from uphours.reports.reading import Known, read_windows
from uphours.reports.report import booked
from uphours.schema import (
    EXCLUDED,
    INACTIVE,
    PERIODS,
    SINCE_EVER,
    UNKNOWN,
    WHOLE_SHARE,
    Instants,
    Observations,
    Schedule,
    Spans,
    Target,
    instant_iso,
)
from uphours.version import VERSION
from uphours.where import NO_VALUE

Exhausted: TypeAlias = Literal["past", "projected"]
"""The budget has run out already, or would run out at the present rate."""
Integers: TypeAlias = npt.NDArray[np.int64]

_EPOCH: Final = date(1970, 1, 1)
#: Sums of lengths below this fit into 64 bits.
_FITS: Final = float(1 << 62)


class TargetedFleet(AttributedFleet, Protocol):
    """A fleet for which there are targets."""

    def targets(self) -> list[Target]:
        """Return all targets, in order of name and date."""


@dataclass(frozen=True)
class Budget:
    """What a target allows and what is used of it, in microseconds; of one store, or of several added up.

    ``business_us``: business time of the whole period; ``elapsed_us``: the part of it before as_of, which is
    ``uptime_us + used_us + unknown_us``. ``budget_us``: the downtime that the target allows, rounded down; ``used_us``:
    downtime so far; ``left_us``: the difference, negative where more is used. ``is_met``: whether availability so far
    is at least the target; None where nothing is known. ``exhausted_at``: when the budget has run out (``exhausted``
    ``past``) or will run out in this period if business time goes on as so far (``projected``), UTC microseconds; None
    for neither.
    """

    business_us: int
    budget_us: int
    used_us: int
    left_us: int
    elapsed_us: int
    uptime_us: int
    unknown_us: int
    is_met: bool | None
    exhausted_at: int | None
    exhausted: Exhausted | None

    @property
    def availability(self) -> float | None:
        """Uptime over known time; None where nothing is known."""
        known = self.uptime_us + self.used_us
        return self.uptime_us / known if known else None

    def facts(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "availability": self.availability,
            "met": self.is_met,
            "budget_us": self.budget_us,
            "used_us": self.used_us,
            "left_us": self.left_us,
            "business_us": self.business_us,
            "elapsed_us": self.elapsed_us,
            "uptime_us": self.uptime_us,
            "unknown_us": self.unknown_us,
            "exhausted_at": None if self.exhausted_at is None else instant_iso(self.exhausted_at),
            "exhausted": self.exhausted,
        }


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
    _measured: _Measured

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
    """Targets that are in force in a period, in order of name; ``defined``: all that there are, with their dates."""

    as_of: int
    policy: Policy
    outcomes: list[Outcome]
    defined: list[Target]
    loads_seen: int | None = None
    entries_seen: int | None = None
    ahead: Ahead | None = None

    def of_stores(self, fleet: TargetedFleet) -> Targets:
        """Return the targets to which any store of a fleet belongs at some time, as though there were no others."""
        wheres = {target.where for target in self.defined if target.share is not None}
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
    periods = [period_around(kind, today) for kind in PERIODS] if period is None else [period]
    outcomes = [
        outcome
        for one in periods
        if (chosen := in_force(defined, one))
        for outcome in _outcomes(fleet, one, chosen, as_of, policy, all_stores=all_stores)
    ]
    outcomes.sort(key=lambda outcome: (outcome.target.name, outcome.period.name))
    return Targets(as_of, policy, outcomes, defined, loads_seen, entries_seen, far)


def in_force(defined: Sequence[Target], period: Period) -> list[Target]:
    """Return the targets of the kind of a period that are in force on its first day, in order of name."""
    day = (period.first - _EPOCH).days
    latest = {target.name: target for target in sorted(defined, key=lambda one: one.since) if target.since <= day}
    chosen = [target for target in latest.values() if target.share is not None and target.period == period.kind]
    return sorted(chosen, key=lambda target: target.name)


def wanted_of(where: str) -> dict[str, list[str]]:
    """Return the values that a store of a target must have one of, by name of attribute."""
    wanted: dict[str, list[str]] = {}
    for line in where.splitlines():
        name, _, value = line.partition("=")
        wanted.setdefault(name, []).append(value or NO_VALUE)
    return wanted


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
    whole = schedule_over(fleet, _nothing_observed(len(fleet.store_ids)), start, end)
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
        stores, pieces = _pieces(belongs.stores[rows].astype(np.int64), starts[rows], ends[rows])
        measured = _measure(known.of(stores), whole.pick(stores), pieces, as_of, policy)
        made.append(Outcome(target, period, [fleet.store_ids[store] for store in stores.tolist()], others, measured))
    return made


def _pieces(stores: Integers, starts: Instants, ends: Instants) -> tuple[Integers, Windows]:
    """Lay pieces of stores, in order of store, as windows: of each store as many as the one with the most has."""
    found, first, store = np.unique(stores, return_index=True, return_inverse=True)
    column = np.arange(len(stores)) - first[store]
    most = int(column.max(initial=0)) + 1
    laid_starts = np.repeat(starts[first][:, np.newaxis], most, axis=1)
    laid_ends = laid_starts.copy()  # no time at all, where a store has fewer pieces than another one
    laid_starts[store, column], laid_ends[store, column] = starts, ends
    return found, Windows(tuple(f"piece {number}" for number in range(most)), laid_starts, laid_ends, {})


def _nothing_observed(n: int) -> Observations:
    none = np.empty(0, dtype=np.int64)
    return Observations(np.zeros(n + 1, dtype=np.int64), none, none.astype(np.uint8))


# --- figures ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Intervals:
    """Intervals ``[starts, ends)`` of stores, disjoint at each, in order of store; ``stores``: int64."""

    stores: Integers
    starts: Instants
    ends: Instants

    def of(self, place: int | slice) -> tuple[Instants, Instants]:
        """Return those of one store, or of all."""
        if isinstance(place, slice):
            return self.starts[place], self.ends[place]
        rows = slice(*np.searchsorted(self.stores, [place, place + 1]).tolist())
        return self.starts[rows], self.ends[rows]


@dataclass(frozen=True)
class _Measured:
    """What was measured of each store of a target: microseconds, of shape (stores,), and some intervals.

    ``business_us``: of the whole period. ``down``: downtime so far, as it is booked. ``ahead``: business time to come.
    """

    business_us: Integers
    elapsed_us: Integers
    uptime_us: Integers
    downtime_us: Integers
    unknown_us: Integers
    down: _Intervals
    ahead: _Intervals

    def is_met(self, target: Target) -> list[bool | None]:
        """Return whether each store meets the target; None where nothing is known of it."""
        times = zip(self.uptime_us.tolist(), self.downtime_us.tolist(), strict=True)
        return [_is_met(up, down, target.share or 0) for up, down in times]

    def budget(self, target: Target, place: int | slice) -> Budget:
        """Return the figures of one store, given by position, or of all."""
        business, elapsed, up, used, unknown = (
            _sum(values[place])
            for values in (self.business_us, self.elapsed_us, self.uptime_us, self.downtime_us, self.unknown_us)
        )
        share = target.share or 0
        allowed = business * (WHOLE_SHARE - share) // WHOLE_SHARE
        left = allowed - used
        exhausted_at: int | None = None
        exhausted: Exhausted | None = None
        if used and left <= 0:
            exhausted_at, exhausted = _reached(*self.down.of(place), allowed), "past"
        elif used:
            exhausted_at = _reached(*self.ahead.of(place), left * elapsed // used)
            exhausted = None if exhausted_at is None else "projected"
        return Budget(
            business_us=business,
            budget_us=allowed,
            used_us=used,
            left_us=left,
            elapsed_us=elapsed,
            uptime_us=up,
            unknown_us=unknown,
            is_met=_is_met(up, used, share),
            exhausted_at=exhausted_at,
            exhausted=exhausted,
        )


def _is_met(up: int, down: int, share: int) -> bool | None:
    return up * WHOLE_SHARE >= share * (up + down) if up + down else None


def _sum(values: Integers | np.int64) -> int:
    """Add up as integers of Python: the time of very many stores does not fit into 64 bits."""
    return sum(np.atleast_1d(values).tolist())


def _reached(starts: Instants, ends: Instants, wanted: int) -> int | None:
    """Return the instant up to which intervals, of several stores perhaps at once, add up to an amount of time.

    It is rounded down to the microsecond, and not before the first of them; None where all of them are less.
    """
    bounds = np.unique(np.concatenate([starts, ends]))
    if not len(bounds):
        return None
    changes = np.zeros(len(bounds), dtype=np.int64)
    np.add.at(changes, np.searchsorted(bounds, starts), 1)
    np.add.at(changes, np.searchsorted(bounds, ends), -1)
    at_once, lengths = np.cumsum(changes)[:-1], np.diff(bounds)
    fits = float((ends - starts).sum(dtype=np.float64)) < _FITS
    times = at_once * lengths if fits else at_once.astype(object) * lengths
    sums = np.cumsum(times)
    for place in np.flatnonzero((at_once > 0) & (sums >= wanted))[:1].tolist():
        before = int(sums[place]) - int(times[place])
        return int(bounds[place]) + (wanted - before) // int(at_once[place])
    return None


def _measure(known: Known, whole: Schedule, laid: Windows, as_of: int, policy: Policy) -> _Measured:
    """Measure stores in their pieces of a period: what was until as_of, and what is scheduled in all of it."""
    is_down = [INACTIVE, UNKNOWN] if policy.assume == "inactive" else [INACTIVE]
    n = len(known.store_ids)

    def so_far(first: int, stop: int, made: Timelines) -> tuple[Integers, _Intervals]:
        pieces = laid.of(slice(first, stop))
        found = made.availability(pieces, as_of)
        figures = np.stack([found.business_us, found.uptime_us, found.downtime_us, found.unknown_us]).sum(axis=2)
        return figures, _clipped(made.spans, np.isin(made.spans.statuses, is_down), pieces, first)

    def in_all(first: int, stop: int, made: Timelines) -> tuple[Integers, _Intervals]:
        pieces = laid.of(slice(first, stop))
        business = made.availability(pieces, end).business_us.sum(axis=1)[np.newaxis]
        later = Windows(pieces.names, np.maximum(pieces.starts, as_of), pieces.ends, {})
        return business, _clipped(made.spans, made.spans.statuses != EXCLUDED, later, first)

    start, end = extent(laid, int(laid.ends.max(initial=as_of)))
    (elapsed, up, down, unknown), is_used = _joined(
        in_parts(known.known, known.schedule, known.adjustments, *extent(laid, as_of), policy, so_far)
    )
    (business,), to_come = _joined(in_parts(_nothing_observed(n), whole, known.adjustments, start, end, policy, in_all))
    up, down, unknown = booked(policy, up, down, unknown)
    return _Measured(business, elapsed, up, down, unknown, is_used, to_come)


def _clipped(spans: Spans, chosen: npt.NDArray[np.bool_], pieces: Windows, first: int) -> _Intervals:
    """Return the parts of chosen spans that lie in the pieces of their stores, which are numbered from ``first``."""
    stores = np.repeat(np.arange(len(spans.offsets) - 1), np.diff(spans.offsets))[chosen]
    starts = np.maximum(spans.starts[chosen, np.newaxis], pieces.starts[stores])
    ends = np.minimum(spans.ends[chosen, np.newaxis], pieces.ends[stores])
    rows, columns = np.nonzero(starts < ends)
    return _Intervals(stores[rows] + first, starts[rows, columns], ends[rows, columns])


def _joined(parts: Sequence[tuple[Integers, _Intervals]]) -> tuple[Integers, _Intervals]:
    figures, intervals = zip(*parts, strict=True)
    columns = zip(*((one.stores, one.starts, one.ends) for one in intervals), strict=True)
    return np.concatenate(figures, axis=1), _Intervals(*map(np.concatenate, columns))
