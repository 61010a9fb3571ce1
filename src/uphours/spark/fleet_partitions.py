"""Rows of a bucket, in order of store → fleets of whole stores, as large as memory may hold at once.

Runs in Spark's Python workers, behind the shuffle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from uphours.ingest.load import collected, counts_of
from uphours.ingest.memory_fleet import MemoryFleet, memory_fleet
from uphours.ingest.quarantine import Quarantine
from uphours.ingest.validate import Accepted
from uphours.load_record import Loaded, StoreCounts
from uphours.schema import EVERY_STORE, unpack
from uphours.spark.rows import Needed, gathered
from uphours.spark.setting_lines import OF_EVERY_STORE, accept_settings

if TYPE_CHECKING:
    import pyarrow as pa

#: Rows that are given to the kernel at once, cut between two stores: 4,000 stores with a week of hourly polls.
ROWS_AT_ONCE: Final = 700_000


@dataclass(frozen=True)
class Part:
    """Some whole stores of a bucket, the instant that numbers are about, and what the tables held.

    ``counts``: what is known of these stores. ``notes``: the rows of tables, as JSON (`uphours.spark.rows.Checked`).
    ``as_of`` is None where nothing was ever observed, at any store.
    """

    fleet: MemoryFleet
    counts: StoreCounts
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
    of_every_store: list[str] = []
    for rows in _whole_stores(_noting(batches, of_every_store), as_of, needs):
        instant = as_of if as_of is not None else rows["as_of"][0]
        loaded = _loaded(rows.filter(pl.col("store_id") != ""), of_every_store)
        notes = rows.filter(pl.col("store_id") == "")["setting"].to_list()
        yield Part(memory_fleet(loaded), counts_of(loaded), instant, notes)


def _noting(batches: Iterator[pa.RecordBatch], of_every_store: list[str]) -> Iterator[pl.DataFrame]:
    """Yield tables of rows, after noting what their column `OF_EVERY_STORE` says; the first row of a bucket has it."""
    for rows in gathered(batches):
        if OF_EVERY_STORE in rows.columns:
            of_every_store += [line for text in rows[OF_EVERY_STORE].drop_nulls() for line in text.splitlines()]
        yield rows.drop(OF_EVERY_STORE, strict=False)


def _whole_stores(
    tables: Iterator[pl.DataFrame], as_of: int | None, needs: Callable[[int | None], Needed | None]
) -> Iterator[pl.DataFrame]:
    waiting: list[pl.DataFrame] = []
    height = 0
    for rows in tables:
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


def _loaded(rows: pl.DataFrame, of_every_store: Sequence[str]) -> Loaded:
    """Return what rows bring, by the rules that hold for files; settings of every store beside them."""
    ids = rows["store_id"]
    runs = ids.rle_id().to_numpy()
    heads = ids.gather(np.flatnonzero(np.diff(runs, prepend=-1))).to_list()
    accepted = Accepted()
    numbers = np.array([accepted.store_ids.number(head) for head in heads], dtype=np.int32)
    rows = rows.select("moment", "setting", store=pl.Series(numbers[runs], dtype=pl.Int32))

    polls = rows.filter(pl.col("moment").is_not_null())
    times, statuses = unpack(polls["moment"].to_numpy())
    accepted.stores.append(polls["store"].to_numpy())
    accepted.times.append(times)
    accepted.statuses.append(statuses)

    accept_settings(accepted, rows.filter(pl.col("moment").is_null()).select("store", "setting"))
    everywhere = pl.DataFrame({"setting": of_every_store}, schema={"setting": pl.String})
    accept_settings(accepted, everywhere.select(pl.lit(EVERY_STORE).alias("store"), "setting"))
    return collected(accepted, [], Quarantine(), started_at=0)
