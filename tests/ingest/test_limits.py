"""Limits: a file that holds more than allowed is refused early, whatever it claims and however it is packed."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import tables
from tests.fixtures.tables import NOW, write
from uphours.errors import InputError
from uphours.ingest.inputs import Limits, Source
from uphours.ingest.load import read_files, read_sources
from uphours.ingest.readers.parquet_footer import footer
from uphours.load_record import Loaded

pytestmark = pytest.mark.anywhere

MIB = 1 << 20
ROW = "1,active,2023-01-24 10:00:00 UTC\n"
HEADER = tables.HEADERS["polls"] + "\n"


def read(content: bytes | str, limits: Limits) -> Loaded:
    content = content.encode() if isinstance(content, str) else content
    return read_sources(
        [Source("polls", "rows", lambda: io.BytesIO(content))],
        now=NOW,
        limits=limits,
        allow_unusable=True,
    )


def parquet(rows: int) -> bytes:
    file = io.BytesIO()
    table = pl.DataFrame({"store_id": ["1"], "status": ["active"], "timestamp_utc": ["2023-01-24 10:00:00 UTC"]})
    pl.concat([table] * rows).write_parquet(file, row_group_size=max(rows // 3, 1), compression="zstd")
    return file.getvalue()


def packed(start: bytes, filler: bytes, compressor: Any) -> bytes:
    """Return 100 MiB of the same byte behind a start, packed."""
    block = filler * MIB
    return b"".join([compressor.compress(start), *(compressor.compress(block) for _ in range(100)), compressor.flush()])


def gzip_compressor() -> Any:
    return zlib.compressobj(wbits=31)


BOMBS = {
    "gzip": (b"", b"\0", gzip_compressor),
    "zstandard": (b"", b"\0", zstandard.ZstdCompressor().compressobj),
    "gzip behind a header": (HEADER.encode(), b"\0", gzip_compressor),
    "gzip that claims to be Parquet": (b"PAR1", b"\0", gzip_compressor),
    "gzip that claims to be an array": (b"[", b" ", gzip_compressor),
    "gzip that claims to be JSON Lines": (b"{", b" ", gzip_compressor),
    "gzip of empty lines": (HEADER.encode(), b"\n", gzip_compressor),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_and_not_expanded(bomb: str) -> None:
    start, filler, compressor = BOMBS[bomb]
    content = packed(start, filler, compressor())
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"rows \(polls\) decompresses to more than 2 MiB; valid are"):
            read(content, Limits(decompressed_bytes=2 * MIB))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60 * MIB


def whole(content: bytes) -> bytes:
    return content


@pytest.mark.parametrize("pack", [whole, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstandard"])
def test_a_file_may_be_as_large_as_the_limit_and_not_a_byte_larger(pack: Callable[[bytes], bytes]) -> None:
    content = (HEADER + ROW * 100).encode()
    assert read(pack(content), Limits(decompressed_bytes=len(content))).files[0].accepted == 100
    with pytest.raises(InputError, match="decompresses to more than"):
        read(pack(content), Limits(decompressed_bytes=len(content) - 1))


FORMS = {
    "csv": (HEADER + "\n" + ROW * 10).encode(),
    "csv of bad rows": (HEADER + "x\n" * 10).encode(),
    "json lines": b"{}\n" * 10,
    "json array": json.dumps([{}] * 10).encode(),
    "parquet": parquet(10),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_may_have_as_many_rows_as_allowed_and_not_one_more(form: str) -> None:
    assert read(FORMS[form], Limits(rows=10)).files[0].rows_read == 10
    with pytest.raises(InputError, match=r"rows \(polls\) has more than 9 rows; valid are files of up to that many"):
        read(FORMS[form], Limits(rows=9))


def test_limits_are_for_each_file_alone_and_for_files_by_name_too(tmp_path: Path) -> None:
    names = [write(tmp_path / name, HEADER + ROW * 10) for name in ("a.csv", "b.csv")]
    loaded = read_files({"polls": names}, now=NOW, limits=Limits(rows=10))
    assert [file.accepted for file in loaded.files] == [10, 10]
    with pytest.raises(InputError, match=r"a\.csv"):
        read_files({"polls": names}, now=NOW, limits=Limits(rows=5))


def test_a_line_without_end_is_not_gathered_beyond_the_limit() -> None:
    with pytest.raises(InputError, match="decompresses to more than 1 MiB"):
        read(HEADER + "x" * (3 * MIB), Limits(decompressed_bytes=MIB))


def test_a_parquet_file_says_how_large_it_is() -> None:
    content = parquet(100_000)
    said = footer(content)
    assert said.rows == 100_000
    assert said.uncompressed_bytes > 0


def roomy_parquet(rows: int) -> bytes:
    """Return a small file of large columns."""
    file = io.BytesIO()
    columns = {name: ["x" * 1000] * rows for name in ("store_id", "status", "timestamp_utc")}
    pl.DataFrame(columns).write_parquet(file, use_pyarrow=True, pyarrow_options={"use_dictionary": False})
    return file.getvalue()


def test_a_parquet_file_that_would_become_too_large_is_refused_by_what_it_says() -> None:
    content = roomy_parquet(10_000)
    assert footer(content).uncompressed_bytes > 30_000_000 > 10 * len(content)
    with pytest.raises(InputError, match=r"rows \(polls\) decompresses to more than 10 MiB"):
        read(content, Limits(decompressed_bytes=10 * MIB))


@pytest.mark.parametrize("limits", [Limits(), Limits(decompressed_bytes=64 * MIB, rows=10_000)])
def test_a_long_text_of_a_dictionary_is_not_written_anew_in_each_of_its_rows(limits: Limits) -> None:
    rows, text = 300, "x" * 4 * MIB
    file = io.BytesIO()
    same = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), [text])
    columns = {"store_id": same, "status": ["active"] * rows, "timestamp_utc": ["2023-01-24 10:00:00 UTC"] * rows}
    pq.write_table(pa.table(columns), file)
    loaded = read(file.getvalue(), limits)
    assert len(loaded.quarantine) == rows
    for row in loaded.quarantine:
        # What was cut off before it was written down, and not after it.
        assert 200 < len(row.raw) < 1000


PARQUET = parquet(10)


@given(st.lists(st.tuples(st.integers(1, 600), st.integers(0, 255)), min_size=1, max_size=5), st.integers(0, 20))
def test_a_damaged_footer_never_ends_in_a_crash(damage: list[tuple[int, int]], cut: int) -> None:
    content = bytearray(PARQUET)
    for place, value in damage:
        content[-min(place, len(content))] = value
    try:
        read(b"PAR1" + bytes(content[4 : len(content) - cut]), Limits(rows=1_000, decompressed_bytes=MIB))
    except InputError as error:
        assert "rows" in str(error)  # noqa: PT017 # to raise is as good as to answer


@given(st.binary(max_size=200))
def test_any_footer_is_read_or_refused(metadata: bytes) -> None:
    content = b"PAR1" + metadata + len(metadata).to_bytes(4, "little") + b"PAR1"
    try:
        said = footer(content)
    except ValueError as error:
        assert "footer is damaged" in str(error)  # noqa: PT017 # to raise is as good as to answer
    else:
        assert min(said.rows, said.uncompressed_bytes) >= 0
