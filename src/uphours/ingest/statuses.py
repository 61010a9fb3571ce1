"""Words for the status of a store → codes: in any case, the usual ones, and those that a user has mapped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

from uphours.errors import InputError
from uphours.ingest.invisible import trimmed_text
from uphours.schema import ACTIVE, INACTIVE, UNKNOWN

_WORDS: Final[Mapping[int, tuple[str, ...]]] = {
    ACTIVE: ("active", "up", "online", "1", "1.0", "true"),
    INACTIVE: ("inactive", "down", "offline", "0", "0.0", "false"),
    UNKNOWN: ("unknown", "paused", "pending", "maintenance"),
}
STATUS_WORDS: Final[Mapping[str, int]] = {word: code for code, words in _WORDS.items() for word in words}
#: For messages.
VALID_STATUSES: Final = (
    "valid are active (up, online, 1, true), inactive (down, offline, 0, false) and unknown (paused, pending, "
    "maintenance); other words are mapped with --status WORD=STATUS"
)
_EXACT: Final = (
    pl.when(pl.col("status") == "active").then(ACTIVE).when(pl.col("status") == "inactive").then(INACTIVE)
    .cast(pl.UInt8)
)  # fmt: skip


def read_mapping(texts: Sequence[str]) -> dict[str, str]:
    """Read texts such as ``open=active``; return the status that each word is mapped to.

    Raises
    ------
    InputError
        A text is not one, a word is mapped to what is no status, or to two.

    >>> read_mapping(["open=active", "a=b=down"])
    {'open': 'active', 'a=b': 'down'}
    """
    mapped: dict[str, str] = {}
    for text in texts:
        word, _, status = text.rpartition("=")
        if not (trimmed_text(word) and trimmed_text(status)):
            raise InputError(f"cannot read the status {text!r}; valid are WORD=STATUS, such as open=active")
        if mapped.setdefault(word, status) != status:
            raise InputError(f"{word!r} is mapped to two statuses; valid is one")
    status_words(mapped)
    return mapped


def status_words(mapped: Mapping[str, str] | None) -> Mapping[str, int]:
    """Return the code of each word that is a status, in small letters, those that a user has mapped among them.

    Parameters
    ----------
    mapped
        From words of the input to ``active``, ``inactive`` or ``unknown``, or a usual word for one of them.

    Raises
    ------
    InputError
        A word is mapped to what is no status, or to two.
    """
    words: dict[str, int] = {}
    for word, status in (mapped or {}).items():
        code = STATUS_WORDS.get(trimmed_text(status).casefold())
        if code is None:
            raise InputError(f"{word!r} cannot be mapped to {status!r}; valid are active, inactive and unknown")
        if words.setdefault(trimmed_text(word).casefold(), code) != code:
            raise InputError(f"{word!r} is mapped to two statuses; valid is one")
    return {**STATUS_WORDS, **words}


def status_codes(texts: pl.Series, words: Mapping[str, int]) -> pl.Series:
    """Return the code of each status; null where it is not one."""
    codes = texts.to_frame("status").select(_EXACT).to_series()
    unread = codes.is_null().arg_true()
    if not len(unread) and words.get("active") == ACTIVE and words.get("inactive") == INACTIVE:
        return codes
    distinct = texts.drop_nulls().unique()
    read = [words.get(trimmed_text(text).casefold()) for text in distinct.to_list()]
    return texts.replace_strict(distinct, pl.Series(read, dtype=pl.UInt8), default=None, return_dtype=pl.UInt8)
