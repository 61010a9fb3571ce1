"""Which stores are meant by what they belong to: values of attributes, as people write them and as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from uphours.errors import InputError, shown

Where: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Names of attributes with the values of which a store must have one each; in order, each once. () means all stores."""

#: The value of a store that has none.
NO_VALUE: Final = "(none)"
_MOST_VALUES: Final = 1_000
_VALID: Final = "valid are NAME=VALUE, such as region=TX"


def where_of(values: Mapping[str, Sequence[str]]) -> Where:
    """Return values by name of attribute in their one form; a blank value means that a store has none.

    Raises
    ------
    InputError
        A name is blank, a name has no values, or there are more than a thousand.
    """
    if sum(map(len, values.values())) > _MOST_VALUES:
        raise InputError(f"where has more than {_MOST_VALUES:,} values; valid are up to {_MOST_VALUES:,}")
    for name, some in values.items():
        if not name.strip():
            raise InputError(f"where has an attribute without a name; {_VALID}")
        if isinstance(some, str) or not some:
            raise InputError(f"where has {shown(name)} with {some!r}; valid are lists of values, such as ['TX']")
    named: dict[str, set[str]] = {}
    for name, some in values.items():
        named.setdefault(name.strip(), set()).update(value.strip() or NO_VALUE for value in some)
    return tuple((name, tuple(sorted(named[name]))) for name in sorted(named))


def where_of_texts(texts: Sequence[str], option: str = "where") -> Where:
    """Read ``NAME=VALUE`` texts: values of one attribute are any of them, different attributes all of them.

    ``option``: how the caller calls them, for messages.

    Raises
    ------
    InputError
        One cannot be read.
    """
    values: dict[str, list[str]] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.strip() and equals):
            raise InputError(f"cannot read {option} {shown(text)}; {_VALID}")
        values.setdefault(name.strip(), []).append(value)
    return where_of(values)


def texts_of(where: Where) -> list[str]:
    """Return the ``NAME=VALUE`` texts that `where_of_texts` reads."""
    return [f"{name}={'' if value == NO_VALUE else value}" for name, some in where for value in some]


def plain(where: Where) -> dict[str, list[str]]:
    """Return the values by name as plain lists, which `where_of` reads."""
    return {name: list(some) for name, some in where}
