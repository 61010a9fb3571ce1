"""Whose a request is, over what it came, from which page, and where a link leads."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from uphours.service.origins import Way, own_path

pytestmark = pytest.mark.anywhere

PROXY = "10.0.0.1"
WAY = Way([ip_network("10.0.0.0/24"), ip_network("fd00::/8")])


def scope(*headers: tuple[str, str], client: str | None = PROXY, scheme: str = "http") -> dict[str, Any]:
    return {
        "type": "http",
        "scheme": scheme,
        "client": None if client is None else (client, 1),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


# --- addresses ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asks", "told", "client"),
    [
        (PROXY, [], PROXY),
        (PROXY, ["192.0.2.1"], "192.0.2.1"),
        (PROXY, ["6.6.6.6, 192.0.2.1"], "192.0.2.1"),  # the client made up the first one
        (PROXY, ["6.6.6.6", "192.0.2.1"], "192.0.2.1"),
        (PROXY, ["192.0.2.1, 10.0.0.7"], "192.0.2.1"),  # through two proxies
        (PROXY, ["10.0.0.9, 10.0.0.7"], "10.0.0.9"),
        (PROXY, ["192.0.2.1, unknown"], PROXY),
        (PROXY, ["192.0.2.1:80"], PROXY),
        (PROXY, [""], PROXY),
        ("10.0.1.1", ["192.0.2.1"], "10.0.1.1"),  # not one that is trusted
        ("::ffff:10.0.0.1", ["192.0.2.1"], "192.0.2.1"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("fd00::1", ["2001:db8:a:b:1:2:3:4"], "2001:db8:a:b::/64"),
        ("2001:db8:a:b:5:6:7:8", [], "2001:db8:a:b::/64"),
        ("fe80::1%eth0", [], "fe80::/64"),
        ("a-socket", ["192.0.2.1"], "a-socket"),
        (None, ["192.0.2.1"], ""),
    ],
)
def test_only_what_trusted_proxies_add_says_whose_a_request_is(asks: str | None, told: list[str], client: str) -> None:
    assert WAY.client(scope(*(("X-Forwarded-For", one) for one in told), client=asks)) == client


@pytest.mark.parametrize(
    ("asks", "told", "scheme", "https"),
    [
        (PROXY, "https", "http", True), (PROXY, "HTTPS, http", "http", True), (PROXY, "http", "http", False),
        (PROXY, "", "http", False), (PROXY, "http, https", "http", False), ("192.0.2.1", "https", "http", False),
        ("192.0.2.1", "", "https", True), (PROXY, "ftp", "http", False),
    ],
)  # fmt: skip
def test_only_trusted_proxies_say_that_a_request_came_over_https(
    asks: str, told: str, scheme: str, https: bool
) -> None:
    assert WAY.is_https(scope(("X-Forwarded-Proto", told), client=asks, scheme=scheme)) is https


# --- pages of other origins ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("site", "origin", "foreign"),
    [
        (None, None, False), ("same-origin", None, False), ("none", None, False), ("cross-site", None, True),
        ("same-site", None, True), ("same-site", "https://own.example", True), ("same-origin", "null", False),
        ("none", "https://evil.example", True), ("nonsense", "https://evil.example", True), (None, "null", True),
        (None, "https://own.example", False), (None, "http://own.example", False), (None, "", True),
        (None, "https://own.example:443", False), (None, "https://own.example:8443", True),
        (None, "https://OWN.example", False), (None, "https://own.example.evil", True),
        (None, "https://own.example:x", True), (None, "https://[", True), (None, "https://own.example:99999", True),
    ],
)  # fmt: skip
def test_a_browser_says_whether_a_page_of_another_origin_asks(
    site: str | None, origin: str | None, foreign: bool
) -> None:
    told = (("Host", "own.example"), ("Sec-Fetch-Site", site), ("Origin", origin))
    assert WAY.is_foreign(scope(*((name, value) for name, value in told if value is not None))) is foreign


def test_over_https_a_page_of_http_is_of_another_origin() -> None:
    told = [("Host", "own.example"), ("X-Forwarded-Proto", "https")]
    assert WAY.is_foreign(scope(*told, ("Origin", "http://own.example")))
    assert not WAY.is_foreign(scope(*told, ("Origin", "https://own.example")))
    assert WAY.is_foreign(scope(("Host", "own.example"), ("Origin", "http://own.example"), scheme="https"))


def test_without_a_host_every_origin_is_another_one() -> None:
    assert WAY.is_foreign(scope(("Origin", "http://")))
    assert WAY.is_foreign(scope(("Host", ""), ("Origin", "http://own.example")))


# --- links --------------------------------------------------------------------------------------------------


def followed(link: str) -> str:
    """Return where a browser goes from a page of ours: it passes over blanks, and takes backslashes for slashes."""
    link = link.strip("".join(map(chr, range(33))))
    for character in "\t\n\r":
        link = link.replace(character, "")
    return urljoin("https://own.example/a/b", link.replace("\\", "/"))


@given(st.text(max_size=20) | st.text("/\\\t\n\r :.@?#abc", max_size=12))
@example("//evil.example")
@example("/\\evil.example")
@example("/\t/evil.example")
@example("https://evil.example")
def test_a_link_that_is_taken_leads_nowhere_else(text: str) -> None:
    leads_to = own_path(text)
    assert leads_to in (text, "/")
    found = urlsplit(followed(leads_to))
    assert (found.scheme, found.netloc) == ("https", "own.example")


@pytest.mark.parametrize("path", ["/", "/stores", "/stores/a%2Fb?window=yesterday&x=%22#top", "/a//b", "/stores/ö"])
def test_a_path_of_ours_is_taken_as_it_is(path: str) -> None:
    assert own_path(path) == path
