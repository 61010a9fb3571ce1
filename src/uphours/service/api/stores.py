"""``/v1/stores``: the fleet as it is now, and one store's timeline, outages and explanation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from datetime import date
from typing import Annotated, Any, Final, TypeAlias, cast

import numpy as np
from fastapi import APIRouter, Depends, Path, Query

from uphours.database import ledger
from uphours.errors import InputError
from uphours.kernel.local_time import local_date
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Windows, window_of, windows
from uphours.reports import fleet as fleet_view
from uphours.reports.ahead import Ahead, ahead
from uphours.reports.explain import Explanation, business_hours_of, exceptions, explain, zone_at
from uphours.reports.history import HeatMap, History
from uphours.reports.measure import latest_instant, timelines
from uphours.reports.memberships import Labels, labels
from uphours.reports.reading import Known, Unadjusted, read_fleet
from uphours.reports.report import Report
from uphours.reports.store_list import Place, selected
from uphours.schema import (
    DAY_US,
    MINUTE_US,
    SPAN_STATUSES,
    Fleet,
    Schedule,
    Spans,
    instant_iso,
    instant_us,
)
from uphours.service.api.paging import After, Limit, cursor, key
from uphours.service.auth import Caller, Calling, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Service, Serving
from uphours.service.lane_routes import StoreRoute, ViewRoute
from uphours.service.policy_parameters import InQuery
from uphours.service.views import FRESH_S, Asked
from uphours.where import Where, where_of_texts
from uphours.wire.store_messages import Observation, OutageList, Span, Store, StoreDetail, StoreList, Timeline
from uphours.wire.values import STORE_ID_MAX_LENGTH, Instant
from uphours.wire.view_messages import Ahead as AheadAnswer
from uphours.wire.view_messages import Answer, Compared, FleetView, Window
from uphours.wire.words import Lacking, Observed, StoreOrder, StoreState, Tab

router = APIRouter(prefix="/v1/stores", tags=["stores"], route_class=StoreRoute)

fleet_router = APIRouter(prefix="/v1/stores", tags=["stores"], route_class=ViewRoute)

StoreName = Annotated[str, Path(min_length=1, max_length=STORE_ID_MAX_LENGTH)]
_QUARTER_US: Final = 15 * MINUTE_US
#: Sessions of one store that an answer may hold: those of a shift a day in seventy years.
_MOST_SESSIONS: Final = 30_000
_NO_STORE: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem, "description": "There is no such store."}}


def _default_policy(serving: Serving) -> Policy:
    return serving.settings.policy


DefaultPolicy = Annotated[Policy, Depends(_default_policy)]
"""The policy of what a request does not say."""


def quarter_of(serving: Service) -> int:
    """Return when the present quarter of an hour began: what stores belong to changes at midnight, of any clock."""
    return serving.now() // _QUARTER_US * _QUARTER_US


class Question:
    """What a view of stores is asked for: an instant, a window, a policy, and whether the ledger counts."""

    def __init__(
        self,
        default: DefaultPolicy,
        chosen: InQuery,
        as_of: Annotated[Instant | None, Query(description="Unless given: the latest observation.")] = None,
        window: Annotated[
            str, Query(max_length=200, description="A name, or NAME=START/END.", examples=["last_day"])
        ] = "last_week",
        raw: Annotated[bool, Query(description="Without the ledger.")] = False,
    ) -> None:
        #: How many seconds ago an answer about the fleet may have been right last.
        self.stale_ok = FRESH_S
        self.as_of = None if as_of is None else instant_us(as_of)
        self.window = window_of(window)
        self.policy = default.changed(chosen)
        self.raw = raw
        #: The stores that a question about the fleet is about.
        self.where: Where = ()
        #: Whether it is also about the window before.
        self.compare = False

    def asked_by(self, serving: Service, caller: Caller) -> Asked:
        """Return what a view of the fleet is asked for, by someone who may see some of it alone."""
        at = quarter_of(serving) if caller.only else 0
        return Asked(self.as_of, self.window, self.policy, self.raw, self.where, caller.only, at, self.compare)

    def of(self, fleet: Fleet) -> Fleet:
        """Return a fleet with what is asked about: perhaps without what the ledger says."""
        return Unadjusted(fleet) if self.raw else fleet


Asking = Annotated[Question, Depends()]


def _about_fleet(
    question: Asking,
    where: Annotated[
        list[str] | None,
        Query(
            max_length=100,
            description="NAME=VALUE: only stores with this attribute at as_of. Values of one attribute are any of "
            "them, different attributes all of them.",
            examples=[["region=TX"]],
        ),
    ] = None,
) -> Question:
    question.where = where_of_texts(where or ())
    return question


AskingFleet = Annotated[Question, Depends(_about_fleet)]
"""What a view of the fleet is asked for: also of which stores."""


Compare = Annotated[
    bool, Query(description="Also the window before, of which as much counts as has elapsed, and the changes.")
]


@fleet_router.get("")
@needs("read", sees="stores")
def list_stores(
    serving: Serving,
    caller: Calling,
    asking: AskingFleet,
    search: Annotated[
        str | None, Query(max_length=STORE_ID_MAX_LENGTH, description="Part of the id or of an attribute.")
    ] = None,
    state: Annotated[list[StoreState] | None, Query()] = None,
    timezone: Annotated[list[str] | None, Query(max_length=64)] = None,
    availability_below: Annotated[float | None, Query(ge=0, le=1)] = None,
    without: Annotated[list[Lacking] | None, Query()] = None,
    observed: Annotated[Observed | None, Query()] = None,
    last_observed_before: Annotated[Instant | None, Query()] = None,
    tab: Annotated[
        Tab, Query(description="Only the stores that one question is about; those of the fleet's page.")
    ] = "all",
    sort: Annotated[StoreOrder, Query()] = "store_id",
    descending: Annotated[bool, Query()] = False,
    compare: Compare = False,
    cursor_: After = None,
    limit: Limit = 100,
) -> StoreList:
    """List stores with their state and their figures in one window, as it is or was five seconds ago."""
    asking.compare = compare
    made = serving.fleets.overview(asking.asked_by(serving, caller), stale_ok=asking.stale_ok)
    return store_list(
        serving,
        asking,
        made,
        search=search,
        states=state,
        timezones=timezone,
        availability_below=availability_below,
        without=without,
        observed=observed,
        last_observed_before=None if last_observed_before is None else instant_us(last_observed_before),
        tab=tab,
        sort=sort,
        descending=descending,
        after=cursor_,
        limit=limit,
    )


def store_list(
    serving: Service, asking: Question, made: fleet_view.Overview, *, after: str | None, **chosen: Any
) -> StoreList:
    """Return a page of stores; what is chosen is what `uphours.reports.store_list.selected` takes."""
    place = key(after, ("text", "flag", "figure", "text"))
    page = selected(made, after=None if place is None else Place(*place), **chosen)
    return {
        **fleet_answer(serving, asking, made),
        **window_before(made.report),
        "fleet": fleet_view.fleet_facts(made),
        "stores": [cast(Store, fleet_view.facts(made, row)) for row in page.rows],
        "total_matching": page.total_matching,
        "tabs": {str(name): stores for name, stores in page.tabs.items()},
        "next_cursor": None if page.end is None else cursor(*astuple(page.end)),
    }


View: TypeAlias = fleet_view.Overview | History | HeatMap | Report


def _ahead_of(serving: Service, asking: Question, made: View) -> AheadAnswer | None:
    """Return how far the latest observation is ahead of the clock, if a view speaks for it and it is.

    Which stores that comes from, an overview alone knows.
    """
    now, stores = serving.now(), []
    as_of = made.report.as_of if isinstance(made, fleet_view.Overview) else made.as_of
    if asking.as_of is not None or as_of <= now:
        return None
    if isinstance(made, fleet_view.Overview):
        stores = [made.store_ids[row] for row in np.flatnonzero(made.last_observed_at_us > now).tolist()]
    return Ahead.of(as_of, now, stores).facts()


def _answer(made: Report | History | HeatMap, asking: Question, ahead: AheadAnswer | None) -> Answer:
    return {
        "as_of": instant_iso(made.as_of),
        "as_of_us": made.as_of,
        "ahead": ahead,
        "policy": made.policy.to_dict(),
        "raw": asking.raw,
        "window": _window(made.windows),
    }


def window_before(report: Report) -> Compared:
    """Return what a view says of the window before: nothing where there is no comparison."""
    return {} if report.before is None else {"window_before": _window(report.before.windows)}


def fleet_answer(serving: Service, asking: Question, made: View) -> FleetView:
    """Return what a view of the fleet speaks for: an instant, a window, a policy, and what of the database it knows."""
    report = made.report if isinstance(made, fleet_view.Overview) else made
    return {
        **_answer(report, asking, _ahead_of(serving, asking, made)),
        "loads_seen": report.loads_seen,
        "entries_seen": report.entries_seen,
    }


def _window(laid: Windows) -> Window:
    """Describe the only window; of one store with its own bounds."""
    name = laid.names[0]
    start, end = laid.common[name]
    if len(laid.starts) == 1:
        start, end = int(laid.starts[0, 0]), int(laid.ends[0, 0])
    return {"name": name, "start_us": start, "end_us": end}


@router.get("/{store_id:path}/timeline", responses=_NO_STORE)
@needs("read", sees="stores")
def show_timeline(serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> Timeline:
    """Show the spans of one store in a window, with the sessions and observations they are made of."""
    with serving.snapshot(caller, [store_id]) as snapshot:
        fleet = asking.of(snapshot)
        _check_size(fleet, asking)
        made = explain(
            fleet, as_of=asking.as_of, window=asking.window, policy=asking.policy,
            now=serving.now(),
        )  # fmt: skip
        spans = timelines(fleet, made.start_us, made.end_us, made.report.as_of, asking.policy).spans
    far = made.report.ahead
    return {
        **_answer(made.report, asking, None if far is None else far.facts()),
        "store_id": store_id,
        "timezone": made.timezone,
        "sessions": [{"start_us": start, "end_us": end} for start, end in made.sessions],
        "observations": [
            cast(Observation, {"observed_at_us": at, "status": status}) for at, status in made.observations
        ],
        "spans": _spans(spans),
    }


def _spans(spans: Spans) -> list[Span]:
    entries = [0] * len(spans.starts) if spans.entries is None else spans.entries.tolist()
    columns = (spans.starts, spans.ends, spans.statuses, spans.confirmed)
    return [
        {
            "start_us": start,
            "end_us": end,
            "status": SPAN_STATUSES[status],
            "confirmed": confirmed,
            "entry": entry or None,
        }
        for start, end, status, confirmed, entry in zip(*(column.tolist() for column in columns), entries, strict=True)
    ]


def _check_size(fleet: Fleet, asking: Question) -> None:
    """Refuse a window in which the store has more sessions than an answer may hold, before they are laid out.

    Raises
    ------
    InputError
        The window is too long for it.
    """
    as_of = _as_of(fleet, asking)
    laid = windows([asking.window], as_of, fleet.schedule)
    weeks = (min(int(laid.ends.max()), as_of) - int(laid.starts.min())) // (7 * DAY_US) + 1
    sessions = weeks * len(fleet.schedule.stores)
    if sessions > _MOST_SESSIONS:
        raise InputError(
            f"the store has up to {sessions:,} sessions in this window; valid are windows of up to {_MOST_SESSIONS:,}"
        )


def _as_of(fleet: Fleet, asking: Question) -> int:
    return latest_instant(fleet) if asking.as_of is None else asking.as_of


def whole_history(fleet: Fleet, asking: Question) -> Known:
    """Read all that a question can be about, once for all that is asked of it."""
    return read_fleet(fleet, as_of=_as_of(fleet, asking), window=asking.window, whole_history=True)


@router.get("/{store_id:path}/outages", responses=_NO_STORE)
@needs("read", sees="stores")
def show_outages(serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> OutageList:
    """List the outages of one store in a window; one that was going on at its start begins there."""
    with serving.snapshot(caller, [store_id]) as fleet:
        return outages_of(serving, fleet, asking)


def outages_of(serving: Service, fleet: Fleet, asking: Question) -> OutageList:
    """Return the outages of the only store of a fleet."""
    _check_size(fleet, asking)
    fleet = asking.of(fleet)
    as_of = _as_of(fleet, asking)
    far = ahead(fleet, as_of, serving.now()) if asking.as_of is None else None
    laid = windows([asking.window], as_of, fleet.schedule)
    start, end = int(laid.starts[0, 0]), int(laid.ends[0, 0])
    found = timelines(fleet, start, end, as_of, asking.policy).outages()
    return {
        "as_of": instant_iso(as_of),
        "as_of_us": as_of,
        "ahead": None if far is None else far.facts(),
        "policy": asking.policy.to_dict(),
        "raw": asking.raw,
        "window": _window(laid),
        "store_id": fleet.store_ids[0],
        "outages": [
            {"start_us": start, "end_us": end, "downtime_us": downtime}
            for start, end, downtime in zip(
                found.starts.tolist(), found.ends.tolist(), found.downtime_us.tolist(), strict=True
            )
        ],
    }


@router.get("/{store_id:path}/explanation", responses=_NO_STORE)
@needs("read", sees="stores")
def show_explanation(serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> dict[str, Any]:
    """Take one store's numbers apart: sessions, observations, spans with who speaks for them and why, and sums."""
    with serving.snapshot(caller, [store_id]) as fleet:
        return explanation_of(serving, fleet, asking)


