"""Stores: the fleet as it is, and the timeline and outages of one."""

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from uphours.wire.calendar_messages import CalendarDay
from uphours.wire.fields import Doc
from uphours.wire.figures import Change, Figures
from uphours.wire.view_messages import Answer, Compared, FleetSelection, Interval, Seen, View
from uphours.wire.words import Lacking, ObservationStatus, Observed, SpanStatus, StoreOrder, StoreState, Tab


class StoreSelection(View, total=False):
    """What a view of one store is asked for; ``compare``: also the window before."""

    compare: bool


class Selection(FleetSelection, total=False):
    """Which stores are listed, and in which order."""

    search: str
    state: list[StoreState]
    timezone: list[str]
    availability_below: float
    without: list[Lacking]
    observed: Observed
    last_observed_before: str
    tab: Tab
    sort: StoreOrder
    descending: bool
    compare: bool


class Store(Change, Figures):
    """A store: its state at as_of, and its figures in the window."""

    store_id: str
    name: Annotated[str | None, Doc("Its attribute of this name.")]
    attributes: Annotated[dict[str, str], Doc("At as_of.")]
    state: StoreState
    since_us: int | None
    last_observed_at_us: int | None
    timezone: str
    timezone_is_default: bool
    hours_are_default: bool
    hours_known: Annotated[bool, Doc("False: hours or zones were given and none could be used; no sessions.")]
    before: NotRequired[Annotated[Figures | None, Doc("Those of the window before, if it was asked for.")]]


class StoreList(Answer, Compared, Seen):
    """Some stores of the fleet, and sums over the whole of it."""

    fleet: dict[str, Any]
    stores: list[Store]
    total_matching: int
    tabs: Annotated[dict[str, int], Doc("Stores of each tab that match all else that was asked for.")]
    next_cursor: str | None


class StoreDetail(Answer, Compared, Store):
    """One store, followed back through its whole history."""

    business_hours: Annotated[list[str], Doc("The week in force at as_of.")]
    exceptions: Annotated[list[CalendarDay], Doc("Dates of the window on which something else decides.")]


class Span(Interval):
    """A piece of a session with one status, half-open."""

    status: SpanStatus
    confirmed: bool
    entry: Annotated[int | None, Doc("The entry of the ledger that decides.")]


class Observation(TypedDict):
    """A poll result."""

    observed_at_us: int
    status: ObservationStatus


class Timeline(Answer):
    """The timeline of one store in a window."""

    store_id: str
    timezone: str
    sessions: list[Interval]
    observations: list[Observation]
    spans: list[Span]


class Outage(Interval):
    """From the first down instant to the last, closed time between included."""

    downtime_us: int


class OutageList(Answer):
    """The outages of one store in a window."""

    store_id: str
    outages: list[Outage]
