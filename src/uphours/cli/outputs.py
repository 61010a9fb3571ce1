"""Files that commands write: their format by their name, and how what is there already is treated.

An ordinary file is there in the end, complete, or stays as it was. What is no ordinary file is written into: a device,
a pipe, an open descriptor such as ``/dev/stdout``.
"""

from __future__ import annotations

import gzip
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, cast

from uphours.errors import InputError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

STANDARD_OUTPUT: Final = "-"
#: Formats of text, which may be compressed; the others are compressed by themselves.
_TEXT: Final = ("csv", "json")
_COMPRESSIONS: Final = ("gz", "zst")
#: A name with none of our endings says nothing of the format, and then it is the first one.
_SAYS_NOTHING: Final = ("", "txt")
_DESCRIPTOR: Final = re.compile(
    rf"/dev/(stdin|stdout|stderr)|/dev/fd/(\d{{1,9}})|/proc/(?:self|thread-self|{os.getpid()})/fd/(\d{{1,9}})"
)
_STANDARD: Final = {"stdin": 0, "stdout": 1, "stderr": 2}
#: Links that are followed, as the kernel does.
_MOST_LINKS: Final = 40


def format_of(output: str | None, asked: str | None, formats: tuple[str, ...], option: str = "--output") -> str:
    """Return the format of an output: what was asked for, else what its name ends in, else the first of all.

    Raises
    ------
    InputError
        There is no such format, the name says another one than was asked for, or one that there is not.
    """
    if asked is not None and asked not in formats:
        raise InputError(f"there is no format {asked!r}; valid are {', '.join(formats)}")
    if output is None or output == STANDARD_OUTPUT or (output.startswith(("/dev/", "/proc/"))):
        return asked or formats[0]
    ending, compression = _endings(output)
    if compression is not None and (ending if ending in formats else asked) not in _TEXT:
        valid = ", ".join(f".{form}.{end}" for form in _TEXT if form in formats for end in _COMPRESSIONS)
        raise InputError(f"{option} {output} would be compressed twice, or of no format; valid are {valid}")
    if ending in formats:
        if asked not in (None, ending):
            raise InputError(f"{option} {output} is called {ending} and --format says {asked}; valid is one of them")
        return ending
    if asked is None and ending not in _SAYS_NOTHING and not _is_special(output):
        valid = ", ".join([*(f".{form}" for form in formats), ".csv.gz"])
        hint = "; --format FORMAT writes one of them under any name" if len(formats) > 1 else ""
        raise InputError(f"{option} {output} ends in .{ending}, which is no format; valid are {valid}{hint}")
    return asked or formats[0]


def _endings(output: str) -> tuple[str, str | None]:
    """Return what a name ends in, without the point and in small letters, and the compression behind that."""
    name = output.rstrip("/").rpartition("/")[2].lstrip(".")
    parts = [part.lower() for part in name.split(".")[1:]]
    compression = parts.pop() if parts and parts[-1] in _COMPRESSIONS else None
    return parts[-1] if parts else "", compression


def _is_special(output: str) -> bool:
    path = Path(output)
    return path.exists() and not path.is_file() and not path.is_dir()


@contextmanager
def opened(output: str) -> Iterator[BinaryIO]:
    """Open an output to be written in the block; what ends in .gz or .zst is compressed on the way.

    Raises
    ------
    InputError
        It cannot be written.
    """
    if output == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    compression = _endings(output)[1]
    with _whole(output) as file:
        if compression is None:
            yield file
        elif compression == "gz":
            # Without name and time, so that the same report gives the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
                yield cast(BinaryIO, packed)
        else:
            with zstd.ZstdFile(file, "wb") as packed:
                yield cast(BinaryIO, packed)


@contextmanager
def _whole(output: str) -> Iterator[BinaryIO]:
    from uphours.ingest.sources.resolve import described, is_in_bucket

    told = output
    try:
        if is_in_bucket(output):
            told = described(output)
            with _in_bucket(output) as file:
                yield file
        elif (descriptor := _descriptor(output)) is not None:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                yield file
        else:
            with _of_kind(Path(os.path.realpath(output))) as file:
                yield file
    except OSError as error:
        raise InputError(f"cannot write {told}: {error.strerror or error}") from error


@contextmanager
def _in_bucket(output: str) -> Iterator[BinaryIO]:
    from uphours.ingest.sources.resolve import put

    with tempfile.TemporaryFile() as content:
        yield content
        content.seek(0)
        put(output, iter(lambda: content.read(1 << 20), b""))


def _descriptor(output: str) -> int | None:
    """Return the number of the open descriptor that a name leads to, such as ``/dev/stdout``.

    Opened by name, a file that the shell has opened for appending would be cut off, or replaced under its hands.
    """
    path = Path(output).absolute()
    for _ in range(_MOST_LINKS):
        if match := _DESCRIPTOR.fullmatch(str(path)):
            return _STANDARD[match[1]] if match[1] else int(match[2] or match[3])
        if not path.is_symlink():
            return None
        path = path.parent / path.readlink()
    return None


@contextmanager
def _of_kind(path: Path) -> Iterator[BinaryIO]:
    """Open a path that is no link: replace an ordinary file, write into what is there otherwise."""
    try:
        there: os.stat_result | None = path.stat()
    except FileNotFoundError:
        there = None
    if there is None or stat.S_ISREG(there.st_mode):
        with _replaced(path, there) as file:
            yield file
    else:
        with path.open("wb") as file:
            yield cast(BinaryIO, file)


@contextmanager
def _replaced(path: Path, there: os.stat_result | None) -> Iterator[BinaryIO]:
    """Write a file that takes the place of the one that is there, with its rights, once it is complete."""
    if there is not None and not os.access(path, os.W_OK):
        raise PermissionError(None, "Permission denied")
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name[:100]}.", delete=False) as file:
        try:
            yield cast(BinaryIO, file)
            file.flush()
            os.fsync(file.fileno())
            _give_rights(file.fileno(), there)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink()
            raise


def _give_rights(descriptor: int, there: os.stat_result | None) -> None:
    from uphours.ingest.sources.local import umask

    if there is None:
        os.fchmod(descriptor, 0o666 & ~umask())  # as if it had been opened by name
        return
    with suppress(PermissionError):  # of another user's file: then the new one is ours
        os.fchown(descriptor, there.st_uid, there.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(there.st_mode))