def explanation_of(serving: Service, fleet: Fleet, asking: Question) -> dict[str, Any]:
    """Return the explanation of the only store of a fleet as plain values, with what the ledger says."""
    made = explained(serving, fleet, asking)
    raw = {"raw": True} if asking.raw else {}
    return made.facts() | {"entries": statements(serving, made.entries)} | raw


def explained(serving: Service, fleet: Fleet, asking: Question) -> Explanation:
    """Return the explanation of the only store of a fleet."""
    _check_size(fleet, asking)
    return explain(asking.of(fleet), as_of=asking.as_of, window=asking.window, policy=asking.policy, now=serving.now())


def statements(serving: Service, entries: Sequence[int]) -> list[dict[str, Any]]:
    """Return what entries of the ledger say and who said so: none of it ever changes, so any reading will do."""
    if not entries:
        return []
    with serving.database.reading() as connection:
        found = ledger.find_entries(connection, entries)
    names = ("entry", "counts_as", "reason", "note", "actor")
    return [{name: getattr(one, name) for name in names} | {"at": instant_iso(one.at)} for one in found]


# Behind the others: an id may have slashes, so this path fits theirs too.
@router.get("/{store_id:path}", responses=_NO_STORE)
@needs("read", sees="stores")
def show_store(
    serving: Serving, caller: Calling, asking: Asking, store_id: StoreName, compare: Compare = False
) -> StoreDetail:
    """Show one store: its state at as_of, since when, its hours, and its figures in one window."""
    asking.compare = compare
    with serving.snapshot(caller, [store_id]) as fleet:
        return store_of(serving, fleet, asking, labels(fleet, _as_of(fleet, asking)))


