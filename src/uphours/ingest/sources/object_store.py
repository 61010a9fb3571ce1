"""Objects of S3, Google Cloud Storage and Azure, through obstore. Credentials are those of the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from uphours.errors import InputError
from uphours.ingest.sources.globs import is_glob, matches, split
from uphours.ingest.sources.source_file import BLOCK, Chunks, Found, changed, stream
from uphours.ingest.unfinished import is_unfinished

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ClientConfig, ObjectStore, RetryConfig

_BUCKET: Final = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]*")
# A listing has no error of its own for these. The paths are those of the services that give a machine its credentials.
_REFUSED: Final = re.compile(
    r"status code: 40[13]\b|/latest/api/token|/latest/meta-data|/computeMetadata|/metadata/identity"
)
_MAX_RETRIES: Final = 3
_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the role of this machine",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or the service account of this machine",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or the identity of this machine",
}


def objects(scheme: str, rest: str, *, timeout_s: float) -> list[Found]:
    """List the objects below a prefix, those that a glob matches, or one object, in order of name.

    Parameters
    ----------
    scheme
        ``s3``, ``gs`` or ``az``.
    rest
        ``bucket/prefix``, the key as it is, nothing escaped. A prefix ends where a part ends: ``in`` is not one of
        ``in-2/a.csv``.
    timeout_s
        The seconds without an answer after which a request fails. It is tried again three times.

    Raises
    ------
    InputError
        obstore is not installed, or the bucket cannot be listed.
    """
    bucket, path = _bucket_and_path(scheme, rest)
    name = f"{scheme}://{bucket}/{path}"
    with _clear_errors(scheme, name):
        store = _store(scheme, bucket, timeout_s)
        # An object of no bytes has no rows: it is how a folder is marked.
        listed = {meta["path"]: meta for meta in _listed(store, path) if meta["size"]}
    return [_found(store, scheme, f"{scheme}://{bucket}/{key}", listed[key]) for key in sorted(listed)]


def write(scheme: str, rest: str, content: Iterable[bytes], *, timeout_s: float) -> None:
    """Write an object, in parts where it is large; until the last of them is there, so is what was there before.

    Parameters
    ----------
    scheme, rest
        As with `objects`, but the key of one object.
    timeout_s
        The seconds without an answer after which a request fails. It is tried again three times.

    Raises
    ------
    InputError
        obstore is not installed, there is no key, or the object cannot be written.
    """
    import obstore

    bucket, key = _bucket_and_path(scheme, rest)
    if not key or key.endswith("/"):
        raise InputError(f"{scheme}://{rest} is no object; write {scheme}://bucket/key")
    with _clear_errors(scheme, f"{scheme}://{bucket}/{key}", "write"):
        obstore.put(_store(scheme, bucket, timeout_s), key, iter(content))


def _bucket_and_path(scheme: str, rest: str) -> tuple[str, str]:
    bucket, _, path = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise InputError(
            f"there is no bucket in the place; write {scheme}://bucket/prefix, without credentials: "
            f"these are {_CREDENTIALS[scheme]}"
        )
    if find_spec("obstore") is None:
        raise InputError(f"{scheme}:// needs obstore: pip install 'uphours[cloud]'")
    return bucket, path


def _listed(store: ObjectStore, path: str) -> Sequence[ObjectMeta]:
    if is_glob(path):
        return _globbed(store, path)
    return _below(store, path) or _single(store, path)


def _globbed(store: ObjectStore, path: str) -> list[ObjectMeta]:
    import obstore

    root, patterns = split(path)
    if len(patterns) == 1 and patterns != ["**"]:
        candidates = obstore.list_with_delimiter(store, root)["objects"]
    else:
        candidates = _all_below(store, root)
    depth = len(root.split("/")) if root else 0
    return [
        meta
        for meta in candidates
        if matches(meta["path"].split("/")[depth:], patterns) and not is_unfinished(meta["path"].rpartition("/")[2])
    ]


def _below(store: ObjectStore, prefix: str) -> list[ObjectMeta]:
    return [meta for meta in _all_below(store, prefix) if not is_unfinished(meta["path"].rpartition("/")[2])]


def _all_below(store: ObjectStore, prefix: str) -> list[ObjectMeta]:
    import obstore

    return [meta for page in obstore.list(store, prefix.strip("/"), chunk_size=1000) for meta in page]


def _single(store: ObjectStore, key: str) -> list[ObjectMeta]:
    import obstore

    try:
        return [obstore.head(store, key)] if key and not key.endswith("/") else []
    except FileNotFoundError:
        return []


def _found(store: ObjectStore, scheme: str, name: str, meta: ObjectMeta) -> Found:
    def read_at(start: int, stop: int) -> bytes:
        with _clear_errors(scheme, name):
            answer = obstore.get(store, meta["path"], options={"range": (start, stop)})
            if _version(answer.meta) != _version(meta):
                raise changed(name)
            return bytes(answer.bytes())

    import obstore

    return Found(name, _version(meta), meta["size"], lambda: stream(_chunks(store, scheme, name, meta)), read_at)


def _version(meta: ObjectMeta) -> str:
    tag = meta["e_tag"]
    return f"etag:{tag}" if tag else f"modified:{meta['last_modified'].isoformat()} size:{meta['size']}"


def _chunks(store: ObjectStore, scheme: str, name: str, listed: ObjectMeta) -> Chunks:
    """Yield the bytes of an object: those of the version that the same answer states, whatever is written later."""
    import obstore

    with _clear_errors(scheme, name):
        answer = obstore.get(store, listed["path"])
        if _version(answer.meta) != _version(listed):
            raise changed(name)
        for chunk in answer.stream(min_chunk_size=BLOCK):
            yield bytes(chunk)


def _store(scheme: str, bucket: str, timeout_s: float) -> ObjectStore:
    from obstore import store

    patience = timedelta(seconds=timeout_s)
    client: ClientConfig = {
        "allow_http": True,  # asked for by an endpoint that says http alone; all others are https
        "connect_timeout": patience,
        "read_timeout": patience,
        "timeout": timedelta(days=1),  # of a whole body, however large, and however slowly it is read
    }
    retry: RetryConfig = {"max_retries": _MAX_RETRIES, "retry_timeout": patience}
    if scheme == "s3":
        return store.S3Store(bucket, client_options=client, retry_config=retry)
    if scheme == "gs":
        return store.GCSStore(bucket, client_options=client, retry_config=retry)
    return store.AzureStore(bucket, client_options=client, retry_config=retry)


@contextmanager
def _clear_errors(scheme: str, name: str, verb: str = "read") -> Iterator[None]:
    from obstore import exceptions

    try:
        yield
    except FileNotFoundError:
        gone = "it went away after it was listed, or its bucket did" if verb == "read" else "its bucket does not exist"
        raise InputError(f"{name} is not there; {gone}") from None
    except (exceptions.BaseError, OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        if _REFUSED.search(str(error)):
            reason = f"{_reason(error)}; credentials are {_CREDENTIALS[scheme]}"
            raise InputError(f"not allowed to {verb} {name}: {reason}") from None
        raise InputError(f"cannot {verb} {name}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    """Return the server's own words, or the first line of obstore's without the queries of URLs: they may be signed."""
    text = str(error).partition("\n\nDebug source")[0]
    code, message = (re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL) for tag in ("Code", "Message"))
    if code and message:
        return f"{message[1].strip()} ({code[1]})"
    return re.sub(r"(https?://[^\s?]*)\?\S*", r"\1", text.partition("\n")[0])
