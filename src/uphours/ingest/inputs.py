"""Where rows come from: files, globs and standard input, plain or compressed, as streams of bytes.

What a stream holds is recognised by its first bytes, not from its name.
"""

from __future__ import annotations

import codecs
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
from typing import Any, BinaryIO, Final, Literal

from uphours.errors import InputError
from uphours.ingest.unfinished import is_unfinished

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Kind = Literal["polls", "hours", "timezones", "special", "stores", "adjustments", "targets"]
Progress = Callable[[str, int, int | None], None]
"""Called with the name of a source, the bytes read so far, and its size where that is known."""
Open = Callable[[], BinaryIO]
"""Opens bytes that lie elsewhere, from their start."""
ReadAt = Callable[[int, int], bytes]
"""Reads the bytes ``[start, stop)`` of something that lies elsewhere."""

STANDARD_INPUT: Final = "-"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTANDARD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_UTF16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32_MARK: Final = codecs.BOM_UTF32_LE  # which begins like one of UTF-16
_BLOCK: Final = 1 << 20


@dataclass(frozen=True)
class Source:
    """One file, or standard input, that holds rows of one kind; or bytes from elsewhere, which ``open`` gives.

    What lies elsewhere may have a ``size`` in bytes, and then it may be read in parts with ``read_at``.
    """

    kind: Kind
    name: str
    open: Open | None = None
    size: int | None = None
    read_at: ReadAt | None = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.name} ({self.kind})"

    @property
    def path(self) -> Path | None:
        """The local file, or None for anything else."""
        return None if self.open or self.name == STANDARD_INPUT else Path(self.name)


