"""``/v1/stores``: the fleet as it is now, and one store's timeline, outages and explanation."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query

from storepulse import overview as fleet_view
from storepulse.explanation import business_hours_of, explain
from storepulse.history import HeatMap, History
from storepulse.kernel.outages import outages
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import window_of, windows
from storepulse.reports import Report, latest, reconstruct
from storepulse.schema import SPAN_STATUSES, STORE_ID_MAX_LENGTH, Fleet, instant_iso, instant_us
from storepulse.web.access import Calling, needs
from storepulse.web.api.paging import After, Limit
from storepulse.web.fleets import FRESH_S
from storepulse.web.models import (
    Duration,
    Instant,
    IntervalModel,
    ObservationModel,
    OutageList,
    OutageModel,
    PolicyBody,
    Problem,
    SpanModel,
    StoreList,
    StoreModel,
    StoreRow,
    TimelineModel,
    WindowModel,
)
from storepulse.web.service import Serving

router = APIRouter(prefix="/v1/stores", tags=["stores"])

StoreName = Annotated[str, Path(min_length=1, max_length=STORE_ID_MAX_LENGTH)]
_NO_STORE: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem, "description": "There is no such store."}}


class Question:
    """What a view of stores is asked for: an instant, a window, and a policy."""

    def __init__(
        self,
        as_of: Annotated[Instant | None, Query(description="Unless given: the latest observation.")] = None,
        window: Annotated[
            str, Query(max_length=200, description="A name, or NAME=START/END.", examples=["last_day"])
        ] = "last_week",
        interpolation: Annotated[Literal["previous", "next", "nearest"], Query()] = "previous",
        prefer_in_session: Annotated[bool, Query()] = True,
        max_age: Annotated[Duration | None, Query()] = None,
        confirm_within: Annotated[Duration, Query()] = "2h",
        assume: Annotated[Literal["unknown", "active", "inactive"], Query()] = "unknown",
    ) -> None:
        #: How many seconds ago an answer about the fleet may have been right last.
        self.stale_ok = FRESH_S
        self.as_of = None if as_of is None else instant_us(as_of)
        self.window = window_of(window)
        self.policy: Policy = PolicyBody(
            interpolation=interpolation,
            prefer_in_session=prefer_in_session,
            max_age=max_age,
            confirm_within=confirm_within,
            assume=assume,
        ).policy()


Asking = Annotated[Question, Depends()]


@router.get("", response_model=StoreList)
@needs("read")
def list_stores(
    serving: Serving,
    caller: Calling,
    asking: Asking,
    search: Annotated[str | None, Query(max_length=STORE_ID_MAX_LENGTH, description="Part of the id.")] = None,
    state: Annotated[list[Literal["up", "down", "unknown", "closed"]] | None, Query()] = None,
    timezone: Annotated[list[str] | None, Query(max_length=64)] = None,
    availability_below: Annotated[float | None, Query(ge=0, le=1)] = None,
    without: Annotated[list[Literal["hours", "timezone"]] | None, Query()] = None,
    observed: Annotated[Literal["ever", "never"] | None, Query()] = None,
    last_observed_before: Annotated[Instant | None, Query()] = None,
    sort: Annotated[Literal["store_id", "availability", "lost_time", "since", "last_observed"], Query()] = "store_id",
    descending: Annotated[bool, Query()] = False,
    cursor_: After = None,
    limit: Limit = 100,
) -> StoreList:
    """List stores with their state and their figures in one window, as it is or was five seconds ago."""
    made = serving.fleets.overview(
        as_of=asking.as_of, window=asking.window, policy=asking.policy, stale_ok=asking.stale_ok
    )
    page = fleet_view.selected(
        made,
        search=search,
        states=state,
        timezones=timezone,
        availability_below=availability_below,
        without=without,
        observed=observed,
        last_observed_before=None if last_observed_before is None else instant_us(last_observed_before),
        sort=sort,
        descending=descending,
        after=cursor_,
        limit=limit,
    )
    return StoreList(
        **made_with(made.report),
        loads_seen=made.report.loads_seen,
        fleet=fleet_view.fleet_facts(made),
        stores=[StoreRow(**fleet_view.facts(made, row)) for row in page.rows],
        total_matching=page.total_matching,
        next_cursor=page.next_cursor,
    )


def made_with(made: Report | History | HeatMap) -> dict[str, Any]:
    """Return what a view was made with: the instant it speaks for, its one window, and the policy."""
    name = made.windows.names[0]
    start, end = made.windows.common[name]
    if len(made.windows.starts) == 1:
        start, end = int(made.windows.starts[0, 0]), int(made.windows.ends[0, 0])
    return {
        "as_of": instant_iso(made.as_of),
        "as_of_us": made.as_of,
        "policy": made.policy.facts(),
        "window": WindowModel(name=name, start_us=start, end_us=end),
    }


@router.get("/{store_id:path}/timeline", response_model=TimelineModel, responses=_NO_STORE)
@needs("read")
def show_timeline(serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> TimelineModel:
    """Show the spans of one store in a window, with the sessions and observations they are made of."""
    with serving.store.snapshot([store_id]) as fleet:
        made = explain(
            fleet, as_of=_as_of(fleet, asking), window=asking.window, policy=asking.policy, version=serving.version
        )
        spans = reconstruct(fleet, made.start_us, made.end_us, made.report.as_of, asking.policy).spans
    return TimelineModel(
        store_id=store_id,
        **made_with(made.report),
        timezone=made.timezone,
        sessions=[IntervalModel(start_us=start, end_us=end) for start, end in made.sessions],
        observations=[
            ObservationModel.model_validate({"observed_at_us": at, "status": status})
            for at, status in made.observations
        ],
        spans=[
            SpanModel(start_us=start, end_us=end, status=SPAN_STATUSES[status], confirmed=confirmed)
            for start, end, status, confirmed in zip(
                spans.starts.tolist(),
                spans.ends.tolist(),
                spans.statuses.tolist(),
                spans.confirmed.tolist(),
                strict=True,
            )
        ],
    )


def _as_of(fleet: Fleet, asking: Question) -> int:
    return latest(fleet) if asking.as_of is None else asking.as_of


@router.get("/{store_id:path}/outages", response_model=OutageList, responses=_NO_STORE)
@needs("read")
def show_outages(serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> OutageList:
    """List the outages of one store in a window; one that was going on at its start begins there."""
    with serving.store.snapshot([store_id]) as fleet:
        as_of = _as_of(fleet, asking)
        laid = windows([asking.window], as_of, fleet.hours)
        start, end = int(laid.starts[0, 0]), int(laid.ends[0, 0])
        found = outages(reconstruct(fleet, start, end, as_of, asking.policy).spans)
    return OutageList(
        store_id=store_id,
        as_of=instant_iso(as_of),
        as_of_us=as_of,
        policy=asking.policy.facts(),
        window=WindowModel(name=laid.names[0], start_us=start, end_us=end),
        outages=[
            OutageModel(start_us=start, end_us=end, downtime_us=downtime)
            for start, end, downtime in zip(
                found.starts.tolist(), found.ends.tolist(), found.downtime_us.tolist(), strict=True
            )
        ],
    )


@router.get("/{store_id:path}/explanation", responses=_NO_STORE)
@needs("read")
def show_explanation(serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> dict[str, Any]:
    """Take one store's numbers apart: sessions, observations, spans with who speaks for them and why, and sums."""
    with serving.store.snapshot([store_id]) as fleet:
        made = explain(
            fleet, as_of=_as_of(fleet, asking), window=asking.window, policy=asking.policy, version=serving.version
        )
    return made.facts()


# Behind the others: an id may have slashes, so this path fits theirs too.
@router.get("/{store_id:path}", response_model=StoreModel, responses=_NO_STORE)
@needs("read")
def show_store(serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> StoreModel:
    """Show one store: its state at as_of, since when, its hours, and its figures in one window."""
    with serving.store.snapshot([store_id]) as fleet:
        made = fleet_view.overview(
            fleet,
            as_of=asking.as_of,
            window=asking.window,
            policy=asking.policy,
            version=serving.version,
            whole_history=True,
        )
        hours = business_hours_of(fleet.hours)
    return StoreModel(**fleet_view.facts(made, 0), **made_with(made.report), business_hours=hours)
