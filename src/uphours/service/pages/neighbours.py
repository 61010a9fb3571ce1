"""Which stores stand before and after one in the list that one came from."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import QueryParams

from uphours.errors import UphoursError
from uphours.reports.store_list import selected
from uphours.service.auth import Caller
from uphours.service.deps import Service
from uphours.service.pages.fleet_list import TAB_WORDS, listed_in, listed_overview, of_list
from uphours.service.pages.query import Asked


@dataclass(frozen=True)
class Neighbours:
    """The place of a store in a list of ``total``, from 1, and the stores beside it; None at an end.

    ``words``: what the list is called. ``back``: its query; ``ahead``: what the address of each of its stores ends in.
    """

    words: str
    place: int
    total: int
    previous: str | None
    next: str | None
    back: str
    ahead: str


def neighbours(serving: Service, caller: Caller, asking: Asked, query: str, store_id: str) -> Neighbours | None:
    """Return the stores beside one in the list of the fleet that a query describes; None where it is not listed."""
    question = asking.question()
    try:
        listing = listed_in(QueryParams(query))
        made = listed_overview(serving, caller, question, listing).where(question.where)
        found = selected(made, **listing.chosen, limit=max(1, len(made.store_ids)))
    except UphoursError:  # the list has changed, or the address was typed
        return None
    ids = [made.store_ids[row] for row in found.rows]
    if store_id not in ids:
        return None
    place = ids.index(store_id)
    back = QueryParams([*asking.pairs, *listing.pairs])
    return Neighbours(
        words=TAB_WORDS[listing.tab],
        place=place + 1,
        total=len(ids),
        previous=ids[place - 1] if place else None,
        next=ids[place + 1] if place + 1 < len(ids) else None,
        back=f"?{back}" if back else "",
        ahead=of_list(asking, listing),
    )
