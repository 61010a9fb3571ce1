"""Files behind URLs, from a real server: versions, redirects, time-outs, and hosts that may not be connected to."""

from __future__ import annotations

import base64
import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpcore
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from uphours.errors import InputError
from uphours.ingest.sources.addresses import Resolve, is_public, system_addresses
from uphours.ingest.sources.http import web_file
from uphours.ingest.sources.resolve import files_of
from uphours.ingest.sources.source_file import Found

NOW = 1_700_000_000_000_000
BODY = b"store_id,status,timestamp_utc\n" * 1000
Answer = Callable[[BaseHTTPRequestHandler], None]
_CERTIFICATES: Final = httpx.create_ssl_context
_certificates_read_once: Final = cache(_CERTIFICATES)


@pytest.fixture(autouse=True)
def certificates_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not read the certificates of the whole world for each file: none of these servers needs them."""
    monkeypatch.setattr(httpx, "create_ssl_context", _certificates_read_once)


class Server(ThreadingHTTPServer):
    """A server on this machine that answers each path as it is told, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}{path}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing when a client hangs up, which is what it does after the headers."""


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        self.server.answers[self.path.partition("?")[0]](self)

    def log_message(self, format: str, *args: object) -> None:
        pass


def answer(body: bytes = BODY, status: int = 200, **headers: str) -> Answer:
    """Make an answer with a length; ``content_type="x"`` is the header Content-Type."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return send


def redirect(target: str, status: int = 302) -> Answer:
    return answer(b"", status, Location=target)


def slowly(parts: Sequence[bytes], pause_s: float) -> Answer:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("ETag", '"slow"')
        handler.send_header("Content-Length", str(sum(map(len, parts))))
        handler.end_headers()
        for part in parts:
            handler.wfile.write(part)
            time.sleep(pause_s)

    return send


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def found(url: str, *, timeout_s: float = 10, resolve: Resolve = system_addresses) -> Found:
    (file,) = files_of(url, now=NOW, allow_private=True, timeout_s=timeout_s, resolve=resolve)
    return file


def content(file: Found) -> bytes:
    with file.open() as stream:
        return stream.read()


# --- versions -------------------------------------------------------------------------------------------


def test_a_url_is_one_file(server: Server) -> None:
    server.answers["/polls.csv"] = answer(ETag='"1"')
    file = found(server.url("/polls.csv"))
    assert (file.name, file.version, file.size) == (server.url("/polls.csv"), 'etag:"1"', len(BODY))
    assert content(file) == BODY


def test_a_new_etag_is_a_new_version_and_the_old_one_is_not_read(server: Server) -> None:
    server.answers["/polls.csv"] = answer(ETag='"1"')
    old = found(server.url("/polls.csv"))
    server.answers["/polls.csv"] = answer(ETag='"2"')
    assert found(server.url("/polls.csv")).version != old.version
    with pytest.raises(InputError, match="changed after it was listed"):
        old.open()


def test_a_file_that_changes_while_it_is_read_is_an_error_at_its_end(server: Server) -> None:
    server.answers["/polls.csv"] = answer(ETag='"1"')
    file = found(server.url("/polls.csv"))
    with file.open() as stream:
        server.answers["/polls.csv"] = answer(ETag='"2"')
        with pytest.raises(InputError, match="changed after it was listed"):
            stream.read()


def test_the_time_of_the_last_change_and_the_size_are_a_version(server: Server) -> None:
    server.answers["/polls.csv"] = answer(Last_Modified="Mon, 02 Jan 2023 10:00:00 GMT")
    file = found(server.url("/polls.csv"))
    assert file.version == f"modified:Mon, 02 Jan 2023 10:00:00 GMT size:{len(BODY)}"
    assert content(file) == BODY


def test_a_server_without_versions_has_the_content_as_version(server: Server) -> None:
    server.answers["/polls.csv"] = answer()
    file = found(server.url("/polls.csv"))
    assert file.version.startswith("sha256:")
    assert file.size == len(BODY)
    assert content(file) == BODY
    server.answers["/polls.csv"] = answer(BODY[::-1])
    assert found(server.url("/polls.csv")).version != file.version
    with pytest.raises(InputError, match="changed after it was listed"):
        content(file)


def test_a_listing_does_not_read_the_body(server: Server) -> None:
    server.answers["/polls.csv"] = slowly([b"x"] * 100, 0.1)
    begin = time.monotonic()
    assert found(server.url("/polls.csv")).size == 100
    assert time.monotonic() - begin < 5


def test_a_body_cut_short_is_an_error(server: Server) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        answer(BODY[:-1], ETag='"1"', Content_Length=str(len(BODY)))(handler)

    server.answers["/polls.csv"] = cut
    with pytest.raises(InputError, match="cannot read"):
        content(found(server.url("/polls.csv")))


# --- bodies ---------------------------------------------------------------------------------------------


def test_a_compressed_body_is_asked_not_to_be_and_stays_as_it_was_sent(server: Server) -> None:
    packed = gzip.compress(BODY)
    server.answers["/polls.csv"] = answer(packed, ETag='"1"', Content_Encoding="gzip")
    assert content(found(server.url("/polls.csv"))) == packed
    assert {headers["accept-encoding"] for _, headers in server.asked} == {"identity"}


