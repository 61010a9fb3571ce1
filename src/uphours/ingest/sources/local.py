"""Files of this machine: a folder, a glob, or one file. What may still be being written is left for the next time."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

from uphours.errors import InputError
from uphours.ingest.sources.globs import ANY_PARTS, is_glob, is_hidden, is_left_out, matches, split
from uphours.ingest.sources.source_file import BLOCK, Chunks, Found, changed, stream, unreadable

_AT_REST_US: Final = 2_000_000
_CLOCK_ERROR_US: Final = 86_400_000_000

Listed = tuple[str, Path, os.stat_result | InputError]
"""The name of a file, where it really is, and what is known of it, or why nothing is."""


def path_of_url(url: str) -> str:
    """Return the path that a ``file://`` URL means.

    Raises
    ------
    InputError
        It names another machine, or has a query or a fragment.
    """
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment or not parts.path:
        raise InputError(
            f"{url!r} is not the URL of a file of this machine; write it as "
            "file:///folder/name, with ? as %3F and # as %23"
        )
    return url2pathname(parts.path)


def local_files(place: str, now: int) -> list[Found]:
    """List the files of a folder, those that a glob matches, or one file, in order of name.

    Parameters
    ----------
    place
        A path. If something of that name exists, it is meant; otherwise ``*?[`` make it a glob.
    now
        UTC microseconds; a file that was written less than two seconds before is left out.

    Raises
    ------
    InputError
        There is no such file or folder, or it cannot be listed.
    """
    try:
        # By name, because a link and the file it stands for are listed under the same one.
        listed = {name: (real, facts) for name, real, facts in _listed_files(place) if _is_at_rest(facts, now)}
    except FileNotFoundError:
        raise InputError(f"there is no file or folder {place!r}; name one that exists, or a glob") from None
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError) as error:  # a link in a circle, or a name that no file can have
        raise InputError(f"cannot list {place!r}: {_reason(error)}") from error
    return [_found(name, *listed[name]) for name in sorted(listed)]


def _listed_files(place: str) -> Iterator[Listed]:
    path = Path(place).absolute()
    if path.is_dir():
        yield from _below(path, ["*"])
    elif is_glob(place) and not path.exists():
        root, patterns = split(path.as_posix())
        yield from _below(Path(root or "/"), patterns)
    else:
        yield _listed(path, path.resolve(strict=True))


def _below(root: Path, patterns: list[str]) -> Iterator[Listed]:
    real_root = root.resolve(strict=True)
    refused: list[OSError] = []
    for path in _walk(root, patterns, refused):
        try:
            real = path.resolve(strict=True)
            # A link inside the folder stands for the file it leads to, so that nothing has two names.
            if real.is_relative_to(real_root) and real.is_file():
                yield _listed(root / real.relative_to(real_root), real)
        except FileNotFoundError:
            continue  # gone since, or a link to nothing
        except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads in a circle
            yield _readable(path), path, _cannot_list(path, error)
    for refusal in refused:
        yield _readable(refusal.filename), Path(refusal.filename), _cannot_list(refusal.filename, refusal)


def _walk(root: Path, patterns: list[str], refused: list[OSError]) -> Iterator[Path]:
    """Yield what matches and is no folder. Links to folders are not entered: they may lead outside, or in circles.

    A folder inside that cannot be listed keeps nothing back; it is added to ``refused``.
    """

    def refuse(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return  # a folder that went away meanwhile has no files
        if Path(error.filename) == root:
            raise _cannot_list(root, error) from error
        refused.append(error)

    for folder, folders, names in os.walk(root, onerror=refuse):
        inside = Path(folder).relative_to(root).parts
        deeper = ANY_PARTS in patterns or len(inside) + 1 < len(patterns)
        folders[:] = [name for name in folders if deeper and not is_hidden(name)]
        for name in names:
            if not is_left_out(name) and matches([*inside, name], patterns):
                yield Path(folder, name)


def _cannot_list(path: Path | str, error: OSError | RuntimeError) -> InputError:
    return InputError(f"cannot list {_readable(path)}: {_reason(error)}")


def _listed(path: Path, real: Path) -> Listed:
    facts = real.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise InputError(f"{_readable(path)} is neither a file nor a folder; name one of these, or a glob")
    return _readable(path), real, facts


def _is_at_rest(facts: os.stat_result | InputError, now: int) -> bool:
    """Tell whether no one has written to a file just now. A time far in the future was set, not written."""
    if isinstance(facts, InputError):
        return True
    return not now - _AT_REST_US < facts.st_mtime_ns // 1000 < now + _CLOCK_ERROR_US


def _found(name: str, real: Path, facts: os.stat_result | InputError) -> Found:
    if isinstance(facts, InputError):
        return unreadable(name, facts)
    version = _version(facts)
    return Found(name, version, facts.st_size, lambda: stream(_chunks(name, real, version)))


def _version(facts: os.stat_result) -> str:
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _chunks(name: str, real: Path, version: str) -> Chunks:
    try:
        with open(real, "rb", buffering=0, opener=_opener) as file:
            _check(name, file.fileno(), version)
            for block in iter(partial(file.read, BLOCK), b""):
                _check(name, file.fileno(), version)
                yield block
            _check(name, file.fileno(), version)
    except FileNotFoundError:
        raise InputError(f"{name} went away after it was listed; list it again") from None
    except OSError as error:
        raise InputError(f"cannot read {name}: {_reason(error)}") from error


def _opener(path: str, flags: int) -> int:
    """Open without waiting for the other end of a pipe, and without following a link put there since."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0))


def _check(name: str, descriptor: int, version: str) -> None:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode) or _version(facts) != version:
        raise changed(name)


def _readable(path: Path | str) -> str:
    """Return a path as text, also one whose bytes are no UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _reason(error: OSError | RuntimeError | ValueError) -> str:
    if isinstance(error, RuntimeError):
        return "it is a link that leads in a circle"
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def umask() -> int:
    """Return which rights a new file does not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
