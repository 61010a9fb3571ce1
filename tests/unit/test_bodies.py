"""How long a service waits for the body of a request."""

from __future__ import annotations

import asyncio

import pytest
from starlette.exceptions import HTTPException

from uphours.service import middleware
from uphours.service.middleware import Message

pytestmark = pytest.mark.anywhere


def test_a_body_of_which_nothing_comes_is_given_up_long_before_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(middleware, "_IDLE_S", 0.2)
    monkeypatch.setattr(middleware, "_LOOK_S", 0.05)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def read() -> None:
        await middleware._Body(receive, 1000, 600.0, asyncio.Event(), None, is_announced=True)()

    with pytest.raises(HTTPException, match=r"nothing of the body came for 0\.2 seconds") as refused:
        asyncio.run(read())
    assert refused.value.status_code == 408
