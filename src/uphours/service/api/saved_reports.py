"""``/v1/saved-reports``: requests by name, to be asked again of what is there then."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from uphours.database import saved_reports as saved_table
from uphours.database.saved_reports import NAME_MAX_LENGTH
from uphours.reports.request import ReportRequest
from uphours.schema import instant_iso
from uphours.service.api.reports import bound, check_stores
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.bodies import Problem
from uphours.service.deps import Service, Serving
from uphours.service.report_body import report_request
from uphours.wire.report_messages import ReportBody, SavedReport, SavedReportList

router = APIRouter(prefix="/v1/saved-reports", tags=["reports"], route_class=KeyedRoute)

_Name = Annotated[str, Path(max_length=NAME_MAX_LENGTH, description="As it was saved.")]
LONGEST_OWNER: Final = 32
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    400: {"model": Problem, "description": "The body cannot be read at all."},
    404: {"model": Problem, "description": "There is no such saved report."},
    409: {"model": Problem, "description": "There are as many as there may be."},
}


@router.get("")
@needs("read", sees="own")
def list_saved(serving: Serving, caller: Calling) -> SavedReportList:
    """List saved reports by name: all of them, or those that a bound key saved itself."""
    with serving.database.reading() as connection:
        found = saved_table.list_saved(connection, _owner(caller) or None)
    return {"saved_reports": [_saved(one) for one in found]}


@router.put("/{name}", responses={400: _PROBLEMS[400], 409: _PROBLEMS[409]})
@needs("read", sees="own")
def put_saved(serving: Serving, caller: Calling, name: _Name, body: ReportBody) -> SavedReport:
    """Save a report under a name, without its instant; it replaces the one that is there."""
    return save(serving, caller, name, report_request(body, serving.settings.policy))


def save(serving: Service, caller: Caller, name: str, request: ReportRequest) -> SavedReport:
    """Save a request under a name: the one way in, whatever the URL.

    Raises
    ------
    InputError
        The name cannot be, or there is no such store or attribute.
    ConflictError
        There are as many as there may be.
    AccessError
        It names other bounds than those of the caller.
    """
    asked = replace(bound(request, caller), as_of=None)
    check_stores(serving, caller, asked)
    report = saved_table.SavedReport(name, _owner(caller), asked.to_dict(), caller.key_id, serving.now())
    with serving.database.writing() as connection:
        saved_table.save(connection, report, actor=caller.actor)
    return _saved(report)


@router.delete("/{name}", responses={404: _PROBLEMS[404]})
@needs("read", sees="own")
def delete_saved(
    serving: Serving,
    caller: Calling,
    name: _Name,
    owner: Annotated[
        str, Query(max_length=LONGEST_OWNER, description="The bound key that has it to itself; unless given: no key.")
    ] = "",
) -> SavedReport:
    """Delete a saved report, and answer with what it was."""
    whose = _owner_of(caller, name, owner)
    with serving.database.writing() as connection:
        report = saved_table.forget(connection, name, whose, actor=caller.actor, now=serving.now())
    return _saved(report)


def find(serving: Service, caller: Caller, name: str, owner: str) -> ReportRequest:
    """Return the request that was saved under a name; ``owner``: the bound key that has it, blank for none.

    Raises
    ------
    NotFoundError
        There is none, as far as the caller can see.
    """
    whose = _owner_of(caller, name, owner)
    with serving.database.reading() as connection:
        return ReportRequest.from_dict(saved_table.find(connection, name, whose).request)


def _owner(caller: Caller) -> str:
    """Return whose the reports are that a caller saves: its own where it is bound to some stores."""
    return caller.key_id if caller.only else ""


def _owner_of(caller: Caller, name: str, owner: str) -> str:
    """Return whose report is meant: that of the owner who is named, but to a bound key its own alone."""
    if not caller.only:
        return owner
    if owner not in ("", caller.key_id):
        raise saved_table.no_saved_report(name)
    return caller.key_id


def _saved(report: saved_table.SavedReport) -> SavedReport:
    return {
        "name": report.name,
        "owner": report.owner or None,
        "options": dict(report.request),
        "created_by": report.created_by,
        "created_at": instant_iso(report.created_at),
    }
