"""A client of the service that costs little, so that the service is measured and not its clients."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass
class Connection:
    """A connection that is kept open, for one request at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(head.encode() + b"Content-Type: application/json\r\n\r\n" + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", answer)
        if length is None:
            raise SystemExit(f"{path}: an answer without a length: {answer!r}")
        return int(answer[9:12]), await self.reader.readexactly(int(length[1]))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """Open a connection for the length of a block."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
    try:
        yield Connection(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
