"""The calendar feed: what it says, to whom, and that the token in its address stands nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from ical.calendar_stream import IcsCalendarStream
from ical.event import Event

from tests.fixtures.commands import start
from tests.fixtures.databases import only_sqlite, url_in
from tests.fixtures.services import Service, in_time, service
from uphours.database import api_keys, ledger, special_dates
from uphours.database.database import Database, connect
from uphours.database.store_numbers import store_numbers
from uphours.ingest.load import load_files
from uphours.schema import CLOSED, DAY_US, HOUR_US, instant_us
from uphours.service import feed_events
from uphours.service.icalendar_text import AllDay

pytestmark = pytest.mark.slow

TODAY = datetime.now(UTC).date()
#: Noon of today, so that midnight may pass while the tests run.
NOON = datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC)
ODD = "a;b, c\\d"
NEW_YEAR, EVE = TODAY + timedelta(days=20), TODAY + timedelta(days=13)
SPECIAL = f"""\
store_id,date,start_time_local,end_time_local,name
*,{NEW_YEAR},closed,closed,New Year's Day
*,{TODAY - timedelta(days=80)},10:00,14:00,
*,{TODAY - timedelta(days=100)},10:00,14:00,too long ago
*,{TODAY + timedelta(days=410)},10:00,14:00,too far ahead
1,{EVE},10:00,12:00,"Eve; of, all\\nfeasts"
1,{EVE},18:00,02:00,"Eve; of, all\\nfeasts"
"{ODD}",{EVE},,,
"""
POLLS = f"""\
store_id,status,timestamp_utc
1,active,2023-01-24 12:00:00
2,active,2023-01-24 12:00:00
"{ODD}",active,2023-01-24 12:00:00
"""
EVIL = "flood\r\nEND:VEVENT\r\nBEGIN:VEVENT\r\nUID:evil\r\nSUMMARY:x; y, z\\n"
#: Addresses of clients, a new one for each test that fails on purpose, as each has few tries.
ADDRESSES = (f"192.0.2.{number}" for number in count(1))


@dataclass(frozen=True)
class Fed:
    """A service that asks for keys; ``tokens`` are keys by their scopes, ``entry`` is the one with the note `EVIL`."""

    running: Service
    tokens: dict[str, str]
    entry: int

    def client(self, token: str | None = None) -> httpx.Client:
        headers = {"X-Forwarded-For": next(ADDRESSES)}
        if token is not None:
            headers["Authorization"] = f"Bearer {self.tokens[token]}"
        return self.running.client(headers=headers)


@pytest.fixture(scope="module")
def fed(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fed]:
    folder = tmp_path_factory.mktemp("fed")
    names = {"polls": POLLS, "special": SPECIAL}
    for name, content in names.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    database = connect(url_in(folder))
    made = load_files(
        database, {"polls": [str(folder / "polls.csv")], "special": [str(folder / "special.csv")]}, now=at(NOON)
    )
    assert made.quarantined == 0
    entry = close(database, ["1", "2", "2"], [0, 1, 5], note=EVIL)
    withdrawn = close(database, ["1"], [0], note="withdrawn")
    close(database, ["1"], [24 * 450], note="too far ahead")
    close(database, ["2"], [0], counts_as="up", note="not excluded")
    with database.writing() as connection:
        ledger.withdraw(connection, withdrawn, reason="wrong data", actor="me", now=at(NOON))
    tokens: dict[str, str] = {scope: new_key(database, scope) for scope in api_keys.SCOPES}
    with service(folder, require_key="true", workers="0", trusted_proxies='["127.0.0.1/32"]') as running:
        yield Fed(running, tokens, entry)


def at(moment: datetime) -> int:
    return instant_us(moment)


def new_key(database: Database, *scopes: str) -> str:
    with database.writing() as connection:
        return api_keys.create(connection, name="a test", scopes=scopes, now=1, actor="test")[1]


def close(
    database: Database, store_ids: list[str], hours: list[int], *, counts_as: str = "excluded", note: str = ""
) -> int:
    """Enter an hour of each of these stores, that begins these hours after noon; return the entry."""
    starts = at(NOON) + np.array(hours, dtype=np.int64) * HOUR_US
    with database.writing() as connection:
        return ledger.enter(
            connection, store_ids, starts, starts + HOUR_US, counts_as=counts_as, reason="planned closure", note=note,
            actor="me", now=at(NOON),
        )  # fmt: skip


def events(answer: httpx.Response) -> dict[str, Event]:
    """Return the events of a feed by uid, as another program reads them."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    found = IcsCalendarStream.calendar_from_ics(answer.content.decode()).events
    assert len({event.uid for event in found}) == len(found)
    return {str(event.uid): event for event in found}


