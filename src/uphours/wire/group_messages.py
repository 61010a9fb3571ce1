"""Groups of stores, and what stores belong to."""

from typing import Annotated, NotRequired

from typing_extensions import TypedDict

from uphours.wire.fields import Doc
from uphours.wire.figures import Change, Durations
from uphours.wire.view_messages import Answer, Compared, FleetSelection, FleetView, Seen
from uphours.wire.words import GroupOrder


class GroupSelection(FleetSelection, total=False):
    """Which groups are listed, in which order, and what of them."""

    below: float
    sort: GroupOrder
    worst: int
    limit: int
    compare: bool


class GroupSums(Durations):
    """Sums over stores, each in the window while it belongs to the group; ratios of the sums from 0 to 1, or null."""

    stores: Annotated[int, Doc("Those that belong to the group at some time of the window.")]
    availability: float | None
    coverage: float | None
    observations: int
    outages: int
    longest_outage_us: int


class GroupFigures(Change, GroupSums):
    """The same, with the stores below a line, and with a comparison if it was asked for."""

    stores_below: Annotated[int | None, Doc("Those of them with a known availability below `below`.")]
    before: NotRequired[Annotated[GroupSums | None, Doc("Those of the window before, if it was asked for.")]]


class WorstStore(TypedDict):
    """A store of a group: its figures in the window while it belongs to the group."""

    store_id: str
    name: str | None
    uptime_us: int
    downtime_us: int
    availability: float | None


class Group(GroupFigures):
    """Stores that share values; ``values``: by name of attribute, ``(none)`` where they have none."""

    values: dict[str, str]
    worst: Annotated[list[WorstStore], Doc("Those that lost most, the worst first.")]


class GroupList(Answer, Compared, Seen):
    """Groups of stores, and the whole of them."""

    by: list[str]
    below: float | None
    groups: list[Group]
    total: Annotated[int, Doc("Of groups; those after the first `limit` are left out.")]
    fleet: GroupFigures


class AttributeValue(TypedDict):
    """A value of an attribute; ``(none)`` of the stores that have none."""

    value: str
    stores: int


class Attribute(TypedDict):
    """An attribute, and how many stores have which value."""

    name: str
    values: Annotated[list[AttributeValue], Doc("Those that most stores have, first.")]
    total: Annotated[int, Doc("Of values; those after the first `limit` are left out.")]


class AttributeList(FleetView):
    """The attributes of the stores at as_of."""

    attributes: list[Attribute]
