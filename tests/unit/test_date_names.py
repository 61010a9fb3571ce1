"""What dates are called: the same as dictionaries say, as columns."""

from __future__ import annotations

import numpy as np

from tests.fixtures.databases import only_sqlite
from uphours.date_names import DateNames, are_among, first_names
from uphours.schema import EVERY_STORE

pytestmark = only_sqlite  # no test here uses a database

NAMES = {(2, 19_000): "Eve", (EVERY_STORE, 19_000): "Käse", (0, -3): "long ago", (0, 19_001): "Day"}


def test_names_are_what_was_given_in_whatever_form() -> None:
    names = DateNames.of(NAMES)
    assert names == NAMES
    assert DateNames.of(names) is names
    dates = np.array([(0, 19_001), (1, 19_001), (EVERY_STORE, 19_000), (0, -3), (3, 19_000)])
    assert names.at(dates) == ["Day", "", "Käse", "long ago", ""]
    assert DateNames.of({}).at(dates) == [""] * 5
    assert names.at(dates[:0]) == []


def test_of_several_names_of_a_date_the_first_by_the_alphabet_counts_and_no_blank_one() -> None:
    dates = np.array([(1, 5), (1, 5), (1, 4), (1, 5), (0, 5), (0, 6)])
    names = ["b", "", "z", "a", "b", ""]
    assert first_names(dates, names) == {(1, 5): "a", (1, 4): "z", (0, 5): "b"}
    assert len(first_names(dates[:0], [])) == 0


def test_stores_get_other_numbers_and_every_store_its_own() -> None:
    made = DateNames.of(NAMES).renumbered(np.array([7, 8, 3], dtype=np.int32), every=0)
    assert made == {(3, 19_000): "Eve", (0, 19_000): "Käse", (7, -3): "long ago", (7, 19_001): "Day"}
    assert made.at(np.array([(3, 19_000), (0, 19_000)])) == ["Eve", "Käse"]


def test_keys_are_looked_up_in_any_order() -> None:
    assert are_among(np.array([5, 1, 9]), np.array([9, 2, 5])).tolist() == [True, False, True]
    assert are_among(np.array([5]), np.array([], dtype=np.int64)).tolist() == [False]
