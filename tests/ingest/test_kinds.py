"""Which kind of rows a file holds is told from its columns, in every format and under every name."""

from __future__ import annotations

import gzip
import io
import json

import polars as pl
import pytest
import zstandard

from tests.fixtures import tables
from tests.fixtures.tables import CONTENTS, NOW
from uphours.errors import InputError
from uphours.ingest.inputs import Kind, Limits, detected
from uphours.ingest.load import read_sources

pytestmark = pytest.mark.anywhere


def kind_of(content: bytes | str) -> Kind:
    found = detected("rows", lambda: io.BytesIO(content.encode() if isinstance(content, str) else content))
    assert found.name == "rows"
    return found.kind


def objects_of(content: str) -> list[dict[str, str]]:
    header, *rows = (line.split(",") for line in content.splitlines())
    return [dict(zip(header, row, strict=True)) for row in rows]


def parquet_of(content: str) -> bytes:
    file = io.BytesIO()
    pl.DataFrame(objects_of(content)).write_parquet(file)
    return file.getvalue()


FORMATS = {
    "csv": lambda content: content.encode(),
    "semicolons": lambda content: content.replace(",", ";").encode(),
    "tabs": lambda content: content.replace(",", "\t").encode(),
    "capitals": lambda content: content.upper().encode(),
    "byte order mark": lambda content: b"\xef\xbb\xbf" + content.replace("\n", "\r\n").encode(),
    "header alone": lambda content: content.splitlines()[0].encode(),
    "json lines": lambda content: "\n".join(map(json.dumps, objects_of(content))).encode(),
    "json array": lambda content: json.dumps(objects_of(content), indent=1).encode(),
    "parquet": parquet_of,
}


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstandard"])
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", CONTENTS)
def test_every_kind_is_told_in_every_format(kind: Kind, form: str, compress: object) -> None:
    content = FORMATS[form](CONTENTS[kind])
    assert kind_of(compress(content)) == kind  # type: ignore[operator]


@pytest.mark.parametrize("day", ["day", "dayOfWeek", "day_of_week"])
def test_the_other_names_of_a_column_are_known(day: str) -> None:
    row = {"store_id": "1", day: 0, "start_time_local": "9:00", "end_time_local": "17:00"}
    assert kind_of(",".join(row)) == kind_of(json.dumps(row)) == kind_of(json.dumps([row])) == "hours"


def test_columns_of_no_use_do_not_matter() -> None:
    assert kind_of("reason,store_id,x,status,timestamp_utc,day\n") == "polls"


def test_rows_that_are_none_before_the_first_good_one_do_not_matter() -> None:
    good = json.dumps({"store_id": 1, "timezone_str": "UTC"})
    assert kind_of('{"broken\n{}\n' + good) == "timezones"
    assert kind_of('[1, null, {"a": []}, ' + good + "]") == "timezones"


def test_an_array_longer_than_what_is_looked_at_is_told_from_its_beginning() -> None:
    row = json.dumps({"store_id": "é", "timezone_str": "UTC"}, ensure_ascii=False)
    assert kind_of("[" + ",".join([row] * 40_000) + "]") == "timezones"


@pytest.mark.parametrize(
    "content",
    ["a,b\n1,2\n", "store_id,status\n", '{"store_id": 1}', "[]", "[1]", "[{",
     "\n", "x,;|\t" * 500_000, parquet_of("a,b\n1,2")],
)  # fmt: skip
def test_a_file_of_no_kind_is_a_mistake_that_lists_what_each_kind_needs(content: bytes | str) -> None:
    with pytest.raises(InputError) as caught:
        kind_of(content)
    for words in (
        "rows is neither polls nor hours nor timezones",
        "polls need store_id, status, timestamp_utc",
        "hours need store_id, day or dayOfWeek or day_of_week",
        "timezones need store_id, timezone_str",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "content",
    ["store_id,status,timestamp_utc,timezone_str\n",
     '{"store_id": 1, "status": "active", "timestamp_utc": "x", "timezone_str": "UTC"}'],
)  # fmt: skip
def test_a_file_of_several_kinds_is_a_mistake_that_names_them(content: str) -> None:
    with pytest.raises(InputError, match=r"rows may be any of polls, timezones: .*a file holds one kind"):
        kind_of(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfea", b"PAR1", b"\x1f\x8b\x08", gzip.compress(b"", mtime=0), b"x" * 3_000_000],
    ids=["nothing", "no UTF-8", "the start of Parquet", "the start of gzip", "nothing in gzip", "no end of a line"],
)
def test_a_file_that_cannot_be_read_is_a_mistake_that_names_it(content: bytes) -> None:
    with pytest.raises(InputError, match="rows"):
        kind_of(content)


class Trickle(io.BytesIO):
    """Bytes that come one by one, as they may from a network."""

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return super().readinto(buffer[:1])


@pytest.mark.parametrize("compress", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstandard"])
def test_a_source_is_read_through_what_opens_it_however_slowly(compress: object) -> None:
    content = compress(parquet_of(tables.POLLS))  # type: ignore[operator]
    source = detected("far away", lambda: Trickle(content))
    loaded = read_sources([source], now=NOW)
    assert (source.kind, loaded.files[0].name, loaded.files[0].accepted) == ("polls", "far away", 3)
    assert loaded.files[0].bytes == len(content)


def test_what_was_opened_is_closed() -> None:
    opened: list[io.BytesIO] = []

    def open_() -> io.BytesIO:
        opened.append(io.BytesIO(tables.HOURS.encode()))
        return opened[-1]

    source = detected("rows", open_)
    read_sources([source], now=NOW)
    assert [file.closed for file in opened] == [True, True]


def test_a_bomb_is_not_expanded_to_tell_its_kind() -> None:
    bomb = gzip.compress(b"PAR1" + bytes(50 << 20))
    with pytest.raises(InputError, match="rows decompresses to more than 1 MiB"):
        detected("rows", lambda: io.BytesIO(bomb), limits=Limits(decompressed_bytes=1 << 20))
