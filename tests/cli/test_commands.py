"""Every command with every option: results on standard output, messages on standard error, exit code 0."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import polars as pl
import pytest
import typer.main

import uphours
from tests.cli.conftest import Run
from tests.fixtures import tables
from uphours.cli.command_groups import GROUPS, first_sentence
from uphours.cli.command_line import application, program
from uphours.ingest.statuses import VALID_STATUSES
from uphours.kernel.windows import WINDOW_NAMES

COLUMNS = [
    "store_id",
    *(f"{part}_{window}" for part in ("uptime", "downtime") for window in ("last_hour", "last_day", "last_week")),
]
URL = "sqlite:///uphours.db"


def rows(out: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(out.decode())))


@pytest.mark.usefixtures("files")
def test_load_says_what_came_and_what_was_set_aside(run: Run, tmp_path: Path, files: list[str]) -> None:
    ran = run("load", *files)
    assert ran.code == 0
    out = ran.out.decode()
    for words in ("load 1", "polls.csv: 4 rows, 3 accepted, 1 rejected", "8 of 9 rows accepted"):
        assert words in out
    assert f"1 × unknown status; {VALID_STATUSES} (line 5: 3,activ,2023-01-24 10:00:00 UTC)" in out
    assert "`uphours quarantine --load 1 --rows` lists the rejected rows" in ran.err
    assert (tmp_path / "uphours.db").exists()


def test_load_as_json_is_the_record(run: Run, files: list[str]) -> None:
    ran = run("load", "--json", *files)
    record = json.loads(ran.out)
    assert (record["load"], record["rows_read"], record["accepted"], record["quarantined"]) == (1, 9, 8, 1)
    assert [file["name"] for file in record["files"]] == ["polls.csv", "hours.csv", "timezones.csv"]


def test_load_takes_several_files_and_globs_and_a_url(run: Run, tmp_path: Path) -> None:
    for day in range(3):
        tables.write(tmp_path / f"p{day}.csv", tables.table("polls", f"{day},active,2023-01-2{day} 10:00:00 UTC"))
    ran = run("load", "--db", "sqlite:///other.db", "--polls", "p0.csv", "--polls", "p[12].csv", "--json")
    assert json.loads(ran.out)["accepted"] == 3
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "uphours.db").exists()


@pytest.mark.parametrize("command", ["load", "report"])
def test_a_glob_that_the_shell_has_expanded_is_many_files(run: Run, tmp_path: Path, command: str) -> None:
    for day in range(4):
        tables.write(tmp_path / f"p{day}.csv", tables.table("polls", f"{day},active,2023-01-2{day} 10:00:00 UTC"))
    tables.write(tmp_path / "p9.csv.part", "store_id,sta")
    tables.write(tmp_path / "z.csv", tables.TIMEZONES)
    ran = run(command, "--polls", *sorted(tmp_path.glob("p*")), "--timezones", "z.csv")
    assert ran.code == 0, ran.err
    said = ran.out.decode() + ran.err
    assert all(f"p{day}.csv: 1 row, 1 accepted" in said for day in range(4)), said
    assert "p9.csv.part is not finished, as its name says" in ran.err
    assert run(command, "--polls=p0.csv", "p1.csv", "--polls", "p2.csv", "p3.csv").code == 0
    assert "there is no file p7.csv" in run(command, "--polls", "p0.csv", "p7.csv").err


def test_a_report_has_the_columns_that_are_promised(run: Run, loaded: list[str]) -> None:
    ran = run("report", *loaded)
    assert ran.code == 0
    found = rows(ran.out)
    assert list(found[0]) == COLUMNS
    assert [row["store_id"] for row in found] == ["1", "2"]
    assert all(len(value.partition(".")[2]) == 2 for row in found for name, value in row.items() if name != "store_id")


def test_a_report_says_on_standard_error_what_it_was_made_with(run: Run, loaded: list[str]) -> None:
    ran = run("report", "--max-age", "90m", *loaded)
    for words in ("2 stores", "as of 2023-01-25 15:04:05.123456 UTC", "previous", "max age 1:30:00", "tzdata"):
        assert words in ran.err


VARIANTS: dict[str, list[str]] = {
    "plain": [],
    "as of": ["--as-of", "2023-01-25T12:00:00Z"],
    "next": ["--interpolation", "next"],
    "nearest": ["--interpolation", "nearest"],
    "max age": ["--max-age", "90m"],
    "no session": ["--no-prefer-in-session"],
    "session": ["--prefer-in-session"],
    "active": ["--max-age", "1h", "--assume", "active"],
    "inactive": ["--max-age", "1h", "--assume", "inactive"],
    "store": ["--store", "2"],
    "stores": ["--store", "2", "--store", "1"],
    "all stores": ["--all-stores"],
    "windows": [word for name in WINDOW_NAMES for word in ("--window", name)],
    "own window": ["--window", "jan=2023-01-24/2023-01-25T06:00:00+05:30", "--window", "last_hour"],
    "detail": ["--detail"],
    "csv": ["--format", "csv"],
    "json": ["--format", "json"],
    "parquet": ["--format", "parquet"],
    "xlsx": ["--format", "xlsx"],
    "everything": ["--format", "json", "--detail", "--all-stores", "--as-of", "2023-01-25", "--interpolation", "next"],
}  # fmt: skip


def test_a_report_from_files_is_the_report_from_the_store_byte_for_byte(
    run: Run, files: list[str], tmp_path: Path
) -> None:
    assert run("load", *files).code == 0
    for variant, options in VARIANTS.items():
        from_store = run("report", *options)
        from_files = run("report", *files, *options)
        into_file = run("report", *options, "-o", "report")
        assert from_store.code == from_files.code == into_file.code == 0, variant
        assert from_store.out, variant
        assert from_files.out == from_store.out, variant
        assert into_file.out == b"", variant
        assert (tmp_path / "report").read_bytes() == from_store.out, variant
        (tmp_path / "report").unlink()


def test_a_report_from_files_shows_what_was_set_aside_and_makes_no_store(
    run: Run, files: list[str], tmp_path: Path
) -> None:
    ran = run("report", *files)
    assert f"1 × unknown status; {VALID_STATUSES} (line 5: 3,activ,2023-01-24 10:00:00 UTC)" in ran.err
    assert not list(tmp_path.glob("*.db*"))


def test_options_change_what_they_say(run: Run, loaded: list[str]) -> None:
    assert [row["store_id"] for row in rows(run("report", "--store", "2").out)] == ["2"]
    assert "unknown_last_hour" in rows(run("report", "--detail").out)[0]
    assert list(rows(run("report", "--window", "w=2023-01-24/2023-01-25").out)[0]) == [
        "store_id",
        "uptime_w",
        "downtime_w",
    ]
    early = rows(run("report", "--as-of", "2023-01-24T12:00:00Z").out)
    assert [row["store_id"] for row in early] == ["1"]
    assert len(rows(run("report", "--as-of", "2023-01-24T12:00:00Z", "--all-stores").out)) > 1
    assert loaded == []


def test_a_json_report_names_everything_it_was_made_with(run: Run, loaded: list[str]) -> None:
    document = json.loads(run("report", "--format", "json", "--interpolation", "next", *loaded).out)
    assert document["as_of"] == "2023-01-25T15:04:05.123456Z"
    assert document["policy"]["interpolation"] == "next"
    assert document["version"] == uphours.__version__
    assert document["tzdata"]
    assert [store["store_id"] for store in document["stores"]] == ["1", "2"]


def test_a_parquet_report_is_a_table(run: Run, loaded: list[str]) -> None:
    table = pl.read_parquet(io.BytesIO(run("report", "--format", "parquet", *loaded).out))
    assert table["store_id"].to_list() == ["1"] * 3 + ["2"] * 3
    sums = table.select(pl.col("uptime_us") + pl.col("downtime_us") + pl.col("unknown_us")).to_series()
    assert sums.to_list() == table["business_us"].to_list()


def test_an_xlsx_report_is_a_workbook(run: Run, loaded: list[str]) -> None:
    ran = run("report", "--format", "xlsx", "--detail", "--output", "report.xlsx", *loaded)
    assert (ran.code, ran.out) == (0, b"")
    sheet = openpyxl.load_workbook("report.xlsx")["Report"]
    assert [cell.value for cell in sheet["A"]] == ["Store id", "1", "2", "Total"]
    assert [cell.value for cell in sheet[1]][:3] == ["Store id", "Uptime last hour (min)", "Uptime last day (h)"]


@pytest.mark.parametrize("form", ["parquet", "xlsx"])
def test_a_file_for_programs_is_not_shown_on_a_terminal(
    run: Run, loaded: list[str], monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    ran = run("report", "--format", form, *loaded)
    assert (ran.code, ran.out) == (2, b"")
    assert f"{form} is not for a terminal; name a file with -o" in ran.err
    assert run("report", "--format", form, "-o", "report.out", *loaded).code == 0


def test_explain_shows_open_time_polls_spans_and_sums(run: Run, loaded: list[str]) -> None:
    for options, headings in (
        ((), ("Open in the window", "Polls in the window", "What counts, and why", "Report")),
        (("--exact",), ("Sessions", "Observations", "Spans", "Report")),
    ):
        ran = run("explain", "1", "--window", "last_week", *options, *loaded)
        assert (ran.code, ran.err) == (0, "")
        out = ran.out.decode()
        for words in ("store     1", "America/New_York", "Tue 09:00–17:00", *headings):
            assert words in out
        assert out.endswith("\nUp all 16 h open; 1 poll says so\n")


def test_explain_as_json_sums_to_the_report(run: Run, loaded: list[str]) -> None:
    options = ["--as-of", "2023-01-25T15:00:00Z", "--interpolation", "nearest", "--max-age", "20h"]
    ran = run("explain", "1", "--format", "json", "--window", "last_week", *options, *loaded)
    explained = json.loads(ran.out)
    reported = json.loads(run("report", "--format", "json", "--store", "1", *options).out)
    figures = reported["stores"][0]["windows"]["last_week"]
    assert {name: explained["figures"][name] for name in figures} == figures
    assert explained["spans"][-1]["uptime_us"] == figures["uptime_us"]


@pytest.mark.parametrize("assume", ["active", "inactive"])
def test_explain_takes_the_options_of_a_report(run: Run, loaded: list[str], assume: str) -> None:
    options = ["--no-prefer-in-session", "--assume", assume, "--max-age", "1h", "--db", URL]
    assert run("explain", "2", "--window", "own=2023-01-24/2023-01-26", *options, *loaded).code == 0


def test_stores_are_listed(run: Run, loaded: list[str]) -> None:
    out = run("stores", *loaded).out.decode()
    assert "America/New_York" in out
    assert "2023-01-25 15:04:05.123456 UTC" in out
    listed = json.loads(run("stores", "--json").out)
    assert [(row["store_id"], row["timezone"]) for row in listed][:2] == [
        ("1", "America/New_York"),
        ("2", "Asia/Kolkata"),
    ]


def test_loads_are_listed(run: Run, loaded: list[str]) -> None:
    assert "load 1" in run("loads", *loaded).out.decode()
    assert [record["load"] for record in json.loads(run("loads", "--json").out)] == [1]


def test_quarantined_rows_are_listed(run: Run, loaded: list[str]) -> None:
    for words in ([], ["--load", "1"]):
        counted = run("quarantine", *words, *loaded).out.decode()
        assert f"unknown status; {VALID_STATUSES}" in counted
        assert "3,activ,2023-01-24 10:00:00 UTC" in counted
    (cause,) = json.loads(run("quarantine", "--json").out)
    assert (cause["load"], cause["name"], cause["rows"], cause["line"]) == (1, "polls.csv", 1, 5)
    for words in (["--rows"], ["--rows", "--load", "1"]):
        out = run("quarantine", *words, *loaded).out.decode()
        assert "polls.csv" in out
        assert "unknown status 'activ'" in out
        assert "3,activ,2023-01-24 10:00:00 UTC" in out
    (row,) = json.loads(run("quarantine", "--rows", "--json").out)
    assert (row["load"], row["line"], row["raw"]) == (1, 5, "3,activ,2023-01-24 10:00:00 UTC")


def test_hostile_rows_are_listed_as_text(run: Run, tmp_path: Path) -> None:
    tables.write(
        tmp_path / "p.csv",
        tables.POLLS.encode() + b"\xff\x00\x1b[31m,a,b\n" + b"x" * 9000 + b",a,b\n",
    )
    assert run("load", "--polls", "p.csv").code == 0
    for listed in (run("quarantine").out.decode(), run("quarantine", "--rows").out.decode()):
        assert "\\xff" in listed
        assert max(map(len, listed.splitlines())) < 600
        assert all(sign.isprintable() or sign == "\n" for sign in listed)
    first, second = json.loads(run("quarantine", "--rows", "--json").out)
    assert first["raw"] == "\\xff\x00\x1b[31m,a,b"
    assert second["raw"] == "x" * 4096


def test_the_list_of_a_terminal_shows_no_control_characters(run: Run, tmp_path: Path) -> None:
    tables.write(tmp_path / "p.csv", tables.POLLS + "a\x1b[31mb,active,2023-01-24 10:00:00 UTC\n")
    assert run("load", "--polls", "p.csv").code == 0
    for words in (["quarantine"], ["quarantine", "--rows"], ["loads"]):
        assert "\x1b" not in run(*words).out.decode()


def test_lists_of_an_empty_store_are_empty(run: Run, tmp_path: Path) -> None:
    tables.write(tmp_path / "p.csv", tables.table("polls"))
    assert run("load", "--polls", "p.csv").code == 0
    assert json.loads(run("stores", "--json").out) == []
    assert json.loads(run("quarantine", "--json").out) == []
    assert run("stores").code == run("quarantine").code == run("loads").code == 0
    ran = run("report", "--as-of", "2023-01-24")
    assert (ran.code, ran.out.decode()) == (0, ",".join(COLUMNS) + "\n")


def test_the_environment_names_the_store_and_the_option_overrides_it(
    run: Run, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPHOURS_DATABASE_URL", "sqlite:///from-environment.db")
    assert run("load", *files).code == 0
    assert (tmp_path / "from-environment.db").exists()
    assert run("stores").code == 0
    assert run("stores", "--db", URL).code == 2
    assert run("report", *files).code == 0  # files need no store, and do not contradict the environment


def test_version_and_help(run: Run) -> None:
    assert run("--version").out.decode() == f"{uphours.__version__}\n"
    for words in (["--help"], ["-h"]):
        ran = run(*words)
        assert ran.code == 0
        for command in ("load", "report", "explain", "stores", "loads", "quarantine", "demo"):
            assert command in ran.out.decode()
    for command in ("load", "report", "explain", "stores", "loads", "quarantine", "demo"):
        assert run(command, "--help").code == 0


def help_pages(command: Any = None, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and group of commands."""
    command = typer.main.get_command(application()) if command is None else command
    yield words
    for name, inner in getattr(command, "commands", {}).items():
        yield from help_pages(inner, *words, name)


