"""The data: what came in and when, what was set aside, and where something is missing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, Literal, TypeAlias

from fastapi import APIRouter, Request, Response

from storepulse.web.access import Calling, needs
from storepulse.web.api import fleet, loads, service
from storepulse.web.api.loads import LoadNumber
from storepulse.web.api.paging import After
from storepulse.web.models import DayList
from storepulse.web.pages.rendering import page
from storepulse.web.service import Serving

router = APIRouter(prefix="/data")

_ON_A_PAGE: Final = 20
_A_DAY: Final = timedelta(days=1)
_ROWS: Final = 100


Kind: TypeAlias = Literal["polled", "missing", "before"]


@dataclass(frozen=True)
class Cell:
    """A day of the calendar: with polls, without, or before there were any."""

    day: date
    kind: Kind


@router.get("")
@needs("read")
def show(request: Request, serving: Serving, caller: Calling, cursor_: After = None) -> Response:
    """Show loads, sources, and what is missing."""
    with serving.store.snapshot() as seen:
        observed = seen.latest_observation() is not None
    return page(
        request,
        "data",
        weeks=_weeks(fleet.list_days(serving, caller)) if observed else [],
        loads=loads.list_loads(serving, caller, cursor_, _ON_A_PAGE),
        sources=service.list_sources(serving, caller).sources,
        caller=caller,
    )


def _weeks(found: DayList) -> list[list[Cell]]:
    """Lay days out in weeks from Monday on; a day before the first one with polls is none that lacks them."""
    cells: list[Cell] = []
    begun = False
    for one in found.days:
        begun = begun or one.polled
        kind: Kind = "polled" if one.polled else "missing" if begun else "before"
        cells.append(Cell(date.fromisoformat(one.day), kind))
    first = cells[0].day
    cells[:0] = [Cell(first - place * _A_DAY, "before") for place in range(first.weekday(), 0, -1)]
    return [cells[place : place + 7] for place in range(0, len(cells), 7)]


@router.get("/loads/{load}")
@needs("read")
def show_load(request: Request, serving: Serving, caller: Calling, load: LoadNumber, cursor_: After = None) -> Response:
    """Show one load, with the rows that were set aside."""
    return page(
        request,
        "load",
        load=loads.show_load(serving, caller, load),
        quarantine=loads.show_quarantine(serving, caller, load, "json", None, cursor_, _ROWS),
        caller=caller,
    )
