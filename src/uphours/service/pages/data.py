"""The data: what came in and when, what was set aside, and where something is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from itertools import dropwhile
from typing import Any, Final, Literal, TypeAlias

from fastapi import APIRouter, Request, Response

from uphours.schema import DAY_US, instant_iso
from uphours.service.api import fleet, health, loads, quarantine, stores
from uphours.service.api.loads import LoadNumber
from uphours.service.api.paging import After
from uphours.service.auth import Caller, Calling, needs
from uphours.service.deps import Serving
from uphours.service.lane_routes import ViewRoute
from uphours.service.pages.query import Asked
from uphours.service.pages.rendering import page
from uphours.wire.fleet_messages import Day, DayList
from uphours.wire.store_messages import StoreList

router = APIRouter(route_class=ViewRoute, prefix="/data", include_in_schema=False)

_ON_A_PAGE: Final = 20
_A_DAY: Final = timedelta(days=1)
_ROWS: Final = 100
_SOME: Final = 12
#: A store that was not observed for so long, while others were, is missing.
_LONG_US: Final = DAY_US

Kind: TypeAlias = Literal["all", "most", "half", "few", "missing", "before"]
#: What share of the usual polls came at least; less is ``few``, none ``missing``.
_LEAST: Final[dict[Kind, float]] = {"all": 0.95, "most": 0.75, "half": 0.5}


@dataclass(frozen=True)
class Cell:
    """A day of the calendar: how many of the usual polls came, or that it lies before there were any."""

    day: date
    kind: Kind
    polls: int = 0
    share: float | None = None


@router.get("")
@needs("read", sees="all")
def show(request: Request, serving: Serving, caller: Calling, cursor_: After = None) -> Response:
    """Show loads, sources, and what is missing."""
    observed = fleet.any_polls(serving, caller)
    return page(
        request,
        "data",
        weeks=_weeks(fleet.list_days(serving, caller)) if observed else [],
        lacking=_lacking(serving, caller) if observed else {},
        loads=loads.list_loads(serving, caller, cursor_, _ON_A_PAGE),
        sources=health.list_sources(serving, caller)["sources"],
        caller=caller,
    )


def _lacking(serving: Serving, caller: Caller) -> dict[str, StoreList]:
    """Return the stores that something is missing of, some of each kind, and how many there are."""
    question = Asked.usual(serving.settings.policy).question()
    latest = stores.list_stores(serving, caller, question, limit=1)
    long_ago = instant_iso(latest["as_of_us"] - _LONG_US)
    asked: dict[str, dict[str, Any]] = {
        "hours": {"without": ["hours"]},
        "unknown": {"state": ["hours unknown"]},
        "timezone": {"without": ["timezone"]},
        "never": {"observed": "never"},
        "long": {"observed": "ever", "last_observed_before": long_ago, "sort": "last_observed"},
    }
    return {
        name: stores.list_stores(serving, caller, question, **filters, limit=_SOME) for name, filters in asked.items()
    }


def _weeks(found: DayList) -> list[list[Cell]]:
    """Lay days out in weeks from Monday on; a day before the first one with polls is not one that lacks them."""
    cells: list[Cell] = []
    begun = False
    for one in found["days"]:
        begun = begun or one["polled"]
        kind: Kind = _kind(one) if begun else "before"
        cells.append(Cell(date.fromisoformat(one["day"]), kind, one["polls"], one["share"]))
    first = cells[0].day
    cells[:0] = [Cell(first - place * _A_DAY, "before") for place in range(first.weekday(), 0, -1)]
    weeks = (cells[place : place + 7] for place in range(0, len(cells), 7))
    return list(dropwhile(lambda week: all(cell.kind == "before" for cell in week), weeks))


def _kind(day: Day) -> Kind:
    if not day["polled"]:
        return "missing"
    # What was pruned has polls, and no share where polls began later.
    share = 1.0 if day["share"] is None else day["share"]
    return next((kind for kind, least in _LEAST.items() if share >= least), "few")


@router.get("/loads/{load}")
@needs("read", sees="all")
def show_load(request: Request, serving: Serving, caller: Calling, load: LoadNumber, cursor_: After = None) -> Response:
    """Show one load, with the rows that were set aside."""
    return page(
        request,
        "load",
        load=loads.show_load(serving, caller, load),
        quarantine=quarantine.show_quarantine(serving, caller, load, "json", None, cursor_, _ROWS),
        caller=caller,
    )
