"""The client: what it sends, what it makes of answers, and when it tries again. A made-up service answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from uphours import client as module
from uphours.client import Client, RefusedError, TimedOutError, TooMuchError
from uphours.errors import ConflictError, DatabaseUnavailableError, InputError, NotFoundError, UphoursError

Answer = Callable[[httpx.Request], httpx.Response]
ROW = {"store_id": "1", "status": "active", "timestamp_utc": "2023-01-25T12:00:00Z"}


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Pass the time at once, and note how much."""
    passed: list[float] = []
    monkeypatch.setattr("uphours.client.requests.time.sleep", passed.append)
    monkeypatch.setattr("uphours.client.requests.time.monotonic", lambda: sum(passed))
    return passed


def client_of(answer: Answer, **more: Any) -> Client:
    return Client("http://service", transport=httpx.MockTransport(answer), **more)


def problem(status: int, detail: str = "no", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json={"status": status, "detail": detail}, headers=named)


def one_after_another(*answers: httpx.Response | Exception) -> Answer:
    left = iter(answers)

    def answer(_request: httpx.Request) -> httpx.Response:
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    return answer


def outcome_of(request: httpx.Request, bad: int = 0) -> httpx.Response:
    rows = len(json.loads(gzip.decompress(request.content)))
    reasons = [{"file": None, "line": line, "reason": "bad"} for line in range(1, bad + 1)]
    made = {"load": 7, "rows_read": rows, "accepted": rows - bad, "repeated": 0, "conflicting": 0}
    more = {"quarantined": bad, "reasons": reasons, "reasons_left_out": 0, "quarantine": "/v1/loads/7/quarantine"}
    return httpx.Response(200, json=made | more)


# --- failures -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InputError), (404, NotFoundError), (409, ConflictError), (413, InputError), (422, InputError)],
)
def test_a_problem_is_an_error_of_our_tree(status: int, kind: type[UphoursError]) -> None:
    with (
        client_of(lambda _: problem(status, "it is so", X_Request_ID="r1")) as client,
        pytest.raises(kind, match=r"^it is so$") as caught,
    ):
        client.state("x")
    assert isinstance(caught.value, RefusedError)
    assert (caught.value.status, caught.value.request_id, caught.value.retry_after) == (status, "r1", None)


@pytest.mark.parametrize("status", [401, 403, 500])
def test_any_other_problem_is_a_refusal(status: int) -> None:
    with client_of(lambda _: problem(status)) as client, pytest.raises(RefusedError) as caught:
        client.state("x")
    assert type(caught.value) is RefusedError
    assert caught.value.status == status


def test_an_answer_that_is_no_problem_is_told_by_its_status() -> None:
    with (
        client_of(lambda _: httpx.Response(502, text="<html>")) as client,
        pytest.raises(RefusedError, match="the service answered with status 502"),
    ):
        client.state("x")


# --- trying again ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [problem(503), problem(429), httpx.ConnectError("refused"), httpx.ReadTimeout("")])
def test_what_fails_for_the_moment_is_tried_again(trouble: Any, pauses: list[float]) -> None:
    answer = one_after_another(trouble, trouble, httpx.Response(202, json={"id": "r"}))
    with client_of(answer) as client:
        assert client.trigger() == "r"
    assert len(pauses) == 2
    assert 0.1 <= pauses[0] <= 0.2 <= pauses[1] <= 0.4


def test_it_waits_as_long_as_the_service_says(pauses: list[float]) -> None:
    answer = one_after_another(problem(429, Retry_After="7"), httpx.Response(200, json={"sources": []}))
    with client_of(answer) as client:
        assert client.sources() == []
    assert pauses == [7.0]


@pytest.mark.usefixtures("pauses")
def test_its_patience_ends() -> None:
    with (
        client_of(lambda _: problem(429, "100 jobs are waiting", Retry_After="5"), patience=12) as client,
        pytest.raises(TooMuchError, match="100 jobs are waiting") as caught,
    ):
        client.trigger()
    assert caught.value.retry_after == 5


@pytest.mark.usefixtures("pauses")
def test_a_service_that_is_not_there_is_unavailable() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with (
        client_of(refuse, patience=5) as client,
        pytest.raises(DatabaseUnavailableError, match=r"the service at http://service.* cannot be reached: refused"),
    ):
        client.sources()


@pytest.mark.usefixtures("pauses")
def test_a_trigger_that_is_tried_again_carries_the_same_idempotency_key() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Idempotency-Key"])
        return problem(503) if len(seen) == 1 else httpx.Response(202, json={"id": "r"})

    with client_of(answer) as client:
        client.trigger()
        client.trigger()
    assert seen[0] == seen[1] != seen[2]


