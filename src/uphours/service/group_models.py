"""What of groups of stores, and of what stores belong to, goes over HTTP."""

from __future__ import annotations

from pydantic import BaseModel, Field

from uphours.service.models import Change, Compared, Durations, FleetView


class GroupSums(Durations):
    """Sums over stores, each in the window while it belongs to the group; ratios of the sums from 0 to 1, or null."""

    stores: int = Field(description="Those that belong to the group at some time of the window.")
    availability: float | None
    coverage: float | None
    observations: int
    outages: int
    longest_outage_us: int


class GroupFigures(GroupSums, Change):
    """The same, with the stores below a line, and with a comparison if it was asked for."""

    stores_below: int | None = Field(description="Those of them with a known availability below `below`.")
    before: GroupSums | None = Field(default=None, description="Those of the window before, if it was asked for.")


class WorstStore(BaseModel):
    """A store of a group: its figures in the window while it belongs to the group."""

    store_id: str
    name: str | None
    uptime_us: int
    downtime_us: int
    availability: float | None


class GroupModel(GroupFigures):
    """Stores that share values; ``values``: by name of attribute, ``(none)`` where they have none."""

    values: dict[str, str]
    worst: list[WorstStore] = Field(description="Those that lost most, the worst first.")


class GroupList(FleetView, Compared):
    """Groups of stores, and the whole of them."""

    by: list[str]
    below: float | None
    groups: list[GroupModel]
    total: int = Field(description="Of groups; those after the first `limit` are left out.")
    fleet: GroupFigures


class ValueModel(BaseModel):
    """A value of an attribute; ``(none)`` of the stores that have none."""

    value: str
    stores: int


class AttributeModel(BaseModel):
    """An attribute, and how many stores have which value."""

    name: str
    values: list[ValueModel] = Field(description="Those that most stores have, first.")
    total: int = Field(description="Of values; those after the first `limit` are left out.")


class AttributeList(FleetView):
    """The attributes of the stores at as_of."""

    attributes: list[AttributeModel]
