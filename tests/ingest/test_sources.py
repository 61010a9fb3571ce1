"""Where rows come from: compressed files, many files, globs, standard input; what is damaged changes nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard

from tests.fixtures import tables
from tests.fixtures.tables import NOW, POLLS, content_of, polls_of, read, write
from uphours.database.database import connect
from uphours.errors import InputError
from uphours.ingest.inputs import Kind, sources
from uphours.ingest.load import load_files, read_files

pytestmark = pytest.mark.anywhere

MANY = tables.table(
    "polls",
    *(
        f"{store * 7_919_000_003 % 1_000_000_007},{('active', 'inactive')[store % 2]},"
        f"2023-01-{1 + store % 28:02} 10:{store % 60:02}:00.{store * 104_729 % 1_000_000:06} UTC"
        for store in range(20_000)
    ),
).encode()
GZIP = gzip.compress(MANY, mtime=0)
ZSTANDARD = zstandard.compress(MANY)
ZSTANDARD_STREAM = zstandard.ZstdCompressor().compressobj().compress(MANY) + b""  # begun, never finished


def flipped(content: bytes, place: int) -> bytes:
    """Return the content with one byte turned over."""
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]


def test_the_content_says_how_it_is_compressed(tmp_path: Path) -> None:
    contents = {
        "gzip": GZIP,
        "zstandard": ZSTANDARD,
        "two gzip members": gzip.compress(MANY[:50_000]) + gzip.compress(MANY[50_000:]),
        "two zstandard frames": zstandard.compress(MANY[:50_000]) + zstandard.compress(MANY[50_000:]),
        "checksum": zstandard.ZstdCompressor(write_checksum=True, level=19).compress(MANY),
        "padded gzip": GZIP + b"\x00" * 512,
    }
    plain = content_of(read(tmp_path, "polls", MANY))
    for case, content in contents.items():
        loaded = read(tmp_path, "polls", content)
        assert content_of(loaded) == plain, case
        (file,) = loaded.files
        assert (file.rows_read, file.bytes) == (20_000, len(content)), case
        assert file.sha256 == hashlib.sha256(content).hexdigest(), case


def test_the_name_does_not_say_how_it_is_compressed(tmp_path: Path) -> None:
    some = b"".join(MANY.splitlines(keepends=True)[:1_000])
    packed = (gzip.compress, zstandard.compress)
    contents = [
        *(pack(some) for pack in packed),
        *(pack(some[:20_000]) + pack(some[20_000:]) for pack in packed),
        zstandard.ZstdCompressor(write_checksum=True, level=19).compress(some),
        gzip.compress(some) + b"\x00" * 512,
    ]
    plain = content_of(read(tmp_path, "polls", some))
    for name in ("polls.csv", "polls.gz", "polls.zst", "polls", "polls.parquet", "polls.json"):
        for place, content in enumerate(contents):
            assert content_of(read(tmp_path, "polls", content, name=name)) == plain, (name, place)


def test_compressed_json_lines_are_read(tmp_path: Path) -> None:
    line = b'{"store_id": 5, "status": "active", "timestamp_utc": "2023-01-24 10:00:00 UTC"}\n'
    for content in (gzip.compress(line), zstandard.compress(line)):
        assert polls_of(read(tmp_path, "polls", content)) == [("5", "active", "2023-01-24 10:00:00 UTC")]


DAMAGED = {
    "gzip cut in half": GZIP[: len(GZIP) // 2],
    "gzip without its last byte": GZIP[:-1],
    "gzip without its trailer": GZIP[:-8],
    "gzip cut in its header": GZIP[:5],
    "gzip with a wrong checksum": flipped(GZIP, len(GZIP) - 6),
    "gzip with a broken block": flipped(GZIP, 12),
    "gzip with a broken middle": flipped(GZIP, len(GZIP) // 2),
    "gzip with something after it": GZIP + b"something",
    "zstandard cut in half": ZSTANDARD[: len(ZSTANDARD) // 2],
    "zstandard without its last byte": ZSTANDARD[:-1],
    "zstandard cut in its header": ZSTANDARD[:5],
    "zstandard never finished": ZSTANDARD_STREAM,
    "zstandard with a broken middle": flipped(
        zstandard.ZstdCompressor(write_checksum=True).compress(MANY), len(ZSTANDARD) // 2
    ),
    "zstandard with something after it": ZSTANDARD + b"something",
    "zstandard with a second frame cut": ZSTANDARD + ZSTANDARD[: len(ZSTANDARD) // 2],
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_said_to_be_damaged_and_changes_nothing(tmp_path: Path, damage: str) -> None:
    database = connect(f"sqlite:///{tmp_path / 'store.db'}")
    tables.load(database, tmp_path, polls=POLLS)
    before = (tmp_path / "store.db").read_bytes()
    good = write(tmp_path / "good.csv", tables.table("polls", "new,active,2023-01-24 10:00:00 UTC"))
    bad = write(tmp_path / "bad.csv", DAMAGED[damage])
    with pytest.raises(InputError, match=r"bad\.csv \(polls\)"):
        load_files(database, {"polls": [good, bad]}, now=NOW)
    assert (tmp_path / "store.db").read_bytes() == before


def test_many_files_of_many_kinds_are_one_load(tmp_path: Path) -> None:
    names: dict[Kind, list[str]] = {"polls": [], "hours": [], "timezones": []}
    for day in range(3):
        row = f"{day},active,2023-01-2{day} 10:00:00 UTC"
        names["polls"].append(write(tmp_path / f"polls{day}.csv", tables.table("polls", row)))
    names["hours"].append(write(tmp_path / "hours.csv", tables.HOURS))
    names["timezones"].append(write(tmp_path / "zones.csv", tables.TIMEZONES))
    loaded = read_files(names, now=NOW)
    assert [(file.kind, file.name) for file in loaded.files] == [
        (kind, name) for kind, some in names.items() for name in some
    ]
    assert [row[0] for row in polls_of(loaded)] == ["0", "1", "2"]


def test_a_glob_names_its_files_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt", "10.csv"):
        write(tmp_path / name, POLLS)
    found = sources("polls", [f"{tmp_path}/*.csv"])
    assert [Path(source.name).name for source in found] == ["10.csv", "a.csv", "b.csv"]


def test_a_glob_may_reach_into_folders(tmp_path: Path) -> None:
    (tmp_path / "2023" / "01").mkdir(parents=True)
    write(tmp_path / "2023" / "01" / "a.csv", POLLS)
    write(tmp_path / "b.csv", POLLS)
    found = sources("polls", [f"{tmp_path}/**/*.csv"])
    assert sorted(Path(source.name).name for source in found) == ["a.csv", "b.csv"]


def test_a_glob_that_matches_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no file matches .*\*\.csv.* \(polls\)"):
        sources("polls", [f"{tmp_path}/*.csv"])


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    name = write(tmp_path / "polls.csv", POLLS)
    loaded = read_files({"polls": [name, name, f"{tmp_path}/*.csv"]}, now=NOW)
    assert len(loaded.files) == 1


def test_a_file_whose_name_looks_like_a_glob_is_itself(tmp_path: Path) -> None:
    name = write(tmp_path / "polls[1].csv", POLLS)
    write(tmp_path / "polls1.csv", tables.table("polls", "9,active,2023-01-24 10:00:00 UTC"))
    assert read_files({"polls": [name]}, now=NOW).store_ids == ["1", "2"]


def test_a_missing_file_and_a_folder_are_mistakes_that_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no file .*nowhere\.csv \(hours\)"):
        sources("hours", [f"{tmp_path}/nowhere.csv"])
    with pytest.raises(InputError, match=r"is a folder; name files \(hours\), or a glob such as .*/\*\.csv"):
        sources("hours", [f"{tmp_path}/"])


def test_nothing_named_is_a_mistake() -> None:
    with pytest.raises(InputError, match="nothing to load"):
        read_files({}, now=NOW)


def test_a_bad_file_is_found_before_anything_is_read(tmp_path: Path) -> None:
    told: list[str] = []
    names: dict[Kind, list[str]] = {
        "polls": [write(tmp_path / "polls.csv", POLLS)],
        "hours": [str(tmp_path / "nowhere.csv")],
    }
    with pytest.raises(InputError, match="nowhere"):
        read_files(names, now=NOW, progress=lambda name, _done, _size: told.append(name))
    assert not told


@pytest.mark.parametrize("content", [MANY, GZIP, ZSTANDARD], ids=["plain", "gzip", "zstandard"])
def test_standard_input_is_read_like_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
    loaded = read_files({"polls": ["-"]}, now=NOW)
    assert content_of(loaded) == content_of(read(tmp_path, "polls", MANY))
    assert loaded.files[0].name == "-"


def test_standard_input_can_be_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    with pytest.raises(InputError, match=r"standard input .* twice"):
        read_files({"polls": ["-"], "hours": ["-"]}, now=NOW)


def test_a_pipe_that_trickles_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)

    def trickle() -> None:
        with pipe.open("wb", buffering=0) as file:
            for start in range(0, 4096, 3):
                file.write(GZIP[start : start + 3])
            file.write(GZIP[4098:])

    writer = threading.Thread(target=trickle)
    writer.start()
    loaded = read_files({"polls": [str(pipe)]}, now=NOW)
    writer.join()
    assert content_of(loaded) == content_of(read(tmp_path, "polls", MANY))


def test_progress_goes_up_to_the_size_of_the_file(tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    name = write(tmp_path / "polls.csv.gz", GZIP)
    read_files({"polls": [name]}, now=NOW, progress=lambda *position: told.append(position))
    assert told == sorted(told, key=lambda position: position[1])
    assert told[-1] == (name, len(GZIP), len(GZIP))
