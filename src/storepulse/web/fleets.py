"""Views of the whole fleet, kept as long as the store has not changed: many people look, and turn over page by page."""

from __future__ import annotations

import queue
import threading
import time
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

import structlog

from storepulse.errors import InputError, NotFoundError, StoreError
from storepulse.history import HeatMap, History, heat_map, history
from storepulse.kernel.policy import Policy
from storepulse.kernel.windows import Window, windows
from storepulse.overview import Overview, overview
from storepulse.reports import Known, end_of, latest, read, read_window
from storepulse.store import Content, Store

#: Callers that say nothing accept an answer of so many seconds ago; and none is made anew in the background so soon.
FRESH_S: Final = 5.0
#: So many answers are kept, the latest asked for.
_MOST_ANSWERS: Final = 24
#: So many readings of observations are kept, and at most of so many bytes together.
_MOST_READINGS: Final = 2
_MOST_BYTES: Final = 128 << 20
#: So long a computation in the background may hold up the end of the service.
_LAST_WAIT_S: Final = 5.0

_Kind: TypeAlias = Literal["overview", "history", "heat map"]

log = structlog.get_logger("storepulse.web")


class _Question(NamedTuple):
    kind: _Kind
    as_of: int | None
    window: str | Window
    policy: Policy


@dataclass
class _Answer:
    """What was made of a question, and of which content; until when it was known to be of the content there is."""

    made: Any
    content: Content
    began_at: float
    current_at: float


@dataclass(frozen=True)
class _Reading:
    content: Content
    as_of: int
    known: Known

    @property
    def size(self) -> int:
        return self.known.known.times.nbytes + self.known.known.statuses.nbytes


