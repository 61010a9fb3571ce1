"""The fleet: how many stores are up now, how it went, and the stores that lose most open time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, get_args

from fastapi import APIRouter, Depends, Request, Response

from uphours.errors import InputError
from uphours.reports.explain import WEEKDAYS
from uphours.reports.fleet import Lacking, Sort
from uphours.reports.store_states import STATES
from uphours.service.api import fleet, stores
from uphours.service.api.groups import attributes_of
from uphours.service.auth import Calling, needs
from uphours.service.deps import Serving
from uphours.service.group_models import AttributeModel
from uphours.service.lane_routes import ViewRoute
from uphours.service.pages.gaps import gaps_in
from uphours.service.pages.query import Asking
from uphours.service.pages.rendering import page

router = APIRouter(route_class=ViewRoute)

_ON_A_PAGE: Final = 50
#: Values that a filter offers.
_MOST_VALUES: Final = 100
#: By what the list can be sorted, and whether that begins with the largest.
_SORTS: Final[Mapping[Sort, bool]] = {
    "lost_time": True,
    "availability": False,
    "since": True,
    "last_observed": False,
    "store_id": False,
}


@dataclass(frozen=True)
class Listed:
    """Which stores are listed, and in what order; as the address of the page has it."""

    search: str
    states: list[str]
    timezone: str
    below_percent: str
    without: list[str]
    never_observed: bool
    sort: Sort
    descending: bool
    cursor: str | None

    @property
    def is_filtered(self) -> bool:
        """Whether some stores may be left out."""
        asked = self.search or self.states or self.timezone or self.below_percent or self.without
        return bool(asked) or self.never_observed

    @property
    def availability_below(self) -> float | None:
        """The ratio that is asked for in percent.

        Raises
        ------
        InputError
            It is no percentage.
        """
        if not self.below_percent:
            return None
        try:
            percent = float(self.below_percent.removesuffix("%").replace(",", "."))
        except ValueError:
            percent = -1.0
        if not 0 <= percent <= 100:
            raise InputError(f"availability below is {self.below_percent[:40]!r}; valid are percentages, 0 to 100")
        return percent / 100

    def sorted_by(self, sort: Sort) -> dict[str, object]:
        """Return what leads to the list in another order, or in this one the other way round."""
        turned = not self.descending if sort == self.sort else _SORTS[sort]
        return {"sort": sort, "descending": str(turned).lower(), "cursor": None}


def _listed(request: Request) -> Listed:
    given = request.query_params
    sort = given.get("sort") or "lost_time"
    if sort not in get_args(Sort):
        raise InputError(f"cannot sort by {sort[:40]!r}; valid are {', '.join(get_args(Sort))}")
    return Listed(
        search=given.get("search", "").strip(),
        states=_chosen(given.getlist("state"), "state", STATES),
        timezone=given.get("timezone", "").strip(),
        below_percent=given.get("below_percent", "").strip(),
        without=_chosen(given.getlist("without"), "without", get_args(Lacking)),
        never_observed=given.get("observed") == "never",
        sort=sort,  # type: ignore[arg-type]
        descending=(given.get("descending") or str(_SORTS[sort])).lower() == "true",  # type: ignore[index]
        cursor=given.get("cursor") or None,
    )


def _chosen(values: list[str], name: str, valid: Collection[str]) -> list[str]:
    if unknown := [one for one in values if one not in valid]:
        raise InputError(f"{name} is {unknown[0][:40]!r}; valid are {', '.join(valid)}")
    return values


Listing = Annotated[Listed, Depends(_listed)]


def _is_filter(attribute: AttributeModel) -> bool:
    """Say whether a list can be filtered by an attribute; names are found by searching."""
    return attribute.name != "name" and attribute.total <= _MOST_VALUES


@router.get("/")
@needs("read", sees="stores")
def show(request: Request, serving: Serving, caller: Calling, asking: Asking, listing: Listing) -> Response:
    """Show the fleet; with an empty store, what to do first."""
    if not fleet.any_polls(serving, caller):
        return page(request, "first_run", caller=caller)
    question = asking.question()
    asked = question.asked_by(serving, caller)
    everyone = serving.fleets.overview(asked._replace(where=()), stale_ok=question.stale_ok)
    made = everyone.where(asked.where)
    found = stores.store_list(
        serving,
        question,
        made,
        search=listing.search or None,
        states=listing.states or None,
        timezones=[listing.timezone] if listing.timezone else None,
        availability_below=listing.availability_below,
        without=listing.without or None,
        observed="never" if listing.never_observed else None,
        sort=listing.sort,
        descending=listing.descending,
        after=listing.cursor,
        limit=_ON_A_PAGE,
    )
    return page(
        request,
        "fleet",
        asked=asking,
        listing=listing,
        found=found,
        gaps=gaps_in(serving, caller, question),
        zones=sorted(set(made.timezones)),
        attributes=[one for one in attributes_of(everyone.labels, _MOST_VALUES) if _is_filter(one)],
        caller=caller,
    )


@router.get("/week")
@needs("read", sees="stores")
def show_week(request: Request, serving: Serving, caller: Calling, asking: Asking) -> Response:
    """Show the fleet by weekday and hour."""
    week = fleet.show_heat_map(serving, caller, asking.question())
    by_day = [
        {"name": name, "cells": [cell for cell in week.cells if cell.weekday == day]}
        for day, name in enumerate(WEEKDAYS)
    ]
    return page(request, "week", asked=asking, week=week, days=by_day)