def store_of(serving: Service, fleet: Fleet, asking: Question, labelled: Labels | None = None) -> StoreDetail:
    """Return what is known of the only store of a fleet; ``labelled``: the values of its attributes."""
    made = fleet_view.overview(
        asking.of(fleet),
        as_of=asking.as_of,
        window=asking.window,
        policy=asking.policy,
        whole_history=True,
        compare=asking.compare,
        labels=labelled,
    )
    as_of = made.report.as_of
    start, end = (int(bounds[0, 0]) for bounds in (made.report.windows.starts, made.report.windows.ends))
    last = max(start, min(end, as_of) - 1)
    return {
        **_answer(made.report, asking, _ahead_of(serving, asking, made)),
        **window_before(made.report),
        **cast(Store, fleet_view.facts(made, 0)),
        "business_hours": business_hours_of(fleet.schedule, local_date_at(fleet.schedule, as_of)),
        "exceptions": [
            day.facts()
            for day in exceptions(
                fleet.schedule, local_date_at(fleet.schedule, start), local_date_at(fleet.schedule, last)
            )
        ],
    }


def local_date_at(schedule: Schedule, instant: int) -> date:
    """Return the date that the clock of the only store of a schedule shows at an instant."""
    return local_date(schedule.zone_names[zone_at(schedule, instant)], instant)
