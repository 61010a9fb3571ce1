"""Routes to what takes long: their endpoints run in lanes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ClassVar

from uphours.service.auth import KeyedRoute
from uphours.service.lanes import Name


class _LaneRoute(KeyedRoute):
    lane: ClassVar[Name]

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        super().__init__(path, _in_lane(endpoint, self.lane), **more)


class ViewRoute(_LaneRoute):
    """A route to a view of the whole fleet: its endpoint, which gets ``serving``, runs in the lane of such views."""

    lane = "views"


class StoreRoute(_LaneRoute):
    """A route to a view of one store, as with `ViewRoute`."""

    lane = "stores"


def _in_lane(endpoint: Callable[..., Any], lane: Name) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(endpoint):  # it waits for a body, and does the rest in a thread itself
        return endpoint

    @functools.wraps(endpoint)
    async def run(**arguments: Any) -> Any:
        return await arguments["serving"].lanes[lane].run(endpoint, **arguments)

    return run
