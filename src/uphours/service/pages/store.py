"""One store: its state, a picture of its timeline, its figures, its outages, and how they come about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from uphours.errors import InputError
from uphours.reports.explain import Explanation
from uphours.reports.explanation_text import SHORT_REASONS, grouped_hours, merged, speakers, summary
from uphours.reports.memberships import labels
from uphours.service.api import stores
from uphours.service.api.stores import StoreName
from uphours.service.auth import Caller, Calling, needs
from uphours.service.deps import Service, Serving
from uphours.service.lane_routes import StoreRoute
from uphours.service.pages.adjust_form import has_one_clock, stretch, typed_in
from uphours.service.pages.charts import dates_of, days, polls_by_day
from uphours.service.pages.entries import AboutStore, Line, entries_about
from uphours.service.pages.gaps import gaps_in
from uphours.service.pages.headline import headline
from uphours.service.pages.neighbours import neighbours
from uphours.service.pages.query import PERIODS, Asked, Asking
from uphours.service.pages.rendering import page
from uphours.service.pages.store_hours import calendar_of, notes_on, runs_of, week_since
from uphours.wire.store_messages import Outage as FoundOutage
from uphours.wire.view_messages import Interval

router = APIRouter(route_class=StoreRoute, include_in_schema=False)

#: The windows whose figures stand side by side, beside the one that is asked for.
_SIDE_BY_SIDE: Final = ("last_hour", "last_day", "last_week")
#: Days that are drawn, and as many spans and outages, the last ones; the page says how many are left out.
_MOST_DAYS: Final = 35
_MOST_ROWS: Final = 400
#: Runs of exceptional days that are listed, the last ones.
_MOST_RUNS: Final = 40


@dataclass(frozen=True)
class Outage:
    """An outage, the polls that say so, the collector gaps inside it, and what the ledger says of the time."""

    start_us: int
    end_us: int
    downtime_us: int
    polls: int
    gaps: int
    about: Sequence[Line]
    stretch: dict[str, str]


@dataclass(frozen=True)
class Run:
    """Spans in a row with the same status for the same reason; ``polls``: how many speak for them."""

    start_us: int
    end_us: int
    status: str
    polls: int
    why: str
    entry: int | None


@router.get("/stores/{store_id:path}/proof")
@needs("read", sees="stores")
def show_proof(request: Request, serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> Response:
    """Show how the figures of one store come about, laid out to be printed and handed on."""
    values = _looked_at(serving, caller, asking, store_id)
    polls = polls_by_day(values["heard"], zone=values["store"]["timezone"])
    return page(request, "proof", **values, polls=polls)


# Behind the others: an id may have slashes, so this path fits theirs too.
@router.get("/stores/{store_id:path}")
@needs("read", sees="stores")
def show(request: Request, serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> Response:
    """Show one store."""
    given = request.query_params
    query, view = given.get("list", ""), given.get("view", "")
    return page(
        request,
        "store",
        **_looked_at(serving, caller, asking, store_id),
        beside=neighbours(serving, caller, asking, query, store_id) if query else None,
        kept=[(name, value) for name, value in (("list", query), ("view", view)) if value],
        periods=PERIODS,
        typed=typed_in(request, store_id),
        view=view,
    )


def _looked_at(serving: Service, caller: Caller, asking: Asked, store_id: str) -> dict[str, Any]:
    """Return what pages about one store show."""
    question = asking.question()
    # One snapshot for the whole page: data may come in meanwhile, and its parts must not disagree.
    with serving.snapshot(caller, [store_id]) as snapshot:
        last_entry = snapshot.latest_entry()
        fleet = stores.whole_history(snapshot, question)
        labelled = labels(snapshot, fleet.as_of)
        try:
            question.compare = True
            found = stores.store_of(serving, fleet, question, labelled)
        except InputError:  # the window before was pruned
            question.compare = False
            found = stores.store_of(serving, fleet, question, labelled)
        explained = stores.explained(serving, fleet, question)
        outages = stores.outages_of(serving, fleet, question)["outages"]
        others = [
            stores.store_of(serving, fleet, asking.question(window=window))
            for window in _SIDE_BY_SIDE
            if window != found["window"]["name"]
        ]
        schedule = fleet.schedule
        says = headline(
            snapshot, fleet, question.of(fleet), found["state"], found["since_us"], found["as_of_us"], question.policy
        )
    zone = found["timezone"]
    gaps = gaps_in(serving, caller, question)
    facts = explained.facts()
    dates, days_left_out = dates_of(facts, zone=zone, most=_MOST_DAYS)
    is_one_clock = has_one_clock(schedule)
    laid = days(facts, gaps.intervals, dates, notes_on(schedule, dates), zone=zone)
    about = entries_about(
        serving, caller, store_id, start=explained.start_us, end=explained.end_us, last_entry=last_entry
    )
    runs = _runs(explained)
    return {
        "caller": caller,
        "asked": asking,
        "store": found,
        "says": says,
        "explained": facts,
        "heard": explained.observations,
        "summary": summary(explained),
        "statements": {one["entry"]: one for one in stores.statements(serving, explained.entries)},
        "first_span": max(0, len(explained.spans) - _MOST_ROWS),
        "runs": runs[-_MOST_ROWS:],
        "runs_left_out": max(0, len(runs) - _MOST_ROWS),
        "outages": [
            _outage(one, explained, gaps.intervals, about, stretch(
                zone, one["start_us"], one["end_us"], is_one_clock=is_one_clock
            ))
            for one in outages[::-1][:_MOST_ROWS]
        ],
        "outages_left_out": max(0, len(outages) - _MOST_ROWS),
        "windows": [*others, found],
        "gaps": gaps,
        "days": laid[::-1],  # the newest is what people look for
        "days_left_out": days_left_out,
        "exceptions": runs_of(found["exceptions"])[-_MOST_RUNS:],
        "exceptions_left_out": max(0, len(runs_of(found["exceptions"])) - _MOST_RUNS),
        "calendar_query": calendar_of(zone, explained.start_us, explained.end_us),
        "week": grouped_hours(explained),
        "week_since": week_since(schedule, stores.local_date_at(schedule, found["as_of_us"])),
        "about": about,
        "is_one_clock": is_one_clock,
    }  # fmt: skip


def _outage(
    one: FoundOutage,
    explained: Explanation,
    gaps: Sequence[Interval],
    about: AboutStore,
    stretch: dict[str, str],
) -> Outage:
    start, end = one["start_us"], one["end_us"]
    inside = [span for span in explained.spans if span.start_us < end and span.end_us > start]
    return Outage(
        start,
        end,
        one["downtime_us"],
        polls=len(speakers(span for span in inside if span.status == "down")),
        gaps=sum(gap["start_us"] < end and gap["end_us"] > start for gap in gaps),
        about=[
            line
            for line in about.lines
            if any(each["start_us"] < end and each["end_us"] > start for each in line.intervals)
        ],
        stretch=stretch,
    )


def _runs(explained: Explanation) -> list[Run]:
    return [
        Run(
            run[0].start_us,
            run[-1].end_us,
            run[0].status,
            len(speakers(run)),
            SHORT_REASONS.get(run[0].why, run[0].why),
            run[0].entry,
        )
        for run in merged(explained.spans)
    ]
