"""Durations, ratios and counts of a window."""

from typing import Annotated

from typing_extensions import TypedDict

from uphours.wire.fields import Doc


class Durations(TypedDict):
    """Parts of scheduled time in microseconds; ``raw``: without the ledger."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    excluded_us: Annotated[int, Doc("Scheduled time that does not count, by the ledger.")]
    scheduled_us: Annotated[int, Doc("Open time, excluded or not.")]
    business_us: Annotated[int, Doc("Scheduled time that counts: uptime, downtime and unknown.")]
    raw_uptime_us: int
    raw_downtime_us: int
    raw_unknown_us: int
    watched_us: int
    uptime_min_us: int
    uptime_max_us: int


class Figures(Durations):
    """Durations in microseconds; ratios from 0 to 1, null where there is nothing to divide by."""

    availability: float | None
    coverage: float | None
    observations: int
    outages: int
    longest_outage_us: int


class Sums(Durations):
    """Sums over the fleet; ratios of the sums from 0 to 1, null where there is nothing to divide by."""

    availability: float | None
    availability_min: Annotated[float | None, Doc("Confirmed uptime / business time.")]
    availability_max: Annotated[float | None, Doc("Business time without confirmed downtime / business time.")]
    coverage: float | None


class Change(TypedDict, total=False):
    """Changes from the window before, there if they were asked for; null unless both windows have an availability."""

    availability_change: Annotated[float | None, Doc("The difference of the two ratios.")]
    downtime_change_us: int | None
