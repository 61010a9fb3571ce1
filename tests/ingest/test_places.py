"""Places on this machine: what a folder, a glob or a file lists, and that no file is taken half."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from uphours.errors import InputError
from uphours.ingest.sources.globs import matches
from uphours.ingest.sources.resolve import described, files_of
from uphours.ingest.sources.source_file import Found, fingerprint

NOW = 1_700_000_000_000_000
LONG_AGO = NOW - 3_600_000_000


def put(path: Path, content: str = "a,b\n", *, at: int = LONG_AGO) -> Path:
    """Write a file as if it had been written at an instant."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, ns=(at * 1000, at * 1000))
    return path


def names(place: object, *, now: int = NOW) -> list[str]:
    return [found.name for found in files_of(str(place), now=now)]


def only(place: object) -> Found:
    (found,) = files_of(str(place), now=NOW)
    return found


def test_a_folder_lists_the_files_directly_in_it_in_order_of_name(tmp_path: Path) -> None:
    second, first = put(tmp_path / "b.csv"), put(tmp_path / "a.csv")
    put(tmp_path / "sub" / "c.csv")
    assert names(tmp_path) == [str(first), str(second)]
    assert names(f"{tmp_path}/") == [str(first), str(second)]


@pytest.mark.parametrize(
    "name", [".hidden.csv", "polls.csv~", "polls.tmp", "polls.csv.part", "polls.crdownload", "A.TMP"]
)
def test_a_hidden_or_unfinished_name_is_left_out(tmp_path: Path, name: str) -> None:
    put(tmp_path / name)
    assert names(tmp_path) == names(tmp_path / "*") == names(tmp_path / "**") == []


def test_a_file_that_is_named_is_listed_whatever_it_is_called(tmp_path: Path) -> None:
    file = put(tmp_path / ".hidden.tmp")
    assert names(file) == [str(file)]


def test_a_relative_place_has_a_full_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = put(tmp_path / "polls.csv")
    monkeypatch.chdir(tmp_path)
    assert names("polls.csv") == names(".") == names("*.csv") == [str(file)]


def test_a_glob_lists_what_matches(tmp_path: Path) -> None:
    monday, tuesday = put(tmp_path / "polls-1.csv"), put(tmp_path / "polls-2.csv")
    put(tmp_path / "hours.csv")
    assert names(tmp_path / "polls-*.csv") == [str(monday), str(tuesday)]
    assert names(tmp_path / "polls-[2].csv") == [str(tuesday)]
    assert names(tmp_path / "nothing-*.csv") == []


def test_two_stars_are_any_number_of_folders(tmp_path: Path) -> None:
    files = [put(tmp_path / name) for name in ("a.csv", "x/b.csv", "x/y/c.csv")]
    put(tmp_path / "x" / ".hidden" / "d.csv")
    assert names(tmp_path / "**" / "*.csv") == [str(file) for file in files]
    assert names(tmp_path / "*" / "*.csv") == [str(files[1])]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(tmp_path: Path) -> None:
    file = put(tmp_path / "[1].csv")
    put(tmp_path / "1.csv")
    assert names(file) == [str(file)]


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a/b.csv", "**/*.csv", True),
        ("b.csv", "**/*.csv", True),
        ("a/b/c", "**", True),
        ("a/b/c", "a/**/c", True),
        ("a/c", "a/**/**/c", True),
        ("a/b/c", "a/*", False),
        ("a", "a/*", False),
        ("A.csv", "a.csv", False),
    ],
)
def test_a_pattern_matches_part_by_part(name: str, pattern: str, expected: bool) -> None:
    assert matches(name.split("/"), pattern.split("/")) is expected


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    assert not matches(["a"] * 500, ["**", "a"] * 100 + ["b"])


# --- links ----------------------------------------------------------------------------------------------


