"""Names of time zones → IANA names: IANA's own in any case, and those of Windows by CLDR's table."""

from __future__ import annotations

from functools import cache
from typing import Final

from uphours.kernel.local_time import timezone_names
from uphours.schema import UNKNOWN_TIMEZONE

_WITHOUT: Final = "all year without summer time"
#: What is no place, and which zones may be meant. IANA has the first three for old programs, as some place without
#: summer time, which is not what most who write them mean; the others are of several places or of half a year.
_ABBREVIATIONS: Final = {
    "EST": f"America/New_York, or {_WITHOUT} America/Panama",
    "MST": f"America/Denver, or {_WITHOUT} America/Phoenix",
    "HST": "Pacific/Honolulu",
    "EDT": "America/New_York", "CST": "America/Chicago or Asia/Shanghai", "CDT": "America/Chicago",
    "MDT": "America/Denver", "PST": "America/Los_Angeles or Asia/Manila", "PDT": "America/Los_Angeles",
    "AKST": "America/Anchorage", "AKDT": "America/Anchorage", "HDT": "America/Adak",
    "AST": "America/Halifax or Asia/Riyadh",
    "ADT": "America/Halifax", "NST": "America/St_Johns", "NDT": "America/St_Johns", "ET": "America/New_York",
    "CT": "America/Chicago", "MT": "America/Denver", "PT": "America/Los_Angeles", "BST": "Europe/London",
    "IST": "Asia/Kolkata, Europe/Dublin or Asia/Jerusalem", "CEST": "Europe/Paris", "EEST": "Europe/Athens",
    "WEST": "Europe/Lisbon", "MSK": "Europe/Moscow", "JST": "Asia/Tokyo", "KST": "Asia/Seoul", "SGT": "Asia/Singapore",
    "HKT": "Asia/Hong_Kong", "AEST": f"Australia/Sydney, or {_WITHOUT} Australia/Brisbane", "AEDT": "Australia/Sydney",
    "ACST": f"Australia/Adelaide, or {_WITHOUT} Australia/Darwin", "ACDT": "Australia/Adelaide",
    "AWST": "Australia/Perth",
    "NZST": "Pacific/Auckland", "NZDT": "Pacific/Auckland", "SAST": "Africa/Johannesburg", "BRT": "America/Sao_Paulo",
}  # fmt: skip
#: IANA's name of a clock that no one has set.
_NO_ZONE: Final = "factory"


def zone_of(text: str) -> str | None:
    """Return the IANA name of a zone; None where the text names none, or may mean several.

    >>> zone_of("america/chicago"), zone_of("Eastern Standard Time"), zone_of("EST")
    ('America/Chicago', 'America/New_York', None)
    """
    name = text.casefold()
    if name == UNKNOWN_TIMEZONE.casefold():
        return UNKNOWN_TIMEZONE  # how an export says that a zone is not known
    if name == _NO_ZONE or text.upper() in _ABBREVIATIONS:
        return None
    return _by_folded_name().get(name) or _windows_zones().get(name)


def meant_by(text: str) -> str | None:
    """Return which zones an abbreviation may stand for, for a message."""
    return _ABBREVIATIONS.get(text.upper())


def is_fixed(name: str) -> bool:
    """Tell whether a zone is a distance from UTC and no place, so that its clocks never change."""
    return name.startswith(("Etc/GMT", "GMT")) or name in ("Etc/Greenwich", "Greenwich")


@cache
def _by_folded_name() -> dict[str, str]:
    return {name.casefold(): name for name in timezone_names()}


@cache
def _windows_zones() -> dict[str, str]:
    from tzlocal.windows_tz import win_tz  # it takes a while, and few files need it

    return {name.casefold(): zone for name, zone in win_tz.items() if zone in timezone_names()}
