"""Bodies of kilobytes that become gigabytes: each is refused or set aside, in little memory, and others are served."""

from __future__ import annotations

import gzip
import io
import time
from collections.abc import Callable

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from tests.attacks.conftest import served, watched
from tests.fixtures.services import ServiceProcess

pytestmark = pytest.mark.slow

HEADER = b"store_id,status,timestamp_utc\n"
POLL = b"1,active,2023-01-24 10:00:00 UTC\n"


def parquet(**columns: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd")
    return file.getvalue()


def repeated(value: str, rows: int) -> pa.Array:
    """A column in which all rows have the same value: one value in a dictionary, and one run."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), [value])


def polls(rows: int, **more: object) -> dict[str, object]:
    columns = {"store_id": "1", "status": "active", "timestamp_utc": "2023-01-24 10:00:00 UTC"}
    return {name: repeated(value, rows) for name, value in columns.items()} | more


def one_long_list() -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, 30_000_000], pa.int32()), pa.array(np.zeros(30_000_000, np.int8)))


BOMBS: dict[str, Callable[[], bytes]] = {
    "short lines": lambda: gzip.compress(HEADER + b"x,\n" * 1_000_000),
    "very many short lines": lambda: gzip.compress(HEADER + b"x,\n" * 5_500_000, 1),
    "quotes": lambda: gzip.compress(HEADER + b'"\n' * 2_000_000),
    "blank lines": lambda: zstandard.compress(HEADER + b"\n" * 50_000_000),
    "an endless line": lambda: gzip.compress(HEADER + b"x" * 200_000_000, 1),
    "an endless header": lambda: gzip.compress(b"x" * 200_000_000, 1),
    "columns": lambda: gzip.compress(b",".join(b"c%d" % number for number in range(9000)) + b"\n"),
    "cells": lambda: gzip.compress(HEADER + b"," * 15_000_000 + b"\n"),
    "long ids": lambda: gzip.compress(HEADER + b"".join(b"%d%s,a,b\n" % (n, b"x" * 3000) for n in range(60_000))),
    "stores": lambda: gzip.compress(HEADER + b"".join(b"%d,active,2023-01-24T10:00:00Z\n" % n for n in range(700_000))),
    "rows": lambda: zstandard.compress(HEADER + POLL * 5_100_000),
    "empty objects": lambda: gzip.compress(b"{}\n" * 300_000),
    "an object of many keys": lambda: gzip.compress(
        b"{" + b",".join(b'"%d":[]' % number for number in range(1_500_000)) + b"}"
    ),
    "numbers in an array": lambda: gzip.compress(b"[" + b"1," * 300_000 + b"1]"),
    "lists in an array": lambda: gzip.compress(b"[" + b"[[],[],[],[],[],[],[],[],[]]," * 100_000 + b"1]"),
    "a list in an array": lambda: gzip.compress(b"[[" + b"[]," * 10_000_000 + b"1]]"),
    "depth": lambda: gzip.compress(b"[" * 30_000_000),
    "a run of rows": lambda: parquet(**polls(6_000_000)),
    "a long value": lambda: parquet(**polls(2_000) | {"store_id": repeated("x" * 1_000_000, 2_000)}),
    "a long value beside": lambda: parquet(**polls(10_000, more=repeated("x" * 1_000_000, 10_000))),
    "a long list beside": lambda: parquet(**polls(1, more=one_long_list())),
    "long pages": lambda: parquet(**polls(2000) | {"store_id": ["x" * 300_000 + str(n) for n in range(2000)]}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory_and_keeps_nobody_waiting(
    shared: ServiceProcess, client: httpx.Client, name: str
) -> None:
    content = BOMBS[name]()
    with watched(shared):
        answer = client.post(
            "/v1/loads", files={"polls": ("bomb", content)}, headers={"Prefer": "respond-async"}
        ).raise_for_status()
        row = {"store_id": "1", "status": "active", "timestamp_utc": "2023-01-24T10:00:00Z"}
        while client.get(f"/v1/jobs/{answer.json()['id']}").json()["finished_at"] is None:
            assert client.post("/v1/observations", json=row).status_code == 200
            time.sleep(0.02)
        served(client)
    job = client.get(f"/v1/jobs/{answer.json()['id']}").json()
    assert job["state"] in ("complete", "failed"), job
    assert not (job["reason"] or "").startswith("a defect"), job
    if job["load"] is not None:
        rows = client.get(f"/v1/loads/{job['load']}/quarantine", params={"format": "csv"})
        assert rows.status_code in (200, 404)
        assert len(rows.content) < 100_000_000


def test_a_store_may_not_have_hours_without_end(shared: ServiceProcess, client: httpx.Client) -> None:
    rows = [
        f"crowded,{n % 7},{n // 60 % 24:02}:{n % 60:02}:00,{n // 60 % 24:02}:{n % 60:02}:30" for n in range(100_000)
    ]
    content = "store_id,day,start_time_local,end_time_local\n" + "\n".join(rows)
    with watched(shared):
        answer = client.put("/v1/business-hours", content=content, headers={"Content-Type": "text/csv"})
        assert answer.status_code == 200, answer.text
        assert answer.json()["accepted"] <= 100_000
        assert "168" in answer.json()["reasons"][0]["reason"]
        assert client.get("/v1/stores", params={"window": "x=1970-01-01/2199-12-31"}, timeout=120).status_code == 200
