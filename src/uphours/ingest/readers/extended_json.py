"""Extended JSON → plain values: MongoDB writes ids, dates and some numbers as objects, such as ``{"$oid": "…"}``.

Both versions are read, version 2 in its relaxed and its canonical form. Only what was a float already is read as one.
"""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OBJECT_ID: Final = re.compile("[0-9a-fA-F]{24}")
_UUID: Final = re.compile("[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_WHOLE: Final = re.compile("-?[0-9]+")
#: More digits than any 64-bit number has are no count of milliseconds.
_MILLISECONDS: Final = re.compile("-?[0-9]{1,19}")
#: Columns of instants and of dates.
_WITH_DATES: Final = frozenset((
    "timestamp_utc", "start_utc", "end_utc", "start_local", "end_local", "date", "valid_from", "first_day", "last_day",
))  # fmt: skip
#: From here on not every whole number has a float of its own.
_INEXACT: Final = 1 << 53
#: What the two versions call the subtype of a UUID. The older subtype 3 does not tell the order of its bytes.
_UUID_SUBTYPES: Final = ("04", "4")


def plain(value: object, column: str) -> object:
    """Return what a JSON value says, as text; the value itself where it is no extended JSON or cannot be used.

    Parameters
    ----------
    value
        Parsed with whole numbers as text.
    column
        Where it stands; a date is used in columns of instants and dates alone.

    >>> plain({"$numberLong": "8419537941919820732"}, "store_id")
    '8419537941919820732'
    >>> plain({"$date": {"$numberLong": "1674389379388"}}, "timestamp_utc")
    '2023-01-22T12:09:39.388000Z'
    """
    if isinstance(value, float):
        text = _double(value)
    elif not isinstance(value, dict):
        return value
    elif column in _WITH_DATES and value.keys() == {"$date"}:
        text = _date(value["$date"])
    elif value.keys() == {"$binary", "$type"}:
        text = _binary({"base64": value["$binary"], "subType": value["$type"]})
    else:
        text = _single(value)
    return value if text is None else text


def _single(value: Mapping[str, object]) -> str | None:
    if len(value) != 1:
        return None
    ((name, inner),) = value.items()
    read = _FORMS.get(name)
    return read(inner) if read else None


def _matching(pattern: re.Pattern[str]) -> Callable[[object], str | None]:
    return lambda inner: inner if isinstance(inner, str) and pattern.fullmatch(inner) else None


def _double(inner: object) -> str | None:
    """Return a whole number; of a larger one it is unknown whether its last digits are those that it once had."""
    try:
        number = float(inner) if isinstance(inner, (str, float)) else None
    except ValueError:
        return None
    return str(int(number)) if number is not None and number.is_integer() and abs(number) < _INEXACT else None


def _date(inner: object) -> str | None:
    """Return a date that is text, or milliseconds since 1970."""
    if isinstance(inner, dict):
        inner = inner["$numberLong"] if inner.keys() == {"$numberLong"} else None
    if not isinstance(inner, str):
        return None
    if not _MILLISECONDS.fullmatch(inner):
        return inner
    try:
        return (_EPOCH + timedelta(milliseconds=int(inner))).isoformat()[: -len("+00:00")] + "Z"
    except OverflowError:
        return None  # outside the years 1 to 9999


def _binary(inner: object) -> str | None:
    if not isinstance(inner, dict) or inner.keys() != {"base64", "subType"}:
        return None
    content, subtype = inner["base64"], inner["subType"]
    if subtype not in _UUID_SUBTYPES or not isinstance(content, str):
        return None
    try:
        return str(uuid.UUID(bytes=base64.b64decode(content, validate=True)))
    except ValueError:
        return None  # no base64, or not 16 bytes


_FORMS: Final[Mapping[str, Callable[[object], str | None]]] = {
    "$binary": _binary,
    "$numberDecimal": _matching(_WHOLE),
    "$numberDouble": _double,
    "$numberInt": _matching(_WHOLE),
    "$numberLong": _matching(_WHOLE),
    "$oid": _matching(_OBJECT_ID),
    "$symbol": lambda inner: inner if isinstance(inner, str) else None,
    "$uuid": _matching(_UUID),
}
