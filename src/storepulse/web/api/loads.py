"""Rows in: ``/v1/observations``, ``/v1/business-hours``, ``/v1/timezones``, ``/v1/loads``, and what became of them."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from storepulse.errors import InputError, NotFoundError
from storepulse.ingest import quarantine
from storepulse.ingest.sources import Kind
from storepulse.jobs import DEFECT
from storepulse.schema import instant_iso, iso_or_none
from storepulse.store import jobs as queue
from storepulse.store import loads as load_table
from storepulse.store.loads import Load
from storepulse.web import intake
from storepulse.web.access import Calling, authorize, bearer, needs
from storepulse.web.api.paging import After, Limit, cursor, key
from storepulse.web.intake import Outcome, Sending
from storepulse.web.models import (
    JobModel,
    LoadFileModel,
    LoadList,
    LoadModel,
    LoadOutcome,
    Problem,
    Progress,
    QuarantinedRow,
    QuarantineList,
    Reason,
)
from storepulse.web.service import Service, Serving

OBSERVATIONS: Final = "/v1/observations"

router = APIRouter(prefix="/v1", tags=["loads"])

#: A JSON body up to this size is committed together with others, a larger one becomes a job.
_SMALL: Final = 1 << 20
#: So many reasons stand in an answer; all of them are at the load's quarantine.
_REASONS: Final = 100

_ROW: Final = {
    "type": "object",
    "properties": {
        "store_id": {"type": "string", "example": "8419537941919820732"},
        "status": {"enum": ["active", "inactive"]},
        "timestamp_utc": {"type": "string", "example": "2023-01-22T12:09:39.388884Z"},
    },
    "required": ["store_id", "status", "timestamp_utc"],
}
_HOURS_ROW: Final = {
    "type": "object",
    "properties": {
        "store_id": {"type": "string"},
        "day": {"type": "integer", "minimum": 0, "maximum": 6, "description": "0 is Monday."},
        "start_time_local": {"type": "string", "example": "09:00:00"},
        "end_time_local": {"type": "string", "example": "17:30"},
    },
    "required": ["store_id", "day", "start_time_local", "end_time_local"],
}
_ZONE_ROW: Final = {
    "type": "object",
    "properties": {"store_id": {"type": "string"}, "timezone_str": {"type": "string", "example": "America/New_York"}},
    "required": ["store_id", "timezone_str"],
}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    202: {"model": JobModel, "description": "It takes longer; Location says where to look."},
    400: {"model": Problem, "description": "The body cannot be read at all."},
    408: {"model": Problem, "description": "The body took too long."},
    413: {"model": Problem, "description": "The body is too large."},
    415: {"model": Problem, "description": "The body is compressed in an unknown way."},
    429: {"model": Problem, "description": "Too much is waiting; Retry-After says when to try again."},
}
_PREFER: Final = "`respond-async`: answer before the rows are loaded."
Prefer = Annotated[str | None, Header(max_length=100, description=_PREFER)]


def _body(row: dict[str, Any]) -> dict[str, Any]:
    """Describe a body of rows."""
    text = {"schema": {"type": "string"}}
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": {"anyOf": [row, {"type": "array", "items": row, "minItems": 1}]}},
                "application/x-ndjson": text,
                "text/csv": text,
                "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    }


class _Lean(APIRoute):
    """A route whose endpoint gets the request alone; see `storepulse.web.shortcut`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


@needs("ingest")
async def post_observations(request: Request) -> Response:
    """Bring observations: one object, an array, NDJSON, CSV or Parquet, plain or compressed with gzip or zstd.

    2xx means committed and synced to disk. Small JSON bodies of many requests are committed together.
    """
    serving: Service = request.app.state.service
    caller = await authorize(request, await bearer(request))
    small = await _small_json(request)
    if small is not None:
        return JSONResponse(_outcome(await serving.commits.write(small, caller.actor)))
    made = await _load(request, serving, caller.actor, "polls", request.headers.get("prefer"))
    return made if isinstance(made, Response) else JSONResponse(made.model_dump())


