"""A client of the service in Python: ask for reports, send rows, look at stores.

Results are the JSON of the service, typed as it is described in its OpenAPI document. The failures that it answers
with are `RefusedError`s, and of the kinds of `storepulse.errors` where one fits.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self, TypedDict, TypeVar, Unpack
from urllib.parse import quote

import httpx

from storepulse.errors import ConflictError, InputError, NotFoundError, StorepulseError, StoreUnavailableError

Format = Literal["csv", "json", "parquet", "xlsx"]
JobState = Literal["receiving", "queued", "running", "complete", "failed", "cancelled"]
StoreState = Literal["up", "down", "unknown", "closed"]

#: A request that fails for the moment is tried again after so many seconds, doubled each time, up to the longest.
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
#: How often a report or a job is looked at that is not finished.
_FIRST_LOOK_S: Final = 0.05
_LONGEST_LOOK_S: Final = 1.0
#: What goes into one request at most: the service commits bodies up to 1 MiB together with those of others.
_ROWS_OF_A_PART: Final = 5_000
_BYTES_OF_A_PART: Final = 900_000


# --- what is asked for ----------------------------------------------------------------------------------


class PolicyOptions(TypedDict, total=False):
    """How the time between two observations is read; durations as text, such as ``90m``."""

    interpolation: Literal["previous", "next", "nearest"]
    prefer_in_session: bool
    max_age: str | None
    confirm_within: str
    assume: Literal["unknown", "active", "inactive"]


class OwnWindow(TypedDict):
    """A window of one's own, half-open, its bounds as text."""

    name: str
    start: str
    end: str


class ReportOptions(PolicyOptions, total=False):
    """What is asked of a report; all of it may be left out."""

    as_of: str | None
    windows: list[str | OwnWindow]
    stores: list[str] | None
    all_stores: bool


class View(PolicyOptions, total=False):
    """What a view of stores is asked for: an instant, one window (a name or ``NAME=START/END``), and a policy."""

    as_of: str
    window: str


class Selection(View, total=False):
    """Which stores are listed, and in which order."""

    search: str
    state: list[StoreState]
    timezone: list[str]
    availability_below: float
    without: list[Literal["hours", "timezone"]]
    observed: Literal["ever", "never"]
    last_observed_before: str
    sort: Literal["store_id", "availability", "lost_time", "since", "last_observed"]
    descending: bool


# --- what comes back ------------------------------------------------------------------------------------


class Progress(TypedDict):
    """Stores or rows done of total; the total is None as long as it is not known."""

    done: int
    total: int | None


class ReportState(TypedDict):
    """A report that somebody asked for, and how far it is."""

    id: str
    state: JobState
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    as_of: str | None
    loads_seen: int | None
    options: dict[str, Any]
    reason: str | None
    result: str | None


class Reason(TypedDict):
    """Why a row was set aside; lines count from 1."""

    file: str | None
    line: int
    reason: str


class LoadOutcome(TypedDict):
    """What became of the rows of one load."""

    load: int
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantined: int
    reasons: list[Reason]
    reasons_left_out: int
    quarantine: str


class Job(TypedDict):
    """A load that takes longer than a request."""

    id: str
    kind: Literal["report", "load", "source"]
    state: JobState
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: Progress
    reason: str | None
    load: int | None
    outcome: LoadOutcome | None


class LoadFile(TypedDict):
    """A file of a load."""

    file: int
    kind: str
    name: str
    sha256: str
    bytes: int
    rows_read: int
    accepted: int
    quarantined: int


class Load(TypedDict):
    """The record of a load."""

    load: int
    started_at: str
    version: str
    rows_read: int
    accepted: int
    repeated: int
    conflicting: int
    quarantined: int
    first_observed_at: str | None
    last_observed_at: str | None
    files: list[LoadFile]


class QuarantinedRow(TypedDict):
    """A row that was set aside."""

    file: int
    kind: str
    name: str
    line: int
    reason: str
    row: str


