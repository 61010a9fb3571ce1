"""``/v1/fleet``: the whole fleet over time and by the hours of the week."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Final, cast

from fastapi import APIRouter, Query

from uphours.database import polled_days, properties
from uphours.errors import InputError
from uphours.reports.polls_that_came import AROUND_DAYS, shares
from uphours.schema import DAY_US, instant_iso
from uphours.service.api.stores import AskingFleet, fleet_answer
from uphours.service.auth import Caller, Calling, needs
from uphours.service.bodies import date_of
from uphours.service.deps import Service, Serving
from uphours.service.lane_routes import ViewRoute
from uphours.wire.fleet_messages import Bucket, DayList, FleetHistory, HeatCell, HeatMap

router = APIRouter(prefix="/v1", tags=["fleet"], route_class=ViewRoute)

_EPOCH: Final = date(1970, 1, 1)
#: Of days that are not named.
_USUAL_DAYS: Final = 26 * 7
_MOST_DAYS: Final = 4000


@router.get("/fleet/history")
@needs("read", sees="stores")
def show_history(serving: Serving, caller: Calling, asking: AskingFleet) -> FleetHistory:
    """Follow the fleet over a window: hours up to ten days, days up to 400, else weeks; and gaps in polling."""
    made = serving.fleets.history(asking.asked_by(serving, caller), stale_ok=asking.stale_ok)
    gaps = zip(made.gaps.starts.tolist(), made.gaps.ends.tolist(), strict=True)
    return {
        **fleet_answer(serving, asking, made),
        "bucket": made.bucket,
        "buckets": cast(list[Bucket], made.buckets),
        "poll_interval_us": made.gaps.interval_us,
        "gaps": [{"start_us": start, "end_us": end} for start, end in gaps],
    }


@router.get("/fleet/heatmap")
@needs("read", sees="stores")
def show_heat_map(serving: Serving, caller: Calling, asking: AskingFleet) -> HeatMap:
    """Add a window up by weekday and hour, as the clock of each store shows them."""
    made = serving.fleets.heat_map(asking.asked_by(serving, caller), stale_ok=asking.stale_ok)
    return {**fleet_answer(serving, asking, made), "cells": cast(list[HeatCell], made.cells)}


@router.get("/days")
@needs("read", sees="all")
def list_days(
    serving: Serving,
    caller: Calling,
    from_: Annotated[str | None, Query(alias="from", max_length=10, examples=["2023-01-25"])] = None,
    to: Annotated[str | None, Query(max_length=10, description="Unless given: of the latest observation.")] = None,
) -> DayList:
    """Say of each day of UTC how many polls came; 26 weeks up to the latest observation unless given."""
    with serving.database.reading() as connection:
        extent = polled_days.extent(connection)
        last = _day("to", to) if to is not None else None if extent is None else extent[1] // DAY_US
        if last is None:
            raise InputError("there are no observations yet; load polls first, or name the days (from, to)")
        first = last - _USUAL_DAYS + 1 if from_ is None else _day("from", from_)
        if not 1 <= last - first + 1 <= _MOST_DAYS:
            raise InputError(
                f"from {_text(first)} to {_text(last)} are {last - first + 1} days; valid are 1 to {_MOST_DAYS}"
            )
        polls = polled_days.polled(connection, first - AROUND_DAYS, last + AROUND_DAYS)
        pruned_before = properties.get(connection, "pruned_before")
    found = {} if extent is None else shares(polls, first, last, extent)
    return {
        "first": _text(first),
        "last": _text(last),
        "pruned_before": None if pruned_before is None else instant_iso(int(pruned_before)),
        "days": [
            {"day": _text(day), "polled": day in polls, "polls": polls.get(day, 0), "share": found.get(day)}
            for day in range(first, last + 1)
        ],
    }


def any_polls(serving: Service, caller: Caller) -> bool:
    """Say whether there is any observation that a caller may see."""
    if caller.only:
        with serving.snapshot(caller) as fleet:
            return fleet.latest_observation() is not None
    with serving.database.reading() as connection:
        return polled_days.latest(connection) is not None


def _day(name: str, text: str) -> int:
    """Read a date as days since the epoch."""
    return (date_of(name, text) - _EPOCH).days


def _text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
