"""From values to HTML: the templates, how they write figures and instants, and the headers of a page."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from uphours import __version__
from uphours.kernel.local_time import wall_clock
from uphours.kernel.policy import CHOICES
from uphours.reports.adjusting import COUNTS_AS
from uphours.reports.explain import WEEKDAYS, duration_text
from uphours.reports.explanation_text import minutes_text
from uphours.schema import DAY_US, HOUR_US, MINUTE_US, REASONS, SECOND_US, instant_iso, instant_us
from uphours.service.auth import CSRF_FIELD, Caller, csrf_token
from uphours.service.problems import MEDIA_TYPE, is_for_people
from uphours.service.terms import now_us
from uphours.wire.fleet_messages import HeatCell

#: A page runs and loads what is served beside it, and nothing that stands in the page itself.
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Vary": "Accept-Encoding",
}
_GZIP_LEVEL: Final = 4
_TEMPLATES: Final = Path(__file__).parent.with_name("templates")
#: Stands where there is no value.
_NONE: Final = "–"
_THIN_SPACE: Final = "\u202f"

#: From which difference to the average on, in points, a cell has which shade; one of less than the first has none.
_STEPS: Final = (0.01, 0.03, 0.08)
#: What each state is called, and the sign that tells it apart without its colour.
STATES: Final = {"up": "▲", "down": "▼", "unknown": "?", "excluded": "▤", "closed": "■", "hours unknown": "⚠"}


def page(request: Request, template: str, *, status: int = 200, **values: object) -> Response:
    """Return a page made from a template of `templates/`."""
    caller: Caller | None = getattr(request.state, "caller", None)
    shown = _ENVIRONMENT.get_template(f"{template}.html").render(
        request=request,
        now=now_us(),
        sees_all=caller is None or not caller.only,
        may_admin=caller is not None and caller.may("admin"),
        **values,
    )
    content = shown.encode()
    headers = dict(_HEADERS)
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, _GZIP_LEVEL)
        headers["Content-Encoding"] = "gzip"
    return HTMLResponse(content, status, headers)


def presented(request: Request, answer: Response) -> Response:
    """Return a problem as a page to anyone who has gone to an address in a browser; all else as it is."""
    if not is_for_people(request) or answer.media_type != MEDIA_TYPE:
        return answer
    made = page(request, "problem", status=answer.status_code, problem=json.loads(bytes(answer.body)))
    for name in ("Retry-After", "WWW-Authenticate"):
        if name in answer.headers:
            made.headers[name] = answer.headers[name]
    return made


# --- how values are written --------------------------------------------------------------------------


def percent(ratio: float | None) -> str:
    """Write a ratio in percent with two decimals, never rounded up: 100 % is said of nothing that is less."""
    if ratio is None:
        return _NONE
    # repr: 0.57 * 100 is 56.99… in floats.
    hundredths = (Decimal(repr(ratio)) * 100).quantize(Decimal("0.01"), ROUND_FLOOR)
    return (
        f"{hundredths.normalize():f}{_THIN_SPACE}%" if hundredths == int(hundredths) else f"{hundredths}{_THIN_SPACE}%"
    )


def duration(us: int | None) -> str:
    """Write a duration for people, its two largest units, to the nearest: ``3 d 4 h``, ``2 h 5 min``, ``40 s``."""
    if us is None:
        return _NONE
    if us < 0:
        return f"−{duration(-us)}"
    if us < SECOND_US:
        return f"0{_THIN_SPACE}s" if us == 0 else f"<1{_THIN_SPACE}s"
    units = ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "min"), (SECOND_US, "s"))
    place = next(place for place, (unit, _) in enumerate(units) if us >= unit)
    shown = units[place : place + 2]
    nearest = shown[-1][0]
    rounded = (us + nearest // 2) // nearest * nearest
    if place and rounded >= units[place - 1][0]:
        return duration(rounded)  # 59 min 59.9 s
    (unit, name), *rest = shown
    text = f"{rounded // unit:,}{_THIN_SPACE}{name}"
    return " ".join([text, *(f"{rounded % unit // one}{_THIN_SPACE}{of}" for one, of in rest)]).replace(
        ",", _THIN_SPACE
    )


def open_time(us: int | None) -> str:
    """Write open time in hours and minutes, to the nearest minute, however long it is: ``24 h 35 min``."""
    if us is None:
        return _NONE
    sign = "−" if us < 0 else ""
    return sign + minutes_text(abs(us)).replace(",", _THIN_SPACE).replace(" ", _THIN_SPACE)


def hours(us: int) -> str:
    """Write a duration in hours, rounded down: with one decimal, or none where it is long."""
    tenths = us // (HOUR_US // 10)
    text = f"{tenths // 10:,}" if tenths >= 10_000 else f"{tenths / 10:.1f}"
    return f"{text}{_THIN_SPACE}h".replace(",", _THIN_SPACE)


def count(number: int) -> str:
    """Write a number with thin spaces between thousands."""
    return f"{number:,}".replace(",", _THIN_SPACE)


def size(number: int) -> str:
    """Write a number of bytes in a unit of a readable size."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.1f}{_THIN_SPACE}{name}"
    return f"{number}{_THIN_SPACE}bytes"


