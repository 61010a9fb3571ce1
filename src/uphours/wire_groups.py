"""What of groups of stores, and of what stores belong to, goes over HTTP."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from uphours.wire import Change, Durations, FleetSelection, FleetView, Window


class GroupSelection(FleetSelection, total=False):
    """Which groups are listed, in which order, and what of them."""

    below: float
    sort: Literal["values", "availability", "lost_time"]
    worst: int
    limit: int
    compare: bool


class GroupSums(Durations):
    """Sums over stores, each in the window while it belongs to the group; ratios of the sums from 0 to 1, or None."""

    stores: int
    availability: float | None
    coverage: float | None
    observations: int
    outages: int
    longest_outage_us: int


class GroupFigures(GroupSums, Change):
    """The same, with the stores below a line; ``before``: those of the window before, if it was asked for."""

    stores_below: int | None
    before: NotRequired[GroupSums | None]


class WorstStore(TypedDict):
    """A store of a group: its figures in the window while it belongs to the group."""

    store_id: str
    name: str | None
    uptime_us: int
    downtime_us: int
    availability: float | None


class Group(GroupFigures):
    """Stores that share values; ``worst``: those that lost most, the worst first."""

    values: dict[str, str]
    worst: list[WorstStore]


class Groups(FleetView):
    """Groups of stores, of which there are ``total``, and the whole of them."""

    window_before: NotRequired[Window | None]
    by: list[str]
    below: float | None
    groups: list[Group]
    total: int
    fleet: GroupFigures


class AttributeValue(TypedDict):
    """A value of an attribute, and how many stores have it."""

    value: str
    stores: int


class Attribute(TypedDict):
    """An attribute, and its values, of which there are ``total``."""

    name: str
    values: list[AttributeValue]
    total: int


class Attributes(FleetView):
    """The attributes of the stores at as_of."""

    attributes: list[Attribute]
