"""Finished reports in any format, each made from the one result that the store keeps."""

from __future__ import annotations

import hashlib
import os
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import BinaryIO, Final, TypeAlias

from uphours.database import reports as report_table
from uphours.database.database import Database
from uphours.reports.answers import Answer, stores_of
from uphours.reports.archive import unpacked, unpacked_outages
from uphours.reports.group_files import write_answer
from uphours.reports.writers import MEDIA_TYPES
from uphours.schema import instant_iso
from uphours.version import VERSION

Render: TypeAlias = Callable[[Answer, BinaryIO], object]

_MOST_BYTES: Final = 64 << 20
_BLOCK: Final = 256 << 10


@dataclass(frozen=True)
class File:
    """A report as a file, the same bytes whenever it is asked for; on disk, until nothing refers to it."""

    held: BinaryIO
    size: int
    media_type: str
    name: str
    etag: str

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes, some at a time."""
        sent = 0
        while sent < self.size:
            # Not read(): several may read at once, and the file has one position.
            block = os.pread(self.held.fileno(), min(_BLOCK, self.size - sent), sent)
            sent += len(block)
            yield block


class Results:
    """Renders results, one at a time, and keeps the last ones: many ask for the same just after it is finished."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: OrderedDict[tuple[str, str], File] = OrderedDict()
        self._lock = Lock()  # of what is kept
        self._turn = Lock()  # held while rendering

    def file(self, job: str, form: str, *, detail: bool = False) -> File:
        """Return the result of a job that is complete.

        Raises
        ------
        InputError
            There is no such format, or the report is larger than it can be.
        OSError
            There is no room on the disk for temporary files.
        """

        def render(made: Answer, file: BinaryIO) -> None:
            outages = unpacked_outages(self._content(job)) if form == "xlsx" else None
            write_answer(made, form, file, detail=detail, outages=outages)

        return self.rendered(job, f"{form} {detail}", form, render)

    def rendered(self, job: str, layout: str, form: str, render: Render) -> File:
        """Return a result in a layout of the caller's own, which ``layout`` names and ``render`` writes."""
        found = self._found(job, layout)
        if found is not None:
            return found
        with self._turn:
            found = self._found(job, layout)  # made while this one waited
            if found is None:
                found = self._made(job, layout, form, render)
                self._keep((job, layout), found)
            return found

    def _found(self, job: str, layout: str) -> File | None:
        with self._lock:
            found = self._kept.get((job, layout))
            if found is not None:
                self._kept.move_to_end((job, layout))
            return found

    def _made(self, job: str, layout: str, form: str, render: Render) -> File:
        answer = unpacked(self._content(job))
        held = tempfile.TemporaryFile()  # noqa: SIM115  # closed below, with the last answer that reads it
        render(answer, held)
        held.flush()
        name = f"uphours-{_stamp(stores_of(answer).as_of)}.{form}"
        made = File(held, held.tell(), MEDIA_TYPES[form], name, "")
        digest = hashlib.sha256(f"{job} {layout} {VERSION}".encode())
        for block in made.blocks():
            digest.update(block)
        made = replace(made, etag=f'"{digest.hexdigest()[:32]}"')
        weakref.finalize(made, held.close)
        return made

    def _content(self, job: str) -> bytes:
        with self._database.reading() as connection:
            return report_table.result(connection, job)

    def _keep(self, key: tuple[str, str], made: File) -> None:
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > 1 and sum(file.size for file in self._kept.values()) > _MOST_BYTES:
                self._kept.popitem(last=False)


def _stamp(as_of: int) -> str:
    return instant_iso(as_of).partition(".")[0].rstrip("Z").replace("-", "").replace(":", "") + "Z"
