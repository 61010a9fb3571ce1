"""Special hours and exclusions of the ledger → the events of a calendar feed: which ones, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final, TypeAlias

from sqlalchemy import Connection

from uphours.database.feed import Exclusion, SpecialDate, exclusions, notes_of, numbers_of, special_dates
from uphours.errors import no_store
from uphours.kernel.local_time import hours_text
from uphours.schema import DAY_US
from uphours.service.icalendar_text import AllDay, Between, Event

Entry: TypeAlias = SpecialDate | Exclusion

#: How many days before and after today (UTC) a feed reaches.
DAYS_BEFORE: Final = 90
DAYS_AFTER: Final = 400
#: Events of one feed; the last one says how many more there are.
MOST_EVENTS: Final = 5_000
#: Characters of a note that an event shows. The entry has all of it.
MOST_OF_NOTE: Final = 1_000

_EPOCH: Final = date(1970, 1, 1)


def feed_events(
    connection: Connection, store_ids: Sequence[str] | None, *, now: int, seen: Sequence[str] | None = None
) -> list[Event]:
    """Return the events of a feed, in order of time.

    Parameters
    ----------
    store_ids
        The stores it is about: it then has their own special hours too, and of the ledger what excludes time of theirs.
        None: the special hours of every store, and all that the ledger excludes.
    now
        The time, UTC microseconds.
    seen
        As though there were no other stores than these.

    Raises
    ------
    NotFoundError
        There is no such store.
    """
    today = now // DAY_US
    first, last = today - DAYS_BEFORE, today + DAYS_AFTER
    if seen is not None and (foreign := set(store_ids or ()) - set(seen)):
        raise no_store(min(foreign))
    numbers = numbers_of(connection, store_ids or ())
    named = seen if store_ids is None else store_ids
    found: list[Entry] = [
        *special_dates(connection, numbers, first, last),
        *exclusions(connection, None if named is None else numbers_of(connection, named), first, last),
    ]
    shown = nearest(found, today, MOST_EVENTS)
    notes = notes_of(connection, [one.entry for one in shown if isinstance(one, Exclusion)])
    events = [event_of(one, notes) for one in sorted(shown, key=_order)]
    if len(shown) < len(found):
        events.append(_left_out(len(found) - len(shown), today, max(one.stamp for one in events)))
    return events


def nearest(found: Sequence[Entry], today: int, most: int) -> Sequence[Entry]:
    """Return what is to be shown: all of it, or the ``most - 1`` nearest to a date, in days since the epoch."""
    if len(found) <= most:
        return found

    def distance(one: Entry) -> tuple[int, tuple[int, str]]:
        first, last = _days(one)
        return max(first - today, today - last, 0), _order(one)

    return sorted(found, key=distance)[: most - 1]


def event_of(one: Entry, notes: Mapping[int, str]) -> Event:
    """Return the event of special hours, or of an entry with its note."""
    return _special(one) if isinstance(one, SpecialDate) else _exclusion(one, notes.get(one.entry, ""))


def _special(special: SpecialDate) -> Event:
    hours = ", ".join("–".join(hours_text(*opening)) for opening in special.openings) or "closed"
    whose = "" if special.store_id is None else f" (store {special.store_id})"
    stores = "every store without hours of its own on this date" if special.store_id is None else special.store_id
    return Event(
        uid=_uid(special),
        stamp=special.at,
        when=AllDay(_EPOCH + timedelta(days=special.day)),
        summary=f"{special.name}: {hours}{whose}" if special.name else f"{hours}{whose}",
        description=f"Special hours of {'' if special.store_id is None else 'store '}{stores}: {hours}",
    )


def _exclusion(exclusion: Exclusion, note: str) -> Event:
    stores = "1 store" if exclusion.stores == 1 else f"{exclusion.stores:,} stores"
    lines = [f"Excluded: {exclusion.reason}", f"Stores: {exclusion.stores:,}"]
    if note:
        lines.append(f"Note: {note}" if len(note) <= MOST_OF_NOTE else f"Note: {note[:MOST_OF_NOTE]}…")
    return Event(
        uid=_uid(exclusion),
        stamp=exclusion.at,
        when=Between(exclusion.start, exclusion.end),
        summary=f"{exclusion.reason}: {stores}",
        description="\n".join([*lines, f"Entry {exclusion.entry} of the ledger"]),
    )


def _left_out(count: int, today: int, stamp: int) -> Event:
    day = _EPOCH + timedelta(days=today)
    return Event(
        uid=f"more-{day}@uphours",
        stamp=stamp,
        when=AllDay(day),
        summary=f"{count:,} more events are not shown",
        description=f"A feed has up to {MOST_EVENTS:,} events, those nearest to today. "
        "Feeds of single stores (store_id=… in the address) have fewer.",
    )


def _uid(one: Entry) -> str:
    if isinstance(one, Exclusion):
        return f"entry-{one.entry}@uphours"
    whose = "all" if one.store_id is None else f"store-{one.store_id}"
    return f"special-{whose}-{_EPOCH + timedelta(days=one.day)}@uphours"


def _days(one: Entry) -> tuple[int, int]:
    """Return the first and the last date, in days since the epoch; of an exclusion in UTC."""
    return (one.day, one.day) if isinstance(one, SpecialDate) else (one.start // DAY_US, (one.end - 1) // DAY_US)


def _order(one: Entry) -> tuple[int, str]:
    return one.day * DAY_US if isinstance(one, SpecialDate) else one.start, _uid(one)