@pytest.mark.usefixtures("pauses")
def test_files_are_read_again_for_another_try(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.read())
        return problem(503) if len(seen) == 1 else httpx.Response(200, json={"load": 1})

    (tmp_path / "polls.csv").write_text("store_id,status,timestamp_utc\n")
    with client_of(answer) as client:
        client.load(polls=[tmp_path / "polls.csv"])
    assert [b"store_id,status" in body for body in seen] == [True, True]


# --- requests -------------------------------------------------------------------------------------------


def test_the_key_goes_into_a_header() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"sources": []})

    with client_of(answer, key="sp_x") as client:
        client.sources()
    assert seen[0].headers["Authorization"] == "Bearer sp_x"
    assert "sp_x" not in str(seen[0].url)


def test_a_service_may_live_below_a_path_and_ids_are_quoted() -> None:
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json={})

    with Client("http://proxy/pulse", transport=httpx.MockTransport(answer)) as client:
        client.store("Łódź ?#1")
    assert seen == [b"/pulse/v1/stores/%C5%81%C3%B3d%C5%BA%20%3F%231"]


def test_a_list_goes_on_to_its_last_page() -> None:
    cursors: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cursors.append(request.url.params.get("cursor"))
        more = {None: "a", "a": "b", "b": None}[cursors[-1]]
        return httpx.Response(200, json={"stores": [{"store_id": str(cursors[-1])}], "next_cursor": more})

    with client_of(answer) as client:
        assert [row["store_id"] for row in client.stores(sort="availability")] == ["None", "a", "b"]
    assert cursors == [None, "a", "b"]


# --- rows -----------------------------------------------------------------------------------------------


def test_many_rows_go_in_parts_and_the_counts_are_summed() -> None:
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sizes.append(len(json.loads(gzip.decompress(request.content))))
        assert request.headers["Content-Encoding"] == "gzip"
        return outcome_of(request, bad=1)

    def rows() -> Iterator[dict[str, str]]:
        for number in range(12_000):
            yield ROW | {"store_id": str(number)}

    with client_of(answer) as client:
        made = client.send(rows())
    assert sizes == [5000, 5000, 2000]
    assert (made.rows_read, made.accepted, made.quarantined, made.loads) == (12_000, 11_997, 3, (7, 7, 7))
    assert [reason["line"] for reason in made.reasons] == [1, 5001, 10_001]


def test_long_rows_go_in_parts_that_the_service_takes() -> None:
    sizes: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sizes.append(len(gzip.decompress(request.content)))
        return outcome_of(request)

    with client_of(answer) as client:
        assert client.send([ROW | {"note": "x" * 10_000}] * 300).rows_read == 300
    assert len(sizes) == 4
    assert max(sizes) < 1 << 20


def test_no_rows_are_no_request() -> None:
    with client_of(one_after_another()) as client:
        assert client.send([]) == module.Outcome()


def test_a_row_that_is_no_json_is_an_input_error() -> None:
    with client_of(one_after_another()) as client, pytest.raises(InputError, match="cannot send the row"):
        client.send([{"store_id": object()}])


def test_a_file_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with client_of(one_after_another()) as client:
        with pytest.raises(InputError, match=r"cannot read .*none\.csv: No such file"):
            client.load(polls=[tmp_path / "none.csv"])
        with pytest.raises(InputError, match="hours is one path; give a list of paths"):
            client.load(hours="hours.csv")


@pytest.mark.usefixtures("pauses")
def test_a_load_that_takes_longer_is_waited_for_and_its_failure_told(tmp_path: Path) -> None:
    (tmp_path / "polls.csv").touch()
    running = {"id": "j", "state": "running", "finished_at": None, "outcome": None, "reason": None}
    failed = running | {"state": "failed", "finished_at": "2023-01-25T12:00:00Z", "reason": "polls.csv has no header"}
    answer = one_after_another(*(httpx.Response(code, json=job) for code, job in ((202, running), (200, failed))))
    with client_of(answer) as client, pytest.raises(InputError, match=r"^polls\.csv has no header$"):
        client.load(polls=[tmp_path / "polls.csv"])


@pytest.mark.usefixtures("pauses")
def test_waiting_ends() -> None:
    running = httpx.Response(200, json={"id": "r", "state": "running", "finished_at": None})
    with (
        client_of(lambda _: running) as client,
        pytest.raises(TimedOutError, match="the report r is still running after 3 s"),
    ):
        client.wait("r", timeout=3)
