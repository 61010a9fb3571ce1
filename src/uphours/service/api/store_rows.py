"""Rows about stores in: business hours, time zones, special hours and attributes."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from uphours.errors import InputError, shown
from uphours.ingest.local_dates import VALID_DATES, day_of_date
from uphours.service.api.loads import load_body
from uphours.service.api.row_bodies import (
    ANSWERS,
    HOURS_ROW,
    SPECIAL_ROW,
    STORE_ROW,
    ZONE_ROW,
    Prefer,
    ValidFrom,
    body_of,
)
from uphours.service.auth import Calling, KeyedRoute, needs
from uphours.service.deps import Serving
from uphours.service.intake import Terms
from uphours.wire.load_messages import LoadOutcome

router = APIRouter(prefix="/v1", tags=["loads"], route_class=KeyedRoute)


@router.put("/business-hours", response_model=LoadOutcome, responses=ANSWERS, openapi_extra=body_of(HOURS_ROW))
@needs("ingest", sees="all")
async def put_business_hours(
    request: Request, serving: Serving, caller: Calling, valid_from: ValidFrom = None, prefer: Prefer = None
) -> Response | LoadOutcome:
    """Replace the whole week of each store and date that is named; other stores and dates keep theirs."""
    return await load_body(request, serving, caller.actor, "hours", prefer, _dated(valid_from))


@router.put("/timezones", response_model=LoadOutcome, responses=ANSWERS, openapi_extra=body_of(ZONE_ROW))
@needs("ingest", sees="all")
async def put_timezones(
    request: Request, serving: Serving, caller: Calling, valid_from: ValidFrom = None, prefer: Prefer = None
) -> Response | LoadOutcome:
    """Set the zone of each store that is named, from a date on."""
    return await load_body(request, serving, caller.actor, "timezones", prefer, _dated(valid_from))


@router.put("/special-hours", response_model=LoadOutcome, responses=ANSWERS, openapi_extra=body_of(SPECIAL_ROW))
@needs("ingest", sees="all")
async def put_special_hours(
    request: Request, serving: Serving, caller: Calling, prefer: Prefer = None
) -> Response | LoadOutcome:
    """Replace the hours of each store and date that is named; other dates keep theirs."""
    return await load_body(request, serving, caller.actor, "special", prefer)


@router.put("/stores", response_model=LoadOutcome, responses=ANSWERS, openapi_extra=body_of(STORE_ROW))
@needs("ingest", sees="all")
async def put_stores(
    request: Request, serving: Serving, caller: Calling, prefer: Prefer = None
) -> Response | LoadOutcome:
    """Set attributes of stores, such as a region, and their first and last day; a blank value takes one away."""
    return await load_body(request, serving, caller.actor, "stores", prefer)


def _dated(valid_from: str | None) -> Terms:
    if valid_from is None:
        return {}
    day = day_of_date(valid_from)
    if day is None:
        raise InputError(f"cannot read valid_from {shown(valid_from)}; {VALID_DATES}")
    return {"valid_from": day}