def path_of(token: str) -> str:
    return f"/v1/calendar/{token}.ics"


# --- what it says ---------------------------------------------------------------------------------------


def test_a_feed_has_the_special_hours_of_every_store_and_what_the_ledger_excludes(fed: Fed) -> None:
    with fed.client("read") as client:
        found = events(client.get("/v1/calendar.ics"))
    past = TODAY - timedelta(days=80)
    assert set(found) == {
        f"special-all-{NEW_YEAR}@uphours", f"special-all-{past}@uphours", f"entry-{fed.entry}@uphours",
    }  # fmt: skip
    new_year = found[f"special-all-{NEW_YEAR}@uphours"]
    assert (new_year.dtstart, new_year.dtend) == (NEW_YEAR, NEW_YEAR + timedelta(days=1))
    assert new_year.summary == "New Year's Day: closed"
    assert new_year.dtstamp == NOON, "the load says when, not the clock"
    assert found[f"special-all-{past}@uphours"].summary == "10:00–14:00"
    entry = found[f"entry-{fed.entry}@uphours"]
    assert (entry.dtstart, entry.dtend, entry.dtstamp) == (NOON, NOON + timedelta(hours=6), NOON)
    assert entry.summary == "planned closure: 2 stores"


def test_no_note_and_no_name_adds_anything_to_the_calendar(fed: Fed) -> None:
    with fed.client("read") as client:
        found = events(client.get("/v1/calendar.ics", params={"store_id": ["1", ODD]}))
    note = EVIL.replace("\r\n", "\n")
    assert found[f"entry-{fed.entry}@uphours"].description == (
        f"Excluded: planned closure\nStores: 1\nNote: {note}\nEntry {fed.entry} of the ledger"
    )
    assert found[f"special-store-1-{EVE}@uphours"].summary == (
        "Eve; of, all\\nfeasts: 10:00–12:00, 18:00–02:00 (store 1)"
    )
    assert found[f"special-store-{ODD}-{EVE}@uphours"].summary == f"closed (store {ODD})"


def test_a_feed_of_stores_has_their_special_hours_and_only_what_is_excluded_of_theirs(fed: Fed) -> None:
    with fed.client("read") as client:
        of_1 = events(client.get("/v1/calendar.ics", params={"store_id": ["1", "1"]}))
        odd = events(client.get("/v1/calendar.ics", params={"store_id": ODD}))
        unknown = client.get("/v1/calendar.ics", params={"store_id": ["1", "nine"]})
        none = client.get("/v1/calendar.ics", params={"store_id": ""})
        many = client.get("/v1/calendar.ics", params={"store_id": [str(one) for one in range(101)]})
    common = {uid for uid in of_1 if uid.startswith("special-all")}
    assert len(common) == 2
    assert set(of_1) == common | {f"special-store-1-{EVE}@uphours", f"entry-{fed.entry}@uphours"}
    entry = of_1[f"entry-{fed.entry}@uphours"]
    assert (entry.summary, entry.dtend) == ("planned closure: 1 store", NOON + timedelta(hours=1))
    assert set(odd) == common | {f"special-store-{ODD}-{EVE}@uphours"}
    assert (unknown.status_code, none.status_code, many.status_code) == (404, 422, 422)
    assert "'nine'" in unknown.json()["detail"]
    assert "100 items" in many.json()["detail"]


