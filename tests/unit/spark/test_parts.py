"""What runs in Spark's workers, without Spark: rows are checked, sorted by hash in batches of any size, and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

import uphours
from tests.fixtures.oracle_fleets import is_accepted_whole, policy_of
from tests.fixtures.oracle_fleets import tables_of as tables_of_fleet
from tests.fixtures.streams import content_of
from tests.property import operations_strategies
from tests.property.strategies import DEFAULT_WINDOWS, FEWER, Case, cases
from tests.property.test_groups import named
from uphours.errors import EngineError, InputError
from uphours.ingest.inputs import Kind
from uphours.ingest.load import TABLE_NAMES, read_tables
from uphours.ingest.memory_fleet import memory_fleet
from uphours.reports.answers import answer
from uphours.reports.request import ReportRequest
from uphours.schema import DAY_US, HOUR_US, INPUT_COLUMNS, STATUS_BITS, instant_us
from uphours.spark import command, fleet_partitions, rows
from uphours.spark.results import AddedGroups, Made, NotedReports, PartGroups, Reports, Timelines
from uphours.spark.rows import Bad, Checked, Needed, Quarantined, check_versions, versions
from uphours.spark.setting_lines import OF_EVERY_STORE, POLARS
from uphours.where import where_of

pytestmark = pytest.mark.slow

KINDS: tuple[Kind, ...] = ("polls", "hours", "timezones")


def batches(table: pl.DataFrame, size: int) -> Iterator[pa.RecordBatch]:
    yield from table.to_arrow().to_batches(max_chunksize=size)


def tables_of(made: Iterator[pa.RecordBatch], empty: dict[str, Any]) -> pl.DataFrame:
    frames = [pl.DataFrame(batch) for batch in made]
    return pl.concat(frames) if frames else pl.DataFrame(schema=empty)


def asked(windows: Sequence[str | uphours.Window], policy: uphours.Policy, *, all_stores: bool = False) -> Reports:
    return Reports(ReportRequest(windows=tuple(windows), policy=policy, all_stores=all_stores))


def checked(
    kind: Kind,
    table: pl.DataFrame,
    size: int,
    needed: Needed | None = None,
    bad: Bad = "refuse",
    attributes: Collection[str] = (),
) -> Any:
    worker = Checked(kind, kind, bad, None, needed, versions(), attributes=attributes)
    return tables_of(worker(batches(table, size)), POLARS)


def through(
    made: Made,
    tables: tuple[pl.DataFrame, ...] | dict[Kind, pl.DataFrame],
    as_of: int | None,
    *,
    size: int = 7,
    at_once: int = 20,
    hashes: int = 3,
) -> pl.DataFrame:
    """Do what a job does, in batches of few rows, with hashes that many stores share."""
    needed = made.needs(as_of)
    with mock.patch.object(rows, "_ROWS_AT_ONCE", size), mock.patch.object(fleet_partitions, "ROWS_AT_ONCE", at_once):
        named = tables if isinstance(tables, dict) else dict(zip(KINDS, tables, strict=True))
        shuffled = pl.concat(
            checked(kind, table, size, needed if kind == "polls" else None, attributes=made.attributes)
            for kind, table in named.items()
        )
        of_every_store = (pl.col("store_id") == "*") & pl.col("setting").str.starts_with("special").fill_null(False)
        everywhere = shuffled.filter(of_every_store)["setting"].str.join("\n")
        shuffled = shuffled.filter(~of_every_store)
        hashed = shuffled.with_columns(bucket=pl.col("store_id").hash(1).cast(pl.UInt64) % hashes).cast(
            {"bucket": pl.Int64}
        )
        ordered = hashed.sample(fraction=1, shuffle=True, seed=1).sort("bucket", maintain_order=True)
        if as_of is None:
            ordered = ordered.with_columns(as_of=pl.lit(shuffled["moment"].max(), dtype=pl.Int64) // (1 << STATUS_BITS))
        is_first = pl.int_range(pl.len()) == 0
        ordered = ordered.with_columns(pl.when(is_first).then(pl.lit(everywhere.item())).alias(OF_EVERY_STORE))
        return tables_of(made.of_buckets(as_of)(batches(ordered, size)), {"store_id": pl.String})


@given(
    case=cases(),
    all_stores=st.booleans(),
    size=st.integers(1, 30),
    at_once=st.integers(1, 60),
    hashes=st.integers(1, 4),
)
def test_the_report_is_the_one_of_the_library(
    case: Case, all_stores: bool, size: int, at_once: int, hashes: int
) -> None:
    own = [uphours.Window(*window) for window in case.extra_windows]
    reports = asked((*DEFAULT_WINDOWS, *own), case.policy(), all_stores=all_stores)
    made = through(reports, case.tables(), case.as_of_us, size=size, at_once=at_once, hashes=hashes)
    expected = case.report(all_stores=all_stores)
    if not expected.height:
        assert not made.height
        return
    assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)


@given(case=cases(), all_stores=st.booleans(), chosen=st.data(), size=st.integers(1, 30))
def test_the_command_knows_the_stores_that_the_library_knows(
    case: Case, all_stores: bool, chosen: st.DataObject, size: int
) -> None:
    stores = chosen.draw(st.lists(st.sampled_from(case.stores), unique=True)) if case.stores else []
    reports = NotedReports(
        ReportRequest(windows=tuple(DEFAULT_WINDOWS), policy=case.policy(), all_stores=all_stores, stores=tuple(stores))
    )
    made = through(reports, case.tables(), case.as_of_us, size=size)
    if not made.height:  # there was no row at all, so no part
        return
    noted = [json.loads(note).get("known", []) for note in made["note"].drop_nulls()]
    assert {store for known in noted for store in known} == set(stores)
    rows = made.filter(pl.col("note").is_null()).drop("note").sort("store_id", maintain_order=True)
    windowed = replace(case, extra_windows=())
    assert_frame_equal(rows, windowed.report(stores=stores, all_stores=all_stores), check_exact=True)


ALL_OF_A_STORE: dict[str, list[tuple[str, ...]]] = {
    "polls": [
        ("later", "active", "2023-01-25 10:00:00.000001 UTC"),
        ("later and hours", "inactive", "2023-02-25 11:00 UTC"),
        ("both", "active", "2023-01-25 09:59 UTC"),
        ("both", "inactive", "2023-01-25 11:00 UTC"),
        ("at", "active", "2023-01-25 10:00 UTC"),
        ("old", "inactive", "2020-01-25 11:00 UTC"),
    ],
    "hours": [("later and hours", "1", "09:00", "17:00"), ("hours", "2", "09:00", "17:00")],
    "timezones": [("zone", "Asia/Tokyo"), ("hours", "UTC")],
}


@pytest.mark.parametrize("all_stores", [False, True])
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_store_is_known_by_whatever_row_speaks_of_it(all_stores: bool, size: int) -> None:
    tables = tuple(
        pl.DataFrame(rows, schema=list(INPUT_COLUMNS[kind]), orient="row") for kind, rows in ALL_OF_A_STORE.items()
    )
    as_of = instant_us("2023-01-25 10:00 UTC")
    options = {"windows": ["last_hour", "this_week"], "all_stores": all_stores}
    expected = uphours.report(*tables, as_of=as_of, **options)  # type: ignore[arg-type]
    made = through(asked(("last_hour", "this_week"), uphours.Policy(), all_stores=all_stores), tables, as_of, size=size)
    assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)
    seen = ["at", "both", "old"]
    everything = sorted([*seen, "later", "later and hours", "hours", "zone"])
    assert expected["store_id"].unique().sort().to_list() == (everything if all_stores else seen)
    spans = through(Timelines(as_of - DAY_US, uphours.Policy()), tables, as_of, size=size)
    assert_frame_equal(
        spans.sort("store_id", maintain_order=True),
        uphours.timeline(*tables, start=as_of - DAY_US, as_of=as_of),
        check_exact=True,
    )


def names_in_the_library(tables: dict[Kind, pl.DataFrame]) -> dict[str, Any]:
    return {TABLE_NAMES[kind]: table for kind, table in tables.items()}


@FEWER
@given(
    case=operations_strategies.cases(max_stores=3).filter(lambda case: is_accepted_whole(case.fleet)),
    size=st.integers(1, 30),
    at_once=st.integers(1, 60),
    hashes=st.integers(1, 4),
)
def test_calendar_and_ledger_give_the_report_and_the_timeline_of_the_library(
    case: operations_strategies.Case, size: int, at_once: int, hashes: int
) -> None:
    tables, policy = tables_of_fleet(case.fleet), policy_of(case.fleet.rules)
    dates = uphours.Window("dates", case.near, case.near + timedelta(days=2))
    windows: list[str | uphours.Window] = [*DEFAULT_WINDOWS, "previous_quarter", dates]
    made = through(
        asked(windows, policy, all_stores=True), tables, case.as_of_us, size=size, at_once=at_once, hashes=hashes
    )
    expected = uphours.report(
        **names_in_the_library(tables), as_of=case.as_of_us, windows=windows, policy=policy, all_stores=True
    )
    assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)
    start = case.as_of_us - 3 * DAY_US
    spans = through(Timelines(start, policy), tables, case.as_of_us, size=size, at_once=at_once, hashes=hashes)
    expected = uphours.timeline(**names_in_the_library(tables), start=start, as_of=case.as_of_us, policy=policy)
    if expected.height:
        assert_frame_equal(spans.sort("store_id", maintain_order=True), expected, check_exact=True)


NORTH = {"region": ["North"]}
#: What may be asked of attributes, which change inside of the windows.
QUESTIONS: list[dict[str, Any]] = [
    {"by": ["region"]},
    {"by": ["brand", "region"]},
    {"by": ["region"], "where": {"brand": ["", "B"]}},
    {"columns": ["region", "brand"]},
    {"columns": ["brand"], "where": NORTH},
    {"where": {"brand": ["A", "B"], "region": ["", "South"]}},
    {"where": NORTH, "stores": ["1"]},
]


@FEWER
@given(
    case=operations_strategies.cases(max_stores=3).filter(lambda case: is_accepted_whole(case.fleet)),
    question=st.sampled_from(QUESTIONS),
    size=st.integers(1, 30),
    at_once=st.integers(1, 60),
    hashes=st.integers(1, 4),
    is_as_of_known=st.booleans(),
    assume=st.sampled_from(["unknown", "inactive"]),
)
def test_attributes_mean_in_partitions_what_they_mean_in_memory(
    case: operations_strategies.Case, question: dict[str, Any], size: int, at_once: int, hashes: int,
    is_as_of_known: bool, assume: str,
) -> None:  # fmt: skip
    case = named(case)
    tables, policy = tables_of_fleet(case.fleet), policy_of(case.fleet.rules).changed({"assume": assume})
    as_of = case.as_of_us if is_as_of_known or not case.fleet.polls else None
    windows: tuple[str | uphours.Window, ...] = (
        *DEFAULT_WINDOWS,
        uphours.Window("dates", case.near, case.near + timedelta(days=2)),
    )
    options = ReportRequest(
        as_of=as_of, windows=windows, policy=policy, all_stores=True,
        **question | {"where": where_of(question.get("where", {}))},
    )  # fmt: skip
    how = {"size": size, "at_once": at_once, "hashes": hashes}
    made = NotedReports(replace(options, policy=policy.changed({"assume": "unknown"})))
    noted = through(made, tables, as_of, **how)
    loaded = read_tables(tables)

    def of_command() -> bytes:
        notes = list(map(json.loads, noted["note"].drop_nulls()))
        report = command._report(noted.filter(pl.col("note").is_null()), command._as_of(notes, options), options)
        return content_of(command._answer(report, notes, loaded, options))

    wanted = said(lambda: content_of(answer(memory_fleet(loaded), options, now=case.as_of_us + 500 * DAY_US)))
    if noted.height and "there is no attribute" not in str(wanted):  # no part notes them
        assert said(of_command) == wanted
    if "stores" in question or not noted.height:
        return
    given_by_name = {"as_of": as_of, "windows": windows, "policy": policy, "all_stores": True, **question}
    function = uphours.groups if "by" in question else uphours.report
    library = said(lambda: function(**names_in_the_library(tables), **given_by_name))
    if "by" in question:
        notes = through(PartGroups(options), tables, as_of, **how)
        table = tables_of(AddedGroups(options)(batches(notes, size)), {"window": pl.String})
    else:
        table = through(Reports(options), tables, as_of, **how).sort("store_id", maintain_order=True)
    if isinstance(library, str):
        assert not table.drop_nulls(question.get("by", ())).height, library
    else:
        assert_frame_equal(table, library, check_exact=True)


def said(content: Callable[[], Any]) -> Any:
    """Return an answer, or what is wrong with the question."""
    try:
        return content()
    except uphours.UphoursError as error:
        return str(error)


def csv(text: str) -> pl.DataFrame:
    return pl.read_csv(text.encode(), infer_schema=False)


#: Stores that only one table speaks of, rows for every store, an entry over two stores that is withdrawn, local times.
ALL_KINDS: dict[Kind, pl.DataFrame] = {
    "polls": csv(
        "store_id,status,timestamp_utc\na,active,2024-06-03 08:00:00 UTC\n*,inactive,2024-06-03 08:00:00 UTC\n"
    ),
    "hours": csv(
        "store_id,day,start_time_local,end_time_local,valid_from\n"
        "a,0,09:00,17:00,\na,0,10:00,20:00,2024-06-03\n*,0,09:00,12:00,\n"
    ),
    "timezones": csv("store_id,timezone_str,valid_from\na,Etc/UTC,\na,Asia/Tokyo,2024-06-03\n"),
    "special": csv(
        "store_id,date,start_time_local,end_time_local\n*,2024-06-04,10:00,12:00\n*,2024-06-02,,\n"
        "only special,2024-06-04,10:00,11:00\n"
    ),
    "stores": csv("store_id,region,first_day\nonly described,North,2024-06-04\nonly named,South,\n"),
    "adjustments": csv(
        "entry,store_id,start_utc,end_utc,start_local,end_local,counts_as,withdraws,reason\n"
        "2,a,,,2024-06-03T11:00,2024-06-03T12:00,down,,other\n"
        "1,a,2024-06-03T00:00Z,2024-06-05T00:00Z,,,excluded,,other\n"
        "1,only adjusted,2024-06-03T00:00Z,2024-06-05T00:00Z,,,excluded,,other\n"
        "3,only withdrawn,,,,,withdrawal,1,other\n"
    ),
}


@pytest.mark.parametrize("size", [1, 2, 100])
def test_every_table_is_taken_and_makes_stores_known(size: int) -> None:
    as_of = instant_us("2024-06-05 00:00 UTC")
    options = {"windows": ["last_week", "yesterday"], "all_stores": True}
    expected = uphours.report(**names_in_the_library(ALL_KINDS), as_of=as_of, **options)  # type: ignore[arg-type]
    made = through(asked(("last_week", "yesterday"), uphours.Policy(), all_stores=True), ALL_KINDS, as_of, size=size)
    assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)
    assert set(expected["store_id"]) == {
        "*", "a", "only special", "only described", "only named", "only adjusted", "only withdrawn",
    }  # fmt: skip
    assert expected["excluded_us"].sum() == 0
    assert expected.filter(pl.col("store_id") == "a")["downtime_us"].to_list() == [HOUR_US, 0]


def test_rows_that_contradict_each_other_are_rejected_wherever_they_stand() -> None:
    special = csv(
        "store_id,date,start_time_local,end_time_local\na,2024-06-04,10:00,12:00\nb,2024-06-04,10:00,12:00\n"
        "a,2024-06-04,closed,closed\n"
    )
    adjustments = csv(
        "entry,store_id,start_utc,end_utc,counts_as,reason\n1,a,2024-06-03,2024-06-04,up,other\n"
        "1,b,2024-06-03,2024-06-04,down,other\n2,b,2024-06-03,2024-06-04,down,other\n"
    )
    tables: dict[Kind, pl.DataFrame] = {"special": special, "adjustments": adjustments}
    bad = uphours.validate(special_hours=special, adjustments=adjustments).quarantine
    for kind, table in tables.items():
        with pytest.raises(InputError, match=r"a row of .* is bad"):
            checked(kind, table, 1)
        worker = Quarantined(kind, TABLE_NAMES[kind], versions())
        found = tables_of(worker(batches(table, 1)), {"table": pl.String})
        expected = bad.filter(pl.col("table") == TABLE_NAMES[kind]).select(found.columns)
        assert_frame_equal(found, expected)
        assert found.height == {"special": 1, "adjustments": 2}[kind]


@given(case=cases(), names=st.lists(st.sampled_from(["today", "previous_week", "this_month"]), min_size=1, unique=True))
def test_calendar_windows_need_no_more_than_what_is_kept(case: Case, names: list[str]) -> None:
    made = through(asked(names, case.policy(), all_stores=True), case.tables(), case.as_of_us)
    expected = uphours.report(*case.tables(), as_of=case.as_of_us, windows=names, policy=case.policy(), all_stores=True)
    if expected.height:
        assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)


@given(case=cases())
def test_the_instant_is_the_latest_observation_unless_one_is_named(case: Case) -> None:
    if not case.observations:
        return
    made = through(asked(tuple(DEFAULT_WINDOWS), case.policy()), case.tables(), None)
    expected = uphours.report(*case.tables(), policy=case.policy())
    assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)


@given(case=cases(), days=st.integers(1, 9))
def test_the_timeline_is_the_one_of_the_library(case: Case, days: int) -> None:
    start = case.as_of_us - days * DAY_US
    made = through(Timelines(start, case.policy()), case.tables(), case.as_of_us)
    expected = uphours.timeline(*case.tables(), start=start, as_of=case.as_of_us, policy=case.policy())
    if expected.height:
        assert_frame_equal(made.sort("store_id", maintain_order=True), expected, check_exact=True)


@given(case=cases())
def test_an_old_history_is_forgotten_before_the_shuffle(case: Case) -> None:
    needed = asked(("last_hour",), case.policy()).needs(case.as_of_us)
    assert needed is not None
    table = case.tables()[0]
    kept = checked("polls", table, 1000, needed).with_columns(at=pl.col("moment") // (1 << STATUS_BITS))
    old = kept.filter(pl.col("at") < needed.start)
    assert old.unique(["store_id", "at"]).height == old["store_id"].n_unique()
    # Of those that come later, one stays where it alone says that there is such a store.
    later = kept.filter(pl.col("at") > case.as_of_us)["store_id"]
    assert later.is_unique().all()
    assert not set(later) & set(kept.filter(pl.col("at") <= case.as_of_us)["store_id"])
    assert set(kept["store_id"]) == set(table["store_id"])


POLLS = pl.DataFrame(
    {
        "store_id": ["a", "b", " a "],
        "status": ["active", "off", "inactive"],
        "timestamp_utc": ["2023-01-25 10:00:00 UTC"] * 3,
    }
)


def test_a_bad_row_ends_the_job_and_says_why() -> None:
    with pytest.raises(InputError, match=r"a row of polls is bad, .*\"off\".*: unknown status 'off'; .*validate"):
        checked("polls", POLLS, 10)


def test_bad_rows_that_are_left_out_leave_the_others() -> None:
    assert checked("polls", POLLS, 10, bad="leave out")["store_id"].to_list() == ["a", "a"]


def test_bad_rows_that_are_counted_come_under_no_store() -> None:
    made = checked("polls", pl.concat([POLLS] * 4), 100, bad="count")
    (note,) = made.filter(pl.col("store_id") == "")["setting"]
    (cause, count, reason, raw), *_ = json.loads(note)["rejected"]
    assert (json.loads(note)["table"], json.loads(note)["rows"], count) == ("polls", 12, 4)
    assert cause.startswith("unknown status; valid")
    assert reason.startswith("unknown status 'off'; valid")
    assert '"off"' in raw


def test_nothing_observed_is_an_error_unless_an_instant_is_named() -> None:
    zones = pl.DataFrame({"store_id": ["a"], "timezone_str": ["UTC"]})
    hours = pl.DataFrame(schema=dict.fromkeys(("store_id", "day", "start_time_local", "end_time_local"), pl.String))
    tables = POLLS.clear(), hours, zones
    with pytest.raises(InputError, match="there are no observations yet"):
        through(asked(("last_day",), uphours.Policy()), tables, None)
    made = through(asked(("last_day",), uphours.Policy(), all_stores=True), tables, DAY_US * 20_000)
    assert made["unknown_us"].to_list() == [DAY_US]


def test_an_executor_with_another_version_makes_no_numbers() -> None:
    check_versions(versions())
    with pytest.raises(EngineError, match=r"this executor has uphours .*, the driver has uphours 0\.0\.1 .*2019a"):
        check_versions(("0.0.1", "2019a"))
