"""The data: what came in and when, what was set aside, and where something is missing."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from storepulse.web.access import Calling, needs
from storepulse.web.api import loads, service
from storepulse.web.api.loads import LoadNumber
from storepulse.web.api.paging import After
from storepulse.web.pages.rendering import page
from storepulse.web.service import Serving

router = APIRouter(prefix="/data")

_ON_A_PAGE: Final = 20
_ROWS: Final = 100


@router.get("")
@needs("read")
def show(request: Request, serving: Serving, caller: Calling, cursor_: After = None) -> Response:
    """Show loads, sources, and what is missing."""
    return page(
        request,
        "data",
        loads=loads.list_loads(serving, caller, cursor_, _ON_A_PAGE),
        sources=service.list_sources(serving, caller).sources,
        caller=caller,
    )


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
