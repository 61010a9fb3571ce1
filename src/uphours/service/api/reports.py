"""``/v1/reports``: ask for reports, watch them, fetch and cancel them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response

from uphours.database import audit
from uphours.database import reports as report_table
from uphours.database.queue import Job
from uphours.database.reports import Requested
from uphours.errors import ConflictError, InputError, NotFoundError
from uphours.reports.answers import bounded
from uphours.reports.memberships import check_names
from uphours.reports.request import ReportRequest
from uphours.reports.writers import MEDIA_TYPES
from uphours.schema import instant_iso, iso_or_none
from uphours.service.api.paging import After, Limit, cursor, key
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.bodies import Problem, checked
from uphours.service.deps import Service, Serving
from uphours.service.downloads import sent
from uphours.service.problems import AccessError
from uphours.service.report_body import report_request
from uphours.where import texts_of
from uphours.wire.report_messages import ReportBody, ReportList, ReportState

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=KeyedRoute)

ReportId = Annotated[str, Path(max_length=64, description="As the trigger named it.")]
#: Stores times windows of one report, which is made and kept whole.
_MOST_FIGURES: Final = 1_500_000
_FORMS: Final = "^(csv|json|parquet|xlsx)$"
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": Problem, "description": "There is no such report, or it has expired."},
    409: {"model": Problem, "description": "It has another state than this needs."},
}


@router.post(
    "",
    status_code=202,
    responses={
        202: {"headers": {"Location": {"schema": {"type": "string"}, "description": "Where to ask how far it is."}}},
        400: {"model": Problem, "description": "The body cannot be read at all."},
        409: {"model": Problem, "description": "The Idempotency-Key was used for another request."},
        429: {"model": Problem, "description": "Too many jobs are waiting; Retry-After says when to try again."},
    },
)
@needs("read", sees="own")
def trigger(
    serving: Serving,
    caller: Calling,
    response: Response,
    body: ReportBody | None = None,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=255, description="Asking again with the same key gives the same report."),
    ] = None,
) -> ReportState:
    """Ask for a report; the answer comes at once, the report when it is made."""
    body = checked(ReportBody, {}) if body is None else body
    asked = bound(report_request(body, serving.settings.policy), caller)
    check_stores(serving, caller, asked)
    made = request(serving, asked, requested_by=caller.key_id, idempotency_key=idempotency_key)
    response.headers["Location"] = f"/v1/reports/{made.report}"
    return state_of(made)


def bound(asked: ReportRequest, caller: Caller) -> ReportRequest:
    """Return a request with the bounds of its caller.

    Raises
    ------
    AccessError
        It names other bounds than those of the caller.
    """
    if caller.only and asked.only not in ((), caller.only):
        raise AccessError(403, f"this API key sees the stores with {', '.join(texts_of(caller.only))} alone")
    return replace(asked, only=caller.only) if caller.only else asked


def check_stores(serving: Service, caller: Caller, options: ReportRequest) -> None:
    """Refuse at once what could only fail later.

    Raises
    ------
    InputError
        There is no such store or attribute, as far as the caller can see.
    """
    try:
        if options.stores is not None:
            with serving.snapshot(caller, options.stores):
                pass
        if options.by or options.columns or options.where:
            with serving.snapshot(caller) as fleet:
                check_names(fleet, [*options.by, *options.columns, *(name for name, _ in options.where)])
    except NotFoundError as error:
        raise InputError(str(error), field=error.field) from error


def request(
    serving: Service, options: ReportRequest, *, requested_by: str, idempotency_key: str | None = None
) -> Requested:
    """Ask for a report: the one way in, whatever the URL.

    Raises
    ------
    InputError
        It has more stores and windows than one report may.
    """
    seen = None
    if options.only:
        with serving.database.snapshot() as fleet:
            seen = len(bounded(fleet, options.only, serving.now()).store_ids)
    with serving.database.writing() as connection:
        stores = report_table.size(connection, options.to_dict()) if seen is None else seen
        windows = len(options.windows) * (2 if options.compare else 1)
        if stores * windows > _MOST_FIGURES:
            before = ", with those before," if options.compare else ""
            raise InputError(
                f"{stores:,} stores in {windows} windows{before} are too many for one report; "
                f"valid are up to {_MOST_FIGURES // max(stores, 1)} windows of that many stores"
            )
        return report_table.request(
            connection,
            options.to_dict(),
            made_with=serving.made_with,
            requested_by=requested_by,
            now=serving.now(),
            limit=serving.settings.queue_limit,
            idempotency_key=idempotency_key,
        )


async def find(serving: Service, caller: Caller, report: str) -> Requested:
    """Return a report that was asked for; to a key that is bound to some stores, its own alone.

    Raises
    ------
    NotFoundError
        There is none, as far as the caller can see.
    """
    found = await serving.reports.get(report)
    if found is None:
        raise report_table.no_report(report)
    return _own(found, caller)


def _own(found: Requested, caller: Caller) -> Requested:
    if caller.only and found.requested_by != caller.key_id:
        raise report_table.no_report(found.report)
    return found


def state_of(found: Requested) -> ReportState:
    """Describe a report."""
    job = found.job
    as_of = job.as_of if job.as_of is not None else job.request.get("as_of_us")
    here = f"/v1/reports/{found.report}"
    return {
        "id": found.report,
        "state": found.state,
        "created_at": instant_iso(found.created_at),
        "started_at": iso_or_none(job.started_at),
        "finished_at": iso_or_none(job.finished_at),
        "progress": {"done": job.done, "total": job.total},
        "as_of": iso_or_none(as_of),
        "ahead_us": _ahead_us(job),
        "loads_seen": job.loads_seen,
        "entries_seen": job.entries_seen,
        "options": job.request,
        "reason": job.reason,
        "result": f"{here}/result" if found.state == "complete" else None,
    }


def _ahead_us(job: Job) -> int | None:
    """Return by how much the latest observation was ahead of the clock when a report of it was made."""
    if job.as_of is None or job.started_at is None or job.request.get("as_of_us") is not None:
        return None
    return job.as_of - job.started_at if job.as_of > job.started_at else None


@router.get("")
@needs("read", sees="own")
def list_reports(serving: Serving, caller: Calling, cursor_: After = None, limit: Limit = 50) -> ReportList:
    """List reports, the newest first."""
    before = key(cursor_, ("int64", "text"))
    with serving.database.reading() as connection:
        found = report_table.list_reports(
            connection, before=before, limit=limit + 1, requested_by=caller.key_id if caller.only else None
        )
    more = cursor(found[limit - 1].created_at, found[limit - 1].report) if len(found) > limit else None
    return {"reports": [state_of(one) for one in found[:limit]], "next_cursor": more}


@router.get("/{report_id}", responses={404: _PROBLEMS[404]})
@needs("read", sees="own")
async def show(serving: Serving, caller: Calling, report_id: ReportId) -> ReportState:
    """Say how far a report is."""
    return state_of(await find(serving, caller, report_id))


@router.get(
    "/{report_id}/result",
    response_class=Response,
    responses={
        200: {
            "description": "The report as a file.",
            "content": {media_type.partition(";")[0]: {} for media_type in MEDIA_TYPES.values()},
        },
        304: {"description": "It is what `If-None-Match` names."},
        **_PROBLEMS,
    },
)
@needs("read", sees="own")
async def result(
    request: Request,
    serving: Serving,
    caller: Calling,
    report_id: ReportId,
    form: Annotated[str, Query(alias="format", pattern=_FORMS)] = "csv",
    detail: Annotated[
        bool | None, Query(description="More columns in CSV and XLSX. Unless given: as asked for.")
    ] = None,
) -> Response:
    """Fetch a report that is complete."""
    found = await find(serving, caller, report_id)
    if found.state != "complete":
        why = f": {found.job.reason}" if found.job.reason else ""
        raise ConflictError(f"the report is {found.state}{why}; a result has only a report that is complete")
    if detail is None:
        detail = ReportRequest.from_dict(found.job.request).detail
    file = await serving.lanes["files"].run(serving.results.file, found.job.job, form, detail=detail)
    return sent(request, file)


@router.delete("/{report_id}", responses=_PROBLEMS)
@needs("read", sees="own")
def cancel(serving: Serving, caller: Calling, report_id: ReportId) -> ReportState:
    """Cancel a report that is not finished; those of others only with the scope admin."""
    with serving.database.writing() as connection:
        found = _own(report_table.find(connection, report_id), caller)
        if found.requested_by != caller.key_id and not caller.may("admin"):
            raise AccessError(403, "another client asked for this report; to cancel it needs the scope admin")
        cancelled = report_table.cancel(connection, report_id, now=serving.now())
        if found.state != "cancelled":
            audit.record(
                connection,
                at=serving.now(),
                actor=caller.actor,
                action="report.cancel",
                subject=report_id,
                details={"job": found.job.job},
            )
    return state_of(cancelled)
