"""Places that are watched: folders, globs, files, URLs and object stores, each a list of files that can be opened."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from uphours.errors import InputError
from uphours.ingest.inputs import Kind, Source, sources
from uphours.ingest.sources.addresses import Resolve, system_addresses
from uphours.ingest.sources.local import local_files, path_of_url
from uphours.ingest.sources.source_file import Found

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_SECRET: Final = re.compile(
    r"sig|token|secret|passw|pwd|auth|cred|key|jwt|session|^code$|^sas$|^x-amz-|^x-goog-|^policy$|^expires$",
    re.IGNORECASE,
)
_VALID: Final = (
    "valid is a folder, a file, a glob, or a URL that begins with file://, http://, https://, s3://, gs:// or az://"
)


_BUCKETS: Final = ("s3", "gs", "az")


def is_in_bucket(place: str) -> bool:
    """Tell whether a place is in an object store."""
    return bool(place) and _split(place)[0] in _BUCKETS


def named(kind: Kind, names: Iterable[str], *, now: int) -> list[Source]:
    """Find what people name: files, globs and standard input of this machine, and places in object stores.

    Each file once, in order of the names, and of its own name inside a glob or a folder of an object store.

    Raises
    ------
    InputError
        A file does not exist or is a folder, a glob matches nothing, or an object store cannot be listed.
    """
    found: dict[str, Source] = {}
    for name in names:
        for source in _in_bucket(kind, name, now) if is_in_bucket(name) else sources(kind, [name]):
            found.setdefault(source.name, source)
    return list(found.values())


def _in_bucket(kind: Kind, place: str, now: int) -> list[Source]:
    found = files_of(place, now=now)
    if not found:
        raise InputError(f"there is nothing at {described(place)!r} ({kind}); valid are a key, a prefix or a glob")
    return [Source(kind, one.name, one.open, one.size, one.read_at) for one in found]


def put(place: str, content: Iterable[bytes], *, timeout_s: float = 30) -> None:
    """Write an object, whole or not at all.

    Raises
    ------
    InputError
        The place is no key in an object store, or it cannot be written.
    """
    scheme, rest = _split(place)
    if scheme not in _BUCKETS:
        raise InputError(f"{described(place)!r} is in no object store; valid are s3://, gs:// and az:// URLs")
    from uphours.ingest.sources.object_store import write

    write(scheme, rest, content, timeout_s=timeout_s)


def files_of(
    place: str,
    *,
    now: int,
    allow_private: bool = False,
    timeout_s: float = 30,
    resolve: Resolve = system_addresses,
) -> list[Found]:
    """List the files of a place, in order of name.

    Parameters
    ----------
    place
        A folder, a file, a glob, or a URL: ``file``, ``http``, ``https``, ``s3``, ``gs`` or ``az``.
    now
        UTC microseconds; local files that were written less than two seconds before are left for the next time.
    allow_private
        Also connect to hosts whose address is not a public one. Only http and https ask.
    timeout_s
        For http and https: the seconds that may be spent on waiting for the server, once for the listing and once for
        each file. For object stores: the seconds without an answer.
    resolve
        Gives the addresses of a host.

    Raises
    ------
    InputError
        The place is not one, or it cannot be listed.
    """
    scheme, rest = _split(place)
    if scheme in ("", "file"):
        return local_files(path_of_url(place) if scheme else place, now)
    if scheme in ("http", "https"):
        from uphours.ingest.sources.http import web_file

        return [web_file(place, described(place), allow_private=allow_private, timeout_s=timeout_s, resolve=resolve)]
    if scheme in _BUCKETS:
        from uphours.ingest.sources.object_store import objects

        return objects(scheme, rest, timeout_s=timeout_s)
    raise InputError(f"{described(place)!r} is of no known kind; {_VALID}")


def described(place: str) -> str:
    """Return the place without secrets: no user, no password, no fragment, and no signature or key in the query."""
    scheme, rest = _split(place)
    if scheme in ("", "file"):
        return place
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if (":" in authority or scheme not in _BUCKETS) and "@" in rest[len(authority) :]:
        return f"{scheme}://…"  # it may be a password that is not escaped
    if scheme in _BUCKETS:
        bucket, slash, path = rest.partition("/")
        return f"{scheme}://{bucket.rpartition('@')[2]}{slash}{path}"
    try:
        parts = urlsplit(place)
        port = parts.port  # a password with a slash in it shows as a port that is not one
        query = urlencode(
            [item for item in parse_qsl(parts.query, keep_blank_values=True) if not _SECRET.search(item[0])]
        )
    except ValueError:
        return f"{scheme}://…"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return urlunsplit((scheme, host if port is None else f"{host}:{port}", parts.path, query, ""))


def _split(place: str) -> tuple[str, str]:
    """Split a place into its scheme, empty for a path, and the rest."""
    if not place:
        raise InputError(f"a place is empty; {_VALID}")
    match = _SCHEME.fullmatch(place)
    return (match[1].lower(), match[2]) if match else ("", place)
