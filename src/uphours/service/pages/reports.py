"""Reports: ask for one, also by a preset, as saved or as before, watch it being made, see its numbers, fetch it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from uphours.database.saved_reports import NAME_MAX_LENGTH
from uphours.errors import ConflictError, InputError, NotFoundError
from uphours.reports.first_rows import FirstRows, first_rows
from uphours.reports.request import ReportRequest
from uphours.service.api import reports, saved_reports
from uphours.service.api.paging import After
from uphours.service.api.reports import ReportId
from uphours.service.api.saved_reports import LONGEST_OWNER
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.bodies import checked
from uphours.service.deps import Service, Serving
from uphours.service.pages.attributes import has_names, offered
from uphours.service.pages.query import WINDOWS, Asking, mistake_in
from uphours.service.pages.rendering import page
from uphours.service.pages.report_form import LONGEST_FIELD, PLACES, ReportForm, Typed
from uphours.service.problems import status_of
from uphours.wire.group_messages import Attribute
from uphours.wire.report_messages import ReportBody

router = APIRouter(prefix="/reports", route_class=KeyedRoute, include_in_schema=False)

_ON_A_PAGE: Final = 20
#: Rows that the page of a report shows.
_FIRST_ROWS: Final = 50
#: Attributes for which there is a preset of groups.
_MOST_PRESETS: Final = 3

SavedName = Annotated[str, Form(max_length=LONGEST_FIELD)]
SavedOwner = Annotated[str, Query(max_length=LONGEST_OWNER)]
SavedOwnerField = Annotated[str, Form(max_length=LONGEST_OWNER)]


@dataclass(frozen=True)
class Preset:
    """A request by name, as the fields of the form have it."""

    name: str
    windows: Sequence[str]
    by: str = ""


def _presets(attributes: Sequence[Attribute]) -> Iterator[Preset]:
    yield Preset("Yesterday", ["yesterday"])
    yield Preset("Previous week", ["previous_week"])
    yield Preset("This month so far", ["this_month"])
    yield Preset("Previous month", ["previous_month"])
    for one in attributes[:_MOST_PRESETS]:
        yield Preset(f"Previous month by {one['name']}", ["previous_month"], one["name"])


@router.get("")
@needs("read", sees="own")
def list_reports(
    request: Request,
    serving: Serving,
    caller: Calling,
    asking: Asking,
    cursor_: After = None,
    saved: Annotated[str, Query(max_length=NAME_MAX_LENGTH)] = "",
    owner: SavedOwner = "",
) -> Response:
    """Show presets and saved reports, the form for one, and the last ones; ``saved``: what stands in the form."""
    typed = Typed.from_asked(asking)
    if saved:
        typed = Typed.from_request(saved_reports.find(serving, caller, saved, owner), saved)
    return _page(request, serving, caller, typed, after=cursor_)


def _page(
    request: Request,
    serving: Service,
    caller: Caller,
    typed: Typed,
    *,
    status: int = 200,
    mistakes: dict[str, str] | None = None,
    after: str | None = None,
) -> Response:
    attributes = offered(serving, caller)
    return page(
        request,
        "reports",
        status=status,
        typed=typed,
        mistakes=mistakes or {},
        windows=WINDOWS,
        found=reports.list_reports(serving, caller, after, _ON_A_PAGE),
        saved=saved_reports.list_saved(serving, caller)["saved_reports"],
        attributes=attributes,
        presets=list(_presets(attributes)),
        has_names=has_names(serving, caller),
    )


@router.post("")
@needs("read", sees="own")
def trigger(request: Request, serving: Serving, caller: Calling, typed: ReportForm) -> Response:
    """Ask for a report, save it if it has a name, and lead to it; else show the form as it was, and what is wrong."""

    def ask(body: ReportBody) -> Response:
        if typed.name:
            saved_reports.put_saved(serving, caller, typed.name, body)
        return _triggered(serving, caller, body)

    return _done(request, serving, caller, typed, ask)


@router.post("/saved")
@needs("read", sees="own")
def save(request: Request, serving: Serving, caller: Calling, typed: ReportForm) -> Response:
    """Save what stands in the form, and lead to where it stands; else show the form as it was, and what is wrong."""

    def put(body: ReportBody) -> Response:
        saved_reports.put_saved(serving, caller, typed.name, body)
        return RedirectResponse("/reports#saved", 303)

    return _done(request, serving, caller, typed, put)


def _done(
    request: Request, serving: Service, caller: Caller, typed: Typed, action: Callable[[ReportBody], Response]
) -> Response:
    """Return what an action with the body of the form answers; where it makes no sense, the form and the mistakes."""
    mistakes, status = typed.mistakes(), 422
    if not mistakes:
        try:
            return action(typed.body())
        except (InputError, ConflictError) as error:
            mistakes, status = mistake_in(error, PLACES), status_of(error)
    return _page(request, serving, caller, typed, status=status, mistakes=mistakes)


@router.post("/saved/report")
@needs("read", sees="own")
def ask_for_saved(serving: Serving, caller: Calling, name: SavedName, owner: SavedOwnerField = "") -> Response:
    """Ask for a saved report of what is there now, and lead to it."""
    return _asked_again(serving, caller, saved_reports.find(serving, caller, name, owner).to_dict())


@router.post("/saved/deletion")
@needs("read", sees="own")
def delete_saved(serving: Serving, caller: Calling, name: SavedName, owner: SavedOwnerField = "") -> Response:
    """Delete a saved report, and lead back to the others."""
    saved_reports.delete_saved(serving, caller, name, owner)
    return RedirectResponse("/reports#saved", 303)


def _triggered(serving: Service, caller: Caller, body: ReportBody) -> Response:
    made = reports.trigger(serving, caller, Response(), body)
    return RedirectResponse(f"/reports/{made['id']}", 303)


def _asked_again(serving: Service, caller: Caller, options: Mapping[str, Any]) -> Response:
    return _triggered(serving, caller, checked(ReportBody, options))


@router.get("/{report_id}")
@needs("read", sees="own")
async def show(request: Request, serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Show how far a report is, what it was made from, and its first rows once it is complete."""
    return await _page_of(request, serving, caller, report_id)


