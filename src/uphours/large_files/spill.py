"""Observations that do not fit into memory, in temporary files: each has all rows of some stores.

The files have no names where the system allows it, and are gone when the process is, however it ends.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import numpy as np

from uphours.errors import InputError
from uphours.kernel.jit import compiled
from uphours.large_files.buffer import Keys
from uphours.schema import Codes

#: Parts into which stores are divided, by number; a part that is still too large is divided again.
PARTS: Final = 64
_ROW: Final = np.dtype([("key", "<i8"), ("store", "<i4")])
#: So much of the disk is left to others.
_RESERVE_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Part:
    """The stores whose number is ``rest`` modulo ``divisor``, and their rows in any order."""

    divisor: int
    rest: int
    stores: Codes
    keys: Keys


class Spill:
    """Rows in temporary files of a folder; used as a context, which removes them."""

    def __init__(self, folder: Path, divisor: int = 1, rest: int = 0) -> None:
        self._folder = folder
        self._divisor, self._rest = divisor, rest
        self._files: list[IO[bytes]] = []
        self._counts = np.zeros(PARTS, dtype=np.int64)
        self._open = ExitStack()

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def is_used(self) -> bool:
        """Whether anything was written."""
        return bool(self._files)

    def add(self, stores: Codes, keys: Keys) -> None:
        """Write rows.

        Raises
        ------
        InputError
            There is no room for them.
        """
        _check_room(self._folder, len(keys) * _ROW.itemsize)
        parts = (stores // self._divisor) % PARTS
        counts = np.bincount(parts, minlength=PARTS)
        ends = np.cumsum(counts)
        rows = np.empty(len(keys), dtype=_ROW)
        order = np.empty(len(keys), dtype=np.int64)
        _order_loop(parts, ends - counts, order)
        rows["key"], rows["store"] = keys[order], stores[order]
        try:
            if not self._files:
                self._files = [self._open.enter_context(self._file()) for _ in range(PARTS)]
            for file, start, end in zip(self._files, (ends - counts).tolist(), ends.tolist(), strict=True):
                _write(file, rows[start:end])
        except OSError as error:
            raise InputError(
                f"cannot write to {self._folder}: {error.strerror}; name another folder with --temp"
            ) from error
        self._counts += counts

    def _file(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._folder, buffering=0)

    def parts(self, n: int, room: int) -> Iterator[Part]:
        """Read what was written, the stores of one part after the other; each with at most ``room`` rows.

        Only a single store may have more. ``n``: how many stores there are.
        """
        divisor = self._divisor * PARTS
        for part, file in enumerate(self._files):
            rest = self._rest + self._divisor * part
            if rest >= n:
                continue
            if self._counts[part] <= room or divisor >= n:
                rows = _read(file, int(self._counts[part]))
                yield Part(divisor, rest, rows["store"].copy(), rows["key"].copy())
            else:
                with Spill(self._folder, divisor, rest) as finer:
                    for first in range(0, int(self._counts[part]), room):
                        rows = _read(file, min(room, int(self._counts[part]) - first), first)
                        finer.add(rows["store"].copy(), rows["key"].copy())
                    file.truncate(0)
                    yield from finer.parts(n, room)
            file.truncate(0)


def check_room(folder: Path, rows: int) -> None:
    """Check that a report of this many rows can be written.

    Raises
    ------
    InputError
        They cannot.
    """
    _check_room(folder, rows * _ROW.itemsize)


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free - _RESERVE_BYTES
    if needed > free:
        raise InputError(
            f"observations that do not fit into memory need {needed / 1e9:.1f} GB in {folder}, where "
            f"{max(free, 0) / 1e9:.1f} GB are free; name another folder with --temp, or more memory with --memory"
        )


def _write(file: IO[bytes], rows: np.ndarray[tuple[int], np.dtype[np.void]]) -> None:
    content = memoryview(rows.tobytes())
    while content:
        content = content[file.write(content) :]


def _read(file: IO[bytes], count: int, first: int = 0) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    file.seek(first * _ROW.itemsize)
    rows = np.empty(count, dtype=_ROW)
    content = rows.view(np.uint8).data
    while content:
        size = file.readinto(content)  # type: ignore[attr-defined]
        if not size:
            raise InputError("a temporary file is shorter than what was written to it; is its disk whole?")
        content = content[size:]
    return rows


@compiled
def _order_loop(parts, places, order):  # type: ignore[no-untyped-def]
    for i in range(len(parts)):
        order[places[parts[i]]] = i
        places[parts[i]] += 1
