"""What is said of stores beside their polls, while polls are read and bring more stores."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from uphours.ingest.given import Given
from uphours.ingest.memory_fleet import adjustments_of, schedule_of
from uphours.kernel.adjustments import nothing_adjusted
from uphours.load_record import Brought
from uphours.reports.memberships import Attribute
from uphours.schema import DEFAULT_TIMEZONE, FOR_EVER, SINCE_EVER, Adjustments, Schedule

_Value = TypeVar("_Value", bound=np.generic)


class Growing:
    """The schedule and the ledger of stores by number: read first, so that they are the same however many stores come.

    ``raw``: the ledger is left out.
    """

    def __init__(self, given: Given, *, raw: bool) -> None:
        self.brought = Brought.of(given)
        self._stores = given.stores()
        # Which of the unreadable ones are stores, the polls will tell; of the others nothing is asked.
        either = {kind: sorted(stores | given.unreadable[kind]) for kind, stores in given.unusable.items()}
        self._with_hours = sorted({*given.hours[:, 0].tolist(), *either["hours"]})
        self._with_zone = sorted({*(store for store, _ in given.timezones), *either["timezones"]})
        n = max([-1, *self._stores, *self._with_hours, *self._with_zone]) + 1
        self._schedule = schedule_of(
            given.hours,
            given.timezones,
            either,
            n,
            special_hours=given.special_hours,
            special_names=given.special_names,
            attributes=given.attributes,
        )
        adjustments = adjustments_of(
            given.adjustments, self._schedule
        )  # also where they are left out: it looks at them
        self._adjustments = nothing_adjusted(n) if raw else adjustments
        self._attributes = [(*key, value) for key, value in given.attributes.items()]
        self.attribute_names = {name for _, name, _ in given.attributes}

    def stores(self) -> npt.NDArray[np.int64]:
        """Return the numbers of all stores of which something is said."""
        return np.array(self._stores, dtype=np.int64)

    def attributes(self, names: Collection[str] | None = None) -> list[Attribute]:
        """Return the attributes of all stores, by number, or those with some names."""
        return [row for row in self._attributes if names is None or row[1] in names]

    def given(self, n: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Say of each of ``n`` stores whether hours, and whether a zone was given, usable or not."""
        hours, zones = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        hours[self._with_hours] = True
        zones[self._with_zone] = True
        return hours, zones

    def zones(self) -> tuple[tuple[str, ...], bool]:
        """Return the names of all zones, and whether any store has dated ones."""
        return self._schedule.zone_names, self._schedule.dated_zones is not None

    def schedule(self, n: int, chosen: npt.NDArray[np.int64] | None = None) -> Schedule:
        """Return the schedule of ``n`` stores, or of those of them with some numbers, ascending."""
        self._grow(n)
        return self._schedule.pick(np.arange(n, dtype=np.int64) if chosen is None else chosen)

    def adjustments(self, n: int, chosen: npt.NDArray[np.int64]) -> Adjustments:
        """Return what the ledger says of those of ``n`` stores with some numbers, ascending."""
        self._grow(n)
        return self._adjustments.pick(chosen)

    def _grow(self, n: int) -> None:
        schedule, adjustments = self._schedule, self._adjustments
        more = n - len(schedule.zones)
        if more <= 0:
            return
        default = schedule.zone_names.index(DEFAULT_TIMEZONE)

        def longer(values: npt.NDArray[_Value] | None, value: object) -> npt.NDArray[_Value] | None:
            return None if values is None else np.concatenate([values, np.full(more, value, dtype=values.dtype)])

        self._schedule = replace(
            schedule,
            zones=np.concatenate([schedule.zones, np.full(more, default, dtype=np.int32)]),
            zone_is_default=longer(schedule.zone_is_default, True),
            hours_known=longer(schedule.hours_known, True),
            first_days=longer(schedule.first_days, SINCE_EVER),
            last_days=longer(schedule.last_days, FOR_EVER),
        )
        offsets = np.concatenate([adjustments.offsets, np.full(more, adjustments.offsets[-1])])
        self._adjustments = replace(adjustments, offsets=offsets)
