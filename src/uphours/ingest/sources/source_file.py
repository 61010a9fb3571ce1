"""One file of a place, and the stream of its bytes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import BinaryIO, Final

from uphours.errors import InputError

BLOCK: Final = 1 << 20
Chunks = Generator[bytes, None, None]


@dataclass(frozen=True)
class Found:
    """One file that was seen in a place.

    Attributes
    ----------
    name
        Path, URL without secrets, or ``s3://bucket/key``.
    version
        Changes when the content does.
    size
        In bytes, where that is known.
    open
        Streams the bytes of this very version. Raises InputError, also while reading, when they cannot be had: then
        the file is to be listed again later.
    read_at
        Reads the bytes ``[start, stop)`` of this very version, where single parts can be had. Raises as ``open`` does.
    """

    name: str
    version: str
    size: int | None
    open: Callable[[], BinaryIO]
    read_at: Callable[[int, int], bytes] | None = None


def fingerprint(found: Found) -> str:
    """Return the SHA-256 of name and version, in hexadecimal: what tells whether a file was loaded before."""
    return hashlib.sha256(f"{found.name}\0{found.version}".encode(errors="backslashreplace")).hexdigest()


def changed(name: str) -> InputError:
    """Make the error of a file that is not any more what was listed."""
    return InputError(f"{name} changed after it was listed; list it again, and read it when it is at rest")


def unreadable(name: str, error: InputError) -> Found:
    """Return a file that is there and cannot be read: it is listed like the others, and opening it says why."""

    def refuse() -> BinaryIO:
        raise error

    return Found(name, "unreadable", None, refuse)


def stream(chunks: Chunks) -> BinaryIO:
    """Make a file of a generator of bytes. What it opens, it opens now, and closes with the file."""
    return io.BufferedReader(_Stream(chunks), BLOCK)


class _Stream(io.RawIOBase):
    def __init__(self, chunks: Chunks) -> None:
        self._chunks = chunks
        # A generator that never began would not run its `finally` either.
        self._rest = memoryview(next(chunks, b""))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._chunks.close()
        super().close()
