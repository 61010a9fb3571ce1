"""`uphours report --engine spark`: the bytes of the local engine, and mistakes that are told as ours."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.fixtures import tables
from tests.fixtures.streams import content_of
from tests.fixtures.tables import HOURS, NOW, POLLS, TIMEZONES, table, write
from tests.spark.conftest import Files
from uphours import spark as library_of_spark
from uphours.database.database import connect
from uphours.database.prune import prune
from uphours.errors import InputError, NotFoundError, UphoursError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_files, read_sources
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.large_files.incremental import report_from_files
from uphours.load_record import rejected_lines
from uphours.reports.export import export
from uphours.reports.measure import run_report
from uphours.reports.report import Report
from uphours.reports.request import ReportRequest
from uphours.reports.writers import written
from uphours.schema import HOUR_US, instant_text
from uphours.spark import command

pytest.importorskip("pyspark")

OPTIONS = [
    ReportRequest(),
    ReportRequest(
        windows=("last_day", "previous_week", Window("early", "2023-01-20T00:00Z", "2023-01-22T06:00Z")),
        all_stores=True,
    ),
    ReportRequest(as_of=1_674_600_000_000_000, policy=Policy(interpolation="nearest", assume="active")),
]


def locally(options: ReportRequest, **names: str) -> bytes:
    loaded = read_files(kinds(**names), now=NOW)
    made = run_report(
        memory_fleet(loaded).of(options.stores),
        as_of=options.as_of,
        chosen=options.windows,
        policy=options.policy,
        all_stores=options.all_stores,
    )
    return contents(made)


def kinds(**names: str) -> dict[Kind, list[str]]:
    given: dict[Kind, list[str]] = {}
    for kind in ("polls", "hours", "timezones"):
        if kind in names:
            given[kind] = [names[kind]]
    return given


def contents(made: Report) -> bytes:
    return written(made, "csv", detail=True) + written(made, "json").replace(made.version.encode(), b"VERSION")


def answered(spark: Any, options: ReportRequest, *polls: str, **settings: str) -> command.Answer:
    names = kinds(**settings)
    loaded = read_files(names, now=NOW) if names else read_sources([], now=NOW)
    return command.report(spark, polls, loaded, options, now=NOW)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_report_of_14092_stores_has_the_bytes_of_the_local_engine(
    spark: Any, fleet_of_14092: Files, options: ReportRequest
) -> None:
    files = fleet_of_14092
    made = answered(spark, options, files.polls, hours=files.hours, timezones=files.timezones)
    expected = locally(options, polls=f"{files.polls}/*.parquet", hours=files.hours, timezones=files.timezones)
    assert contents(made.report) == expected
    assert made.summary.rejected == []
    assert made.files[0].rows_read == made.files[0].accepted > 14_092
    assert made.summary.stores is not None
    assert made.summary.stores.stores == 14_092


@pytest.fixture
def small(tmp_path: Path) -> dict[str, str]:
    """Small files of each kind; a bad row, one from the future, and a store that was never observed are among them."""
    bad = "2,on,2023-01-25 15:04:05 UTC\n2,active,2031-01-01 00:00:00 UTC\n"
    polls = write(tmp_path / "polls.csv", POLLS + bad)
    pl.read_csv(polls, infer_schema=False).write_parquet(tmp_path / "polls.parquet")
    return {
        "polls": str(tmp_path / "polls.parquet"),
        "hours": write(tmp_path / "hours.csv", HOURS + "9,2,09:00,17:00\n"),
        "timezones": write(tmp_path / "timezones.csv", TIMEZONES),
    }


def test_bad_rows_are_counted_and_shown_and_the_others_make_the_report(spark: Any, small: dict[str, str]) -> None:
    polls, *_ = small.values()
    made = answered(spark, ReportRequest(), polls, hours=small["hours"], timezones=small["timezones"])
    assert contents(made.report) == locally(ReportRequest(), **small)
    file = made.files[0]
    assert (file.name, file.rows_read - file.accepted, file.quarantined) == (polls, 2, 2)
    assert [(one.rows, one.reason.partition(";")[0].partition(", now")[0]) for one in made.summary.rejected] == [
        (1, "timestamp_utc '2031-01-01 00:00:00 UTC' is more than 24 h in the future"),
        (1, "unknown status 'on'"),
    ]


@pytest.mark.parametrize("raw", [False, True])
def test_calendar_and_ledger_give_the_bytes_and_the_words_of_the_local_engine(
    spark: Any, tmp_path: Path, raw: bool
) -> None:
    names: dict[Kind, list[str]] = {
        kind: [write(tmp_path / f"{kind}.csv", content)] for kind, content in tables.WITH_EXCLUDED.items()
    }
    names["polls"] = [str(tmp_path / "polls.parquet")]
    pl.read_csv(POLLS.encode(), infer_schema=False).write_parquet(*names["polls"])
    windows = ("last_week", "this_month", "previous_quarter", Window("dates", "2023-01-23", "2023-01-26"))
    options = ReportRequest(windows=windows, all_stores=True, raw=raw)
    expected = report_from_files(names, options, now=NOW, folder=tmp_path)
    loaded = read_files({kind: paths for kind, paths in names.items() if kind != "polls"}, now=NOW)
    made = command.report(spark, names["polls"], loaded, options, now=NOW)
    assert contents(made.report) == contents(expected.report)
    assert made.report.totals.excluded_us.any() != raw
    assert [*loaded.notices, *made.summary.sentences()] == expected.summary.sentences()


ASKED: list[dict[str, Any]] = [
    {"by": ("region",)},
    {"by": ("region", "city"), "where": (("city", ("(none)", "Köln")),), "raw": True},
    {"columns": ("city", "region")},
    {"where": (("region", ("North West",)),), "columns": ("city",), "as_of": 1_674_600_000_000_000},
    {"where": (("region", ("West",)),)},
    {"by": ("brand",)},
    {"where": (("brand", ("A",)),), "stores": ("1",)},
]


def test_groups_and_attributes_have_the_bytes_and_the_mistakes_of_the_local_engine(spark: Any, tmp_path: Path) -> None:
    names: dict[Kind, list[str]] = {
        kind: [write(tmp_path / f"{kind}.csv", content)] for kind, content in tables.WITH_EXCLUDED.items()
    }
    names["stores"] = [
        write(
            tmp_path / "stores.csv",
            'store_id,valid_from,region,city\n1,,North West,Ulm\n1,2023-01-24,"South, ""1""",\n2,,North West,\n'
            "2,2023-01-23,,Köln\nelsewhere,,East,\n",
        )
    ]
    names["polls"] = [str(tmp_path / "polls.parquet")]
    pl.read_csv(POLLS.encode(), infer_schema=False).write_parquet(*names["polls"])
    loaded = read_files({kind: paths for kind, paths in names.items() if kind != "polls"}, now=NOW)
    windows = ("last_week", "this_month", Window("dates", "2023-01-23", "2023-01-26"))
    for asked in ASKED:
        options = ReportRequest(windows=windows, policy=Policy(assume="inactive"), all_stores=True, **asked)

        def locally_made(options: ReportRequest = options) -> bytes:
            return content_of(report_from_files(names, options, now=NOW, folder=tmp_path).answer)

        def made_on_spark(options: ReportRequest = options) -> bytes:
            return content_of(command.report(spark, names["polls"], loaded, options, now=NOW).answer)

        outcomes = []
        for make in (locally_made, made_on_spark):
            try:
                outcomes.append(make())
            except UphoursError as error:
                outcomes.append(str(error).encode())
        assert outcomes[0] == outcomes[1], asked


