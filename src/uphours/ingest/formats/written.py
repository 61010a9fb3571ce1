"""What was imported → files that can be loaded: hours, special hours, zones and stores."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, TextIO

from uphours.errors import InputError
from uphours.ingest.formats.imported import AttributeRow, Imported, Kind
from uphours.load_record import SHOWN
from uphours.schema import UNKNOWN_TIMEZONE

HOURS: Final = ("store_id", "day", "start_time_local", "end_time_local", "valid_from")
SPECIAL: Final = ("store_id", "date", "start_time_local", "end_time_local", "name")
TIMEZONES: Final = ("store_id", "timezone_str")


def write_files(imported: Imported, folder: Path) -> dict[Kind, Path]:
    """Write ``hours.csv``, ``special.csv``, ``timezones.csv`` and ``stores.csv``; return those that have rows, by kind.

    The folder is there in the end, whole, or not at all. A store whose hours are unknown has a row without a day in
    ``hours.csv``, which shows what was given, or `uphours.schema.UNKNOWN_TIMEZONE` in ``timezones.csv`` if it is its
    zone. No load accepts these rows: so its hours are unknown in a database, too, and it does not count as always open.

    Raises
    ------
    InputError
        There is something at the folder already, or it cannot be written.
    """
    check_folder(folder)
    given = {row.store_id: row.raw[:SHOWN] for row in reversed(imported.rejected) if row.kind == "hours"}
    hours = [*imported.hours, *((store_id, "", given[store_id], "", "") for store_id in imported.unknown_hours)]
    zones = [*imported.timezones, *((store_id, UNKNOWN_TIMEZONE) for store_id in imported.unknown_timezones)]
    tables: dict[Kind, tuple[Sequence[str], Sequence[Sequence[object]]]] = {
        "hours": (HOURS, sorted(hours, key=lambda row: (row[0], row[4], str(row[1]), row[2]))),
        "special": (SPECIAL, sorted(imported.special_hours)),
        "timezones": (TIMEZONES, sorted(zones)),
        "stores": stores_table(imported.attributes),
    }
    tables = {kind: table for kind, table in tables.items() if table[1]}
    path = folder.resolve()  # of a link, what it leads to
    try:
        unfinished = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
        try:
            for kind, table in tables.items():
                with (unfinished / f"{kind}.csv").open("w", encoding="utf-8", newline="") as file:
                    write_table(file, *table)
                    file.flush()
                    os.fsync(file.fileno())
            path.mkdir(exist_ok=True)  # with the rights that a folder gets here
            unfinished.chmod(path.stat().st_mode)
            unfinished.replace(path)
        except BaseException:
            shutil.rmtree(unfinished)
            raise
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror}; name a new folder in one that exists") from error
    return {kind: folder / f"{kind}.csv" for kind in tables}


def check_folder(folder: Path) -> None:
    """Refuse a folder that has something in it.

    Raises
    ------
    InputError
        It is not new or empty, or it cannot be looked into.
    """
    try:
        is_free = not any(folder.iterdir())
    except FileNotFoundError:
        is_free = not folder.is_symlink()
    except NotADirectoryError:
        is_free = False
    except OSError as error:
        raise InputError(f"cannot look into {folder}: {error.strerror}; name a new folder in one that exists") from None
    if not is_free:
        raise InputError(f"there is something at {folder} already; name a folder that is new or empty")


def write_table(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV; a row is a line, as it is in files that are loaded."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([" ".join(str(value).split()) for value in row] for row in rows)


def stores_table(attributes: Iterable[AttributeRow]) -> tuple[list[str], list[list[str]]]:
    """Return attributes as a table: the header, and a row for each store."""
    by_store: dict[str, dict[str, str]] = {}
    for row in attributes:
        by_store.setdefault(row.store_id, {})[row.name] = row.value
    names = list(dict.fromkeys(name for values in by_store.values() for name in values))
    rows = [[store_id, *(values.get(name, "") for name in names)] for store_id, values in sorted(by_store.items())]
    return ["store_id", *names], rows
