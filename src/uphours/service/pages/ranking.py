"""Where a store stands among the others: the fleet's availability, its rank, and the target that it has.

A part of the page of a store that comes after the rest, as it looks at the whole fleet.
"""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter, Request, Response

from uphours.errors import NotFoundError
from uphours.reports.fleet import Overview, fleet_facts
from uphours.schema import WHOLE_SHARE
from uphours.service.api.stores import StoreName
from uphours.service.auth import Calling, needs
from uphours.service.deps import Serving
from uphours.service.lane_routes import ViewRoute
from uphours.service.pages.query import Asking
from uphours.service.pages.rendering import page

router = APIRouter(route_class=ViewRoute, include_in_schema=False)


@router.get("/stores/{store_id:path}/rank")
@needs("read", sees="stores")
def show_rank(request: Request, serving: Serving, caller: Calling, asking: Asking, store_id: StoreName) -> Response:
    """Show where a store stands among those that the caller sees."""
    question = asking.question()
    made = serving.fleets.overview(question.asked_by(serving, caller)._replace(where=()), stale_ok=question.stale_ok)
    if store_id not in made.store_ids:
        raise NotFoundError("store", store_id)
    row = list(made.store_ids).index(store_id)
    rank, ranked = _rank(made, row)
    share = int(made.expected.shares[row])
    return page(
        request,
        "rank",
        store_id=store_id,
        asked=asking,
        fleet=fleet_facts(made),
        rank=rank,
        ranked=ranked,
        target=share / WHOLE_SHARE if share else None,
    )


def _rank(overview: Overview, row: int) -> tuple[int | None, int]:
    """Return the place of a store by availability, 1 the best, and how many have one; None for one that has none."""
    availability = overview.figures["availability"]
    known = availability[~np.isnan(availability)]
    if np.isnan(availability[row]):
        return None, len(known)
    return int((known > availability[row]).sum()) + 1, len(known)
