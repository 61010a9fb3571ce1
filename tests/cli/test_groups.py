"""Groups and attributes on the command line: reported, chosen, shown as columns, and mistakes said clearly."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from tests.cli.conftest import Ran, Run, load_once
from uphours.cli import edge
from uphours.schema import instant_us

CASE = Path(__file__).parents[1] / "golden" / "operations" / "10_store_changes_its_region"
FILES = [word for kind in ("polls", "hours", "timezones", "stores") for word in (f"--{kind}", f"{kind}.csv")]
JUNE = ("--as-of", "2024-07-02", "--window", "june=2024-06-01T00:00Z/2024-07-01T00:00Z")


@pytest.fixture
def loaded(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Load a worked case: a store that changes its region, and one that does not, with names and a city."""
    monkeypatch.setattr(edge, "now", lambda: instant_us("2024-07-03"))
    for name in ("polls", "hours", "timezones"):
        shutil.copy(CASE / f"{name}.csv", tmp_path)
    (tmp_path / "stores.csv").write_text(
        "store_id,valid_from,region,name,city\n"
        "s1,,North,=1+1,Austin\ns1,2024-06-16,South,=1+1,Austin\ns2,,South,@home,\n"
    )
    load_once(run, "stores with regions", *FILES)
    return tmp_path


def said(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    return ran.out.decode()


def rows(ran: Ran) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(said(ran))))


def test_groups_are_rows_and_the_fleet_is_the_last_one(run: Run, loaded: Path) -> None:
    text = said(run("report", *JUNE, "--by", "region"))
    assert text.splitlines() == [
        "region,stores,uptime_june,downtime_june,availability_june",
        "North,1,336.00,24.00,93.33",
        "South,2,576.00,24.00,96.00",
        "(all),2,912.00,48.00,95.00",
    ]
    assert said(run("report", *FILES, *JUNE, "--by", "region")) == text
    detail = rows(run("report", *JUNE, "--by", "city, region", "--detail"))
    assert [(row["city"], row["region"]) for row in detail] == [
        ("(none)", "South"), ("Austin", "North"), ("Austin", "South"), ("(all)", "(all)"),
    ]  # fmt: skip
    plain = rows(run("report", *JUNE, "--detail"))
    names = [name for name in plain[0] if name not in ("store_id", "hours_known")]
    assert {name: detail[0][name] for name in names} == {name: plain[1][name] for name in names}


def test_json_and_parquet_are_exact(run: Run, loaded: Path) -> None:
    exact = json.loads(said(run("report", *JUNE, "--by", "region", "--format", "json")))
    assert exact["by"] == ["region"]
    assert [(group["values"], group["stores"]) for group in exact["groups"]] == [
        ({"region": "North"}, 1), ({"region": "South"}, 2),
    ]  # fmt: skip
    assert exact["fleet"]["windows"]["june"]["availability"] == 0.95
    assert run("report", *JUNE, "--by", "region", "-o", "groups.parquet").code == 0
    table = pl.read_parquet("groups.parquet")
    assert table["region"].to_list() == ["North", "South", None]
    for place, group in enumerate([*exact["groups"], exact["fleet"]]):
        figures = group["windows"]["june"]
        assert {name: table[name][place] for name in figures} == figures


def test_stores_are_chosen_by_the_value_that_they_have_at_the_time_of_the_report(run: Run, loaded: Path) -> None:
    before = ("--as-of", "2024-06-15", "--window", "last_day")
    assert [row["store_id"] for row in rows(run("report", *JUNE, "--where", "region=South"))] == ["s1", "s2"]
    assert [row["store_id"] for row in rows(run("report", *before, "--where", "region=South"))] == ["s2"]
    for where in (["city="], ["city=(none)"], ["region=South", "city=(none)"]):
        words = [word for one in where for word in ("--where", one)]
        assert [row["store_id"] for row in rows(run("report", *JUNE, *words))] == ["s2"]
    both = ("--where", "city=Austin", "--where", "city=(none)")
    for given in ([], FILES):
        assert [row["store_id"] for row in rows(run("report", *given, *JUNE, *both))] == ["s1", "s2"]
    listed = json.loads(said(run("stores", "--where", "city=Austin", "--json")))
    assert [row["store_id"] for row in listed] == ["s1"]
    only = rows(run("report", *JUNE, "--where", "city=Austin", "--by", "region"))
    assert [(row["region"], row["stores"]) for row in only] == [("North", "1"), ("South", "1"), ("(all)", "1")]