def moment(instant: int | str | None, zone: str = "UTC", *, brief: bool = False) -> Markup:
    """Write an instant, microseconds or ISO 8601, as the clock of a zone shows it, ``brief`` without the year.

    The hint behind it has the zone, the seconds, and UTC.
    """
    if instant is None:
        return Markup(_NONE)
    us = instant_us(instant) if isinstance(instant, str) else instant
    local, utc = wall_clock(zone, us), wall_clock("UTC", us)
    text = f"{local:%a %-d %b, %H:%M}" if brief else f"{local:%a %-d %b %Y, %H:%M}"
    said = f"{local:%a %Y-%m-%d %H:%M:%S} {local.tzname()} ({zone}), {utc:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(utc.isoformat(), said, text)


def clock(us: int, zone: str) -> str:
    """Write an instant as the clock of a zone shows it, to the second."""
    return f"{wall_clock(zone, us):%a %-d %b %H:%M:%S}"


def path_of(store_id: str) -> str:
    """Return the address of a store's page; an id may hold anything."""
    return f"/stores/{quote(store_id, safe='')}"


def with_query(request: Request, **changes: object) -> str:
    """Return the address of this page with other values in its query; None takes one away, a list repeats it."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changes]
    for name, value in changes.items():
        values = value if isinstance(value, list) else [] if value is None else [value]
        kept += [(name, str(one)) for one in values]
    return f"{request.url.path}?{urlencode(kept)}" if kept else request.url.path


def against(cell: HeatCell, average: float | None) -> str:
    """Return the class of a cell of the heat map, by how far its availability is from the average."""
    if cell["availability"] is None or average is None:
        return "excluded" if cell["scheduled_us"] and not cell["business_us"] else "none"
    difference = cell["availability"] - average
    step = sum(abs(difference) >= least for least in _STEPS)
    return f"{'gained' if difference > 0 else 'lost'}-{step}" if step else "same"


def points(difference: float) -> str:
    """Write a difference of two ratios in points, with one decimal and without a sign: ``3.2 points``."""
    tenths = f"{abs(difference) * 100:.1f}"
    return f"{tenths}{_THIN_SPACE}{'point' if tenths == '1.0' else 'points'}"


def csrf_field(request: Request) -> Markup:
    """Return what a form carries to show that it is from a page of this service; nothing without a session."""
    token = csrf_token(request)
    return Markup('<input type="hidden" name="{}" value="{}">').format(CSRF_FIELD, token) if token else Markup("")


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "percent": percent,
    "duration": duration,
    "hours": hours,
    "open_time": open_time,
    "count": count,
    "size": size,
    "moment": moment,
    "against": against,
    "points": points,
    "clock": clock,
    "exact": duration_text,
    "iso": instant_iso,
    "path_of": path_of,
    "quoted": lambda text: quote(text, safe=""),
    "instant_us": instant_us,
}
#: What a form calls the choices of a policy, and their values.
_POLICY_LABELS: Final = {
    "interpolation": "Between two polls counts",
    "prefer_in_session": "If one of them was made in the session",
    "max_age": "Age limit of a poll",
    "confirm_within": "Watched where polls are apart at most",
    "assume": "Unknown time counts as",
}
_POLICY_WORDS: Final = defaultdict[str, dict[str, str]](
    dict,
    interpolation={"previous": "the one before", "next": "the one after", "nearest": "the nearer one"},
    prefer_in_session={"true": "that one", "false": "as above"},
    assume={"active": "up", "inactive": "down"},
)
_ENVIRONMENT.globals |= {
    "CHOICES": CHOICES,
    "POLICY_LABELS": _POLICY_LABELS,
    "POLICY_WORDS": _POLICY_WORDS,
    "version": __version__,
    "with_query": with_query,
    "STATES": STATES,
    "WEEKDAYS": WEEKDAYS,
    "REASONS": REASONS,
    "COUNTS_AS": COUNTS_AS,
    "csrf_field": csrf_field,
    "csrf_token": csrf_token,
}
