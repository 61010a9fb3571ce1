"""Overviews of the whole fleet, kept for some seconds: a list is turned over page by page, and by many people."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import Window
from storepulse.overview import Overview, overview
from storepulse.store import Store

_FRESH_S: Final = 5.0
_MOST: Final = 8


@dataclass(frozen=True)
class _Kept:
    made_at: float
    made: Overview


class Fleets:
    """Makes overviews; the same one for the same question within five seconds, and one at a time."""

    def __init__(self, store: Store, version: str) -> None:
        self._store, self._version = store, version
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = Lock()

    def overview(self, *, as_of: int | None, window: str | Window, policy: Policy) -> Overview:
        """Return an overview that is at most five seconds old."""
        question = (as_of, window, policy)
        with self._lock:
            kept = self._kept.get(question)
            if kept is None or time.monotonic() - kept.made_at > _FRESH_S:
                kept = _Kept(time.monotonic(), self._made(as_of, window, policy))
                self._kept[question] = kept
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
            return kept.made

    def _made(self, as_of: int | None, window: str | Window, policy: Policy) -> Overview:
        with self._store.snapshot() as fleet:
            return overview(
                fleet, as_of=as_of, window=window, policy=policy, version=self._version, loads_seen=fleet.latest_load()
            )
