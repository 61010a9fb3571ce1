"""Which network addresses are public: a source that a person names must not lead into our own network."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Resolve = Callable[[str, int], list[str]]
"""Gives the addresses of a host and port; raises OSError when there are none."""

# All special-purpose blocks of the IANA registries: the rules of `ipaddress` differ between releases of Python.
_NOT_PUBLIC_4: Final = [
    ip_network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
_GLOBAL_UNICAST_6: Final = IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = [
    ip_network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
]
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


def system_addresses(host: str, port: int) -> list[str]:
    """Ask the system's resolver for all addresses of a host, best first."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def is_public(address: str) -> bool:
    """Tell whether an address is one of the public internet.

    An IPv6 address that stands for an IPv4 address (mapped, NAT64, ISATAP) is as public as that one; 6to4 and Teredo
    never are.

    >>> is_public("192.0.2.1"), is_public("::ffff:10.0.0.1"), is_public("1.1.1.1")
    (False, False, True)
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv4Address):
        return parsed.is_global and not any(parsed in block for block in _NOT_PUBLIC_4)
    return _is_public_6(parsed)


def _is_public_6(address: IPv6Address) -> bool:
    inner = str(IPv4Address(address.packed[-4:]))
    if address in _MAPPED or address in _NAT64:
        return is_public(inner)
    if address.packed[8:12] in _ISATAP and not is_public(inner):
        return False
    return address.is_global and address in _GLOBAL_UNICAST_6 and not any(address in block for block in _NOT_PUBLIC_6)
