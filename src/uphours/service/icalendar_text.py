"""Events → iCalendar text (RFC 5545). What the events say is decided elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from uphours.schema import SECOND_US, instant_iso
from uphours.version import VERSION

MEDIA_TYPE: Final = "text/calendar"

#: Bytes of a line without its end; longer ones are folded.
_LINE: Final = 75
#: Whatever any reader takes for the end of a line.
_LINE_BREAK: Final = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")
#: What no text may hold, though it ends no line.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1b\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class AllDay:
    """A date of no time zone."""

    day: date

    def lines(self) -> Iterator[str]:
        """Yield the properties that say when it is."""
        yield f"DTSTART;VALUE=DATE:{self.day:%Y%m%d}"
        yield f"DTEND;VALUE=DATE:{self.day + timedelta(days=1):%Y%m%d}"


@dataclass(frozen=True)
class Between:
    """An interval ``[start, end)``, UTC microseconds; it is written in whole seconds, and never shorter than it is."""

    start: int
    end: int

    def lines(self) -> Iterator[str]:
        """Yield the properties that say when it is."""
        yield f"DTSTART:{_utc(self.start)}"
        yield f"DTEND:{_utc(-(-self.end // SECOND_US) * SECOND_US)}"


@dataclass(frozen=True)
class Event:
    """Something that a calendar shows.

    ``uid``: what a calendar program knows it by. ``stamp``: when it was last changed, UTC microseconds.
    """

    uid: str
    stamp: int
    when: AllDay | Between
    summary: str
    description: str


def calendar_text(name: str, events: Iterable[Event]) -> bytes:
    """Return a calendar with these events, in their order; the same bytes for the same events."""
    return b"".join(_folded(line.encode()) for line in _lines(name, events))


def _lines(name: str, events: Iterable[Event]) -> Iterator[str]:
    yield "BEGIN:VCALENDAR"
    yield "VERSION:2.0"
    yield f"PRODID:-//uphours//uphours {VERSION}//EN"
    yield "CALSCALE:GREGORIAN"
    yield "METHOD:PUBLISH"
    yield f"X-WR-CALNAME:{_escaped(name)}"
    # How often to ask again: the property of RFC 7986, and the one that Outlook reads.
    yield "REFRESH-INTERVAL;VALUE=DURATION:PT1H"
    yield "X-PUBLISHED-TTL:PT1H"
    for event in events:
        yield "BEGIN:VEVENT"
        yield f"UID:{_escaped(event.uid)}"
        yield f"DTSTAMP:{_utc(event.stamp)}"
        yield from event.when.lines()
        yield f"SUMMARY:{_escaped(event.summary)}"
        yield f"DESCRIPTION:{_escaped(event.description)}"
        yield "TRANSP:TRANSPARENT"  # it does not make its reader busy
        yield "END:VEVENT"
    yield "END:VCALENDAR"


def _utc(us: int) -> str:
    """Write an instant, its fraction of a second cut off."""
    return re.sub("[-:]", "", instant_iso(us // SECOND_US * SECOND_US))


def _escaped(text: str) -> str:
    r"""Return text as the value of a property; no text from outside begins a line of its own.

    >>> _escaped("a;b, c\r\nBEGIN:VALARM\x07")
    'a\\;b\\, c\\nBEGIN:VALARM '
    """
    text = _CONTROL.sub(" ", _LINE_BREAK.sub("\n", text)).encode(errors="replace").decode()
    return re.sub(r"[\\;,]", r"\\\g<0>", text).replace("\n", r"\n")


def _folded(line: bytes) -> bytes:
    """Return a line as parts of at most 75 bytes, each but the first one after a blank; no character is cut."""
    parts = []
    room = _LINE
    while len(line) > room:
        end = room
        while line[end] & 0xC0 == 0x80:  # inside a character of UTF-8
            end -= 1
        parts.append(line[:end])
        line, room = line[end:], _LINE - 1
    return b"\r\n ".join([*parts, line]) + b"\r\n"
