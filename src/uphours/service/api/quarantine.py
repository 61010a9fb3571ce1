"""``/v1/loads/…/quarantine``: the rows that a load rejected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Final, Literal, cast

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from uphours.database import rejected_rows
from uphours.errors import InputError, NotFoundError
from uphours.ingest import quarantine
from uphours.ingest.inputs import Kind
from uphours.service.api.loads import NO_LOAD, LoadNumber
from uphours.service.api.paging import After, Limit, cursor, key
from uphours.service.auth import Calling, KeyedRoute, needs
from uphours.service.deps import Service, Serving
from uphours.wire.load_messages import QuarantinedRow, QuarantineList, Rejected

router = APIRouter(prefix="/v1", tags=["loads"], route_class=KeyedRoute)

#: Quarantined rows that are read at once, and bytes of them that are sent at once.
_ROWS_AT_ONCE: Final = 500
_BLOCK: Final = 256 << 10


@router.get(
    "/loads/{load}/quarantine",
    response_model=QuarantineList,
    responses={200: {"content": {"text/csv": {}}, "description": "The rows, or one file's rows as CSV."}, **NO_LOAD},
)
@needs("read", sees="all")
def show_quarantine(
    serving: Serving,
    caller: Calling,
    load: LoadNumber,
    form: Annotated[Literal["json", "csv"], Query(alias="format")] = "json",
    file: Annotated[
        int | None, Query(ge=0, le=2**31 - 1, description="With csv: the file; its only one unless given.")
    ] = None,
    cursor_: After = None,
    limit: Limit = 100,
) -> Response | QuarantineList:
    """List the rows that a load rejected, with counts by file and cause; as CSV, to fix and load again, one file's."""
    if form == "csv":
        return _quarantine_csv(serving, load, file)
    after = key(cursor_, ("int32", "int64"))
    with serving.database.reading() as connection:
        rows = rejected_rows.list_quarantine(connection, load, after=after, limit=limit + 1)
        rejected = rejected_rows.list_rejected(connection, load)
        left_out = rejected_rows.rows_only_counted(connection, load)
    more = cursor(rows[limit - 1]["position"], rows[limit - 1]["line"]) if len(rows) > limit else None
    return {
        "rejected": cast(list[Rejected], rejected),
        "rows_left_out": left_out,
        "rows": [_quarantined(row) for row in rows[:limit]],
        "next_cursor": more,
    }


def _quarantined(row: dict[str, Any]) -> QuarantinedRow:
    text = row["raw"].decode(errors="backslashreplace")
    return {
        "file": row["position"],
        "kind": row["kind"],
        "name": row["file"],
        "line": row["line"],
        "reason": row["reason"],
        "row": text,
    }


def _quarantine_csv(serving: Service, load: int, file: int | None) -> Response:
    """Answer with the rows of one file, some read at a time."""
    with serving.database.reading() as connection:
        files = rejected_rows.quarantined_files(connection, load)
    chosen = files if file is None else [one for one in files if one.position == file]
    if len(chosen) > 1:
        raise InputError(
            f"rows of several files were set aside; name one with file, valid are {[one.position for one in chosen]}"
        )
    if not chosen:
        raise NotFoundError("quarantined row", f"load {load}" + ("" if file is None else f", file {file}"))
    (only,) = chosen
    lines = quarantine.csv_lines(
        _quarantined_rows(serving, load, only.position), kind=cast(Kind, only.kind), header=only.header
    )
    name = f'attachment; filename="quarantine-{load}-{only.position}.csv"'
    return StreamingResponse(
        _blocks(lines), media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name}
    )


def _quarantined_rows(serving: Service, load: int, file: int) -> Iterator[dict[str, Any]]:
    after = None
    while True:
        with serving.database.reading() as connection:
            rows = rejected_rows.list_quarantine(connection, load, file=file, after=after, limit=_ROWS_AT_ONCE)
        yield from rows
        if len(rows) < _ROWS_AT_ONCE:
            return
        after = (rows[-1]["position"], rows[-1]["line"])


def _blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Put lines together: each block is a turn of a thread, and something to send."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= _BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)
