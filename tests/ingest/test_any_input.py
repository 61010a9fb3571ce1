"""Whatever the bytes are: an `InputError` or an answer, and every line that is not blank is in exactly one place."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import tables
from tests.fixtures.tables import NOW, content_of, lines_of, read
from uphours.errors import InputError
from uphours.ingest import validate
from uphours.ingest.inputs import Kind, Source, detected
from uphours.ingest.load import add_batch, read_rows
from uphours.ingest.memory_fleet import memory_fleet
from uphours.ingest.quarantine import Quarantine
from uphours.ingest.readers import batch, blocks, csv_lines, json_rows
from uphours.ingest.readers import batches as reading
from uphours.ingest.validate import Accepted
from uphours.load_record import Loaded

KINDS = st.sampled_from(["polls", "hours", "timezones"])
#: Pieces of which most that can go wrong is made.
PIECES = st.sampled_from(
    [
        b"1", b"8419537941919820732", b"8.4E+18", b"active", b"inactive", b"activ", b"=1+1", b"0", b"6", b"7",
        b"2023-01-24 10:00:00 UTC", b"2023-01-24T10:00:00.5+05:30", b"1999-01-01 00:00:00", b"09:00", b"24:00",
        b"23:59:59", b"America/Chicago", b"../x", b",", b",", b",", b";", b"\t", b'"', b'""', b" ", b"\r", b"\x00",
        b"\xff", b"\xc3\xa9", b"\xe2\x80\xa8", b"{", b"}", b"[", b":", b'{"store_id":', b"\\", b"\x0b", b"|",
        b"\xef\xbb\xbf",
    ]
)  # fmt: skip
LINES = st.lists(PIECES, max_size=9).map(b"".join)
BODIES = st.builds(
    lambda lines, ending: ending.join(lines),
    st.lists(LINES, max_size=12),
    st.sampled_from([b"\n", b"\r\n", b"\n\n"]),
)
HEADERS: dict[Kind, bytes] = {kind: header.encode() + b"\n" for kind, header in tables.HEADERS.items()}
FIELD_TEXTS = st.none() | st.sampled_from(["", " ", "1", " 1", "2 ", "8.4E+18", "a\tb", "x" * 256, "é"])
STATUS_TEXTS = st.none() | st.sampled_from(["", "active", " inactive ", "Active", "y" * 70])
TIME_TEXTS = st.none() | st.sampled_from(
    ["", "2023-01-24 10:00:00 UTC", "2023-01-24T10:00:00.5+05:30", "2023-01-24 10:00", "1999-01-01 00:00:00 UTC",
     "2200-01-01T00:00:00Z", "2023-02-02 00:00:01 UTC", "2023-02-30 00:00:00 UTC", " 2023-01-24T10:00:00Z ", "soon"]
)  # fmt: skip
OBJECT = b'{"store_id": 1, "status": "active", "timestamp_utc": "2023-01-24 10:00:00 UTC"}\n'


def read_bytes(kind: Kind, content: bytes) -> Loaded:
    with TemporaryDirectory() as folder:
        return read(Path(folder), kind, content)


def is_blank(line: bytes) -> bool:
    return not line.strip()


def assert_every_line_is_in_one_place(loaded: Loaded, content: bytes, first_line: int) -> None:
    """Check the counts, and that what was set aside is what stands on its line."""
    (file,) = loaded.files
    lines = content.split(b"\n")
    rows = [line for line in lines[first_line - 1 :] if not is_blank(line)]
    assert file.rows_read == file.accepted + file.quarantined == len(rows)
    assert file.quarantined == len(loaded.quarantine)
    numbers = [row.line for row in loaded.quarantine]
    assert numbers == sorted(set(numbers))
    assert [row.raw for row in loaded.quarantine] == [lines[line - 1].removesuffix(b"\r") for line in numbers]
    assert all(row.reason for row in loaded.quarantine)


@given(KINDS, BODIES)
def test_every_line_of_a_csv_file_is_accepted_or_set_aside(kind: Kind, body: bytes) -> None:
    content = HEADERS[kind] + body
    assert_every_line_is_in_one_place(read_bytes(kind, content), content, first_line=2)


@given(KINDS, BODIES)
def test_every_line_of_a_json_lines_file_is_accepted_or_set_aside(kind: Kind, body: bytes) -> None:
    content = OBJECT + body
    assert_every_line_is_in_one_place(read_bytes(kind, content), content, first_line=1)


def attempt(kind: Kind, content: bytes) -> None:
    """Read what may be no table at all: nothing but an `InputError` may be raised."""
    try:
        loaded = read_bytes(kind, content)
    except InputError as error:
        assert len(str(error)) < 3_000  # noqa: PT017 # to raise is as good as to answer
        return
    (file,) = loaded.files
    assert file.rows_read == file.accepted + file.quarantined
    assert file.quarantined == len(loaded.quarantine)


@given(KINDS, st.binary(max_size=2_000))
def test_bytes_of_all_kinds_never_end_in_a_crash(kind: Kind, content: bytes) -> None:
    attempt(kind, content)


@given(KINDS, BODIES)
def test_pieces_of_tables_never_end_in_a_crash(kind: Kind, content: bytes) -> None:
    attempt(kind, content)


PREFIXES = [
    b"\x1f\x8b",
    b"\x1f\x8b\x08\x00",
    b"\x28\xb5\x2f\xfd",
    b"PAR1",
    b"\xff\xfe",
    b"{",
    b"\xef\xbb\xbf",
    b"[",
    b"\n",
]


@given(KINDS, st.sampled_from(PREFIXES), st.binary(max_size=200))
def test_bytes_behind_a_familiar_beginning_never_end_in_a_crash(kind: Kind, prefix: bytes, content: bytes) -> None:
    attempt(kind, prefix + content)


def _parquet() -> bytes:
    file = io.BytesIO()
    pl.read_csv(io.StringIO(tables.POLLS), infer_schema=False).write_parquet(file)
    return file.getvalue()


WHOLE = {
    "plain": tables.POLLS.encode(),
    "gzip": gzip.compress(tables.POLLS.encode(), mtime=0),
    "zstandard": zstandard.ZstdCompressor(write_checksum=True).compress(tables.POLLS.encode()),
    "json lines": OBJECT * 3,
    "parquet": _parquet(),
}


@pytest.mark.parametrize("form", WHOLE)
@given(
    kind=st.just("polls"),
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=4),
    kept=st.floats(0.1, 1),
)
def test_a_damaged_file_never_ends_in_a_crash(
    form: str, kind: Kind, damage: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(WHOLE[form])
    for place, value in damage:
        content[min(int(place * len(content)), len(content) - 1)] = value
    attempt(kind, bytes(content[: int(kept * len(content))]))


# --- JSON arrays and values ------------------------------------------------------------------------------

SURROGATES = st.characters(categories=["Cs"])
KEYS = st.sampled_from(["store_id", "status", "timestamp_utc", "day", "dayOfWeek", "timezone_str", "start_time_local"])
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(),
    st.text(st.one_of(st.characters(), SURROGATES), max_size=4),
    st.sampled_from(["active", "inactive", "2023-01-24 10:00:00 UTC", "2023-01-24T10:00:00Z", "Asia/Tokyo", "09:00"]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4))
ELEMENTS = st.lists(st.dictionaries(KEYS, SCALARS, max_size=4) | VALUES, max_size=8)


@given(KINDS, ELEMENTS, st.sampled_from([None, 1]), st.booleans())
def test_every_element_of_an_array_is_accepted_or_set_aside(
    kind: Kind, values: list[object], indent: int | None, ascii_only: bool
) -> None:
    content = json.dumps(values, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    loaded = read_bytes(kind, content)
    (file,) = loaded.files
    assert file.rows_read == file.accepted + file.quarantined == len(values)
    assert file.quarantined == len(loaded.quarantine)
    lines = [row.line for row in loaded.quarantine]
    assert lines == sorted(set(lines))
    assert set(lines) <= set(range(1, len(values) + 1))
    given = [json.dumps(values[line - 1]) for line in lines]
    assert [json.dumps(json.loads(row.raw)) for row in loaded.quarantine] == given


@given(KINDS, st.lists(PIECES | st.sampled_from([b"[", b"]", b",", b"{", b"}", b"1"]), max_size=20).map(b"".join))
def test_pieces_of_an_array_never_end_in_a_crash(kind: Kind, content: bytes) -> None:
    attempt(kind, b"[" + content)
    attempt(kind, b"[" + OBJECT + b"," + content + b"]")


@given(ELEMENTS)
def test_every_value_is_accepted_or_set_aside(values: list[object]) -> None:
    parsed = json.loads(json.dumps(values), parse_int=str)
    loaded = read_rows(parsed, name="rows", now=NOW)
    (file,) = loaded.files
    assert file.rows_read == file.accepted + file.quarantined == len(values)
    assert (len(loaded.times), len(loaded.quarantine)) == (file.accepted, file.quarantined)


@given(st.lists(st.tuples(FIELD_TEXTS, STATUS_TEXTS, TIME_TEXTS), min_size=1, max_size=6))
def test_few_polls_and_many_are_judged_alike(rows: list[tuple[str | None, ...]]) -> None:
    values = [dict(zip(("store_id", "status", "timestamp_utc"), row, strict=True)) for row in rows]
    judged: list[tuple[object, ...]] = []
    for few in (1_000, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(validate, "_FEW", few)
            loaded = read_rows(values, name="rows", now=NOW)
        ids = [loaded.store_ids[store] for store in loaded.stores.tolist()]
        judged.append((loaded.quarantine, ids, loaded.times.tolist(), loaded.statuses.tolist()))
    assert judged[0] == judged[1]


@given(st.binary(max_size=300), st.sampled_from([b"", b"[", b"{", b"PAR1", b"\x1f\x8b", b"store_id,", OBJECT]))
def test_a_kind_is_told_or_refused_whatever_the_bytes_are(content: bytes, start: bytes) -> None:
    try:
        detected("rows", lambda: io.BytesIO(start + content))
    except InputError as error:
        assert len(str(error)) < 3_000  # noqa: PT017 # to raise is as good as to answer


# --- the two ways to read CSV ----------------------------------------------------------------------------

#: Text of a field, as tables hold it; a lone carriage return is left out: it is a line end to some.
FIELDS = st.one_of(
    st.sampled_from(["", "1", "active", "2023-01-24 10:00:00 UTC", "a,b", 'say "x"', " x ", "é🏪", "a;b", "'", "\t"]),
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=6),
)
ROWS = st.lists(st.lists(FIELDS, min_size=3, max_size=3), max_size=8)
#: Mild harm: pieces put into a file at random places.
HARM = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([b",", b'"', b'""', b"\n", b" ", b"\r\n", b"\xff", b"x"])), max_size=4
)


def as_csv(rows: list[list[str]], delimiter: str, ending: str) -> bytes:
    def quoted(field: str) -> str:
        needs = any(sign in field for sign in (delimiter, '"'))
        return '"' + field.replace('"', '""') + '"' if needs else field

    return "".join(delimiter.join(map(quoted, row)) + ending for row in rows).encode()


Reader = Callable[[bytes, int, str, int, dict[str, int]], batch.Batch]
POSITIONS = {"store_id": 0, "status": 1, "timestamp_utc": 2}


def plain(read_batch: Reader, block: bytes, delimiter: str) -> list[tuple[object, ...]]:
    """Return the rows of a batch; an empty field and a missing one say the same, and those of no row say nothing."""
    batch = read_batch(block, 2, delimiter, 3, POSITIONS)
    rows = batch.rows.select("line", "problem", *POSITIONS).rows()
    return [row[:2] if row[1] else tuple(None if value == "" else value for value in row) for row in rows]


def assert_both_ways_agree(block: bytes, delimiter: str, *, unless: bytes | None = None) -> None:
    """Compare all rows but those whose line has ``unless`` in it."""
    lines = block.split(b"\n")
    fast, by_line = (
        [row for row in plain(read_batch, block, delimiter) if not (unless and unless in lines[int(str(row[0])) - 2])]
        for read_batch in (csv_lines.csv_batch, csv_lines.csv_batch_by_line)
    )
    assert fast == by_line


@given(ROWS, st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(["\n", "\r\n"]))
def test_the_fast_and_the_careful_reader_agree_on_good_files(
    rows: list[list[str]], delimiter: str, ending: str
) -> None:
    block = as_csv(rows, delimiter, ending)
    assert_both_ways_agree(block, delimiter)
    found = plain(csv_lines.csv_batch_by_line, block, delimiter)
    lines = block.decode().split("\n")
    expected = [
        (line, None, *(field or None for field in row))
        for line, row in enumerate(rows, 2)
        if lines[line - 2].strip(" \t\r\x0b\x0c")
    ]
    assert found == expected


@given(ROWS, st.sampled_from(["\n", "\r\n"]), HARM)
def test_the_fast_and_the_careful_reader_agree_on_damaged_files(
    rows: list[list[str]], ending: str, harm: list[tuple[float, bytes]]
) -> None:
    block = as_csv(rows, ",", ending)
    for place, piece in harm:
        at = int(place * len(block))
        block = block[:at] + piece + block[at:]
    if b"\r" in block.replace(b"\r\n", b""):  # a pair of line ends torn apart
        block = block.replace(b"\r", b"")
    # Rows with quotes out of place are another matter: see test_csv.py.
    assert_both_ways_agree(block, ",", unless=b'"')


@given(BODIES)
def test_the_fast_and_the_careful_reader_accept_the_same_rows_of_any_file(body: bytes) -> None:
    judged = []
    for read_batch in (csv_lines.csv_batch, csv_lines.csv_batch_by_line):
        accepted, quarantine = Accepted(), Quarantine()
        batch = read_batch(body, 2, ",", 3, POSITIONS)
        good = add_batch("polls", batch, 0, accepted, quarantine, NOW)
        judged.append((good, accepted.store_ids.texts, [(row.line, row.raw) for row in quarantine.rows]))
    assert judged[0][0] == judged[1][0]
    assert judged[0][2] == judged[1][2]


# --- blocks ----------------------------------------------------------------------------------------------


@pytest.fixture(params=[1, 2, 3, 7, 40, 64])
def small_block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(blocks, "BLOCK", request.param)
    monkeypatch.setattr(json_rows, "ROWS_AT_ONCE", request.param)
    return int(request.param)


def test_where_a_block_ends_does_not_matter(tmp_path: Path, small_block: int) -> None:
    files = {
        "polls": b"\n".join(
            [
                b"\xef\xbb\xbfstore_id,status,timestamp_utc\r",
                b"1,activ,x\r",
                b"\r",
                b'"2,active,x',
                b"3,active,2023-01-24 10:00:00 UTC",
                b"",
                b'"a,b",active,2023-01-24 10:00:00 UTC\r',
                b"4,active",
                b"\xff",
                b"5,inactive,2023-01-24 10:00:00 UTC",
            ]
        ),
        "hours": tables.HOURS.encode() + b"\n\n9,9,9,9\n",
        "timezones": tables.TIMEZONES.encode() + b"9,\n",
    }
    kinds: tuple[Kind, ...] = ("polls", "hours", "timezones")
    for kind in kinds:
        in_parts = read(tmp_path, kind, files[kind])
        with pytest.MonkeyPatch.context() as whole:
            whole.setattr(blocks, "BLOCK", 1 << 20)
            at_once = read(tmp_path, kind, files[kind])
        assert content_of(in_parts) == content_of(at_once)
        assert lines_of(in_parts) == lines_of(at_once)
        assert in_parts.files == at_once.files
        assert_every_line_is_in_one_place(in_parts, files[kind], first_line=2)


def test_where_a_block_of_json_lines_ends_does_not_matter(tmp_path: Path, small_block: int) -> None:
    content = b"\xef\xbb\xbf" + OBJECT * 2 + b"\n{}\r\n" + OBJECT + b"[1]\n\n\nx"
    loaded = read(tmp_path, "polls", content)
    assert lines_of(loaded) == [(4, b"{}"), (6, b"[1]"), (9, b"x")]
    assert loaded.files[0].accepted == 3


@given(BODIES, st.integers(1, 50))
def test_the_size_of_a_block_never_matters(body: bytes, size: int) -> None:
    content = HEADERS["polls"] + body
    source = Source("polls", "rows")

    def found(block: int) -> list[tuple[object, ...]]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blocks, "BLOCK", block)
            batches = list(reading.batches(source, io.BufferedReader(io.BytesIO(content))))
        accepted, quarantine = Accepted(), Quarantine()
        good = sum(add_batch("polls", batch, 0, accepted, quarantine, NOW) for batch in batches)
        return [(good,), *((row.line, row.raw) for row in quarantine.rows)]

    assert found(size) == found(1 << 20)


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 64)
    monkeypatch.setattr(blocks, "LONGEST_LINE", 1000)
    with pytest.raises(InputError, match=r"rows \(polls\) has a line of over"):
        read(tmp_path, "polls", HEADERS["polls"] + b"x" * 5000)


@given(st.permutations(tables.POLLS.splitlines()[1:] * 2))
def test_the_order_and_the_repetition_of_rows_never_matter(rows: list[str]) -> None:
    fleets = [
        memory_fleet(read_bytes("polls", tables.table("polls", *some).encode()))
        for some in (rows, tables.POLLS.splitlines()[1:])
    ]
    given_and_plain = [sorted(tables.observations_of(fleet, 0, NOW, NOW).items()) for fleet in fleets]
    assert given_and_plain[0] == given_and_plain[1]