def test_a_withdrawal_takes_the_event_away_and_nothing_else_changes_the_tag(fed: Fed) -> None:
    database = connect(url_in(fed.running.folder))
    with fed.client("read") as client:
        before = client.get("/v1/calendar.ics")
        entry = close(database, ["2"], [48])
        between = client.get("/v1/calendar.ics", headers={"If-None-Match": before.headers["etag"]})
        with database.writing() as connection:
            ledger.withdraw(connection, entry, reason="other", actor="me", now=at(NOON))
        after = client.get("/v1/calendar.ics", headers={"If-None-Match": before.headers["etag"]})
    assert set(events(between)) - set(events(before)) == {f"entry-{entry}@uphours"}
    assert (after.status_code, after.content) == (304, b"")
    assert after.headers["etag"] == before.headers["etag"]
    assert before.headers["cache-control"] == "private, no-cache"


def test_head_says_what_get_says_without_the_body(fed: Fed) -> None:
    with fed.client() as client:
        url = path_of(fed.tokens["feed"])
        got, head = client.get(url), client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("etag", "content-type", "content-length"):
        assert head.headers[name] == got.headers[name]


@only_sqlite
def test_beyond_the_most_events_those_nearest_to_today_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'uphours.db'}")
    ids = [str(number) for number in range(11)]
    today = at(NOON) // DAY_US
    days = range(today - feed_events.DAYS_BEFORE - 5, today + feed_events.DAYS_AFTER + 5)
    with database.writing() as connection:
        numbers = store_numbers(connection, ids).tolist()
        rows = np.array([(store, day, *CLOSED) for store in numbers for day in days], dtype=np.int64)
        special_dates.replace(connection, rows, {}, load=1)
        found = feed_events.feed_events(connection, ids, now=at(NOON))
        assert found == feed_events.feed_events(connection, ids[::-1], now=at(NOON) + HOUR_US)
        few = feed_events.feed_events(connection, ids[:10], now=at(NOON))
    width = feed_events.DAYS_BEFORE + feed_events.DAYS_AFTER + 1
    assert len(few) == 10 * width
    assert len(found) == feed_events.MOST_EVENTS == 5000
    assert found[-1].uid == f"more-{TODAY}@uphours"
    assert found[-1].summary == f"{11 * width - 4999} more events are not shown"
    shown = [one.when.day for one in found[:-1] if isinstance(one.when, AllDay)]
    assert shown == sorted(shown)
    assert shown[0] == TODAY - timedelta(days=feed_events.DAYS_BEFORE)
    assert shown[-1] < TODAY + timedelta(days=feed_events.DAYS_AFTER)


# --- to whom --------------------------------------------------------------------------------------------


def test_the_token_of_a_feed_in_the_address_shows_the_same_as_a_key_in_the_header(fed: Fed) -> None:
    with fed.client("read") as client:
        for query in ({}, {"store_id": ["1", "2"]}):
            by_header = client.get("/v1/calendar.ics", params=query)
            by_token = httpx.get(f"{fed.running.url}{path_of(fed.tokens['feed'])}", params=query)
            assert by_token.status_code == 200
            assert by_token.content == by_header.content


