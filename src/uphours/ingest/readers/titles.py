"""Which columns of a source are those of a kind: by their titles, in any spelling; two for the same are refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, takewhile
from typing import Final

import polars as pl

from uphours.errors import InputError
from uphours.ingest.guarded import REASON
from uphours.ingest.inputs import Kind
from uphours.ingest.invisible import trimmed_text
from uphours.schema import INPUT_COLUMNS, OPTIONAL_COLUMNS

#: How a message calls a column that goes by several names.
_CALLED: Final = {"day": "the day"}
#: In a table of rows, what stands before the name of an attribute: other columns have such names, too.
ATTRIBUTE: Final = "attribute:"
#: Attributes that mean something by themselves; they are found in any spelling.
RESERVED: Final = ("name", "first_day", "last_day")
ATTRIBUTE_MAX_LENGTH: Final = 64
#: The last column of rejected rows that do not come from CSV: the row as it was.
RAW: Final = "raw"
#: What files of rejected rows have beside the columns of their kind, so that no attribute may be called that.
OF_REJECTED: Final = (REASON, RAW)


def places(kind: Kind, titles: Sequence[str]) -> dict[str, int]:
    """Return where the columns stand in a header that a kind must have, as far as they do; of two the first."""
    return {column: found[0] for column, found in _all_places(kind, titles).items() if found}


def all_places(kind: Kind, titles: Sequence[str]) -> dict[str, int]:
    """Return where the columns stand that a kind must and may have, as far as they do; of two the first."""
    found = _all_places(kind, titles, optional=True)
    return {column: at[0] for column, at in found.items() if at}


def _all_places(kind: Kind, titles: Sequence[str], *, optional: bool = False) -> dict[str, list[int]]:
    spelled = [_spelled(title) for title in titles]
    columns = {**INPUT_COLUMNS[kind], **(optional_columns(kind) if optional else {})}
    return {
        column: [
            place for place, title in enumerate(spelled) if title in {name.casefold() for name in (column, *names)}
        ]
        for column, names in columns.items()
    }


def optional_columns(kind: Kind) -> Mapping[str, tuple[str, ...]]:
    """Return the columns that a kind may have, and the other names they go by."""
    return OPTIONAL_COLUMNS.get(kind, {})


def attribute_places(titles: Sequence[str]) -> dict[str, list[int]]:
    """Return where the attributes stand in a header of stores, by name: all columns with a title and no other use."""
    used = {column.casefold() for column in (*INPUT_COLUMNS["stores"], *optional_columns("stores"))}
    found: dict[str, list[int]] = {}
    for place, title in enumerate(titles):
        if (spelled := _spelled(title)) and spelled not in used:
            found.setdefault(spelled if spelled in RESERVED else trimmed_text(title), []).append(place)
    return found


def _spelled(title: str) -> str:
    return trimmed_text(title).casefold()


def is_whole(kind: Kind, positions: Mapping[str, int]) -> bool:
    """Say whether each column was found that a kind must have."""
    return len(positions) == len(INPUT_COLUMNS[kind])


def wanted(kind: Kind) -> str:
    """Name the columns of a kind, for a message."""
    return ", ".join(" or ".join((title, *others)) for title, others in INPUT_COLUMNS[kind].items())


def of_rejected(kind: Kind, titles: Sequence[str]) -> int:
    """Return how many columns at the start of a header are the reasons of rows that were rejected; most often none.

    Each time that rows are rejected one is put before the others; entries of the ledger have a reason of their own.
    """
    first = len(list(takewhile(lambda title: title == REASON, titles)))
    is_own = kind == "adjustments" and REASON not in map(_spelled, titles[first:])
    return first - 1 if first and is_own else first


def whole_positions(kind: Kind, titles: Sequence[str], name: str) -> dict[str, int]:
    """Return where each column of the kind stands in a header; those of attributes as `with_attributes` takes them.

    Raises
    ------
    InputError
        It lacks a column, has two for the same, or one that can be no attribute.
    """
    skipped = of_rejected(kind, titles)
    titles = ["" if place < skipped else title for place, title in enumerate(titles)]
    if skipped and kind == "stores" and titles[-1] == RAW:
        titles[-1] = ""
    for column, at in _all_places(kind, titles).items():
        if not at:
            raise InputError(
                f"{name} ({kind}) has no column {column}; it has {shown(titles)}, and needs {wanted(kind)}"
            )
    if twice := ambiguity(kind, titles):
        raise InputError(f"{name} ({kind}) has {twice}; valid is one")
    if useless := no_attribute(kind, titles):
        raise InputError(f"{name} ({kind}) has a column {useless}")
    attributes = attribute_places(titles) if kind == "stores" else {}
    return {**all_places(kind, titles), **{ATTRIBUTE + title: at[0] for title, at in attributes.items()}}


def ambiguity(kind: Kind, titles: Sequence[str]) -> str | None:
    """Name the first column of a kind that stands twice among titles, for a message; None where all is clear."""
    found = _all_places(kind, titles, optional=True)
    for column, at in (found | attribute_places(titles) if kind == "stores" else found).items():
        if len(at) > 1:
            return f"{len(at)} columns for {_CALLED.get(column, column)}: {shown(titles[place] for place in at)}"
    return None


def no_attribute(kind: Kind, titles: Sequence[str]) -> str | None:
    """Name the first title that can be no attribute of stores, and say why; None where all can."""
    for title in attribute_places(titles) if kind == "stores" else ():
        if len(title) > ATTRIBUTE_MAX_LENGTH:
            return f"{title[:60]!r}… of {len(title)} characters; valid are names of up to {ATTRIBUTE_MAX_LENGTH}"
        if title in OF_REJECTED:
            return f"{title!r}, as files of rejected rows have it; give the attribute another name"
    return None


def shown(titles: Iterable[str]) -> str:
    """Name the columns that a source has, for a message."""
    return ", ".join(repr(title[:60]) for title in islice(titles, 20))


# --- tables -----------------------------------------------------------------------------------------------------


def with_optional(kind: Kind, rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with all columns that the kind may have; those that the source lacks are null."""
    lacking = [column for column in optional_columns(kind) if column not in rows.columns]
    return rows.with_columns(pl.lit(None, dtype=pl.String).alias(column) for column in lacking) if lacking else rows


def with_attributes(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return rows of stores without the columns of attributes, and these as a table of ``line, name, value``."""
    columns = [column for column in rows.columns if column.startswith(ATTRIBUTE)]
    values = rows.select("line", *columns).unpivot(index="line", variable_name="name", value_name="value")
    return rows.drop(columns), values.select(
        "line", pl.col("name").str.strip_prefix(ATTRIBUTE), pl.col("value").cast(pl.String).fill_null("")
    )
