"""Local time: zones, wall clocks, and instants. No other file of the kernel converts between them.

Zone rules come from the ``tzdata`` package alone, never from the machine: the two disagree from time to
time, and the same input must give the same answer everywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib import metadata, resources
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from uphours.errors import InputError
from uphours.schema import CLOSED, DAY_US, HOUR_US, SECOND_US, UNKNOWN_TIMEZONE, Codes, Instants, Offsets

Integers: TypeAlias = npt.NDArray[np.int64]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_ORDINAL: Final = EPOCH.toordinal()
EPOCH_WEEKDAY: Final = 3  # a Thursday
#: Any two changes of a clock since 1970 are further apart; the closest ones are those around a Ramadan or a carnival.
_STEP_DAYS: Final = 6

# Not \d, which is the digits of all scripts.
_CLOCK: Final = re.compile(r"[Tt]?([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2})(?:[.,]([0-9]+))?)?")
_BASIC_CLOCK: Final = re.compile(r"[Tt]?([0-9]{2})([0-9]{2})([0-9]{2})(?:[.,]([0-9]+))?")
_SHORT_CLOCK: Final = re.compile(r"[Tt]?([0-9]{1,2})([0-9]{2})")
_HALF_DAY: Final = re.compile(r"([0-9]{1,2}(?::[0-9:.,]+)?)\s*([AaPp])\.?\s*[Mm]\.?")


def tzdata_version() -> str:
    """Return the version of the zone rules in use, such as ``2026.1``."""
    return metadata.version("tzdata")


@cache
def timezone_names() -> frozenset[str]:
    """Return all IANA names that a store's zone may have."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split())


@cache
def timezone(name: str) -> ZoneInfo:
    """Return the rules of one zone.

    Raises
    ------
    InputError
        The name is not an IANA zone. Names are looked up in a list, never on a disk.
    """
    if name == UNKNOWN_TIMEZONE:
        return timezone("Etc/UTC")
    if name not in timezone_names():
        raise InputError(f"unknown time zone {name!r}; valid are IANA names such as {'America/Chicago'!r}")
    # Not ZoneInfo(name): that would look at the machine's own files first, unless the search path of the
    # whole process were changed under the feet of the program that imports us.
    with resources.files("tzdata.zoneinfo").joinpath(name).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


def local_time_us(text: str) -> int | None:
    """Read a wall-clock time as microseconds since midnight: ``9:00``, ``0900``, ``9:00 PM``, ``26:00``.

    Up to ``48:00``: what lies beyond 24:00 is on the next day. Digits beyond the microsecond are cut off. Returns None
    for anything else, such as a time with an offset, which is not local, and a lone ``9``.

    >>> local_time_us("09:30") == local_time_us("930") == local_time_us("9:30 a.m.") == (9 * 60 + 30) * 60 * 1_000_000
    True
    """
    text = text.strip()
    if half := _HALF_DAY.fullmatch(text):
        text, is_pm = half[1] if ":" in half[1] else f"{half[1]}:00", half[2] in "pP"
        us = local_time_us(text)
        if us is None or not HOUR_US <= us < 13 * HOUR_US:
            return None
        return us % (12 * HOUR_US) + is_pm * 12 * HOUR_US
    match = _CLOCK.fullmatch(text) or _BASIC_CLOCK.fullmatch(text) or _SHORT_CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, minute, second, fraction = (*match.groups("0"), "0", "0")[:4]
    us = ((int(hour) * 60 + int(minute)) * 60 + int(second)) * SECOND_US + int(fraction[:6].ljust(6, "0"))
    return us if int(minute) < 60 and int(second) < 60 and us <= 2 * DAY_US else None