def told(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    del found["request_id"]
    return found


def test_no_other_key_opens_the_feed_by_its_address_and_none_is_told_why(fed: Fed) -> None:
    revoked = new_key(connect(url_in(fed.running.folder)), "feed")
    good = fed.tokens["feed"]
    wrong = good[:-1] + ("a" if good[-1] != "a" else "b")
    with fed.client() as client:
        assert client.get(path_of(revoked)).status_code == 200
        assert start(fed.running.folder, "keys", "revoke", revoked.split("_")[1]).returncode == 0
        others = [token for scope, token in fed.tokens.items() if scope != "feed"]
        answers = [client.get(path_of(token)) for token in (revoked, wrong, "x", "é", *others)]
        answers.append(client.get(path_of(good), params={"store_id": "nine"}))
    assert [answer.status_code for answer in answers] == [404] * len(answers)
    assert all(told(answer) == told(answers[0]) for answer in answers)


def test_the_token_of_a_feed_opens_nothing_else(fed: Fed) -> None:
    with fed.client("feed") as client:
        found = {path: client.get(path).status_code for path in ("/v1/calendar.ics", "/v1/stores", "/v1/audit", "/")}
    assert set(found.values()) == {403}
    with fed.client() as client:
        token = fed.tokens["feed"]
        assert client.get("/v1/calendar.ics").status_code == 401
        assert client.get("/v1/calendar.ics", params={"token": token}).status_code == 401
        assert client.post("/sign-in", data={"key": token}, headers={"Origin": fed.running.url}).status_code == 403


def test_after_ten_wrong_tokens_an_address_waits_and_can_still_sign_in(fed: Fed) -> None:
    good = path_of(fed.tokens["feed"])
    with fed.client() as client, fed.client() as other:
        for _ in range(20):
            assert client.get(good).status_code == 200, "good ones count for nothing"
        found = [client.get(path_of("x")).status_code for _ in range(11)]
        late = client.get(good)
        assert found == [404] * 10 + [429]
        assert late.status_code == 429
        assert 0 < int(late.headers["retry-after"]) <= 60
        assert other.get(good).status_code == 200
        signed = client.post("/sign-in", data={"key": fed.tokens["read"]}, headers={"Origin": fed.running.url})
        assert signed.status_code == 303


def test_the_command_line_makes_a_key_that_is_for_feeds_alone(fed: Fed) -> None:
    made = start(fed.running.folder, "keys", "create", "calendar", "--scope", "feed")
    assert made.returncode == 0
    assert "/v1/calendar/TOKEN.ics" in made.stderr.decode()
    with fed.client() as client:
        assert client.get(path_of(made.stdout.decode().strip())).status_code == 200
    both = start(fed.running.folder, "keys", "create", "calendar", "--scope", "feed", "--scope", "read")
    assert both.returncode == 2
    assert "the scope feed cannot be joined with others" in both.stderr.decode()


# --- where its token does not stand ---------------------------------------------------------------------


def test_the_token_in_an_address_stands_in_no_log_metric_audit_or_error(fed: Fed) -> None:
    token = fed.tokens["feed"]
    key_id, secret = token.split("_")[1:]
    answers = []
    with fed.client() as client:
        answers += [client.get(path_of(token)), client.head(path_of(token)), client.post(path_of(token))]
        answers.append(client.get(path_of(token), params={"store_id": ["x"] * 200}))
    paths = (
        "/v1/calendar/{0}", "/v1/calendar/{0}.ics/", "/v1/calendar/{0}/x.ics", "/V1/Calendar/{0}.ics", "/v1/{0}",
        "//v1//calendar//{0}.ics", "/v1/%63alendar/{0}.ics", "/calendar/{0}.ics", "/v1/stores/{0}/calendar",
    )  # fmt: skip
    asked = [path.format(text) for path in paths for text in (token, token.upper())] + [path_of(secret)]
    for path in asked:
        with fed.client("admin") as client:
            answers.append(client.get(path, follow_redirects=False))
    with fed.client("admin") as client:
        answers += [client.get(path) for path in ("/metrics", "/v1/audit", "/v1/jobs/the-last-line")]
    assert in_time(lambda: "the-last-line" in fed.running.log.read_text())
    lines = fed.running.log.read_text()
    everything = json.dumps([lines, *(answer.text for answer in answers if "/stores/" not in answer.url.path)]).lower()
    assert secret not in everything
    named = [line for line in map(json.loads, lines.splitlines()) if line.get("path") == "/v1/calendar/…"]
    assert f"key:{key_id}" in {line.get("actor") for line in named}, "the id may be named, and is"
