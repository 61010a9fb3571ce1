"""``/v1/targets``: what availability is expected of which stores, and how much of the downtime it allows is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from uphours.errors import InputError
from uphours.ingest.target_rows import share_of
from uphours.kernel.periods import Period, period_of
from uphours.kernel.policy import Policy
from uphours.reports.ahead import ahead
from uphours.reports.expected import expected_of_all
from uphours.schema import PERIODS, instant_us
from uphours.service.api.loads import load_body
from uphours.service.api.row_bodies import ANSWERS, VALID_FROM, Prefer, body_of
from uphours.service.api.stores import DefaultPolicy, quarter_of
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.deps import Service, Serving
from uphours.service.lane_routes import ViewRoute
from uphours.service.policy_parameters import InQuery
from uphours.service.target_views import Standing, TargetsAsked
from uphours.wire.load_messages import LoadOutcome
from uphours.wire.target_messages import TargetList
from uphours.wire.values import Instant

router = APIRouter(prefix="/v1", tags=["targets"], route_class=KeyedRoute)
view_router = APIRouter(prefix="/v1", tags=["targets"], route_class=ViewRoute)

_ROW: Final = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "example": "norm"},
        "where": {
            "type": "string",
            "example": "region=TX;brand=A",
            "description": "Which stores, by attributes: values of one are any of them, different ones all of them.",
        },
        "target": {"type": ["number", "null"], "example": 99.5, "description": "Percent; null or blank ends it."},
        "period": {"enum": [*PERIODS]},
        "valid_from": VALID_FROM,
    },
    "required": ["name", "target", "period"],
}
#: Of stores below a target, unless another number is asked for.
_USUAL_WORST: Final = 20
_MOST_WORST: Final = 10_000


@router.put("/targets", response_model=LoadOutcome, responses=ANSWERS, openapi_extra=body_of(_ROW))
@needs("admin", sees="all")
async def put_targets(
    request: Request, serving: Serving, caller: Calling, prefer: Prefer = None
) -> Response | LoadOutcome:
    """Set targets by name and date; one without valid_from replaces all of its name, a blank target ends them."""
    return await load_body(request, serving, caller.actor, "targets", prefer)


@view_router.get("/targets")
@needs("read", sees="stores")
def list_targets(
    serving: Serving,
    caller: Calling,
    default: DefaultPolicy,
    chosen: InQuery,
    period: Annotated[
        str | None,
        Query(
            max_length=16,
            description="A month, a quarter (2026-Q4) or a week (2026-W48). Unless given: of each target the period "
            "that has not ended yet in the zone of every store.",
            examples=["2026-12"],
        ),
    ] = None,
    percent: Annotated[
        float | None,
        Query(
            ge=1,
            le=100,
            description="Instead of the targets that are in force: one of every store with this availability, of the "
            "month unless a period is given. It is not kept.",
            examples=[98],
        ),
    ] = None,
    as_of: Annotated[Instant | None, Query(description="Unless given: the latest observation.")] = None,
    all_stores: Annotated[bool, Query(description="Also count stores that were never observed.")] = False,
    worst: Annotated[
        int, Query(ge=0, le=_MOST_WORST, description="How many stores below each target are listed.")
    ] = _USUAL_WORST,
) -> TargetList:
    """Show the targets in force on the first day of a period: budget, used and left, and the stores below them."""
    standing = standing_for(
        serving,
        caller,
        period=None if period is None else period_of(period),
        expected=None if percent is None else share_of_percent(percent),
        as_of=None if as_of is None else instant_us(as_of),
        policy=default.changed(chosen),
        all_stores=all_stores,
    )
    found, facts = standing.targets, standing.targets.facts(worst)
    return {
        "as_of": facts["as_of"],
        "as_of_us": found.as_of,
        "ahead": None if found.ahead is None else found.ahead.facts(),
        "policy": facts["policy"],
        "loads_seen": standing.content.load,
        "entries_seen": standing.content.entry,
        "targets": facts["targets"],
        "defined": facts["defined"],
    }


def standing_for(
    serving: Service,
    caller: Caller,
    *,
    period: Period | None,
    expected: int | None,
    as_of: int | None,
    policy: Policy,
    all_stores: bool = False,
) -> Standing:
    """Return how the targets stand that a caller sees; the rest as with `uphours.reports.targets.targets`."""
    at = quarter_of(serving) if caller.only else 0
    asked = TargetsAsked(period, expected, as_of, policy, all_stores, caller.only, at)
    found = serving.fleets.targets(asked)
    latest, now = found.targets.as_of, serving.now()
    if as_of is not None or latest <= now:
        return found
    with serving.snapshot(caller) as fleet:
        return found._replace(targets=replace(found.targets, ahead=ahead(fleet, latest, now)))


def expected_of_all_stores(serving: Service, caller: Caller, as_of: int) -> int | None:
    """Return the share in 100,000ths that is expected of every store at an instant; None where none is."""
    with serving.snapshot(caller) as fleet:
        return expected_of_all(fleet.targets(), as_of)


def share_of_percent(percent: float) -> int:
    """Return a percentage as 100,000ths.

    Raises
    ------
    InputError
        It has more than three decimals.
    """
    share = share_of(f"{percent:.10f}".rstrip("0").rstrip("."))
    if share is None:
        raise InputError(f"cannot read the percent {percent}; valid are 1 to 100 with up to three decimals, such as 98")
    return share
