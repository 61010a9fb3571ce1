"""Text from outside on its way to a terminal or a log: nothing in it moves a cursor, hides, or goes on for ever."""

from __future__ import annotations


def printable(text: str, most: int | None = None) -> str:
    r"""Return a text with everything unprintable written as an escape, cut after ``most`` characters.

    That is controls, line breaks, marks that turn the direction of writing, what has no width, and lone surrogates.

    >>> printable("\x1b[31mred\u202e")
    '\\x1b[31mred\\u202e'
    >>> printable("a" * 50, 10)
    'aaaaaaaaaa… (50 characters)'
    """
    length = len(text)
    if most is not None and length > most:
        return f"{printable(text[:most])}… ({length:,} characters)"
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def printable_lines(text: str) -> str:
    """Return a text of several lines with everything else that is unprintable written as an escape."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    r"""Return JSON that says the same without unprintable characters.

    >>> printable_json('"\x9b1m"')
    '"\\u009b1m"'
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign == "\n" else _json_escape(sign) for sign in text)


def _json_escape(sign: str) -> str:
    units = sign.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))
