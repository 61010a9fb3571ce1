"""Rows of adjustments → rows for the ledger. Whether those of an entry agree is known when all of a source is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from uphours.ingest.cases import Case, always, missing, unless, unread
from uphours.ingest.invisible import trimmed
from uphours.ingest.local_dates import (
    VALID_LOCAL_INSTANTS,
    day_of_date,
    local_instant_forms,
    read_once,
    wall_clock_us,
)
from uphours.ingest.readers.batch import Batch, Problem
from uphours.ingest.special_rows import NAMES_EVERY_STORE
from uphours.ingest.timestamps import instants
from uphours.ingest.weeks import Late
from uphours.load_record import AdjustmentRow
from uphours.schema import DAY_US, FIRST_INSTANT, LAST_INSTANT, REASONS, SPAN_STATUSES, WITHDRAWAL

NOTE_MAX_LENGTH: Final = 4_000
ENTRY_MAX_LENGTH: Final = 64
COUNTS_AS: Final = {
    **{status: status for status in SPAN_STATUSES},
    "active": "up",
    "inactive": "down",
    WITHDRAWAL: WITHDRAWAL,
}
VALID_COUNTS_AS: Final = "valid are excluded, up, down, unknown, and withdrawal with the entry that it withdraws"
VALID_REASONS: Final = f"valid are {', '.join(REASONS)}"
VALID_BOUNDS: Final = "valid are start_utc and end_utc, or start_local and end_local"
_VALID_INSTANTS: Final = (
    "valid are 2024-11-03T06:30Z, 2024-11-03 06:30:00 UTC, Unix time, and dates alone, which are their midnight"
)
_REASONS: Final = {reason: reason for reason in REASONS}
_BOUNDS: Final = ("start_utc", "end_utc", "start_local", "end_local")
_CONTRADICTED: Final = Problem(
    *("rows of the entry differ in counts_as, reason, note or withdraws; valid is an entry that says one thing",) * 2
)


def _given(column: str) -> pl.Expr:
    return trimmed(pl.col(column).fill_null("")) != ""


_IS_WITHDRAWAL: Final = pl.col("meant").eq_missing(pl.lit(WITHDRAWAL))
_HAS_UTC: Final = _given("start_utc") | _given("end_utc")
_HAS_LOCAL: Final = _given("start_local") | _given("end_local")


def parsed(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with ``meant`` (what they count as) and ``why``, and bounds as ``start`` and ``end``.

    Bounds are microseconds since the epoch; ``is_local``: on the store's own clock.
    """

    def word(column: str, meanings: dict[str, str]) -> pl.Expr:
        text = trimmed(pl.col(column)).str.to_lowercase().str.replace_all(r"\s+", " ").str.replace_all("\u2019", "'")
        return text.replace_strict(meanings, default=None, return_dtype=pl.String)

    def bound(column: str) -> pl.Series:
        texts = rows[column]
        if column.endswith("_local"):
            return read_once(texts, wall_clock_us).alias(f"{column}_us")
        days = read_once(texts, day_of_date)
        return instants(texts).fill_null(days * DAY_US).alias(f"{column}_us")

    read = rows.with_columns(*map(bound, _BOUNDS), meant=word("counts_as", COUNTS_AS), why=word("reason", _REASONS))
    return read.with_columns(
        *(trimmed(pl.col(column).fill_null("")).alias(f"{column}_text") for column in ("note", "entry", "withdraws")),
        is_local=_HAS_LOCAL,
        start=pl.when(_HAS_LOCAL).then("start_local_us").otherwise("start_utc_us"),
        end=pl.when(_HAS_LOCAL).then("end_local_us").otherwise("end_utc_us"),
    )


def _cases_of_bound(column: str) -> tuple[Case, ...]:
    is_local = column.endswith("_local")
    other = column.replace("start", "end") if column.startswith("start") else column.replace("end", "start")
    value = f"{column}_us"
    valid = VALID_LOCAL_INSTANTS if is_local else _VALID_INSTANTS
    is_read = pl.col(value).is_not_null()
    text, cause = unread(
        value, column, f"unreadable {column} {{}}; {valid}", local_instant_forms(column) if is_local else []
    )[1:]
    inside = pl.col(value).is_between(FIRST_INSTANT, LAST_INSTANT)
    return (
        Case(~_given(column) & _given(other), *always(f"missing {column} beside {other}; {VALID_BOUNDS}")),
        Case(_given(column) & ~is_read, text, cause),
        unless(inside | ~is_read, f"{column} {{}} is not in the years 1970 to 2199", column),
    )


