"""Rows in: ``/v1/observations``, ``/v1/loads``, and what became of them."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Annotated, Any, Final, cast, get_args

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser

from uphours import load_record
from uphours.database import audit, queue, rejected_rows, uploads
from uphours.database import loads as load_table
from uphours.errors import ConflictError, InputError, NotFoundError
from uphours.ingest import quarantine
from uphours.ingest.inputs import Kind
from uphours.ingest.statuses import read_mapping
from uphours.schema import instant_iso, iso_or_none
from uphours.service import intake
from uphours.service.api.forms import whole_form
from uphours.service.api.paging import After, Limit, cursor, key
from uphours.service.api.row_bodies import ANSWERS, PREFER, ROW, Prefer, Statuses, Strict, body_of
from uphours.service.auth import Calling, CheckedRoute, KeyedRoute, authorize, bearer, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Service, Serving
from uphours.service.intake import Outcome, Sending, Terms
from uphours.service.problems import AccessError
from uphours.service.worker import failure_of
from uphours.wire.load_messages import Job, Load, LoadList, LoadOutcome, Reason, Summary

router = APIRouter(prefix="/v1", tags=["loads"], route_class=KeyedRoute)

#: A JSON body of up to this size, rows and values is committed together with others; a larger one becomes a job.
_SMALL: Final = 1 << 20
_MOST_ROWS: Final = 5_000
_MOST_VALUES: Final = 50_000
# A file of a form is in memory up to here, and a form may have a hundred of them.
MultiPartParser.spool_max_size = 64 << 10
#: Reasons that stand in an answer; all of them are at the load's quarantine.
_REASONS: Final = 100


class _BareRoute(CheckedRoute):
    """A route whose endpoint gets the request alone: dependencies take longer than all that a small post is for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


observations_router = APIRouter(prefix="/v1", tags=["loads"], route_class=_BareRoute)


@observations_router.post(
    "/observations",
    response_model=LoadOutcome,
    responses=ANSWERS,
    openapi_extra=body_of(ROW)
    | {
        "parameters": [
            {
                "name": "prefer",
                "in": "header",
                "schema": {"type": "string", "maxLength": 100},
                "description": PREFER,
            }
        ]
    },
)
@needs("ingest", sees="all")
async def post_observations(request: Request) -> Response:
    """Bring observations: one object, an array, NDJSON, CSV or Parquet, plain or compressed with gzip or zstd.

    2xx means committed and synced to disk. Small JSON bodies of many requests are committed together.
    """
    serving: Service = request.app.state.service
    caller = await authorize(request, await bearer(request))
    length = _small_json(request)
    if length is None:
        made = await load_body(request, serving, caller.actor, "polls", request.headers.get("prefer"))
        return made if isinstance(made, Response) else JSONResponse(made)
    with serving.commits.room(length):
        content = await request.body()
        rows = _few_rows(_plain(request, content))
        if rows is not None:
            written = await serving.commits.write(rows, caller.actor)
            reasons: list[Reason] = [
                {"file": None, "line": line, "reason": reason} for line, reason in written.quarantine[:_REASONS]
            ]
            return JSONResponse(_outcome(written, len(written.quarantine), reasons))
    name = f"{request.method} {request.url.path}"
    job = await _receive(serving, [Sending("polls", name, _whole(content))], caller.actor, _terms("polls"))
    made = await answer(serving, job, request.headers.get("prefer"))
    return made if isinstance(made, Response) else JSONResponse(made)


#: The fields of a form with files, and the kind of each.
_FIELDS: Final[dict[str, Kind | None]] = {**{kind: kind for kind in get_args(Kind)}, "files": None}
_FILES: Final = {"type": "array", "items": {"type": "string", "format": "binary"}}