@router.post("/{report_id}/saved")
@needs("read", sees="own")
async def save_made(
    request: Request, serving: Serving, caller: Calling, report_id: ReportId, name: SavedName = ""
) -> Response:
    """Save under a name what a report was asked for with, and lead to where it stands."""
    try:
        options = (await reports.show(serving, caller, report_id))["options"]
        asked = ReportRequest.from_dict(options)
        await run_in_threadpool(saved_reports.save, serving, caller, name.strip(), asked)
    except (InputError, ConflictError) as error:
        return await _page_of(
            request,
            serving,
            caller,
            report_id,
            status=status_of(error),
            name=name.strip(),
            mistakes={"name": str(error)},
        )
    return RedirectResponse("/reports#saved", 303)


async def _page_of(
    request: Request,
    serving: Service,
    caller: Caller,
    report_id: str,
    *,
    status: int = 200,
    name: str = "",
    mistakes: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    state = await reports.show(serving, caller, report_id)
    rows = await _rows(serving, caller, report_id) if state["state"] == "complete" else None
    values: dict[str, Any] = {"report": state, "rows": rows, "name": name, "mistakes": mistakes}
    return await run_in_threadpool(page, request, "report", status=status, **values)


async def _rows(serving: Service, caller: Caller, report_id: str) -> FirstRows | None:
    """Return the first rows of a report; None where an older version made it, or it has just expired."""
    try:
        job = (await reports.find(serving, caller, report_id)).job.job
        file = await serving.lanes["files"].run(
            serving.results.rendered,
            job,
            "first rows",
            "json",
            lambda made, file: first_rows(made, _FIRST_ROWS).write(file),
        )
    except (ConflictError, NotFoundError):
        return None
    return FirstRows.read(b"".join(file.blocks()))


@router.post("/{report_id}/again")
@needs("read", sees="own")
async def ask_again(serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Ask for the same report of what is there now, and lead to it."""
    options = (await reports.show(serving, caller, report_id))["options"]
    return await run_in_threadpool(_asked_again, serving, caller, options)


@router.post("/{report_id}/cancel")
@needs("read", sees="own")
def cancel(serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Cancel a report, and lead back to it."""
    reports.cancel(serving, caller, report_id)
    return RedirectResponse(f"/reports/{report_id}", 303)