def test_a_link_inside_the_folder_is_the_file_it_leads_to(tmp_path: Path) -> None:
    file = put(tmp_path / "polls-1.csv")
    (tmp_path / "latest.csv").symlink_to(file)
    assert names(tmp_path) == [str(file)]


def test_a_link_that_leads_outside_is_left_out(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "secret.csv")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file.csv").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    (inside / "nothing.csv").symlink_to(inside / "gone.csv")
    assert names(inside) == names(inside / "*.csv") == names(inside / "**" / "*.csv") == []
    assert names(inside / "*" / "*.csv") == []


def test_a_link_in_a_circle_is_left_out(tmp_path: Path) -> None:
    file = put(tmp_path / "polls.csv")
    (tmp_path / "circle").symlink_to(tmp_path)
    assert names(tmp_path / "**" / "*.csv") == [str(file)]


def test_a_folder_that_is_a_link_keeps_the_name_it_was_given(tmp_path: Path) -> None:
    put(tmp_path / "real" / "polls.csv")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    assert names(link) == [str(link / "polls.csv")]


def test_a_file_that_became_a_link_since_is_not_read(tmp_path: Path) -> None:
    file = put(tmp_path / "in" / "polls.csv")
    found = only(file.parent)
    secret = put(tmp_path / "secret.csv")
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(InputError, match=r"polls\.csv"):
        found.open()


# --- files that are being written -----------------------------------------------------------------------


def test_a_file_written_just_now_is_left_for_the_next_time(tmp_path: Path) -> None:
    file = put(tmp_path / "polls.csv", at=NOW)
    assert names(file) == names(tmp_path) == names(tmp_path, now=NOW + 1_999_999) == []
    assert names(file, now=NOW + 2_000_000) == names(tmp_path, now=NOW + 2_000_000) == [str(file)]


def test_a_file_from_a_clock_that_is_ahead_waits_until_its_time_has_passed(tmp_path: Path) -> None:
    put(tmp_path / "polls.csv", at=NOW + 60_000_000)
    assert names(tmp_path) == []


def test_a_file_dated_into_the_far_future_is_listed(tmp_path: Path) -> None:
    file = put(tmp_path / "polls.csv", at=NOW + 200_000_000_000)
    assert names(tmp_path) == [str(file)]


def test_a_file_that_grew_since_it_was_listed_is_not_read(tmp_path: Path) -> None:
    found = only(put(tmp_path / "polls.csv", "1\n"))
    put(tmp_path / "polls.csv", "1\n2\n")
    with pytest.raises(InputError, match="changed after it was listed"):
        found.open()


def test_a_file_that_grows_while_it_is_read_is_an_error_at_its_end(tmp_path: Path) -> None:
    path = put(tmp_path / "polls.csv", "1\n")
    with only(path).open() as file:
        assert file.read(1) == b"1"
        with path.open("a") as writer:
            writer.write("2\n")
        with pytest.raises(InputError, match="changed after it was listed"):
            file.read()


def test_a_file_that_is_replaced_while_it_is_read_stays_the_one_that_was_listed(tmp_path: Path) -> None:
    path = put(tmp_path / "polls.csv", "old\n")
    with only(path).open() as file:
        put(tmp_path / "new.tmp", "new\n").replace(path)
        assert file.read() == b"old\n"
    assert only(path).open().read() == b"new\n"


def test_a_file_that_went_away_is_an_error(tmp_path: Path) -> None:
    path = put(tmp_path / "polls.csv")
    found = only(path)
    path.unlink()
    with pytest.raises(InputError, match="went away"):
        found.open()


# --- reading and names ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_a_file_is_read_as_it_lies(tmp_path: Path, size: int) -> None:
    path = put(tmp_path / "polls.csv", "x" * size)
    found = only(path)
    assert found.size == size
    with found.open() as file:
        assert file.read() == b"x" * size
    with found.open() as again:
        assert len(again.read(10)) == min(size, 10)


