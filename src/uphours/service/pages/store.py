"""One store: its state, a picture of its timeline, its figures, its outages, and how they come about."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from uphours.service.api import stores
from uphours.service.api.stores import StoreName
from uphours.service.auth import Calling, needs
from uphours.service.deps import Serving
from uphours.service.lane_routes import StoreRoute
from uphours.service.pages.adjust_form import has_one_clock, stretch, typed_in
from uphours.service.pages.charts import dates_of, days
from uphours.service.pages.entries import entries_about
from uphours.service.pages.gaps import gaps_in
from uphours.service.pages.query import Asking
from uphours.service.pages.rendering import page
from uphours.service.pages.store_hours import calendar_of, notes_on, runs_of, week_since

router = APIRouter(route_class=StoreRoute)

#: The windows whose figures stand side by side, beside the one that is asked for.
_SIDE_BY_SIDE: Final = ("last_hour", "last_day", "last_week")
#: Days that are drawn, and as many spans and outages, the last ones; the page says how many are left out.
_MOST_DAYS: Final = 35
_MOST_ROWS: Final = 400
#: Runs of exceptional days that are listed, the last ones.
_MOST_RUNS: Final = 40


@router.get("/stores/{store_id:path}")
@needs("read", sees="stores")
def show(request: Request, serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> Response:
    """Show one store."""
    question = asking.question()
    # One snapshot for the whole page: data may come in meanwhile, and its parts must not disagree.
    with serving.snapshot(caller, [store_id]) as snapshot:
        last_entry = snapshot.latest_entry()
        fleet = stores.whole_history(snapshot, question)
        found = stores.store_of(serving, fleet, question)
        explained = stores.explanation_of(serving, fleet, question)
        outages = stores.outages_of(serving, fleet, question).outages
        others = [
            stores.store_of(serving, fleet, asking.question(window=window))
            for window in _SIDE_BY_SIDE
            if window != found.window.name
        ]
        schedule = fleet.schedule
    gaps = gaps_in(serving, caller, question)
    dates, days_left_out = dates_of(explained, zone=found.timezone, most=_MOST_DAYS)
    is_one_clock = has_one_clock(schedule)
    shown = outages[::-1][:_MOST_ROWS]
    window = explained["window"]
    return page(
        request,
        "store",
        caller=caller,
        asked=asking,
        store=found,
        explained=explained,
        statements={one["entry"]: one for one in explained["entries"]},
        first_span=max(0, len(explained["spans"]) - _MOST_ROWS),
        outages=shown,
        stretches=[stretch(found.timezone, one.start_us, one.end_us, is_one_clock=is_one_clock) for one in shown],
        outages_left_out=max(0, len(outages) - _MOST_ROWS),
        windows=[*others, found],
        gaps=gaps,
        days=days(explained, gaps.intervals, dates, notes_on(schedule, dates), zone=found.timezone),
        days_left_out=days_left_out,
        exceptions=runs_of(found.exceptions)[-_MOST_RUNS:],
        exceptions_left_out=max(0, len(runs_of(found.exceptions)) - _MOST_RUNS),
        calendar_query=calendar_of(found.timezone, window["start_us"], window["end_us"]),
        week_since=week_since(schedule, stores.local_date_at(schedule, found.as_of_us)),
        about=entries_about(
            serving, caller, store_id, start=window["start_us"], end=window["end_us"], last_entry=last_entry
        ),
        typed=typed_in(request, store_id),
        is_one_clock=is_one_clock,
    )