class Figures(TypedDict):
    """Durations in microseconds; ratios from 0 to 1, None where there is nothing to divide by."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    business_us: int
    uptime_min_us: int
    uptime_max_us: int
    availability: float | None
    coverage: float | None
    observations: int
    outages: int
    longest_outage_us: int


class Store(Figures):
    """A store: its state at as_of, and its figures in the window."""

    store_id: str
    state: StoreState
    since_us: int | None
    last_observed_at_us: int | None
    timezone: str
    timezone_is_default: bool
    hours_are_default: bool


class Window(TypedDict):
    """A window; its bounds are None where each store has its own."""

    name: str
    start_us: int | None
    end_us: int | None


class StoreDetail(Store):
    """One store, followed back through its whole history."""

    as_of: str
    as_of_us: int
    policy: dict[str, Any]
    window: Window
    business_hours: list[str]


class Interval(TypedDict):
    """Half-open, microseconds."""

    start_us: int
    end_us: int


class Span(Interval):
    """A piece of a session with one status."""

    status: Literal["up", "down", "unknown"]
    confirmed: bool


class Outage(Interval):
    """From the first down instant to the last, closed time between included."""

    downtime_us: int


class Bucket(Interval):
    """The whole fleet in a piece of time: sums in microseconds, ratios of the sums."""

    uptime_us: int
    downtime_us: int
    unknown_us: int
    business_us: int
    uptime_min_us: int
    uptime_max_us: int
    availability: float | None
    availability_min: float | None
    availability_max: float | None
    coverage: float | None
    observations: int
    stores_observed: int


class FleetHistory(TypedDict):
    """The whole fleet in a window, in buckets, and the collector gaps that reach into it."""

    as_of: str
    as_of_us: int
    loads_seen: int | None
    policy: dict[str, Any]
    window: Window
    bucket: Literal["hour", "day", "week"]
    buckets: list[Bucket]
    poll_interval_us: int | None
    gaps: list[Interval]


class HeatCell(TypedDict):
    """The whole fleet in one hour of the week on each store's own clock; weekday 0 is Monday."""

    weekday: int
    hour: int
    uptime_us: int
    downtime_us: int
    unknown_us: int
    business_us: int
    uptime_min_us: int
    uptime_max_us: int
    availability: float | None
    availability_min: float | None
    availability_max: float | None
    coverage: float | None


class HeatMap(TypedDict):
    """The whole fleet in a window, by the hours of the week."""

    as_of: str
    as_of_us: int
    loads_seen: int | None
    policy: dict[str, Any]
    window: Window
    cells: list[HeatCell]


class Day(TypedDict):
    """A day of UTC, and whether any store was polled on it."""

    day: str
    polled: bool


class Days(TypedDict):
    """Days in a row, both ends included. Of the days before ``pruned_before`` it is not known any more."""

    first: str
    last: str
    pruned_before: str | None
    days: list[Day]


class Observation(TypedDict):
    """A poll result."""

    observed_at_us: int
    status: Literal["active", "inactive"]


class Timeline(TypedDict):
    """The timeline of one store in a window."""

    store_id: str
    as_of: str
    as_of_us: int
    policy: dict[str, Any]
    window: Window
    timezone: str
    sessions: list[Interval]
    observations: list[Observation]
    spans: list[Span]


class Outages(TypedDict):
    """The outages of one store in a window."""

    store_id: str
    as_of: str
    as_of_us: int
    policy: dict[str, Any]
    window: Window
    outages: list[Outage]


class Source(TypedDict):
    """A place that is watched, and how it went."""

    name: str
    place: str
    every_us: int
    state: Literal["ok", "failing", "not read yet"]
    checked_at: str | None
    succeeded_at: str | None
    brought_at: str | None
    files_read: int
    failures: int
    retry_at: str | None
    error: str | None


class AuditEntry(TypedDict):
    """Who did what to what."""

    entry: int
    at: str
    actor: str
    action: str
    subject: str
    details: dict[str, Any]


_Work = TypeVar("_Work", ReportState, Job)