def test_a_new_version_has_a_new_fingerprint(tmp_path: Path) -> None:
    path = put(tmp_path / "polls.csv")
    before = only(path)
    assert fingerprint(before) == fingerprint(only(path))
    put(path, at=LONG_AGO + 1)
    assert fingerprint(only(path)) != fingerprint(before)
    assert len(fingerprint(before)) == 64


def test_a_url_of_a_file_is_its_path(tmp_path: Path) -> None:
    file = put(tmp_path / "my polls #1.csv")
    assert names(f"file://{tmp_path}/my%20polls%20%231.csv") == [str(file)]
    assert names(f"FILE://localhost{tmp_path}") == [str(file)]


@pytest.mark.parametrize(
    "url", ["file://elsewhere/polls.csv", "file:///polls.csv?x=1", "file:///polls.csv#x", "file://"]
)
def test_a_url_of_a_file_names_this_machine_and_nothing_but_a_path(url: str) -> None:
    with pytest.raises(InputError, match="file:///folder/name"):
        files_of(url, now=NOW)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_whose_bytes_are_no_text_is_listed_and_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/polls-\xff.csv"))
    put(path, "1\n")
    found = only(tmp_path)
    assert found.name.endswith("polls-\\xff.csv")
    assert fingerprint(found)
    assert found.open().read() == b"1\n"


@pytest.mark.parametrize("place", ["nothing.csv", "nothing/*.csv", "a\0b", "\ud800", "x" * 5000])
def test_a_place_that_is_not_there_is_an_error(tmp_path: Path, place: str) -> None:
    with pytest.raises(InputError):
        files_of(f"{tmp_path}/{place}", now=NOW)


@pytest.mark.parametrize("place", ["", "ftp://host/polls.csv", "data://x"])
def test_a_place_of_no_known_kind_is_an_error(place: str) -> None:
    with pytest.raises(InputError, match="valid is a folder"):
        files_of(place, now=NOW)


@pytest.mark.skipif(os.name == "nt", reason="there are no pipes with names")
def test_a_pipe_is_neither_listed_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    assert names(tmp_path) == []
    with pytest.raises(InputError, match="neither a file nor a folder"):
        files_of(str(tmp_path / "pipe.csv"), now=NOW)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may list everything")
def test_a_folder_that_may_not_be_listed_is_an_error(tmp_path: Path) -> None:
    put(tmp_path / "closed" / "polls.csv")
    (tmp_path / "closed").chmod(0)
    try:
        with pytest.raises(InputError, match="cannot list"):
            files_of(str(tmp_path / "**" / "*.csv"), now=NOW)
    finally:
        (tmp_path / "closed").chmod(0o700)


# --- places without secrets -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/data/polls-*.csv", "/data/polls-*.csv"),
        ("https://user:pass@host:8443/a%20b.csv", "https://host:8443/a%20b.csv"),
        ("HTTPS://Host/a.csv#top", "https://host/a.csv"),
        ("https://host/a.csv?day=1&day=2&X-Amz-Signature=s&X-Amz-Date=d", "https://host/a.csv?day=1&day=2"),
        ("https://host/a.csv?sv=2022&sig=s%2F1", "https://host/a.csv?sv=2022"),
        ("https://host/a.csv?api_key=k&access_token=t&code=c&country_code=us", "https://host/a.csv?country_code=us"),
        ("https://user:pa/ss@host/a.csv", "https://…"),
        ("https://[::1]:80/a.csv", "https://[::1]:80/a.csv"),
        ("https://[broken/?sig=1", "https://…"),
        ("ftp://user:pass@host/a.csv", "ftp://host/a.csv"),
        ("s3://bucket/in/a ?#.csv", "s3://bucket/in/a ?#.csv"),
        ("s3://key:secret@bucket/in", "s3://bucket/in"),
    ],
)
def test_a_place_is_described_without_its_secrets(place: str, expected: str) -> None:
    assert described(place) == expected