def test_no_help_page_is_cut_at_80_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    pages = list(help_pages())
    assert len(pages) == 28
    for words in pages:
        out = run(*words, "--help").out.decode()
        assert "..." not in out, words
        assert "…" not in out, words
        assert all(len(line) <= 80 for line in out.splitlines()), words


def test_commands_are_listed_in_four_groups(run: Run) -> None:
    sections = re.split(r"^(\w[\w ]*):$", run("--help").out.decode(), flags=re.MULTILINE)
    listed = {
        title: tuple(re.findall(r"^  (\w+)  ", body, flags=re.MULTILINE))
        for title, body in zip(sections[1::2], sections[2::2], strict=True)
        if title != "Options"
    }
    assert listed == {title: tuple(commands) for title, commands in GROUPS.items()}
    for name, command in program().commands.items():
        (sentence,) = (commands[name].sentence for commands in GROUPS.values() if name in commands)
        assert sentence == first_sentence(command.help), name


def test_windows_and_instants_are_explained_where_they_are_asked_for(run: Run) -> None:
    for command in ("report", "explain"):
        out = " ".join(run(command, "--help").out.decode().split())
        for words in (
            *WINDOW_NAMES, "mean local midnights, as in jan=2023-01-01/2023-02-01", "2023-01-25T18:13:22Z",
            "UTC unless it names",
        ):  # fmt: skip
            assert words in out
    assert "2025-01-01T00:00:00Z, UTC unless" in " ".join(run("prune", "--help").out.decode().split())


