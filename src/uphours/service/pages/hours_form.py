"""The forms that correct when a store is open: its week from a date on, and single days."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from uphours.errors import InputError, shown
from uphours.ingest.inputs import Kind
from uphours.ingest.local_dates import VALID_DATES, day_of_date
from uphours.kernel.local_time import hours_text, local_time_us
from uphours.reports.explain import WEEKDAYS
from uphours.reports.store_calendar import usual_week
from uphours.service.api.loads import load_rows
from uphours.service.api.stores import StoreName, local_date_at
from uphours.service.auth import Caller, Calling, KeyedRoute, needs
from uphours.service.deps import Service, Serving
from uphours.service.pages.rendering import page, path_of

router = APIRouter(route_class=KeyedRoute, include_in_schema=False)

_WEEK: Final = timedelta(days=7)
_LONGEST_FIELD: Final = 400
_BETWEEN: Final = re.compile(r"\s*(?:–|-|—|\bto\b)\s*")
_VALID_HOURS: Final = "valid are times such as 09:00–17:00, several with commas between them, and closed"
#: A week of a store for which there is none.
_ANY: Final[list[list[tuple[int, int]]]] = [[] for _ in WEEKDAYS]


@dataclass(frozen=True)
class Typed:
    """What stands in the forms, as text: the hours of each weekday, and of one day."""

    week: Sequence[str]
    valid_from: str = ""
    date: str = ""
    hours: str = ""
    name: str = ""


def _typed(
    mon: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    tue: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    wed: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    thu: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    fri: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    sat: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    sun: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    valid_from: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    date: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    hours: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
    name: Annotated[str, Form(max_length=_LONGEST_FIELD)] = "",
) -> Typed:
    week = [text.strip() for text in (mon, tue, wed, thu, fri, sat, sun)]
    return Typed(week, valid_from.strip(), date.strip(), hours.strip(), name.strip())


@router.get("/stores/{store_id:path}/hours")
@needs("read", sees="stores")
def show_hours(request: Request, serving: Serving, caller: Calling, store_id: StoreName) -> Response:
    """Show the week of a store as a form, to be in force from the next Monday on."""
    return _page(request, caller, store_id, _in_force(serving, caller, store_id))


@router.post("/stores/{store_id:path}/hours")
@needs("ingest", sees="all")
async def set_hours(
    request: Request,
    serving: Serving,
    caller: Calling,
    store_id: StoreName,
    typed: Annotated[Typed, Depends(_typed)],
    what: Annotated[str, Form(max_length=16)] = "hours",
) -> Response:
    """Set the week of a store from a date on, or the hours of one day, and lead back to the store."""
    kind: Kind = "special" if what == "special" else "hours"
    try:
        rows = _special_rows(store_id, typed) if kind == "special" else _week_rows(store_id, typed)
        made = await load_rows(serving, caller.actor, kind, rows, "page of hours")
        if not isinstance(made, Response) and made["quarantined"]:
            raise InputError("; ".join(one["reason"] for one in made["reasons"]))
    except InputError as error:
        return _page(request, caller, store_id, typed, status=422, error=str(error), kind=kind)
    return RedirectResponse(f"{path_of(store_id)}#hours", 303)


def _in_force(serving: Service, caller: Caller, store_id: str) -> Typed:
    """Return the week that is in force at a store today, and the Monday from which another one may be."""
    with serving.snapshot(caller, [store_id]) as fleet:
        today = local_date_at(fleet.schedule, serving.now())
        monday = today - timedelta(days=today.weekday()) + _WEEK
        week = usual_week(fleet.schedule, today)
    texts = [
        "all day" if week is None else ", ".join("–".join(hours_text(*one)) for one in day) for day in week or _ANY
    ]
    return Typed(texts, str(monday))


def _week_rows(store_id: str, typed: Typed) -> list[dict[str, str]]:
    _check_date("valid from", typed.valid_from)
    return [
        {"store_id": store_id, "day": str(day), "valid_from": typed.valid_from, **opening}
        for day, text in enumerate(typed.week)
        for opening in _hours_of(WEEKDAYS[day], text)
    ]


def _special_rows(store_id: str, typed: Typed) -> list[dict[str, str]]:
    _check_date("date", typed.date)
    named = {"store_id": store_id, "date": typed.date, "name": typed.name}
    return [named | opening for opening in _hours_of("hours", typed.hours)]


def _check_date(name: str, text: str) -> None:
    if not text or day_of_date(text) is None:
        raise InputError(f"cannot read {name} {shown(text)}; {VALID_DATES}")


def _hours_of(name: str, text: str) -> list[dict[str, str]]:
    """Read ``09:00–12:00, 13:00–17:00``; nothing and ``closed`` are a day on which no session begins."""
    if text.casefold() in ("", "closed", "–", "-"):
        return [_opening("closed", "closed")]
    if text.casefold() in ("all day", "24 h", "24h"):
        return [_opening("00:00", "24:00")]
    found = []
    for part in text.split(","):
        bounds = _BETWEEN.split(part.strip())
        if len(bounds) != 2 or any(local_time_us(bound) is None for bound in bounds):
            raise InputError(f"{name}: cannot read {shown(part.strip())}; {_VALID_HOURS}")
        found.append(_opening(*bounds))
    return found


def _opening(start: str, end: str) -> dict[str, str]:
    return {"start_time_local": start, "end_time_local": end}


def _page(
    request: Request,
    caller: Caller,
    store_id: str,
    typed: Typed,
    *,
    status: int = 200,
    error: str = "",
    kind: Kind = "hours",
) -> Response:
    return page(request, "hours", status=status, caller=caller, store_id=store_id, typed=typed, kind=kind, error=error)
