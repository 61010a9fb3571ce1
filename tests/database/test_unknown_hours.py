"""Rows of hours or zones that were given and cannot be used are never taken for rows that nobody gave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.fixtures.databases import opened, url_in
from tests.fixtures.streams import streamed
from tests.fixtures.tables import NOW, load, table, write
from uphours.database.copy import copy
from uphours.database.database import Database, connect
from uphours.database.doctor import checkup
from uphours.database.loads import list_stores
from uphours.database.prune import prune
from uphours.errors import RejectedError
from uphours.ingest import quarantine
from uphours.ingest.inputs import Kind
from uphours.ingest.load import load_files, read_files
from uphours.ingest.memory_fleet import memory_fleet
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window
from uphours.load_record import Load, Summary
from uphours.reports import fleet as overview
from uphours.reports.answers import stores_of
from uphours.reports.archive import packed, unpacked
from uphours.reports.explain import explain
from uphours.reports.explanation_text import as_text
from uphours.reports.export import export
from uphours.reports.measure import run_report
from uphours.reports.report import Report
from uphours.reports.writers import written
from uphours.schema import UNKNOWN_TIMEZONE

POLLS = table(
    "polls",
    *(f"{store},active,2023-01-30 {hour:02}:00:00 UTC" for store in ("good", "bad", "none") for hour in (0, 12)),
)
GOOD_HOURS = "good,0,09:00,17:00"
GOOD_ZONE = "good,UTC"
MONDAY = Window("monday", "2023-01-30T00:00:00Z", "2023-01-31T00:00:00Z")
#: Rows of hours, or a zone, of the store ``bad``, none of which can be used.
UNUSABLE: list[tuple[str, Sequence[str]]] = [
    ("hours", ["bad,0,dawn,17:00"]),
    ("hours", ["bad,0,09:00,dusk", "bad,1,,", "bad,9,09:00,17:00"]),
    ("hours", ["bad,0,09:00,17:00,x"]),
    ("hours", ["bad,0,09:00"]),
    ("hours", ['bad,0,"09:00,17:00']),
    ("timezones", ["bad,Mars/Olympus"]),
    ("timezones", ["bad,"]),
    ("timezones", ["bad,UTC,?"]),
    ("timezones", [f"bad,{UNKNOWN_TIMEZONE}"]),
]


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(url_in(tmp_path))


def loaded(database: Database, folder: Path, kind: str, rows: Sequence[str]) -> Load:
    hours = [GOOD_HOURS, *(rows if kind == "hours" else ["bad,0,09:00,17:00"])]
    zones = [GOOD_ZONE, *(rows if kind == "timezones" else ["bad,UTC"])]
    return load(database, folder, polls=POLLS, hours=table("hours", *hours), timezones=table("timezones", *zones))


def report_of(database: Database) -> Report:
    with database.snapshot() as fleet:
        return run_report(fleet, chosen=[MONDAY], all_stores=True, as_of=NOW)


def business_hours(report: Report) -> dict[str, float]:
    return dict(zip(report.store_ids, (report.totals.business_us[:, 0] / 3.6e9).tolist(), strict=True))


def summary_of(made: Load) -> Summary:
    assert made.summary is not None
    return made.summary


@pytest.mark.parametrize(("kind", "rows"), UNUSABLE, ids=[row[0] for _, row in UNUSABLE])
def test_a_store_of_which_no_row_can_be_used_has_no_sessions(
    database: Database, tmp_path: Path, kind: str, rows: Sequence[str]
) -> None:
    made = loaded(database, tmp_path, kind, rows)
    report = report_of(database)
    assert business_hours(report) == {"bad": 0, "good": 8, "none": 24}
    assert dict(zip(report.store_ids, report.hours_known.tolist(), strict=True)) == {
        "bad": False, "good": True, "none": True,
    }  # fmt: skip
    counts = summary_of(made).stores
    assert counts is not None
    assert (counts.stores, counts.always_open, counts.in_default_timezone, counts.hours_unknown) == (3, 1, 1, 1)
    assert "1 store counts with unknown hours" in "; ".join(summary_of(made).sentences())
    with database.snapshot() as fleet:
        seen = overview.overview(fleet, as_of=NOW)
    states = {one["store_id"]: one for one in (overview.facts(seen, row) for row in range(3))}
    assert (states["bad"]["state"], states["bad"]["hours_known"], states["bad"]["hours_are_default"]) == (
        "hours unknown", False, False,
    )  # fmt: skip
    assert overview.fleet_facts(seen)["states"]["hours unknown"] == 1
    if kind == "timezones":
        assert states["bad"]["timezone"] == UNKNOWN_TIMEZONE
        assert states["bad"]["timezone_is_default"] is False
    with database.snapshot(["bad"]) as fleet:
        explained = explain(fleet, as_of=NOW, window=MONDAY, policy=Policy())
    assert explained.facts()["hours_known"] is False
    assert "hours unknown" in as_text(explained)
    with database.reading() as connection:
        assert [row["hours_known"] for row in list_stores(connection)] == [False, True, True]


def test_from_files_the_same_stores_are_unknown(tmp_path: Path) -> None:
    for place, (kind, rows) in enumerate(UNUSABLE):
        folder = tmp_path / str(place)
        folder.mkdir()
        database = connect(f"sqlite:///{folder / 'compared.db'}")
        loaded(database, folder, kind, rows)
        names: dict[Kind, list[str]] = {
            "polls": [str(folder / "polls.csv")],
            "hours": [str(folder / "hours.csv")],
            "timezones": [str(folder / "timezones.csv")],
        }
        with database.snapshot() as fleet:
            report = run_report(fleet, all_stores=True)
        expected = written(report, "json") + written(report, "csv", detail=True)
        for room in (1, 1000):
            assert streamed(names, folder=folder, rows=room, now=NOW).content == expected, (kind, rows, room)
        memory = memory_fleet(read_files(names, now=NOW))
        in_memory = run_report(memory, all_stores=True)
        assert written(in_memory, "json") == written(report, "json"), (kind, rows)


def test_a_line_that_is_no_row_names_no_store_that_nothing_else_knows(database: Database, tmp_path: Path) -> None:
    loaded(database, tmp_path, "hours", ["ghost;0;09:00;17:00", "spectre,0,09:00"])
    assert report_of(database).store_ids == ["bad", "good", "none"]


def test_a_line_that_is_no_row_counts_for_a_store_of_an_earlier_load(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, polls=POLLS)
    load(database, tmp_path, hours=table("hours", GOOD_HOURS, "bad,0,09:00"))
    assert business_hours(report_of(database)) == {"bad": 0, "good": 8, "none": 24}


def test_usable_rows_of_a_later_load_make_hours_known(database: Database, tmp_path: Path) -> None:
    for kind, rows, mended in (
        ("hours", ["bad,0,dawn,17:00"], table("hours", "bad,0,09:00,17:00")),
        ("timezones", ["bad,Mars/Olympus"], table("timezones", "bad,UTC")),
    ):
        loaded(database, tmp_path, kind, rows)
        made = load(database, tmp_path, **{kind: mended})
        assert business_hours(report_of(database)) == {"bad": 8, "good": 8, "none": 24}, kind
        assert summary_of(made).restated == 1, kind
        said = "figures of the past change for 1 store; rows with a valid_from change nothing before it"
        assert said in summary_of(made).sentences(), kind
        with opened(database) as sql:
            assert sql.execute("SELECT * FROM unknown_hours") == []
            sql.execute("DELETE FROM business_hours")
            sql.execute("DELETE FROM timezones")
            sql.commit()


def test_rejected_rows_do_not_replace_usable_ones_that_are_stored(database: Database, tmp_path: Path) -> None:
    loaded(database, tmp_path, "hours", ["bad,0,09:00,17:00"])
    before = business_hours(report_of(database))
    for kind, rows in UNUSABLE:
        good = {"hours": GOOD_HOURS, "timezones": GOOD_ZONE}[kind]
        made = load(database, tmp_path, **{kind: table(kind, good, *rows)})  # type: ignore[arg-type]
        assert business_hours(report_of(database)) == before == {"bad": 8, "good": 8, "none": 24}, (kind, rows)
        assert summary_of(made).unusable_left_out == 1, (kind, rows)
        assert "1 store keeps its hours or time zone" in "; ".join(summary_of(made).sentences()), (kind, rows)
        assert summary_of(made).restated == 0, (kind, rows)


def test_some_usable_rows_are_the_hours_of_a_store(database: Database, tmp_path: Path) -> None:
    loaded(database, tmp_path, "hours", ["bad,0,09:00,12:00", "bad,1,dawn,17:00"])
    assert business_hours(report_of(database))["bad"] == 3


def test_a_store_without_polls_exists_where_its_hours_are_unknown(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, hours=table("hours", GOOD_HOURS, "bad,0,dawn,17:00"))
    assert business_hours(report_of(database)) == {"bad": 0, "good": 8}


def test_a_copy_an_export_and_what_is_pruned_keep_what_is_unknown(tmp_path: Path) -> None:
    for kind, rows in (("hours", ["bad,0,dawn,17:00"]), ("timezones", ["bad,Mars/Olympus"])):
        source = connect(url_in(tmp_path, f"{kind}.db"))
        loaded(source, tmp_path, kind, rows)
        expected = business_hours(report_of(source))
        target = connect(url_in(tmp_path, f"copy-{kind}.db", fresh=True))
        copy(source, target)
        assert business_hours(report_of(target)) == expected
        export(source, str(tmp_path / f"exported-{kind}"), now=NOW)
        again = connect(f"sqlite:///{tmp_path / f'again-{kind}.db'}")
        exported = tmp_path / f"exported-{kind}"
        load_files(
            again,
            {
                "polls": [str(exported / "polls" / "date=*" / "*.parquet")],
                "hours": [str(exported / "business_hours.parquet")],
                "timezones": [str(exported / "timezones.parquet")],
            },
            now=NOW,
        )
        assert business_hours(report_of(again)) == expected
        prune(source, NOW - 2 * 86_400_000_000, now=NOW, actor="test")
        assert business_hours(report_of(source)) == expected
        found = {finding.about: finding for finding in checkup(source, now=lambda: NOW)}
        assert found["integrity"].state == "good", found


def test_doctor_finds_hours_that_are_known_and_unknown_at_once(database: Database, tmp_path: Path) -> None:
    loaded(database, tmp_path, "hours", ["bad,0,dawn,17:00"])
    with opened(database) as sql:
        sql.execute("INSERT INTO unknown_hours SELECT store, 'hours' FROM stores WHERE store_id = 'good'")
        sql.commit()
    found = {finding.about: finding for finding in checkup(database, now=lambda: NOW)}
    assert found["integrity"].state == "bad"
    assert "said to be unknown" in found["integrity"].says


def test_a_kept_report_remembers_whose_hours_were_unknown(database: Database, tmp_path: Path) -> None:
    loaded(database, tmp_path, "hours", ["bad,0,dawn,17:00"])
    report = report_of(database)
    assert stores_of(unpacked(packed(report))).hours_known.tolist() == [False, True, True]
    assert b'"hours_known":false' in written(report, "json")


# --- files of which nothing can be used ------------------------------------------------------------------


def test_a_file_of_which_no_row_can_be_used_is_an_error_and_changes_nothing(database: Database, tmp_path: Path) -> None:
    load(database, tmp_path, polls=POLLS)
    before = business_hours(report_of(database))
    hours = table("hours", "good,0,dawn,17:00", "bad,0,noon,17:00", "none,8,09:00,17:00")
    for kinds in ({"hours": hours}, {"polls": POLLS, "hours": hours}, {"hours": hours, "timezones": "timezones"}):
        given = {kind: table("timezones", GOOD_ZONE) if text == "timezones" else text for kind, text in kinds.items()}
        with pytest.raises(RejectedError) as caught:
            load(database, tmp_path, **given)
        said = str(caught.value)
        assert "no row of" in said
        assert "3 of 3 rows rejected, 2 × unreadable start_time_local" in said
        assert "(line 2: good,0,dawn,17:00)" in said
        assert "1 × unreadable day" in said
        assert said.endswith("nothing was changed")
        assert business_hours(report_of(database)) == before
    with database.reading() as connection:
        assert len(list_stores(connection)) == 3


def test_all_files_of_which_no_row_can_be_used_are_named(database: Database, tmp_path: Path) -> None:
    with pytest.raises(RejectedError) as caught:
        load(
            database, tmp_path, polls=POLLS, hours=table("hours", "good,0,dawn,17:00"),
            timezones=table("timezones", "good,Eastern Time"),
        )  # fmt: skip
    assert "hours.csv (hours)" in str(caught.value)
    assert "timezones.csv (timezones)" in str(caught.value)
    assert "polls.csv" not in str(caught.value)


def test_a_file_without_rows_is_no_error(database: Database, tmp_path: Path) -> None:
    made = load(database, tmp_path, polls=POLLS, hours=table("hours"), timezones=table("timezones"))
    assert [file.rows_read for file in made.files] == [6, 0, 0]
    assert business_hours(report_of(database)) == {"bad": 24, "good": 24, "none": 24}


def test_a_load_fails_that_rejects_more_rows_than_it_may(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "polls.csv", POLLS + "bad,odd,2023-01-30 00:00:00 UTC\n" * 2)
    for allowed, fails in (("0", True), ("0.24", True), ("24.9%", True), ("0.25", False), ("25%", False), ("1", False)):
        strict = quarantine.share(allowed)
        if fails:
            with pytest.raises(RejectedError, match="2 of 8 rows are rejected, more than"):
                load_files(database, {"polls": [path]}, now=NOW, strict=strict)
        else:
            made = load_files(database, {"polls": [path]}, now=NOW, strict=strict)
            assert made.quarantined == 2


# --- what a load says --------------------------------------------------------------------------------------


def test_ids_that_do_not_meet_are_said(database: Database, tmp_path: Path) -> None:
    polls = table("polls", "1,active,2023-01-30 00:00:00 UTC", "2,active,2023-01-30 00:00:00 UTC")
    made = load(database, tmp_path, polls=polls, hours=table("hours", "01,0,09:00,17:00", "02,0,09:00,17:00"))
    assert "0 of 2 stores with polls have hours; 2 stores with hours have no polls" in summary_of(made).sentences()
    made = load(database, tmp_path, hours=table("hours", "1,0,09:00,17:00"), timezones=table("timezones", "3,UTC"))
    said = summary_of(made).sentences()
    assert "1 of 2 stores with polls has hours; 2 stores with hours have no polls" in said
    assert "0 of 2 stores with polls have a time zone; 1 store with a time zone has no polls" in said


def test_nothing_is_said_of_ids_that_meet(database: Database, tmp_path: Path) -> None:
    polls = table("polls", "1,active,2023-01-30 00:00:00 UTC")
    made = load(
        database,
        tmp_path,
        polls=polls,
        hours=table("hours", "1,0,09:00,17:00"),
        timezones="store_id,timezone_str\n1,UTC\n",
    )
    assert summary_of(made).sentences() == []


def test_figures_of_the_past_change_where_hours_or_zones_that_were_in_force_do(
    database: Database, tmp_path: Path
) -> None:
    def restated(**files: str) -> int:
        return summary_of(load(database, tmp_path, **files)).restated

    assert restated(polls=POLLS, hours=table("hours", GOOD_HOURS), timezones=table("timezones", GOOD_ZONE)) == 0
    assert restated(hours=table("hours", GOOD_HOURS), timezones=table("timezones", GOOD_ZONE)) == 0
    assert restated(hours=table("hours", GOOD_HOURS, GOOD_HOURS)) == 0
    assert restated(hours=table("hours", "good,0,09:00,18:00")) == 1
    assert restated(hours=table("hours", "good,0,09:00,18:00", "none,0,09:00,18:00", "unseen,0,09:00,18:00")) == 1
    assert restated(timezones=table("timezones", "good,Asia/Kolkata", "none,America/Chicago")) == 1
    assert restated(hours=table("hours", GOOD_HOURS, "bad,0,dawn,17:00")) == 2


def test_the_latest_observation_is_said_where_it_stands_out(database: Database, tmp_path: Path) -> None:
    hourly = [f"1,active,2023-01-31 {hour:02}:00:00 UTC" for hour in range(24)]
    made = load(database, tmp_path, polls=table("polls", *hourly))
    assert summary_of(made).latest_observed_at is None
    made = load(database, tmp_path, polls=table("polls", "1,active,2023-02-01 00:00:00 UTC"))
    assert summary_of(made).latest_observed_at is None, "exactly now"
    made = load(database, tmp_path, polls=table("polls", *hourly, "2,active,2023-02-01 20:00:00 UTC"))
    said = "; ".join(summary_of(made).sentences())
    assert "the latest observation, 2023-02-01 20:00:00 UTC, is 20.0 h ahead of the clock" in said
    assert "is 20.0 h after the one before" in said
    made = load(database, tmp_path, polls=table("polls", *hourly))
    assert "20.0 h ahead of the clock" in "; ".join(summary_of(made).sentences()), "it still decides"


# --- the bounded quarantine --------------------------------------------------------------------------------


def test_of_many_rejected_rows_the_first_are_kept_and_the_others_counted(database: Database, tmp_path: Path) -> None:
    from uphours.database.loads import list_loads
    from uphours.database.rejected_rows import list_quarantine, list_rejected, rows_only_counted
    from uphours.load_record import MOST_KEPT, RAW_BYTES

    odd = [f"1,odd-{n},2023-01-30 00:00:00 UTC" for n in range(MOST_KEPT + 500)]
    late = [f"1,active,{'x' * 10_000}", "1,active,never", "1,active,2023-01-30 00:00:00 UTC"]
    made = load(database, tmp_path, polls=table("polls", late[0], *odd, *late[1:]))
    assert made.quarantined == MOST_KEPT + 502
    assert made.rows_read == made.accepted + made.quarantined
    with database.reading() as connection:
        rows = list_quarantine(connection, made.load)
        causes = list_rejected(connection, made.load)
        assert rows_only_counted(connection, made.load) == 502
        assert list_loads(connection)[0] == made
    assert [row["line"] for row in rows] == list(range(2, MOST_KEPT + 2))
    assert len(rows[0]["raw"]) == RAW_BYTES
    assert [(one["rows"], one["line"]) for one in causes] == [(MOST_KEPT + 500, 3), (2, 2)]
    assert summary_of(made).rows_kept == MOST_KEPT
    found = {finding.about: finding for finding in checkup(database, now=lambda: NOW)}
    assert found["integrity"].state == "good", found


def test_a_load_of_an_earlier_version_is_counted_by_reason(database: Database, tmp_path: Path) -> None:
    from uphours.database.loads import find_load
    from uphours.database.rejected_rows import list_rejected

    made = load(database, tmp_path, polls=table("polls", *["1,odd,2023-01-30 00:00:00 UTC"] * 3, POLLS.split("\n")[1]))
    with opened(database) as sql:
        sql.execute("UPDATE loads SET summary = NULL")
        sql.commit()
    with database.reading() as connection:
        assert find_load(connection, made.load).summary is None
        (only,) = list_rejected(connection, made.load)
    assert (only["rows"], only["line"]) == (3, 2)
    assert only["cause"].startswith("unknown status 'odd'; valid are")
