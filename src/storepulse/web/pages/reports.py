"""Reports: ask for one, watch it being made, fetch it, see what it was made from."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from storepulse.web.access import Calling, needs
from storepulse.web.api import reports
from storepulse.web.api.paging import After
from storepulse.web.api.reports import ReportId
from storepulse.web.models import ReportBody
from storepulse.web.pages.asked import Asking, problems_told
from storepulse.web.pages.rendering import page
from storepulse.web.service import Serving

router = APIRouter(prefix="/reports")

_ON_A_PAGE: Final = 20


@router.get("")
@needs("read")
def list_reports(
    request: Request, serving: Serving, caller: Calling, asking: Asking, cursor_: After = None
) -> Response:
    """Show the form for a report, and the last ones."""
    found = reports.list_reports(serving, caller, cursor_, _ON_A_PAGE)
    return page(request, "reports", asked=asking, found=found)


@router.post("")
@needs("read")
def trigger(
    request: Request,
    serving: Serving,
    caller: Calling,
    windows: Annotated[list[str], Form(max_length=100)],
    as_of: Annotated[str, Form(max_length=64)] = "",
    interpolation: Annotated[str, Form(max_length=20)] = "previous",
    max_age: Annotated[str, Form(max_length=32)] = "",
    assume: Annotated[str, Form(max_length=20)] = "unknown",
    stores: Annotated[str, Form(max_length=1 << 18)] = "",
    all_stores: Annotated[bool, Form()] = False,
) -> Response:
    """Ask for a report, and lead to it."""
    with problems_told():
        body = ReportBody.model_validate(
            {
                "as_of": as_of.strip() or None,
                "windows": [one.strip() for one in windows if one.strip()],
                "interpolation": interpolation,
                "max_age": max_age.strip() or None,
                "assume": assume,
                "stores": [line.strip() for line in stores.splitlines() if line.strip()] or None,
                "all_stores": all_stores,
            }
        )
    made = reports.trigger(serving, caller, Response(), body)
    return RedirectResponse(f"/reports/{made.id}", 303)


@router.get("/{report_id}")
@needs("read")
def show(request: Request, serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Show how far a report is, and what it was made from."""
    return page(request, "report", report=reports.show(serving, caller, report_id))


@router.post("/{report_id}/cancel")
@needs("read")
def cancel(serving: Serving, caller: Calling, report_id: ReportId) -> Response:
    """Cancel a report, and lead back to it."""
    reports.cancel(serving, caller, report_id)
    return RedirectResponse(f"/reports/{report_id}", 303)
