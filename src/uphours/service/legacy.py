"""The earlier systems' clients keep working: their URLs, verbs, words, titles and units, on the same reports.

Everything that differs between them stands in `DIALECTS`; nothing of it is known to the native API.
"""

# Annotations are made when an endpoint is, not kept as text: those of one table differ.
import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from uphours.database.reports import Requested
from uphours.errors import ConflictError, NotFoundError
from uphours.kernel.windows import DEFAULT_WINDOWS
from uphours.reports.answers import stores_of
from uphours.reports.columns import Column, Unit, layout
from uphours.reports.report import Report
from uphours.reports.request import ReportRequest
from uphours.reports.writers import as_csv
from uphours.service import intake
from uphours.service.api.loads import answer
from uphours.service.api.reports import bound, find, request
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Service, Serving
from uphours.service.downloads import sent
from uphours.service.origins import AS_HEAD
from uphours.service.problems import AccessError
from uphours.service.result_files import File
from uphours.wire.words import JobState

router = APIRouter(tags=["earlier systems"], route_class=KeyedRoute)

Columns = Callable[[Report], Sequence[Column]]


def _original(report: Report) -> Sequence[Column]:
    return layout(report.windows.names)


def _minutes(_report: Report) -> Sequence[Column]:
    """Every column in minutes, uptime beside downtime."""
    return [
        Column(f"{figure}_{window}", figure, window, "minutes")
        for window in DEFAULT_WINDOWS
        for figure in ("uptime", "downtime")
    ]


#: As that system documents them, the slip in one of them included: its clients look for these words.
_DOCUMENTED: Final[tuple[tuple[str, str, str, Unit], ...]] = (
    ("uptime_last_hour(in minutes)", "uptime", "last_hour", "minutes"),
    ("uptime_last_day(in hours)", "uptime", "last_day", "hours"),
    ("update_last_week(in hours)", "uptime", "last_week", "hours"),
    ("downtime_last_hour(in minutes)", "downtime", "last_hour", "minutes"),
    ("downtime_last_day(in hours)", "downtime", "last_day", "hours"),
    ("downtime_last_week(in hours)", "downtime", "last_week", "hours"),
)


def _documented(_report: Report) -> Sequence[Column]:
    return [Column(*column) for column in _DOCUMENTED]


_IN: Final[dict[str, tuple[Unit, str]]] = {
    "last_hour": ("minutes", "in mins"),
    "last_day": ("hours", "in hrs"),
    "last_week": ("hours", "in hrs"),
}


def _titled(_report: Report) -> Sequence[Column]:
    """The units stand in the titles."""
    return [
        Column(f"{figure}_{window}({_IN[window][1]})", figure, window, _IN[window][0])
        for figure in ("uptime", "downtime")
        for window in DEFAULT_WINDOWS
    ]


@dataclass(frozen=True)
class Dialect:
    """How the clients of one system speak.

    ``trigger``: verbs and path; ``triggered``: what the answer says besides the report id. ``poll``: the path that
    tells how far a report is, ``{id}`` in the path or ``report_id`` in the query; ``running`` and ``complete`` are
    its words. ``fetch``: the path of the file, where it is not the one that is polled. ``columns``: of the CSV.
    ``inline``: the CSV comes inside JSON instead of as a download.
    """

    name: str
    trigger: tuple[tuple[str, ...], str]
    poll: str
    columns: Columns
    triggered: tuple[tuple[str, object], ...] = ()
    running: str = "Running"
    complete: str = "Complete"
    failed: str = "Failed"
    fetch: str | None = None
    inline: bool = False


DIALECTS: Final = (
    Dialect("original", (("GET", "POST"), "/trigger_report"), "/get_report", _original),
    Dialect(
        "original_api",
        (("GET", "POST"), "/api/trigger_report"),
        "/api/get_report",
        _documented,
        triggered=(("message", "Success"), ("error_code", 200)),
    ),
    Dialect("minutes", (("POST",), "/report/trigger_report"), "/report/get_report/{id}", _minutes, inline=True),
    Dialect(
        "titled",
        (("GET",), "/trigger-report"),
        "/get-report-status/{id}",
        _titled,
        triggered=(("status", "processing"),),
        running="processing",
        complete="completed",
        failed="failed",
        fetch="/get-report/{id}",
    ),
)

_UNFINISHED: Final[frozenset[JobState]] = frozenset({"receiving", "queued", "running"})
_NOT_FOUND: Final = {"status": "Report not found"}
_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "How far it is; the CSV when it is complete.",
        "content": {"application/json": {"schema": {"type": "object"}}, "text/csv": {"schema": {"type": "string"}}},
    },
    304: {"description": "It is what `If-None-Match` names."},
    404: {
        "description": "There is no such report.",
        "content": {
            "application/json": {"schema": {"type": "object", "properties": {"status": {"const": "Report not found"}}}}
        },
    },
}
_BUSY: Final[dict[int | str, dict[str, Any]]] = {
    429: {"model": Problem, "description": "Too many jobs are waiting; Retry-After says when to try again."}
}


def _refuse_foreign_pages(request: Request) -> None:
    """Refuse a GET that changes something if a page elsewhere may have caused it: a link, a frame, an image.

    Raises
    ------
    HTTPException
        It may have, or the request is a HEAD, which must change nothing.
    """
    if AS_HEAD in request.scope:
        raise HTTPException(405, "HEAD changes nothing, and a GET here does", {"Allow": "GET, POST"})
    serving: Service = request.app.state.service
    if request.headers.get("origin") in serving.settings.cors_origins:
        return
    if request.method == "GET" and serving.access.way.may_come_from_elsewhere(request.scope):
        raise AccessError(
            403,
            "this changes something, and a page elsewhere may have led here; type the address, use the pages of this "
            "service, or send a POST",
        )


