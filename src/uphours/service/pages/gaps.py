"""The collector gaps of a window, as the pages tell them: the same ones that the chart of the fleet shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from uphours.service.api import fleet
from uphours.service.api.stores import Question
from uphours.service.auth import Caller
from uphours.service.deps import Service
from uphours.wire.view_messages import Interval


@dataclass(frozen=True)
class WindowGaps:
    """How often polling failed, and for how long inside the window; ``intervals`` may reach out of it."""

    intervals: Sequence[Interval]
    total_us: int

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.intervals)


def gaps_in(serving: Service, caller: Caller, question: Question) -> WindowGaps:
    """Return the collector gaps of the fleet in the window of a question."""
    found = fleet.show_history(serving, caller, question)
    if not found["buckets"]:  # the window begins at as_of
        return WindowGaps([], 0)
    start, end = found["buckets"][0]["start_us"], found["buckets"][-1]["end_us"]
    gaps = found["gaps"]
    return WindowGaps(gaps, sum(min(gap["end_us"], end) - max(gap["start_us"], start) for gap in gaps))
