"""A way around the framework for the one route that thousands of small requests a second come in by.

Layers and routing of FastAPI take longer than everything that such a request is for. The endpoint is the same, and
so are the guards around it.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp

from storepulse.errors import StorepulseError
from storepulse.settings import Settings
from storepulse.web.api.loads import OBSERVATIONS, post_observations
from storepulse.web.guards import App, Guards, Receive, Send
from storepulse.web.metrics import Metrics
from storepulse.web.problems import answer_to

_ROUTE: Final = Route(OBSERVATIONS, post_observations, methods=["POST"])


async def _observations(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    scope.update(route=_ROUTE, endpoint=post_observations)
    request = Request(scope, receive)
    try:
        response = await post_observations(request)
    except (StorepulseError, HTTPException) as error:
        response = answer_to(request, error)
    await response(scope, receive, send)


class Application(FastAPI):
    """The application, with its shortcut."""

    def __init__(self, *, settings: Settings, metrics: Metrics, **more: Any) -> None:
        super().__init__(**more)
        self._shortcut: App = Guards(_observations, settings, metrics)

    def build_middleware_stack(self) -> ASGIApp:
        """Return the layers of the framework, with a junction before them."""
        stack = super().build_middleware_stack()

        async def junction(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            is_short = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == OBSERVATIONS
            # A browser page elsewhere needs the headers of one of those layers.
            is_short = is_short and not any(name == b"origin" for name, _ in scope["headers"])
            await (self._shortcut if is_short else stack)(scope, receive, send)

        return junction
