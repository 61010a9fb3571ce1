"""What a load says of stores beside their polls: each accepted row once, in whatever order they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from uphours.date_names import DateNames, are_among, date_keys, first_names, renumbered
from uphours.ingest import ledger_rows, special_rows, target_rows
from uphours.ingest.validate import Accepted
from uphours.ingest.weeks import without_contradicted
from uphours.load_record import AdjustmentRow
from uphours.schema import EVERY_STORE, Codes, Setting, Target

Integers: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Given:
    """What a load says beside polls: hours, zones and all else, as `uphours.load_record.Loaded` has it.

    ``unusable``: by kind, the stores of which rows were given and none could be used. ``unreadable``: those of lines
    that are no rows. ``repeated``, ``conflicting``: how many rows are left out.
    """

    hours: Integers
    timezones: Mapping[tuple[int, int], str]
    special_hours: Integers
    special_names: DateNames
    attributes: Mapping[tuple[int, str, int], str]
    adjustments: Sequence[AdjustmentRow]
    targets: Mapping[tuple[str, int], Target]
    described: Sequence[int]
    unusable: Mapping[Setting, set[int]]
    unreadable: Mapping[Setting, set[int]]
    repeated: int
    conflicting: int

    @staticmethod
    def of(accepted: Accepted) -> Given:
        """Return what was accepted; the stores have the numbers that they have there."""
        all_hours, hours = _rows(accepted.hours, 5)
        zones, all_zones = _zones(accepted.timezones), set(accepted.timezones)
        all_special, special = _rows(accepted.special_hours, 4)
        is_used = ~special_rows.contradicted(special) & ~special_rows.of_dates(special, accepted.unusable_dates)
        names = _names(accepted.special_names, special[is_used])
        attributes, repeated_stores, conflicting_stores = accepted.attributes.settled()
        adjustments = ledger_rows.distinct(accepted.adjustments)
        targets, repeated_targets, conflicting_targets = target_rows.settled(accepted.targets)
        week_rows = without_contradicted(hours)
        usable: dict[Setting, set[int]] = {
            "hours": set(week_rows[:, 0].tolist()),
            "timezones": {store for store, _ in zones},
        }
        unusable = {kind: accepted.unusable[kind] - stores for kind, stores in usable.items()}
        return Given(
            hours=week_rows,
            timezones=zones,
            special_hours=special[is_used],
            special_names=names,
            attributes=attributes,
            adjustments=adjustments,
            targets=targets,
            described=accepted.attributes.stores(),
            unusable=unusable,
            unreadable={kind: accepted.unreadable[kind] - usable[kind] - unusable[kind] for kind in usable},
            repeated=(
                all_hours - len(hours) + len(accepted.timezones) - len(all_zones) + all_special - len(special)
                + repeated_stores + len(accepted.adjustments) - len(adjustments) + repeated_targets
            ),
            conflicting=(
                len(hours) - len(week_rows) + len(all_zones) - len(zones) + int((~is_used).sum()) + conflicting_stores
                + conflicting_targets
            ),
        )  # fmt: skip

    def stores(self) -> list[int]:
        """Return the stores that are known by this: also by rows of which none could be used."""
        special = {store for store in self.special_hours[:, 0].tolist() if store != EVERY_STORE}
        with_zones = {store for store, _ in self.timezones}
        adjusted = {row.store for row in self.adjustments}
        return sorted(
            set(self.hours[:, 0].tolist()).union(with_zones, special, self.described, adjusted, *self.unusable.values())
        )

    def renumbered(self, numbers: Codes) -> Given:
        """Return the same with other numbers of the stores; `EVERY_STORE` stays. ``unreadable`` keeps the old ones."""

        def number(store: int) -> int:
            return store if store == EVERY_STORE else int(numbers[store])

        return Given(
            renumbered(self.hours, numbers),
            {(number(store), since): name for (store, since), name in self.timezones.items()},
            renumbered(self.special_hours, numbers),
            self.special_names.renumbered(numbers),
            {(number(store), name, since): value for (store, name, since), value in self.attributes.items()},
            [row._replace(store=number(row.store)) for row in self.adjustments],
            self.targets,
            [number(store) for store in self.described],
            {kind: set(map(number, stores)) for kind, stores in self.unusable.items()},
            self.unreadable,
            self.repeated,
            self.conflicting,
        )


def _rows(parts: Iterable[Integers], columns: int) -> tuple[int, Integers]:
    """Return how many rows there are, and each of them once, in order."""
    rows = np.concatenate([np.empty((0, columns), dtype=np.int64), *parts])
    rows = rows[np.lexsort(rows.T[::-1])]  # three times as fast as np.unique
    is_first = np.append(True, (rows[1:] != rows[:-1]).any(axis=1))[: len(rows)]
    return len(rows), rows[is_first]


def _zones(rows: Iterable[tuple[int, int, str]]) -> dict[tuple[int, int], str]:
    """Return one zone for each store and date: of two the first by name."""
    zones: dict[tuple[int, int], str] = {}
    for store, since, name in sorted(set(rows)):
        zones.setdefault((store, since), name)
    return zones


def _names(parts: Sequence[tuple[Integers, Sequence[str]]], used: Integers) -> DateNames:
    """Return what the dates that are used are called: of two names the first."""
    dates = np.concatenate([np.empty((0, 2), dtype=np.int64), *(part for part, _ in parts)])
    names = [name for _, part in parts for name in part]
    is_used = are_among(date_keys(dates), date_keys(used))
    return first_names(dates[is_used], list(compress(names, is_used)))
