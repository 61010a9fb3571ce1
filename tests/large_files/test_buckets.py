"""Reports from object stores and into them, and exports: the same bytes as on this machine."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from tests.cli.conftest import FILES, Run, files, run
from tests.fixtures import tables
from tests.fixtures.endpoints import BUCKET, Endpoint, endpoint, running
from tests.fixtures.streams import Names, held, streamed
from tests.fixtures.tables import NOW
from uphours.database.database import connect
from uphours.errors import InputError
from uphours.ingest.sources.resolve import named, put
from uphours.large_files.parts import pieces_of
from uphours.reports.export import export
from uphours.schema import HOUR_US

__all__ = ["endpoint", "files", "run", "running"]  # fixtures

PLACE = f"s3://{BUCKET}"
SCHEMA = {"store_id": pl.String, "timestamp_utc": pl.Int64, "status": pl.String}


def written(folder: Path, endpoint: Endpoint, count: int = 3) -> list[str]:
    """Put files of polls both into a folder and into the bucket; return those in the folder."""
    rows = [(f"s{n % 40}", NOW - n * HOUR_US // 40, "active" if n % 7 else "inactive") for n in range(9_000)]
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    table = table.with_columns(pl.col("timestamp_utc").cast(pl.Datetime("us", "UTC")), more=pl.lit("x" * 50))
    names = []
    for number in range(count):
        path = folder / f"{number}.parquet"
        table[list(range(number, table.height, count))].write_parquet(path, row_group_size=500)
        endpoint.put(f"polls/{path.name}", path.read_bytes())
        names.append(str(path))
    return names


@pytest.mark.parametrize(
    ("place", "rows"),
    [
        ("polls", 1_200), ("polls", 4_000), ("polls", 100_000), ("polls/*.parquet", 4_000),
        ("**/[0-9].parquet", 100_000),
    ],
)  # fmt: skip
def test_a_report_of_a_bucket_is_that_of_the_files_in_it(
    endpoint: Endpoint, tmp_path: Path, place: str, rows: int
) -> None:
    names = written(tmp_path, endpoint)
    temp = tmp_path / "temp"
    temp.mkdir()
    made = streamed({"polls": [f"{PLACE}/{place}"]}, folder=temp, rows=rows)
    assert made.content == held({"polls": names}).content
    assert not list(temp.iterdir())


def test_text_files_of_a_bucket_are_read_as_streams(endpoint: Endpoint, tmp_path: Path) -> None:
    for kind, content in tables.CONTENTS.items():
        endpoint.put(f"in/{kind}.csv", content.encode())
    names: Names = {kind: [f"{PLACE}/in/{kind}.csv"] for kind in tables.CONTENTS}
    local: Names = {kind: [tables.write(tmp_path / kind, content)] for kind, content in tables.CONTENTS.items()}
    assert streamed(names, folder=tmp_path).content == held(names).content == held(local).content


def test_bad_rows_of_a_bucket_are_set_aside_whole(endpoint: Endpoint, tmp_path: Path) -> None:
    times = ["2023-01-01 UTC?", "2023-01-01T00:00:00Z"]
    table = pl.DataFrame({"store_id": ["1", "2"], "timestamp_utc": times, "status": "active", "more": 5})
    table.write_parquet(tmp_path / "polls.parquet")
    endpoint.put("polls.parquet", (tmp_path / "polls.parquet").read_bytes())
    made = streamed({"polls": [f"{PLACE}/polls.parquet"]}, folder=tmp_path)
    ((name, line, raw, reason),) = made.aside
    assert (name, line) == (f"{PLACE}/polls.parquet", 1)
    assert b'"more": 5' in raw
    assert "unreadable timestamp_utc" in reason


def test_an_object_that_changes_while_it_is_read_is_an_error(endpoint: Endpoint, tmp_path: Path) -> None:
    written(tmp_path, endpoint, 1)
    first, *_ = pieces_of(named("polls", [f"{PLACE}/polls"], now=NOW), tmp_path)
    written(tmp_path, endpoint, 2)
    with pytest.raises(InputError, match="changed after it was listed"):
        list(first.read(None))


@pytest.mark.usefixtures("endpoint")
def test_nothing_at_a_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is nothing at .*/in/\*\.csv' \(polls\)"):
        streamed({"polls": [f"{PLACE}/in/*.csv"]}, folder=tmp_path)


@pytest.mark.usefixtures("files")
def test_a_report_goes_to_a_bucket_whole(endpoint: Endpoint, run: Run) -> None:
    assert run("report", *FILES, "-o", "report.csv").code == 0
    ran = run("report", *FILES, "-o", f"{PLACE}/reports/report.csv", "--quarantine", f"{PLACE}/reports/aside.csv")
    assert ran.code == 0, ran.err
    assert endpoint.get("reports/report.csv") == Path("report.csv").read_bytes()
    assert endpoint.get("reports/aside.csv").startswith(b"reason,file,line,row\n\"unknown status 'activ'")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://no-such-bucket/report.csv", "s3://no-such-bucket/report.csv"),
        (f"{PLACE}/", "is no object; write s3://bucket/key"),
        ("s3:///report.csv", "there is no bucket in the place"),
    ],
)
@pytest.mark.usefixtures("files", "endpoint")
def test_a_report_that_cannot_be_written_to_a_bucket_says_why(run: Run, place: str, message: str) -> None:
    ran = run("report", *FILES, "-o", place)
    assert ran.code == 2
    assert "Traceback" not in ran.err
    assert message in ran.err


def test_without_rights_a_report_is_not_written(endpoint: Endpoint) -> None:
    endpoint.tell("reset-auth", b"0")
    try:
        with pytest.raises(InputError, match=r"not allowed to write.*AWS_ACCESS_KEY_ID") as caught:
            put(f"{PLACE}/report.csv", [b"1"])
    finally:
        endpoint.tell("reset-auth", b"inf")
    assert "secret" not in str(caught.value)


def test_a_large_object_is_written_in_parts(endpoint: Endpoint) -> None:
    put(f"{PLACE}/large", (bytes([number]) * (1 << 20) for number in range(25)))
    assert endpoint.get("large") == b"".join(bytes([number]) * (1 << 20) for number in range(25))


def test_an_export_to_a_bucket_gives_the_report_of_the_store(
    endpoint: Endpoint, run: Run, files: list[str], tmp_path: Path
) -> None:
    assert run("load", *files).code == 0
    assert run("report", "-o", "store.csv", "--all-stores").code == 0
    ran = run("export", "--to", "parquet", f"{PLACE}/out/")
    assert ran.code == 0, ran.err
    assert endpoint.keys()[0] == "out/_SUCCESS"
    names = ["--hours", f"{PLACE}/out/business_hours.parquet", "--timezones", f"{PLACE}/out/timezones.parquet"]
    ran = run("report", "--polls", f"{PLACE}/out/polls/date=*/*.parquet", *names, "-o", "bucket.csv", "--all-stores")
    assert ran.code == 0, ran.err
    assert Path("bucket.csv").read_bytes() == Path("store.csv").read_bytes()
    with pytest.raises(InputError, match="there is something at"):
        export(connect(f"sqlite:///{tmp_path}/uphours.db"), f"{PLACE}/out", now=NOW)