@dataclass(frozen=True)
class Outcome:
    """What became of the rows that were sent, all parts together.

    ``reasons``: of quarantined rows, with their place among all that were sent, from 1. The service tells the first
    hundred of each part; ``reasons_left_out`` counts the others, which are in the quarantine of their load.
    """

    loads: tuple[int, ...] = ()
    rows_read: int = 0
    accepted: int = 0
    repeated: int = 0
    conflicting: int = 0
    quarantined: int = 0
    reasons: tuple[Reason, ...] = ()
    reasons_left_out: int = 0

    def plus(self, part: LoadOutcome) -> Outcome:
        """Return the outcome with one part more."""
        reasons = tuple(Reason(file=None, line=self.rows_read + r["line"], reason=r["reason"]) for r in part["reasons"])
        return Outcome(
            loads=(*self.loads, part["load"]),
            rows_read=self.rows_read + part["rows_read"],
            accepted=self.accepted + part["accepted"],
            repeated=self.repeated + part["repeated"],
            conflicting=self.conflicting + part["conflicting"],
            quarantined=self.quarantined + part["quarantined"],
            reasons=self.reasons + reasons,
            reasons_left_out=self.reasons_left_out + part["reasons_left_out"],
        )


# --- failures -------------------------------------------------------------------------------------------


