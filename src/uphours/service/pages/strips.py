"""The last 24 hours of a store as a small picture: up above the line, down below it, closed left out."""

from __future__ import annotations

from typing import Final

from markupsafe import Markup

from uphours.reports.last_day import LastDay
from uphours.schema import DAY_US, HOUR_US

#: Pixels: a minute is a tenth of one.
_WIDTH: Final = 144
_HEIGHT: Final = 14
_PX_US: Final = DAY_US // _WIDTH
#: From where to where each status reaches, from above.
_PLACES: Final = {"up": (0, 7), "down": (7, 7), "unknown": (0, 14), "excluded": (5, 4)}


def strip(last: LastDay, as_of: int) -> Markup:
    """Draw the day up to ``as_of``, UTC microseconds."""
    start = as_of - DAY_US
    pieces = []
    for one in last.stretches:
        y, height = _PLACES[one.status]
        x = (one.start_us - start) / _PX_US
        # However short, it shows.
        width = max((one.end_us - one.start_us) / _PX_US, 1.0)
        pieces.append(
            f'<rect class="{one.status}" x="{min(x, _WIDTH - 1):.4g}" y="{y}" width="{width:.4g}" height="{height}"/>'
        )
    drawn = Markup("".join(pieces))
    return Markup(
        '<svg class="strip" viewBox="0 0 {w} {h}" width="{w}" height="{h}" shape-rendering="crispEdges" role="img"'
        ' aria-label="{says}"><title>{says}</title><path class="line" d="M0 7H{w}"/>{drawn}</svg>'
    ).format(w=_WIDTH, h=_HEIGHT, says=says(last), drawn=drawn)


def says(last: LastDay) -> str:
    """Say in words what the picture shows: the hours of each status."""
    if not last.stretches:
        return "Last 24 h: closed"
    sums: dict[str, int] = {}
    for one in last.stretches:
        sums[one.status] = sums.get(one.status, 0) + one.end_us - one.start_us
    texts = (f"{status} {sums[status] / HOUR_US:.1f} h" for status in _PLACES if status in sums)
    return f"Last 24 h: {', '.join(texts)}"
