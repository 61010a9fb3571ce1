"""``/v1/groups`` and ``/v1/attributes``: figures of stores that belong together, and what stores belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query

from uphours.errors import InputError
from uphours.reports.groups import Figures, Group, Groups
from uphours.reports.memberships import Labels
from uphours.service.api.stores import AskingFleet, Compare, Question, ahead_of, made_with, window_before
from uphours.service.auth import Calling, needs
from uphours.service.deps import Service, Serving
from uphours.service.group_models import (
    AttributeList,
    AttributeModel,
    GroupFigures,
    GroupList,
    GroupModel,
    ValueModel,
    WorstStore,
)
from uphours.service.lane_routes import ViewRoute
from uphours.where import NO_VALUE

router = APIRouter(prefix="/v1", tags=["groups"], route_class=ViewRoute)

#: What shares are parts of.
_WHOLE: Final = 100_000

By = Annotated[
    list[str],
    Query(max_length=20, description="Names of attributes, repeated or with commas between.", examples=[["region"]]),
]


@router.get("/groups", response_model=GroupList, response_model_exclude_unset=True)
@needs("read", sees="stores")
def list_groups(
    serving: Serving,
    caller: Calling,
    asking: AskingFleet,
    by: By,
    below: Annotated[
        float | None, Query(ge=0, le=1, description="Count the stores with a known availability below this.")
    ] = None,
    sort: Annotated[Literal["values", "availability", "lost_time"], Query()] = "values",
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
    return GroupList(
        **_made_with(serving, asking, made),
        by=names,
        below=below,
        groups=[_group(made, place, below, names_of_stores, worst) for place in order[:limit]],
        total=len(order),
        fleet=GroupFigures(**_figures(made.fleet), stores_below=_below(made, None, below)),
    )


def _rank(group: Group, sort: str) -> tuple[Any, ...]:
    figures = group.windows[0]
    availability, values = figures["availability"], group.values or ()
    match sort:
        case "availability":
            return availability is None, availability, values
        case "lost_time":
            return -figures["downtime_us"], values
    return values


def _made_with(serving: Service, asking: Question, made: Groups) -> dict[str, Any]:
    report = made.report
    return (
        made_with(report, asking)
        | window_before(report)
        | {
            "ahead": ahead_of(serving, asking, report),
            "loads_seen": report.loads_seen,
            "entries_seen": report.entries_seen,
        }
    )


def _figures(group: Group) -> Figures:
    return group.windows[0]


def _group(made: Groups, place: int, below: float | None, names: Sequence[str | None] | None, worst: int) -> GroupModel:
    group = made.groups[place]
    assert made.members is not None  # only kept groups have none
    members = made.members.worst(place, 0)
    stores = [
        WorstStore(
            store_id=made.report.store_ids[store],
            name=None if names is None else names[store],
            uptime_us=up,
            downtime_us=down,
            availability=up / (up + down) if up + down else None,
        )
        for store, up, down in zip(
            members.stores[:worst].tolist(),
            members.uptime_us[:worst].tolist(),
            members.downtime_us[:worst].tolist(),
            strict=True,
        )
    ]
    return GroupModel(
        **_figures(group),
        values=dict(zip(made.by, group.values or (), strict=True)),
        stores_below=_below(made, place, below),
        worst=[store for store in stores if store.downtime_us],
    )


def _below(made: Groups, place: int | None, below: float | None) -> int | None:
    """Return how many stores of a group, or of the fleet, have a known availability below a ratio."""
    if below is None:
        return None
    figures = made.report.figures()
    if place is None:
        return int((figures["availability"][:, 0] < below).sum())
    assert made.members is not None
    return int(made.members.worst(place, 0).below(round(below * _WHOLE)).sum())


@router.get("/attributes", response_model=AttributeList)
@needs("read", sees="stores")
def list_attributes(
    serving: Serving, caller: Calling, asking: AskingFleet, limit: Annotated[int, Query(ge=1, le=10_000)] = 100
) -> AttributeList:
    """List the attributes of the stores, and how many stores have which value."""
    made = serving.fleets.overview(asking.asked_by(serving, caller), stale_ok=asking.stale_ok)
    return AttributeList(
        **made_with(made.report, asking),
        ahead=ahead_of(serving, asking, made),
        loads_seen=made.report.loads_seen,
        entries_seen=made.report.entries_seen,
        attributes=attributes_of(made.labels, limit),
    )


def attributes_of(labels: Labels, limit: int) -> list[AttributeModel]:
    """Return attributes with the values that most stores have."""
    found = []
    for name, values in labels.items():
        counted = sorted(Counter(values).items(), key=lambda one: (one[0] == NO_VALUE, -one[1], one[0]))
        listed = [ValueModel(value=value, stores=stores) for value, stores in counted[:limit]]
        found.append(AttributeModel(name=name, values=listed, total=len(counted)))
    return found
