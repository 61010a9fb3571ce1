"""Reports: ask for one, watch it being made, fetch it, see what it was made from."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from uphours.kernel.windows import window_of
from uphours.service.api import reports
from uphours.service.api.paging import After
from uphours.service.api.reports import ReportId
from uphours.service.auth import Calling, KeyedRoute, needs
from uphours.service.deps import Serving
from uphours.service.pages.query import Asking, problems_told
from uphours.service.pages.rendering import page
from uphours.service.policy_parameters import InForm
from uphours.service.report_models import ReportBody

router = APIRouter(prefix="/reports", route_class=KeyedRoute)

_ON_A_PAGE: Final = 20


@router.get("")
@needs("read", sees="own")
def list_reports(
    request: Request, serving: Serving, caller: Calling, asking: Asking, cursor_: After = None
) -> Response:
    """Show the form for a report, and the last ones."""
    found = reports.list_reports(serving, caller, cursor_, _ON_A_PAGE)
    return page(request, "reports", asked=asking, found=found)


@router.post("")
@needs("read", sees="own")
def trigger(
    request: Request,
    serving: Serving,
    caller: Calling,
    chosen: InForm,
    windows: Annotated[list[str], Form(max_length=100)],
    as_of: Annotated[str, Form(max_length=64)] = "",
    stores: Annotated[str, Form(max_length=1 << 18)] = "",
    all_stores: Annotated[bool, Form()] = False,
    raw: Annotated[bool, Form()] = False,
) -> Response:
    """Ask for a report, and lead to it."""
    with problems_told():
        body = ReportBody.model_validate(
            {
                "as_of": as_of.strip() or None,
                "windows": [_window(one.strip()) for one in windows if one.strip()],
                **{name: str(value).strip() for name, value in chosen.items() if str(value).strip()},
                "stores": [line.strip() for line in stores.splitlines() if line.strip()] or None,
                "all_stores": all_stores,
                "raw": raw,
            }
        )
    made = reports.trigger(serving, caller, Response(), body)
    return RedirectResponse(f"/reports/{made.id}", 303)


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
def show(request: Request, serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Show how far a report is, and what it was made from."""
    return page(request, "report", report=reports.show(serving, caller, report_id))


@router.post("/{report_id}/cancel")
@needs("read", sees="own")
def cancel(serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Cancel a report, and lead back to it."""
    reports.cancel(serving, caller, report_id)
    return RedirectResponse(f"/reports/{report_id}", 303)
