"""The service itself: its health, its metrics, the places it watches, and who did what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import structlog
from fastapi import APIRouter, Response

from uphours.database import audit
from uphours.database import sources as source_table
from uphours.database.database import Database
from uphours.database.sources import FailingFile, SourceState
from uphours.errors import DatabaseError, DatabaseUnavailableError, NotFoundError
from uphours.ingest.sources.resolve import described
from uphours.schema import instant_iso, iso_or_none
from uphours.service import metrics
from uphours.service.api.paging import After, Limit, cursor, key
from uphours.service.auth import Calling, KeyedRoute, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Serving
from uphours.wire.health_messages import AuditEntry, AuditList, Health, Source, SourceList

log = structlog.get_logger("uphours.http")

router = APIRouter(tags=["service"], route_class=KeyedRoute)

#: Failing files of a source that are named.
_FAILING_SHOWN: Final = 100
_FAILING_TOLD: Final = 5
_NOT_READY: Final[dict[int | str, dict[str, Any]]] = {503: {"model": Problem, "description": "It cannot."}}


@router.get("/healthz")
@needs("open", sees="nothing")
async def healthz(caller: Calling) -> Health:
    """Say that the process is alive."""
    return {"status": "ok"}


@router.get("/readyz", responses=_NOT_READY)
@needs("open", sees="nothing")
async def readyz(serving: Serving, caller: Calling) -> Health:
    """Say that the store can be read, and that the service does not stop."""
    if serving.stopping.is_set():
        raise DatabaseUnavailableError("the service is stopping")
    try:
        await serving.access.checks.run(_read, serving.database)
    except (DatabaseError, NotFoundError) as error:
        # Strangers ask this too: what is wrong, and where, is for the log.
        log.warning("the database cannot be read", error=str(error))
        raise DatabaseUnavailableError("the database cannot be read; the log says why") from error
    return {"status": "ok"}


def _read(database: Database) -> None:
    with database.reading():
        pass


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
@needs("read", sees="all")
def show_metrics(serving: Serving, caller: Calling) -> Response:
    """Return the metrics for Prometheus."""
    return Response(serving.metrics.written(), headers={"Content-Type": metrics.MEDIA_TYPE})


@router.get("/v1/sources")
@needs("read", sees="all")
def list_sources(serving: Serving, caller: Calling) -> SourceList:
    """List the places that are watched, with how the last visits went."""
    with serving.database.reading() as connection:
        states = source_table.states(connection)
        failing = source_table.failing(connection)
    return {
        "sources": [
            _source(
                one.name,
                one.place,
                one.every_us,
                states.get(one.name, SourceState(one.name)),
                failing.get(one.name, []),
            )
            for one in serving.watched
        ]
    }


def _source(name: str, place: str, every_us: int, state: SourceState, failing: Sequence[FailingFile]) -> Source:
    return {
        "name": name,
        "place": described(place),
        "every_us": every_us,
        "state": "not read yet" if state.checked_at is None else "failing" if state.failures else "ok",
        "checked_at": iso_or_none(state.checked_at),
        "succeeded_at": iso_or_none(state.succeeded_at),
        "brought_at": iso_or_none(state.brought_at),
        "files_read": state.files_read,
        "failures": state.failures,
        "retry_at": iso_or_none(state.retry_at),
        "error": state.error or _failing_files(failing),
        "failing_files": [
            {
                "name": file.name,
                "error": file.error,
                "failures": file.failures,
                "failed_at": instant_iso(file.failed_at),
                "retry_at": instant_iso(file.retry_at),
            }
            for file in failing[:_FAILING_SHOWN]
        ],
        "failing_files_left_out": max(0, len(failing) - _FAILING_SHOWN),
    }


def _failing_files(failing: Sequence[FailingFile]) -> str | None:
    named = "; ".join(file.error for file in failing[:_FAILING_TOLD])
    more = f"; and {len(failing) - _FAILING_TOLD} more" if len(failing) > _FAILING_TOLD else ""
    return f"files that cannot be read: {named}{more}" if failing else None


@router.get("/v1/audit")
@needs("admin", sees="all")
def list_audit(serving: Serving, caller: Calling, cursor_: After = None, limit: Limit = 100) -> AuditList:
    """List who did what, the newest first."""
    before = key(cursor_, ("int32",))
    with serving.database.reading() as connection:
        found = audit.list_audit(connection, before=None if before is None else int(before[0]), limit=limit + 1)
    return {
        "entries": [_audited(entry) for entry in found[:limit]],
        "next_cursor": cursor(found[limit - 1].entry) if len(found) > limit else None,
    }


def _audited(entry: audit.Entry) -> AuditEntry:
    return {
        "entry": entry.entry,
        "at": instant_iso(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "details": dict(entry.details),
    }