def _trigger(dialect: Dialect) -> Callable[..., object]:
    @needs("read", sees="own", sessions=False)
    def trigger(serving: Serving, caller: Calling) -> dict[str, Any]:
        options = bound(ReportRequest(policy=serving.settings.policy), caller)
        made = request(serving, options, requested_by=caller.key_id)
        return {**dict(dialect.triggered), "report_id": made.report}

    return trigger


def _poll(dialect: Dialect, report_id: Any) -> Callable[..., object]:
    @needs("read", sees="own", sessions=False)
    async def poll(request: Request, serving: Serving, caller: Calling, report_id: report_id) -> Response:
        return await _state(dialect, request, serving, caller, report_id)

    return poll


def _fetch(dialect: Dialect, report_id: Any) -> Callable[..., object]:
    @needs("read", sees="own", sessions=False)
    async def fetch(request: Request, serving: Serving, caller: Calling, report_id: report_id) -> Response:
        found = await _found(serving, caller, report_id)
        if found is None:
            return JSONResponse(_NOT_FOUND, 404)
        if found.state != "complete":
            return JSONResponse(_status(dialect, found))
        return await _download(dialect, request, serving, found)

    return fetch


async def _state(dialect: Dialect, request: Request, serving: Service, caller: Caller, report_id: str) -> Response:
    found = await _found(serving, caller, report_id)
    if found is None:
        return JSONResponse(_NOT_FOUND, 404)
    if found.state != "complete" or dialect.fetch is not None:
        return JSONResponse(_status(dialect, found))
    if dialect.inline or _wants_json(request):
        csv = b"".join((await _file(dialect, serving, found)).blocks()).decode()
        return JSONResponse({"status": dialect.complete, "csv_file": csv})
    return await _download(dialect, request, serving, found)


async def _found(serving: Service, caller: Caller, report_id: str) -> Requested | None:
    try:
        return await find(serving, caller, report_id)
    except NotFoundError:
        return None


def _status(dialect: Dialect, found: Requested) -> dict[str, str | None]:
    if found.state in _UNFINISHED:
        return {"status": dialect.running}
    if found.state == "complete":
        return {"status": dialect.complete}
    return {"status": dialect.failed, "reason": found.job.reason or f"the report is {found.state}"}


def _wants_json(request: Request) -> bool:
    accepted = [one.partition(";")[0].strip() for one in request.headers.get("accept", "").split(",")]
    return "application/json" in accepted and "text/csv" not in accepted


async def _file(dialect: Dialect, serving: Service, found: Requested) -> File:
    return await serving.lanes["files"].run(
        serving.results.rendered,
        found.job.job,
        dialect.name,
        "csv",
        lambda made, file: file.write(as_csv(stores_of(made), dialect.columns(stores_of(made)))),
    )


async def _download(dialect: Dialect, request: Request, serving: Service, found: Requested) -> Response:
    return sent(request, await _file(dialect, serving, found), X_Report_Status=dialect.complete)


@needs("ingest", sees="all", sessions=False)
async def _store_csv_data(serving: Serving, caller: Calling) -> Response:
    """Load the three CSV files of the data folder."""
    folder = serving.settings.data_folder
    if folder is None:
        raise ConflictError("no data folder is configured; the setting data_folder (UPHOURS_DATA_FOLDER) names it")
    job = await intake.load_folder(
        serving.database,
        f"{glob.escape(str(folder))}/*.csv",
        actor=caller.actor,
        limit=serving.settings.queue_limit,
        now=serving.now(),
    )
    made = await answer(serving, job)
    if isinstance(made, Response):
        return made
    facts = {name: value for name, value in made.items() if name != "summary"}
    return JSONResponse({"message": "Data stored successfully!", **facts})


def _install() -> None:
    in_path = Annotated[str, Path(max_length=200)]
    in_query = Annotated[str, Query(max_length=200)]
    for dialect in DIALECTS:
        verbs, path = dialect.trigger
        for verb in verbs:
            router.add_api_route(
                path,
                _trigger(dialect),
                methods=[verb],
                dependencies=[Depends(_refuse_foreign_pages)],
                responses=_BUSY,
                operation_id=f"{dialect.name}_{verb.lower()}",
                description="Trigger a report.",
            )
        asked = [(dialect.poll, _poll)] + ([] if dialect.fetch is None else [(dialect.fetch, _fetch)])
        for path, make in asked:
            endpoint = make(dialect, in_path if "{id}" in path else in_query)
            router.add_api_route(
                path.replace("{id}", "{report_id}"),
                endpoint,
                methods=["GET"],
                responses=_ANSWERS,
                response_class=Response,
                operation_id=f"{dialect.name}_{endpoint.__name__}",
                description="Poll a report." if make is _poll else "Fetch a report.",
            )
    for verb in ("GET", "POST"):
        router.add_api_route(
            "/store_csv_data",
            _store_csv_data,
            methods=[verb],
            dependencies=[Depends(_refuse_foreign_pages)],
            response_class=JSONResponse,
            responses={409: {"model": Problem, "description": "No data folder is configured."}, **_BUSY},
            operation_id=f"store_csv_data_{verb.lower()}",
        )


_install()
