import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import openpyxl  # type: ignore[import-untyped]
import polars as pl
import pytest
from polars.testing import assert_frame_equal

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours import __version__
from uphours.errors import InputError
from uphours.ingest.memory_fleet import MemoryFleet
from uphours.kernel.adjustments import nothing_adjusted
from uphours.kernel.local_time import tzdata_version
from uphours.kernel.policy import Policy
from uphours.kernel.windows import Window, Windows
from uphours.reports.measure import run_report
from uphours.reports.report import Report, Totals
from uphours.reports.writers import FORMATS, MEDIA_TYPES, spreadsheet_safe, written
from uphours.schema import DAY_US, HOUR_US, SECOND_US, Fleet, Observations, Schedule, instant_us

AS_OF = instant_us("2023-01-25 18:00 UTC")


def report_of(
    uptime_us: int,
    downtime_us: int,
    unknown_us: int = 0,
    *,
    watched_us: int | None = None,
    window: str = "last_hour",
    assume: str = "unknown",
) -> Report:
    """Return a report of one store and window with given figures."""

    def one(value: int) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([[value]], dtype=np.int64)

    business_us = uptime_us + downtime_us + unknown_us
    return Report(
        as_of=AS_OF,
        policy=Policy(assume=assume),  # type: ignore[arg-type]
        version=__version__,
        tzdata="2026.1",
        store_ids=["a"],
        windows=Windows((window,), one(0), one(AS_OF), {window: (0, AS_OF)}),
        totals=Totals(
            one(uptime_us),
            one(downtime_us),
            one(unknown_us),
            one(0),
            one(business_us),
            one(business_us),
            one(uptime_us),
            one(downtime_us),
            one(unknown_us),
            one(uptime_us + downtime_us if watched_us is None else watched_us),
            one(0),
            one(business_us),
            one(7),
            outages=one(1),
            longest_outage_us=one(downtime_us),
        ),
        hours_known=np.ones(1, dtype=np.bool_),
    )


def cells(report: Report, *, detail: bool = True) -> dict[str, str]:
    """Return the cells of the one row by the title of the column, without the name of the window."""
    header, line, end = written(report, "csv", detail=detail).decode().split("\n")
    assert end == ""
    titles = [title.removesuffix(f"_{report.windows.names[0]}") for title in header.split(",")]
    return dict(zip(titles, line.split(","), strict=True))


def fleet(*tables: pl.DataFrame | None) -> MemoryFleet:
    return uphours.validate(*tables).fleet


# --- figures for people ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("us", "minutes"),
    [
        (0, "0.00"),
        (1, "0.00"),
        (300_000, "0.00"),  # exactly 0.005: to the even one
        (300_001, "0.01"),
        (899_999, "0.01"),
        (900_000, "0.02"),  # 0.015
        (1_500_000, "0.02"),  # 0.025
        (2_100_000, "0.04"),  # 0.035
        (3_598_800_000, "59.98"),
        (3_599_699_999, "59.99"),
        (3_599_700_000, "60.00"),  # 59.995
        (3_600_000_000, "60.00"),
    ],
)
def test_the_columns_of_the_hour_are_minutes_rounded_half_to_even(us: int, minutes: str) -> None:
    assert cells(report_of(us, 0))["uptime"] == minutes
    assert cells(report_of(0, us))["downtime"] == minutes


@pytest.mark.parametrize("window", ["last_day", "last_week", "today", "own"])
@pytest.mark.parametrize(
    ("us", "hours"),
    [
        (17_999_999, "0.00"),
        (18_000_000, "0.00"),  # exactly 0.005
        (18_000_001, "0.01"),
        (54_000_000, "0.02"),  # 0.015
        (90_000_000, "0.02"),  # 0.025
        (168 * HOUR_US - 18_000_000, "168.00"),  # 167.995
        (168 * HOUR_US - 18_000_001, "167.99"),
        (2_000_000 * HOUR_US, "2000000.00"),
    ],
)
def test_all_other_columns_are_hours_rounded_half_to_even(window: str, us: int, hours: str) -> None:
    assert cells(report_of(us, 0, window=window))["uptime"] == hours