@router.post(
    "/loads",
    response_model=LoadOutcome,
    responses=ANSWERS | {422: {"model": Problem, "description": "A file cannot be used, and nothing was loaded."}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "properties": dict.fromkeys(_FIELDS, _FILES),
                    }
                }
            },
        }
    },
)
@needs("ingest", sees="all")
async def post_load(
    request: Request,
    serving: Serving,
    caller: Calling,
    prefer: Prefer = None,
    strict: Strict = None,
    status: Statuses = None,
) -> Response | LoadOutcome:
    """Load files, all of them or nothing: of a kind that the field names, or in ``files``, whose columns tell.

    The kinds are polls, hours, timezones, special, stores, adjustments and targets; adjustments need the scope adjust
    too, and targets the scope admin.
    """
    if strict is not None:
        quarantine.share(strict)  # so that a mistake is answered at once
    terms: Terms = {} if strict is None else {"strict": strict}
    if status:
        terms["statuses"] = read_mapping(status)
    if not caller.may("adjust"):
        terms["without_ledger"] = True
    if not caller.may("admin"):
        terms["without_targets"] = True
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(415, f"send files as multipart/form-data, in fields {', '.join(_FIELDS)}")
    async with AsyncExitStack() as stack:
        stack.enter_context(serving.forms.take())
        form = await whole_form(request, files=100, fields=10)
        stack.push_async_callback(form.close)
        fields = form.multi_items()
        if unknown := sorted(
            {name for name, value in fields if name not in _FIELDS or not isinstance(value, UploadFile)}
        ):
            raise InputError(f"the field {unknown[0][:60]!r} is no file; valid are files in {', '.join(_FIELDS)}")
        if not fields:
            raise InputError(f"there is no file; valid are files in {', '.join(_FIELDS)}")
        if "adjustments" in dict(fields) and not caller.may("adjust"):
            raise AccessError(403, "this API key has no scope adjust; files of adjustments need it beside ingest")
        if "targets" in dict(fields) and not caller.may("admin"):
            raise AccessError(403, "this API key has no scope admin; files of targets need it")
        sending = [
            Sending(_FIELDS[name], _clean(value.filename or name), _read(value))
            for name, value in fields
            if isinstance(value, UploadFile)
        ]
        job = await _receive(serving, sending, caller.actor, terms)
    return await answer(serving, job, prefer)


