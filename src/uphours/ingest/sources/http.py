"""One file behind a URL, followed through redirects, each of them checked.

httpcore is spoken to directly: a client of httpx would write whole URLs, signatures included, into its log.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

import httpcore
import httpx

from uphours.errors import InputError
from uphours.ingest.sources.addresses import Resolve
from uphours.ingest.sources.source_file import Chunks, Found, changed, stream
from uphours.ingest.sources.ssrf import CheckedNetwork, Patience

MAX_REDIRECTS: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ENCODINGS: Final = frozenset({"", "identity", "gzip", "x-gzip", "zstd"})
_OF_CONTENT: Final = "sha256:"


@dataclass(frozen=True)
class _Download:
    url: httpx.URL
    credentials: str | None
    name: str
    allow_private: bool
    timeout_s: float
    resolve: Resolve
    network: httpcore.NetworkBackend

    @contextmanager
    def response(self) -> Iterator[httpcore.Response]:
        """Give the final answer; its body is not read yet. Errors inside become InputError."""
        with self._clear_errors(), ExitStack() as stack:
            patience = Patience(self.timeout_s)
            network = CheckedNetwork(self.network, self.resolve, patience, allow_private=self.allow_private)
            pool = stack.enter_context(
                httpcore.ConnectionPool(ssl_context=httpx.create_ssl_context(), network_backend=network)
            )
            url = self.url
            for _ in range(1 + MAX_REDIRECTS):
                response = stack.enter_context(pool.stream("GET", _plain(url), headers=self._headers(url)))
                if response.status not in _REDIRECTS:
                    yield self._accepted(response)
                    return
                url = self._next(url, _headers_of(response))
            raise InputError(f"cannot read {self.name}: it redirects more than {MAX_REDIRECTS} times")

    def version(self, response: httpcore.Response) -> str | None:
        """Return the version that the server states, if any."""
        headers = _headers_of(response)
        if etag := headers.get("etag"):
            return f"etag:{etag}"
        if modified := headers.get("last-modified"):
            return f"modified:{modified} size:{headers.get('content-length', 'unknown')}"
        return None

    def found(self) -> Found:
        """List the file. A server that states no version has it read to the end for that."""
        with self.response() as response:
            version = self.version(response)
            length = _headers_of(response).get("content-length", "")
            size = int(length) if length.isdecimal() else None
            if version is None:
                digest, size = hashlib.sha256(), 0
                for chunk in response.iter_stream():
                    digest.update(chunk)
                    size += len(chunk)
                version = _OF_CONTENT + digest.hexdigest()
        return Found(self.name, version, size, lambda: stream(self.chunks(version)))

    def chunks(self, version: str) -> Chunks:
        """Yield the bytes of one version as they come: a compressed body stays compressed."""
        if version.startswith(_OF_CONTENT):
            yield from self._chunks_of_content(version)
            return
        with self.response() as response:
            self._check(response, version)
            yield from response.iter_stream()
        with self.response() as response:  # it may have been overwritten while the server sent it
            self._check(response, version)

    def _chunks_of_content(self, version: str) -> Chunks:
        digest = hashlib.sha256()
        with self.response() as response:
            for chunk in response.iter_stream():
                digest.update(chunk)
                yield chunk
        if version != _OF_CONTENT + digest.hexdigest():
            raise changed(self.name)

    def _check(self, response: httpcore.Response, version: str) -> None:
        if self.version(response) != version:
            raise changed(self.name)

    def _headers(self, url: httpx.URL) -> list[tuple[bytes | str, bytes | str]]:
        headers: list[tuple[bytes | str, bytes | str]] = [
            ("Host", url.netloc),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "uphours"),
        ]
        if self.credentials and _origin(url) == _origin(self.url):
            headers.append(("Authorization", self.credentials))
        return headers

    def _next(self, url: httpx.URL, headers: Mapping[str, str]) -> httpx.URL:
        try:
            target = url.join(headers.get("location", "")).copy_with(userinfo=b"", fragment=None)
        except httpx.InvalidURL:
            target = None
        if "location" not in headers or target is None or target.scheme not in ("http", "https") or not target.host:
            raise InputError(f"cannot read {self.name}: it redirects to what is neither an http nor an https URL")
        return target

    def _accepted(self, response: httpcore.Response) -> httpcore.Response:
        if response.status != 200:
            raise InputError(f"cannot read {self.name}: the server answered {response.status}; valid is 200")
        encoding = _headers_of(response).get("content-encoding", "").strip().lower()
        if encoding not in _ENCODINGS:
            raise InputError(
                f"cannot read {self.name}: the server answered in the encoding {encoding!r} that was not asked for; "
                "valid are identity, gzip and zstd"
            )
        return response

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except httpcore.TimeoutException as error:
            raise InputError(
                f"cannot read {self.name}: time-out, the server made us wait for more than {self.timeout_s:g} s in all"
            ) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise InputError(f"cannot read {self.name}: {str(error) or 'the connection broke'}") from error


def web_file(
    place: str,
    name: str,
    *,
    allow_private: bool,
    timeout_s: float,
    resolve: Resolve,
    network: httpcore.NetworkBackend | None = None,
) -> Found:
    """List the one file behind an http or https URL; user and password in it are sent to its own host alone.

    Raises
    ------
    InputError
        The URL is not one, its host or one that it redirects to is not public, or the server gives no such file.
    """
    try:
        url = httpx.URL(place)
    except (httpx.InvalidURL, UnicodeError):
        url = httpx.URL("")
    if not url.host:
        raise InputError(f"{name!r} is not a URL; write it as https://host/path")
    credentials = None
    if url.userinfo:
        secret = base64.b64encode(unquote(url.userinfo.decode()).encode()).decode()
        credentials = f"Basic {secret}"
    plain = url.copy_with(userinfo=b"", fragment=None)
    network = network or httpcore.SyncBackend()
    return _Download(plain, credentials, name, allow_private, timeout_s, resolve, network).found()


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _plain(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _headers_of(response: httpcore.Response) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
