import json
from datetime import timedelta
from typing import Any, get_args

import pytest

from uphours.errors import InputError
from uphours.kernel.policy import Assume, Interpolation, Policy

AGES = [None, timedelta(microseconds=1), timedelta(days=3, microseconds=7), timedelta(days=84_000)]
POLICIES = [
    Policy(interpolation=interpolation, prefer_in_session=prefer, max_age=age, confirm_within=within, assume=assume)
    for interpolation in get_args(Interpolation)
    for assume in get_args(Assume)
    for prefer in (True, False)
    for age in AGES
    for within in (timedelta(0), timedelta(hours=2))
]


def test_a_policy_comes_back_from_its_facts() -> None:
    assert [Policy.from_dict(json.loads(json.dumps(policy.to_dict()))) for policy in POLICIES] == POLICIES


def test_what_is_not_named_is_as_by_default() -> None:
    assert Policy.from_dict({}) == Policy()
    assert Policy.from_dict({"assume": "active"}) == Policy(assume="active")


@pytest.mark.parametrize("name", ["max_age", "maxAge", ""])
def test_an_unknown_name_is_refused_with_the_valid_ones(name: str) -> None:
    with pytest.raises(
        InputError,
        match=r"valid are interpolation, prefer_in_session, only_watched, assume, max_age_us, confirm_within_us$",
    ):
        Policy.from_dict({name: None})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interpolation", "last"),
        ("interpolation", None),
        ("interpolation", ["next"]),
        ("assume", "down"),
        ("prefer_in_session", "no"),
        ("prefer_in_session", 0),
        ("prefer_in_session", None),
        ("max_age_us", "1h"),
        ("max_age_us", 0),
        ("max_age_us", -1),
        ("max_age_us", 1.5),
        ("max_age_us", True),
        ("max_age_us", 10**30),
        ("max_age_us", -(10**30)),
        ("confirm_within_us", None),
        ("confirm_within_us", -1),
    ],
)
def test_a_value_that_it_cannot_have_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=name.removesuffix("_us")):
        Policy.from_dict({name: value})


@pytest.mark.parametrize("facts", [None, [], "next", 1])
def test_what_is_no_mapping_is_refused(facts: Any) -> None:
    with pytest.raises(InputError, match="valid are values by name"):
        Policy.from_dict(facts)
