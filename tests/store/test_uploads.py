"""Files that were sent come out as they went in, a part at a time, until their job drops them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from storepulse.errors import StoreError
from storepulse.store import Store, connect, uploads
from storepulse.store import jobs as queue
from tests.fixtures.databases import url_in
from tests.fixtures.tables import NOW

pytestmark = pytest.mark.anywhere


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    made.migrate()
    yield made
    made.close()


def keep(store: Store, *files: Sequence[bytes]) -> str:
    """Keep files of these parts; return their job."""
    with store.writing() as connection:
        job = queue.submit(connection, "load", {}, now=NOW, state="receiving")
        for file, parts in enumerate(files):
            for part, content in enumerate(parts):
                uploads.add(connection, job, file, part, uploads.compressed(content))
    return job


def content(store: Store, job: str, file: int) -> bytes:
    with uploads.opener(store, job, file)() as opened:
        return opened.read()


def test_each_file_comes_out_as_it_went_in(store: Store) -> None:
    chance = random.Random(1)
    first = [chance.randbytes(uploads.PART), chance.randbytes(uploads.PART), b"the rest"]
    job = keep(store, first, [b"a,b\n" * 1000])
    other = keep(store, [b"another"])
    assert content(store, job, 0) == b"".join(first)
    assert content(store, job, 1) == b"a,b\n" * 1000
    assert content(store, other, 0) == b"another"


def test_a_file_is_opened_as_often_as_one_likes(store: Store) -> None:
    job = keep(store, [b"one ", b"two"])
    opener = uploads.opener(store, job, 0)
    with opener() as first, opener() as second:
        assert (first.read(2), second.read(), first.read()) == (b"on", b"one two", b"e two")


def test_an_empty_file_is_empty(store: Store) -> None:
    job = keep(store, [])
    assert content(store, job, 0) == b""


def test_more_than_a_hundred_parts_stay_in_order(store: Store) -> None:
    parts = [f"{place},".encode() for place in range(120)]
    assert content(store, keep(store, parts), 0) == b"".join(parts)


def test_a_part_is_kept_once(store: Store) -> None:
    job = keep(store, [b"one"])
    with pytest.raises(StoreError), store.writing() as connection:
        uploads.add(connection, job, 0, 0, uploads.compressed(b"two"))
    assert content(store, job, 0) == b"one"


def test_no_part_is_kept_without_its_job(store: Store) -> None:
    with pytest.raises(StoreError), store.writing() as connection:
        uploads.add(connection, "nothing", 0, 0, uploads.compressed(b"two"))


def test_dropping_takes_the_files_of_one_job_alone(store: Store) -> None:
    job, other = keep(store, [b"one"], [b"two"]), keep(store, [b"three"])
    with store.writing() as connection:
        uploads.drop(connection, job)
    assert (content(store, job, 0), content(store, job, 1), content(store, other, 0)) == (b"", b"", b"three")


def test_repetitive_files_take_little_room() -> None:
    assert (
        len(uploads.compressed(b"8419537941919820732,active,2023-01-22 12:09:39 UTC\n" * 80_000)) < uploads.PART / 100
    )
