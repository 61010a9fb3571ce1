"""``/v1/calendar.ics``: special hours and what the ledger excludes, for calendar programs.

They can send no header. For them the feed has a second address, with the token of a key in it that is for nothing else.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from structlog.contextvars import bind_contextvars

from uphours.errors import NotFoundError
from uphours.service.auth import NO_FEED, Caller, Calling, KeyedRoute, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Service, Serving
from uphours.service.downloads import sent_text
from uphours.service.feed_events import feed_events
from uphours.service.icalendar_text import MEDIA_TYPE, calendar_text
from uphours.service.problems import AccessError
from uphours.wire.values import StoreId

router = APIRouter(prefix="/v1", tags=["stores"], route_class=KeyedRoute)

#: Stores that a feed may be narrowed to.
_MOST_STORES: Final = 100

StoreIds = Annotated[
    list[StoreId] | None,
    Query(
        alias="store_id",
        max_length=_MOST_STORES,
        description="Also the special hours of these stores, and only what the ledger excludes of theirs.",
    ),
]
_CALENDAR: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The feed, as RFC 5545 has it.", "content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
    304: {"description": "It is what `If-None-Match` names."},
}


@router.get(
    "/calendar.ics",
    response_class=Response,
    responses=_CALENDAR | {404: {"model": Problem, "description": "There is no such store."}},
)
@needs("read", sees="stores")
async def show_feed(request: Request, serving: Serving, caller: Calling, store_ids: StoreIds = None) -> Response:
    """Show special hours and what the ledger excludes as a calendar."""
    return await _feed(request, serving, caller, store_ids)


@router.get(
    "/calendar/{token}.ics",
    response_class=Response,
    responses=_CALENDAR | {404: {"model": Problem, "description": "There is no such feed, or no such store."}},
)
@needs("open", sees="stores", sessions=False)
async def subscribe(
    request: Request,
    serving: Serving,
    caller: Calling,
    token: Annotated[str, Path(description="The token of a key with the scope feed.")],
    store_ids: StoreIds = None,
) -> Response:
    """Show the same calendar to programs that can send no header."""
    access = serving.access
    reader = await access.reader_of_feed(token, access.way.client(request.scope))
    bind_contextvars(actor=reader.actor)
    try:
        return await _feed(request, serving, reader, store_ids)
    except NotFoundError:
        raise AccessError(404, NO_FEED) from None


async def _feed(request: Request, serving: Service, reader: Caller, store_ids: list[str] | None) -> Response:
    content = await serving.lanes["files"].run(_content, serving, reader, store_ids)
    return sent_text(request, content, MEDIA_TYPE)


def _content(serving: Service, reader: Caller, store_ids: list[str] | None) -> bytes:
    seen = serving.seen(reader)
    with serving.database.reading() as connection:
        events = feed_events(connection, store_ids, now=serving.now(), seen=seen)
    return calendar_text("Special hours and closures", events)
