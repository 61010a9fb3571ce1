"""Formats: a report as a file. CSV and XLSX are for people, JSON and Parquet are exact and name the policy."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import polars as pl

from uphours.errors import InputError
from uphours.reports.columns import STORE_ID, Column, availability_layout, cells, layout, number_or_null
from uphours.reports.comparison import change_facts
from uphours.reports.outage_list import OutageList
from uphours.reports.report import Report, check_titles

#: By format, also the ending of the file's name.
MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
FORMATS: Final = tuple(MEDIA_TYPES)


def written(report: Report, form: str, *, detail: bool = False) -> bytes:
    """Return the report as a file of the given format, whole; see `write_report`."""
    file = io.BytesIO()
    write_report(report, form, file, detail=detail)
    return file.getvalue()


def write_report(
    report: Report, form: str, file: BinaryIO, *, detail: bool = False, outages: OutageList | None = None
) -> None:
    """Write the report in the given format; the same inputs give the same bytes.

    CSV and XLSX are for people: minutes in the columns of ``last_hour``, hours in all others, percentages, two
    decimals; ``detail`` adds columns. JSON and Parquet are exact, always whole, and name the policy. ``outages`` are a
    sheet of the workbook. The file need not be one in which one can go back. Memory for the text of some thousand
    stores is taken at a time; for Parquet that of a table of all.

    Raises
    ------
    InputError
        There is no such format, or the report is larger than it can be.
    OSError
        The file or a temporary one cannot be written, such as for lack of room.
    """
    names, compare = report.windows.names, report.before is not None
    match form:
        case "csv":
            file.writelines(_csv(report, layout(names, detail=detail, compare=compare), hours_known=detail))
        case "json":
            file.writelines(_json(report))
        case "parquet":
            facts = {f"uphours.{name}": json.dumps(value) for name, value in report.facts().items()}
            content = io.BytesIO()  # small beside the table; Polars does not say why a file cannot be written
            report.table().write_parquet(content, metadata=facts)
            file.write(content.getbuffer())
        case "xlsx":
            from uphours.reports.xlsx import write_workbook

            columns = availability_layout(names, detail=detail, compare=compare)
            write_workbook(report, columns, file, hours_known=detail, outages=outages)
        case _:
            raise InputError(f"there is no format {form!r}; valid are {', '.join(FORMATS)}")


def as_csv(report: Report, columns: Sequence[Column], *, hours_known: bool = False) -> bytes:
    """Return a CSV file with a row per store: its id, the columns of a layout, and whether its hours are known.

    Raises
    ------
    InputError
        A title occurs twice, or the report lacks a window.
    """
    return b"".join(_csv(report, columns, hours_known=hours_known))


def _csv(report: Report, columns: Sequence[Column], *, hours_known: bool) -> Iterator[bytes]:
    for number, part in enumerate(report.in_parts()):
        said = {STORE_ID: part.store_ids, **part.attributes}
        figures = cells(part, columns)
        check_titles([STORE_ID, *part.attributes, *figures, *(["hours_known"] if hours_known else [])])
        texts = {title: spreadsheet_safe(pl.Series(values, dtype=pl.String)) for title, values in said.items()}
        texts |= figures
        if hours_known:
            texts["hours_known"] = pl.Series(part.hours_known)
        titles = spreadsheet_safe(pl.Series(list(texts), dtype=pl.String)).to_list()
        table = pl.DataFrame(dict(zip(titles, texts.values(), strict=True)))
        yield table.write_csv(include_header=not number).encode()


def spreadsheet_safe(texts: pl.Series) -> pl.Series:
    """Put an apostrophe before what a spreadsheet would run as a formula."""
    dangerous = pl.col("text").str.contains("^[=+@\t-]")
    guarded = pl.when(dangerous).then("'" + pl.col("text")).otherwise("text")
    return texts.to_frame("text").select(guarded).to_series()


def _json(report: Report) -> Iterator[bytes]:
    yield _dumped(report.facts() | {"windows": window_facts(report), "stores": []}).removesuffix(b"]}")
    for number, part in enumerate(report.in_parts()):
        stores = _dumped(_json_stores(part)).removeprefix(b"[").removesuffix(b"]")
        yield b"," + stores if number and stores else stores
    yield b"]}\n"


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def window_facts(report: Report) -> dict[str, Any]:
    """Return the bounds that all stores share, by window, as plain values; with a comparison those before too."""

    def bounds(of: Report, name: str) -> dict[str, Any]:
        return dict(zip(("start_us", "end_us"), of.windows.common[name], strict=True))

    before = report.before
    return {
        name: bounds(report, name) | ({} if before is None else {"before": bounds(before, name)})
        for name in report.windows.names
    }


def _json_stores(report: Report) -> list[dict[str, Any]]:
    names, before = report.windows.names, report.before
    of_windows = _in_windows(report)
    if before is not None:
        of_windows = [
            [now | change_facts(now, then) | {"before": then} for now, then in zip(*both, strict=True)]
            for both in zip(of_windows, _in_windows(before), strict=True)
        ]
    rows = zip(*report.attributes.values(), strict=True)
    attributes = [{"attributes": dict(zip(report.attributes, row, strict=True))} for row in rows]
    attributes = attributes or [{}] * len(report.store_ids)

    return [
        {
            "store_id": store_id,
            **attributes[store],
            "hours_known": bool(report.hours_known[store]),
            "windows": dict(zip(names, of_windows[store], strict=True)),
        }
        for store, store_id in enumerate(report.store_ids)
    ]


def _in_windows(report: Report) -> list[list[dict[str, Any]]]:
    """Return the figures of each store, in each window, as plain values."""
    figures = {name: values.tolist() for name, values in report.figures().items()}
    names, common = report.windows.names, report.windows.common
    starts, ends = report.windows.starts.tolist(), report.windows.ends.tolist()

    def in_window(store: int, place: int) -> dict[str, Any]:
        # A calendar window is another interval for each zone, so it stands with the store.
        own = {"start_us": starts[store][place], "end_us": ends[store][place]} if None in common[names[place]] else {}
        return own | {name: number_or_null(values[store][place]) for name, values in figures.items()}

    return [[in_window(store, place) for place in range(len(names))] for store in range(len(report.store_ids))]
