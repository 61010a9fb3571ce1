"""``/v1/stores/{store_id}/calendar``: when a store is open, day by day, and where that comes from."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query

from uphours.reports.store_calendar import calendar
from uphours.service.api.stores import StoreName, local_date_at
from uphours.service.auth import Calling, needs
from uphours.service.bodies import Problem, date_of
from uphours.service.deps import Serving
from uphours.service.lane_routes import StoreRoute
from uphours.wire.calendar_messages import Calendar
from uphours.wire.values import LocalDate

router = APIRouter(prefix="/v1/stores", tags=["stores"], route_class=StoreRoute)

#: Of a calendar whose dates are not named.
_USUAL_DAYS: Final = timedelta(days=28)
_NO_STORE: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem, "description": "There is no such store."}}


@router.get("/{store_id:path}/calendar", responses=_NO_STORE)
@needs("read", sees="stores")
def show_calendar(
    serving: Serving,
    caller: Calling,
    store_id: StoreName,
    from_: Annotated[
        LocalDate | None, Query(alias="from", description="The first date. Unless given: today at the store.")
    ] = None,
    to: Annotated[
        LocalDate | None, Query(description="The date after the last one. Unless given: 28 days after the first.")
    ] = None,
) -> Calendar:
    """Show the schedule of one store day by day, each day with where its hours come from."""
    with serving.snapshot(caller, [store_id]) as fleet:
        schedule = fleet.schedule
        first = local_date_at(schedule, serving.now()) if from_ is None else date_of("from", from_)
        end = first + _USUAL_DAYS if to is None else date_of("to", to)
        days = calendar(schedule, 0, first, end)
    return {"store_id": store_id, "first": str(first), "end": str(end), "days": [day.facts() for day in days]}
