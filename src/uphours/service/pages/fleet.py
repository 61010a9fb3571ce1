"""The page of the fleet: what is wrong now, how it stands, and the stores that a tab is about."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Path, Request, Response

from uphours.kernel.local_time import wall_clock
from uphours.reports.explain import WEEKDAYS
from uphours.reports.fleet import Overview, facts
from uphours.reports.report import Report
from uphours.reports.standouts import average, standout
from uphours.reports.store_list import selected
from uphours.reports.tabs import NOT_POLLED_US, TABS, UNSTABLE_OUTAGES, key_figures, missed
from uphours.reports.writers import MEDIA_TYPES, write_report
from uphours.schema import WHOLE_SHARE, instant_iso
from uphours.service.api import fleet, stores
from uphours.service.api.groups import attributes_of
from uphours.service.auth import Calling, needs
from uphours.service.deps import Serving
from uphours.service.lane_routes import ViewRoute
from uphours.service.pages.fleet_list import (
    MOST_VALUES,
    TAB_WORDS,
    Listed,
    Listing,
    filters,
    listed_overview,
    of_list,
    rows,
)
from uphours.service.pages.gaps import gaps_in
from uphours.service.pages.query import PERIODS, Asking
from uphours.service.pages.rendering import duration, page, percent
from uphours.wire.words import Tab

router = APIRouter(route_class=ViewRoute, include_in_schema=False)

_ON_A_PAGE: Final = 50


@router.get("/")
@needs("read", sees="stores")
def show(request: Request, serving: Serving, caller: Calling, asking: Asking, listing: Listing) -> Response:
    """Show the fleet; with an empty store, what to do first."""
    if not fleet.any_polls(serving, caller):
        return page(request, "first_run", caller=caller)
    question = asking.question()
    everyone = listed_overview(serving, caller, question, listing)
    made = everyone.where(question.where)
    found = stores.store_list(serving, question, made, **listing.chosen, after=listing.cursor, limit=_ON_A_PAGE)
    target = _target(made)
    return page(
        request,
        "fleet",
        asked=asking,
        listing=listing,
        found=found,
        rows=rows(found, made, listing),
        standing=key_figures(made),
        target=target,
        tabs=_tabs(target, listing.tab),
        periods=PERIODS,
        of_list=of_list(asking, listing),
        week=_address("/week", [*asking.pairs, *listing.view]),
        gaps=gaps_in(serving, caller, question),
        filters=filters(
            attributes_of(everyone.labels, MOST_VALUES), asking.where, made.timezones, listing, found["fleet"]
        ),
        zones=sorted(set(everyone.timezones)),
        pinned=instant_iso(found["as_of_us"]),
        caller=caller,
    )


def _target(made: Overview) -> str:
    """Return what is expected of stores, in words: "target" where it differs; blank where nothing is."""
    shares = {share for share in made.expected.shares.tolist() if share}
    return "target" if len(shares) > 1 else "".join(percent(share / WHOLE_SHARE) for share in shares)


def _tabs(target: str, chosen: Tab) -> dict[Tab, tuple[str, str]]:
    """Return what each tab is called, and what belongs to it; without targets that of targets only if it is chosen."""
    belongs: dict[Tab, str] = {
        "attention": "Down now, but not throughout the window; the latest first.",
        "down_throughout": "Down all known open time of the window. A store that is closed for good does not belong "
        "in the fleet.",
        "unstable": f"At least {UNSTABLE_OUTAGES} outages in the window.",
        "below_target": "Availability in the window below a target of the store, but not down throughout.",
        "not_polled": f"No poll in the window, or none in the {duration(NOT_POLLED_US)} before.",
        "incomplete": "Without business hours, without usable ones, or without a time zone.",
        "all": "All stores.",
    }
    words = {**TAB_WORDS, "below_target": f"Below {target}" if target else TAB_WORDS["below_target"]}
    return {name: (words[name], belongs[name]) for name in TABS if name != "below_target" or target or chosen == name}


@router.get("/list.{form}")
@needs("read", sees="stores")
def export(
    request: Request,
    serving: Serving,
    caller: Calling,
    asking: Asking,
    listing: Listing,
    form: Annotated[Literal["csv", "xlsx"], Path()],
) -> Response:
    """Return the stores that the page lists with the same address, all pages of them, as a file."""
    question = asking.question()
    made = listed_overview(serving, caller, question, listing).where(question.where)
    chosen = selected(made, **listing.chosen, limit=max(1, len(made.store_ids)))
    file = io.BytesIO()
    write_report(_with_states(made, chosen.rows, listing), form, file, detail=True)
    stamp = instant_iso(made.report.as_of)[:16].replace(":", "").replace("-", "")
    name = f"uphours-{listing.tab.replace('_', '-')}-{stamp}Z.{form}"
    return Response(file.getvalue(), 200, {"Content-Disposition": f'attachment; filename="{name}"'}, MEDIA_TYPES[form])


def _with_states(made: Overview, places: list[int], listing: Listed) -> Report:
    """Return the report of some stores with what the list says of them besides; an attribute of the same name stays."""
    said = [facts(made, place) for place in places]
    columns: dict[str, list[str | None]] = {
        "state": [store["state"] for store in said],
        "state_since": [_local(store["since_us"], listing.zone_for(store["timezone"])) for store in said],
        "last_observed": [_local(store["last_observed_at_us"], listing.zone_for(store["timezone"])) for store in said],
        "timezone": [store["timezone"] for store in said],
        "missed_targets": [", ".join(target.name for target in missed(made, place)) or None for place in places],
    }
    columns |= {name: [made.label(place, name) for place in places] for name in made.labels}
    return replace(made.report.of(np.array(places, dtype=np.int64)), attributes=columns)


def _local(instant: int | None, zone: str) -> str | None:
    return None if instant is None else wall_clock(zone, instant).isoformat(timespec="seconds")


@router.get("/week")
@needs("read", sees="stores")
def show_week(request: Request, serving: Serving, caller: Calling, asking: Asking, listing: Listing) -> Response:
    """Show by weekday and hour how the fleet differs from its average."""
    week = fleet.show_heat_map(serving, caller, asking.question())
    by_day = [
        {"name": name, "cells": [cell for cell in week["cells"] if cell["weekday"] == day]}
        for day, name in enumerate(WEEKDAYS)
    ]
    found = standout(week["cells"])
    listed = [*asking.pairs, *listing.view, ("tab", "all"), ("lost_in", str(found.hours))] if found else []
    return page(
        request,
        "week",
        asked=asking,
        week=week,
        days=by_day,
        average=average(week["cells"]),
        standout=found,
        list_of_standout=_address("/", listed),
    )


def _address(path: str, pairs: Sequence[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(pairs)}" if pairs else path