KNOWN, UNKNOWN, ALONE = (uuid.UUID(int=number << 96 | 0xFF) for number in (7, 8, 9))
STORES = (KNOWN, KNOWN, KNOWN, KNOWN, UNKNOWN, UNKNOWN, ALONE)
#: Some are no text at all.
STATUSES = (b"active", b"\xff\xfe", b"OPEN", b"Paused", b"down", b"sleeping", b"up")
ODD_HOURS = table(
    "hours",
    f"{KNOWN},1,08:00,17:00",
    f"{KNOWN},7,08:00,17:00",
    f"{UNKNOWN},1,early,late",
    "nobody,1,08:00,17:00",
)


def test_values_and_facts_are_those_of_the_local_engine(spark: Any, tmp_path: Path) -> None:
    status = pa.array(STATUSES, pa.binary())
    rows = pa.table(
        {
            "store_id": pa.array([store.bytes for store in STORES], pa.binary(16)),
            "status": pa.Array.from_buffers(pa.string(), len(status), status.buffers()),
            "timestamp_utc": [instant_text(NOW - n * HOUR_US) for n in (9, 8, 7, 6, 5, 4, 40)],
        }
    )
    pq.write_table(rows, tmp_path / "polls.parquet")
    hours = write(tmp_path / "hours.csv", ODD_HOURS)
    zones = write(tmp_path / "zones.csv", table("timezones", f"{KNOWN},Asia/Tokyo", f"{ALONE},Mars/Olympus"))
    names: dict[Kind, list[str]] = {"polls": [str(tmp_path / "polls.parquet")], "hours": [hours], "timezones": [zones]}
    words = {"open": "active"}
    options = ReportRequest(all_stores=True)
    expected = report_from_files(names, options, now=NOW, folder=tmp_path, statuses=words)

    settings: dict[Kind, list[str]] = {kind: paths for kind, paths in names.items() if kind != "polls"}
    loaded = read_files(settings, now=NOW)
    made = command.report(spark, names["polls"], loaded, options, now=NOW, statuses=words)
    assert contents(made.report) == contents(expected.report)
    assert (~made.report.hours_known).sum() == 2
    assert made.summary.sentences() == expected.summary.sentences()[len(expected.summary.notices) :]
    assert any("unknown hours" in sentence for sentence in made.summary.sentences())
    of_polls = [one for one in expected.summary.rejected if expected.files[one.file].kind == "polls"]
    assert [(one.rows, one.cause, one.reason) for one in made.summary.rejected] == [
        (one.rows, one.cause, one.reason) for one in sorted(of_polls, key=lambda one: (-one.rows, one.cause))
    ]
    assert replace(made.files[0], sha256="", bytes=0) == replace(expected.files[0], sha256="", bytes=0)
    assert rejected_lines(made.summary.rejected)[0].startswith("1 × ")