@pytest.mark.parametrize(
    ("up", "down", "shown"),
    [
        (1, 1, "50.00"),
        (1, 2, "33.33"),
        (2, 1, "66.67"),
        (50_005, 49_995, "50.00"),  # 50.005: to the even one
        (50_015, 49_985, "50.02"),
        (50_025, 49_975, "50.02"),
        (10, 0, "100.00"),
        (0, 10, "0.00"),
        (24_999, 1, "99.99"),
        (10**15, 1, "99.99"),
        (99_995, 5, "99.99"),  # 99.995 would be 100.00
        (1, 24_999, "0.01"),
        (1, 10**15, "0.01"),
        (5, 99_995, "0.01"),  # 0.005 would be 0.00
        # Longer than any window: the years 1970 to 2199, all but a microsecond of one.
        (7_258_118_400 * SECOND_US - 1, 1, "99.99"),
        (7_258_118_400 * SECOND_US, 0, "100.00"),
        (3_629_059_200 * SECOND_US, 3_629_059_200 * SECOND_US, "50.00"),
    ],
)
def test_a_percentage_is_rounded_half_to_even_and_all_or_nothing_only_when_exact(
    up: int, down: int, shown: str
) -> None:
    assert cells(report_of(up, down, window="own"))["availability"] == shown


def test_coverage_is_the_watched_share_of_business_time() -> None:
    assert cells(report_of(1, 1, 2, watched_us=2))["coverage"] == "50.00"
    assert cells(report_of(25_000, 0, watched_us=24_999))["coverage"] == "99.99"
    assert cells(report_of(4, 0, watched_us=0))["coverage"] == "0.00"
    assert cells(report_of(0, 0, 4, watched_us=4))["coverage"] == "100.00"


def test_where_there_is_nothing_to_divide_by_the_cell_is_empty() -> None:
    unknown = cells(report_of(0, 0, HOUR_US))
    assert (unknown["availability"], unknown["coverage"]) == ("", "0.00")
    closed = cells(report_of(0, 0, 0))
    assert (closed["availability"], closed["coverage"]) == ("", "")


