"""What stores belong to: the values of their attributes, which of them hold when, and the stores that share some."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, Self, TypeAlias

import numpy as np

from uphours.errors import InputError, shown
from uphours.kernel.schedule import local_to_utc_of
from uphours.reports.report import Report
from uphours.schema import BEGINNING_OF_TIME, DAY_US, END_OF_TIME, SINCE_EVER, Codes, Fleet, Instants, Schedule
from uphours.where import NO_VALUE, Where

Attribute: TypeAlias = tuple[int, str, int, str]
"""Position of the store, name, valid_from in days since the epoch, and value; a blank one takes the value away."""
Values: TypeAlias = tuple[str, ...]
"""The values of a store or a group, one for each of some attributes."""
Labels: TypeAlias = Mapping[str, Sequence[str]]
"""The value of each store, by name of attribute; `uphours.where.NO_VALUE` where it has none."""

#: Values and names that a message lists.
_LISTED: Final = 20


class Attributed(Protocol):
    """Stores whose attributes are known, and their zones."""

    @property
    def store_ids(self) -> Sequence[str]:
        """Their ids."""

    @property
    def clocks(self) -> Schedule:
        """Their zones; nothing else of this schedule is asked."""

    def attributes(self, names: Sequence[str] | None = None) -> list[Attribute]:
        """Return the attributes of its stores, or those with some names, in any order."""

    def attribute_names(self) -> set[str]:
        """Return the names of the attributes of its stores."""


class AttributedFleet(Attributed, Fleet, Protocol):
    """A fleet whose attributes are known, and that can be narrowed down."""

    def of(self, store_ids: Sequence[str] | None) -> Self:
        """Return the named stores alone; all of them for None."""

    def alone(self, store_ids: Sequence[str]) -> Self:
        """Return the named stores as though there were no others: also the latest observation is one of theirs."""


@dataclass(frozen=True)
class DescribedStores:
    """Stores with zones and attributes, whose observations are elsewhere.

    ``all_attributes``: in any order.
    """

    store_ids: Sequence[str]
    clocks: Schedule
    all_attributes: Sequence[Attribute]

    def attributes(self, names: Sequence[str] | None = None) -> list[Attribute]:
        """Return the attributes of these stores, or those with some names."""
        return [row for row in self.all_attributes if names is None or row[1] in names]

    def attribute_names(self) -> set[str]:
        """Return the names of the attributes of these stores."""
        return {name for _, name, _, _ in self.all_attributes}

    def of(self, stores: Sequence[int]) -> DescribedStores:
        """Return some of these stores, given by position, ascending."""
        numbers = {store: number for number, store in enumerate(stores)}
        return DescribedStores(
            [self.store_ids[store] for store in stores],
            self.clocks.pick(np.array(stores, dtype=np.int64)),
            [(numbers[row[0]], *row[1:]) for row in self.all_attributes if row[0] in numbers],
        )


@dataclass(frozen=True)
class Memberships:
    """Which values hold when: intervals ``[starts, ends)`` in UTC, that follow each other without a gap at each store.

    ``stores``: int32, the position of the store of each interval, ascending. ``groups``: int32, an index into ``keys``,
    which are in order of the values as text.
    """

    stores: Codes
    starts: Instants
    ends: Instants
    groups: Codes
    keys: list[Values]

    def at(self, instants: Instants) -> list[Values]:
        """Return the values of each store at an instant of its own."""
        chosen = (self.starts <= instants[self.stores]) & (instants[self.stores] < self.ends)
        return [self.keys[group] for group in self.groups[chosen].tolist()]


def memberships(clocks: Schedule, attributes: Sequence[Attribute], names: Sequence[str]) -> Memberships:
    """Return which values of some attributes hold when: the latest one from its local midnight on.

    ``clocks``: the zones of the stores; each midnight is one of the zone in force on its own date.
    """
    if all(valid_from == SINCE_EVER for _, _, valid_from, _ in attributes):
        return _of_all_time(len(clocks.zones), attributes, names)
    given: dict[int, dict[str, dict[int, str]]] = {}
    for store, name, valid_from, value in attributes:
        if name in names:
            given.setdefault(store, {}).setdefault(name, {})[valid_from] = value
    nothing: list[tuple[int, Values]] = [(SINCE_EVER, (NO_VALUE,) * len(names))]
    rows = [
        (store, day, key)
        for store in range(len(clocks.zones))
        for day, key in (_since(given[store], names) if store in given else nothing)
    ]
    keys = sorted({key for *_, key in rows})
    numbers = {key: number for number, key in enumerate(keys)}
    stores = np.array([store for store, *_ in rows], dtype=np.int32)
    since = np.array([day for _, day, _ in rows], dtype=np.int64)
    is_dated = since != SINCE_EVER
    starts = np.full(len(rows), BEGINNING_OF_TIME)
    starts[is_dated] = local_to_utc_of(clocks, stores[is_dated], since[is_dated] * DAY_US)
    ends = np.full(len(rows), END_OF_TIME)
    goes_on = np.flatnonzero(stores[:-1] == stores[1:])
    for row in goes_on[::-1].tolist():
        # A store that moves far to the east may reach the midnight of a later date first.
        starts[row] = min(starts[row], starts[row + 1])
        ends[row] = starts[row + 1]
    return Memberships(stores, starts, ends, np.array([numbers[key] for *_, key in rows], dtype=np.int32), keys)


def _of_all_time(n: int, attributes: Sequence[Attribute], names: Sequence[str]) -> Memberships:
    """Return which values n stores have where none of them has a date."""
    values = list(zip(*_columns(n, attributes, names), strict=True)) if names else [()] * n
    keys = sorted(set(values))
    numbers = {key: number for number, key in enumerate(keys)}
    return Memberships(
        np.arange(n, dtype=np.int32), np.full(n, BEGINNING_OF_TIME), np.full(n, END_OF_TIME),
        np.array([numbers[key] for key in values], dtype=np.int32), keys,
    )  # fmt: skip


def _columns(n: int, attributes: Sequence[Attribute], names: Sequence[str]) -> list[list[str]]:
    """Return the values of n stores by name, where none of them has a date."""
    columns = [[NO_VALUE] * n for _ in names]
    place_of = {name: place for place, name in enumerate(names)}
    for store, name, _, value in attributes:
        if name in place_of:
            columns[place_of[name]][store] = value or NO_VALUE
    return columns


def _since(given: Mapping[str, Mapping[int, str]], names: Sequence[str]) -> list[tuple[int, Values]]:
    """Return the values of a store from each date on that changes one of them."""
    found: list[tuple[int, Values]] = []
    for since in sorted({SINCE_EVER, *(day for by_day in given.values() for day in by_day)}):
        key = tuple(_in_force(given.get(name, {}), since) for name in names)
        if not found or found[-1][1] != key:
            found.append((since, key))
    return found


def _in_force(by_day: Mapping[int, str], day: int) -> str:
    latest = max((since for since in by_day if since <= day), default=None)
    return NO_VALUE if latest is None else by_day[latest] or NO_VALUE


def check_names(fleet: Attributed, names: Iterable[str]) -> None:
    """Check that stores have such attributes.

    Raises
    ------
    InputError
        No store has one of them, or one is named twice.
    """
    check_labels(fleet.attribute_names(), list(names))


def check_labels(known: Collection[str], names: Sequence[str]) -> None:
    """Check that all names are known; raises as `check_names`."""
    there = sorted(known)
    for name in names:
        if name not in there:
            valid = (
                f"valid are {_some(there)}" if there else "no store has any; `uphours load --stores FILE` loads some"
            )
            raise InputError(f"there is no attribute {shown(name)}; {valid}")
    if repeated := {name for name in names if names.count(name) > 1}:
        raise InputError(f"attribute {', '.join(sorted(repeated))} is named more than once")


def values_at(fleet: Attributed, names: Sequence[str], at: int | Instants) -> list[Values]:
    """Return the values of some attributes of each store, at an instant or at one of its own."""
    attributes = fleet.attributes(names)
    if any(valid_from != SINCE_EVER for _, _, valid_from, _ in attributes):
        return memberships(fleet.clocks, attributes, names).at(np.full(len(fleet.store_ids), at))
    n = len(fleet.store_ids)
    return list(zip(*_columns(n, attributes, names), strict=True)) if names else [()] * n


def with_columns(report: Report, fleet: Attributed, names: Sequence[str]) -> Report:
    """Return a report with values of the attributes of its stores, as they are at its instant.

    Stores of the report that are not among those of the fleet have none.
    """
    if not names:
        return report
    nothing = (NO_VALUE,) * len(names)
    of_store = dict(zip(fleet.store_ids, values_at(fleet, names, report.as_of), strict=True))
    columns = (
        zip(*(of_store.get(store_id, nothing) for store_id in report.store_ids), strict=True)
        if report.store_ids
        else ()
    )
    texts = [[None if value == NO_VALUE else value for value in column] for column in columns]
    return replace(report, attributes=dict(zip(names, texts or [[] for _ in names], strict=True)))


def stores_where(fleet: Attributed, where: Where, at: int | Instants) -> list[str]:
    """Return the stores that have one of the values of each attribute, at an instant or at one of their own.

    Raises
    ------
    InputError
        There is no such attribute, or no such store.
    """
    check_names(fleet, [name for name, _ in where])
    return [fleet.store_ids[row] for row in rows_where(labels(fleet, at, [name for name, _ in where]), where)]


def labels(fleet: Attributed, at: int | Instants, names: Sequence[str] | None = None) -> Labels:
    """Return the values of all or some attributes of each store, at an instant or at one of its own."""
    names = sorted(fleet.attribute_names()) if names is None else names
    columns = zip(*values_at(fleet, names, at), strict=True) if len(fleet.store_ids) else [()] * len(names)
    return dict(zip(names, columns, strict=True)) if names else {}


def rows_where(labelled: Labels, where: Where) -> list[int]:
    """Return the positions of the stores that have one of the values of each attribute, of which there is one at least.

    Raises
    ------
    InputError
        There is no such attribute, or no such store.
    """
    check_labels(labelled, [name for name, _ in where])
    found = rows_having(labelled, where)
    if not found:
        raise no_store_with(where, labelled)
    return found


def rows_having(labelled: Labels, where: Where) -> list[int]:
    """Return the positions of the stores that have one of the values of each attribute, which all are known."""
    wanted = [(labelled[name], frozenset(some)) for name, some in where]
    return [row for row in range(len(wanted[0][0])) if all(values[row] in some for values, some in wanted)]


def no_store_with(where: Where, there: Mapping[str, Iterable[str]]) -> InputError:
    """Return the mistake of asking for values that no store has; ``there``: those that stores have, by attribute."""
    values = "; ".join(f"values of {name} are {_some(sorted(set(there[name])))}" for name, _ in where)
    return InputError(f"there is no store with {said(where)} at that time; {values}", field="stores")


def stores_seen(fleet: Attributed, only: Where, at: int) -> list[str]:
    """Return the stores that a key sees which is bound to some values: those that have them at an instant.

    That may be none, and nothing is said of which attributes and values there are.
    """
    return _having(fleet, only, values_at(fleet, [name for name, _ in only], at))


def _having(fleet: Attributed, where: Where, values: Sequence[Values]) -> list[str]:
    return [
        store_id
        for store_id, of_store in zip(fleet.store_ids, values, strict=True)
        if all(value in some for value, (_, some) in zip(of_store, where, strict=True))
    ]


def said(where: Where) -> str:
    """Write values of attributes for a message."""
    return " and ".join(f"{name}={' or '.join(some)}" for name, some in where)


def _some(texts: Sequence[str]) -> str:
    more = f" and {len(texts) - _LISTED:,} more" if len(texts) > _LISTED else ""
    return ", ".join(map(shown, texts[:_LISTED])) + more
