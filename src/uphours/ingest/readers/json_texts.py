"""JSON text → values, each with the place of its text; a large array is never held as a whole.

Whole numbers stay as they are written: a 19-digit id must not pass through a float.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from uphours.ingest.readers.blocks import UTF8_MARK

#: Values that are parsed are up to thirty times as large as their text, so none may be longer.
LONGEST_VALUE: Final = 1 << 20
_MOST_MEMBERS: Final = 1000
_BLANKS: Final = re.compile(r"[ \t\n\r]*")

Element: TypeAlias = tuple[object, int, int]
"""A value of a document, and where its text starts and ends."""


class Repeated(dict[str, Any]):
    """An object in which a key stands twice; the value is the last one."""

    def __init__(self, pairs: Sequence[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.keys_as_written = tuple(key for key, _ in pairs)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    return values if len(values) == len(pairs) else Repeated(pairs)


DECODER: Final = json.JSONDecoder(parse_int=str, object_pairs_hook=_object)
_QUICK: Final = json.JSONDecoder(parse_int=str)


def decoded(text: str) -> object:
    """Return the value of a text, as `DECODER` does; sooner where the number of commas shows that no key is repeated.

    Between the members of an object there is one comma less than it has keys; a repeated key would need one more.

    Raises
    ------
    ValueError, RecursionError
        It is no JSON, or nested too deeply.
    """
    value: object = _QUICK.decode(text)
    return value if isinstance(value, dict) and text.count(",") == len(value) - 1 else DECODER.decode(text)


class Member(NamedTuple):
    """A key of an object, where its value begins, and the value: of an array only whether an object is in it."""

    key: str
    at: int
    value: object
    is_array: bool


class _Values:
    """The values of a text, none of which may be long: they are parsed in a window of it that moves on."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._start = 0
        self._window = text[: 2 * LONGEST_VALUE]

    def at(self, start: int) -> tuple[object, int]:
        """Return the value that begins at ``start``, and where it ends.

        Raises
        ------
        json.JSONDecodeError
            There is no value, or it is too long.
        RecursionError
            It is nested too deeply.
        """
        if not self._start <= start < self._start + LONGEST_VALUE:
            self._start = start
            self._window = self._text[start : start + 2 * LONGEST_VALUE]
        is_last = self._start + len(self._window) >= len(self._text)
        try:
            value, end = DECODER.raw_decode(self._window, start - self._start)
        except json.JSONDecodeError as error:
            at = self._start + error.pos
            if is_last or (at < start + LONGEST_VALUE and not error.msg.startswith("Unterminated string")):
                raise json.JSONDecodeError(error.msg, self._text, at) from None
        else:
            if is_last or end < len(self._window):
                return value, self._start + end
        raise json.JSONDecodeError(f"A value of over {LONGEST_VALUE >> 20} MiB", self._text, start)


def members_of(text: str, start: int) -> tuple[list[Member], int]:
    """Return the members of the object that begins at ``start``, and where it ends; arrays are not held in memory."""
    members: list[Member] = []
    values = _Values(text)
    at = _expect("{", text, start)
    is_more = text[at : at + 1] != "}"
    while is_more:
        if len(members) >= _MOST_MEMBERS:
            raise json.JSONDecodeError(f"An object of over {_MOST_MEMBERS} keys", text, at)
        key, at = values.at(at)
        at = _expect(":", text, behind_blanks(text, at))
        if text[at : at + 1] == "[":
            has_objects, last = False, _expect("[", text, at)
            for value, _, stop in elements(text, at, alone=False):
                has_objects, last = has_objects or isinstance(value, dict), stop
            end = behind_blanks(text, last) + 1
            members.append(Member(str(key), at, has_objects, True))
        else:
            value, end = values.at(at)
            members.append(Member(str(key), at, value, False))
        at = behind_blanks(text, end)
        is_more = text[at : at + 1] == ","
        if is_more:
            at = behind_blanks(text, at + 1)
    return members, _expect("}", text, at)


def text_of(content: bytes | bytearray) -> str:
    """Return JSON as text, without a byte order mark; bytes that are no UTF-8 are kept, as lone surrogates."""
    return content.removeprefix(UTF8_MARK).decode("utf-8", "surrogateescape")


def concatenated(text: str) -> Iterator[Element]:
    """Yield each value of a text that holds one after the other, with or without blanks between them.

    Raises
    ------
    json.JSONDecodeError
        Here the text is no JSON any more.
    RecursionError
        A value is nested too deeply.
    """
    at = behind_blanks(text, 0)
    values = _Values(text)
    while at < len(text):
        value, end = values.at(at)
        yield value, at, end
        at = behind_blanks(text, end)


def elements(text: str, at: int = 0, *, alone: bool = True) -> Iterator[Element]:
    """Yield each element of a JSON array: its value, and where its text starts and ends.

    Parameters
    ----------
    at
        Where the array begins, or blanks before it.
    alone
        Nothing follows the array.

    Raises
    ------
    json.JSONDecodeError
        Here the text is no JSON array any more.
    RecursionError
        An element is nested too deeply.
    """
    at = _expect("[", text, behind_blanks(text, at))
    is_more = text[at : at + 1] != "]"
    values = _Values(text)
    while is_more:
        value, end = values.at(at)
        yield value, at, end
        at = behind_blanks(text, end)
        is_more = text[at : at + 1] == ","
        if is_more:
            at = behind_blanks(text, at + 1)
    at = _expect("]", text, at)
    if alone and at < len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _expect(sign: str, text: str, at: int) -> int:
    if text[at : at + 1] != sign:
        raise json.JSONDecodeError(f"Expecting {sign!r}", text, at)
    return behind_blanks(text, at + 1)


def behind_blanks(text: str, at: int) -> int:
    """Return the first place from ``at`` on that is no blank."""
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at
