"""Files that were sent to the service, kept in the database until the job that loads them has ended.

In the database and not beside it, so that they are as durable as the job, and within reach of every worker.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, Final

from sqlalchemy import Connection, delete, insert, select

from uphours.database.tables import uploads

if TYPE_CHECKING:
    from uphours.database.database import Database

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

#: Bytes of one part before it is compressed.
PART: Final = 4 << 20


def compressed(content: bytes) -> bytes:
    """Return a part as it is kept."""
    return zstd.compress(content, level=1)


def add(connection: Connection, job: str, file: int, part: int, kept: bytes) -> None:
    """Keep a part of a file that was `compressed`; parts are numbered from 0."""
    connection.execute(insert(uploads).values(job=job, file=file, part=part, content=kept))


def drop(connection: Connection, job: str) -> None:
    """Forget the files of a job."""
    connection.execute(delete(uploads).where(uploads.c.job == job))


def opener(database: Database, job: str, file: int) -> Callable[[], BinaryIO]:
    """Return what opens a file that was sent, reading a part at a time."""
    return lambda: io.BufferedReader(_Parts(database, job, file))


class _Parts(io.RawIOBase):
    def __init__(self, database: Database, job: str, file: int) -> None:
        self._database, self._job, self._file = database, job, file
        self._next = 0
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        if not self._rest:
            self._rest = memoryview(self._part())
        count = min(len(buffer), len(self._rest))
        memoryview(buffer)[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _part(self) -> bytes:
        mine = (uploads.c.job == self._job, uploads.c.file == self._file, uploads.c.part == self._next)
        with self._database.reading() as connection:
            content = connection.execute(select(uploads.c.content).where(*mine)).scalar()
        self._next += 1
        return b"" if content is None else zstd.decompress(content)