def test_the_demo_is_short_and_true_and_can_be_run_again(run: Run, tmp_path: Path) -> None:
    first = run("demo")
    assert (first.code, first.err) == (0, "")
    lines = first.out.decode().splitlines()
    assert len(lines) <= 40
    assert all(len(line) <= 100 for line in lines)
    assert lines[0].startswith("$ uphours load")
    assert lines[-1] == "Down 5 h 02 min of 12 h open: Tue 11:13–16:15; 7 polls say so"
    url = "sqlite:///uphours-demo/uphours.db"
    explained = run("explain", "1004", "--db", url).out.decode()
    assert first.out.decode().endswith(f"$ uphours explain 1004 --db {url}\n{explained}")
    figures = json.loads(run("report", "--db", url, "--store", "1004", "--format", "json").out)
    last_day = figures["stores"][0]["windows"]["last_day"]
    assert (last_day["business_us"], round(last_day["downtime_us"] / 60e6)) == (12 * 3600 * 10**6, 5 * 60 + 2)
    assert sum(row["rows"] for row in json.loads(run("quarantine", "--db", url, "--json").out)) == 3
    second = run("demo", "--folder", "uphours-demo")
    assert (second.code, second.out) == (0, first.out)
    assert {path.suffix for path in (tmp_path / "uphours-demo").iterdir()} >= {".csv", ".db"}
