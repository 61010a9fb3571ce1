"""A made-up fleet that looks like a real one: polls about once an hour, a collector that fails now and then.

Used by ``uphours demo`` and ``POST /v1/demo`` at a small size and by the benchmark at full size. The same seed gives
the same files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.schema import DAY_US, HOUR_US, MINUTE_US, instant_text, instant_us

AS_OF: Final = instant_us("2023-01-25 18:13:22.47922 UTC")
#: Stores of the demonstration worth a closer look.
SHOWN: Final = ("1001", "1002", "1003", "1004")
#: One of them, which was down for a part of the last day.
TROUBLED: Final = "1004"
KINDS: Final[tuple[Literal["polls", "hours", "timezones"], ...]] = ("polls", "hours", "timezones")

_ZONES: Final = (
    "America/New_York", "America/New_York", "America/Los_Angeles",
    "America/Chicago", "America/Denver", "America/Phoenix",
)  # fmt: skip
#: Ways to be open: rows of a day, (from, to).
_DAYS: Final[tuple[tuple[tuple[str, str], ...], ...]] = (
    (("09:00:00", "21:00:00"),),
    (("10:30:00", "14:00:00"), ("17:00:00", "22:00:00")),
    (("18:00:00", "02:00:00"),),
    (("00:00:00", "02:00:00"), ("16:00:00", "23:59:59")),
    (("00:00:00", "23:59:59"),),
    (("11:00:00", "23:30:00"),),
)
#: Hours before as_of in which the collector was down: (from, to).
_COLLECTOR_GAPS: Final = ((62, 23), (130, 121), (12, 9))


@dataclass(frozen=True)
class Polls:
    """Observations in no order of time; ``stores`` index the store ids."""

    stores: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    active: npt.NDArray[np.bool_]


def polls(n: int, *, days: float = 7.76, as_of: int = AS_OF, seed: int = 20230125) -> Polls:
    """Draw the polls of n stores over some days up to ``as_of``: 1.86 million for 14,092 stores.

    Three stores in five never fail, one in six always does, the others have good and bad runs; one in eight is
    polled two or three times an hour; a poll in twelve is missing.
    """
    rng = np.random.default_rng(seed)
    hours_ago = np.arange(int(days * 24), 0, -1)
    for since, until in _COLLECTOR_GAPS:
        hours_ago = hours_ago[(hours_ago > since) | (hours_ago <= until)]
    per_hour = rng.choice([1, 2, 3], size=n, p=[0.88, 0.10, 0.02])
    kinds = rng.choice(3, size=n, p=[0.62, 0.175, 0.205])
    listings = np.repeat(np.arange(n), per_hour)
    stores, slots = np.nonzero(rng.random((len(listings), len(hours_ago))) < 0.92)
    jitter = rng.integers(0, 55 * MINUTE_US, len(slots))
    times = as_of - hours_ago[slots] * HOUR_US + jitter
    good_runs = _runs(rng, n, len(hours_ago))
    kind = kinds[listings[stores]]
    active = np.where(kind == 2, good_runs[listings[stores], slots], kind == 0)
    # As such files come: first all that was active, then the rest, in no order of time.
    order = rng.permutation(len(times))
    order = order[np.argsort(~active[order], kind="stable")]
    first = Polls(np.array([0]), np.array([as_of]), np.array([True]))
    return Polls(
        np.concatenate([first.stores, listings[stores][order]]),
        np.concatenate([first.times, times[order]]),
        np.concatenate([first.active, active[order]]),
    )


def _runs(rng: np.random.Generator, n: int, length: int) -> npt.NDArray[np.bool_]:
    """Draw alternating good and bad runs per store, good ones about 14 slots long, bad ones 7."""
    flips = rng.random((n, length))
    state = rng.random(n) < 0.7
    runs = np.empty((n, length), dtype=np.bool_)
    for slot in range(length):
        state = np.where(state, flips[:, slot] >= 1 / 14, flips[:, slot] < 1 / 7)
        runs[:, slot] = state
    return runs


def write_files(
    folder: Path, store_ids: pl.Series, *, days: float = 7.76, as_of: int = AS_OF, seed: int = 20230125
) -> None:
    """Write ``polls.csv``, ``hours.csv`` and ``timezones.csv`` of a made-up fleet whose last poll is at ``as_of``."""
    rng = np.random.default_rng(seed + 1)
    n = len(store_ids)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = polls(n, days=days, as_of=as_of, seed=seed)
    instants = pl.Series(drawn.times).cast(pl.Datetime("us")).dt.to_string("%Y-%m-%d %H:%M:%S%.6f")
    pl.DataFrame(
        {
            "store_id": store_ids.gather(drawn.stores),
            "status": pl.Series(drawn.active).replace_strict(
                {True: "active", False: "inactive"}, return_dtype=pl.String
            ),
            "timestamp_utc": instants.str.strip_chars_end("0").str.strip_chars_end(".") + " UTC",
        }
    ).write_csv(folder / "polls.csv")
    week_of = rng.integers(0, len(_DAYS), n)
    has_hours, has_zone = rng.random(n) < 0.79, rng.random(n) < 0.96
    rows = [
        (store_ids[store], day, opens, closes)
        for store in np.flatnonzero(has_hours).tolist()
        for day in range(7 if store % 5 else 6)
        for opens, closes in _DAYS[week_of[store]]
    ]
    columns = ["store_id", "day", "start_time_local", "end_time_local"]
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(folder / "hours.csv")
    zones = rng.integers(0, len(_ZONES), n)
    names = [(store_ids[store], _ZONES[zones[store]]) for store in np.flatnonzero(has_zone).tolist()]
    pl.DataFrame(names, schema=["store_id", "timezone_str"], orient="row").write_csv(folder / "timezones.csv")


def make_files(folder: Path, *, as_of: int = AS_OF) -> None:
    """Write the files of the demonstration: forty stores up to ``as_of``, and a few rows that make no sense."""
    write_files(folder, pl.Series([str(1001 + store) for store in range(40)]), as_of=as_of)
    morning = instant_text(as_of // DAY_US * DAY_US + 10 * HOUR_US)
    with (folder / "polls.csv").open("a", encoding="utf-8") as file:
        file.write(f"1007,activ,{morning}\n8.41954E+18,active,{morning}\n1009,inactive,soon\n")