class RefusedError(StorepulseError):
    """The service refused a request, for the reason that the message gives.

    Parameters
    ----------
    status
        Of HTTP.
    retry_after
        In how many seconds it makes sense to ask again, where the service says so.
    request_id
        The name of the request in the log of the service.
    """

    def __init__(
        self, message: str, *, status: int, retry_after: float | None = None, request_id: str | None = None
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id
        super(StorepulseError, self).__init__(message)  # the classes below have messages of their own making


class BadRequestError(RefusedError, InputError):
    """What was asked for or sent makes no sense to the service."""


class MissingError(RefusedError, NotFoundError):
    """What was asked for is not there; ``name`` is where it was looked for."""

    def __init__(self, message: str, *, name: str, **facts: Any) -> None:
        RefusedError.__init__(self, message, **facts)
        self.kind = "resource"
        self.name = name


class ContradictionError(RefusedError, ConflictError):
    """The request contradicts what is there, such as the result of a report that has failed."""


class TooMuchError(RefusedError):
    """Too much is waiting already, or this key asks too often; ``retry_after`` says when to try again."""


class UnavailableError(RefusedError, StoreUnavailableError):
    """The service cannot use its store now."""


class TimedOutError(StorepulseError, TimeoutError):
    """What was waited for took longer than the caller wanted to wait."""


_REFUSALS: Final[Mapping[int, type[RefusedError]]] = {
    400: BadRequestError,
    409: ContradictionError,
    413: BadRequestError,
    415: BadRequestError,
    422: BadRequestError,
    429: TooMuchError,
    503: UnavailableError,
}
_FOR_THE_MOMENT: Final = frozenset({429, 503})


def _refusal(answer: httpx.Response) -> RefusedError:
    problem = _problem(answer)
    retry_after = answer.headers.get("Retry-After", "")
    message = str(problem.get("detail") or f"the service answered with status {answer.status_code}")
    facts: dict[str, Any] = {
        "status": answer.status_code,
        "retry_after": float(retry_after) if re.fullmatch(r"\d{1,9}", retry_after) else None,
        "request_id": answer.headers.get("X-Request-ID"),
    }
    if answer.status_code == 404:
        return MissingError(message, name=answer.request.url.path, **facts)
    return _REFUSALS.get(answer.status_code, RefusedError)(message, **facts)


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:  # something between this client and the service has answered
        return {}
    return found if isinstance(found, dict) else {}


# --- the client -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
    """A request that can be made again: ``files`` opens what it sends."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    content: bytes | None = None
    files: Callable[[ExitStack], list[Any]] | None = None


class Client:
    """Speaks to one service; a context manager, and not for use in several threads at once.

    Connections that fail and the statuses 429 and 503 are tried again, for ``patience`` seconds in all. All calls can
    be repeated: `trigger` sends an Idempotency-Key, and rows that are sent twice change no number.

    Parameters
    ----------
    url
        Such as ``http://127.0.0.1:8000``.
    key
        The token of an API key.
    timeout
        Seconds that one request may wait for the service. It answers a load after a minute at the latest, or says
        where to look.
    patience
        Seconds for which a call is tried again.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 90.0,
        patience: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)
        self._patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # --- reports ---

    def trigger(self, **options: Unpack[ReportOptions]) -> str:
        """Ask for a report; return its id."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        made: ReportState = self._json(_Call("POST", "/v1/reports", headers=headers, body=options))
        return made["id"]

    def report(
        self,
        *,
        format: Format = "csv",
        detail: bool = False,
        timeout: float = 300.0,
        **options: Unpack[ReportOptions],
    ) -> bytes:
        """Ask for a report, wait for it, and return it as a file.

        Raises
        ------
        ContradictionError
            It has failed; the message says why.
        TimedOutError
            It is not finished after ``timeout`` seconds.
        """
        report = self.trigger(**options)
        self.wait(report, timeout=timeout)
        return self.result(report, format=format, detail=detail)

    def state(self, report: str) -> ReportState:
        """Say how far a report is."""
        found: ReportState = self._json(_Call("GET", _path("reports", report)))
        return found

    def wait(self, report: str, *, timeout: float = 300.0) -> ReportState:
        """Wait until a report is complete, failed or cancelled; return how it stands.

        Raises
        ------
        TimedOutError
            It is not finished after ``timeout`` seconds.
        """
        return _finished(lambda: self.state(report), "report", timeout)

    def result(self, report: str, *, format: Format = "csv", detail: bool = False) -> bytes:
        """Fetch a report that is complete."""
        query = {"format": format, "detail": detail}
        return self._answer(_Call("GET", _path("reports", report, "result"), query)).content

    def cancel(self, report: str) -> ReportState:
        """Cancel a report that is not finished."""
        found: ReportState = self._json(_Call("DELETE", _path("reports", report)))
        return found

    def reports(self) -> Iterator[ReportState]:
        """List reports, the newest first."""
        return self._pages("/v1/reports", "reports")

    # --- rows ---

    def send(self, observations: Iterable[Mapping[str, Any]]) -> Outcome:
        """Send observations, some thousand a request; each request is committed and synced when it is answered.

        After a failure the parts before it stay. To send all again does no harm: known rows change nothing.

        Parameters
        ----------
        observations
            Each with ``store_id``, ``status`` (``active`` or ``inactive``) and ``timestamp_utc`` as text.
        """
        outcome = Outcome()
        for part in _parts(observations):
            outcome = outcome.plus(self._loaded(self._rows("POST", "/v1/observations", part)))
        return outcome

    def replace_business_hours(self, rows: Iterable[Mapping[str, Any]], *, timeout: float = 300.0) -> LoadOutcome:
        """Replace the whole week of each store that is named, all of them or none; the other stores keep theirs."""
        return self._loaded(self._rows("PUT", "/v1/business-hours", _array(rows)), timeout)

    def set_timezones(self, rows: Iterable[Mapping[str, Any]], *, timeout: float = 300.0) -> LoadOutcome:
        """Set the zone of each store that is named, of all of them or none."""
        return self._loaded(self._rows("PUT", "/v1/timezones", _array(rows)), timeout)

    def load(
        self,
        *,
        polls: Sequence[str | Path] = (),
        hours: Sequence[str | Path] = (),
        timezones: Sequence[str | Path] = (),
        files: Sequence[str | Path] = (),
        timeout: float = 3600.0,
    ) -> LoadOutcome:
        """Load files by path, all of them or nothing; the columns of ``files`` tell what they are.

        Raises
        ------
        InputError
            A file cannot be read, here or by the service; nothing was loaded.
        TimedOutError
            The load is not finished after ``timeout`` seconds; it goes on.
        """
        named = {"polls": polls, "hours": hours, "timezones": timezones, "files": files}
        for name, paths in named.items():
            if isinstance(paths, str | Path):
                raise InputError(f"{name} is one path; give a list of paths")

        def opened(stack: ExitStack) -> list[Any]:
            return [(name, (Path(path).name, _opened(stack, path))) for name, paths in named.items() for path in paths]

        return self._loaded(_Call("POST", "/v1/loads", files=opened), timeout)

    def load_demo(self, *, timeout: float = 300.0) -> LoadOutcome:
        """Load a made-up fleet whose last poll was now.

        Raises
        ------
        ConflictError
            The service has observations already, or this was asked for before.
        TimedOutError
            It is not loaded after ``timeout`` seconds; the load goes on.
        """
        return self._loaded(_Call("POST", "/v1/demo"), timeout)

    def job(self, job: str) -> Job:
        """Say how far a load is that takes longer."""
        found: Job = self._json(_Call("GET", _path("jobs", job)))
        return found

    def loads(self) -> Iterator[Load]:
        """List what was loaded, the newest load first."""
        return self._pages("/v1/loads", "loads")

    def loaded(self, load: int) -> Load:
        """Show the record of a load."""
        found: Load = self._json(_Call("GET", _path("loads", load)))
        return found

    def quarantine(self, load: int) -> Iterator[QuarantinedRow]:
        """List the rows that a load set aside."""
        return self._pages(_path("loads", load, "quarantine"), "rows")

    def quarantine_csv(self, load: int, file: int | None = None) -> bytes:
        """Return the rows that a load set aside of one file as CSV, to fix and load again."""
        query = {"format": "csv"} if file is None else {"format": "csv", "file": file}
        return self._answer(_Call("GET", _path("loads", load, "quarantine"), query)).content

    # --- stores ---

    def stores(self, **selection: Unpack[Selection]) -> Iterator[Store]:
        """List stores with their state and their figures in one window."""
        return self._pages("/v1/stores", "stores", selection)

    def store(self, store_id: str, **view: Unpack[View]) -> StoreDetail:
        """Show one store."""
        found: StoreDetail = self._json(_Call("GET", _path("stores", store_id), view))
        return found

    def timeline(self, store_id: str, **view: Unpack[View]) -> Timeline:
        """Show the spans of one store in a window."""
        found: Timeline = self._json(_Call("GET", _path("stores", store_id, "timeline"), view))
        return found

    def outages(self, store_id: str, **view: Unpack[View]) -> Outages:
        """List the outages of one store in a window."""
        found: Outages = self._json(_Call("GET", _path("stores", store_id, "outages"), view))
        return found

    def explanation(self, store_id: str, **view: Unpack[View]) -> dict[str, Any]:
        """Take one store's numbers apart."""
        found: dict[str, Any] = self._json(_Call("GET", _path("stores", store_id, "explanation"), view))
        return found

    # --- the fleet ---

    def history(self, **view: Unpack[View]) -> FleetHistory:
        """Follow the whole fleet over a window, in hours, days or weeks."""
        found: FleetHistory = self._json(_Call("GET", _path("fleet", "history"), view))
        return found

    def heat_map(self, **view: Unpack[View]) -> HeatMap:
        """Add a window up by weekday and hour, as the clock of each store shows them."""
        found: HeatMap = self._json(_Call("GET", _path("fleet", "heatmap"), view))
        return found

    def days(self, first: str | None = None, last: str | None = None) -> Days:
        """Say of each day whether any store was polled on it; 26 weeks up to the latest observation unless given."""
        found: Days = self._json(_Call("GET", "/v1/days", {"from": first, "to": last}))
        return found

    # --- the service ---

    def sources(self) -> list[Source]:
        """List the places that are watched."""
        found: list[Source] = self._json(_Call("GET", "/v1/sources"))["sources"]
        return found

    def audit(self) -> Iterator[AuditEntry]:
        """List who did what, the newest first."""
        return self._pages("/v1/audit", "entries")

    # --- requests ---

    def _pages(self, path: str, name: str, query: Mapping[str, Any] | None = None) -> Iterator[Any]:
        asked = dict(query or {}, limit=1000)
        while True:
            page = self._json(_Call("GET", path, asked))
            yield from page[name]
            if page["next_cursor"] is None:
                return
            asked["cursor"] = page["next_cursor"]

    @staticmethod
    def _rows(method: str, path: str, array: bytes) -> _Call:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return _Call(method, path, headers=headers, content=gzip.compress(array, compresslevel=1))

    def _loaded(self, call: _Call, timeout: float = 300.0) -> LoadOutcome:
        """Send rows; wait for what becomes of them."""
        answer = self._answer(call)
        made = answer.json()
        if answer.status_code == 202:
            job = _finished(lambda: self.job(made["id"]), "load", timeout)
            if job["outcome"] is None:
                raise InputError(job["reason"] or f"the load is {job['state']}")
            made = job["outcome"]
        outcome: LoadOutcome = made
        return outcome

    def _json(self, call: _Call) -> Any:
        return self._answer(call).json()

    def _answer(self, call: _Call) -> httpx.Response:
        """Make a request, again and again where it fails for the moment."""
        deadline = time.monotonic() + self._patience
        pause = _FIRST_PAUSE_S
        while True:
            failure = self._tried(call)
            if isinstance(failure, httpx.Response):
                return failure
            wait = max(getattr(failure, "retry_after", None) or 0.0, pause * random.uniform(0.5, 1.0))
            if time.monotonic() + wait > deadline:
                raise failure
            time.sleep(wait)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _tried(self, call: _Call) -> httpx.Response | StorepulseError:
        """Return the answer, or a failure after which it makes sense to try again."""
        query = {name: value for name, value in call.query.items() if value is not None}
        with ExitStack() as stack:
            files = None if call.files is None else call.files(stack)
            try:
                answer = self._http.request(
                    call.method,
                    call.path,
                    params=query,
                    headers=dict(call.headers),
                    json=call.body,
                    content=call.content,
                    files=files,
                )
            except httpx.TransportError as error:
                what = str(error) or type(error).__name__
                return StoreUnavailableError(f"the service at {self._http.base_url} cannot be reached: {what}")
            except httpx.InvalidURL as error:
                raise InputError(f"cannot use the URL {self._http.base_url}: {error}") from None
        if answer.is_success:
            return answer
        refusal = _refusal(answer)
        if answer.status_code in _FOR_THE_MOMENT:
            return refusal
        raise refusal


