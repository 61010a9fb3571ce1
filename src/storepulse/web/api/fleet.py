"""``/v1/fleet``: the whole fleet over time and by the hours of the week."""

from __future__ import annotations

from fastapi import APIRouter

from storepulse.web.access import Calling, needs
from storepulse.web.api.stores import Asking, made_with
from storepulse.web.models import BucketModel, FleetHistory, HeatCell, HeatMapModel, IntervalModel
from storepulse.web.service import Serving

router = APIRouter(prefix="/v1", tags=["fleet"])


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