class Fleets:
    """Makes overviews, histories and heat maps: one at a time, and none twice of the same content.

    Whether an answer is still right, one small query tells: content changes with a load, and when observations are
    pruned. Callers may accept an older one, ``stale_ok`` seconds after it was last known to be right: they get it at
    once, while a thread in the background makes the new one.
    """

    def __init__(self, store: Store, version: str) -> None:
        self._store, self._version = store, version
        self._lock = threading.Lock()  # of all that follows but the readings
        self._answers: OrderedDict[_Question, _Answer] = OrderedDict()
        self._in_work: dict[_Question, Future[_Answer]] = {}
        self._wanted: set[_Question] = set()
        self._to_do: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._turn = threading.Lock()  # of whoever computes, and of the readings
        self._readings: OrderedDict[tuple[int | None, str | Window, bool], _Reading] = OrderedDict()

    def overview(
        self, *, as_of: int | None, window: str | Window, policy: Policy, stale_ok: float = FRESH_S
    ) -> Overview:
        """Return an overview that is right, or was ``stale_ok`` seconds ago."""
        return cast(Overview, self._answer(_Question("overview", as_of, window, policy), stale_ok))

    def history(self, *, as_of: int | None, window: str | Window, policy: Policy, stale_ok: float = FRESH_S) -> History:
        """Return a history that is right, or was ``stale_ok`` seconds ago."""
        return cast(History, self._answer(_Question("history", as_of, window, policy), stale_ok))

    def heat_map(
        self, *, as_of: int | None, window: str | Window, policy: Policy, stale_ok: float = FRESH_S
    ) -> HeatMap:
        """Return a heat map that is right, or was ``stale_ok`` seconds ago."""
        return cast(HeatMap, self._answer(_Question("heat map", as_of, window, policy), stale_ok))

    def warm(self) -> None:
        """Make in the background what is looked at first: the last week, as by default."""
        for kind in ("overview", "history", "heat map"):
            self._want(_Question(kind, None, "last_week", Policy()))

    def stop(self) -> None:
        """Make nothing more in the background."""
        with self._lock:
            self._stopped = True
        if self._thread is not None:
            self._to_do.put(None)
            self._thread.join(_LAST_WAIT_S)

    # --- answers ---

    def _answer(self, question: _Question, stale_ok: float) -> Any:
        asked_at = time.monotonic()
        with self._lock:
            kept = self._answers.get(question)
            if kept is not None:
                self._answers.move_to_end(question)
        if kept is not None:
            if kept.content == self._store.content():
                kept.current_at = max(kept.current_at, asked_at)
                return kept.made
            if asked_at - kept.current_at <= stale_ok:
                if asked_at - kept.began_at > FRESH_S:
                    self._want(question)
                return kept.made
        return self._made_since(question, asked_at - stale_ok).made

    def _made_since(self, question: _Question, since: float) -> _Answer:
        """Return an answer that was begun at this time at the earliest, made here or by whoever is at it already."""
        while True:
            with self._lock:
                in_work = self._in_work.get(question)
                if in_work is None:
                    mine = self._in_work[question] = Future[_Answer]()
            answer = self._make(question, mine) if in_work is None else in_work.result()
            if answer.began_at >= since:
                return answer

    def _make(self, question: _Question, future: Future[_Answer]) -> _Answer:
        try:
            with self._turn:
                answer = self._computed(question)
        except BaseException as error:
            with self._lock:
                del self._in_work[question]
            future.set_exception(error)
            raise
        with self._lock:
            del self._in_work[question]
            self._answers[question] = answer
            self._answers.move_to_end(question)
            while len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)
        future.set_result(answer)
        return answer

    def _computed(self, question: _Question) -> _Answer:
        began_at = time.monotonic()
        kind, as_of, window, policy = question
        reading = self._reading(as_of, window, up_to_as_of=kind == "overview")
        options: dict[str, Any] = {"as_of": reading.as_of, "window": window, "policy": policy}
        options["loads_seen"] = reading.content.load
        made: Overview | History | HeatMap
        match kind:
            case "overview":
                made = overview(reading.known, version=self._version, **options)
            case "history":
                made = history(reading.known, **options)
            case "heat map":
                made = heat_map(reading.known, **options)
        return _Answer(made, reading.content, began_at, began_at)

    def _reading(self, as_of: int | None, window: str | Window, *, up_to_as_of: bool) -> _Reading:
        """Return the observations for a question, read once for all kinds of answers.

        An overview needs all of them up to as_of, the others do not if their window ends before.
        """
        content = self._store.content() if self._readings else None
        for place in ((as_of, window, True), (as_of, window, up_to_as_of)):
            kept = self._readings.get(place)
            if kept is not None and kept.content == content:
                self._readings.move_to_end(place)
                return kept
        with self._store.snapshot() as fleet:
            at = latest(fleet) if as_of is None else as_of
            up_to_as_of = up_to_as_of or end_of(windows([window], at, fleet.hours), at) == at
            made = _Reading(fleet.content(), at, (read if up_to_as_of else read_window)(fleet, as_of=at, window=window))
        self._readings[as_of, window, up_to_as_of] = made
        self._readings.move_to_end((as_of, window, up_to_as_of))
        while len(self._readings) > _MOST_READINGS or sum(one.size for one in self._readings.values()) > _MOST_BYTES:
            self._readings.popitem(last=False)
        return made

    # --- in the background ---

    def _want(self, question: _Question) -> None:
        with self._lock:
            if self._stopped or question in self._wanted or question in self._in_work:
                return
            self._wanted.add(question)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="fleets", daemon=True)
                self._thread.start()
        self._to_do.put(question)

    def _work(self) -> None:
        while (question := self._to_do.get()) is not None and not self._stopped:
            try:
                self._made_since(question, -1.0)
            except (InputError, NotFoundError) as error:  # nothing was observed yet, or it is pruned by now
                log.info("there is nothing to make a view of", view=question.kind, reason=str(error))
            except StoreError as error:
                log.warning("a view could not be made in the background", view=question.kind, error=str(error))
            except BaseException:  # a panic of a compiled library is no Exception, and the thread shall survive it
                log.exception("a view could not be made in the background by a defect", view=question.kind)
            finally:
                with self._lock:
                    self._wanted.discard(question)
