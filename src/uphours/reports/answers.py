"""What a report request is answered with: a report of stores or of groups, of the stores that it is about."""

from __future__ import annotations

from typing import TypeAlias, TypeVar

from uphours.reports.groups import Groups, groups
from uphours.reports.measure import Progress, latest_instant, run_request
from uphours.reports.memberships import AttributedFleet, check_names, stores_seen, stores_where, with_columns
from uphours.reports.report import Report
from uphours.reports.request import ReportRequest
from uphours.where import Where

Answer: TypeAlias = Report | Groups

_Fleet = TypeVar("_Fleet", bound=AttributedFleet)


def bounded(fleet: _Fleet, only: Where, now: int) -> _Fleet:
    """Return the stores that have some values now, as though there were no others; all for ()."""
    return fleet.alone(stores_seen(fleet, only, now)) if only else fleet


def answer(
    fleet: AttributedFleet,
    request: ReportRequest,
    *,
    now: int,
    loads_seen: int | None = None,
    entries_seen: int | None = None,
    progress: Progress | None = None,
) -> Answer:
    """Make what is asked for, of a whole fleet or of one that is narrowed down to the stores of the request.

    ``now``: UTC microseconds. The rest as with `uphours.reports.measure.run_report`.

    Raises
    ------
    NotFoundError
        There is no such store.
    InputError
        No store has such an attribute or value, there is no observation to take ``as_of`` from, or a window is unknown.
    """
    fleet = narrowed(bounded(fleet, request.only, now), request)
    seen = {"loads_seen": loads_seen, "entries_seen": entries_seen, "now": now}
    if request.by:
        return groups(fleet, request, request.by, progress=progress, **seen)
    return with_columns(run_request(fleet, request, progress=progress, **seen), fleet, request.columns)


def narrowed(fleet: _Fleet, request: ReportRequest) -> _Fleet:
    """Return the stores that a request is about, of a whole fleet or of one that is narrowed down to them already.

    Raises
    ------
    NotFoundError
        There is no such store.
    InputError
        No store has such an attribute or value, or there is no observation to take ``as_of`` from.
    """
    if request.by or request.columns:
        check_names(fleet, [*request.by, *request.columns])
    fleet = fleet.of(request.stores)
    if not request.where:
        return fleet
    as_of = latest_instant(fleet) if request.as_of is None else request.as_of
    return fleet.of(stores_where(fleet, request.where, as_of))


def stores_of(made: Answer) -> Report:
    """Return the report of the stores that an answer is about."""
    return made.report if isinstance(made, Groups) else made
