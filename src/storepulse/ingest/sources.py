"""Where rows come from: files, globs and standard input, plain or compressed, as streams of bytes.

What a stream holds is told from its first bytes, not from its name.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

from storepulse.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Kind = Literal["polls", "hours", "timezones"]
Progress = Callable[[str, int, int | None], None]
"""Called with the name of a source, the bytes read so far, and its size where that is known."""

STANDARD_INPUT: Final = "-"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTANDARD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file, or standard input, that holds rows of one kind; or bytes from elsewhere, which ``open`` gives."""

    kind: Kind
    name: str
    open: Callable[[], BinaryIO] | None = None

    @property
    def path(self) -> Path | None:
        """The local file, or None for anything else."""
        return None if self.open or self.name == STANDARD_INPUT else Path(self.name)


def sources(kind: Kind, names: Iterable[str]) -> list[Source]:
    """Find the files that are meant by names and globs, each once, in order of name inside a glob.

    Raises
    ------
    InputError
        A file does not exist or is a folder, or a glob matches nothing.
    """
    found: dict[str, Source] = {}
    for name in names:
        matches = [name]
        if name != STANDARD_INPUT and not Path(name).exists() and glob.has_magic(name):
            matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (also absolute ones)
            if not matches:
                raise InputError(f"no file matches {name!r} ({kind})")
        for match in matches:
            _check(kind, match)
            found.setdefault(match, Source(kind, match))
    return list(found.values())


def _check(kind: Kind, name: str) -> None:
    if name == STANDARD_INPUT:
        return
    path = Path(name)
    if path.is_dir():
        raise InputError(f"{name} is a folder; name files ({kind}), or a glob such as {name.rstrip('/')}/*.csv")
    if not path.exists():
        raise InputError(f"there is no file {name} ({kind})")


class Stream(io.RawIOBase):
    """Bytes of a source as they lie, counted and hashed on their way."""

    def __init__(self, source: Source, raw: BinaryIO, progress: Progress | None) -> None:
        self._source = source
        self._raw = raw
        self._progress = progress
        self._digest = hashlib.sha256()
        self._size = os.fstat(raw.fileno()).st_size if source.path else None
        self.bytes_read = 0

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into ``buffer`` and return how many bytes; 0 at the end."""
        count = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        self._digest.update(memoryview(buffer)[:count])
        self.bytes_read += count
        if self._progress:
            self._progress(self._source.name, self.bytes_read, self._size)
        return int(count)

    def sha256(self) -> str:
        """Return the checksum of the whole source, reading what nobody has read."""
        while self.read(_BLOCK):
            pass
        return self._digest.hexdigest()


@contextmanager
def opened(source: Source, progress: Progress | None = None) -> Iterator[tuple[Stream, io.BufferedReader]]:
    """Open a source: its bytes as they lie, and a reader of the same with any compression undone.

    Raises
    ------
    InputError
        The file cannot be read, or its compression is damaged.
    """
    try:
        with _raw(source) as raw:
            stream = Stream(source, raw, progress)
            yield stream, _decompressed(io.BufferedReader(stream, _BLOCK))
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        # Damaged compression shows in all of these ways; a file cut short is an EOFError.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot read {source.name} ({source.kind}): {reason}") from error


@contextmanager
def _raw(source: Source) -> Iterator[BinaryIO]:
    if source.open:
        with source.open() as file:
            yield file
    elif source.path is None:
        yield sys.stdin.buffer
    else:
        with source.path.open("rb") as file:
            yield file


def _decompressed(reader: io.BufferedReader) -> io.BufferedReader:
    magic = reader.peek(4)[:4]
    if magic.startswith(_GZIP_MAGIC):
        return io.BufferedReader(gzip.GzipFile(fileobj=reader), _BLOCK)
    if magic == _ZSTANDARD_MAGIC:
        return io.BufferedReader(zstd.ZstdFile(reader), _BLOCK)
    return reader