def local_time_text(us: int) -> str:
    """Write microseconds since midnight as ``09:30``, with seconds and fraction only where there are any."""
    seconds, fraction = divmod(us, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    if seconds % 60 or fraction:
        text += f":{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def hours_text(opens_local: int, closes_local: int) -> tuple[str, str]:
    """Write start and end of an opening row as they are read: ``09:30`` and ``26:00``, or twice ``closed``."""
    if (opens_local, closes_local) == CLOSED:
        return "closed", "closed"
    return local_time_text(opens_local), local_time_text(closes_local)


def to_utc(zone_names: tuple[str, ...], zones: Codes, local_us: Integers) -> Instants:
    """Convert wall-clock times, in microseconds since 1970-01-01 00:00 local, to instants.

    RFC 5545 section 3.3.5: a repeated local time means its first occurrence, a skipped one is read with the
    offset before the gap.
    """
    if not len(local_us):
        return local_us
    days = local_us // DAY_US
    first, last = int(days.min()), int(days.max())
    # Of the zones that occur alone: of all zones of the world, two centuries of midnights are half a gigabyte.
    occurs = np.bincount(zones, minlength=len(zone_names)) > 0
    present = np.flatnonzero(occurs).tolist()
    offsets = np.stack([_midnight_offsets(zone_names[zone], first, last + 1) for zone in present])
    rows = (np.cumsum(occurs) - 1) * offsets.shape[1]
    place = rows[zones] + (days - first)
    at_midnight = offsets.ravel()[place]
    utc: Integers = local_us - at_midnight
    # On a date that begins and ends with the same offset no clock changed, so the offset holds all day.
    changing = np.flatnonzero(at_midnight != offsets.ravel()[place + 1])
    if len(changing):
        pairs, inverse = np.unique(np.stack([zones[changing], local_us[changing]]), axis=1, return_inverse=True)
        exact = [_local_to_utc(zone_names[zone], us) for zone, us in pairs.T.tolist()]
        utc[changing] = np.array(exact, dtype=np.int64)[inverse.ravel()]
    return utc


def wall_clock(zone_name: str, instant: int) -> datetime:
    """Return an instant as the clock on the wall shows it, aware of its offset."""
    return (EPOCH + timedelta(microseconds=instant)).astimezone(timezone(zone_name))


def local_text(zone_name: str, instant: int) -> str:
    """Write an instant as the wall clock shows it, with the offset: ``Wed 2023-01-25 12:13:22.479220-06:00``."""
    moment = wall_clock(zone_name, instant)
    return f"{moment:%a} {moment.isoformat(sep=' ')}"


def local_date(zone_name: str, instant: int) -> date:
    """Return the date on the wall at an instant."""
    return wall_clock(zone_name, instant).date()


def midnight(zone_name: str, day: date) -> int:
    """Return the instant at which a local date begins."""
    return _local_to_utc(zone_name, (day.toordinal() - _EPOCH_ORDINAL) * DAY_US)


@dataclass(frozen=True)
class WeekClocks:
    """Where the wall clocks of some zones stand in the week.

    Zone z owns the elements ``offsets[z]:offsets[z + 1]``, at least one. From ``starts[i]`` until the next start of its
    zone, an instant u is ``(u + shifts[i]) mod a week`` after Monday 00:00 on the wall; so it is before the first start
    too. ``starts``, ``shifts``: int64, microseconds.
    """

    offsets: Offsets
    starts: Instants
    shifts: Integers


def week_clocks(zone_names: tuple[str, ...], start: int, end: int) -> WeekClocks:
    """Return the wall clocks of zones over ``[start, end)``, UTC microseconds, with every change of a clock in it."""
    changes = [_offset_changes(name, start // DAY_US, max(start, end - 1) // DAY_US + 1) for name in zone_names]
    counts = [len(starts) for starts, _ in changes]
    return WeekClocks(
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate([starts for starts, _ in changes]),
        np.concatenate([offsets for _, offsets in changes]) + EPOCH_WEEKDAY * DAY_US,
    )


@lru_cache(maxsize=1024)
def _offset_changes(zone_name: str, first_day: int, last_day: int) -> tuple[Instants, Integers]:
    """Return from when on which UTC offset holds, from one midnight of UTC to another.

    Offsets change on whole seconds, and none for less than `_STEP_DAYS`.
    """
    starts, offsets = [first_day * DAY_US], [_utc_offset(zone_name, first_day * DAY_US)]
    for day in range(first_day, last_day, _STEP_DAYS):
        low, high = day * DAY_US // SECOND_US, min(day + _STEP_DAYS, last_day) * DAY_US // SECOND_US
        after = _utc_offset(zone_name, high * SECOND_US)
        if after == offsets[-1]:
            continue
        while high - low > 1:  # the change is in (low, high]
            middle = (low + high) // 2
            low, high = (low, middle) if _utc_offset(zone_name, middle * SECOND_US) == after else (middle, high)
        starts.append(high * SECOND_US)
        offsets.append(after)
    return np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _utc_offset(zone_name: str, instant: int) -> int:
    return _microseconds((EPOCH + timedelta(microseconds=instant)).astimezone(timezone(zone_name)).utcoffset())


@lru_cache(maxsize=128)
def _midnight_offsets(zone_name: str, first_day: int, last_day: int) -> Integers:
    """Return the UTC offset at each local midnight from ``first_day`` to ``last_day``, both included."""
    offsets = np.empty(last_day - first_day + 1, dtype=np.int64)
    for step in range(0, len(offsets), _STEP_DAYS):
        end = min(step + _STEP_DAYS, len(offsets) - 1)
        offsets[step], offsets[end] = (_midnight_offset(zone_name, first_day + place) for place in (step, end))
        if offsets[step] == offsets[end]:  # no clock changed in between
            offsets[step:end] = offsets[step]
        else:
            offsets[step:end] = [_midnight_offset(zone_name, first_day + place) for place in range(step, end)]
    return offsets


def _midnight_offset(zone_name: str, day: int) -> int:
    midnight_there = datetime.fromordinal(_EPOCH_ORDINAL + day).replace(tzinfo=timezone(zone_name))
    return _microseconds(midnight_there.utcoffset())


def _local_to_utc(zone_name: str, local_us: int) -> int:
    days, us = divmod(local_us, DAY_US)
    local = datetime.fromordinal(_EPOCH_ORDINAL + days).replace(tzinfo=timezone(zone_name)) + timedelta(microseconds=us)
    return local_us - _microseconds(local.utcoffset())


def _microseconds(duration: timedelta | None) -> int:
    assert duration is not None  # every zone of the IANA list has an offset at every time
    return duration // timedelta(microseconds=1)
