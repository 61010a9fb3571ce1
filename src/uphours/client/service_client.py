"""The client: a method for each thing that the service offers."""

from __future__ import annotations

import gzip
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal, Self, Unpack, overload

import httpx

from uphours.client.requests import Call, Requests, finished, path
from uphours.client.sent_rows import Outcome, array, parts
from uphours.errors import InputError
from uphours.wire.calendar_messages import Calendar
from uphours.wire.fleet_messages import DayList, FleetHistory, HeatMap
from uphours.wire.group_messages import AttributeList, GroupList, GroupSelection
from uphours.wire.health_messages import AuditEntry, Source
from uphours.wire.key_messages import Key, KeyBody, NewKey
from uphours.wire.ledger_messages import AdjustmentBody, Entry, Moved, WithdrawalBody
from uphours.wire.load_messages import Job, Load, LoadOutcome, QuarantinedRow
from uphours.wire.report_messages import ReportBody, ReportState, SavedReport
from uphours.wire.store_messages import OutageList, Selection, Store, StoreDetail, StoreSelection, Timeline
from uphours.wire.target_messages import TargetList, TargetsView
from uphours.wire.view_messages import FleetSelection, View
from uphours.wire.words import Format


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
        self._requests = Requests(url, key, timeout=timeout, patience=patience, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._requests.close()

    # --- reports ---

    def trigger(self, **options: Unpack[ReportBody]) -> str:
        """Ask for a report; return its id."""
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        made: ReportState = self._requests.json(Call("POST", "/v1/reports", headers=headers, body=options))
        return made["id"]

    def report(
        self,
        *,
        format: Format = "csv",
        timeout: float = 300.0,
        **options: Unpack[ReportBody],
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
        return self.result(report, format=format)

    def state(self, report: str) -> ReportState:
        """Say how far a report is."""
        return self._requests.json(Call("GET", path("reports", report)))

    def wait(self, report: str, *, timeout: float = 300.0) -> ReportState:
        """Wait until a report is complete, failed or cancelled; return how it stands.

        Raises
        ------
        TimedOutError
            It is not finished after ``timeout`` seconds.
        """
        return finished(lambda: self.state(report), "report", timeout)

    def result(self, report: str, *, format: Format = "csv", detail: bool | None = None) -> bytes:
        """Fetch a report that is complete; ``detail`` as it was asked for, unless given."""
        query = {"format": format, "detail": detail}
        return self._requests.answer(Call("GET", path("reports", report, "result"), query)).content

    def cancel(self, report: str) -> ReportState:
        """Cancel a report that is not finished."""
        return self._requests.json(Call("DELETE", path("reports", report)))

    def cancel_load(self, job: str) -> Job:
        """Cancel a load that has not ended, by its job: nothing of it is loaded."""
        return self._requests.json(Call("DELETE", path("jobs", job)))

    def reports(self) -> Iterator[ReportState]:
        """List reports, the newest first."""
        return self._pages("/v1/reports", "reports")

    def saved_reports(self) -> list[SavedReport]:
        """List saved reports by name; ``trigger(**saved["options"])`` asks for one."""
        return self._requests.json(Call("GET", "/v1/saved-reports"))["saved_reports"]

    def save_report(self, name: str, **options: Unpack[ReportBody]) -> SavedReport:
        """Save a report under a name, of the latest observation whatever the options say; replaces one of this name."""
        return self._requests.json(Call("PUT", path("saved-reports", name), body=options))

    def delete_saved_report(self, name: str, *, owner: str | None = None) -> SavedReport:
        """Delete a saved report; ``owner``: the bound key that has it, for those who see every store."""
        query = {"owner": owner}
        return self._requests.json(Call("DELETE", path("saved-reports", name), query))

    # --- rows ---

    def send(self, observations: Iterable[Mapping[str, Any]]) -> Outcome:
        """Send observations, some thousand a request; each request is committed and synced when it is answered.

        After a failure the parts before it stay. To send all again does no harm: known rows change nothing.

        Parameters
        ----------
        observations
            Each with ``store_id``, ``status`` (``active``, ``inactive`` or ``unknown``) and ``timestamp_utc`` as text.
        """
        outcome = Outcome()
        for part in parts(observations):
            outcome = outcome.plus(self._loaded(self._rows("POST", "/v1/observations", part)))
        return outcome

    def replace_business_hours(
        self, rows: Iterable[Mapping[str, Any]], *, valid_from: str | None = None, timeout: float = 300.0
    ) -> LoadOutcome:
        """Replace the whole week of each store that is named, all of them or none; the other stores keep theirs.

        ``valid_from``: the date from which on rows hold that name none; since ever unless given.
        """
        query = {"valid_from": valid_from}
        return self._loaded(self._rows("PUT", "/v1/business-hours", array(rows), query), timeout)

    def set_timezones(
        self, rows: Iterable[Mapping[str, Any]], *, valid_from: str | None = None, timeout: float = 300.0
    ) -> LoadOutcome:
        """Set the zone of each store that is named, of all of them or none; ``valid_from`` as for business hours."""
        return self._loaded(self._rows("PUT", "/v1/timezones", array(rows), {"valid_from": valid_from}), timeout)

    def put_special_hours(self, rows: Iterable[Mapping[str, Any]], *, timeout: float = 300.0) -> LoadOutcome:
        """Replace the hours of each store and date that is named, all of them or none; other dates keep theirs."""
        return self._loaded(self._rows("PUT", "/v1/special-hours", array(rows)), timeout)

    def put_stores(self, rows: Iterable[Mapping[str, Any]], *, timeout: float = 300.0) -> LoadOutcome:
        """Set attributes of stores, and their first and last day, all of them or none; a blank takes one away."""
        return self._loaded(self._rows("PUT", "/v1/stores", array(rows)), timeout)

    def put_targets(self, rows: Iterable[Mapping[str, Any]], *, timeout: float = 300.0) -> LoadOutcome:
        """Set targets by name and date, all of them or none; without a date one replaces all of its name."""
        return self._loaded(self._rows("PUT", "/v1/targets", array(rows)), timeout)

    def load(
        self,
        *,
        polls: Sequence[str | Path] = (),
        hours: Sequence[str | Path] = (),
        timezones: Sequence[str | Path] = (),
        special: Sequence[str | Path] = (),
        stores: Sequence[str | Path] = (),
        adjustments: Sequence[str | Path] = (),
        targets: Sequence[str | Path] = (),
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
        named = {
            "polls": polls, "hours": hours, "timezones": timezones, "special": special, "stores": stores,
            "adjustments": adjustments, "targets": targets, "files": files,
        }  # fmt: skip
        for name, paths in named.items():
            if isinstance(paths, str | Path):
                raise InputError(f"{name} is one path; give a list of paths")

        def opened(stack: ExitStack) -> list[Any]:
            return [(name, (Path(path).name, _opened(stack, path))) for name, paths in named.items() for path in paths]

        return self._loaded(Call("POST", "/v1/loads", files=opened), timeout)

    def load_demo(self, *, timeout: float = 300.0) -> LoadOutcome:
        """Load a made-up fleet whose last poll was now.

        Raises
        ------
        ConflictError
            The service has observations already, or this was asked for before.
        TimedOutError
            It is not loaded after ``timeout`` seconds; the load goes on.
        """
        return self._loaded(Call("POST", "/v1/demo"), timeout)

    def job(self, job: str) -> Job:
        """Say how far a load is that takes longer."""
        return self._requests.json(Call("GET", path("jobs", job)))

    def loads(self) -> Iterator[Load]:
        """List what was loaded, the newest load first."""
        return self._pages("/v1/loads", "loads")

    def loaded(self, load: int) -> Load:
        """Show the record of a load."""
        return self._requests.json(Call("GET", path("loads", load)))

    def quarantine(self, load: int) -> Iterator[QuarantinedRow]:
        """List the rows that a load set aside."""
        return self._pages(path("loads", load, "quarantine"), "rows")

    def quarantine_csv(self, load: int, file: int | None = None) -> bytes:
        """Return the rows that a load set aside of one file as CSV, to fix and load again."""
        query = {"format": "csv"} if file is None else {"format": "csv", "file": file}
        return self._requests.answer(Call("GET", path("loads", load, "quarantine"), query)).content

    # --- the ledger ---

    @overload
    def adjust(self, *, dry_run: Literal[False] = False, **adjustment: Unpack[AdjustmentBody]) -> Entry: ...

    @overload
    def adjust(self, *, dry_run: Literal[True], **adjustment: Unpack[AdjustmentBody]) -> Moved: ...

    def adjust(self, *, dry_run: bool = False, **adjustment: Unpack[AdjustmentBody]) -> Entry | Moved:
        """Enter what is to count differently; return the entry, or with ``dry_run`` what it would move."""
        if dry_run:
            return self._requests.json(Call("POST", "/v1/adjustments", {"dry_run": True}, body=adjustment))
        return self._requests.json(self._entering("/v1/adjustments", adjustment))

    def adjustments(self, store_id: str | None = None) -> Iterator[Entry]:
        """List the entries of the ledger, the newest first; of one store with its intervals."""
        return self._pages("/v1/adjustments", "adjustments", {"store_id": store_id})

    def adjustment(self, entry: int) -> Entry:
        """Show an entry of the ledger."""
        return self._requests.json(Call("GET", path("adjustments", entry)))

    def withdraw(self, entry: int, **withdrawal: Unpack[WithdrawalBody]) -> Entry:
        """Withdraw an entry; return the entry that does.

        Raises
        ------
        ContradictionError
            It is withdrawn already.
        """
        return self._requests.json(self._entering(path("adjustments", entry, "withdrawal"), withdrawal))

    @staticmethod
    def _entering(path: str, body: object) -> Call:
        return Call("POST", path, headers={"Idempotency-Key": uuid.uuid4().hex}, body=body)

    # --- stores ---

    def stores(self, **selection: Unpack[Selection]) -> Iterator[Store]:
        """List stores with their state and their figures in one window."""
        return self._pages("/v1/stores", "stores", selection)

    def store(self, store_id: str, **view: Unpack[StoreSelection]) -> StoreDetail:
        """Show one store."""
        return self._requests.json(Call("GET", path("stores", store_id), view))

    def timeline(self, store_id: str, **view: Unpack[View]) -> Timeline:
        """Show the spans of one store in a window."""
        return self._requests.json(Call("GET", path("stores", store_id, "timeline"), view))

    def outages(self, store_id: str, **view: Unpack[View]) -> OutageList:
        """List the outages of one store in a window."""
        return self._requests.json(Call("GET", path("stores", store_id, "outages"), view))

    def explanation(self, store_id: str, **view: Unpack[View]) -> dict[str, Any]:
        """Take one store's numbers apart."""
        return self._requests.json(Call("GET", path("stores", store_id, "explanation"), view))

    def calendar(self, store_id: str, first: str | None = None, end: str | None = None) -> Calendar:
        """Show the schedule of one store day by day, from a date up to another; 28 days from today unless given."""
        query = {"from": first, "to": end}
        return self._requests.json(Call("GET", path("stores", store_id, "calendar"), query))

    # --- the fleet ---

    def history(self, **view: Unpack[FleetSelection]) -> FleetHistory:
        """Follow the whole fleet over a window, in hours, days or weeks."""
        return self._requests.json(Call("GET", path("fleet", "history"), view))

    def heat_map(self, **view: Unpack[FleetSelection]) -> HeatMap:
        """Add a window up by weekday and hour, as the clock of each store shows them."""
        return self._requests.json(Call("GET", path("fleet", "heatmap"), view))

    def groups(self, by: Sequence[str], **selection: Unpack[GroupSelection]) -> GroupList:
        """Add stores up that share values of the attributes ``by``."""
        return self._requests.json(Call("GET", "/v1/groups", {"by": list(by), **selection}))

    def attributes(self, **view: Unpack[FleetSelection]) -> AttributeList:
        """List the attributes of the stores, and how many stores have which value."""
        return self._requests.json(Call("GET", "/v1/attributes", view))

    def days(self, first: str | None = None, last: str | None = None) -> DayList:
        """Say of each day how many polls came; 26 weeks up to the latest observation unless given."""
        return self._requests.json(Call("GET", "/v1/days", {"from": first, "to": last}))

    def targets(self, **view: Unpack[TargetsView]) -> TargetList:
        """Show how much of the downtime that targets allow is left in a period, and the stores below them."""
        return self._requests.json(Call("GET", "/v1/targets", view))

    # --- the service ---

    def sources(self) -> list[Source]:
        """List the places that are watched."""
        return self._requests.json(Call("GET", "/v1/sources"))["sources"]

    def api_keys(self) -> list[Key]:
        """List all keys, also the revoked ones."""
        return self._requests.json(Call("GET", "/v1/keys"))["keys"]

    def create_key(self, **options: Unpack[KeyBody]) -> NewKey:
        """Make a key; its token cannot be had again. If the answer is lost on the way, another one is made."""
        return self._requests.json(Call("POST", "/v1/keys", body=options))

    def revoke_key(self, key_id: str) -> Key:
        """Refuse a key from now on."""
        return self._requests.json(Call("POST", path("keys", key_id, "revocation")))

    def audit(self) -> Iterator[AuditEntry]:
        """List who did what, the newest first."""
        return self._pages("/v1/audit", "entries")

    # --- requests ---

    def _pages(self, path: str, name: str, query: Mapping[str, Any] | None = None) -> Iterator[Any]:
        asked = dict(query or {}, limit=1000)
        while True:
            page: dict[str, Any] = self._requests.json(Call("GET", path, asked))
            yield from page[name]
            if page["next_cursor"] is None:
                return
            asked["cursor"] = page["next_cursor"]

    @staticmethod
    def _rows(method: str, path: str, array: bytes, query: Mapping[str, Any] | None = None) -> Call:
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return Call(method, path, query or {}, headers=headers, content=gzip.compress(array, compresslevel=1))

    def _loaded(self, call: Call, timeout: float = 300.0) -> LoadOutcome:
        """Send rows; wait for what becomes of them."""
        answer = self._requests.answer(call)
        made = answer.json()
        if answer.status_code == 202:
            job = finished(lambda: self.job(made["id"]), "load", timeout)
            if job["outcome"] is None:
                raise InputError(job["reason"] or f"the load is {job['state']}")
            made = job["outcome"]
        outcome: LoadOutcome = made
        return outcome


def _opened(stack: ExitStack, path: str | Path) -> Any:
    try:
        return stack.enter_context(Path(path).open("rb"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
