"""Calendars from elsewhere on the command line: public holidays, and opening hours of other systems."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tests.fixtures import tables
from tests.fixtures.openings import HERE

CHRISTMAS = ("holidays", "US", "--year", "2026", "--only", "Christmas Day")
HOURS_CSV = "ref,opening_hours,name\n1,Mo-Fr 09:00-17:00,One\n2,Mo-Fr 9-17,Two\n3,,Three\n4,24/7; PH off,\n"


def rows(content: str | bytes) -> list[dict[str, str]]:
    text = content if isinstance(content, str) else content.decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


# --- holidays -----------------------------------------------------------------------------------------------


def test_holidays_are_special_hours_on_standard_output(run: Run) -> None:
    ran = run(*CHRISTMAS, "--year", "2027", "--closed")
    version = metadata.version("holidays")
    assert (ran.code, rows(ran.out)) == (
        0,
        [
            {
                "store_id": "*",
                "date": f"{year}-12-25",
                "start_time_local": "closed",
                "end_time_local": "closed",
                "name": f"Christmas Day (holidays {version})",
            }
            for year in (2026, 2027)
        ],
    )
    assert f"2 dates of US, by the library holidays {version}\n" in ran.err
    assert "holidays of regions alone are not among them; name one, such as US-AK" in ran.err
    assert "`uphours load" not in ran.err  # there is no file


def test_holidays_go_into_a_file_for_some_stores_with_a_split_shift(run: Run, tmp_path: Path) -> None:
    hours = ["--hours", "10:00-12:00", "--hours", "18:00-02:00"]
    ran = run(*CHRISTMAS, *hours, "--store", "7", "--store", "0012", "-o", "my special.csv")
    assert (ran.code, ran.out) == (0, b"")
    assert "`uphours load --special 'my special.csv'` loads them" in ran.err
    written = rows((tmp_path / "my special.csv").read_bytes())
    assert [(row["store_id"], row["start_time_local"], row["end_time_local"]) for row in written] == [
        ("7", "10:00", "12:00"), ("7", "18:00", "02:00"), ("0012", "10:00", "12:00"), ("0012", "18:00", "02:00")
    ]  # fmt: skip


def test_estimates_are_told(run: Run) -> None:
    assert re.search(
        r"of these (is an estimate|are estimates)", run("holidays", "TR", "--year", "2090", "--closed").err
    )


MISTAKES: list[tuple[list[str], list[str]]] = [
    (["holidays", "US", "--closed"], ["Missing option '--year'"]),
    (["holidays", "US", "--year", "26", "--closed"], ["--year", "1970<=x<=2199"]),
    (["holidays", "US", "--year", "2026"], ["not said", "--closed and --hours 10:00-16:00"]),
    ([*CHRISTMAS, "--closed", "--hours", "10:00-16:00"], ["both", "valid is one of --closed and --hours"]),
    ([*CHRISTMAS, "--hours", "10-16"], ["hours are '10-16'; valid are such as 10:00-16:00"]),
    (["holidays", "XX", "--year", "2026", "--closed"], ["known of 'XX'; valid are AD, AE"]),
    (["holidays", "US-XX", "--year", "2026", "--closed"], ["known of 'US-XX'; valid are US, US-AK"]),
    (
        ["holidays", "US", "--year", "2026", "--closed", "--only", "X"],
        ["no public holiday 'X' in US", "New Year's Day"],
    ),
    ([*CHRISTMAS, "--closed", "--store", " "], ["store id is ' '", "valid are texts"]),
    ([*CHRISTMAS, "--closed", "-o", "special.xlsx"], ["special.xlsx ends in .xlsx", "valid are .csv"]),
    ([*CHRISTMAS, "--closed", "-o", "nowhere/special.csv"], ["cannot write nowhere/special.csv"]),
    (["import"], ["hours"]),
    (["import", "hour"], ["No such command 'hour'"]),
    (["import", "hours", "-o", "out"], ["Missing argument 'FILE'"]),
    (["import", "hours", "hours.csv"], ["Missing option '--output'"]),
    (["import", "hours", "nowhere.json", "-o", "out"], ["cannot read nowhere.json"]),
    (["import", "hours", ".", "-o", "out"], ["cannot read .: Is a directory"]),
    (["import", "hours", "empty.csv", "-o", "out"], ["empty.csv is empty; valid are Google's JSON"]),
    (["import", "hours", "noise", "-o", "out"], ["noise is not UTF-8 at byte 0"]),
    (["import", "hours", "long.csv", "-o", "out"], ["long.csv is no CSV from line 3 on: field larger than"]),
    (["import", "hours", "page.html", "-o", "out"], ["page.html has no format", "save the JSON-LD alone"]),
    (["import", "hours", "none.json", "-o", "out"], ["none.json: no store is described; nothing was written"]),
    (
        ["import", "hours", "hours.csv", "--format", "yelp", "-o", "out"],
        ["no format 'yelp'", "google, schema.org, osm"],
    ),
    (["import", "hours", "hours.csv", "--format", "google", "-o", "out"], ["neither JSON nor JSON lines"]),
    (["import", "hours", "hours.csv", "--store", "7", "-o", "out"], ["names its stores itself", "for a calendar"]),
    (["import", "hours", "a.ics", "b.ics", "--store", "7", "-o", "out"], ["--store is for one calendar"]),
    (["import", "hours", "hours.csv", "--from", "2026-01-01", "-o", "out"], ["--to is missing", "--to 2027-01-01"]),
    (
        ["import", "hours", "hours.csv", "--from", "1.1.26", "--to", "2027-01-01", "-o", "out"],
        ["cannot read the date '1.1.26' of --from"],
    ),
    (
        ["import", "hours", "hours.csv", "--from", "2026-01-01", "--to", "2026-01-01", "-o", "out"],
        ["--to 2026-01-01 is not after --from 2026-01-01"],
    ),
    (["import", "hours", "hours.csv", "-o", "full"], ["something at full already", "new or empty"]),
    (["import", "hours", "hours.csv", "-o", "hours.csv"], ["something at hours.csv already", "new or empty"]),
    (["import", "hours", "hours.csv", "-o", "no/where"], ["cannot write no/where", "a new folder in one that exists"]),
    (["import", "hours", "hours.csv", "--strict", "often", "-o", "out"], ["cannot read the share 'often'"]),
    (["import", "hours", "hours.csv", "--quarantine", "q.json", "-o", "out"], ["--quarantine q.json ends in .json"]),
]


@pytest.mark.parametrize(("words", "says"), MISTAKES, ids=lambda value: " ".join(value))
def test_a_mistake_is_one_message_and_writes_nothing(
    words: list[str], says: list[str], run: Run, tmp_path: Path
) -> None:
    for name, content in {
        "hours.csv": HOURS_CSV,
        "empty.csv": " \n",
        "page.html": "<html></html>",
        "long.csv": f"ref,opening_hours\n1,24/7\n2,{'x' * 1_000_000}\n",
        "none.json": '{"type": "FeatureCollection", "features": []}',
    }.items():
        tables.write(tmp_path / name, content)
    (tmp_path / "noise").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "full").mkdir()
    tables.write(tmp_path / "full" / "hours.csv", "mine")
    before = sorted(tmp_path.rglob("*"))
    ran = run(*words)
    assert ran.code == 2
    assert "Traceback" not in ran.err
    said = " ".join((ran.err + ran.out.decode()).split())
    for words_said in says:
        assert words_said in said
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("module", "words"), [("holidays", CHRISTMAS), ("ical", ("import", "hours", "a.ics"))])
def test_without_the_extra_the_hint_says_how_to_install_it(
    module: str, words: tuple[str, ...], run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [
        name for name in sys.modules if re.match(rf"{module}(\.|$)|uphours.*\.(icalendar|calendar_events)$", name)
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not there
    monkeypatch.delattr("uphours.ingest.formats.icalendar", raising=False)
    tables.write(tmp_path / "a.ics", (HERE / "shop.ics").read_text())
    ran = run(*words, "--closed") if module == "holidays" else run(*words, "-o", "out")
    assert (ran.code, ran.out) == (2, b"")
    assert "need the extra: pip install 'uphours[calendars]'" in ran.err


# --- import hours -------------------------------------------------------------------------------------------


def imported(run: Run, folder: Path, content: str = HOURS_CSV, *words: str) -> tuple[str, str]:
    """Import a file into ``out``; return what it printed and said."""
    tables.write(folder / "shops.csv", content)
    ran = run("import", "hours", "shops.csv", "-o", "out", *words)
    assert ran.code == 0, ran.err
    return ran.out.decode(), ran.err


def test_an_import_says_what_it_did_and_how_to_load_it(run: Run, tmp_path: Path) -> None:
    out, err = imported(run, tmp_path)
    assert out.splitlines() == [
        "osm        shops.csv: 4 stores, 12 rows of hours, 0 of special hours, 0 time zones, 3 attributes, 1 rejected",
        "           1 × rule … names no hours; valid are such as Mo-Fr 09:00-17:00 "
        "(no. 3, opening_hours, store 2: Mo-Fr 9-17)",
        "           1 × hours of public holidays are not used; write special hours for them "
        "(no. 5, opening_hours, store 4)",
        "           1 × no weekly hours are given for 1 of 4 stores (3); a store without any counts as always open",
    ]
    assert err.splitlines() == [
        "hours of 1 store are unknown: a row of hours.csv says so, and a load rejects it on purpose",
        "--quarantine FILE keeps what is rejected",
        "`uphours load --hours out/hours.csv --stores out/stores.csv` loads the folder",
    ]
    assert rows((tmp_path / "out/stores.csv").read_bytes()) == [
        {"store_id": "1", "name": "One"}, {"store_id": "2", "name": "Two"}, {"store_id": "3", "name": "Three"}
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["hours.csv", "stores.csv"]


def known(run: Run) -> dict[str, tuple[bool, int]]:
    listed = json.loads(run("stores", "--json").out)
    return {row["store_id"]: (row["hours_known"], row["hours_rows"]) for row in listed}


def test_a_store_of_which_no_hours_could_be_used_has_unknown_hours_in_the_database(run: Run, tmp_path: Path) -> None:
    imported(run, tmp_path)
    ran = run("load", "--hours", "out/hours.csv")
    assert ran.code == 0
    assert "1 store counts with unknown hours" in ran.out.decode()
    assert known(run) == {"1": (True, 5), "2": (False, 0), "4": (True, 7)}


def place(name: str, zone: Any) -> dict[str, Any]:
    period = {"open": {"day": 1, "hour": 9}, "close": {"day": 1, "hour": 17}}
    return {"id": name, "timeZone": zone, "regularOpeningHours": {"periods": [period]}}


def test_a_zone_that_cannot_be_used_leaves_hours_unknown_and_is_not_chicago(run: Run, tmp_path: Path) -> None:
    # The name of a zone as a text is no object with an id, and so it is not read, though a load would know it.
    value = {"places": [place("1", {"id": "Europe/Berlin"}), place("2", "CET")]}
    imported(run, tmp_path, json.dumps(value))
    assert run("load", "--hours", "out/hours.csv", "--timezones", "out/timezones.csv").code == 0
    assert {name: is_known for name, (is_known, _) in known(run).items()} == {"1": True, "2": False}
    tables.write(tmp_path / "one.json", json.dumps({"places": [place("3", "CET")]}))
    ran = run("import", "hours", "one.json", "-o", "new")
    assert ran.code == 2
    assert (
        "no hours, or no time zone, of one.json can be used: 1 rejected, 1 × timeZone is …; valid has an id" in ran.err
    )


def test_every_known_format_can_be_loaded_from_the_folder(run: Run) -> None:
    files = sorted(HERE.iterdir())
    ran = run("import", "hours", *files, "-o", "out", "--from", "2026-01-01", "--to", "2027-01-01")
    assert ran.code == 0
    command = re.search(r"`(uphours load .*)` loads the folder", ran.err)
    assert command is not None
    words = shlex.split(command[1])[1:]
    assert words[1::2] == ["--hours", "--special", "--timezones", "--stores"]
    ran = run("load", *words[1:3], *words[5:7])
    assert ran.code == 0
    # What a load rejects are the stores with unknown hours, and nothing else.
    unknown = sorted(row["store_id"] for row in rows(Path("out/hours.csv").read_bytes()) if row["day"] == "")
    assert sorted(name for name, (is_known, _) in known(run).items() if not is_known) == unknown
    assert f", {len(unknown)} rejected" in ran.out.decode()


def test_of_two_files_with_the_same_store_the_first_one_holds(run: Run, tmp_path: Path) -> None:
    tables.write(tmp_path / "a.csv", "ref,opening_hours\n1,Mo 09:00-17:00\n")
    tables.write(tmp_path / "b.csv", "ref,opening_hours\n1,24/7\n2,24/7\n")
    ran = run("import", "hours", "a.csv", "b.csv", "a.csv", "-o", "out", "--quarantine", "q.csv")
    assert ran.code == 0
    assert "1 × a store is described twice (no. 2: 1)" in ran.out.decode()
    assert [row["store_id"] for row in rows((tmp_path / "out/hours.csv").read_bytes())] == ["1", *7 * ["2"]]
    reason = "store '1' is described a second time; the first time is no. 2 of a.csv"
    assert rows((tmp_path / "q.csv").read_bytes()) == [
        {"reason": reason, "file": "b.csv", "line": "2", "path": "", "store_id": "", "row": "1"}
    ]


def test_a_file_of_which_nothing_can_be_used_is_an_error_and_the_quarantine_is_written(
    run: Run, tmp_path: Path
) -> None:
    tables.write(tmp_path / "good.csv", "ref,opening_hours\n1,24/7\n")
    tables.write(tmp_path / "bad.csv", "ref,opening_hours\n=2,9-17\n,24/7\n")
    ran = run("import", "hours", "good.csv", "bad.csv", "-o", "out", "--quarantine", "q.csv")
    assert (ran.code, ran.out) == (2, b"")
    assert "of bad.csv can be used: 2 rejected" in ran.err
    assert "good.csv" not in ran.err
    assert ran.err.endswith("nothing was written\n")
    assert not (tmp_path / "out").exists()
    assert [row["store_id"] for row in rows((tmp_path / "q.csv").read_bytes())] == ["'=2", ""]  # no formula


def test_strict_counts_stores(run: Run, tmp_path: Path) -> None:
    imported(run, tmp_path, HOURS_CSV, "--strict", "25%")
    ran = run("import", "hours", "shops.csv", "-o", "new", "--strict", "0.2")
    assert ran.code == 2
    assert "of 1 of 4 stores something is rejected, more than 20.0000%: shops.csv: 1 rejected, 1 × rule" in ran.err
    assert not (tmp_path / "new").exists()


def test_json_says_the_same(run: Run, tmp_path: Path) -> None:
    out, _ = imported(run, tmp_path, HOURS_CSV, "--json")
    said = json.loads(out)
    (file,) = said.pop("files")
    assert said == {
        "stores": 4,
        "hours_unknown": ["2"],
        "written": ["out/hours.csv", "out/stores.csv"],
        "load": "uphours load --hours out/hours.csv --stores out/stores.csv",
    }
    assert (file["name"], file["format"], file["stores"], file["hours"]) == ("shops.csv", "osm", 4, 12)
    assert file["rejected"] == [
        {
            "cause": "rule … names no hours; valid are such as Mo-Fr 09:00-17:00",
            "times": 1,
            "line": 3,
            "path": "opening_hours",
            "store_id": "2",
            "raw": "Mo-Fr 9-17",
        }
    ]
    assert [notice["times"] for notice in file["notices"]] == [1, 1]


def test_a_calendar_is_of_the_store_that_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (HERE / "shop.ics").read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    ran = run("import", "hours", "-", "--store", "0042", "-o", "out")
    assert ran.code == 0, ran.err
    assert {row["store_id"] for row in rows(Path("out/hours.csv").read_bytes())} == {"0042"}
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    ran = run("import", "hours", "-", "-o", "new")
    assert ran.code == 2
    assert "name it with --store" in ran.err


def test_a_store_that_is_called_like_all_of_them_is_rejected(run: Run, tmp_path: Path) -> None:
    out, _ = imported(run, tmp_path, "ref,opening_hours\n*,2026 Dec 25 off; 24/7\n1,24/7\n")
    assert "which stands for every store" in out
    assert {row["store_id"] for row in rows((tmp_path / "out/hours.csv").read_bytes())} == {"1"}


def test_two_thousand_stores_are_a_few_lines(run: Run, tmp_path: Path) -> None:
    lines = [f"{number},{'24/7; PH off' if number % 2 else '9-17'}" for number in range(2_000)]
    out, err = imported(run, tmp_path, "\n".join(["ref,opening_hours", *lines, ""]))
    assert len(out.splitlines()) == 3
    assert "1,000 × hours of public holidays are not used" in out
    assert "hours of 1,000 stores are unknown" in err
    assert (tmp_path / "out/hours.csv").read_bytes().count(b"\n") == 1 + 1_000 * 7 + 1_000


def test_what_is_cut_off_is_said_to_be(run: Run, tmp_path: Path) -> None:
    """A value of 100 kB stays out of the terminal, and out of the files."""
    out, _ = imported(run, tmp_path, f"ref,opening_hours\n1,{'x' * 100_000}\n2,24/7\n", "--quarantine", "q.csv")
    assert len(out) < 2_000
    assert (tmp_path / "q.csv").stat().st_size < 10_000
    assert (tmp_path / "out/hours.csv").stat().st_size < 2_000