def _finished(look: Callable[[], _Work], what: str, timeout: float) -> _Work:
    deadline = time.monotonic() + timeout
    pause = _FIRST_LOOK_S
    while (found := look())["finished_at"] is None:
        if time.monotonic() + pause > deadline:
            raise TimedOutError(f"the {what} {found['id']} is still {found['state']} after {timeout:g} s")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_LOOK_S)
    return found


def _path(*parts: str | int) -> str:
    return "/v1/" + "/".join(map(_quoted, parts))


def _quoted(part: str | int) -> str:
    if part in (".", ".."):  # in a URL these are steps, but a store may be called so
        return str(part).replace(".", "%2E")
    return quote(str(part), safe="")


def _opened(stack: ExitStack, path: str | Path) -> Any:
    try:
        return stack.enter_context(Path(path).open("rb"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _parts(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """Write rows as JSON arrays, each small enough for one request."""
    part: list[bytes] = []
    size = 0
    for row in rows:
        written = _written(row)
        if part and (len(part) == _ROWS_OF_A_PART or size + len(written) > _BYTES_OF_A_PART):
            yield b"[" + b",".join(part) + b"]"
            part, size = [], 0
        part.append(written)
        size += len(written) + 1
    if part:
        yield b"[" + b",".join(part) + b"]"


def _array(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"[" + b",".join(map(_written, rows)) + b"]"


def _written(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(dict(row), ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise InputError(f"cannot send the row {row!r}: {error}; valid are text and numbers by name") from None
