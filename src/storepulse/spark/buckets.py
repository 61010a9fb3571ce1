"""Rows of a bucket, in order of store → fleets of whole stores, as large as memory shall hold at once.

Runs in Spark's Python workers, behind the shuffle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from storepulse import ingest
from storepulse.ingest.validation import Accepted
from storepulse.spark.rows import Needed, gathered

if TYPE_CHECKING:
    import pyarrow as pa

#: So many rows are given to the kernel at once, cut between two stores: 4,000 stores with a week of hourly polls.
ROWS_AT_ONCE: Final = 700_000


@dataclass(frozen=True)
class Part:
    """Some whole stores of a bucket, the instant that numbers are about, and what is to be told of bad rows.

    ``as_of`` is None where nothing was ever observed, at any store.
    """

    fleet: ingest.MemoryFleet
    as_of: int | None
    notes: list[str]


def parts(
    batches: Iterator[pa.RecordBatch], as_of: int | None, needs: Callable[[int | None], Needed | None]
) -> Iterator[Part]:
    """Yield the stores of a bucket; a store's rows stand together, or at least those of its hash do.

    Parameters
    ----------
    as_of
        UTC microseconds, or None where the rows have it in a column of their own.
    needs
        From that instant to the observations that are needed; all others are forgotten as they come, so that the
        memory for a store grows with its windows, not with its history.
    """
    for rows in _whole_stores(batches, as_of, needs):
        instant = as_of if as_of is not None else rows["as_of"][0]
        yield Part(_fleet(rows.filter(pl.col("store_id") != "")), instant, _notes(rows))


def _notes(rows: pl.DataFrame) -> list[str]:
    return rows.filter(pl.col("store_id") == "")["setting"].to_list()


def _whole_stores(
    batches: Iterator[pa.RecordBatch], as_of: int | None, needs: Callable[[int | None], Needed | None]
) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    height = 0
    for rows in gathered(batches):
        needed = needs(as_of if as_of is not None else rows["as_of"][0])
        kept = rows if needed is None else needed.of(rows)
        if not kept.height:
            continue
        # From here on its last store may go on in the next batch. Two stores of one hash may take turns.
        border = int(kept["bucket"].search_sorted(kept["bucket"][-1], side="left"))
        begins_anew = not waiting or waiting[-1]["bucket"][-1] != kept["bucket"][0]
        if height >= ROWS_AT_ONCE and (border or begins_anew):
            yield pl.concat([*waiting, kept[:border]])
            waiting, height = [], 0
            kept = kept[border:]
        waiting.append(kept)
        height += kept.height
    if waiting:
        yield pl.concat(waiting)


def _fleet(rows: pl.DataFrame) -> ingest.MemoryFleet:
    """Return the fleet that rows describe, by the rules that hold for files."""
    ids = rows["store_id"]
    runs = ids.rle_id().to_numpy()
    heads = ids.gather(np.flatnonzero(np.diff(runs, prepend=-1))).to_list()
    accepted = Accepted()
    numbers = np.array([accepted.store_ids.number(head) for head in heads], dtype=np.int32)
    rows = rows.select("moment", "setting", store=pl.Series(numbers[runs], dtype=pl.Int32))

    polls = rows.filter(pl.col("moment").is_not_null())
    moments = polls["moment"].to_numpy()
    accepted.stores.append(polls["store"].to_numpy())
    accepted.times.append(moments >> 1)
    accepted.statuses.append((moments & 1).astype(np.uint8))

    settings = rows.filter(pl.col("moment").is_null())
    is_hours = settings["setting"].str.contains("^[0-9]")
    hours = settings.filter(is_hours).select(
        pl.col("store").cast(pl.Int64),
        *(pl.col("setting").str.split(" ").list.get(place).cast(pl.Int64).alias(str(place)) for place in range(3)),
    )
    accepted.hours.append(hours.to_numpy(order="c").reshape(-1, 4))
    accepted.timezones.extend(settings.filter(~is_hours).select("store", "setting").iter_rows())
    return ingest.memory_fleet(ingest.loaded(accepted, [], [], started_at=0, version=""))
