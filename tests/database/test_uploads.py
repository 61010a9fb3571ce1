"""Files that were sent come out as they went in, a part at a time, until their job drops them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.fixtures.databases import url_in
from tests.fixtures.tables import NOW
from uphours.database import queue, uploads
from uphours.database.database import Database, connect
from uphours.errors import DatabaseError

pytestmark = pytest.mark.anywhere


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = connect(url_in(tmp_path, "store.db"), keep_open=True)
    made.migrate()
    yield made
    made.close()


def keep(database: Database, *files: Sequence[bytes]) -> str:
    """Keep files of these parts; return their job."""
    with database.writing() as connection:
        job = queue.submit(connection, "load", {}, now=NOW, state="receiving")
        for file, parts in enumerate(files):
            for part, content in enumerate(parts):
                uploads.add(connection, job, file, part, uploads.compressed(content))
    return job


def content(database: Database, job: str, file: int) -> bytes:
    with uploads.opener(database, job, file)() as opened:
        return opened.read()


def test_each_file_comes_out_as_it_went_in(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    first = [chance.randbytes(uploads.PART), chance.randbytes(uploads.PART), b"the rest"]
    job = keep(database, first, [b"a,b\n" * 1000])
    other = keep(database, [b"another"])
    assert content(database, job, 0) == b"".join(first)
    assert content(database, job, 1) == b"a,b\n" * 1000
    assert content(database, other, 0) == b"another"


def test_a_file_is_opened_as_often_as_one_likes(database: Database) -> None:
    job = keep(database, [b"one ", b"two"])
    opener = uploads.opener(database, job, 0)
    with opener() as first, opener() as second:
        assert (first.read(2), second.read(), first.read()) == (b"on", b"one two", b"e two")


def test_an_empty_file_is_empty(database: Database) -> None:
    job = keep(database, [])
    assert content(database, job, 0) == b""


def test_more_than_a_hundred_parts_stay_in_order(database: Database) -> None:
    parts = [f"{place},".encode() for place in range(120)]
    assert content(database, keep(database, parts), 0) == b"".join(parts)


def test_a_part_is_kept_once(database: Database) -> None:
    job = keep(database, [b"one"])
    with pytest.raises(DatabaseError), database.writing() as connection:
        uploads.add(connection, job, 0, 0, uploads.compressed(b"two"))
    assert content(database, job, 0) == b"one"


def test_no_part_is_kept_without_its_job(database: Database) -> None:
    with pytest.raises(DatabaseError), database.writing() as connection:
        uploads.add(connection, "nothing", 0, 0, uploads.compressed(b"two"))


def test_dropping_takes_the_files_of_one_job_alone(database: Database) -> None:
    job, other = keep(database, [b"one"], [b"two"]), keep(database, [b"three"])
    with database.writing() as connection:
        uploads.drop(connection, job)
    assert (content(database, job, 0), content(database, job, 1), content(database, other, 0)) == (b"", b"", b"three")


def test_repetitive_files_take_little_room() -> None:
    assert (
        len(uploads.compressed(b"8419537941919820732,active,2023-01-22 12:09:39 UTC\n" * 80_000)) < uploads.PART / 100
    )
