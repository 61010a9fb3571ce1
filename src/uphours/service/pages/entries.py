"""The ledger as pages: its entries, with who entered each, when and why, and the form that withdraws one."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from uphours.errors import ConflictError, InputError, NotFoundError
from uphours.schema import REASONS
from uphours.service.api import adjustments
from uphours.service.api.adjustments import EntryNumber
from uphours.service.api.paging import After
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.bodies import checked
from uphours.service.deps import Service, Serving
from uphours.service.origins import own_path
from uphours.service.pages.adjust_many import ManyTyped, choices
from uphours.service.pages.rendering import page
from uphours.service.problems import status_of
from uphours.wire.ledger_messages import Entry, WithdrawalBody
from uphours.wire.view_messages import Interval

router = APIRouter(prefix="/adjustments", route_class=KeyedRoute, include_in_schema=False)

_ON_A_PAGE: Final = 50
#: Entries about one store among which its page looks for those in its window.
_MOST_OF_A_STORE: Final = 1000
#: More than any field may hold: what is too long for it comes back with the other fields.
_LONGEST_FIELD: Final = 1 << 16


@dataclass(frozen=True)
class Line:
    """An entry, and the one that withdraws it; ``intervals``: those of a store, where it is about one."""

    entry: Entry
    withdrawn_by: Entry | None
    intervals: Sequence[Interval]


@dataclass(frozen=True)
class AboutStore:
    """The entries about a store in a window, the newest first; ``are_all``: whether no earlier one was left out."""

    lines: Sequence[Line]
    are_all: bool


def entries_about(
    serving: Service, caller: Caller, store_id: str, *, start: int, end: int, last_entry: int
) -> AboutStore:
    """Return what the ledger said of a store in ``[start, end)``, up to an entry, with what withdraws that."""
    found = adjustments.list_adjustments(serving, caller, store_id=store_id, limit=_MOST_OF_A_STORE)
    chosen: dict[int, Sequence[Interval]] = {}
    for one in reversed(found["adjustments"]):  # a withdrawal comes after what it takes back
        inside = [each for each in one["intervals"] or [] if each["start_us"] < end and each["end_us"] > start]
        if one["entry"] <= last_entry and (inside or one["withdraws"] in chosen):
            chosen[one["entry"]] = inside
    listed = [one for one in found["adjustments"] if one["entry"] in chosen]
    lines = [replace(line, intervals=chosen[line.entry["entry"]]) for line in _lines(serving, caller, listed)]
    return AboutStore(lines, found["next_cursor"] is None)


def _lines(serving: Service, caller: Caller, entries: Sequence[Entry]) -> list[Line]:
    """Return entries with what withdraws them, which may stand on another page."""
    known = {one["entry"]: one for one in entries}
    for number in {one["withdrawn_by"] for one in entries if one["withdrawn_by"] is not None} - known.keys():
        known[number] = adjustments.show_adjustment(serving, caller, number)
    return [
        Line(one, None if one["withdrawn_by"] is None else known[one["withdrawn_by"]], one["intervals"] or [])
        for one in entries
    ]


@router.get("")
@needs("read", sees="stores")
def list_entries(request: Request, serving: Serving, caller: Calling, cursor_: After = None) -> Response:
    """Show the entries of the ledger, perhaps those about one store."""
    store_id = request.query_params.get("store_id", "").strip()
    shown: dict[str, Any] = {"store_id": store_id, "error": "", "lines": [], "next_cursor": None, "status": 200}
    try:
        found = adjustments.list_adjustments(serving, caller, store_id or None, cursor_, _ON_A_PAGE)
        shown |= {"lines": _lines(serving, caller, found["adjustments"]), "next_cursor": found["next_cursor"]}
    except NotFoundError as error:
        shown |= {"error": str(error), "status": 404}
    may_add = caller.may("adjust") and not store_id and cursor_ is None
    typed, attributes = (ManyTyped(), choices(serving, caller)) if may_add else (None, [])
    return page(request, "adjustments", caller=caller, typed=typed, attributes=attributes, **shown)


@router.get("/{entry}")
@needs("read", sees="stores")
def show_entry(request: Request, serving: Serving, caller: Calling, entry: EntryNumber) -> Response:
    """Show one entry, with the form that withdraws it."""
    return _entry_page(request, serving, caller, entry)


@router.post("/{entry}/withdrawal")
@needs("adjust", sees="stores")
def withdraw(
    request: Request,
    serving: Serving,
    caller: Calling,
    entry: EntryNumber,
    reason: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    note: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    once: Annotated[str | None, Form(min_length=1, max_length=255)] = None,
) -> Response:
    """Withdraw an entry, and lead back to where that was asked for."""
    note = note.replace("\r\n", "\n").strip()
    try:
        body = checked(WithdrawalBody, {"reason": reason, "note": note})
        adjustments.withdraw(serving, caller, Response(), entry, body, idempotency_key=once)
    except (InputError, ConflictError) as error:
        return _entry_page(request, serving, caller, entry, reason, note, status=status_of(error), error=str(error))
    return RedirectResponse(_back(request), 303)


def _back(request: Request) -> str:
    return own_path(request.query_params.get("next", "/adjustments"))


def _entry_page(
    request: Request,
    serving: Service,
    caller: Caller,
    entry: int,
    reason: str = REASONS[0],
    note: str = "",
    *,
    status: int = 200,
    error: str = "",
) -> Response:
    (line,) = _lines(serving, caller, [adjustments.show_adjustment(serving, caller, entry)])
    return page(
        request,
        "entry",
        status=status,
        caller=caller,
        line=line,
        back=_back(request),
        reason=reason,
        note=note,
        once=secrets.token_urlsafe(16),
        error=error,
    )