@dataclass(frozen=True)
class Limits:
    """How much each single source may hold, as bytes without compression and as rows; None: any amount.

    ``ids``: of all sources of a load together, the different texts that stand as store ids, good or bad.
    """

    decompressed_bytes: int | None = None
    rows: int | None = None
    ids: int | None = None

    def rows_of(self, kind: Kind) -> int | None:
        """Return how many rows of a kind a source may hold: one of hours or zones takes more memory than a poll."""
        return self.rows if self.rows is None or kind == "polls" else max(self.rows // 5, 1)


#: Files of one's own may be of any size.
UNLIMITED: Final = Limits()


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
            globbed = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 (also absolute ones)
            matches = [match for match in globbed if not is_unfinished(Path(match).name)]
            if not matches:
                unfinished = f", but {globbed[0]}, which is not finished: see its name" if globbed else ""
                raise InputError(f"no file matches {name!r} ({kind}){unfinished}")
        for match in matches:
            _check(kind, match)
            found.setdefault(match, Source(kind, match))
    return list(found.values())


def detected(name: str, open: Open, *, limits: Limits = UNLIMITED) -> Source:
    """Return a source of the right kind for a file whose kind is not known: opens it, looks, and closes it.

    Raises
    ------
    InputError
        It cannot be read, or no kind fits its columns, or several do.
    """
    from uphours.ingest.detect import kind_of  # it knows formats, which are made of sources

    with damage_told(name), open() as raw:
        stream = Stream(name, raw)
        # A small buffer: bytes from afar are fetched in full only when they are read.
        return Source(kind_of(name, _decompressed(name, io.BufferedReader(stream), limits), limits), name, open)


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

    def __init__(self, name: str, raw: BinaryIO, *, size: int | None = None, progress: Progress | None = None) -> None:
        self._name = name
        self._raw = raw
        self._progress = progress
        self._digest = hashlib.sha256()
        self._size = size
        self.bytes_read = 0

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into ``buffer`` and return how many bytes; 0 at the end.

        Fills the buffer, however few bytes come at a time: what a source is, is found from several of them.
        """
        free = memoryview(buffer)
        count = 0
        while count < len(free) and (more := self._raw.readinto(free[count:])):  # type: ignore[attr-defined]
            count += more
        self._digest.update(free[:count])
        self.bytes_read += count
        if self._progress:
            self._progress(self._name, self.bytes_read, self._size)
        return count

    def sha256(self) -> str:
        """Return the checksum of the whole source, reading what no one has read."""
        while self.read(_BLOCK):
            pass
        return self._digest.hexdigest()


class _Limited(io.RawIOBase):
    """The first bytes of a reader; one more than allowed is an error, and nothing behind it is made."""

    def __init__(self, label: str, reader: io.BufferedReader, limit: int) -> None:
        self._label = label
        self._reader = reader
        self._limit = limit
        self._left = limit

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into ``buffer`` and return how many bytes; 0 at the end."""
        # One byte over the limit is enough to know.
        count = self._reader.readinto(memoryview(buffer)[: self._left + 1])
        self._left -= count
        if self._left < 0:
            raise too_many_bytes(self._label, self._limit)
        return count


def too_many_rows(label: str, limit: int) -> InputError:
    """Return the error of a source that has more than ``limit`` rows."""
    return InputError(f"{label} has more than {limit:,} rows; valid are files of up to that many")


def too_many_bytes(label: str, limit: int) -> InputError:
    """Return the error of a source that holds more than ``limit`` bytes."""
    size = f"{limit / (1 << 20):g} MiB"
    return InputError(f"{label} decompresses to more than {size}; valid are files of up to {size}, compressed or not")


@contextmanager
def opened(
    source: Source, progress: Progress | None = None, limits: Limits = UNLIMITED
) -> Iterator[tuple[Stream, io.BufferedReader]]:
    """Open a source: its bytes as they lie, and a reader of the same with any compression undone.

    Raises
    ------
    InputError
        The file cannot be read, its compression is damaged, or it decompresses to more than allowed.
    """
    with damage_told(source.label), _raw(source) as raw:
        size = os.fstat(raw.fileno()).st_size if source.path else source.size
        stream = Stream(source.name, raw, size=size, progress=progress)
        yield stream, _decompressed(source.label, io.BufferedReader(stream, _BLOCK), limits)


@contextmanager
def damage_told(label: str) -> Iterator[None]:
    """Turn the errors of reading, and of damaged compression, into an `InputError` about what is read."""
    try:
        yield
    except (OSError, EOFError, zlib.error, zstd.ZstdError) as error:
        # Damaged compression shows in all of these ways; a file cut short is an EOFError.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(f"cannot read {label}: {reason}") from error


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


def _decompressed(label: str, reader: io.BufferedReader[Any], limits: Limits) -> io.BufferedReader:
    plain = _plain(reader)
    if limits.decompressed_bytes is None:
        return plain
    return io.BufferedReader(_Limited(label, plain, limits.decompressed_bytes), _BLOCK)


class _Recoded(io.RawIOBase):
    """UTF-16 text as UTF-8. What is no text there is none here either: the row that has it is rejected."""

    def __init__(self, reader: io.BufferedReader[Any]) -> None:
        self._reader = reader
        self._decoder = codecs.getincrementaldecoder("utf-16")("surrogatepass")
        self._rest = b""

    def readable(self) -> bool:
        """Say that this stream can be read."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into ``buffer`` and return how many bytes; 0 at the end."""
        while not self._rest:
            content = self._reader.read(_BLOCK)
            # A file cut in the middle of a character ends in one that is no text.
            text = self._decoder.decode(content, False) if content else self._cut()
            self._rest = text.encode("utf-8", "surrogatepass")
            if not content and not self._rest:
                return 0
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _cut(self) -> str:
        rest, _ = self._decoder.getstate()
        self._decoder.reset()
        return "\udc80" if rest else ""


def _plain(reader: io.BufferedReader[Any]) -> io.BufferedReader[Any]:
    plain = _unpacked(reader)
    is_utf16 = plain.peek(4).startswith(_UTF16_MARKS) and not plain.peek(4).startswith(_UTF32_MARK)
    return io.BufferedReader(_Recoded(plain), _BLOCK) if is_utf16 else plain


def _unpacked(reader: io.BufferedReader[Any]) -> io.BufferedReader[Any]:
    magic = reader.peek(4)[:4]
    if magic.startswith(_GZIP_MAGIC):
        return io.BufferedReader(gzip.GzipFile(fileobj=reader), _BLOCK)
    if magic == _ZSTANDARD_MAGIC:
        return io.BufferedReader(zstd.ZstdFile(reader), _BLOCK)
    return reader
