"""The file of an embedded store, before it is opened: whose it is, whether it can be written, how it can be read.

Nothing here changes a byte of a file that is another program's. Nothing but SQLite opens a file: locks belong to a
process, and it loses all of its own on a file as soon as it closes any handle of that file (SQLite, "How To Corrupt An
SQLite Database File", 2.2). So the way without locks is for files that no one has open.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from uphours.errors import DatabaseError, DatabaseUnavailableError

#: A page of the smallest size.
_SMALLEST_BYTES: Final = 512
#: Tables that every store has had from the first version on.
_OURS: Final = frozenset({"alembic_version", "stores", "observations", "loads"})
_VALID: Final = "valid is a file that uphours has made, or a name that is free"
#: No one is locked out, and no file is made beside it: for files that cannot be written.
_WITHOUT_LOCKS: Final = "&vfs=unix-none"


def check(path: Path) -> bool:
    """Refuse what is no file of ours; return whether there is a database in it, which a new or empty file has not.

    Raises
    ------
    DatabaseError
        It is a folder or a device, no SQLite database, or another program's.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DatabaseError(f"cannot open {path}: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "no ordinary file"
        raise DatabaseError(f"{path} is {what}; {_VALID}")
    if status.st_size == 0:
        return False
    if status.st_size < _SMALLEST_BYTES:
        raise DatabaseError(f"{path} is no SQLite database; {_VALID}")
    if not os.access(path, os.R_OK):
        raise DatabaseError(f"cannot read {path}: {os.strerror(errno.EACCES)}")
    return _is_store(path)


def _is_store(path: Path) -> bool:
    found = _looked(path, "&immutable=1")
    if not (found is None or _is_ours(found)) and _wal_of(path) is not None:
        # What was written last is in the log. Where it has no index no process has it open, and we make none.
        found = _looked(path, "" if _index_of(path).exists() and is_writable(path) else _WITHOUT_LOCKS)
    if found is None:
        return True  # it is damaged, which anyone who reads it finds out and says
    if found and not _is_ours(found):
        example = min(found - _OURS, default="alembic_version")
        raise DatabaseError(f"{path} belongs to another program: it has {example!r}; {_VALID}")
    return bool(found)


def _is_ours(found: frozenset[str]) -> bool:
    """Say whether tables are ours; one that is missing is damage, and said where it is missed."""
    return "alembic_version" in found and len(_OURS - found) <= 1


def _looked(path: Path, how: str) -> frozenset[str] | None:
    """Return what is in a file: names of tables and views, and whose it says it is; None if it cannot be read."""
    try:
        with closing(_connected(path, how)) as connection:
            names = {
                name
                for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
                if not name.startswith("sqlite_")
            }
            if not names:
                for pragma in ("application_id", "user_version"):
                    ((number,),) = connection.execute(f"PRAGMA {pragma}")
                    names |= {f"{pragma} {number}"} if number else set()
            return frozenset(names)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_NOTADB:
            raise DatabaseError(f"{path} is no SQLite database; {_VALID}") from error
        return None


def is_writable(path: Path) -> bool:
    """Say whether a file and its folder, where the log is, can be written; a file that is not there can be made."""
    folder = path.absolute().parent
    return os.access(folder, os.W_OK) and (not path.exists() or os.access(path, os.W_OK))


def check_writable(path: Path) -> None:
    """Refuse to write what cannot be written.

    Raises
    ------
    DatabaseError
        The file or its folder is read-only, or the folder is not there.
    """
    folder = path.absolute().parent
    if not folder.is_dir():
        raise DatabaseError(f"there is no folder {folder} for the database {path}; make it, or name another with --db")
    if not is_writable(path):
        raise read_only(path)


def read_only(path: Path) -> DatabaseError:
    """Return the error for a caller who wants to write a file that cannot be written."""
    return DatabaseError(
        f"the database {path} is read-only here: reports can be made of it, but nothing can be changed"
    )


def make(path: Path) -> None:
    """Make an empty file for a store that no one else may read: it holds keys. SQLite gives its log the same rights."""
    if path.exists():
        return
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        pass  # another process was faster
    except OSError as error:
        raise DatabaseError(f"cannot make the database {path}: {error.strerror}") from error


@contextmanager
def read_only_connection(path: Path, timeout_s: float) -> Iterator[sqlite3.Connection]:
    """Open a file that cannot be written, to read it.

    SQLite wants to make a file for its locks beside a log. Where it cannot, we read without locks and see at the end
    whether anything has changed meanwhile: without a log as a file that does not change, with one together with it.

    Raises
    ------
    DatabaseUnavailableError
        Someone has changed the file while it was being read.
    """
    how = _how_to_read(path, timeout_s)
    before = _stamp(path)
    with closing(_connected(path, how, timeout_s)) as connection:
        yield connection
    if how and _stamp(path) != before:
        raise DatabaseUnavailableError(f"the database {path} has changed while it was being read; try again")


def _how_to_read(path: Path, timeout_s: float) -> str:
    if _wal_of(path) is None:
        return "&immutable=1"
    try:
        with closing(_connected(path, "", timeout_s)) as connection:
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        return _WITHOUT_LOCKS
    return ""


def _connected(path: Path, how: str, timeout_s: float = 5) -> sqlite3.Connection:
    uri = f"file:{quote(str(path.resolve()))}?mode=ro{how}"
    # Of the pool of SQLAlchemy a thread may use what another has opened.
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=False)
    if how == _WITHOUT_LOCKS:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")  # keeps the index of the log in memory
    return connection


def _wal_of(path: Path) -> Path | None:
    """Return the log of a file, if there is anything in it."""
    real = path.resolve()
    wal = real.with_name(f"{real.name}-wal")
    return wal if wal.exists() and wal.stat().st_size else None


def _index_of(path: Path) -> Path:
    """Return the index of the log of a file, which is there as long as any process has the file open."""
    real = path.resolve()
    return real.with_name(f"{real.name}-shm")


def _stamp(path: Path) -> tuple[object, ...]:
    wal = _wal_of(path)
    files = [path] if wal is None else [path, wal]
    return tuple((status.st_ino, status.st_size, status.st_mtime_ns) for status in (file.stat() for file in files))