def test_an_encoding_that_nobody_reads_is_an_error(server: Server) -> None:
    server.answers["/polls.csv"] = answer(ETag='"1"', Content_Encoding="br")
    with pytest.raises(InputError, match="valid are identity, gzip and zstd"):
        found(server.url("/polls.csv"))


@pytest.mark.parametrize("status", [204, 206, 401, 404, 500])
def test_any_other_status_is_an_error_that_names_it(server: Server, status: int) -> None:
    server.answers["/polls.csv"] = answer(b"", status)
    with pytest.raises(InputError, match=f"answered {status}"):
        found(server.url("/polls.csv"))


# --- time -----------------------------------------------------------------------------------------------


def test_a_body_that_drips_is_a_time_out(server: Server) -> None:
    server.answers["/polls.csv"] = slowly([b"x"] * 1000, 0.05)
    file = found(server.url("/polls.csv"), timeout_s=0.5)
    begin = time.monotonic()
    with pytest.raises(InputError, match=r"time-out, the server made us wait for more than 0\.5 s"):
        content(file)
    assert time.monotonic() - begin < 5


def test_a_reader_that_takes_its_time_is_no_time_out(server: Server) -> None:
    server.answers["/polls.csv"] = answer(b"x" * 3_000_000, ETag='"1"')
    with found(server.url("/polls.csv"), timeout_s=1).open() as stream:
        first = stream.read(1000)
        time.sleep(1.2)
        assert len(first + stream.read()) == 3_000_000


def test_a_server_that_says_nothing_is_a_time_out(server: Server) -> None:
    server.answers["/polls.csv"] = lambda handler: time.sleep(1)
    with pytest.raises(InputError, match="time-out"):
        found(server.url("/polls.csv"), timeout_s=0.3)


def test_a_resolver_that_says_nothing_is_a_time_out() -> None:
    def never(host: str, port: int) -> list[str]:
        time.sleep(2)
        return []

    begin = time.monotonic()
    with pytest.raises(InputError, match="time-out"):
        found("http://slow.example/polls.csv", timeout_s=0.2, resolve=never)
    assert time.monotonic() - begin < 1.5


def test_a_port_where_nobody_listens_is_an_error(server: Server) -> None:
    url = server.url("/polls.csv")
    server.server_close()
    with pytest.raises(InputError, match="cannot read"):
        found(url)


def test_a_host_that_is_not_found_is_an_error() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    with pytest.raises(InputError, match=r"the host nowhere\.example is not found: Name or service not known"):
        found("http://nowhere.example/polls.csv", resolve=unknown)


# --- redirects ------------------------------------------------------------------------------------------


def test_redirects_are_followed_and_the_name_stays(server: Server) -> None:
    server.answers |= {
        f"/{hop}": redirect(f"/{hop + 1}", status) for hop, status in enumerate((301, 302, 303, 307, 308))
    }
    server.answers["/5"] = answer(ETag='"1"')
    file = found(server.url("/0"))
    assert (file.name, content(file)) == (server.url("/0"), BODY)


def test_a_sixth_redirect_is_an_error(server: Server) -> None:
    server.answers["/loop"] = redirect("/loop")
    with pytest.raises(InputError, match="redirects more than 5 times"):
        found(server.url("/loop"))
    assert len(server.asked) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "gopher://host/x"])
def test_a_redirect_leads_to_http_or_https_alone(server: Server, target: str) -> None:
    server.answers["/polls.csv"] = redirect(target)
    with pytest.raises(InputError, match="neither an http nor an https URL"):
        found(server.url("/polls.csv"))


def test_a_redirect_without_a_target_is_an_error(server: Server) -> None:
    server.answers["/polls.csv"] = answer(b"", 302)
    with pytest.raises(InputError, match="neither an http nor an https URL"):
        found(server.url("/polls.csv"))


def test_user_and_password_are_sent_to_their_own_host_alone(server: Server) -> None:
    server.answers["/here"] = redirect(server.url("/there"))
    server.answers["/there"] = redirect(server.url("/elsewhere", "localhost"))
    server.answers["/elsewhere"] = answer(ETag='"1"')
    file = found(server.url("/here", "me:s%20cret@127.0.0.1"), resolve=lambda host, port: ["127.0.0.1"])
    sent = {path: headers.get("authorization") for path, headers in server.asked}
    expected = "Basic " + base64.b64encode(b"me:s cret").decode()
    assert sent == {"/here": expected, "/there": expected, "/elsewhere": None}
    assert file.name == server.url("/here")


def test_no_secret_is_in_an_error(server: Server) -> None:
    server.answers["/polls.csv"] = answer(b"", 403)
    server.answers["/moved"] = redirect(server.url("/polls.csv?sig=s3cret"))
    for path in ("/polls.csv?token=s3cret", "/moved?sig=s3cret"):
        with pytest.raises(InputError, match="answered 403") as caught:
            found(server.url(path, "me:s3cret@127.0.0.1"))
        assert "s3cret" not in str(caught.value)
    with pytest.raises(InputError) as caught:
        found("http://me:s3/cret@host/x")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://", "https:///x", "http://host:99999999/x", "http://ho st/x"])