def add_observations(app: FastAPI) -> None:
    """Add the route of observations, before all others."""
    prefer = {"name": "prefer", "in": "header", "schema": {"type": "string", "maxLength": 100}, "description": _PREFER}
    app.router.add_api_route(
        OBSERVATIONS,
        post_observations,
        methods=["POST"],
        response_model=LoadOutcome,
        responses=_ANSWERS,
        openapi_extra=_body(_ROW) | {"parameters": [prefer]},
        tags=list(router.tags),
        route_class_override=_Lean,
    )


@router.put("/business-hours", response_model=LoadOutcome, responses=_ANSWERS, openapi_extra=_body(_HOURS_ROW))
@needs("ingest")
async def put_business_hours(
    request: Request, serving: Serving, caller: Calling, prefer: Prefer = None
) -> Response | LoadOutcome:
    """Replace the whole week of each store that is named; the other stores keep theirs."""
    return await _load(request, serving, caller.actor, "hours", prefer)


@router.put("/timezones", response_model=LoadOutcome, responses=_ANSWERS, openapi_extra=_body(_ZONE_ROW))
@needs("ingest")
async def put_timezones(
    request: Request, serving: Serving, caller: Calling, prefer: Prefer = None
) -> Response | LoadOutcome:
    """Set the zone of each store that is named."""
    return await _load(request, serving, caller.actor, "timezones", prefer)


_FILES: Final = {"type": "array", "items": {"type": "string", "format": "binary"}}


@router.post(
    "/loads",
    response_model=LoadOutcome,
    responses=_ANSWERS | {422: {"model": Problem, "description": "A file cannot be read, and nothing was loaded."}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": dict.fromkeys(("polls", "hours", "timezones", "files"), _FILES),
                    }
                }
            },
        }
    },
)
@needs("ingest")
async def post_load(
    request: Request, serving: Serving, caller: Calling, prefer: Prefer = None
) -> Response | LoadOutcome:
    """Load files, all of them or nothing: ``polls``, ``hours``, ``timezones``, or ``files`` whose columns tell."""
    kinds: dict[str, Kind | None] = {"polls": "polls", "hours": "hours", "timezones": "timezones", "files": None}
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, "send files as multipart/form-data, in fields polls, hours, timezones or files")
    async with request.form(max_files=100, max_fields=10) as form:
        fields = form.multi_items()
        if unknown := sorted(
            {name for name, value in fields if name not in kinds or not isinstance(value, UploadFile)}
        ):
            raise InputError(f"the field {unknown[0][:60]!r} is no file; valid are files in {', '.join(kinds)}")
        if not fields:
            raise InputError(f"there is no file; valid are files in {', '.join(kinds)}")
        sending = [
            Sending(kinds[name], _clean(value.filename or name), _read(value))
            for name, value in fields
            if isinstance(value, UploadFile)
        ]
        job = await _receive(serving, sending, caller.actor)
    return await answer(serving, job, prefer)


