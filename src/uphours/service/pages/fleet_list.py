"""The list of stores on the page of the fleet, as its address has it: tabs, filters, order, clock, and rows."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final, get_args
from urllib.parse import urlencode

from fastapi import Depends, Request
from markupsafe import Markup
from starlette.datastructures import QueryParams

from uphours.errors import InputError, shown
from uphours.kernel.local_time import timezone_names
from uphours.reports.fleet import Overview
from uphours.reports.last_day import LastDay
from uphours.reports.standouts import Hours, hours_of_text
from uphours.reports.store_states import STATES
from uphours.reports.tabs import TABS, missed
from uphours.schema import WHOLE_SHARE
from uphours.service.api.stores import Question
from uphours.service.auth import Caller
from uphours.service.deps import Service
from uphours.service.pages.query import Asked
from uphours.service.pages.strips import strip
from uphours.wire.group_messages import Attribute
from uphours.wire.store_messages import Store, StoreList
from uphours.wire.words import Lacking, StoreOrder, Tab

#: By what the list can be sorted, and whether that begins with the largest.
SORTS: Final[Mapping[StoreOrder, bool]] = {
    "lost_time": True,
    "availability": False,
    "since": True,
    "last_observed": False,
    "store_id": False,
}
#: What each tab is called.
TAB_WORDS: Final[Mapping[Tab, str]] = {
    "attention": "Needs attention",
    "down_throughout": "Down throughout",
    "unstable": "Unstable",
    "below_target": "Below target",
    "not_polled": "Not polled",
    "incomplete": "Incomplete data",
    "all": "All",
}
#: How each tab is sorted unless asked otherwise.
_USUAL_SORT: Final[Mapping[Tab, StoreOrder]] = {
    "attention": "since",
    "down_throughout": "lost_time",
    "unstable": "lost_time",
    "below_target": "availability",
    "not_polled": "last_observed",
    "incomplete": "store_id",
    "all": "lost_time",
}
#: Values that a filter offers.
MOST_VALUES: Final = 100
#: Ids longer than this are shortened in the middle where they stand for a store, and where they stand below its name.
_LONGEST_ID: Final = 24
_LONGEST_ID_BELOW: Final = 13

#: The clock of each store, and that of UTC, as the address has them; anything else is a zone.
EACH_STORE: Final = "store"
UTC: Final = "utc"


@dataclass(frozen=True)
class Listed:
    """Which stores are listed, in what order, and on which clock; as the address of the page has it.

    ``compare``: whether changes from the window before are shown.
    """

    tab: Tab
    search: str
    states: list[str]
    timezones: list[str]
    below_percent: str
    without: list[str]
    never_observed: bool
    hours: Hours | None
    sort: StoreOrder
    descending: bool
    clock: str
    compare: bool
    cursor: str | None

    @property
    def is_filtered(self) -> bool:
        """Whether some stores of the tab may be left out."""
        asked = self.search or self.states or self.timezones or self.below_percent or self.without
        return bool(asked) or self.never_observed or self.hours is not None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """What a form that asks for something else hands on."""
        given = [("tab", self.tab), ("search", self.search), ("below_percent", self.below_percent)]
        given += [("state", one) for one in self.states] + [("timezone", one) for one in self.timezones]
        given += [("without", one) for one in self.without] + [("observed", "never" if self.never_observed else "")]
        given += [("lost_in", str(self.hours or ""))]
        given += self.view
        if self.sort != _USUAL_SORT[self.tab]:
            given += [("sort", self.sort), ("descending", str(self.descending).lower())]
        return [(name, value) for name, value in given if value and (name, value) != ("tab", TABS[0])]

    @property
    def view(self) -> list[tuple[str, str]]:
        """How stores are shown, whichever are listed: the clock and the comparison, where not as by default."""
        given = [
            ("clock", "" if self.clock == EACH_STORE else self.clock),
            ("compare", "" if self.compare else "false"),
        ]
        return [(name, value) for name, value in given if value]

    @property
    def availability_below(self) -> float | None:
        """The ratio that is asked for in percent.

        Raises
        ------
        InputError
            It is no percentage.
        """
        if not self.below_percent:
            return None
        try:
            percent = float(self.below_percent.removesuffix("%").replace(",", "."))
        except ValueError:
            percent = -1.0
        if not 0 <= percent <= 100:
            raise InputError(f"availability below is {self.below_percent[:40]!r}; valid are percentages, 0 to 100")
        return percent / 100

    @property
    def chosen(self) -> dict[str, Any]:
        """What is listed, as `uphours.reports.store_list.selected` takes it."""
        return {
            "tab": self.tab,
            "search": self.search or None,
            "states": self.states or None,
            "timezones": self.timezones or None,
            "availability_below": self.availability_below,
            "without": self.without or None,
            "observed": "never" if self.never_observed else None,
            "sort": self.sort,
            "descending": self.descending,
        }

    def sorted_by(self, sort: StoreOrder) -> dict[str, object]:
        """Return what leads to the list in another order, or in this one the other way round."""
        turned = not self.descending if sort == self.sort else SORTS[sort]
        return {"sort": sort, "descending": str(turned).lower(), "cursor": None}

    def zone_for(self, timezone: str = "UTC") -> str:
        """Return the zone of the clock that shows the times of a store; without one, those of the fleet."""
        if self.clock == EACH_STORE:
            return timezone
        return "UTC" if self.clock == UTC else self.clock


def of_list(asking: Asked, listing: Listed) -> str:
    """Return what the address of a store ends in when one comes from a list: the question, and which list it was."""
    return f"?{urlencode([*asking.pairs, ('list', urlencode(listing.pairs) or f'tab={TABS[0]}')])}"


def listed_overview(serving: Service, caller: Caller, question: Question, listing: Listed) -> Overview:
    """Return the overview of all stores, with the window before unless it is not wanted or that time was pruned."""
    asked = question.asked_by(serving, caller)._replace(where=(), hours=listing.hours)
    try:
        made = serving.fleets.overview(asked._replace(compare=True), stale_ok=question.stale_ok)
    except InputError:
        return serving.fleets.overview(asked, stale_ok=question.stale_ok)
    # From the same overview, so that states are followed back as far, and none other is kept for it.
    return made if listing.compare else replace(made, report=replace(made.report, before=None))


def listed(request: Request) -> Listed:
    """Read what is listed from the address of the page; raises as `listed_in`."""
    return listed_in(request.query_params)


def listed_in(given: QueryParams) -> Listed:
    """Read what is listed from the query of an address.

    Raises
    ------
    InputError
        One of the values is not valid.
    """
    tab = given.get("tab") or TABS[0]
    if tab not in TABS:
        raise InputError(f"there is no tab {shown(tab[:40])}; valid are {', '.join(TABS)}")
    asked_sort = given.get("sort") or _USUAL_SORT[tab]
    sort = next((one for one in SORTS if one == asked_sort), None)
    if sort is None:
        raise InputError(f"cannot sort by {asked_sort[:40]!r}; valid are {', '.join(SORTS)}")
    clock = given.get("clock", "").strip() or EACH_STORE
    if clock not in (EACH_STORE, UTC) and clock not in timezone_names():
        raise InputError(f"clock is {shown(clock[:40])}; valid are store, utc and IANA names such as America/Chicago")
    compare = given.get("compare", "").strip() or "true"
    if compare not in ("true", "false"):
        raise InputError(f"compare is {shown(compare[:40])}; valid are true, with the window before, and false")
    return Listed(
        tab=tab,
        search=given.get("search", "").strip(),
        states=_chosen(given.getlist("state"), "state", STATES),
        timezones=[text for one in given.getlist("timezone") if (text := one.strip())],
        below_percent=given.get("below_percent", "").strip(),
        without=_chosen(given.getlist("without"), "without", get_args(Lacking)),
        never_observed=given.get("observed") == "never",
        hours=hours_of_text(lost_in) if (lost_in := given.get("lost_in", "").strip()) else None,
        sort=sort,
        descending=(given.get("descending") or str(SORTS[sort])).lower() == "true",
        clock=clock,
        compare=compare == "true",
        cursor=given.get("cursor") or None,
    )


def _chosen(values: list[str], name: str, valid: Collection[str]) -> list[str]:
    if unknown := [one for one in values if one not in valid]:
        raise InputError(f"{name} is {unknown[0][:40]!r}; valid are {', '.join(valid)}")
    return values


Listing = Annotated[Listed, Depends(listed)]


# --- filters ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """A value that a filter offers: what the address says for it, what a reader reads, and how many stores have it."""

    value: str
    words: str
    stores: int
    is_chosen: bool


@dataclass(frozen=True)
class Filter:
    """A filter: the name of its parameter, what it is called, and what it offers."""

    name: str
    words: str
    options: Sequence[Option]

    @property
    def chosen(self) -> list[Option]:
        """The values that are chosen."""
        return [option for option in self.options if option.is_chosen]

    def without(self, option: Option) -> dict[str, object]:
        """Return what leads to the list without this value, given those that the address has besides."""
        return {self.name: [one.value for one in self.chosen if one != option], "cursor": None}


def filters(
    attributes: Sequence[Attribute], where: Sequence[str], zones: Sequence[str], listing: Listed, fleet: Any
) -> list[Filter]:
    """Return the filters of the list: attributes with few values, time zones, and states.

    ``zones``: that of each store. ``fleet``: what `uphours.reports.fleet.fleet_facts` says.
    """
    found = []
    for attribute in attributes:
        if attribute["name"] == "name" or attribute["total"] > MOST_VALUES:  # names are found by searching
            continue
        name = attribute["name"]
        texts = [(f"{name}={'' if one['value'] == '(none)' else one['value']}", one) for one in attribute["values"]]
        options = [Option(text, one["value"], one["stores"], text in where) for text, one in texts]
        found.append(Filter("where", name.replace("_", " ").capitalize(), options))
    counts = Counter(zones)
    names = sorted({*counts, *listing.timezones})
    if len(names) <= MOST_VALUES:
        options = [Option(name, name, counts[name], name in listing.timezones) for name in names]
        found.append(Filter("timezone", "Time zone", options))
    states = fleet["states"]
    options = [Option(name, name, states[name], name in listing.states) for name in STATES if states[name]]
    found.append(Filter("state", "State", options))
    return found


# --- rows -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A row of the list; ``title``, ``id_below`` and ``place`` say which store it is, ``zone`` whose clock it has.

    ``lost_then_us``: what it lost in the hours that the list is about. ``missed``: the targets that it is below, as
    names and ratios, the highest first.
    """

    store: Store
    title: str
    id_below: str
    place: str
    zone: str
    last: LastDay
    strip: Markup
    lost_then_us: int | None
    missed: Sequence[tuple[str, float]]


def rows(found: StoreList, made: Overview, listing: Listed) -> list[Row]:
    """Return the rows of a page of stores of an overview with the last day."""
    assert made.last_days is not None
    listed = []
    for store in found["stores"]:
        store_id, name, timezone = store["store_id"], store["name"], store["timezone"]
        place = bisect_left(made.store_ids, store_id)
        last = made.last_days[place]
        listed.append(
            Row(
                store,
                name or shortened(store_id, _LONGEST_ID),
                shortened(store_id, _LONGEST_ID_BELOW) if name else "",
                timezone.rpartition("/")[2].replace("_", " "),
                listing.zone_for(timezone),
                last,
                strip(last, found["as_of_us"]),
                None if made.lost_then is None else int(made.lost_then.downtime_us[place]),
                [(target.name, (target.share or 0) / WHOLE_SHARE) for target in missed(made, place)],
            )
        )
    return listed


def shortened(text: str, longest: int) -> str:
    """Shorten a text in the middle, so that its beginning and its end stay."""
    if len(text) <= longest:
        return text
    end = (longest - 1) // 3
    return f"{text[: longest - 1 - end]}…{text[-end:]}"
