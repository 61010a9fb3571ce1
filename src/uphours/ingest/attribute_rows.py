"""Rows of stores → attributes: their names and values, and of first and last days the date."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import polars as pl

from uphours.ingest.cases import Case
from uphours.ingest.invisible import trimmed
from uphours.ingest.local_dates import VALID_DATES, date_text, day_of_date, read_once
from uphours.ingest.special_rows import NAMES_EVERY_STORE
from uphours.ingest.weeks import VALID_FROM

VALUE_MAX_LENGTH: Final = 255
_DAYS: Final = ("first_day", "last_day")
_VALID_LENGTH: Final = f"valid are up to {VALUE_MAX_LENGTH} characters"
_VALID_DAYS: Final = f"{VALID_DATES}, and nothing for no limit"
#: So much of a bad value stands in the reason.
_SHOWN: Final = 60

CASES: Final = (
    NAMES_EVERY_STORE,
    VALID_FROM,
    Case(pl.col("wrong").is_not_null(), pl.col("wrong"), pl.col("wrong_cause")),
)


def read_values(values: pl.DataFrame) -> pl.DataFrame:
    """Return ``line, name, value`` with values as they are kept; of others ``wrong`` and ``wrong_cause`` say why.

    First and last days are written as ISO dates.
    """
    read = values.with_columns(trimmed(pl.col("value")))
    is_day = pl.col("name").is_in(_DAYS) & (pl.col("value") != "")
    days = read_once(read.select(pl.when(is_day).then("value")).to_series(), day_of_date)
    texts = pl.Series([None if day is None else date_text(day) for day in days.to_list()], dtype=pl.String)
    is_unread = is_day & pl.col("iso").is_null()
    length = pl.col("value").str.len_chars()
    is_long = length > VALUE_MAX_LENGTH
    shown = pl.col("value").str.head(_SHOWN).str.replace_all(r"\p{Cc}", "\ufffd")
    return (
        read.with_columns(iso=texts)
        .with_columns(
            wrong=pl.when(is_unread)
            .then(pl.format("unreadable {} '{}'; {}", "name", shown, pl.lit(_VALID_DAYS)))
            .when(is_long)
            .then(pl.format("{} has {} characters; {}", "name", length, pl.lit(_VALID_LENGTH))),
            wrong_cause=pl.when(is_unread)
            .then(pl.format("unreadable {}; {}", "name", pl.lit(_VALID_DAYS)))
            .when(is_long)
            .then(pl.lit(f"an attribute has too many characters; {_VALID_LENGTH}")),
        )
        .with_columns(value=pl.coalesce("iso", "value"))
        .drop("iso")
    )


def judged(rows: pl.DataFrame, values: pl.DataFrame) -> pl.DataFrame:
    """Return rows with ``wrong`` and ``wrong_cause``: the first thing that is wrong with the values of each."""
    first = values.filter(pl.col("wrong").is_not_null()).unique("line", keep="first", maintain_order=True)
    days = values.filter(pl.col("name").is_in(_DAYS) & pl.col("wrong").is_null() & (pl.col("value") != ""))
    bounds = days.group_by("line").agg(
        first_day=pl.col("value").filter(pl.col("name") == "first_day").first(),
        last_day=pl.col("value").filter(pl.col("name") == "last_day").first(),
    )
    text = "first_day {} is after last_day {}; valid is the other order, and one day that is both"
    return (
        rows.join(first.select("line", "wrong", "wrong_cause"), on="line", how="left", maintain_order="left")
        .join(bounds, on="line", how="left", maintain_order="left")
        .with_columns(is_reversed=(pl.col("first_day") > pl.col("last_day")).fill_null(False))
        .with_columns(
            wrong=pl.when("is_reversed").then(pl.format(text, "first_day", "last_day")).otherwise("wrong"),
            wrong_cause=pl.when("is_reversed").then(pl.lit(text.replace(" {}", ""))).otherwise("wrong_cause"),
        )
        .drop("first_day", "last_day", "is_reversed")
    )


@dataclass
class AttributeRows:
    """The good rows of a load: ``row, store, since``, and of each its values, ``row, name, value``."""

    rows: list[pl.DataFrame] = field(default_factory=list)
    values: list[pl.DataFrame] = field(default_factory=list)
    count: int = 0

    def keep(self, rows: pl.DataFrame, values: pl.DataFrame) -> None:
        """Take good rows of a batch: ``store``, ``since`` and ``line``, and the values by line."""
        numbered = rows.select(
            "line", pl.col("store").cast(pl.Int64), "since", row=pl.int_range(self.count, self.count + pl.len())
        )
        self.rows.append(numbered.select("row", "store", "since"))
        self.values.append(values.join(numbered.select("line", "row"), on="line").select("row", "name", "value"))
        self.count += rows.height

    def stores(self) -> list[int]:
        """Return the stores that rows speak of."""
        return pl.concat([row["store"] for row in self.rows]).unique().sort().to_list() if self.rows else []

    def settled(self) -> tuple[dict[tuple[int, str, int], str], int, int]:
        """Return the value by store, name and valid_from, and how many rows are repeated and how many conflicting.

        Of several values the first one as text stands, and any before none.
        """
        if not self.count:
            return {}, 0, 0
        rows, values = pl.concat(self.rows), pl.concat(self.values)
        cells = values.join(rows, on="row")
        said = cells.group_by("row").agg(said=pl.concat_str("name", "value", separator="\0").sort().str.join("\1"))
        distinct = rows.join(said, on="row", how="left").unique(["store", "since", "said"], keep="first").select("row")
        key = ["store", "name", "since"]
        chosen = cells.sort(pl.col("value") == "", "value").unique(key, keep="first", maintain_order=True)
        losing = cells.join(distinct, on="row").join(chosen.select(*key, won="value"), on=key)
        conflicting = losing.filter(pl.col("value") != pl.col("won"))["row"].n_unique()
        kept = {(store, name, since): value for store, name, since, value in chosen.select(*key, "value").iter_rows()}
        return kept, rows.height - distinct.height, conflicting
