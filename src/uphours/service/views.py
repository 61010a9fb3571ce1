"""Views of the whole fleet, kept as long as the store has not changed: many people look, and turn over page by page."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

import numpy as np

from uphours.database.database import Database
from uphours.database.dialects.dialect import Content
from uphours.errors import BusyError
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window, windows
from uphours.reports.answers import answer, bounded
from uphours.reports.fleet import Overview, overview
from uphours.reports.groups import Groups
from uphours.reports.history import HeatMap, History, heat_map, history
from uphours.reports.measure import latest_instant
from uphours.reports.memberships import Labels, labels, rows_where, with_columns
from uphours.reports.reading import Known, Unadjusted, end_of, read_fleet, read_window
from uphours.reports.request import ReportRequest
from uphours.reports.standouts import Hours
from uphours.schema import Fleet, Target
from uphours.service.target_views import Standing, TargetsAsked, standing_of
from uphours.where import Where

#: Seconds: an answer this old is accepted unless a caller says otherwise.
FRESH_S: Final = 5.0
#: Answers that are kept, the latest asked for, and their bytes together.
_MOST_ANSWERS: Final = 24
_MOST_ANSWER_BYTES: Final = 64 << 20
#: Requests that may wait for answers that are being made. Those whose answer is there need a thread too.
_MOST_WAITING: Final = 24
#: How long one of them waits for its turn.
_LONGEST_WAIT_S: Final = 30.0
#: Readings of observations that are kept, and their bytes at most.
_MOST_READINGS: Final = 4
_MOST_BYTES: Final = 128 << 20

#: About what the names of a store, and a row of a history, take.
_STORE_BYTES: Final = 200
_ROW_BYTES: Final = 2000

_Kind: TypeAlias = Literal["overview", "history", "heat map", "groups", "targets"]


class Asked(NamedTuple):
    """What a view is asked for.

    ``compare``: also with the window before; of overviews and groups. ``hours``: also with what is lost in these hours
    of the week; of overviews. ``only``: the stores that the caller sees, as they are at the instant ``at``, a quarter
    of an hour that began: what stores belong to changes at midnight, of whatever clock. ``at`` is 0 for those who see
    all.
    """

    as_of: int | None
    window: str | Window
    policy: Policy
    raw: bool = False
    where: Where = ()
    only: Where = ()
    at: int = 0
    compare: bool = False
    hours: Hours | None = None


class _Question(NamedTuple):
    kind: _Kind
    asked: Asked | TargetsAsked
    by: tuple[str, ...] = ()


_Seen: TypeAlias = tuple[Where, int]
_Read: TypeAlias = tuple[int | None, str | Window, bool, bool, _Seen]
"""What was read: an instant, a window, whether up to the instant, whether also the window before, and which stores."""


@dataclass
class _Answer:
    """What was made of a question, and of which content; until when it was known to be of the content there is."""

    made: Any
    content: Content
    began_at: float
    current_at: float

    @property
    def size(self) -> int:
        if isinstance(self.made, Overview | Groups):
            report = self.made.report
            arrays = (*vars(report.totals).values(), report.windows.starts, report.windows.ends)
            halves = 1 if report.before is None else 2
            # Once more for the figures that are made of the totals.
            days = 0 if isinstance(self.made, Groups) or self.made.last_days is None else self.made.last_days.size
            figures = 2 * halves * sum(array.nbytes for array in arrays)
            return int(figures + days + _STORE_BYTES * len(report.store_ids))
        if isinstance(self.made, Standing):
            outcomes = self.made.targets.outcomes
            return sum(outcome.nbytes + _STORE_BYTES * len(outcome.store_ids) for outcome in outcomes)
        return _ROW_BYTES * len(self.made.buckets if isinstance(self.made, History) else self.made.cells)


@dataclass(frozen=True)
class _Reading:
    content: Content
    as_of: int
    known: Known
    labels: Labels
    targets: list[Target]

    @property
    def size(self) -> int:
        observations, schedule, adjustments = self.known.known, self.known.schedule, self.known.adjustments
        arrays = (
            observations.times, observations.statuses, schedule.stores, schedule.weekdays, schedule.opens_local,
            schedule.closes_local, *vars(adjustments).values(),
        )  # fmt: skip
        return int(sum(array.nbytes for array in arrays) + _STORE_BYTES * len(schedule.zones))


class Fleets:
    """Makes overviews, histories, heat maps, groups and targets: one at a time, and none twice of the same content.

    Whether an answer is still right, one small query tells: content changes with a load, with an entry of the ledger,
    and when observations are pruned. Callers may accept an older one, up to ``stale_ok`` seconds after it was last
    known to be right.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()  # of all that follows but the readings
        self._answers: OrderedDict[_Question, _Answer] = OrderedDict()
        self._in_work: dict[_Question, Future[_Answer]] = {}
        self._waiting = 0
        self._stopped = False
        # One thread makes all of them. Were each made in the thread of its request, the memory that one has used would
        # be of no use to the next: the allocator keeps it for the thread.
        self._maker = ThreadPoolExecutor(1, "views")
        self._readings: OrderedDict[_Read, _Reading] = OrderedDict()  # of that thread

    def stop(self) -> None:
        """Begin no other answer; those who wait for one are asked to come back."""
        with self._lock:
            self._stopped = True
        self._maker.shutdown(wait=False, cancel_futures=True)

    def overview(self, asked: Asked, *, stale_ok: float = FRESH_S) -> Overview:
        """Return an overview that is right, or was ``stale_ok`` seconds ago."""
        made = cast(Overview, self._answer(_Question("overview", asked._replace(where=())), stale_ok))
        return made.where(asked.where)

    def history(self, asked: Asked, *, stale_ok: float = FRESH_S) -> History:
        """Return a history that is right, or was ``stale_ok`` seconds ago."""
        return cast(History, self._answer(_Question("history", asked._replace(compare=False)), stale_ok))

    def heat_map(self, asked: Asked, *, stale_ok: float = FRESH_S) -> HeatMap:
        """Return a heat map that is right, or was ``stale_ok`` seconds ago."""
        return cast(HeatMap, self._answer(_Question("heat map", asked._replace(compare=False)), stale_ok))

    def groups(self, asked: Asked, by: Sequence[str], *, stale_ok: float = FRESH_S) -> Groups:
        """Return groups of stores that are right, or were ``stale_ok`` seconds ago; see `uphours.reports.groups`."""
        return cast(Groups, self._answer(_Question("groups", asked, tuple(by)), stale_ok))

    def targets(self, asked: TargetsAsked) -> Standing:
        """Return how targets stand, those too that were set a moment ago; nothing of it is compared with the clock."""
        return cast(Standing, self._answer(_Question("targets", asked), 0.0))

    def _answer(self, question: _Question, stale_ok: float) -> Any:
        asked_at = time.monotonic()
        with self._lock:
            kept = self._answers.get(question)
            if kept is not None:
                self._answers.move_to_end(question)
        if kept is not None:
            if kept.content == self._database.content():
                kept.current_at = max(kept.current_at, asked_at)
                return kept.made
            if asked_at - kept.current_at <= stale_ok:
                return kept.made
        with self._lock:
            if self._waiting >= _MOST_WAITING:
                raise BusyError("views", self._waiting)
            self._waiting += 1
        try:
            return self._made_since(question, asked_at - stale_ok).made
        finally:
            with self._lock:
                self._waiting -= 1

    def _made_since(self, question: _Question, since: float) -> _Answer:
        """Return an answer that was begun at this time at the earliest.

        Raises
        ------
        BusyError
            None was begun within 30 seconds, or the service stops.
        """
        latest = time.monotonic() + _LONGEST_WAIT_S
        while True:
            with self._lock:
                if self._stopped:
                    raise BusyError("views", self._waiting)
                future = self._in_work.get(question)
                if future is None:
                    future = self._in_work[question] = self._maker.submit(self._make, question, latest)
            try:
                wait([future], max(0.0, latest - time.monotonic()))
                if not (future.done() or future.running()):
                    raise BusyError("views", self._waiting)
                answer = future.result()
            except CancelledError:
                raise BusyError("views", self._waiting) from None
            if answer.began_at >= since:
                return answer

    def _make(self, question: _Question, latest: float) -> _Answer:
        """Make an answer, unless the last who waits for it has given up."""
        try:
            if time.monotonic() > latest:
                raise BusyError("views", self._waiting)
            answer = self._computed(question)
        finally:
            with self._lock:
                del self._in_work[question]
        with self._lock:
            self._answers[question] = answer
            self._answers.move_to_end(question)
            while len(self._answers) > 1 and self._keeps_too_much():
                self._answers.popitem(last=False)
        return answer

    def _keeps_too_much(self) -> bool:
        answers = self._answers.values()
        return len(answers) > _MOST_ANSWERS or sum(answer.size for answer in answers) > _MOST_ANSWER_BYTES

    def _computed(self, question: _Question) -> _Answer:
        began_at = time.monotonic()
        kind, asked, by = question
        if isinstance(asked, TargetsAsked):
            standing = standing_of(self._database, asked)
            return _Answer(standing, standing.content, began_at, began_at)
        if kind == "groups":
            return self._grouped(asked, by, began_at)
        reading = self._reading(asked, up_to_as_of=kind == "overview")
        options: dict[str, Any] = {"as_of": reading.as_of, "window": asked.window, "policy": asked.policy}
        options |= {"loads_seen": reading.content.load, "entries_seen": reading.content.entry}
        known: Fleet = reading.known
        if asked.where:
            known = reading.known.of(np.array(rows_where(reading.labels, asked.where)))
        if asked.raw:
            known = Unadjusted(known)
        made: Overview | History | HeatMap
        match kind:
            case "overview":
                made = overview(
                    known, **options, labels=reading.labels, compare=asked.compare, with_last_days=True,
                    targets=reading.targets, hours=asked.hours,
                )  # fmt: skip
            case "history":
                made = history(known, **options)
            case "heat map":
                made = heat_map(known, **options)
        return _Answer(made, reading.content, began_at, began_at)

    def _grouped(self, asked: Asked, by: Sequence[str], began_at: float) -> _Answer:
        with self._database.snapshot() as fleet:
            content = fleet.content()
            request = ReportRequest(
                as_of=asked.as_of, windows=(asked.window,), policy=asked.policy, where=asked.where, by=tuple(by),
                all_stores=True, raw=asked.raw, compare=asked.compare, only=asked.only,
            )  # fmt: skip
            made = cast(
                Groups, answer(fleet, request, now=asked.at, loads_seen=content.load, entries_seen=content.entry)
            )
            if "name" in fleet.attribute_names():
                named = with_columns(made.report, fleet, ["name"])
                made = replace(made, report=named)
        return _Answer(made, content, began_at, began_at)

    def _reading(self, asked: Asked, *, up_to_as_of: bool) -> _Reading:
        """Return the observations for a question, read once for all kinds of answers.

        An overview needs all of them up to as_of, the others do not if their window ends before.
        """
        as_of, window, seen = asked.as_of, asked.window, (asked.only, asked.at)
        content = self._database.content() if self._readings else None
        # A reading that has the window before too has all that is needed without it.
        places = [(as_of, window, up_to, True, seen) for up_to in (True, up_to_as_of)]
        places += [] if asked.compare else [(as_of, window, up_to, False, seen) for up_to in (True, up_to_as_of)]
        for place in places:
            kept = self._readings.get(place)
            if kept is not None and kept.content == content:
                self._readings.move_to_end(place)
                return kept
        with self._database.snapshot() as whole:
            fleet = bounded(whole, asked.only, asked.at)
            at = latest_instant(fleet) if as_of is None else as_of
            up_to_as_of = up_to_as_of or end_of(windows([window], at, fleet.clocks), at) == at
            if up_to_as_of:
                known = read_fleet(fleet, as_of=at, window=window, compare=asked.compare)
            else:
                known = read_window(fleet, as_of=at, window=window)
            made = _Reading(fleet.content(), at, known, labels(fleet, at), fleet.targets())
        place = as_of, window, up_to_as_of, asked.compare, seen
        self._readings[place] = made
        self._readings.move_to_end(place)
        while len(self._readings) > _MOST_READINGS or sum(one.size for one in self._readings.values()) > _MOST_BYTES:
            self._readings.popitem(last=False)
        return made
