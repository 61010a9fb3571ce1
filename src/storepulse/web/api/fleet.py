"""``/v1/fleet``: the whole fleet over time and by the hours of the week."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query

from storepulse.errors import InputError
from storepulse.schema import instant_iso
from storepulse.store import days, properties
from storepulse.web.access import Calling, needs
from storepulse.web.api.stores import Asking, made_with
from storepulse.web.models import BucketModel, DayList, DayModel, FleetHistory, HeatCell, HeatMapModel, IntervalModel
from storepulse.web.service import Service, Serving

router = APIRouter(prefix="/v1", tags=["fleet"])

_EPOCH: Final = date(1970, 1, 1)
#: Of days that nobody names.
_USUAL_DAYS: Final = 26 * 7
_MOST_DAYS: Final = 4000


@router.get("/fleet/history", response_model=FleetHistory)
@needs("read")
def show_history(serving: Serving, caller: Calling, asking: Asking) -> FleetHistory:
    """Follow the fleet over a window: hours up to ten days, days up to 400, else weeks; and when nobody was polled."""
    made = serving.fleets.history(
        as_of=asking.as_of, window=asking.window, policy=asking.policy, stale_ok=asking.stale_ok
    )
    gaps = zip(made.gaps.starts.tolist(), made.gaps.ends.tolist(), strict=True)
    return FleetHistory(
        **made_with(made),
        loads_seen=made.loads_seen,
        bucket=made.bucket,
        buckets=[BucketModel(**row) for row in made.buckets],
        poll_interval_us=made.gaps.interval_us,
        gaps=[IntervalModel(start_us=start, end_us=end) for start, end in gaps],
    )


@router.get("/fleet/heatmap", response_model=HeatMapModel)
@needs("read")
def show_heat_map(serving: Serving, caller: Calling, asking: Asking) -> HeatMapModel:
    """Add a window up by weekday and hour, as the clock of each store shows them."""
    made = serving.fleets.heat_map(
        as_of=asking.as_of, window=asking.window, policy=asking.policy, stale_ok=asking.stale_ok
    )
    cells = [HeatCell(**cell) for cell in made.cells]
    return HeatMapModel(**made_with(made), loads_seen=made.loads_seen, cells=cells)


@router.get("/days", response_model=DayList)
@needs("read")
def list_days(
    serving: Serving,
    caller: Calling,
    from_: Annotated[str | None, Query(alias="from", max_length=10, examples=["2023-01-25"])] = None,
    to: Annotated[str | None, Query(max_length=10, description="Unless given: of the latest observation.")] = None,
) -> DayList:
    """Say of each day of UTC whether any store was polled on it; 26 weeks up to the latest observation unless given."""
    with serving.store.reading() as connection:
        last = days.latest(connection) if to is None else _day("to", to)
        if last is None:
            raise InputError("there are no observations yet; load polls first, or name the days (from, to)")
        first = last - _USUAL_DAYS + 1 if from_ is None else _day("from", from_)
        if not 1 <= last - first + 1 <= _MOST_DAYS:
            raise InputError(
                f"from {_text(first)} to {_text(last)} are {last - first + 1} days; valid are 1 to {_MOST_DAYS}"
            )
        polled = set(days.polled(connection, first, last))
        pruned_before = properties.get(connection, "pruned_before")
    return DayList(
        first=_text(first),
        last=_text(last),
        pruned_before=None if pruned_before is None else instant_iso(int(pruned_before)),
        days=[DayModel(day=_text(day), polled=day in polled) for day in range(first, last + 1)],
    )


def any_polls(serving: Service) -> bool:
    """Say whether the store holds any observation."""
    with serving.store.reading() as connection:
        return days.latest(connection) is not None


def _day(name: str, text: str) -> int:
    """Read a date as days since the epoch."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.isoformat() != text or not 1970 <= found.year < 2200:
        raise InputError(f"{name} is {text!r}; valid are dates such as 2023-01-25, of the years 1970 to 2199")
    return (found - _EPOCH).days


def _text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