def test_attributes_are_columns_that_no_spreadsheet_runs(run: Run, loaded: Path) -> None:
    columns = ("--columns", "name,region,city")
    found = rows(run("report", *JUNE, *columns))
    assert list(found[0]) == ["store_id", "name", "region", "city", "uptime_june", "downtime_june"]
    assert [(row["name"], row["region"], row["city"]) for row in found] == [
        ("'=1+1", "South", "Austin"), ("'@home", "South", ""),
    ]  # fmt: skip
    assert rows(run("report", *FILES, *JUNE, *columns)) == found
    exact = json.loads(said(run("report", *JUNE, *columns, "--format", "json")))
    assert [store["attributes"] for store in exact["stores"]] == [
        {"name": "=1+1", "region": "South", "city": "Austin"}, {"name": "@home", "region": "South", "city": None},
    ]  # fmt: skip
    assert run("report", *JUNE, *columns, "-o", "report.parquet").code == 0
    assert pl.read_parquet("report.parquet")["city"].to_list() == ["Austin", None]
    assert run("report", *JUNE, *columns, "--detail", "-o", "report.xlsx").code == 0
    sheet = pl.read_excel("report.xlsx", sheet_name="Report", engine="openpyxl", infer_schema_length=0)
    assert sheet.columns[:5] == ["Store id", "Name", "Region", "City", "Uptime june (h)"]
    assert sheet["Name"].to_list() == ["=1+1", "@home", None]


def test_an_entry_is_about_the_stores_that_have_the_value_when_it_begins(run: Run, loaded: Path) -> None:
    closure = ("adjust", "--as", "excluded", "--reason", "planned closure", "--dry-run", "--where", "region=South")
    for options in (("--from", "--to"), ("--from-local", "--to-local")):
        for day, stores in ((10, "1 store"), (16, "2 stores")):
            times = (options[0], f"2024-06-{day}T00:00", options[1], f"2024-06-{day}T12:00")
            assert f" of {stores} as excluded" in said(run(*closure, *times))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["report", "--by", "brand"], "there is no attribute 'brand'; valid are 'city', 'name', 'region'"),
        (["report", "--by", "region,region"], "attribute region is named more than once"),
        (["report", "--by", "region,"], "--by has an empty name"),
        (["report", "--by", "region", "--columns", "name"], "columns are for reports of stores"),
        (["report", "--columns", "nmae"], "there is no attribute 'nmae'; valid are"),
        (["report", "--where", "region"], "cannot read --where 'region'; valid are NAME=VALUE"),
        (["report", "--where", "brand=A"], "there is no attribute 'brand'"),
        (["report", "--where", "region=East"], "no store with region=East at that time; values of region are 'South'"),
        (
            ["report", "--by", "region", "--engine", "spark", *FILES[:2], "-o", "r.xlsx"],
            "workbooks with --by are not for --engine spark",
        ),
        (["stores", "--where", "brand=A"], "there is no attribute 'brand'"),
        (
            ["adjust", "--as", "up", "--reason", "other", "--where", "region=S", "--all", "--from", "1", "--to", "2"],
            "which stores? Valid are --store ID or --where NAME=VALUE",
        ),
    ],
)
def test_a_mistake_is_said_with_what_is_valid(run: Run, loaded: Path, words: list[str], says: str) -> None:
    ran = run(*words)
    assert (ran.code, ran.out) == (2, b"")
    assert says in ran.err
    assert "Traceback" not in ran.err


def test_an_attribute_cannot_be_called_as_a_column(run: Run, loaded: Path) -> None:
    (loaded / "more.csv").write_text("store_id,stores,hours_known,window\ns1,a,b,c\n")
    said(run("load", "--stores", "more.csv"))
    for words in (
        ["--by", "stores"],
        ["--by", "window", "--format", "parquet", "-o", "x.parquet"],
        ["--columns", "hours_known", "--detail"],
        ["--columns", "window", "--format", "parquet", "-o", "x.parquet"],
    ):
        ran = run("report", *JUNE, *words)
        assert ran.code == 2
        assert "as a column of the report; valid are attributes with names of their own" in ran.err


def test_only_a_workbook_needs_memory_for_all_polls(run: Run, loaded: Path) -> None:
    (loaded / "many.csv").write_text("store_id,status,timestamp_utc\n" + "s1,active,2024-06-01 00:00:00 UTC\n" * 40_000)
    files = ("--polls", "many.csv", "--stores", "stores.csv")
    for words in (("--by", "region"), ("--where", "region=South", "--columns", "name")):
        asked = ("report", *files, *JUNE, *words)
        assert said(run(*asked, "--memory", "1MiB")) == said(run(*asked))
        ran = run(*asked, "--memory", "1MiB", "-o", "report.xlsx")
        assert ran.code == 2
        assert "polls do not fit into 0.00104858 GB of memory" in ran.err