def _too_long(column: str, most: int) -> Case:
    length = pl.col(f"{column}_text").str.len_chars()
    return Case(
        length > most,
        pl.format(f"{column} has {{}} characters; valid are up to {most:,}", length),
        pl.lit(f"{column} has too many characters; valid are up to {most:,}"),
    )


CASES: Final = (
    NAMES_EVERY_STORE,
    missing("counts_as", VALID_COUNTS_AS),
    unread("meant", "counts_as", f"unknown counts_as {{}}; {VALID_COUNTS_AS}", []),
    missing("reason", VALID_REASONS),
    unread("why", "reason", f"unknown reason {{}}; {VALID_REASONS}, and anything in a note", []),
    Case(
        _IS_WITHDRAWAL & ~_given("withdraws"),
        *always("missing withdraws; valid is the entry that the row withdraws"),
    ),
    Case(
        _IS_WITHDRAWAL & (_HAS_UTC | _HAS_LOCAL),
        *always("a withdrawal has no start and no end: it withdraws a whole entry; valid is withdraws alone"),
    ),
    Case(
        ~_IS_WITHDRAWAL & _given("withdraws"),
        *always("withdraws stands beside what is no withdrawal; valid is counts_as withdrawal, without start and end"),
    ),
    Case(
        ~_IS_WITHDRAWAL & ~_HAS_UTC & ~_HAS_LOCAL,
        *always(f"missing start_utc and end_utc; {VALID_BOUNDS}"),
    ),
    Case(_HAS_UTC & _HAS_LOCAL, *always(f"start and end stand there in UTC and in local time; {VALID_BOUNDS}")),
    *(case for column in _BOUNDS for case in _cases_of_bound(column)),
    Case(
        (pl.col("end") <= pl.col("start")).fill_null(False),
        *always("the end is not after the start; valid are intervals of some length, the end not included"),
    ),
    _too_long("note", NOTE_MAX_LENGTH),
    _too_long("entry", ENTRY_MAX_LENGTH),
    _too_long("withdraws", ENTRY_MAX_LENGTH),
)


@dataclass
class SourceEntries:
    """The rows of one source that are good, as far as a row alone can tell."""

    rows: list[AdjustmentRow] = field(default_factory=list)
    lines: list[tuple[int, Callable[[Sequence[int]], list[bytes]]]] = field(default_factory=list)

    def keep(self, rows: pl.DataFrame, batch: Batch, file: int) -> None:
        """Take good rows of a batch of the file at a position."""
        read = rows.select("store", "start", "end", "is_local").iter_rows()
        texts = rows.select("meant", "why", "note_text", "entry_text", "withdraws_text").iter_rows()
        for (store, start, end, is_local), said, line in zip(read, texts, rows["line"].to_list(), strict=True):
            counts_as, reason, note, entry, withdraws = said
            self.rows.append(
                AdjustmentRow(
                    store, start or 0, end or 0, is_local, counts_as, reason, note, entry, withdraws, file, line
                )
            )
        self.lines.append((rows.height, batch.raw))

    def settled(self) -> tuple[list[AdjustmentRow], list[Late]]:
        """Return the rows for the ledger, and those of entries that say several things."""
        said: dict[str, set[tuple[str, ...]]] = {}
        for row in self.rows:
            said.setdefault(row.entry, set()).add((row.counts_as, row.reason, row.note, row.withdraws))
        unclear = {entry for entry, statements in said.items() if entry and len(statements) > 1}
        late: list[Late] = []
        start = 0
        for count, raw in self.lines:
            bad = [row for row in self.rows[start : start + count] if row.entry in unclear]
            contents = raw([row.line for row in bad])
            late += [
                Late(row.store, row.line, content, _CONTRADICTED) for row, content in zip(bad, contents, strict=True)
            ]
            start += count
        return [row for row in self.rows if row.entry not in unclear], late


def distinct(rows: Sequence[AdjustmentRow]) -> list[AdjustmentRow]:
    """Return each row once, in order of file and line; where all rows of a file have numbers as entries, of these.

    Rows without an entry that say the same are one, wherever they stand; the others where they stand in one file.
    """
    by_content: dict[tuple[object, ...], AdjustmentRow] = {}
    for row in sorted(rows, key=lambda row: (row.file, row.line)):
        content = row._replace(file=row.file if row.entry else -1, line=0)
        by_content.setdefault(tuple(content), row)
    kept = list(by_content.values())
    unnumbered = {row.file for row in kept if not (row.entry.isascii() and row.entry.isdigit())}
    return sorted(kept, key=lambda row: (row.file, 0 if row.file in unnumbered else int(row.entry), row.line))
