"""Which page makes a request: what browsers say of it, and what proxies that are trusted say of its way."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers

Network: TypeAlias = IPv4Network | IPv6Network

#: What may be asked for without changing anything.
SAFE: Final = ("GET", "HEAD", "OPTIONS")
#: What a scope has when the request is a HEAD, though the application is asked as if it were a GET.
AS_HEAD: Final = "uphours.head"

#: Browsers take a backslash for a slash, and two at the start for the name of another machine; they pass over blanks.
_OWN_PATH: Final = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f]{0,2000}")
_PORTS: Final = {"http": 80, "https": 443}
#: So much of an IPv6 address is one customer's.
_IPV6_PREFIX: Final = 64


class Way:
    """Knows how requests come in: whose they are, whether over https, and whether from a page elsewhere."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    def client(self, scope: MutableMapping[str, Any]) -> str:
        """Return the address of the client, as far as trusted proxies tell; of IPv6 the network.

        Each proxy adds the address that it was asked from at the end, so only what a trusted one added counts.
        """
        address = (scope.get("client") or ("",))[0]
        told = [one.strip() for value in Headers(scope=scope).getlist("x-forwarded-for") for one in value.split(",")]
        while told and self._trusts(address) and _address(told[-1]) is not None:
            address = told.pop()
        return _network_of(address)

    def is_https(self, scope: MutableMapping[str, Any]) -> bool:
        """Say whether a request is known to have come over https."""
        told = (
            Headers(scope=scope).get("x-forwarded-proto", "") if self._trusts((scope.get("client") or ("",))[0]) else ""
        )
        return scope["scheme"] == "https" or told.partition(",")[0].strip().lower() == "https"

    def is_foreign(self, scope: MutableMapping[str, Any]) -> bool:
        """Say whether a page of another origin makes a request.

        ``Sec-Fetch-Site`` knows best, as the browser sees the origin that we may be hidden behind. Old browsers, and
        others over plain http, do not send it; but ``Origin``, with whatever changes something.
        """
        headers = Headers(scope=scope)
        site = headers.get("sec-fetch-site")
        if site in ("cross-site", "same-site", "same-origin"):
            return site != "same-origin"
        origin = headers.get("origin")
        return origin is not None and not self._is_own(origin, headers.get("host", ""), scope)

    def may_come_from_elsewhere(self, scope: MutableMapping[str, Any]) -> bool:
        """Say whether a page of another origin may have led a browser to a GET: by a link, a frame, an image, a script.

        Browsers that send ``Sec-Fetch-Site`` say ``none`` for an address that someone typed. The others, and all over
        plain http to another machine, send at most where they come from, and a page can keep them from that: without
        it only programs are believed.
        """
        headers = Headers(scope=scope)
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("none", "same-origin")
        source = headers.get("origin") or headers.get("referer")
        if source is not None:
            return not self._is_own(source, headers.get("host", ""), scope)
        return "mozilla/" in headers.get("user-agent", "").lower()

    def _is_own(self, origin: str, host: str, scope: MutableMapping[str, Any]) -> bool:
        """Say whether an origin leads here. Whether a proxy speaks TLS is not always known, so any scheme may do."""
        scheme = origin.partition(":")[0]
        if scheme not in _PORTS or (scheme == "http" and self.is_https(scope)):
            return False
        try:
            there, here = urlsplit(origin), urlsplit(f"//{host}")
            ports = [one.port or _PORTS[scheme] for one in (there, here)]
        except ValueError:
            return False
        return bool(here.hostname) and there.hostname == here.hostname and ports[0] == ports[1]

    def _trusts(self, address: str) -> bool:
        found = _address(address)
        return found is not None and any(found in network for network in self._trusted)


def own_path(text: str) -> str:
    """Return where a link leads, if that is a path (and query) of this service; else the path of its start page."""
    return text if _OWN_PATH.fullmatch(text) else "/"


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(text)
    except ValueError:
        return None
    # A socket for IPv6 is asked over IPv4 too, and writes such addresses in its own way.
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found


def _network_of(address: str) -> str:
    found = _address(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((int(found), _IPV6_PREFIX), strict=False))
    return address if found is None else str(found)
