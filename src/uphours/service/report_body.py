"""What a report is asked for with over HTTP, as a job remembers it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from uphours.errors import InputError, shown
from uphours.kernel.policy import CHOICES, Policy
from uphours.kernel.windows import Window
from uphours.reports.request import ReportRequest
from uphours.schema import checked_instant, instant_iso, instant_us
from uphours.service.bodies import date_of
from uphours.where import where_of
from uphours.wire.report_messages import ReportBody


def report_request(body: ReportBody, default: Policy) -> ReportRequest:
    """Return what a job remembers of a body.

    Raises
    ------
    InputError
        A value makes no sense, or something is said twice.
    """
    if body["as_of"] is not None and body["as_of_us"] is not None:
        raise InputError("as_of and as_of_us are both given; give one of them")
    chosen: dict[str, Any] = {name: value for name, value in body.items() if name in CHOICES}
    if body["policy"] is not None and chosen:
        names = ", ".join(name for name in CHOICES if name in chosen)
        raise InputError(f"policy and {names} are both given; give the policy or its parts")
    return ReportRequest(
        as_of=body["as_of_us"] if body["as_of"] is None else instant_us(body["as_of"]),
        windows=tuple(map(_window, body["windows"])),
        policy=default.changed(chosen) if body["policy"] is None else Policy.from_dict(body["policy"]),
        stores=None if body["stores"] is None else tuple(body["stores"]),
        where=where_of(body["where"]),
        by=tuple(body["by"]),
        columns=tuple(body["columns"]),
        all_stores=body["all_stores"],
        detail=body["detail"],
        raw=body["raw"],
        compare=body["compare"],
        outages=body["outages"],
        only=where_of(body["only"]),
    )


def _window(one: str | Mapping[str, Any]) -> str | Window:
    if isinstance(one, str):
        return one
    if "start" in one:
        return Window(one["name"], one["start"], one["end"])
    return Window(one["name"], *(_bound(one, side) for side in ("start", "end")))


def _bound(window: Mapping[str, Any], side: str) -> str | date:
    given = [name for name in (f"{side}_us", f"{side}_date") if window.get(name) is not None]
    if len(given) != 1:
        says = "is given twice" if given else "is missing"
        raise InputError(f"the {side} of window {shown(window['name'])} {says}; valid is {side}_us or {side}_date")
    (name,) = given
    if name.endswith("_date"):
        return date_of(name, window[name])
    # As text: numbers of callers from before the year 2000 are taken for another unit.
    return instant_iso(checked_instant(window[name], name))
