"""Ways in which a row can be bad: when that is so, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import polars as pl

from uphours.ingest.invisible import trimmed

#: So much of a bad value stands in the reason.
_SHOWN: Final = 60


class Case(NamedTuple):
    """When a row is bad, and why: in full, and without the value, which is what rejected rows are counted by."""

    applies: pl.Expr
    reason: pl.Expr
    cause: pl.Expr


def always(text: str, cause: str | None = None) -> tuple[pl.Expr, pl.Expr]:
    """Return a reason that is the same for all rows, and its cause."""
    return pl.lit(text), pl.lit(cause or text)


def missing(column: str, valid: str = "") -> Case:
    """Return the case of a value that is not there."""
    text = pl.col(column)
    said = f"missing {column}" + (f"; {valid}" if valid else "")
    return Case(text.is_null() | (trimmed(text) == ""), *always(said))


def unless(good: pl.Expr, text: str, column: str, cause: str | None = None) -> Case:
    """Return the case of a value that is not good: quoted, without control characters, cut where it is endless.

    ``cause``: the same without the value; unless given, the text without its ``{}``.
    """
    return Case(~good, pl.format(text, _quoted(column)), pl.lit(cause or text.replace(" {}", "")))


def unread(value: str, column: str, text: str, forms: Sequence[tuple[str, str]]) -> Case:
    """Return the case of a text that was not read, so that the column ``value`` is null.

    Parameters
    ----------
    text
        What is said of it, with ``{}`` for the text.
    forms
        Patterns of what is often meant, and what is said instead where one of them matches.
    """
    shown = trimmed(pl.col(column))
    reason, cause = pl.format(text, _quoted(column)), pl.lit(text.replace(" {}", ""))
    for pattern, said in reversed(forms):
        is_of_form = shown.str.contains(pattern).fill_null(False)
        reason = pl.when(is_of_form).then(pl.format(said, _quoted(column))).otherwise(reason)
        cause = pl.when(is_of_form).then(pl.lit(said.replace(" {}", ""))).otherwise(cause)
    return Case(pl.col(value).is_null(), reason, cause)


def _quoted(column: str) -> pl.Expr:
    value = pl.col(column)
    shown = pl.when(value.str.len_chars() > _SHOWN).then(value.str.head(_SHOWN) + "…").otherwise(value)
    return pl.format("'{}'", shown.str.replace_all(r"\p{Cc}", "\ufffd"))
