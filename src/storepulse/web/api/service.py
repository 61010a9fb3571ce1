"""The service itself: its health, its metrics, the places it watches, and who did what."""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter, Response

from storepulse.errors import NotFoundError, StoreError, StoreUnavailableError
from storepulse.ingest import places
from storepulse.schema import instant_iso, iso_or_none
from storepulse.store import audit
from storepulse.store import sources as source_table
from storepulse.store.sources import SourceState
from storepulse.web import metrics
from storepulse.web.access import Calling, needs
from storepulse.web.api.paging import After, Limit, cursor, key
from storepulse.web.models import AuditEntry, AuditList, Health, Problem, SourceList, SourceModel
from storepulse.web.service import Serving

router = APIRouter(tags=["service"])

_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Problem, "description": "It cannot."}}


@router.get("/healthz", response_model=Health)
@needs("open")
async def healthz(caller: Calling) -> Health:
    """Say that the process is alive."""
    return Health(status="ok")


@router.get("/readyz", response_model=Health, responses=_NOT_READY)
@needs("open")
def readyz(serving: Serving, caller: Calling) -> Health:
    """Say that the store can be read, and that the service does not stop."""
    if serving.stopping.is_set():
        raise StoreUnavailableError("the service is stopping")
    try:
        with serving.store.reading():
            pass
    except (StoreError, NotFoundError) as error:
        raise StoreUnavailableError(f"the store cannot be read: {error}") from error
    return Health(status="ok")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
@needs("read")
def show_metrics(serving: Serving, caller: Calling) -> Response:
    """Return the metrics for Prometheus."""
    return Response(serving.metrics.written(), headers={"Content-Type": metrics.MEDIA_TYPE})


@router.get("/v1/sources", response_model=SourceList)
@needs("read")
def list_sources(serving: Serving, caller: Calling) -> SourceList:
    """List the places that are watched, with how the last visits went."""
    with serving.store.reading() as connection:
        states = source_table.states(connection)
    return SourceList(
        sources=[
            _source(one.name, one.place, one.every_us, states.get(one.name, SourceState(one.name)))
            for one in serving.watched
        ]
    )


def _source(name: str, place: str, every_us: int, state: SourceState) -> SourceModel:
    how: Literal["ok", "failing", "not read yet"]
    how = "not read yet" if state.checked_at is None else "failing" if state.failures else "ok"
    return SourceModel(
        name=name,
        place=places.described(place),
        every_us=every_us,
        state=how,
        checked_at=iso_or_none(state.checked_at),
        succeeded_at=iso_or_none(state.succeeded_at),
        brought_at=iso_or_none(state.brought_at),
        files_read=state.files_read,
        failures=state.failures,
        retry_at=iso_or_none(state.retry_at),
        error=state.error,
    )


@router.get("/v1/audit", response_model=AuditList)
@needs("admin")
def list_audit(serving: Serving, caller: Calling, cursor_: After = None, limit: Limit = 100) -> AuditList:
    """List who did what, the newest first."""
    before = key(cursor_, (int,))
    with serving.store.reading() as connection:
        found = audit.list_audit(connection, before=None if before is None else int(before[0]), limit=limit + 1)
    entries = [AuditEntry(**entry.facts() | {"at": instant_iso(entry.at)}) for entry in found[:limit]]
    return AuditList(entries=entries, next_cursor=cursor(found[limit - 1].entry) if len(found) > limit else None)
