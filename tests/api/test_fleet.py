"""The fleet over time and by the hours of the week: the numbers of the library, whatever the window."""

from __future__ import annotations

from collections import Counter
from typing import Any

import httpx
import pytest

from tests.api.test_stores import WEDNESDAY, fleet, listed
from tests.fixtures import known
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.reports.history import heat_map, history
from uphours.schema import HOUR_US, MINUTE_US, instant_us

SUMMED = ("uptime_us", "downtime_us", "unknown_us", "business_us", "uptime_min_us", "uptime_max_us")
QUERIES: list[dict[str, Any]] = [
    {},
    {"window": "last_hour"},
    {"window": "yesterday"},
    {"window": WEDNESDAY},
    {"window": "last_day", "as_of": "2023-01-25T10:30:00Z"},
    {"interpolation": "next"},
    {"max_age": "90m", "assume": "inactive"},
]


def shown(client: httpx.Client, view: str, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/v1/fleet/{view}", params=query).raise_for_status().json()
    return answer


def asked(query: dict[str, Any]) -> dict[str, Any]:
    """Return the same question for the library."""
    window: str | Window = query.get("window", "last_week")
    facts: dict[str, Any] = {"interpolation": query.get("interpolation", "previous")}
    facts |= {"max_age_us": 90 * MINUTE_US, "assume": "inactive"} if "max_age" in query else {}
    return {
        "as_of": instant_us(query.get("as_of", known.AS_OF)),
        "window": Window("wednesday", "2023-01-25T00:00Z", "2023-01-26T00:00Z") if window == WEDNESDAY else window,
        "policy": Policy.from_dict(facts),
    }


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_history_is_that_of_the_library_and_adds_up_to_the_list(waiting: httpx.Client, query: dict[str, Any]) -> None:
    answer = shown(waiting, "history", **query)
    made = history(fleet().fleet, **asked(query))
    assert answer["buckets"] == made.buckets
    assert answer["bucket"] == made.bucket == "hour"
    assert answer["poll_interval_us"] == made.gaps.interval_us
    assert [(gap["start_us"], gap["end_us"]) for gap in answer["gaps"]] == list(
        zip(made.gaps.starts.tolist(), made.gaps.ends.tolist(), strict=True)
    )
    whole = listed(waiting, **query)
    for name in (*SUMMED, "observations"):
        assert sum(row[name] for row in answer["buckets"]) == whole["fleet"][name], name
    for name in ("as_of", "as_of_us", "policy", "window", "loads_seen"):
        assert answer[name] == whole[name]


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_heat_map_is_that_of_the_library_and_adds_up_to_the_list(
    waiting: httpx.Client, query: dict[str, Any]
) -> None:
    answer = shown(waiting, "heatmap", **query)
    assert answer["cells"] == heat_map(fleet().fleet, **asked(query)).cells
    assert [(cell["weekday"], cell["hour"]) for cell in answer["cells"]] == [
        (day, hour) for day in range(7) for hour in range(24)
    ]
    whole = listed(waiting, **query)
    for name in SUMMED:
        assert sum(cell[name] for cell in answer["cells"]) == whole["fleet"][name], name
    for name in ("as_of", "as_of_us", "policy", "window", "loads_seen"):
        assert answer[name] == whole[name]


def test_an_hour_of_the_fleet_is_as_worked_out_by_hand(waiting: httpx.Client) -> None:
    row = shown(waiting, "history", window="last_hour")["buckets"][0]
    bounds = (known.AS_OF_US - HOUR_US, known.AS_OF_US)
    assert (row["start_us"], row["end_us"]) == bounds
    # The store that is always open was down until 11:30, "wednesdays" all the time, "late" until 11:59:20.
    states = {store["store_id"]: store for store in listed(waiting, window="last_hour")["stores"]}
    assert row["downtime_us"] == sum(store["downtime_us"] for store in states.values())
    assert states["always"]["downtime_us"] == 30 * MINUTE_US
    assert states["wednesdays"]["downtime_us"] == HOUR_US


@pytest.mark.parametrize("view", ["history", "heatmap"])
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"window": "last_year"}, ["last_year", "last_week"]),
        ({"as_of": "noon"}, ["noon", "2023-01-25T18:13:22Z"]),
        ({"interpolation": "cubic"}, ["interpolation", "'nearest'"]),
    ],
    ids=str,
)
def test_a_mistake_is_a_problem_that_names_what_is_valid(
    waiting: httpx.Client, view: str, query: dict[str, Any], says: list[str]
) -> None:
    answer = waiting.get(f"/v1/fleet/{view}", params=query)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [word for word in says if word not in answer.json()["detail"]] == [], answer.text


# --- days --------------------------------------------------------------------------------------------


def days(client: httpx.Client, **query: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/v1/days", params=query).raise_for_status().json()
    return answer


def test_the_days_on_which_polls_were_made_are_told(waiting: httpx.Client) -> None:
    found = days(waiting)
    assert (found["first"], found["last"], found["pruned_before"]) == ("2022-07-28", "2023-01-25", None)
    assert [found["days"][0]["day"], found["days"][-1]["day"], len(found["days"])] == ["2022-07-28", "2023-01-25", 182]
    expected = Counter(row.split(",")[2][:10] for row in known.with_odd_ids().splitlines()[1:])
    assert {one["day"] for one in found["days"] if one["polled"]} == set(expected)
    assert {one["day"]: one["polls"] for one in found["days"] if one["polls"]} == expected
    few = days(waiting, **{"from": "2023-01-24", "to": "2023-01-26"})
    # Polls were made on three days, the 18th from noon on and the 25th until then: the median day has one.
    usual = sorted(expected.values())[1]
    assert few["days"] == [
        {"day": "2023-01-24", "polled": False, "polls": 0, "share": 0.0},
        {
            "day": "2023-01-25",
            "polled": True,
            "polls": (last := expected["2023-01-25"]),
            "share": few["days"][1]["share"],
        },
        {"day": "2023-01-26", "polled": False, "polls": 0, "share": None},
    ]
    assert few["days"][1]["share"] == pytest.approx(last / (usual / 2), rel=1e-9)
    assert len(days(waiting, to="2020-02-29")["days"]) == 182
    assert days(waiting, **{"from": "2023-01-25"})["days"] == few["days"][1:2]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"from": "2023-02-30"}, ["from", "2023-02-30", "2023-01-25"]),
        ({"to": "20230125"}, ["to", "20230125"]),
        ({"to": "1969-12-31"}, ["1970"]),
        ({"from": "2023-01-26"}, ["0 days", "1 to 4000"]),
        ({"from": "2000-01-01"}, ["days", "1 to 4000"]),
        ({"from": "yesterday, of all days"}, ["from", "10"]),
    ],
    ids=str,
)
def test_days_that_make_no_sense_are_a_problem(waiting: httpx.Client, query: dict[str, str], says: list[str]) -> None:
    answer = waiting.get("/v1/days", params=query)
    assert answer.status_code == 422
    assert [word for word in says if word not in answer.json()["detail"]] == [], answer.text
