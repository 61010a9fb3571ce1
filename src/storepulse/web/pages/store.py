"""One store: its state, a picture of its timeline, its figures, its outages, and how they come about."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from storepulse.web.access import Calling, needs
from storepulse.web.api import stores
from storepulse.web.api.stores import StoreName
from storepulse.web.pages.asked import Asking
from storepulse.web.pages.drawing import days
from storepulse.web.pages.rendering import page
from storepulse.web.service import Serving

router = APIRouter()

#: The windows whose figures stand side by side, beside the one that is asked for.
_SIDE_BY_SIDE: Final = ("last_hour", "last_day", "last_week")
#: So many days are drawn, and so many spans and outages listed, the last ones; the page says how many are left out.
_MOST_DAYS: Final = 35
_MOST_ROWS: Final = 400


@router.get("/stores/{store_id:path}")
@needs("read")
def show(request: Request, serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> Response:
    """Show one store."""
    question = asking.question()
    found = stores.show_store(serving, caller, question, store_id)
    # From here on at the instant of the first answer: data may come in meanwhile.
    at = {"as_of": found.as_of}
    explained = stores.show_explanation(serving, caller, asking.question(**at), store_id)
    outages = stores.show_outages(serving, caller, asking.question(**at), store_id).outages
    others = [
        stores.show_store(serving, caller, asking.question(window=window, **at), store_id)
        for window in _SIDE_BY_SIDE
        if window != found.window.name
    ]
    drawn, days_left_out = days(explained, zone=found.timezone, most=_MOST_DAYS)
    return page(
        request,
        "store",
        asked=asking,
        store=found,
        explained=explained,
        first_span=max(0, len(explained["spans"]) - _MOST_ROWS),
        outages=outages[::-1][:_MOST_ROWS],
        outages_left_out=max(0, len(outages) - _MOST_ROWS),
        windows=[*others, found],
        days=drawn,
        days_left_out=days_left_out,
    )