def test_the_columns_stand_in_their_order() -> None:
    made = run_report(fleet(polls(("a", "active", "2023-01-25 18:00 UTC"))))
    assert written(made, "csv").decode().splitlines() == [
        "store_id,uptime_last_hour,uptime_last_day,uptime_last_week,"
        "downtime_last_hour,downtime_last_day,downtime_last_week",
        "a,60.00,24.00,168.00,0.00,0.00,0.00",
    ]
    detail = written(replace(report_of(HOUR_US // 2, HOUR_US // 2)), "csv", detail=True).decode().splitlines()
    assert detail == [
        "store_id,uptime_last_hour,downtime_last_hour,unknown_last_hour,excluded_last_hour,business_time_last_hour,"
        "availability_last_hour,coverage_last_hour,uptime_min_last_hour,uptime_max_last_hour,"
        "raw_uptime_last_hour,raw_downtime_last_hour,raw_unknown_last_hour,"
        "observations_last_hour,outages_last_hour,longest_outage_last_hour,hours_known",
        "a,30.00,30.00,0.00,0.00,60.00,50.00,100.00,0.00,60.00,30.00,30.00,0.00,7,1,30.00,true",
    ]


@pytest.mark.parametrize("name", ["min_x", "max_load"])
def test_a_window_whose_columns_could_be_taken_for_bounds_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="no min_ or max_ in front"):
        Window(name, "2023-01-25", "2023-01-26")


def test_ids_with_commas_quotes_and_line_ends_stay_one_cell() -> None:
    made = replace(report_of(HOUR_US, 0), store_ids=['a,"b"'])
    assert written(made, "csv").decode().splitlines()[1] == '"a,""b""",60.00,0.00'


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1+1", "'\t=1+1"),
        ("1001", "1001"),
        ("a=b", "a=b"),
        ("1-1", "1-1"),
        ("'=1", "'=1"),
        ("a\n=1", "a\n=1"),
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str, safe: str) -> None:
    assert spreadsheet_safe(pl.Series([text])).to_list() == [safe]


# --- exact formats -----------------------------------------------------------------------------------


def test_json_is_exact_and_has_this_structure() -> None:
    made = run_report(
        fleet(
            polls(("a", "inactive", "2023-01-25 16:30 UTC"), ("a", "active", "2023-01-25 17:15:00.5 UTC")),
            hours(("a", EVERY_DAY, "09:00", "17:45"), ("b", EVERY_DAY, "03:00", "04:00")),
            zones({"a": "UTC", "b": "UTC"}),
        ),
        as_of=AS_OF,
        chosen=["last_hour", "today"],
        all_stores=True,
    )
    midnight = instant_us("2023-01-25")
    expected = {
        "as_of": "2023-01-25T18:00:00Z",
        "as_of_us": AS_OF,
        "policy": {
            "interpolation": "previous",
            "prefer_in_session": True,
            "only_watched": False,
            "assume": "unknown",
            "max_age_us": None,
            "confirm_within_us": 2 * HOUR_US,
        },
        "version": __version__,
        "tzdata": tzdata_version(),
        "windows": {
            "last_hour": {"start_us": AS_OF - HOUR_US, "end_us": AS_OF},
            "today": {"start_us": None, "end_us": None},
        },
        "stores": [
            {
                "store_id": "a",
                "hours_known": True,
                "windows": {
                    "last_hour": {
                        "uptime_us": 1_799_500_000,
                        "downtime_us": 900_500_000,
                        "unknown_us": 0,
                        "excluded_us": 0,
                        "scheduled_us": 2_700_000_000,
                        "business_us": 2_700_000_000,
                        "raw_uptime_us": 1_799_500_000,
                        "raw_downtime_us": 900_500_000,
                        "raw_unknown_us": 0,
                        "watched_us": 2_700_000_000,
                        "uptime_min_us": 0,
                        "uptime_max_us": 2_700_000_000,
                        "availability": 1_799_500_000 / 2_700_000_000,
                        "coverage": 1.0,
                        "observations": 1,
                        "outages": 1,
                        "longest_outage_us": 900_500_000,
                    },
                    "today": {
                        "start_us": midnight,
                        "end_us": midnight + DAY_US,
                        "uptime_us": 1_799_500_000,
                        "downtime_us": 8 * HOUR_US + 900_500_000,
                        "unknown_us": 0,
                        "excluded_us": 0,
                        "scheduled_us": 8 * HOUR_US + 2_700_000_000,
                        "business_us": 8 * HOUR_US + 2_700_000_000,
                        "raw_uptime_us": 1_799_500_000,
                        "raw_downtime_us": 8 * HOUR_US + 900_500_000,
                        "raw_unknown_us": 0,
                        "watched_us": HOUR_US + HOUR_US // 4,  # from the first poll to closing
                        "uptime_min_us": 0,
                        "uptime_max_us": 8 * HOUR_US + 2_700_000_000,
                        "availability": 1_799_500_000 / (8 * HOUR_US + 2_700_000_000),
                        "coverage": (HOUR_US + HOUR_US // 4) / (8 * HOUR_US + 2_700_000_000),
                        "observations": 2,
                        "outages": 1,
                        "longest_outage_us": 8 * HOUR_US + 900_500_000,
                    },
                },
            },
            {
                "store_id": "b",
                "hours_known": True,
                "windows": {
                    "last_hour": {
                        "uptime_us": 0,
                        "downtime_us": 0,
                        "unknown_us": 0,
                        "excluded_us": 0,
                        "scheduled_us": 0,
                        "business_us": 0,
                        "raw_uptime_us": 0,
                        "raw_downtime_us": 0,
                        "raw_unknown_us": 0,
                        "watched_us": 0,
                        "uptime_min_us": 0,
                        "uptime_max_us": 0,
                        "availability": None,
                        "coverage": None,
                        "observations": 0,
                        "outages": 0,
                        "longest_outage_us": 0,
                    },
                    "today": {
                        "start_us": midnight,
                        "end_us": midnight + DAY_US,
                        "uptime_us": 0,
                        "downtime_us": 0,
                        "unknown_us": HOUR_US,
                        "excluded_us": 0,
                        "scheduled_us": HOUR_US,
                        "business_us": HOUR_US,
                        "raw_uptime_us": 0,
                        "raw_downtime_us": 0,
                        "raw_unknown_us": HOUR_US,
                        "watched_us": 0,
                        "uptime_min_us": 0,
                        "uptime_max_us": HOUR_US,
                        "availability": None,
                        "coverage": 0.0,
                        "observations": 0,
                        "outages": 0,
                        "longest_outage_us": 0,
                    },
                },
            },
        ],
    }
    text = written(made, "json").decode()
    assert text.endswith("}\n")
    assert json.loads(text, parse_constant=pytest.fail) == expected
    # The order of names is part of the bytes.
    assert list(json.loads(text)) == list(expected)
    assert json.dumps(json.loads(text), separators=(",", ":")) + "\n" == text


def test_json_has_the_bounds_of_a_store_where_one_of_them_is_a_local_midnight() -> None:
    made = run_report(
        fleet(polls(("a", "active", "2023-01-25 18:00 UTC")), None, zones({"a": "Asia/Tokyo"})),
        chosen=[Window("dates", "2023-01-24", "2023-01-25"), Window("mixed", "2023-01-24T06:00Z", "2023-01-25")],
    )
    found = json.loads(written(made, "json"))
    begins, ends = instant_us("2023-01-23 15:00 UTC"), instant_us("2023-01-24 15:00 UTC")
    at_six = instant_us("2023-01-24 06:00 UTC")
    assert found["windows"] == {
        "dates": {"start_us": None, "end_us": None},
        "mixed": {"start_us": at_six, "end_us": None},
    }
    of_store = found["stores"][0]["windows"]
    assert {name: (of["start_us"], of["end_us"]) for name, of in of_store.items()} == {
        "dates": (begins, ends),
        "mixed": (at_six, ends),
    }
    assert [of["scheduled_us"] for of in of_store.values()] == [DAY_US, 9 * HOUR_US]


def test_a_window_that_ends_before_it_starts_at_a_store_is_empty_there() -> None:
    made = run_report(
        fleet(
            polls(*((store, "active", f"2023-01-24 {hour}:00 UTC") for store in "ab" for hour in ("04", "18"))),
            None,
            zones({"a": "America/Chicago", "b": "Asia/Tokyo"}),
        ),
        chosen=[Window("mixed", "2023-01-24", "2023-01-24T05:00Z")],
    )
    table = made.table()
    assert table["scheduled_us"].to_list() == [0, 14 * HOUR_US]
    assert table["observations"].to_list() == [0, 1]
    assert min(table.select(pl.col(pl.Int64).exclude("start_us", "end_us")).to_series().to_list()) == 0


def test_an_id_is_written_into_json_as_it_is() -> None:
    made = replace(report_of(1, 1), store_ids=['=é"☃'])
    text = written(made, "json").decode()
    assert "☃" in text
    assert json.loads(text)["stores"][0]["store_id"] == '=é"☃'


def test_parquet_holds_the_table_and_what_it_was_made_with() -> None:
    made = run_report(
        fleet(polls(("a", "active", "2023-01-25 16:30 UTC"), ("b", "inactive", "2023-01-25 18:00 UTC"))),
        policy=Policy(max_age=timedelta(hours=1)),
    )
    file = written(made, "parquet")
    assert pl.read_parquet(io.BytesIO(file)).equals(made.table())
    metadata = pl.read_parquet_metadata(io.BytesIO(file))
    facts = {
        name.removeprefix("uphours."): json.loads(value)
        for name, value in metadata.items()
        if name.startswith("uphours.")
    }
    assert facts == made.facts()
    assert facts["policy"]["max_age_us"] == HOUR_US
    assert facts["as_of"] == "2023-01-25T18:00:00Z"


def test_the_table_has_one_row_per_store_and_window_with_null_for_no_ratio() -> None:
    table = run_report(
        fleet(polls(("b", "active", "2023-01-25 18:00 UTC"), ("a", "active", "2023-01-25 10:00 UTC"))),
        chosen=["last_day", "last_hour"],
        policy=Policy(max_age=timedelta(hours=1)),
    ).table()
    assert table.select("store_id", "window").rows() == [
        ("a", "last_day"), ("a", "last_hour"), ("b", "last_day"), ("b", "last_hour"),
    ]  # fmt: skip
    assert table["availability"].to_list() == [1.0, None, 1.0, 1.0]
    assert table["coverage"].to_list() == [2 / 24, 0.0, 0.0, 0.0]
    assert table.schema == {
        "store_id": pl.String,
        "window": pl.String,
        "hours_known": pl.Boolean,
        **dict.fromkeys(("start_us", "end_us", "uptime_us", "downtime_us", "unknown_us"), pl.Int64),
        **dict.fromkeys(("excluded_us", "scheduled_us", "business_us"), pl.Int64),
        **dict.fromkeys(("raw_uptime_us", "raw_downtime_us", "raw_unknown_us"), pl.Int64),
        **dict.fromkeys(("watched_us", "uptime_min_us", "uptime_max_us"), pl.Int64),
        **dict.fromkeys(("availability", "coverage"), pl.Float64),
        **dict.fromkeys(("observations", "outages", "longest_outage_us"), pl.Int64),
    }


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_report_is_the_same_bytes(form: str) -> None:
    made = [run_report(fleet(polls(("a", "active", "2023-01-25 18:00 UTC")))) for _ in range(2)]
    assert written(made[0], form) == written(made[1], form)


@pytest.mark.parametrize("form", ["", "CSV", "xls"])
def test_an_unknown_format_is_refused_with_the_known_ones(form: str) -> None:
    with pytest.raises(InputError, match=r"valid are csv, json, parquet, xlsx$"):
        written(report_of(1, 1), form)


def test_every_format_has_its_media_type() -> None:
    assert tuple(MEDIA_TYPES) == FORMATS
    assert all(written(report_of(1, 1), form) for form in MEDIA_TYPES)


@pytest.mark.parametrize("form", FORMATS)
def test_the_loads_that_a_report_saw_are_in_its_record_and_in_no_output(form: str) -> None:
    observed = fleet(polls(("a", "active", "2023-01-25 18:00 UTC")))
    seen = run_report(observed, loads_seen=7)
    assert seen.loads_seen == 7
    assert written(seen, form) == written(run_report(observed), form)


def test_a_report_names_the_zone_rules_it_was_made_with_and_not_those_of_today() -> None:
    made = run_report(fleet(polls(("a", "active", "2023-01-25 18:00 UTC"))))
    assert made.tzdata == tzdata_version()
    old = replace(made, tzdata="2019.3")
    assert old.facts()["tzdata"] == "2019.3"
    assert json.loads(written(old, "json"))["tzdata"] == "2019.3"


# --- assume ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("assume", "up", "down", "unknown", "availability"),
    [
        ("unknown", 10, 20, 30, 10 / 30),
        ("active", 40, 20, 0, 40 / 60),
        ("inactive", 10, 50, 0, 10 / 60),
    ],
)
def test_unknown_time_is_booked_as_assumed_and_coverage_stays_honest(
    assume: str, up: int, down: int, unknown: int, availability: float
) -> None:
    made = report_of(10, 20, 30, assume=assume)
    found = made.table().to_dicts()[0]
    assert (found["uptime_us"], found["downtime_us"], found["unknown_us"]) == (up, down, unknown)
    assert found["availability"] == availability
    assert (found["coverage"], found["business_us"]) == (0.5, 60)
    assert (found["longest_outage_us"], found["outages"]) == (20, 1)
    assert cells(made)["coverage"] == "50.00"


# --- which stores, which instant ---------------------------------------------------------------------


def test_a_store_that_was_first_observed_after_as_of_is_not_reported() -> None:
    made = run_report(
        fleet(polls(("a", "active", "2023-01-25 18:00 UTC"), ("b", "active", "2023-01-25 18:00:00.000001 UTC"))),
        as_of=AS_OF,
    )
    assert list(made.store_ids) == ["a"]


def test_a_store_that_was_observed_long_ago_is_reported() -> None:
    made = run_report(
        fleet(polls(("old", "active", "2003-01-25 18:00 UTC"), ("a", "active", "2023-01-25 18:00 UTC"))),
    )
    assert list(made.store_ids) == ["a", "old"]


def test_without_an_observation_there_is_no_instant_to_report_for() -> None:
    with pytest.raises(InputError, match="no observations yet; load polls first, or name an instant"):
        run_report(fleet(polls()))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("chosen", [["last_hour"], ["today"], [Window("own", "2030-01-01", "2030-01-02")]])
def test_a_report_of_no_store_has_no_rows(form: str, chosen: list[str | Window]) -> None:
    made = run_report(fleet(polls()), as_of=AS_OF, chosen=chosen)
    assert made.table().height == 0
    assert written(made, form, detail=True)


def test_a_report_on_a_day_when_nobody_is_open_has_zeros() -> None:
    # Open on Mondays; as of a Wednesday.
    made = run_report(
        fleet(polls(("a", "inactive", "2023-01-25 18:00 UTC")), hours(("a", [0], "09:00", "17:00"))),
        chosen=["last_hour"],
    )
    assert written(made, "csv").decode().splitlines()[1:] == ["a,0.00,0.00"]


def test_a_window_after_as_of_has_no_business_time() -> None:
    made = run_report(
        fleet(polls(("a", "active", "2023-01-25 18:00 UTC"))),
        chosen=[Window("later", "2023-02-01", "2023-02-02"), "last_hour"],
    )
    assert made.table()["business_us"].to_list() == [0, HOUR_US]


def test_a_window_from_the_first_to_the_last_instant_is_counted_whole() -> None:
    made = run_report(
        fleet(polls(("a", "active", "2023-01-25 18:00 UTC"))),
        chosen=[Window("all_time", "1970-01-01T00:00Z", "2199-12-31T00:00Z")],
    )
    assert made.table()["uptime_us"].to_list() == [AS_OF]
    assert cells(made)["availability"] == "100.00"


# --- progress ----------------------------------------------------------------------------------------


def many(n: int) -> MemoryFleet:
    return fleet(polls(*((str(store), "active", "2023-01-25 18:00 UTC") for store in range(n))))


def test_parts_of_a_report_together_say_what_all_of_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    made = run_report(many(5))
    made = replace(made, hours_known=np.array([True, True, True, False, True]))
    whole = [written(made, form, detail=True) for form in ("csv", "json")]
    monkeypatch.setattr("uphours.reports.report.STORES_IN_PART", 2)
    assert_frame_equal(pl.concat(part.table() for part in made.in_parts()), made.table())
    assert [written(made, form, detail=True) for form in ("csv", "json")] == whole
    book = openpyxl.load_workbook(io.BytesIO(written(made, "xlsx", detail=True)))
    assert [row[-1].value for row in book.worksheets[0].iter_rows(min_row=2)] == [*made.hours_known.tolist(), None]


@pytest.mark.parametrize("n", [1, 5000, 3 * 4096])
def test_progress_goes_from_none_to_all_stores_and_never_back(n: int) -> None:
    calls: list[tuple[int, int]] = []
    run_report(many(n), progress=lambda done, total: calls.append((done, total)))
    assert calls[0] == (0, n)
    assert calls[-1] == (n, n)
    assert calls == sorted(calls)
    assert {total for _, total in calls} == {n}


def test_progress_is_told_before_the_observations_are_read() -> None:
    calls: list[object] = []

    class Watched(MemoryFleet):
        def observations(self, start: int, end: int, as_of: int) -> Observations:
            calls.append("read")
            return super().observations(start, end, as_of)

    run_report(Watched(**vars(many(2))), progress=lambda *counts: calls.append(counts))
    assert calls[:2] == [(0, 2), "read"]
    assert calls[-1] == (2, 2)


@pytest.mark.parametrize("after", [0, 1])
def test_what_progress_raises_stops_the_report_and_comes_out(after: int) -> None:
    class CancelledError(Exception):
        pass

    calls: list[int] = []

    def cancel(done: int, total: int) -> None:
        calls.append(done)
        if done >= after:
            raise CancelledError

    n = 400_000  # a hundred parts, far more than are computed at once
    with pytest.raises(CancelledError):
        run_report(without_observations(n), as_of=AS_OF, progress=cancel)
    assert max(calls) < n


def without_observations(n: int) -> Fleet:
    none = np.empty(0, dtype=np.int64)

    schedule = Schedule(none.astype(np.int32), none, none, none, np.zeros(n, dtype=np.int32), ("UTC",))
    nothing = Observations(np.zeros(n + 1, dtype=np.int64), none, none.astype(np.uint8))
    return MemoryFleet([str(store) for store in range(n)], schedule, nothing_adjusted(n), nothing, None)
