"""Values are found by hash, and two with the same hash are still two."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uphours.ingest.id_table import Known
from uphours.ingest.ids import StoreIds


@given(st.lists(st.lists(st.text(max_size=3) | st.text(min_size=12, max_size=14)), max_size=5))
def test_each_id_has_one_number_however_often_it_comes(batches: list[list[str]]) -> None:
    quick, slow = StoreIds(), StoreIds()
    for batch in batches:
        texts = pl.Series(batch, dtype=pl.String)
        wanted, is_bad = slow.numbers(texts)
        found = quick.numbers_of_good(texts)
        if is_bad.any():
            assert found is None
        else:
            assert found is not None
            assert [quick.texts[number] for number in found] == [slow.texts[number] for number in wanted]


def test_integers_have_the_numbers_of_their_texts() -> None:
    ids = StoreIds()
    texts = ids.numbers_of_good(pl.Series(["7", "-3", "07"]))
    numbers = ids.numbers_of_good(pl.Series([-3, 7, 8, 7]))
    assert texts is not None
    assert numbers is not None
    assert [ids.texts[number] for number in numbers] == ["-3", "7", "8", "7"]
    assert ids.numbers_of_good(pl.Series([7, None])) is None


def test_values_with_the_same_hash_are_not_taken_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pl.Series, "hash", lambda self: pl.Series(np.full(len(self), 5, dtype=np.uint64)))
    known = Known(pl.String())
    known.learn(pl.Series(["a", "b"]), np.array([1, 2], dtype=np.int32))
    assert known.numbers(pl.Series(["a", "b", "c", "a"])).tolist() == [1, -1, -1, 1]
    ids = StoreIds()
    for _ in range(2):
        found = ids.numbers_of_good(pl.Series(["a", "b", "c", "b", "a"]))
        assert found is not None
        assert [ids.texts[number] for number in found] == ["a", "b", "c", "b", "a"]
