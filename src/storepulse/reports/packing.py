"""Reports as they are kept: whole and exact, so that every format can be written from one again later."""

from __future__ import annotations

import io
import json
from dataclasses import fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from storepulse.errors import StoreError
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import Windows
from storepulse.reports.report import Report, Totals

#: The number of this form; one more whenever bytes of the former form could not be read any more.
_FORM: Final = 1
_RECORD: Final = "storepulse.report"
_TOTALS: Final = tuple(field.name for field in fields(Totals))


def packed(report: Report) -> bytes:
    """Return a report as bytes to keep: a Parquet file of its integers, and the rest as JSON in its metadata.

    A row per store, a column per total and window. The totals are those before unknown time is booked, so nothing
    is rounded or lost. The same report gives the same bytes.
    """
    arrays = {"starts": report.windows.starts, "ends": report.windows.ends} | vars(report.totals)
    table = pl.DataFrame(
        [
            pl.Series("store_id", report.store_ids, dtype=pl.String),
            *(
                pl.Series(_column(name, place), values[:, place])
                for name, values in arrays.items()
                for place in range(values.shape[1])
            ),
        ]
    )
    file = io.BytesIO()
    record = json.dumps(_record(report), ensure_ascii=False, separators=(",", ":"))
    table.write_parquet(file, compression="zstd", compression_level=1, statistics=False, metadata={_RECORD: record})
    return file.getvalue()


def unpacked(content: bytes) -> Report:
    """Return the report that was packed.

    Raises
    ------
    StoreError
        The bytes are no packed report, or one of a newer version.
    """
    try:
        record = json.loads(pl.read_parquet_metadata(io.BytesIO(content))[_RECORD])
        if record["form"] != _FORM:
            raise StoreError(
                f"the kept report has form {record['form']}, this program knows form {_FORM}; "
                f"use the version of storepulse that wrote it, {record['version']}, or a newer one"
            )
        return _report(record, pl.read_parquet(io.BytesIO(content)))
    except (pl.exceptions.PolarsError, OSError, KeyError, ValueError) as error:
        raise StoreError(f"the kept report is damaged ({error}); make it again") from error


def _record(report: Report) -> dict[str, Any]:
    return {
        "form": _FORM,
        "as_of_us": report.as_of,
        "policy": report.policy.facts(),
        "version": report.version,
        "tzdata": report.tzdata,
        "loads_seen": report.loads_seen,
        "windows": [[name, *report.windows.common[name]] for name in report.windows.names],
    }


def _report(record: dict[str, Any], table: pl.DataFrame) -> Report:
    names = tuple(name for name, _, _ in record["windows"])

    def values(name: str) -> npt.NDArray[np.int64]:
        return np.stack([table[_column(name, place)].to_numpy() for place in range(len(names))], axis=1)

    common = {name: (start, end) for name, start, end in record["windows"]}
    return Report(
        as_of=record["as_of_us"],
        policy=Policy.of(record["policy"]),
        version=record["version"],
        tzdata=record["tzdata"],
        store_ids=table["store_id"].to_list(),
        windows=Windows(names, values("starts"), values("ends"), common),
        totals=Totals(*(values(name) for name in _TOTALS)),
        loads_seen=record["loads_seen"],
    )


def _column(name: str, place: int) -> str:
    return f"{name} {place}"
