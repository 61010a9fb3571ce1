"""Requests whose limits are not clear: they are refused and their connection is closed, whatever a parser says.

What a parser accepts differs; a proxy in front of the service may see the limits of a request elsewhere than we do
(request smuggling). RFC 9112, sections 3.2 and 6.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.datastructures import Headers

from uphours.service.connections import STATE, Connection

Refusal = tuple[int, str]

_VERSIONS: Final = ("1.0", "1.1")


def connection_of(scope: MutableMapping[str, Any]) -> Connection | None:
    """Return the connection that a request came by; None where no server is, as in tests."""
    connection: Connection | None = scope.get("state", {}).get(STATE)
    return connection


def has_body(headers: Headers) -> bool:
    """Say whether a request announces a body."""
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def framing_refusal(scope: MutableMapping[str, Any], headers: Headers) -> Refusal | None:
    """Return why a request cannot be told apart from what surrounds it, with a status; None if it can."""
    names = [name for name, _ in scope["headers"]]
    if scope["http_version"] not in _VERSIONS:
        return 505, "valid are HTTP/1.0 and HTTP/1.1"
    if (hosts := names.count(b"host")) != 1 and (hosts or scope["http_version"] == "1.1"):
        return 400, f"there are {hosts} Host headers; valid is one"
    if scope["method"] == "CONNECT":
        return 405, "this service is no proxy"
    if b"transfer-encoding" in names:
        return _coding_refusal(scope, headers, names)
    if names.count(b"content-length") > 1:
        return 400, "there are several Content-Length headers; valid is one"
    if b"upgrade" in names and has_body(headers) and not _serves_upgrades(scope):
        return 400, "only the first request of a connection may have both a body and Upgrade"
    return None


def is_last(scope: MutableMapping[str, Any], headers: Headers) -> bool:
    """Say whether the parser takes a request for the last one of its connection, as it asks to change protocols."""
    return "upgrade" in headers and not _serves_upgrades(scope)


def _coding_refusal(scope: MutableMapping[str, Any], headers: Headers, names: list[bytes]) -> Refusal | None:
    if b"content-length" in names or names.count(b"transfer-encoding") > 1:
        return 400, "Transfer-Encoding stands beside Content-Length, or twice; valid is one of them"
    if scope["http_version"] == "1.0":
        return 400, "HTTP/1.0 has no Transfer-Encoding"
    if headers["transfer-encoding"].strip().lower() != "chunked":
        return 501, "the only Transfer-Encoding that is valid here is chunked"
    if b"upgrade" in names and not _serves_upgrades(scope):
        return 400, "only the first request of a connection may have both a body and Upgrade"
    return None


def _serves_upgrades(scope: MutableMapping[str, Any]) -> bool:
    connection = connection_of(scope)
    return connection is None or connection.serves_upgrades
