"""Answers as they are kept: whole and exact, so that every format can be written from one again later."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import fields, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from uphours.errors import ConflictError, DatabaseError
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Windows
from uphours.reports.ahead import Ahead
from uphours.reports.answers import Answer, stores_of
from uphours.reports.groups import Group, Groups
from uphours.reports.outage_list import Found, OutageList
from uphours.reports.report import Report, Totals

#: The number of this form; one more whenever bytes of the former form could not be read any more.
_FORM: Final = 3
_RECORD: Final = "uphours.report"
#: The program has had another name, and reports of that time must be told apart from damaged ones.
_RECORD_OF_ANY_NAME: Final = ".report"
_OUTAGES: Final = "uphours.outages"
#: Columns of outages besides those of `Found`.
_OF_OUTAGES: Final = ("zones", "starts_local", "ends_local")
_HOURS_KNOWN: Final = "hours_known"
_ATTRIBUTE: Final = "attribute"
#: Before the names of columns of the windows before.
_BEFORE: Final = "before "
_TOTALS: Final = tuple(field.name for field in fields(Totals))


def packed(made: Answer, outages: OutageList | None = None) -> bytes:
    """Return an answer as bytes to keep: a Parquet file of its integers, and the rest as JSON in its metadata.

    A row per store, a column per total and window. The totals are those before unknown time is booked, so nothing
    is rounded or lost. The same report gives the same bytes. Of groups the sums are kept beside their stores.
    ``outages``: those of the report's stores; see `unpacked_outages`.
    """
    report = stores_of(made)
    arrays = _arrays(report)
    if report.before is not None:
        arrays |= {f"{_BEFORE}{name}": values for name, values in _arrays(report.before).items()}
    table = pl.DataFrame(
        [
            pl.Series("store_id", report.store_ids, dtype=pl.String),
            pl.Series(_HOURS_KNOWN, report.hours_known),
            *(
                pl.Series(_column(_ATTRIBUTE, place), values, dtype=pl.String)
                for place, values in enumerate(report.attributes.values())
            ),
            *(
                pl.Series(_column(name, place), values[:, place])
                for name, values in arrays.items()
                for place in range(values.shape[1])
            ),
        ]
    )
    file = io.BytesIO()
    said = _record(report) | ({"groups": _kept_groups(made)} if isinstance(made, Groups) else {})
    record = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    metadata = {_RECORD: record} | ({} if outages is None else {_OUTAGES: _packed_outages(outages)})
    table.write_parquet(file, compression="zstd", compression_level=1, statistics=False, metadata=metadata)
    return file.getvalue()


def _packed_outages(outages: OutageList) -> str:
    """Return outages as text: another Parquet file, as metadata are text alone."""
    columns = vars(outages.found) | {name: getattr(outages, name) for name in _OF_OUTAGES}
    said = {"left_out": outages.left_out, "start": outages.start, "end": outages.end}
    file = io.BytesIO()
    pl.DataFrame(columns, schema_overrides={"zones": pl.String}).write_parquet(
        file, compression="zstd", statistics=False, metadata={_OUTAGES: json.dumps(said)}
    )
    return base64.b64encode(file.getvalue()).decode()


def unpacked_outages(content: bytes) -> OutageList | None:
    """Return the outages that were packed with an answer; None where they were not asked for.

    Raises
    ------
    DatabaseError
        The bytes are no packed report.
    """
    try:
        text = pl.read_parquet_metadata(io.BytesIO(content)).get(_OUTAGES)
        if text is None:
            return None
        file = base64.b64decode(text)
        said = json.loads(pl.read_parquet_metadata(io.BytesIO(file))[_OUTAGES])
        table = pl.read_parquet(io.BytesIO(file))
    except (pl.exceptions.PolarsError, OSError, KeyError, ValueError) as error:
        raise DatabaseError(f"the kept report is damaged ({error}); make it again") from error
    found = Found(*(table[field.name].to_numpy() for field in fields(Found)))
    zones, starts_local, ends_local = (table[name].to_list() for name in _OF_OUTAGES)
    return OutageList(found, **said, zones=zones, starts_local=starts_local, ends_local=ends_local)


def unpacked(content: bytes) -> Answer:
    """Return what was packed.

    Raises
    ------
    ConflictError
        An older version packed it, which did not measure all that a report says now.
    DatabaseError
        The bytes are no packed report, or one of a newer version.
    """
    try:
        metadata = pl.read_parquet_metadata(io.BytesIO(content))
        record = json.loads(next(value for name, value in metadata.items() if name.endswith(_RECORD_OF_ANY_NAME)))
        if record["form"] < _FORM:
            raise ConflictError(
                f"the report was kept by uphours {record['version']}, which did not measure all that a report says "
                "now; ask for it again"
            )
        if record["form"] > _FORM:
            raise DatabaseError(
                f"the kept report has form {record['form']}, this program knows form {_FORM}; "
                f"use the version of uphours that wrote it, {record['version']}, or a newer one"
            )
        report = _report(record, pl.read_parquet(io.BytesIO(content)))
        return _groups(record["groups"], report) if "groups" in record else report
    except (pl.exceptions.PolarsError, OSError, KeyError, StopIteration, ValueError) as error:
        raise DatabaseError(f"the kept report is damaged ({error}); make it again") from error


def _arrays(report: Report) -> dict[str, npt.NDArray[np.int64]]:
    return {"starts": report.windows.starts, "ends": report.windows.ends} | vars(report.totals)


def _record(report: Report) -> dict[str, Any]:
    return {
        "form": _FORM,
        "as_of_us": report.as_of,
        "policy": report.policy.to_dict(),
        "version": report.version,
        "tzdata": report.tzdata,
        "raw": report.raw,
        "loads_seen": report.loads_seen,
        "entries_seen": report.entries_seen,
        **({} if report.ahead is None else {"ahead": report.ahead.facts()}),
        **({"attributes": list(report.attributes)} if report.attributes else {}),
        "windows": _bounds(report),
        **({} if report.before is None else {"before": _bounds(report.before)}),
    }


def _bounds(report: Report) -> list[Any]:
    return [[name, *report.windows.common[name]] for name in report.windows.names]


def _report(record: dict[str, Any], table: pl.DataFrame) -> Report:
    windows, totals = _windows(record["windows"], table)
    report = Report(
        as_of=record["as_of_us"],
        policy=Policy.from_dict(record["policy"]),
        version=record["version"],
        tzdata=record["tzdata"],
        store_ids=table["store_id"].to_list(),
        windows=windows,
        totals=totals,
        # Reports of earlier versions have no such column: hours that could not be used were taken for none.
        hours_known=table.to_dict().get(_HOURS_KNOWN, pl.repeat(True, table.height, eager=True)).to_numpy(),
        raw=record["raw"],
        loads_seen=record["loads_seen"],
        entries_seen=record["entries_seen"],
        ahead=Ahead.from_facts(record.get("ahead")),
        attributes={
            name: table[_column(_ATTRIBUTE, place)].to_list() for place, name in enumerate(record.get("attributes", []))
        },
    )
    if "before" not in record:
        return report
    windows, totals = _windows(record["before"], table, _BEFORE)
    return replace(report, before=replace(report, windows=windows, totals=totals))


def _windows(bounds: list[Any], table: pl.DataFrame, prefix: str = "") -> tuple[Windows, Totals]:
    names = tuple(name for name, _, _ in bounds)

    def values(name: str) -> npt.NDArray[np.int64]:
        return np.stack([table[_column(prefix + name, place)].to_numpy() for place in range(len(names))], axis=1)

    common = {name: (start, end) for name, start, end in bounds}
    return Windows(names, values("starts"), values("ends"), common), Totals(*(values(name) for name in _TOTALS))


def _kept_groups(made: Groups) -> dict[str, Any]:
    """Return groups as plain values; sums may be larger than 64 bits."""
    return {
        "by": list(made.by),
        "figures": list(made.fleet.windows[0]),
        "groups": [
            [group.values, group.stores, [[*figures.values()] for figures in group.windows]]
            for group in [*made.groups, made.fleet]
        ],
    }


def _groups(kept: dict[str, Any], report: Report) -> Groups:
    names = kept["figures"]
    groups = [
        Group(
            None if values is None else tuple(values),
            stores,
            [dict(zip(names, figures, strict=True)) for figures in windows],
        )
        for values, stores, windows in kept["groups"]
    ]
    return Groups(report, tuple(kept["by"]), groups[:-1], groups[-1])


def _column(name: str, place: int) -> str:
    return f"{name} {place}"