def test_some_stores_alone(spark: Any, small: dict[str, str]) -> None:
    options = ReportRequest(stores=("1", "9"), all_stores=True)
    settings = {"hours": small["hours"], "timezones": small["timezones"]}
    assert contents(answered(spark, options, small["polls"], **settings).report) == locally(options, **small)
    with pytest.raises(NotFoundError, match="there is no store '7'; it is in none of the tables"):
        answered(spark, ReportRequest(stores=("1", "7")), small["polls"], **settings)


def test_nothing_observed_is_told_as_the_local_engine_tells_it(spark: Any, tmp_path: Path) -> None:
    pl.DataFrame(schema=dict.fromkeys(("store_id", "status", "timestamp_utc"), pl.String)).write_parquet(
        tmp_path / "none.parquet"
    )
    hours = write(tmp_path / "hours.csv", HOURS)
    for settings in ({}, {"hours": hours}):
        with pytest.raises(InputError, match="there are no observations yet"):
            answered(spark, ReportRequest(), str(tmp_path / "none.parquet"), **settings)


def test_polls_may_be_in_a_database(spark: Any, tmp_path: Path, small: dict[str, str]) -> None:
    url = f"jdbc:derby:{tmp_path / 'derby'};create=true"
    instants = pl.col("timestamp_utc").str.to_datetime("%Y-%m-%d %H:%M:%S%.f UTC", time_unit="us")
    pl.read_parquet(small["polls"]).with_columns(instants).write_parquet(tmp_path / "typed.parquet")
    spark.read.parquet(str(tmp_path / "typed.parquet")).write.jdbc(url, "polls")
    made = answered(spark, ReportRequest(), f"{url}#polls", hours=small["hours"], timezones=small["timezones"])
    assert contents(made.report) == locally(ReportRequest(), **small)
    with pytest.raises(InputError, match=r"names no table; valid are jdbc:…#TABLE"):
        answered(spark, ReportRequest(), url)
    with pytest.raises(
        InputError, match=r"Spark cannot read jdbc:derby:.*#nothing \(polls\): .*'NOTHING' does not exist"
    ):
        answered(spark, ReportRequest(), f"{url}#nothing")


