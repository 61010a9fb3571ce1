"""Groups: figures of stores that share values of attributes, the worst stores of each, and both as files."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Query, Request, Response

from uphours.errors import InputError, NotFoundError, shown
from uphours.reports.columns import availability_layout
from uphours.reports.group_files import write_groups
from uphours.reports.group_members import worst_first
from uphours.reports.groups import Groups
from uphours.reports.writers import MEDIA_TYPES, as_csv
from uphours.schema import WHOLE_SHARE
from uphours.service.api import fleet, groups
from uphours.service.api.targets import expected_of_all_stores
from uphours.service.auth import Caller, Calling, needs
from uphours.service.deps import Service, Serving
from uphours.service.downloads import sent_text
from uphours.service.lane_routes import ViewRoute
from uphours.service.pages.attributes import offered
from uphours.service.pages.query import Asked, Asking
from uphours.service.pages.rendering import page
from uphours.where import NO_VALUE
from uphours.wire.group_messages import Attribute, Group, GroupList

router = APIRouter(prefix="/groups", route_class=ViewRoute, include_in_schema=False)

Sort = Literal["lost_time", "availability", "values"]
_SORTS: Final = {"lost_time": "lost open time", "availability": "availability", "values": "name"}
#: Groups that the page lists, and stores of each; the files have all.
_ON_A_PAGE: Final = 200
_WORST: Final = 10
#: Attributes that the page groups by at once.
_MOST_NAMES: Final = 2
_LONGEST_NAME: Final = 4_000


@dataclass(frozen=True)
class Grouping:
    """By which attributes the stores are grouped, and in which order the groups are listed."""

    by: Sequence[str]
    sort: Sort

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """It as an address has it."""
        return [*(("by", name) for name in self.by), *([] if self.sort == "lost_time" else [("sort", self.sort)])]


_Names = Annotated[list[str] | None, Query(max_length=20)]


def _grouping(by: _Names = None, sort: Annotated[str, Query(max_length=40)] = "") -> Grouping:
    if sort not in ("", *get_args(Sort)):
        raise InputError(f"cannot sort by {shown(sort)}; valid are {', '.join(get_args(Sort))}")
    names = dict.fromkeys(name.strip() for name in by or () if name.strip())
    return Grouping(list(names), sort or "lost_time")  # type: ignore[arg-type]


Chosen = Annotated[Grouping, Depends(_grouping)]


@router.get("")
@needs("read", sees="stores")
def show(request: Request, serving: Serving, caller: Calling, asking: Asking, chosen: Chosen) -> Response:
    """Show groups of stores with their figures in a window, those that lose most first."""
    attributes = offered(serving, caller)
    if not chosen.by and attributes:
        chosen = Grouping([_usual(attributes)], chosen.sort)
    values: dict[str, Any] = {"found": None, "expected": None}
    if chosen.by and fleet.any_polls(serving, caller):
        values = _found(serving, caller, asking, chosen)
    return page(
        request,
        "groups",
        asked=asking,
        chosen=chosen,
        attributes=attributes,
        sorts=_SORTS,
        most_names=_MOST_NAMES,
        query=_query(asking, chosen),
        anywhere=_query(asking.anywhere, chosen),
        query_of=lambda group: _query(asking, chosen, group["values"].values()),
        fleet_query=lambda group: _fleet_query(asking, group),
        **values,
    )


def _usual(attributes: Sequence[Attribute]) -> str:
    """Return the attribute to group by unless one is chosen: one of which there are several values, if there is one."""
    return next((one["name"] for one in attributes if one["total"] > 1), attributes[0]["name"])


def _found(serving: Service, caller: Caller, asked: Asked, chosen: Grouping) -> dict[str, Any]:
    question = asked.question()
    whole: GroupList = groups.list_groups(
        serving, caller, question, list(chosen.by), sort=chosen.sort, worst=0, limit=1
    )
    share = expected_of_all_stores(serving, caller, whole["as_of_us"])
    found = groups.list_groups(
        serving,
        caller,
        question,
        list(chosen.by),
        below=None if share is None else share / WHOLE_SHARE,
        sort=chosen.sort,
        worst=_WORST,
        limit=_ON_A_PAGE,
    )
    return {"found": found, "expected": None if share is None else share * 100 / WHOLE_SHARE}


def _query(asked: Asked, chosen: Grouping, values: Iterable[str] = ()) -> str:
    """Return the end of an address that asks the same; ``values``: of one group of it."""
    return f"?{urlencode([*asked.pairs, *chosen.pairs, *(('group', value) for value in values)])}"


def _fleet_query(asked: Asked, group: Group) -> str:
    """Return the end of the address of the fleet with the stores of a group alone."""
    own = [("where", f"{name}={'' if value == NO_VALUE else value}") for name, value in group["values"].items()]
    others = [
        (name, text) for name, text in asked.pairs if name != "where" or text.partition("=")[0] not in group["values"]
    ]
    return f"?{urlencode([*others, *own, ('tab', 'all')])}"


@router.get("/download")
@needs("read", sees="stores")
def download(
    request: Request,
    serving: Serving,
    caller: Calling,
    asking: Asking,
    chosen: Chosen,
    form: Annotated[Literal["csv", "xlsx"], Query(alias="format")] = "csv",
) -> Response:
    """Send all groups as a file, the fleet in its last row."""
    made = _made(serving, caller, asking, chosen)
    content = io.BytesIO()
    write_groups(made, form, content)
    return _sent(request, content.getvalue(), form, f"groups-{'-'.join(chosen.by)}")


@router.get("/stores.csv")
@needs("read", sees="stores")
def download_stores(
    request: Request,
    serving: Serving,
    caller: Calling,
    asking: Asking,
    chosen: Chosen,
    group: Annotated[list[str], Query(max_length=20)],
    most: Annotated[int | None, Query(ge=1, le=10_000)] = None,
) -> Response:
    """Send the stores of one group, those that lost most first, each as long as it belongs to the group."""
    made = _made(serving, caller, asking, chosen)
    place = next((place for place, one in enumerate(made.groups) if one.values == tuple(group)), None)
    if place is None:
        raise NotFoundError("group", ", ".join(group)[:_LONGEST_NAME], "the page of groups lists those there are")
    report = worst_first(made, place, most)
    return _sent(request, as_csv(report, availability_layout(report.windows.names)), "csv", "-".join(group))


def _made(serving: Service, caller: Caller, asked: Asked, chosen: Grouping) -> Groups:
    if not chosen.by:
        raise InputError("no attribute is named to group by; valid are names of attributes, such as by=region")
    question = asked.question()
    return serving.fleets.groups(question.asked_by(serving, caller), chosen.by, stale_ok=question.stale_ok)


def _sent(request: Request, content: bytes, form: str, name: str) -> Response:
    answer = sent_text(request, content, MEDIA_TYPES[form].partition(";")[0])
    if form != "csv":  # a workbook is not text
        answer.headers["Content-Type"] = MEDIA_TYPES[form]
    answer.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(f'{name[:100]}.{form}', safe='')}"
    return answer
