"""``/v1/groups`` and ``/v1/attributes``: figures of stores that belong together, and what stores belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Query

from uphours.errors import InputError
from uphours.reports.groups import Group as GroupOfStores
from uphours.reports.groups import Groups
from uphours.reports.memberships import Labels
from uphours.service.api.stores import AskingFleet, Compare, fleet_answer, window_before
from uphours.service.auth import Calling, needs
from uphours.service.deps import Serving
from uphours.service.lane_routes import ViewRoute
from uphours.where import NO_VALUE
from uphours.wire.group_messages import (
    Attribute,
    AttributeList,
    AttributeValue,
    Group,
    GroupFigures,
    GroupList,
    WorstStore,
)
from uphours.wire.words import GroupOrder

router = APIRouter(prefix="/v1", tags=["groups"], route_class=ViewRoute)

#: What shares are parts of.
_WHOLE: Final = 100_000

By = Annotated[
    list[str],
    Query(max_length=20, description="Names of attributes, repeated or with commas between.", examples=[["region"]]),
]


@router.get("/groups")
@needs("read", sees="stores")
def list_groups(
    serving: Serving,
    caller: Calling,
    asking: AskingFleet,
    by: By,
    below: Annotated[
        float | None, Query(ge=0, le=1, description="Count the stores with a known availability below this.")
    ] = None,
    sort: Annotated[GroupOrder, Query()] = "values",
    worst: Annotated[int, Query(ge=0, le=100, description="Worst stores listed per group.")] = 3,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
    compare: Compare = False,
) -> GroupList:
    """Add stores up that share values of attributes, each in the window while it belongs to the group."""
    names = [name.strip() for text in by for name in text.split(",")]
    if not all(names):
        raise InputError("by has an empty name; valid are names of attributes, such as region,brand")
    asking.compare = compare
    asked = asking.asked_by(serving, caller)
    made = serving.fleets.groups(asked, names, stale_ok=asking.stale_ok)
    names_of_stores = made.report.attributes.get("name")
    order = sorted(range(len(made.groups)), key=lambda place: _rank(made.groups[place], sort))
    return {
        **fleet_answer(serving, asking, made.report),
        **window_before(made.report),
        "by": names,
        "below": below,
        "groups": [_group(made, place, below, names_of_stores, worst) for place in order[:limit]],
        "total": len(order),
        "fleet": _figures(made, None, below),
    }


def _rank(group: GroupOfStores, sort: str) -> tuple[Any, ...]:
    figures = group.windows[0]
    availability, values = figures["availability"], group.values or ()
    match sort:
        case "availability":
            return availability is None, availability, values
        case "lost_time":
            return -figures["downtime_us"], values
    return values


def _figures(made: Groups, place: int | None, below: float | None) -> GroupFigures:
    """Return the figures of a group, or of the fleet."""
    group = made.fleet if place is None else made.groups[place]
    return cast(GroupFigures, {**group.windows[0], "stores_below": _below(made, place, below)})


def _group(made: Groups, place: int, below: float | None, names: Sequence[str | None] | None, worst: int) -> Group:
    assert made.members is not None  # only kept groups have none
    members = made.members.worst(place, 0)
    stores: list[WorstStore] = [
        {
            "store_id": made.report.store_ids[store],
            "name": None if names is None else names[store],
            "uptime_us": up,
            "downtime_us": down,
            "availability": up / (up + down) if up + down else None,
        }
        for store, up, down in zip(
            members.stores[:worst].tolist(),
            members.uptime_us[:worst].tolist(),
            members.downtime_us[:worst].tolist(),
            strict=True,
        )
    ]
    return {
        **_figures(made, place, below),
        "values": dict(zip(made.by, made.groups[place].values or (), strict=True)),
        "worst": [store for store in stores if store["downtime_us"]],
    }


def _below(made: Groups, place: int | None, below: float | None) -> int | None:
    """Return how many stores of a group, or of the fleet, have a known availability below a ratio."""
    if below is None:
        return None
    figures = made.report.figures()
    if place is None:
        return int((figures["availability"][:, 0] < below).sum())
    assert made.members is not None
    return int(made.members.worst(place, 0).below(round(below * _WHOLE)).sum())


@router.get("/attributes")
@needs("read", sees="stores")
def list_attributes(
    serving: Serving, caller: Calling, asking: AskingFleet, limit: Annotated[int, Query(ge=1, le=10_000)] = 100
) -> AttributeList:
    """List the attributes of the stores, and how many stores have which value."""
    made = serving.fleets.overview(asking.asked_by(serving, caller), stale_ok=asking.stale_ok)
    return {**fleet_answer(serving, asking, made), "attributes": attributes_of(made.labels, limit)}


def attributes_of(labels: Labels, limit: int) -> list[Attribute]:
    """Return attributes with the values that most stores have."""
    found: list[Attribute] = []
    for name, values in labels.items():
        counted = sorted(Counter(values).items(), key=lambda one: (one[0] == NO_VALUE, -one[1], one[0]))
        listed: list[AttributeValue] = [{"value": value, "stores": stores} for value, stores in counted[:limit]]
        found.append({"name": name, "values": listed, "total": len(counted)})
    return found
