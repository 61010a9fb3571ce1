"""A load as a fleet in memory, for reports straight from files and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from uphours.date_names import DateNames
from uphours.errors import InputError, NotFoundError, shown
from uphours.kernel import schedule_rows
from uphours.kernel.adjustments import resolved
from uphours.kernel.live_entries import withdrawn_by
from uphours.kernel.observations import distinct
from uphours.kernel.schedule import local_to_utc_of
from uphours.load_record import AdjustmentRow, Loaded
from uphours.schema import (
    SINCE_EVER,
    SPAN_STATUSES,
    WITHDRAWAL,
    Adjustments,
    Instants,
    Observations,
    Schedule,
    Setting,
    SpecialHours,
    Target,
    check_kept,
)


@dataclass(frozen=True)
class MemoryFleet:
    """A fleet that is held in memory (see `uphours.schema.Fleet`).

    ``latest`` is the latest observation at any store, also when the fleet is narrowed down to some. ``pruned_before``:
    from when on all observations are there, where some are not. ``all_attributes``: position of the store, name,
    valid_from and value, in order. ``all_targets``: in order of name and date.
    """

    store_ids: Sequence[str]
    schedule: Schedule
    adjustments: Adjustments
    all_observations: Observations
    latest: int | None
    pruned_before: int | None = None
    all_attributes: Sequence[tuple[int, str, int, str]] = ()
    all_targets: Sequence[Target] = ()

    @property
    def clocks(self) -> Schedule:
        """Their zones."""
        return self.schedule

    def schedule_over(self, start: int, end: int, first_seen: Instants, last_seen: Instants) -> Schedule:
        """Return the whole schedule."""
        return self.schedule

    def adjustments_over(self, start: int, end: int) -> Adjustments:
        """Return all of the ledger."""
        return self.adjustments

    def latest_observation(self) -> int | None:
        """Return when anything was last observed."""
        return self.latest

    def attributes(self, names: Sequence[str] | None = None) -> list[tuple[int, str, int, str]]:
        """Return the attributes of these stores: position of the store, name, valid_from and value, in order."""
        return [row for row in self.all_attributes if names is None or row[1] in names]

    def attribute_names(self) -> set[str]:
        """Return the names of the attributes of these stores."""
        return {name for _, name, _, _ in self.all_attributes}

    def alone(self, store_ids: Sequence[str]) -> MemoryFleet:
        """Return the named stores as though there were no others: also the latest observation is one of theirs."""
        made = self.of(store_ids)
        return replace(
            made, latest=int(made.all_observations.times.max()) if len(made.all_observations.times) else None
        )

    def targets(self) -> list[Target]:
        """Return all targets, also those of other stores than these, in order of name and date."""
        return list(self.all_targets)

    def of(self, store_ids: Sequence[str] | None) -> MemoryFleet:
        """Return the named stores alone; all of them for None.

        Raises
        ------
        NotFoundError
            There is no such store.
        """
        if store_ids is None:
            return self
        places = {store_id: place for place, store_id in enumerate(self.store_ids)}
        if missing := set(store_ids) - places.keys():
            raise NotFoundError("store", min(missing), "it is in none of the tables")
        chosen = np.array(sorted(places[store_id] for store_id in set(store_ids)), dtype=np.int64)
        numbers = {store: number for number, store in enumerate(chosen.tolist())}
        return MemoryFleet(
            [self.store_ids[store] for store in chosen],
            self.schedule.pick(chosen),
            self.adjustments.pick(chosen),
            self.all_observations.pick(chosen),
            self.latest,
            self.pruned_before,
            [(numbers[row[0]], *row[1:]) for row in self.all_attributes if row[0] in numbers],
            self.all_targets,
        )

    def observations(self, start: int, end: int, as_of: int) -> Observations:
        """Return all observations up to ``as_of``.

        Raises
        ------
        InputError
            Observations of that time were pruned.
        """
        check_kept(self.pruned_before, start, min(end, as_of))
        everything = self.all_observations
        kept = everything.times <= as_of
        before = np.concatenate([[0], np.cumsum(kept)])
        return Observations(before[everything.offsets], everything.times[kept], everything.statuses[kept])


def memory_fleet(loaded: Loaded) -> MemoryFleet:
    """Hold a load in memory instead of writing it into a database.

    Raises
    ------
    InputError
        A row of the ledger withdraws an entry that is not there.
    """
    n = len(loaded.store_ids)
    schedule = schedule_of(
        loaded.hours,
        loaded.timezones,
        loaded.unusable,
        n,
        special_hours=loaded.special_hours,
        special_names=loaded.special_names,
        attributes=loaded.attributes,
    )
    polls = distinct(loaded.stores, loaded.times, loaded.statuses, n)
    latest = int(loaded.times.max()) if len(loaded.times) else None
    adjustments = adjustments_of(loaded.adjustments, schedule)
    attributes = sorted((*key, value) for key, value in loaded.attributes.items())
    targets = [
        target
        for (_, since), target in sorted(loaded.targets.items())
        if target.share is not None or since != SINCE_EVER
    ]
    return MemoryFleet(
        loaded.store_ids, schedule, adjustments, polls.observations, latest, loaded.pruned_before, attributes, targets
    )


def schedule_of(
    hours: npt.NDArray[np.int64],
    timezones: Mapping[tuple[int, int], str],
    unusable: Mapping[Setting, Sequence[int]],
    n: int,
    *,
    special_hours: npt.NDArray[np.int64],
    special_names: Mapping[tuple[int, int], str],
    attributes: Mapping[tuple[int, str, int], str],
) -> Schedule:
    """Return the schedule of ``n`` stores, from values as `Loaded` has them, in any order of rows."""
    hours = hours[np.lexsort(hours.T[::-1])]
    since = hours[:, 1]
    weeks = schedule_rows.Weeks(
        hours[:, 0].astype(np.int32), hours[:, 2], hours[:, 3], hours[:, 4],
        since if (since != SINCE_EVER).any() else None,
    )  # fmt: skip
    return schedule_rows.schedule(
        weeks,
        schedule_rows.zones_of(
            n, [(name, day, [store]) for (store, day), name in timezones.items()], unusable["timezones"]
        ),
        [*unusable["hours"], *unusable["timezones"]],
        _special(special_hours, special_names),
        [(*key, value) for key, value in attributes.items()],
    )


def _special(rows: npt.NDArray[np.int64], names: Mapping[tuple[int, int], str]) -> SpecialHours | None:
    if not len(rows):
        return None
    rows = rows[np.lexsort(rows.T[::-1])]
    called = DateNames.of(names).at(rows[:, :2])
    return SpecialHours(rows[:, 0].astype(np.int32), rows[:, 1], rows[:, 2], rows[:, 3], tuple(called))


def adjustments_of(rows: Sequence[AdjustmentRow], schedule: Schedule) -> Adjustments:
    """Return what rows of a ledger say of the stores of a schedule.

    Raises
    ------
    InputError
        A row withdraws an entry that is not there.
    """
    live = live_entries(rows)
    stores = np.array([row.store for row, _ in live], dtype=np.int32)
    bounds = np.array([(row.start, row.end) for row, _ in live], dtype=np.int64).reshape(-1, 2)
    local = np.array([row.is_local for row, _ in live], dtype=np.bool_)
    for side in (0, 1):
        bounds[local, side] = local_to_utc_of(schedule, stores[local], bounds[local, side])
    some = bounds[:, 0] < bounds[:, 1]  # a clock that goes forward swallows what lies in its gap
    counts_as = np.array([SPAN_STATUSES.index(row.counts_as) for row, _ in live], dtype=np.uint8)
    entries = np.array([number for _, number in live], dtype=np.int64)
    return resolved(len(schedule.zones), stores[some], bounds[some, 0], bounds[some, 1], counts_as[some], entries[some])


def live_entries(rows: Sequence[AdjustmentRow]) -> list[tuple[AdjustmentRow, int]]:
    """Return the rows of entries that no live entry withdraws, each with the number of its entry.

    Raises
    ------
    InputError
        A row withdraws an entry that is not there.
    """
    numbers = entry_numbers(rows)
    withdrawn = _withdrawn(rows, numbers)
    return [
        (row, number)
        for row, number in zip(rows, numbers, strict=True)
        if row.counts_as != WITHDRAWAL and number not in withdrawn
    ]


def entry_numbers(rows: Sequence[AdjustmentRow]) -> list[int]:
    """Return the number of each row's entry, from 1: in the order of what files call them if all are whole numbers.

    Otherwise in the order in which they come. A row that is not called anything is an entry of its own.
    """
    keys = [(row.file, row.entry) if row.entry else (row.file, row.line, row.store) for row in rows]
    order = list(dict.fromkeys(keys))
    if rows and all(row.entry.isdecimal() for row in rows):
        order = sorted(order, key=lambda key: (key[0], int(key[1])))
    places = {key: number for number, key in enumerate(order, 1)}
    return [places[key] for key in keys]


def _withdrawn(rows: Sequence[AdjustmentRow], numbers: Sequence[int]) -> set[int]:
    """Return the entries that a live entry takes back; only a later one can."""
    called = {(row.file, row.entry): number for row, number in zip(rows, numbers, strict=True) if row.entry}
    taken_back: dict[int, int] = {}
    for row, number in zip(rows, numbers, strict=True):
        if row.counts_as != WITHDRAWAL:
            continue
        target = called.get((row.file, row.withdraws))
        if target is None or target >= number:
            raise InputError(
                f"line {row.line} of the adjustments withdraws {shown(row.withdraws)}; valid are entries before it in "
                "the same file, by what its column entry calls them"
            )
        taken_back[number] = target
    return set(withdrawn_by(taken_back))
