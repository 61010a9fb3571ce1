"""Formats: a report as a file. CSV and XLSX are for people, JSON and Parquet are exact and name the policy."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from storepulse.errors import InputError
from storepulse.reports.layouts import STORE_ID, Column, cells, layout
from storepulse.reports.report import Report

#: By format, also the ending of the file's name.
MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
FORMATS: Final = tuple(MEDIA_TYPES)


def written(report: Report, form: str, *, detail: bool = False) -> bytes:
    """Return the report as a file of the given format; the same inputs give the same bytes.

    CSV and XLSX are for people: minutes in the columns of ``last_hour``, hours in all others, percentages, two
    decimals; ``detail`` adds columns. JSON and Parquet are exact, always whole, and name the policy.

    Raises
    ------
    InputError
        There is no such format, or the report is larger than it can be.
    """
    match form:
        case "csv":
            return as_csv(report, layout(report.windows.names, detail=detail))
        case "json":
            return _json(report)
        case "parquet":
            return _parquet(report)
        case "xlsx":
            from storepulse.reports.xlsx import workbook

            return workbook(report, layout(report.windows.names, detail=detail))
    raise InputError(f"there is no format {form!r}; valid are {', '.join(FORMATS)}")


def as_csv(report: Report, columns: Sequence[Column]) -> bytes:
    """Return a CSV file with a row per store: its id, then the columns of a layout.

    Raises
    ------
    InputError
        A title occurs twice, or the report lacks a window.
    """
    ids = pl.Series(report.store_ids, dtype=pl.String)
    texts = {STORE_ID: spreadsheet_safe(ids)} | cells(report, columns)
    titles = spreadsheet_safe(pl.Series(list(texts), dtype=pl.String)).to_list()
    return pl.DataFrame(dict(zip(titles, texts.values(), strict=True))).write_csv().encode()


def spreadsheet_safe(texts: pl.Series) -> pl.Series:
    """Put an apostrophe before what a spreadsheet would run as a formula."""
    dangerous = pl.col("text").str.contains("^[=+@\t-]")
    guarded = pl.when(dangerous).then("'" + pl.col("text")).otherwise("text")
    return texts.to_frame("text").select(guarded).to_series()


def _json(report: Report) -> bytes:
    figures = {name: values.tolist() for name, values in report.figures().items()}
    names, common = report.windows.names, report.windows.common
    starts, ends = report.windows.starts.tolist(), report.windows.ends.tolist()

    def in_window(store: int, place: int) -> dict[str, Any]:
        # A calendar window is another interval for each zone, so it stands with the store.
        own = (
            {"start_us": starts[store][place], "end_us": ends[store][place]}
            if common[names[place]] == (None, None)
            else {}
        )
        return own | {name: _or_null(values[store][place]) for name, values in figures.items()}

    document = report.facts() | {
        "windows": {
            name: dict(zip(("start_us", "end_us"), report.windows.common[name], strict=True)) for name in names
        },
        "stores": [
            {
                "store_id": store_id,
                "windows": {name: in_window(store, place) for place, name in enumerate(names)},
            }
            for store, store_id in enumerate(report.store_ids)
        ],
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _or_null(value: float) -> float | None:
    return None if value != value else value  # NaN


def _parquet(report: Report) -> bytes:
    file = io.BytesIO()
    facts = {f"storepulse.{name}": json.dumps(value) for name, value in report.facts().items()}
    report.table().write_parquet(file, metadata=facts)
    return file.getvalue()
