"""Rows as text → accepted rows of numbers + quarantine. Every row ends in exactly one of the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import numpy as np
import polars as pl

from uphours.ingest import attribute_rows, ledger_rows, special_rows, target_rows, weeks
from uphours.ingest.attribute_rows import AttributeRows
from uphours.ingest.cases import Case, missing, unless, unread
from uphours.ingest.crowded import TOO_MANY_HOURS, Crowded
from uphours.ingest.ids import ID, ID_CASES, ID_IS_BAD, StoreIds
from uphours.ingest.inputs import Kind
from uphours.ingest.invisible import trimmed_text
from uphours.ingest.ledger_rows import SourceEntries
from uphours.ingest.readers.batch import Batch
from uphours.ingest.readers.typed import instant_texts
from uphours.ingest.special_rows import TOO_MANY_TIMES, SourceSpecial
from uphours.ingest.statuses import STATUS_WORDS, VALID_STATUSES, status_codes
from uphours.ingest.timestamps import VALID_TIMESTAMPS, instants
from uphours.ingest.weeks import VALID_FROM, Late, Rows, SourceHours
from uphours.ingest.zones import is_fixed, meant_by, zone_of
from uphours.load_record import AdjustmentRow
from uphours.schema import (
    DAY_US,
    LAST_INSTANT,
    SINCE_EVER,
    UNKNOWN_TIMEZONE,
    YEAR_2000_US,
    Codes,
    Instants,
    Setting,
    Statuses,
    Target,
    instant_text,
)

Checked: TypeAlias = tuple[pl.DataFrame, Sequence[Case]]
"""Rows with their values read (null where that failed) and ``is_bad``, and the ways to be so; the first is reported."""

#: Up to here a batch is cheaper in few queries that look at each row than in more that look at each distinct value.
_FEW: Final = 1_000


@dataclass
class Accepted:
    """The good rows of a load, column by column, stores numbered in order of first appearance.

    Polls: ``stores`` int32, ``times`` int64, ``statuses`` uint8. Hours: int64 of shape (rows, 5), columns store,
    valid_from, day, start and end, local microseconds as written. Zones: ``(store, valid_from, name)``. Special hours:
    int64 of shape (rows, 4), columns store, date, start and end; ``(store, date, name)`` of those that have a name;
    ``unusable_dates``: store and date of rows that were rejected, so that no row of the date is used. All with
    repetitions, in the order of the input. ``pruned_before``: from when on all observations are there, as far as the
    sources say.

    ``unusable``: by kind, the stores of rejected rows of hours and zones. ``unreadable``: the same of lines that are
    no rows at all; what looks like the id on such a line may be anything.

    ``valid_from``: from which date on rows of hours and zones hold that name none, in days since the epoch. ``file``:
    the position of the source that is read.

    ``words``: the code of each word that is a status. ``notices``: what a person should know of how sources were read.
    """

    words: Mapping[str, int] = field(default_factory=lambda: STATUS_WORDS)
    notices: list[str] = field(default_factory=list)
    store_ids: StoreIds = field(default_factory=StoreIds)
    stores: list[Codes] = field(default_factory=list)
    times: list[Instants] = field(default_factory=list)
    statuses: list[Statuses] = field(default_factory=list)
    hours: list[Rows] = field(default_factory=list)
    timezones: list[tuple[int, int, str]] = field(default_factory=list)
    special_hours: list[special_rows.Rows] = field(default_factory=list)
    special_names: list[tuple[special_rows.Rows, Sequence[str]]] = field(default_factory=list)
    unusable_dates: set[tuple[int, int]] = field(default_factory=set)
    attributes: AttributeRows = field(default_factory=AttributeRows)
    adjustments: list[AdjustmentRow] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    unusable: dict[Setting, set[int]] = field(default_factory=lambda: {"hours": set(), "timezones": set()})
    unreadable: dict[Setting, set[int]] = field(default_factory=lambda: {"hours": set(), "timezones": set()})
    valid_from: int = SINCE_EVER
    file: int = 0
    _week: SourceHours = field(default_factory=SourceHours)
    _dates: SourceSpecial = field(default_factory=SourceSpecial)
    _entries: SourceEntries = field(default_factory=SourceEntries)
    _crowded: dict[Kind, Crowded] = field(default_factory=lambda: {"hours": Crowded(), "special": Crowded()})
    _zones_settled: int = 0
    pruned_before: int | None = None

    def add(self, kind: Kind, batch: Batch, now: int | None) -> tuple[int, pl.DataFrame]:
        """Accept the good rows of a batch; return how many, and ``(line, reason, cause)`` of each other one.

        ``now``, in microseconds: a poll over 24 h after it is from the future; None: no poll is.
        """
        if batch.attributes is not None:
            batch = replace(batch, attributes=attribute_rows.read_values(batch.attributes))
        rows, cases = self._judged(kind, batch, now)
        is_bad = rows["is_bad"]
        if not is_bad.any():
            self._keep(kind, rows, batch)
            return rows.height, _NONE_BAD
        good = rows.filter(~is_bad)
        self._keep(kind, good, batch)
        # In one chunk: over several, nested formats of Polars 2.1 run past the end of the first.
        bad = rows.filter(is_bad).rechunk()
        bad = bad if kind == "targets" else bad.with_columns(ID)
        if "timestamp_utc" in bad.columns and bad.schema["timestamp_utc"] == pl.Int64:
            bad = bad.with_columns(instant_texts(bad["timestamp_utc"]).alias("timestamp_utc"))
        if kind in ("hours", "timezones"):
            self._note_unusable(kind, bad)
        elif kind == "special":
            self._dates.see(bad)
        cases = cases if kind == "targets" else [*ID_CASES, *cases]
        reason, cause = (
            pl.coalesce(problem, *(pl.when(case.applies).then(text) for case, text in zip(cases, texts, strict=True)))
            for problem, texts in (
                ("problem", [case.reason for case in cases]),
                ("problem_cause", [case.cause for case in cases]),
            )
        )
        return good.height, bad.select("line", reason=reason, cause=cause)

    def days_seen(self) -> tuple[bool, bool]:
        """Return whether the rows of hours that are not settled yet, good or bad, have the days 0 and 7."""
        return self._week.seen

    def settle(self, name: str, seen: tuple[bool, bool] | None = None) -> list[Late]:
        """Decide what could not be decided before all of a source was read; return the rows that are rejected now.

        Parameters
        ----------
        name
            What notices call the source.
        seen
            Whether days 0 and 7 occur, where this is only a part of the source.
        """
        late: list[Late] = []
        if self._week.count:
            rows, late, notice = self._week.settled(seen)
            self.hours.append(rows)
            self.unusable["hours"].update(row.store for row in late)
            if notice:
                self.notices.append(f"{name}: {notice}")
        self._week = SourceHours()
        if self._dates.rows or self._dates.unusable:
            late += self._settle_dates()
        if self._entries.rows:
            entries, rejected = self._entries.settled()
            self.adjustments += entries
            late += rejected
        self._entries = SourceEntries()
        fixed = {zone for _, _, zone in self.timezones[self._zones_settled :] if is_fixed(zone)}
        if fixed:
            self.notices.append(
                f"{name}: {', '.join(sorted(fixed))} is without summer time all year; a place may have it"
            )
        self._zones_settled = len(self.timezones)
        return late

    def _settle_dates(self) -> list[Late]:
        rows, names, late = self._dates.settled()
        self.special_hours.append(rows)
        if any(names):
            self.special_names.append((rows[:, :2], names))
        self.unusable_dates |= self._dates.unusable
        self._dates = SourceSpecial()
        return late

    def _judged(self, kind: Kind, batch: Batch, now: int | None) -> Checked:
        rows = batch.rows
        if kind == "targets":  # which are of no store
            rows = weeks.dated(target_rows.parsed(rows), SINCE_EVER)
            return rows.with_columns(is_bad=_is_bad(pl.col("problem").is_not_null(), target_rows.CASES)), (
                target_rows.CASES
            )
        if kind == "polls" and rows.height <= _FEW and rows.schema["timestamp_utc"] == pl.String:
            return self._few_polls(rows, now)
        numbers, id_is_bad = self.store_ids.numbers(rows["store_id"])
        rows = rows.with_columns(store=pl.Series(numbers), id_is_bad=pl.Series(id_is_bad))
        if kind == "polls":
            rows = self._with_values(rows)
            return rows.with_columns(is_bad=_is_bad_poll(now)), _poll_cases(now)
        rows, cases = self._checked(kind, rows, batch)
        if kind == "hours":
            self._week.see(rows["day_number"])
        rows = rows.with_columns(is_bad=_is_bad(_IS_NO_ROW, cases))
        if kind == "hours":
            return self._uncrowded(kind, rows, [*cases, TOO_MANY_HOURS])
        return self._uncrowded(kind, rows, [*cases, TOO_MANY_TIMES]) if kind == "special" else (rows, cases)

    def _checked(self, kind: Kind, rows: pl.DataFrame, batch: Batch) -> Checked:
        """Read the values of rows of all kinds but polls."""
        if kind == "hours":
            return weeks.dated(weeks.parsed(rows), self.valid_from), weeks.CASES
        if kind == "timezones":
            return _zones(weeks.dated(rows, self.valid_from))
        if kind == "special":
            return special_rows.parsed(rows), special_rows.CASES
        if kind == "adjustments":
            return ledger_rows.parsed(rows), ledger_rows.CASES
        assert batch.attributes is not None
        return attribute_rows.judged(weeks.dated(rows, SINCE_EVER), batch.attributes), attribute_rows.CASES

    def _uncrowded(self, kind: Kind, rows: pl.DataFrame, cases: Sequence[Case]) -> Checked:
        """Reject rows of weeks and dates that have too many."""
        good = np.flatnonzero(~rows["is_bad"].to_numpy())
        is_beyond = np.zeros(rows.height, dtype=np.bool_)
        values = weeks.values_of if kind == "hours" else special_rows.values_of
        is_beyond[good] = self._crowded[kind].beyond(values(rows[good]))
        rows = rows.with_columns(is_beyond=pl.Series(is_beyond))
        return rows.with_columns(is_bad=pl.col("is_bad") | pl.col("is_beyond")), cases

    def _with_values(self, polls: pl.DataFrame) -> pl.DataFrame:
        codes = status_codes(polls["status"], self.words)
        return polls.with_columns(codes.alias("status_code"), instants(polls["timestamp_utc"]).alias("observed_at"))

    def _few_polls(self, rows: pl.DataFrame, now: int | None) -> Checked:
        """Check polls in as few queries as can be: for some rows it is their number that takes the time."""
        rows = (
            self._with_values(rows)
            .lazy()
            .with_columns_seq(ID)
            .with_columns_seq(id_is_bad=ID_IS_BAD)
            .with_columns_seq(is_bad=_is_bad_poll(now))
            .collect(optimizations=_AS_WRITTEN)
        )
        ids = zip(rows["id"].to_list(), rows["id_is_bad"].to_list(), strict=True)
        numbers = [0 if is_bad else self.store_ids.number(store_id) for store_id, is_bad in ids]
        return rows.hstack([pl.Series("store", numbers, dtype=pl.Int32)]), _poll_cases(now)

    def _keep(self, kind: Kind, rows: pl.DataFrame, batch: Batch) -> None:
        if kind == "polls":
            self.stores.append(rows["store"].to_numpy())
            self.times.append(rows["observed_at"].to_numpy())
            self.statuses.append(rows["status_code"].to_numpy())
        elif kind == "hours":
            self._week.keep(rows, batch)
        elif kind == "timezones":
            is_unknown = pl.col("timezone") == UNKNOWN_TIMEZONE
            self.timezones.extend(rows.filter(~is_unknown).select("store", "since", "timezone").iter_rows())
            self.unusable["timezones"].update(rows.filter(is_unknown)["store"].to_list())
        elif kind == "special":
            self._dates.keep(rows, batch)
        elif kind == "adjustments":
            self._entries.keep(rows, batch, self.file)
        elif kind == "targets":
            self.targets += target_rows.targets_of(rows)
        else:
            assert batch.attributes is not None
            self.attributes.keep(rows, batch.attributes)

    def _note_unusable(self, kind: Setting, bad: pl.DataFrame) -> None:
        named = bad.filter(~pl.col("id_is_bad")).select("store", is_row=pl.col("problem").is_null()).unique()
        for stores, is_row in ((self.unusable, True), (self.unreadable, False)):
            stores[kind].update(named.filter(pl.col("is_row") == is_row)["store"].to_list())


_IS_NO_ROW: Final = pl.col("problem").is_not_null() | pl.col("id_is_bad")
_AS_WRITTEN: Final = pl.QueryOptFlags.none()
_NONE_BAD: Final = pl.DataFrame(schema={"line": pl.Int64, "reason": pl.String, "cause": pl.String})
_TIMESTAMP_FORMS: Final = [
    (
        r"^[0-9]+(?:[.,][0-9]+)?[eE][+-]?[0-9]+$",
        f"timestamp_utc {{}} is in scientific notation: a spreadsheet has cut off its digits; {VALID_TIMESTAMPS}",
    ),
    (
        r"^[0-9]{4}-?(?:[0-9]{2}-?[0-9]{2}|-?W[0-9]{2}(?:-?[0-9])?|-[0-9]{3})$",
        f"timestamp_utc {{}} is a date alone and names no instant; {VALID_TIMESTAMPS}",
    ),
    (
        r"^[0-9]{1,25}(?:\.[0-9]*)?$",
        "timestamp_utc {} has not the length of Unix time; valid are 10 digits (seconds), 13 "
        "(milliseconds), 16 (microseconds) and 19 (nanoseconds) before the point",
    ),
]
_POLL_CASES: Final = (
    missing("status", VALID_STATUSES),
    unread("status_code", "status", f"unknown status {{}}; {VALID_STATUSES}", []),
    missing("timestamp_utc", VALID_TIMESTAMPS),
    unread("observed_at", "timestamp_utc", f"unreadable timestamp_utc {{}}; {VALID_TIMESTAMPS}", _TIMESTAMP_FORMS),
    unless(pl.col("observed_at") >= YEAR_2000_US, "timestamp_utc {} is before the year 2000", "timestamp_utc"),
    unless(pl.col("observed_at") < LAST_INSTANT, "timestamp_utc {} is after the year 2199", "timestamp_utc"),
)
_IS_BAD_POLL: Final = (
    _IS_NO_ROW
    | pl.col("status_code").is_null()
    | pl.col("observed_at").is_null()
    | ~pl.col("observed_at").is_between(YEAR_2000_US, LAST_INSTANT, closed="left")
)


def _is_bad(is_no_row: pl.Expr, cases: Sequence[Case]) -> pl.Expr:
    return pl.any_horizontal(is_no_row, *(case.applies for case in cases)).fill_null(False)


def _is_bad_poll(now: int | None) -> pl.Expr:
    is_bad = _IS_BAD_POLL if now is None else _IS_BAD_POLL | (pl.col("observed_at") > now + DAY_US)
    return is_bad.fill_null(True)


def _poll_cases(now: int | None) -> Sequence[Case]:
    if now is None:
        return _POLL_CASES
    cause = "timestamp_utc is more than 24 h in the future"
    text = f"timestamp_utc {{}} is more than 24 h in the future, now is {instant_text(now)}"
    return [*_POLL_CASES, unless(pl.col("observed_at") <= now + DAY_US, text, "timestamp_utc", cause)]


_VALID_ZONES: Final = "valid are IANA names such as America/Chicago, and the names of Windows"


def _zones(rows: pl.DataFrame) -> Checked:
    texts = rows["timezone_str"].drop_nulls().unique()
    trimmed = [trimmed_text(text) for text in texts.to_list()]
    zones = {
        "timezone": [zone_of(text) for text in trimmed],
        "meant": [meant_by(text) for text in trimmed],
    }
    read = rows.with_columns(
        pl.col("timezone_str").replace_strict(texts, pl.Series(values, dtype=pl.String), default=None).alias(column)
        for column, values in zones.items()
    )
    name = pl.col("timezone_str")
    abbreviation = "zone {} is an abbreviation, not a place; it may mean {}"
    return read, [
        missing("timezone_str", _VALID_ZONES),
        Case(
            pl.col("timezone").is_null() & pl.col("meant").is_not_null(),
            pl.format(abbreviation, pl.format("'{}'", name), "meant"),
            pl.lit("zone is an abbreviation, not a place"),
        ),
        unread("timezone", "timezone_str", f"unknown zone {{}}; {_VALID_ZONES}", []),
        VALID_FROM,
    ]
