"""Clients that ask for HTTP/2 with each request: what they send is loaded, and they get the report they asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.services import ServiceProcess, finished, in_ci

pytestmark = pytest.mark.slow

JAVA = Path(__file__).with_name("Client.java")


def program(name: str, hint: str) -> str:
    """Return the path of a program; without it the test is skipped, but fails in CI."""
    found = shutil.which(name)
    if found is None:
        message = f"there is no {name}; {hint}"
        if in_ci():
            pytest.fail(message)
        pytest.skip(message)
    return found


def test_java_posts_rows_and_gets_its_report(shared: ServiceProcess, client: httpx.Client) -> None:
    java = program("java", "apt install openjdk-17-jdk-headless")
    ran = subprocess.run(
        [java, "-Xmx128m", str(JAVA), shared.url], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr
    posted, streamed, asked = (line.partition(" ") for line in ran.stdout.splitlines())
    assert (posted[0], json.loads(posted[2])["accepted"]) == ("200", 1)
    assert (streamed[0], json.loads(streamed[2])["accepted"]) == ("200", 1)
    check_report(client, json.loads(asked[2]), "java")


def test_curl_posts_rows_and_gets_its_report(shared: ServiceProcess, client: httpx.Client, tmp_path: Path) -> None:
    curl = program("curl", "apt install curl")
    version = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True, timeout=60).stdout
    if "HTTP2" not in version:
        pytest.skip("this curl speaks no HTTP/2")
    rows = tmp_path / "rows.ndjson"
    rows.write_text(
        "".join(
            f'{{"store_id": "curl", "status": "active", "timestamp_utc": "2023-01-25T10:{minute:02}:00Z"}}\n'
            for minute in range(60)
        )
        * 1000  # several megabytes, in many segments
    )

    def sent(path: str, media_type: str, *words: str) -> dict[str, Any]:
        ran = subprocess.run(
            [curl, "--silent", "--show-error", "--http2", "--header", f"Content-Type: {media_type}", *words,
             shared.url + path],
            capture_output=True, text=True, timeout=240, check=True,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(ran.stdout)
        return answer

    assert sent("/v1/observations", "application/x-ndjson", "--data-binary", f"@{rows}")["accepted"] == 60_000
    chunked = ("--header", "Transfer-Encoding: chunked", "--data-binary", f"@{rows}")
    assert sent("/v1/observations", "application/x-ndjson", *chunked)["accepted"] == 60_000
    report = {"as_of": "2023-01-25T11:00:00Z", "stores": ["curl"]}
    check_report(client, sent("/v1/reports", "application/json", "--data", json.dumps(report)), "curl")


def check_report(client: httpx.Client, asked: dict[str, Any], store_id: str) -> None:
    assert (asked["as_of"], asked["options"]["stores"]) == ("2023-01-25T11:00:00Z", [store_id])
    assert finished(client, asked["id"])["state"] == "complete"
    lines = client.get(f"/v1/reports/{asked['id']}/result").text.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["store_id", store_id]