def _clean(name: str) -> str:
    """Return the name of a sent file without what could be mistaken for something else."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", "", last)[:200] or "file"


async def _read(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(1 << 20):
        yield block


async def load_body(
    request: Request, serving: Service, actor: str, kind: Kind, prefer: str | None, terms: Terms | None = None
) -> Response | LoadOutcome:
    """Load the body of a request, which holds rows of one kind."""
    _check_encoding(request)
    name = f"{request.method} {request.url.path}"
    job = await _receive(serving, [Sending(kind, name, request.stream())], actor, terms or _terms(kind))
    return await answer(serving, job, prefer)


async def load_rows(
    serving: Service, actor: str, kind: Kind, rows: Sequence[dict[str, str]], name: str
) -> Response | LoadOutcome:
    """Load rows that a page has made, as though they had been sent; ``name``: as the load calls them."""
    content = json.dumps(rows).encode()
    return await answer(serving, await _receive(serving, [Sending(kind, name, _whole(content))], actor, _terms(kind)))


def _terms(kind: Kind) -> Terms:
    # Observations are answered row by row, however they come: small bodies, too, whose rows are all rejected.
    return {"allow_unusable": True} if kind == "polls" else {}


async def _receive(serving: Service, sending: Sequence[Sending], actor: str, terms: Terms) -> str:
    return await intake.receive(
        serving.database, sending, actor=actor, limit=serving.settings.queue_limit, now=serving.now, terms=terms
    )


async def answer(serving: Service, job: str, prefer: str | None = None) -> Response | LoadOutcome:
    """Answer with what became of a load, or with where to look for it."""
    patience = 0 if prefer and "respond-async" in prefer else serving.settings.wait_seconds
    found = await serving.endings.ended(job, seconds=patience, stopping=serving.stopping)
    if found.finished_at is None:
        return await accepted(serving, found)
    if found.load is None:
        raise failure_of(found.reason or f"the load is {found.state}")
    return await run_in_threadpool(_outcome_of, serving, found.load)


async def accepted(serving: Service, job: queue.Job) -> Response:
    """Answer with where to look for what becomes of a job."""
    return JSONResponse(await run_in_threadpool(_job, serving, job), 202, {"Location": f"/v1/jobs/{job.job}"})


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "zstd"):
        raise HTTPException(415, f"the body is compressed with {encoding[:40]!r}; valid are gzip and zstd")


def _small_json(request: Request) -> int | None:
    """Return the length of a body that is JSON and small; None for another one, which becomes a job as it comes in."""
    media_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    length = request.headers.get("content-length", "")
    if media_type != "application/json" or not length.isdecimal() or int(length) > _SMALL:
        return None
    _check_encoding(request)
    is_zstd = request.headers.get("content-encoding", "").strip().lower() == "zstd"
    return None if is_zstd else int(length)


def _plain(request: Request, content: bytes) -> bytes:
    is_gzip = request.headers.get("content-encoding", "").strip().lower() == "gzip"
    return _unzipped(content) if is_gzip else content


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content


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


def _few_rows(content: bytes) -> list[Any] | None:
    """Return the rows of a body; None where they are enough to become a job."""
    is_array = content.lstrip(b" \t\r\n\xef\xbb\xbf").startswith(b"[")
    # Counted before they are parsed: a megabyte of JSON can be half a million values.
    if sum(content.count(sign) for sign in (b",", b"[", b"{")) > _MOST_VALUES:
        if not is_array:
            raise HTTPException(413, f"the body is one object of more than {_MOST_VALUES:,} values; valid are rows")
        return None
    try:
        # Whole numbers stay as they are written: a 19-digit id must not pass through a float.
        found = json.loads(content, parse_int=str)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is not JSON: {error}") from None
    rows = found if isinstance(found, list) else [found]
    if not rows:
        raise HTTPException(400, "the body has no observation; valid are one object or an array of them")
    return rows if len(rows) <= _MOST_ROWS else None


def _outcome(made: Outcome | load_record.Load, quarantined: int, reasons: list[Reason]) -> LoadOutcome:
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


def _summary(summary: load_record.Summary | None) -> Summary | None:
    if summary is None:
        return None
    instants = ("latest_observed_at", "observed_before_at", "now_at", "pruned_before")
    facts = summary.to_dict()
    facts |= {name: iso_or_none(facts[name]) for name in instants}
    return cast(Summary, {**facts, "notices": list(summary.notices), "sentences": summary.sentences()})


def _outcome_of(serving: Service, load: int) -> LoadOutcome:
    with serving.database.reading() as connection:
        made = load_table.find_load(connection, load)
        rows = rejected_rows.list_quarantine(connection, load, limit=_REASONS)
    reasons: list[Reason] = [{"file": row["file"], "line": row["line"], "reason": row["reason"]} for row in rows]
    return {**_outcome(made, made.quarantined, reasons), "summary": _summary(made.summary)}


@router.get("/jobs/{job_id}", responses={404: {"model": Problem, "description": "There is none."}})
@needs("read", sees="all")
def show_job(serving: Serving, caller: Calling, job_id: Annotated[str, Path(max_length=64)]) -> Job:
    """Say how far a load is that takes longer."""
    with serving.database.reading() as connection:
        found = queue.find(connection, job_id)
    if found is None:
        raise NotFoundError("job", job_id)
    return _job(serving, found)


@router.delete(
    "/jobs/{job_id}",
    responses={
        404: {"model": Problem, "description": "There is no such load."},
        409: {"model": Problem, "description": "It has ended."},
    },
)
@needs("ingest", sees="all")
def cancel_job(serving: Serving, caller: Calling, job_id: Annotated[str, Path(max_length=64)]) -> Job:
    """Cancel a load that has not ended: nothing of it is loaded. Those of others only with the scope admin."""
    with serving.database.writing() as connection:
        found = queue.find(connection, job_id)
        if found is None or found.kind != "load":
            raise NotFoundError("load", job_id, "the Location of a 202 names it")
        if found.request["actor"] != caller.actor and not caller.may("admin"):
            raise AccessError(403, "another key sent this load; to cancel it needs the scope admin")
        if found.state != "cancelled":
            uploads.drop(connection, job_id)
            queue.cancel(connection, job_id, now=serving.now())
            found = queue.find(connection, job_id)
            if found is None or found.state != "cancelled":
                raise ConflictError(f"the load {job_id} has ended already")
            details = {"files": [file["name"] for file in found.request["files"]]}
            audit.record(
                connection, at=serving.now(), actor=caller.actor, action="load.cancel", subject=job_id, details=details
            )
    return _job(serving, found)


def _job(serving: Service, job: queue.Job) -> Job:
    return {
        "id": job.job,
        "kind": job.kind,
        "state": job.state,
        "created_at": instant_iso(job.created_at),
        "started_at": iso_or_none(job.started_at),
        "finished_at": iso_or_none(job.finished_at),
        "progress": {"done": job.done, "total": job.total},
        "reason": job.reason,
        "load": job.load,
        "outcome": None if job.load is None else _outcome_of(serving, job.load),
    }


LoadNumber = Annotated[int, Path(ge=1, le=2**31 - 1)]
NO_LOAD: Final[dict[int | str, dict[str, Any]]] = {404: {"model": Problem, "description": "There is no such load."}}


@router.get("/loads")
@needs("read", sees="all")
def list_loads(serving: Serving, caller: Calling, cursor_: After = None, limit: Limit = 50) -> LoadList:
    """List what was loaded, the newest load first."""
    before = key(cursor_, ("int32",))
    with serving.database.reading() as connection:
        found = load_table.list_loads(connection, before=None if before is None else int(before[0]), limit=limit + 1)
    more = cursor(found[limit - 1].load) if len(found) > limit else None
    return {"loads": [_load(one) for one in found[:limit]], "next_cursor": more}


@router.get("/loads/{load}", responses=NO_LOAD)
@needs("read", sees="all")
def show_load(serving: Serving, caller: Calling, load: LoadNumber) -> Load:
    """Show the record of a load."""
    with serving.database.reading() as connection:
        return _load(load_table.find_load(connection, load))


def _load(made: load_record.Load) -> Load:
    facts = made.facts() | {
        "started_at": instant_iso(made.started_at),
        "first_observed_at": iso_or_none(made.first_observed_at),
        "last_observed_at": iso_or_none(made.last_observed_at),
        "files": [{"file": place, **asdict(file)} for place, file in enumerate(made.files)],
        "summary": _summary(made.summary),
    }
    return cast(Load, facts)