def _clean(name: str) -> str:
    """Return the name of a sent file without what could be mistaken for something else."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", last)[:200] or "file"


async def _read(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(1 << 20):
        yield block


async def _load(
    request: Request, serving: Service, actor: str, kind: Kind, prefer: str | None
) -> Response | LoadOutcome:
    _check_encoding(request)
    name = f"{request.method} {request.url.path}"
    job = await _receive(serving, [Sending(kind, name, request.stream())], actor)
    return await answer(serving, job, prefer)


async def _receive(serving: Service, sending: Sequence[Sending], actor: str) -> str:
    return await intake.receive(
        serving.store, sending, actor=actor, limit=serving.settings.queue_limit, now=serving.now
    )


async def answer(serving: Service, job: str, prefer: str | None = None) -> Response | LoadOutcome:
    """Answer with what became of a load, or with where to look for it."""
    patience = 0 if prefer and "respond-async" in prefer else serving.settings.wait_seconds
    found = await intake.ended(serving.store, job, seconds=patience, stopping=serving.stopping)
    if found.finished_at is None:
        return await accepted(serving, found)
    if found.load is None:
        reason = found.reason or f"the load is {found.state}"
        raise HTTPException(500, reason) if reason.startswith(DEFECT) else InputError(reason)
    return await run_in_threadpool(_outcome_of, serving, found.load)


async def accepted(serving: Service, job: queue.Job) -> Response:
    """Answer with where to look for what becomes of a job."""
    model = JobModel.model_validate(await run_in_threadpool(job_facts, serving, job))
    return JSONResponse(model.model_dump(), 202, {"Location": f"/v1/jobs/{job.job}"})


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "zstd"):
        raise HTTPException(415, f"the body is compressed with {encoding[:40]!r}; valid are gzip and zstd")


async def _small_json(request: Request) -> list[Any] | None:
    """Return the rows of a body that is JSON and small; None for another one, which is not read."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    length = request.headers.get("content-length", "")
    if media_type != "application/json" or not length.isdecimal() or int(length) > _SMALL:
        return None
    _check_encoding(request)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "zstd":
        return None
    content = await request.body()
    return _rows(_unzipped(content) if encoding == "gzip" else content)


def _unzipped(content: bytes) -> bytes:
    plain = b""
    while content:  # a gzip file may have several members
        unzip = zlib.decompressobj(wbits=31)
        try:
            plain += unzip.decompress(content, _SMALL - len(plain) + 1)
        except zlib.error as error:
            raise HTTPException(400, f"the body is not gzip: {error}") from None
        if len(plain) > _SMALL:
            raise HTTPException(413, f"the body decompresses to more than {_SMALL} bytes; send more as NDJSON or CSV")
        if not unzip.eof:
            raise HTTPException(400, "the body is cut short")
        content = unzip.unused_data
    return plain


def _rows(content: bytes) -> list[Any]:
    try:
        # Whole numbers stay as they are written: a 19-digit id must not pass through a float.
        found = json.loads(content, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    rows = found if isinstance(found, list) else [found]
    if not rows:
        raise HTTPException(400, "the body has no observation; valid are one object or an array of them")
    return rows


def _outcome(made: Outcome) -> dict[str, Any]:
    """Describe what became of the rows of one request, in the shape of a `LoadOutcome`."""
    reasons = [{"file": None, "line": line, "reason": reason} for line, reason in made.quarantine[:_REASONS]]
    return _outcome_facts(made, len(made.quarantine), reasons)


def _outcome_facts(made: Outcome | Load, quarantined: int, reasons: Sequence[object]) -> dict[str, Any]:
    return {
        "load": made.load,
        "rows_read": made.rows_read,
        "accepted": made.accepted,
        "repeated": made.repeated,
        "conflicting": made.conflicting,
        "quarantined": quarantined,
        "reasons": reasons,
        "reasons_left_out": quarantined - len(reasons),
        "quarantine": f"/v1/loads/{made.load}/quarantine",
    }


def _outcome_of(serving: Service, load: int) -> LoadOutcome:
    with serving.store.reading() as connection:
        made = load_table.find_load(connection, load)
        rows = load_table.list_quarantine(connection, load, limit=_REASONS)
    reasons = [Reason(file=row["file"], line=row["line"], reason=row["reason"]) for row in rows]
    return LoadOutcome(**_outcome_facts(made, made.quarantined, reasons))


@router.get(
    "/jobs/{job_id}", response_model=JobModel, responses={404: {"model": Problem, "description": "There is none."}}
)
@needs("read")
def show_job(serving: Serving, caller: Calling, job_id: Annotated[str, Path(max_length=64)]) -> dict[str, Any]:
    """Say how far a load is that takes longer."""
    with serving.store.reading() as connection:
        found = queue.find(connection, job_id)
    if found is None:
        raise NotFoundError("job", job_id)
    return job_facts(serving, found)


def job_facts(serving: Service, job: queue.Job) -> dict[str, Any]:
    """Describe a job, in the shape of a `JobModel`."""
    return {
        "id": job.job,
        "kind": job.kind,
        "state": job.state,
        "created_at": instant_iso(job.created_at),
        "started_at": iso_or_none(job.started_at),
        "finished_at": iso_or_none(job.finished_at),
        "progress": Progress(done=job.done, total=job.total),
        "reason": job.reason,
        "load": job.load,
        "outcome": None if job.load is None else _outcome_of(serving, job.load),
    }


LoadNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
_NO_LOAD: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem, "description": "There is no such load."}}


