from __future__ import annotations

import httpx

from tests.fixtures.databases import only_sqlite

pytestmark = only_sqlite


def test_it_says_that_it_is_alive_and_ready(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ok"}
