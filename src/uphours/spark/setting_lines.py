"""Hours, zones, special hours, attributes and the ledger ↔ rows to shuffle, each a line of text beside its store.

A line is a word and values: ``hours 0 32400000000 61200000000 [valid_from]``, ``zone America/Chicago [valid_from]``,
``special 20089 86400000000 0``, ``first_day 2024-05-01 [valid_from]``, ``attribute ["region","TX",19000]``, ``adjusted
7 START END utc excluded``. What no number needs is left out: of attributes all but the days, those that are asked for,
and that there is such a store, of the ledger all but live entries.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.ingest.given import Given
from uphours.ingest.memory_fleet import live_entries
from uphours.ingest.validate import Accepted
from uphours.load_record import AdjustmentRow, Loaded
from uphours.schema import EVERY_STORE, EVERY_STORE_ID, SINCE_EVER, Setting

#: A column beside the rows of a bucket: what special hours say of every store, in its first row.
OF_EVERY_STORE: Final = "of_every_store"
POLARS: Final = {"store_id": pl.String, "moment": pl.Int64, "setting": pl.String}

#: Rows of hours, or zones, were rejected: of this store, or of a line that is no row.
_UNUSABLE: Final[Mapping[Setting, str]] = {"hours": "unusable_hours", "timezones": "unusable_zone"}
_UNREADABLE: Final[Mapping[Setting, str]] = {"hours": "unreadable_hours", "timezones": "unreadable_zone"}
#: Attributes or the ledger speak of the store.
_MENTIONED: Final = "mentioned"
_DAYS: Final = ("first_day", "last_day")
_ATTRIBUTE: Final = "attribute"
_CLOCKS: Final = ("utc", "local")


def settings(loaded: Loaded, attributes: Collection[str] = ()) -> pl.DataFrame:
    """Return what was read and checked already as rows to shuffle; those of every store are under its id.

    ``attributes``: the names of those that are asked for.
    """
    names = pl.Series(loaded.store_ids, dtype=pl.String)
    described = [store for store, _, _ in loaded.attributes]
    parts = [_given_rows(names, loaded, described, attributes)]
    for kind in _UNUSABLE:
        others = pl.Series(loaded.unreadable[kind], dtype=pl.String)
        parts.append(_rows(names, _UNUSABLE[kind], loaded.unusable[kind]))
        parts.append(_rows(others, _UNREADABLE[kind], range(len(others))))
    return pl.concat(parts)


def settings_of(
    names: pl.Series, given: Given, unreadable: Mapping[Setting, set[int]], attributes: Collection[str]
) -> pl.DataFrame:
    """Return what a part of a table says as rows to shuffle; ``names`` are the ids of stores by number."""
    parts = [_given_rows(names, given, given.described, attributes)]
    for kind in _UNUSABLE:
        parts.append(_rows(names, _UNUSABLE[kind], sorted(given.unusable[kind])))
        parts.append(_rows(names, _UNREADABLE[kind], sorted(unreadable[kind])))
    return pl.concat(parts)


def accept_settings(accepted: Accepted, rows: pl.DataFrame) -> None:
    """Take rows that were shuffled: ``store`` by number, and ``setting``."""
    word_and_values = pl.col("setting").str.splitn(" ", 2).struct
    rest = word_and_values.field("field_1")
    split = rows.select("store", word=word_and_values.field("field_0"), rest=rest, values=rest.str.split(" "))
    found = {key[0]: part for key, part in split.partition_by("word", as_dict=True).items()}

    def numbers(word: str, columns: int) -> npt.NDArray[np.int64]:
        """Return store and values of the rows with a word; a date that is not there is `SINCE_EVER`."""
        fields = [
            pl.col("values").list.get(place, null_on_oob=True).cast(pl.Int64).fill_null(SINCE_EVER).alias(str(place))
            for place in range(columns)
        ]
        part = found.get(word, split.clear()).select(pl.col("store").cast(pl.Int64), *fields)
        return part.to_numpy(order="c").reshape(-1, columns + 1)

    def texts(word: str) -> list[tuple[int, list[str]]]:
        return list(found.get(word, split.clear()).select("store", "values").iter_rows())

    for kind in _UNUSABLE:
        accepted.unusable[kind].update(store for store, _ in texts(_UNUSABLE[kind]))
        accepted.unreadable[kind].update(store for store, _ in texts(_UNREADABLE[kind]))
    accepted.hours.append(numbers("hours", 4)[:, [0, 4, 1, 2, 3]])
    accepted.timezones.extend((store, _date(since), name) for store, (name, *since) in texts("zone"))
    accepted.special_hours.append(numbers("special", 3))
    cells = [(store, _date(since), name, day) for name in _DAYS for store, (day, *since) in texts(name)]
    for store, text in found.get(_ATTRIBUTE, split.clear()).select("store", "rest").iter_rows():
        name, value, since = json.loads(text)
        cells.append((store, since, name, value))
    _accept_attributes(accepted, cells, [store for store, _ in texts(_MENTIONED)])
    for store, (entry, start, end, clock, counts_as) in texts("adjusted"):
        is_local = clock == _CLOCKS[1]
        accepted.adjustments.append(
            AdjustmentRow(store, int(start), int(end), is_local, counts_as, "other", "", entry, "", 0, 0)
        )


def _date(rest: Sequence[str]) -> int:
    return int(rest[0]) if rest else SINCE_EVER


def _accept_attributes(
    accepted: Accepted, values: Sequence[tuple[int, int, str, str]], mentioned: Sequence[int]
) -> None:
    schema = {"store": pl.Int64, "since": pl.Int64, "name": pl.String, "value": pl.String}
    cells = pl.DataFrame(values, schema=schema, orient="row")
    without = pl.DataFrame({"store": mentioned}, schema={"store": pl.Int64}).with_columns(since=pl.lit(SINCE_EVER))
    rows = pl.concat([cells, without], how="diagonal_relaxed").with_row_index("line")
    named = rows.filter(pl.col("name").is_not_null()).select("line", "name", "value")
    accepted.attributes.keep(rows.select("store", "since", "line"), named)


# --- rows -------------------------------------------------------------------------------------------------------


def _given_rows(
    names: pl.Series, given: Given | Loaded, described: Sequence[int], attributes: Collection[str]
) -> pl.DataFrame:
    hours = pl.DataFrame(given.hours, schema=["store", "since", "day", "opens", "closes"])
    special = pl.DataFrame(given.special_hours, schema=["store", "date", "opens", "closes"])
    zones = [(store, name, since) for (store, since), name in given.timezones.items()]
    days = [(store, name, value, since) for (store, name, since), value in given.attributes.items() if name in _DAYS]
    others = [
        (store, _ATTRIBUTE, json.dumps([name, value, since]))
        for (store, name, since), value in given.attributes.items()
        if name in attributes and name not in _DAYS
    ]
    adjusted = [
        (row.store, "adjusted", number, row.start, row.end, _CLOCKS[row.is_local], row.counts_as)
        for row, number in live_entries(given.adjustments)
    ]
    mentioned = {*described, *(row.store for row in given.adjustments)}
    return pl.concat(
        [
            _lines(names, hours.select("store", pl.lit("hours"), "day", "opens", "closes", "since")),
            _lines(names, special.select("store", pl.lit("special"), "date", "opens", "closes")),
            _lines(names, _frame(("name", "since"), zones).select("store", pl.lit("zone"), "name", "since")),
            _lines(names, _frame(("word", "day", "since"), days)),
            _lines(names, _frame(("word", "text"), others)),
            _lines(names, _frame(("word", "number", "start", "end", "clock", "counts_as"), adjusted)),
            _rows(names, _MENTIONED, sorted(mentioned)),
        ]
    )


def _rows(names: pl.Series, word: str, stores: Sequence[int]) -> pl.DataFrame:
    return _lines(names, _frame(("word",), [(store, word) for store in stores]))


def _frame(columns: Sequence[str], rows: Sequence[tuple[int | str, ...]]) -> pl.DataFrame:
    """Return values by ``store``; all of them but numbers are text."""
    numbers = dict.fromkeys(("store", "since", "number", "start", "end"), pl.Int64)
    schema = {column: numbers.get(column, pl.String) for column in ("store", *columns)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _lines(names: pl.Series, table: pl.DataFrame) -> pl.DataFrame:
    """Return a line of the values of each row, the store aside; a date that is since ever is left out."""
    if "since" in table.columns:
        table = table.with_columns(pl.when(pl.col("since") != SINCE_EVER).then("since").alias("since"))
    ids = names.extend_constant(EVERY_STORE_ID, 1)
    places = np.where(table["store"] == EVERY_STORE, len(names), table["store"])
    line = pl.concat_str(pl.exclude("store"), separator=" ", ignore_nulls=True)
    return table.select(line.alias("setting")).select(
        store_id=ids.gather(places), moment=pl.lit(None, dtype=pl.Int64), setting=pl.col("setting")
    )