@pytest.mark.parametrize(
    ("marker", "form"),
    [("_delta_log/0.json", "Delta Lake"), (".hoodie/x", "Hudi"), ("metadata/v1.metadata.json", "Iceberg")],
)
@pytest.mark.parametrize("named", ["table", "table/day=*1*", "table/day=*/*.parquet"])
def test_a_table_with_a_log_is_refused(
    spark: Any, tmp_path: Path, small: dict[str, str], marker: str, form: str, named: str
) -> None:
    for path in (tmp_path / "table" / marker, tmp_path / "table" / "day=[1]" / "a.parquet"):
        path.parent.mkdir(parents=True)
        path.write_bytes(Path(small["polls"]).read_bytes())
    with pytest.raises(InputError, match=rf"is in a table of {form} \(.*\): its folder also holds files"):
        answered(spark, ReportRequest(), str(tmp_path / named))


def test_a_folder_in_parts_is_read_whole(spark: Any, tmp_path: Path, small: dict[str, str]) -> None:
    (tmp_path / "metadata").mkdir()  # of somebody's, not of Iceberg's
    rows = pl.read_parquet(small["polls"])
    for place in range(rows.height):
        (tmp_path / "parts" / f"date=2023-01-{place + 10}").mkdir(parents=True)
        rows[place : place + 1].write_parquet(tmp_path / "parts" / f"date=2023-01-{place + 10}" / "a.parquet")
    made = answered(spark, ReportRequest(), str(tmp_path / "parts"))
    assert contents(made.report) == locally(ReportRequest(), polls=small["polls"])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"there is no .*/polls \(polls\); valid are Parquet"),
        (
            table("polls", "1,active,2023-01-25 15:04:05 UTC"),
            r"Spark cannot read .*/polls \(polls\): .*; valid are Parquet",
        ),
    ],
)
def test_what_is_no_parquet_is_refused(spark: Any, tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        write(tmp_path / "polls", content)
    with pytest.raises(InputError, match=told):
        answered(spark, ReportRequest(), str(tmp_path / "polls"))


def test_files_of_a_pruned_store_refuse_the_windows_that_it_refuses(spark: Any, tmp_path: Path) -> None:
    database = connect(f"sqlite:///{tmp_path / 'store.db'}")
    rows = [f"{n % 3},active,{instant_text(NOW - n * HOUR_US)}" for n in range(200)]
    tables.load(database, tmp_path, polls=table("polls", *rows), hours=HOURS, timezones=TIMEZONES)
    prune(database, NOW - 3 * 24 * HOUR_US, now=NOW, actor="me")
    export(database, str(tmp_path / "out"), now=NOW)
    polls, hours = str(tmp_path / "out" / "polls"), str(tmp_path / "out" / "business_hours.parquet")
    for given in ({}, {"hours": hours}):
        with pytest.raises(InputError, match=r"observations before 2023-01-\d\d .* were pruned"):
            answered(spark, ReportRequest(), polls, **given)
    later = ReportRequest(windows=("last_day",))
    zones = str(tmp_path / "out" / "timezones.parquet")
    made = answered(spark, later, polls, hours=hours, timezones=zones)
    with database.snapshot() as fleet:
        assert contents(made.report) == contents(run_report(fleet, chosen=later.windows))
    with pytest.raises(Exception, match="were pruned"):
        library_of_spark.report(spark.read.parquet(polls)).collect()
    assert library_of_spark.report(spark.read.parquet(polls), windows=["last_day"]).count() == 3