def test_a_text_that_is_no_url_is_an_error(url: str) -> None:
    with pytest.raises(InputError):
        found(url)


# --- addresses ------------------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "0.0.0.0",
    "100.64.0.1", "192.0.0.1", "192.0.0.9", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "2001:db8::1",
    "3fff::1", "5f00::1", "4000::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254", "64:ff9b:1::1.1.1.1", "2002:7f00:1::1", "2002:101:101::1", "2001::1", "2001:10::1",
    "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:127.0.0.1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_of_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(address)
    with pytest.raises(InputError, match="not public"):
        files_of("http://host.example/x", now=NOW, resolve=lambda host, port: [address])


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_one_address_that_is_not_public_refuses_the_host(server: Server) -> None:
    for addresses in (["1.1.1.1", "127.0.0.1"], ["127.0.0.1", "1.1.1.1"]):
        with pytest.raises(InputError, match=r"mixed\.example has the address 127\.0\.0\.1, which is not public"):
            files_of(server.url("/x", "mixed.example"), now=NOW, resolve=lambda host, port, all_=addresses: all_)  # type: ignore[misc]
    assert not server.asked


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
def test_this_machine_is_refused_however_it_is_written(server: Server, host: str) -> None:
    with pytest.raises(InputError, match=r"not public|not found|not a URL"):
        files_of(server.url("/x", host), now=NOW)
    assert not server.asked


class Elsewhere(httpcore.SyncBackend):
    """A network on which every address is a server of this machine; it remembers what it was asked to connect to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.addresses: list[str] = []

    def connect_tcp(self, host: str, port: int, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        self.addresses.append(host)
        return super().connect_tcp("127.0.0.1", self.port, *args, **kwargs)


def listed_elsewhere(server: Server, url: str, resolve: Resolve) -> tuple[Found, Elsewhere]:
    network = Elsewhere(server.server_port)
    file = web_file(url, url, allow_private=False, timeout_s=10, resolve=resolve, network=network)
    return file, network


def test_the_address_that_was_checked_is_the_one_connected_to(server: Server) -> None:
    server.answers["/polls.csv"] = answer(ETag='"1"')
    answers = iter([["1.1.1.1"], ["127.0.0.1"]])
    file, network = listed_elsewhere(server, "http://rebinding.example/polls.csv", lambda host, port: next(answers))
    assert network.addresses == ["1.1.1.1"]
    with pytest.raises(InputError, match=r"rebinding\.example has the address 127\.0\.0\.1, which is not public"):
        file.open()
    assert network.addresses == ["1.1.1.1"]


@pytest.mark.parametrize(
    "target", ["http://inside.example/secret", "http://10.0.0.1/", "http://[::1]/", "//10.0.0.1/x"]
)
def test_a_redirect_to_an_address_that_is_not_public_is_refused(server: Server, target: str) -> None:
    server.answers["/polls.csv"] = redirect(target)

    def resolve(host: str, port: int) -> list[str]:
        return {"outside.example": ["1.1.1.1"], "inside.example": ["10.0.0.1"]}.get(host, [host])

    with pytest.raises(InputError, match="not public"):
        listed_elsewhere(server, "http://outside.example/polls.csv", resolve)
    assert [path for path, _ in server.asked] == ["/polls.csv"]


def test_each_connection_resolves_once_and_asks_for_the_host_by_name(server: Server) -> None:
    server.answers["/polls.csv"] = answer(ETag='"1"')
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    found(server.url("/polls.csv", "files.example"), resolve=resolve)
    assert asked == ["files.example"]
    assert server.asked[0][1]["host"] == f"files.example:{server.server_port}"


def test_the_next_address_is_tried_when_one_does_not_answer(server: Server) -> None:
    server.answers["/polls.csv"] = answer(ETag='"1"')
    file = found(server.url("/polls.csv", "files.example"), resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"])
    assert content(file) == BODY


def test_a_proxy_of_the_environment_is_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, server.url(""))
    with pytest.raises(InputError, match="not public"):
        files_of("http://host.example/x", now=NOW, resolve=lambda host, port: ["10.0.0.1"])
    assert not server.asked


# --- TLS ------------------------------------------------------------------------------------------------


def certificate(folder: Path, host: str) -> Path:
    """Write a key and a certificate of a host that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(pem))
    return path


def test_the_certificate_is_checked_for_the_name_not_for_the_address(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "files.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    monkeypatch.setattr(httpx, "create_ssl_context", _CERTIFICATES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.answers["/polls.csv"] = answer(ETag='"1"')

    def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    good = server.url("/polls.csv", "files.example").replace("http:", "https:")
    assert content(found(good, resolve=resolve)) == BODY
    other = server.url("/polls.csv", "other.example").replace("http:", "https:")
    with pytest.raises(InputError, match="certificate"):
        found(other, resolve=resolve)
