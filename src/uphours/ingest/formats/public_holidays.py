"""Public holidays of a country or region → special hours.

Dates come from the library ``holidays``, which corrects past ones from release to release; so they are written down
once, with its version. They are the dates themselves and never the days on which they are observed instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

from uphours.errors import InputError
from uphours.ingest.formats.imported import CLOSED, SpecialHoursRow
from uphours.ingest.formats.wall_clock import opening, seconds, start_and_end
from uphours.schema import EVERY_STORE_ID

_ENGLISH: Final = "en_US"
#: What the library writes behind the name of a holiday whose date is announced shortly before.
ESTIMATED: Final = "(estimated)"


def holiday_rows(
    place: str,
    years: Sequence[int],
    *,
    only: Sequence[str] = (),
    hours: Sequence[str] = (),
    store_ids: Sequence[str] = (EVERY_STORE_ID,),
) -> list[SpecialHoursRow]:
    """Return special hours for the public holidays of some years.

    Parameters
    ----------
    place
        A country and perhaps a region of it, as ISO 3166 writes them: ``US``, ``US-TX``, ``DE-BY``.
    only
        Names of the holidays that count, in any case; none: all of them.
    hours
        When the stores are open, such as ``10:00-16:00``, several for a split shift; none: they are closed.
    store_ids
        The stores; ``*`` speaks for all stores without own rows of the date.

    Returns
    -------
    list of SpecialHoursRow
        By date and store. The name has the version of the library.

    Raises
    ------
    InputError
        The place, a name or the hours are unknown, the library knows nothing of a year, or the extra is not installed.

    >>> [row.date for row in holiday_rows("US", [2026], only=["christmas day"])]
    ['2026-12-25']
    """
    times = [_times(text) for text in hours] or [(CLOSED, CLOSED)]
    days = _days(place, years)
    known = dict.fromkeys(name for names in days.values() for name in names)
    wanted = {name.strip().casefold() for name in only} or {name.casefold() for name in known}
    if unknown := [name for name in only if name.strip().casefold() not in {one.casefold() for one in known}]:
        raise InputError(f"there is no public holiday {unknown[0]!r} in {place}; valid are {', '.join(known)}")
    version = library().__version__
    return [
        SpecialHoursRow(store_id, day.isoformat(), start, end, f"{', '.join(names)} (holidays {version})")
        for day, names in sorted(days.items())
        if any(name.casefold() in wanted for name in names)
        for store_id in store_ids
        for start, end in times
    ]


def library() -> Any:
    """Return the library.

    Raises
    ------
    InputError
        The extra is not installed.
    """
    try:
        import holidays
    except ImportError:
        raise InputError("public holidays need the extra: pip install 'uphours[calendars]'") from None
    return holidays


def regions(place: str) -> list[str]:
    """Return the regions whose own holidays a place leaves out: those of a country, none of a region."""
    country = place.strip().upper()
    return [f"{country}-{region}" for region in library().list_supported_countries().get(country, ())]


def _days(place: str, years: Sequence[int]) -> dict[date, list[str]]:
    of_place = library().country_holidays
    country, _, region = place.strip().upper().partition("-")
    try:
        languages = of_place(country).supported_languages or (None,)
        # Without a language the library asks the machine for its own, and no answer may depend on that.
        language = _ENGLISH if _ENGLISH in languages else languages[0]
        found = of_place(country, subdiv=region or None, years=list(years), observed=False, language=language)
    except NotImplementedError:
        countries = library().list_supported_countries()
        codes = sorted(code for code in countries if len(code) == 2)
        valid = [country, *regions(country)] if country in countries else codes
        raise InputError(f"no public holidays are known of {place!r}; valid are {', '.join(valid)}") from None
    if missing := sorted(set(years) - {day.year for day in found}):
        raise InputError(
            f"no public holidays are known of {place} in {', '.join(map(str, missing))}; "
            f"valid are {found.start_year} to {found.end_year}"
        )
    return {day: names.split("; ") for day, names in found.items()}


def _times(hours: str) -> tuple[str, str]:
    start, _, end = (part.strip() for part in hours.partition("-"))
    first, last = seconds(start), seconds(end)
    times = None if first is None or last is None else opening(first, last)
    if times is None:
        raise InputError(f"hours are {hours!r}; valid are such as 10:00-16:00")
    return start_and_end(times)
