"""Blanks and invisible characters: they are trimmed from both ends of a value, and may not stand inside of an id."""

from __future__ import annotations

from typing import Final

import polars as pl

#: From Unicode 17, first and last: white space, controls (Cc), format characters (Cf: byte order mark, zero width,
#: marks of direction) and all others that programs show as nothing (Default_Ignorable_Code_Point: fillers, variation
#: selectors), but a few that are seen, and the tags from U+E0000 on.
_RANGES: Final = (
    (0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C),
    (0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB),
    (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
)  # fmt: skip
#: What is trimmed.
TRIMMED: Final = "".join(chr(code) for first, last in _RANGES for code in range(first, last + 1))
#: In a class of a regular expression of Polars: all that is not seen and is no blank.
UNSEEN: Final = r"\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}"


def trimmed(text: pl.Expr) -> pl.Expr:
    """Return text without blanks and invisible characters at its ends."""
    return text.str.strip_chars(TRIMMED)


def trimmed_text(text: str) -> str:
    r"""Return a single text as `trimmed` does.

    >>> trimmed_text("\ufeff Day\u200b")
    'Day'
    """
    return text.strip(TRIMMED)
