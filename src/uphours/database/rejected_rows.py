"""Reading back the rows that loads rejected: how many by file and cause, and those that are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, and_, exists, func, select, tuple_

from uphours.database.loads import find_load, records
from uphours.database.tables import load_files, loads, quarantine
from uphours.errors import NotFoundError
from uphours.load_record import RAW_BYTES, Load, Rejected


def list_rejected(connection: Connection, load: int | None = None) -> list[dict[str, Any]]:
    """Return how many rows of one load, or of all, were rejected by file and cause, with the first row of each.

    Each is a dictionary of ``load``, ``file`` (its position in the load), ``name`` and ``kind`` of the file, ``cause``,
    ``rows``, and ``line``, ``reason`` and ``raw`` (text) of the first one; in order of load and file, the most frequent
    cause first. Loads of earlier versions did not note causes: their rows are counted by reason.

    Raises
    ------
    NotFoundError
        There is no such load.
    """
    query = select(loads).where(loads.c.quarantined > 0).order_by(loads.c.load)
    found = records(connection, query) if load is None else [find_load(connection, load)]
    return [
        {
            "load": record.load, "file": one.file, "name": record.files[one.file].name,
            "kind": record.files[one.file].kind, "cause": one.cause, "rows": one.rows, "line": one.line,
            "reason": one.reason, "raw": one.raw,
        }
        for record in found
        for one in (_by_reason(connection, record) if record.summary is None else record.summary.rejected)
    ]  # fmt: skip


def _by_reason(connection: Connection, record: Load) -> list[Rejected]:
    found: dict[tuple[int, str], Rejected] = {}
    for row in list_quarantine(connection, record.load) if record.quarantined else ():
        key = row["position"], row["reason"]
        raw = row["raw"][:RAW_BYTES].decode(errors="backslashreplace")
        first = found.get(key, Rejected(row["position"], row["reason"], 0, row["line"], row["reason"], raw))
        found[key] = replace(first, rows=first.rows + 1)
    return sorted(found.values(), key=lambda one: (one.file, -one.rows, one.line))


def rows_only_counted(connection: Connection, load: int | None = None) -> int:
    """Return how many rejected rows of one load, or of all, are not kept."""
    chosen = [] if load is None else [loads.c.load == load]
    rejected = connection.execute(select(func.coalesce(func.sum(loads.c.quarantined), 0)).where(*chosen)).scalar_one()
    kept = select(func.count()).select_from(quarantine)
    chosen = [] if load is None else [quarantine.c.load == load]
    return int(rejected) - connection.execute(kept.where(*chosen)).scalar_one()


def list_quarantine(
    connection: Connection,
    load: int | None = None,
    *,
    file: int | None = None,
    after: tuple[int, int] | None = None,
    limit: int | None = None,
) -> list[dict[str, Any]]:
    """Return the quarantined rows of one load, or of all, in order of load, file and line.

    Each is a dictionary of ``load``, ``kind``, ``file`` (its name), ``position`` (of the file in the load, from 0),
    ``header`` (of a CSV file, else None), ``line``, ``reason`` and ``raw`` (bytes).

    Parameters
    ----------
    file
        Only rows of the file at this position of the load.
    after
        Position and line of the last row of the page before; with ``load`` alone.
    limit
        Rows at most.

    Raises
    ------
    NotFoundError
        There is no such load.
    """
    if load is not None and connection.execute(select(loads.c.load).where(loads.c.load == load)).first() is None:
        raise NotFoundError("load", str(load), "`uphours loads` lists them")
    q, f = quarantine.c, load_files.c
    query = (
        select(q.load, f.kind, f.name.label("file"), q.file.label("position"), f.header, q.line, q.reason, q.raw)
        .join_from(quarantine, load_files, and_(q.load == f.load, q.file == f.file))
        .order_by(q.load, q.file, q.line)
        .limit(limit)
    )
    if load is not None:
        query = query.where(q.load == load)
    if file is not None:
        query = query.where(q.file == file)
    if after is not None:
        query = query.where(tuple_(q.file, q.line) > after)
    return [dict(row) for row in connection.execute(query).mappings()]


@dataclass(frozen=True)
class QuarantinedFile:
    """A file of which rows were set aside: its position in the load, its kind, and its first line if it was CSV."""

    position: int
    kind: str
    header: str | None


def quarantined_files(connection: Connection, load: int) -> list[QuarantinedFile]:
    """Return the files of a load of which rows are kept in the quarantine.

    Raises
    ------
    NotFoundError
        There is no such load.
    """
    find_load(connection, load)
    any_row = exists().where(quarantine.c.load == load_files.c.load, quarantine.c.file == load_files.c.file)
    f = load_files.c
    query = select(f.file, f.kind, f.header).where(f.load == load, any_row).order_by(f.file)
    return [QuarantinedFile(*row) for row in connection.execute(query)]
