"""Rows for the ledger that cannot be entered go to the quarantine of their load.

That is seen only when they are written, where the rows as they were are no longer at hand: they are made again, in the
columns of their file.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from uphours.database.loaded_entries import Entered, RejectedRow
from uphours.errors import RejectedError
from uphours.load_record import RAW_BYTES, Loaded, Quarantined, Rejected, rejected_lines
from uphours.schema import WITHDRAWAL, instant_iso

_DELIMITERS: Final = ",;\t|"


def set_aside(loaded: Loaded, entered: Entered) -> Loaded:
    """Return a load with what came of its rows for the ledger: rows that were rejected, and a word on new entries.

    Raises
    ------
    RejectedError
        All rows of a file were rejected.
    """
    if entered.entries:
        first, last = entered.entries[0], entered.entries[-1]
        is_one = first == last
        new = f"entry {first} of the ledger is new" if is_one else f"entries {first} to {last} of the ledger are new"
        loaded = replace(loaded, notices=[*loaded.notices, new])
    if not entered.rejected:
        return loaded
    quarantine, causes = list(loaded.quarantine), {(one.file, one.cause): one for one in loaded.rejected}
    files = list(loaded.files)
    for rejected in entered.rejected:
        row, file = rejected.row, files[rejected.row.file]
        raw = _raw(loaded, rejected)
        quarantine.append(Quarantined(row.file, row.line, raw, rejected.reason, rejected.cause))
        text = raw.decode(errors="backslashreplace")
        key = row.file, rejected.cause
        one = causes.get(key, Rejected(row.file, rejected.cause, 0, row.line, rejected.reason, text))
        causes[key] = replace(one, rows=one.rows + 1)
        files[row.file] = replace(file, accepted=file.accepted - 1, quarantined=file.quarantined + 1)
    quarantine.sort(key=lambda row: (row.file, row.line))
    counted = sorted(causes.values(), key=lambda one: (one.file, -one.rows, one.line))
    for place in sorted({rejected.row.file for rejected in entered.rejected}):
        if not files[place].accepted:
            said = ", ".join(rejected_lines([one for one in counted if one.file == place]))
            name = f"{files[place].name} ({files[place].kind})"
            raise RejectedError(f"no row of {name} can be used: {said}; nothing was changed")
    return replace(loaded, files=files, quarantine=quarantine, rejected=counted)


def _raw(loaded: Loaded, rejected: RejectedRow) -> bytes:
    """Return a row in the columns of its file: a line of CSV, or an object of JSON where the file was none."""
    cells = _cells(loaded, rejected)
    header = loaded.files[rejected.row.file].header
    if header is None:
        return json.dumps({name: cell for name, cell in cells.items() if cell}, ensure_ascii=False).encode()[:RAW_BYTES]
    delimiter = max(_DELIMITERS, key=header.count)
    line = io.StringIO()
    names = next(csv.reader([header], delimiter=delimiter))
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(
        cells.get(name.strip().casefold(), "") for name in names
    )
    return line.getvalue().encode()[:RAW_BYTES]


def _cells(loaded: Loaded, rejected: RejectedRow) -> Mapping[str, str]:
    row = rejected.row
    cells = {
        "store_id": loaded.store_ids[row.store] if row.store >= 0 else "", "counts_as": row.counts_as,
        "reason": row.reason, "note": row.note, "entry": row.entry, "withdraws": row.withdraws,
    }  # fmt: skip
    if row.counts_as == WITHDRAWAL:
        return cells
    zone = "local" if row.is_local else "utc"
    start, end = (instant_iso(us).removesuffix("Z" if row.is_local else "") for us in (row.start, row.end))
    return cells | {f"start_{zone}": start, f"end_{zone}": end}
