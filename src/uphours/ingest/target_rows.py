"""Rows of targets → what availability is expected of which stores, in 100,000ths of their business time."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import polars as pl

from uphours.ingest.cases import Case, always, missing, unless, unread
from uphours.ingest.invisible import trimmed, trimmed_text
from uphours.ingest.local_dates import read_once
from uphours.ingest.readers.titles import ATTRIBUTE_MAX_LENGTH
from uphours.ingest.weeks import VALID_FROM
from uphours.schema import PERIODS, WHOLE_SHARE, Target

NAME_MAX_LENGTH: Final = 255
WHERE_MAX_LENGTH: Final = 4_000
VALID_TARGETS: Final = (
    "valid are percentages from 1 to 100 with up to three decimals, such as 99.5, and nothing for no target from "
    "valid_from on"
)
VALID_PERIODS: Final = f"valid are {', '.join(PERIODS)}"
VALID_WHERE: Final = "valid are NAME=VALUE, such as region=TX, several with ; between them, and nothing for every store"
_PERCENTAGE: Final = re.compile(r"([0-9]{1,3})(?:\.([0-9]{1,3})0*)?\s*%?", re.ASCII)
_LEAST_SHARE: Final = WHOLE_SHARE // 100
_DECIMALS: Final = 3
_CONTROL: Final = r"\p{Cc}"
_IS_BLANK: Final = trimmed(pl.col("target").fill_null("")) == ""


def share_of(text: str) -> int | None:
    """Read a percentage as 100,000ths; None for what is no target.

    >>> [share_of(text) for text in ("99.5", "99.995 %", "100", "0.995", "99.9999")]
    [99500, 99995, 100000, None, None]
    """
    match = _PERCENTAGE.fullmatch(trimmed_text(text))
    if match is None:
        return None
    share = int(match[1]) * 10**_DECIMALS + int((match[2] or "").ljust(_DECIMALS, "0"))
    return share if _LEAST_SHARE <= share <= WHOLE_SHARE else None


def where_of(text: str) -> str | None:
    r"""Read which stores are meant: as ``NAME=VALUE``, one a line, in order; None for what cannot be read.

    >>> where_of(" region = TX; brand=A ; region=NY")
    'brand=A\nregion=NY\nregion=TX'
    """
    parts = [part for part in map(trimmed_text, re.split(r"[;\r\n]+", text)) if part]
    pairs = [
        (trimmed_text(name), equals, trimmed_text(value)) for name, equals, value in (p.partition("=") for p in parts)
    ]
    if any(not (name and equals) or len(name) > ATTRIBUTE_MAX_LENGTH for name, equals, _ in pairs):
        return None
    return "\n".join(sorted({f"{name}={value}" for name, _, value in pairs}))


def parsed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with ``name`` trimmed, ``share``, ``kind`` (of the period) and ``stores``, each null where unread."""
    where = rows["where"].fill_null("")
    texts = where.unique()
    read = pl.Series([where_of(text) for text in texts.to_list()], dtype=pl.String)
    kind = trimmed(pl.col("period")).str.to_lowercase()
    return rows.with_columns(
        where.replace_strict(texts, read, return_dtype=pl.String).alias("stores"),
        read_once(rows["target"], share_of).alias("share"),
        name=trimmed(pl.col("name")),
        kind=pl.when(kind.is_in(PERIODS)).then(kind),
    )


def _given(case: Case) -> Case:
    """Return a case that does not apply to rows which say that there is no target."""
    return case._replace(applies=~_IS_BLANK & case.applies)


CASES: Final = (
    missing("name"),
    unless(
        pl.col("name").str.len_chars() <= NAME_MAX_LENGTH,
        f"name {{}} is too long; valid are up to {NAME_MAX_LENGTH} characters",
        "name",
    ),
    Case(pl.col("name").str.contains(_CONTROL), *always("name has a control character inside")),
    _given(
        unread(
            "share",
            "target",
            f"unreadable target {{}}; {VALID_TARGETS}",
            [
                (r"^0?\.[0-9]+$", "target {} may be a share of 1; write percent, such as 99.5"),
                (r"^[0-9]+,[0-9]+\s*%?$", "target {} has a comma; write 99.5"),
                (r"^[0-9]+\.[0-9]{4,}\s*%?$", "target {} has more than three decimals; valid are up to 99.999"),
            ],
        )
    ),
    _given(missing("period", VALID_PERIODS)),
    _given(unread("kind", "period", f"unknown period {{}}; {VALID_PERIODS}", [])),
    unread("stores", "where", f"unreadable where {{}}; {VALID_WHERE}", []),
    unless(
        pl.col("stores").str.len_chars() <= WHERE_MAX_LENGTH,
        f"where {{}} is too long; valid are up to {WHERE_MAX_LENGTH:,} characters",
        "where",
    ),
    Case(
        pl.col("stores").str.replace_all("\n", "", literal=True).str.contains(_CONTROL),
        *always("where has a control character inside"),
    ),
    VALID_FROM,
)


def targets_of(rows: pl.DataFrame) -> list[Target]:
    """Return what good rows say; a row without a target says nothing of stores and period."""
    read = rows.select("name", "since", "stores", "share", "kind").iter_rows()
    return [
        Target(name, since, "", None, "") if share is None else Target(name, since, stores, share, kind)
        for name, since, stores, share, kind in read
    ]


def settled(rows: Iterable[Target]) -> tuple[dict[tuple[str, int], Target], int, int]:
    """Return the target by name and valid_from, and how many rows are repeated and how many conflicting.

    Of several targets the highest one stands, and any before none.
    """
    rows = list(rows)
    distinct = sorted(set(rows), key=lambda row: (row.name, row.since, -(row.share or 0), row.where, row.period))
    found: dict[tuple[str, int], Target] = {}
    for row in distinct:
        found.setdefault((row.name, row.since), row)
    return found, len(rows) - len(distinct), len(distinct) - len(found)
