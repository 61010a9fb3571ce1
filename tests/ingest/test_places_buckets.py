"""Objects of a real S3 endpoint: prefixes, globs, odd keys, versions, and what it refuses."""

from __future__ import annotations

import sys
import time

import pytest

from tests.fixtures.endpoints import BUCKET, Endpoint, endpoint, running
from uphours.errors import InputError
from uphours.ingest.sources.resolve import files_of
from uphours.ingest.sources.source_file import Found, fingerprint

__all__ = ["endpoint", "running"]  # fixtures

NOW = 1_700_000_000_000_000
ODD = ["in/a b.csv", "in/a%20b.csv", "in/a#b?c=d&e+f.csv", "in/ü→.csv", "in/{x}^~`|<>\\.csv", "in/[1]*.csv"]


def listed(path: str) -> list[Found]:
    return files_of(f"s3://{BUCKET}{path}", now=NOW, timeout_s=10)


def keys(path: str) -> list[str]:
    return [found.name.removeprefix(f"s3://{BUCKET}/") for found in listed(path)]


def test_a_prefix_lists_the_objects_below_it_in_order(endpoint: Endpoint) -> None:
    for key in ("in/b.csv", "in/a.csv", "in/sub/c.csv", "in-2/d.csv", "in.csv"):
        endpoint.put(key)
    assert keys("/in") == keys("/in/") == ["in/a.csv", "in/b.csv", "in/sub/c.csv"]
    assert keys("") == keys("/") == sorted(["in/b.csv", "in/a.csv", "in/sub/c.csv", "in-2/d.csv", "in.csv"])
    assert keys("/nothing") == []


def test_a_key_is_that_object_alone(endpoint: Endpoint) -> None:
    endpoint.put("in/a.csv")
    endpoint.put("in/a.csv.gz")
    assert keys("/in/a.csv") == ["in/a.csv"]


def test_a_glob_lists_what_matches(endpoint: Endpoint) -> None:
    for key in ("polls-1.parquet", "polls-2.parquet", "polls-3.csv", "in/polls-4.parquet", "in/x/polls-5.parquet"):
        endpoint.put(key)
    assert keys("/polls-*.parquet") == ["polls-1.parquet", "polls-2.parquet"]
    assert keys("/in/polls-?.parquet") == ["in/polls-4.parquet"]
    assert keys("/**/*.parquet") == [
        "in/polls-4.parquet",
        "in/x/polls-5.parquet",
        "polls-1.parquet",
        "polls-2.parquet",
    ]
    assert keys("/*/polls-*.parquet") == ["in/polls-4.parquet"]
    assert keys("/in/**") == ["in/polls-4.parquet", "in/x/polls-5.parquet"]


def test_more_objects_than_one_answer_holds_are_listed(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "3")
    for number in range(10):
        endpoint.put(f"in/{number}.csv")
    assert len(endpoint.client.list_objects_v2(Bucket=BUCKET)["Contents"]) == 3
    assert keys("/in") == keys("/in/*.csv") == [f"in/{number}.csv" for number in range(10)]


def test_what_marks_a_folder_is_no_file(endpoint: Endpoint) -> None:
    endpoint.put("in/", b"")
    endpoint.put("in/sub/", b"")
    endpoint.put("in/sub/a.csv")
    assert keys("/in") == ["in/sub/a.csv"]


@pytest.mark.parametrize("key", ODD)
def test_an_object_with_an_odd_key_is_listed_and_read(endpoint: Endpoint, key: str) -> None:
    endpoint.put(key, key.encode())
    (found,) = listed("/in/")
    assert found.name == f"s3://{BUCKET}/{key}"
    with found.open() as file:
        assert file.read() == key.encode()


def test_an_object_is_read_in_blocks(endpoint: Endpoint) -> None:
    body = bytes(range(256)) * 20_000
    endpoint.put("in/polls.csv", body)
    (found,) = listed("/in")
    assert found.size == len(body)
    with found.open() as file:
        assert file.read(1000) == body[:1000]
        assert file.read() == body[1000:]


def test_an_object_that_changed_since_it_was_listed_is_not_read(endpoint: Endpoint) -> None:
    endpoint.put("in/polls.csv", b"1\n")
    (before,) = listed("/in")
    endpoint.put("in/polls.csv", b"2\n")
    (after,) = listed("/in")
    assert fingerprint(before) != fingerprint(after)
    with pytest.raises(InputError, match="changed after it was listed"):
        before.open()
    with after.open() as file:
        assert file.read() == b"2\n"


def test_an_object_that_went_away_is_an_error(endpoint: Endpoint) -> None:
    endpoint.put("in/polls.csv")
    (found,) = listed("/in")
    endpoint.client.delete_object(Bucket=BUCKET, Key="in/polls.csv")
    with pytest.raises(InputError, match=r"in/polls\.csv is not there"):
        found.open()


@pytest.mark.parametrize("path", ["", "/in", "/in/a.csv", "/*.csv"])
def test_a_bucket_that_is_not_there_is_an_error(endpoint: Endpoint, path: str) -> None:
    with pytest.raises(InputError, match="The specified bucket does not exist"):
        files_of(f"s3://no-such-bucket{path}", now=NOW, timeout_s=10)


def test_credentials_that_are_not_known_are_refused(endpoint: Endpoint) -> None:
    endpoint.put("in/polls.csv")
    (found,) = listed("/in")
    endpoint.tell("reset-auth", b"0")
    try:
        with pytest.raises(InputError, match=r"not allowed to read.*AWS_ACCESS_KEY_ID") as caught:
            listed("/in")
        with pytest.raises(InputError, match="not allowed to read"):
            found.open()
    finally:
        endpoint.tell("reset-auth", b"inf")
    assert "secret" not in str(caught.value)


def test_without_credentials_the_error_says_where_they_are_looked_for(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(InputError, match=r"not allowed to read.*AWS_ACCESS_KEY_ID"):
        listed("/in")


def test_an_endpoint_that_does_not_answer_is_an_error(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(InputError, match="cannot read"):
        listed("/in")


def test_a_key_that_no_path_can_have_is_an_error_that_names_it(endpoint: Endpoint) -> None:
    endpoint.put("in//a.csv")
    with pytest.raises(InputError, match=r"in//a\.csv"):
        listed("/in")


@pytest.mark.parametrize("place", ["s3://", "s3:///in", "s3://key:secret@bucket/in", "s3://b#/in", "gs://", "az:// /x"])
def test_a_place_without_a_bucket_is_an_error_without_secrets(place: str) -> None:
    with pytest.raises(InputError, match="without credentials") as caught:
        files_of(place, now=NOW)
    assert "secret@" not in str(caught.value)


def test_an_account_that_is_not_named_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_CONNECTION_STRING"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match="Account must be specified"):
        files_of("az://container/in", now=NOW)


def test_without_obstore_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(InputError, match=r"pip install 'uphours\[cloud\]'"):
        files_of("s3://bucket/in", now=NOW)


def test_a_reader_that_takes_its_time_is_no_time_out(endpoint: Endpoint) -> None:
    body = bytes(20_000_000)
    endpoint.put("in/polls.csv", body)
    (found,) = files_of(f"s3://{BUCKET}/in", now=NOW, timeout_s=1)
    with found.open() as file:
        first = file.read(1000)
        time.sleep(1.5)
        assert len(first + file.read()) == len(body)
