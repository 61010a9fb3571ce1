"""The whole fleet over time and by the hours of the week."""

from typing import Annotated

from typing_extensions import TypedDict

from uphours.wire.fields import Doc
from uphours.wire.figures import Sums
from uphours.wire.view_messages import FleetView, Interval
from uphours.wire.words import BucketSize


class Bucket(Sums, Interval):
    """The whole fleet in a piece of time: sums in microseconds, ratios of the sums from 0 to 1, or null."""

    observations: int
    stores_observed: int


class FleetHistory(FleetView):
    """The whole fleet in a window, in buckets that follow each other, and the collector gaps that reach into it."""

    bucket: Annotated[BucketSize, Doc("Of UTC; the first and the last one may be cut.")]
    buckets: list[Bucket]
    poll_interval_us: Annotated[int | None, Doc("Between two polls of a store, typically.")]
    gaps: Annotated[list[Interval], Doc("Whole, also where they reach out of the window.")]


class HeatCell(Sums):
    """The whole fleet in one hour of the week on each store's own clock."""

    weekday: Annotated[int, Doc("0 is Monday.")]
    hour: int


class HeatMap(FleetView):
    """The whole fleet in a window, by the hours of the week."""

    cells: list[HeatCell]


class Day(TypedDict):
    """A day of UTC, whether any store was polled on it, how many polls came, and what share that is of a usual day."""

    day: str
    polled: bool
    polls: int
    share: float | None


class DayList(TypedDict):
    """Days in a row, both ends included. Of the days before ``pruned_before`` it is not known any more."""

    first: str
    last: str
    pruned_before: str | None
    days: list[Day]