@router.get("/loads", response_model=LoadList)
@needs("read")
def list_loads(serving: Serving, caller: Calling, cursor_: After = None, limit: Limit = 50) -> LoadList:
    """List what was loaded, the newest load first."""
    before = key(cursor_, (int,))
    with serving.store.reading() as connection:
        found = load_table.list_loads(connection, before=None if before is None else int(before[0]), limit=limit + 1)
    more = cursor(found[limit - 1].load) if len(found) > limit else None
    return LoadList(loads=[_load_model(one) for one in found[:limit]], next_cursor=more)


@router.get("/loads/{load}", response_model=LoadModel, responses=_NO_LOAD)
@needs("read")
def show_load(serving: Serving, caller: Calling, load: LoadNumber) -> LoadModel:
    """Show the record of a load."""
    with serving.store.reading() as connection:
        return _load_model(load_table.find_load(connection, load))


def _load_model(made: Load) -> LoadModel:
    facts = made.facts() | {
        "started_at": instant_iso(made.started_at),
        "first_observed_at": iso_or_none(made.first_observed_at),
        "last_observed_at": iso_or_none(made.last_observed_at),
        "files": [LoadFileModel(file=place, **asdict(file)) for place, file in enumerate(made.files)],
    }
    return LoadModel(**facts)


@router.get(
    "/loads/{load}/quarantine",
    response_model=QuarantineList,
    responses={200: {"content": {"text/csv": {}}, "description": "The rows, or one file's rows as CSV."}, **_NO_LOAD},
)
@needs("read")
def show_quarantine(
    serving: Serving,
    caller: Calling,
    load: LoadNumber,
    form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
    file: Annotated[
        int | None, Query(ge=0, le=2**31 - 1, description="With csv: the file; its only one unless given.")
    ] = None,
    cursor_: After = None,
    limit: Limit = 100,
) -> Response | QuarantineList:
    """List the rows that a load set aside; as CSV, to fix and load again, all rows of one file."""
    if form == "csv":
        return _quarantine_csv(serving, load, file)
    after = key(cursor_, (int, int))
    with serving.store.reading() as connection:
        rows = load_table.list_quarantine(connection, load, after=after, limit=limit + 1)  # type: ignore[arg-type]
    more = cursor(rows[limit - 1]["position"], rows[limit - 1]["line"]) if len(rows) > limit else None
    return QuarantineList(rows=[_quarantined(row) for row in rows[:limit]], next_cursor=more)


def _quarantined(row: dict[str, Any]) -> QuarantinedRow:
    text = row["raw"].decode(errors="backslashreplace")
    return QuarantinedRow(
        file=row["position"], kind=row["kind"], name=row["file"], line=row["line"], reason=row["reason"], row=text
    )


def _quarantine_csv(serving: Service, load: int, file: int | None) -> Response:
    with serving.store.reading() as connection:
        chosen = load_table.list_quarantine(connection, load, file=file)
    files = sorted({row["position"] for row in chosen})
    if len(files) > 1:
        raise InputError(f"rows of several files were set aside; name one with file, valid are {files}")
    if not chosen:
        raise NotFoundError("quarantined row", f"load {load}" + ("" if file is None else f", file {file}"))
    first = chosen[0]
    content = quarantine.as_csv(chosen, kind=first["kind"], header=first["header"])
    name = f'attachment; filename="quarantine-{load}-{first["position"]}.csv"'
    return Response(content, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})
