"""Reports: ask for one, also by a preset or as before, watch it being made, see its numbers, fetch it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from uphours.errors import ConflictError, InputError, NotFoundError
from uphours.kernel.windows import window_of
from uphours.reports.first_rows import FirstRows, first_rows
from uphours.service.api import reports
from uphours.service.api.paging import After
from uphours.service.api.reports import ReportId
from uphours.service.api.stores import DefaultPolicy
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.deps import Service, Serving
from uphours.service.pages.attributes import has_names, offered
from uphours.service.pages.query import WINDOWS, Asked, Asking, problems_told
from uphours.service.pages.rendering import page
from uphours.service.policy_parameters import InForm
from uphours.service.report_body import ReportBody
from uphours.where import plain, where_of_texts
from uphours.wire.groups import Attribute

router = APIRouter(prefix="/reports", route_class=KeyedRoute)

_ON_A_PAGE: Final = 20
#: The windows of a report unless others are chosen.
_USUAL_WINDOWS: Final = ("last_hour", "last_day", "last_week")
#: Rows that the page of a report shows.
_FIRST_ROWS: Final = 50
#: Attributes for which there is a preset of groups.
_MOST_PRESETS: Final = 3
_MOST_NAMES: Final = 20
_MOST_VALUES: Final = 1_000


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


@dataclass(frozen=True)
class Typed:
    """What stands in the form besides instant and policy, as text; ``mistake``: why no report could be made of it."""

    windows: Sequence[str]
    stores: str = ""
    by: Sequence[str] = ()
    with_names: bool = True
    all_stores: bool = False
    mistake: str = ""

    @property
    def own_dates(self) -> str:
        """The window that is typed rather than chosen."""
        return next((one for one in self.windows if one.strip() and one not in WINDOWS), "")


@router.get("")
@needs("read", sees="own")
def list_reports(
    request: Request, serving: Serving, caller: Calling, asking: Asking, cursor_: After = None
) -> Response:
    """Show presets, the form for a report, and the last ones."""
    windows = [asking.values["window"]] if "window" in asking.changed else _USUAL_WINDOWS
    return _page(request, serving, caller, asking, Typed(windows), cursor_)


def _page(
    request: Request, serving: Service, caller: Caller, asked: Asked, typed: Typed, after: str | None = None
) -> Response:
    found = reports.list_reports(serving, caller, after, _ON_A_PAGE)
    attributes = offered(serving, caller)
    return page(
        request,
        "reports",
        status=422 if typed.mistake else 200,
        asked=asked,
        typed=typed,
        windows=WINDOWS,
        found=found,
        attributes=attributes,
        presets=list(_presets(attributes)),
        has_names=has_names(serving, caller),
    )


@router.post("")
@needs("read", sees="own")
def trigger(
    request: Request,
    serving: Serving,
    caller: Calling,
    chosen: InForm,
    default: DefaultPolicy,
    windows: Annotated[list[str] | None, Form(max_length=100)] = None,
    as_of: Annotated[str, Form(max_length=64)] = "",
    stores: Annotated[str, Form(max_length=1 << 18)] = "",
    where: Annotated[list[str] | None, Form(max_length=_MOST_VALUES)] = None,
    by: Annotated[list[str] | None, Form(max_length=_MOST_NAMES)] = None,
    columns: Annotated[list[str] | None, Form(max_length=_MOST_NAMES)] = None,
    all_stores: Annotated[bool, Form()] = False,
    raw: Annotated[bool, Form()] = False,
) -> Response:
    """Ask for a report, and lead to it; where one cannot be made, show the form as it was, and why."""
    names = [name for name in by or () if name.strip()]
    try:
        with problems_told():
            options = {
                "as_of": as_of.strip() or None,
                "windows": [_window(one.strip()) for one in windows or () if one.strip()],
                **{name: str(value).strip() for name, value in chosen.items() if str(value).strip()},
                "stores": [line.strip() for line in stores.splitlines() if line.strip()] or None,
                "where": plain(where_of_texts([text for text in where or () if text])),
                "by": names,
                "columns": [] if names else columns or [],
                "all_stores": all_stores,
                "raw": raw,
            }
            if not options["windows"]:
                raise InputError("no window is chosen; valid are one or more of them, or dates of your own")
            body = ReportBody.model_validate(options)
        return _triggered(serving, caller, body)
    except (InputError, NotFoundError) as error:
        typed = Typed(windows or (), stores, names, bool(columns), all_stores, str(error))
        values = dict(Asked.usual(default).values) | {name: str(value) for name, value in chosen.items() if value}
        values |= {"as_of": as_of, "raw": str(raw).lower(), "where": "\n".join(where or ())}
        return _page(request, serving, caller, Asked(values, default), typed)


def _triggered(serving: Service, caller: Caller, body: ReportBody) -> Response:
    made = reports.trigger(serving, caller, Response(), body)
    return RedirectResponse(f"/reports/{made['id']}", 303)


def _window(text: str) -> str | dict[str, str]:
    """Return a window as the body of a request has it: a name, or the parts of ``NAME=START/END``."""
    if "=" not in text:
        return text
    window_of(text)  # raises what is valid
    name, _, bounds = text.partition("=")
    start, _, end = bounds.partition("/")
    return {"name": name, "start": start, "end": end}


@router.get("/{report_id}")
@needs("read", sees="own")
async def show(request: Request, serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Show how far a report is, what it was made from, and its first rows once it is complete."""
    state = await run_in_threadpool(reports.show, serving, caller, report_id)
    rows = await _rows(serving, caller, report_id) if state["state"] == "complete" else None
    values: dict[str, Any] = {"report": state, "rows": rows}
    return await run_in_threadpool(page, request, "report", **values)


async def _rows(serving: Service, caller: Caller, report_id: str) -> FirstRows | None:
    """Return the first rows of a report; None where an older version made it, or it has just expired."""
    try:
        job = (await run_in_threadpool(reports.find, serving, caller, report_id)).job.job
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
def ask_again(serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Ask for the same report of what is there now, and lead to it."""
    options = reports.show(serving, caller, report_id)["options"]
    with problems_told():
        body = ReportBody.model_validate(options)
    return _triggered(serving, caller, body)


@router.post("/{report_id}/cancel")
@needs("read", sees="own")
def cancel(serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Cancel a report, and lead back to it."""
    reports.cancel(serving, caller, report_id)
    return RedirectResponse(f"/reports/{report_id}", 303)
