"""Bytes of text → blocks that end where a line ends, whichever of the three line ends the text has."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Final

import numpy as np

from uphours.errors import InputError
from uphours.ingest.inputs import Source

BLOCK: Final = 16 << 20
#: A row of ours has some hundred bytes. Longer lines are refused before they are in memory several times.
LONGEST_LINE: Final = 16 << 20
UTF8_MARK: Final = b"\xef\xbb\xbf"


def blocks(source: Source, reader: io.BufferedReader) -> Iterator[bytes]:
    """Yield the source in blocks that end where a line ends, without a byte order mark at its start.

    Raises
    ------
    InputError
        A line is endless.
    """
    rest = b""
    for block in _read(source, reader):
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end]
            rest = block[end:]
        else:
            rest += block
        _check_length(source, rest)
    if rest:
        yield rest


def pieces(block: bytes, lines: int) -> Iterator[bytes]:
    """Cut a block into pieces of at most ``lines``: what a line costs in memory does not depend on its length."""
    if block.count(b"\n") <= lines:
        yield block
        return
    ends = np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == ord("\n"))[lines - 1 :: lines] + 1
    start = 0
    for end in [*ends.tolist(), len(block)]:
        if start < end:
            yield block[start:end]
        start = end


def _check_length(source: Source, line: bytes) -> None:
    if len(line) > LONGEST_LINE:
        raise InputError(f"{source.label} has a line of over {LONGEST_LINE >> 20} MiB; is it text?")


def _read(source: Source, reader: io.BufferedReader) -> Iterator[bytes]:
    r"""Yield what is read; where the first line ends in ``\r`` alone, as on old Macs, each ``\r`` alone ends a line."""
    start = reader.read(len(UTF8_MARK)).removeprefix(UTF8_MARK)
    while b"\n" not in start and b"\r" not in start[:-1]:
        _check_length(source, start)
        block = reader.read(BLOCK)
        if not block:
            break
        start += block
    if not ends_as_on_old_macs(start):
        yield start
        while block := reader.read(BLOCK):
            yield block
        return
    held = b""
    while start:
        held += start
        is_torn = held.endswith(b"\r")  # its other half may come with the next block
        yield with_one_line_end(held[:-1] if is_torn else held)
        held = b"\r" if is_torn else b""
        start = reader.read(BLOCK)
    if held:
        yield b"\n"


def ends_as_on_old_macs(content: bytes) -> bool:
    r"""Tell whether the first line ends in ``\r`` alone."""
    first, newline = content.find(b"\r"), content.find(b"\n")
    return first >= 0 and not 0 <= newline <= first + 1


def with_one_line_end(content: bytes) -> bytes:
    r"""Return the lines of a text, each of which ends in ``\n``."""
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
