"""Whatever a caller gives to the library or to Spark: a result, or an error of ours that says what is valid."""

from __future__ import annotations

import decimal
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import uphours
from tests.unit.tables import EVERY_DAY, hours, polls, zones
from uphours import InputError, Policy, UphoursError, Window
from uphours import spark as on_spark
from uphours.schema import LAST_INSTANT, MINUTE_US, YEAR_2000_US, instant_us

OBSERVATIONS = polls(("a", "active", "2023-01-25 09:00:00 UTC"), ("b", "inactive", "2023-01-25 18:00:00 UTC"))
HOURS = hours(("a", EVERY_DAY, "09:00", "17:00"))
ZONES = zones({"a": "UTC"})
AS_OF: Final = "2023-01-25 18:00:00 UTC"


@pytest.fixture(autouse=True, scope="module")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Any text is also a path, and what it names must not be there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        yield


# --- anything at all -----------------------------------------------------------------------------------------

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=-(1 << 63), max_value=(1 << 63) - 1).map(np.int64),
    st.floats(),
    st.floats().map(np.float64),
    st.complex_numbers(),
    st.decimals(),
    st.text(max_size=20),
    st.text(max_size=10).map(np.str_),
    st.binary(max_size=10),
    st.dates(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.timedeltas(),
    st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2250, 1, 1)).map(pd.Timestamp),  # noqa: DTZ001
    st.sampled_from(
        [
            pd.NaT, pd.NA, pd.Timedelta(hours=2), pd.Timestamp("2023-01-25", tz="Asia/Tokyo"), np.True_,
            np.datetime64("2023-01-25"), np.datetime64("NaT"), np.timedelta64(2, "h"), pa.scalar(5), uuid.UUID(int=5),
            pl.col("a"), pl.DataFrame, object(), print, ..., Policy, Window, 10**5000, float("nan"), Path("nothing"),
            "2023-01-25", "last_day", "nearest", "a", "9999-12-31 23:59 -23:00", "x" * 300, "\ud800", "\0", "-",
        ]
    ),
)  # fmt: skip
TABLES: st.SearchStrategy[Any] = st.sampled_from(
    [
        OBSERVATIONS, HOURS, ZONES, OBSERVATIONS.lazy(), OBSERVATIONS.lazy().select(pl.col("nothing")),
        pa.table(OBSERVATIONS), pd.DataFrame({"store_id": []}), OBSERVATIONS["store_id"], pd.Series([1.5]),
        pd.DataFrame([["a", "b"]], columns=["store_id", "store_id"]), {"store_id": ["a"]}, [{"store_id": "a"}],
        pd.DataFrame({"store_id": [b"a", 1]}), pa.table([["a"], ["b"]], names=["x", "x"]), pd.DataFrame(),
        pl.DataFrame(), np.array([["a"]]), uphours.validate(OBSERVATIONS, HOURS),
    ]
)  # fmt: skip
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    SCALARS,
    TABLES,
    st.lists(SCALARS, max_size=3),
    st.lists(SCALARS, max_size=3).map(tuple),
    st.lists(SCALARS, max_size=2).map(iter),
    st.dictionaries(st.text(max_size=3), SCALARS, max_size=2),
    st.lists(st.text(max_size=3) | st.sampled_from(["a", "last_day"]), max_size=3).map(np.array),
    st.sets(st.text(max_size=3), max_size=3),
    st.builds(lambda value: Window("own", value, AS_OF), st.just("2023-01-25")),
)

TABLE_ARGUMENTS: Final = {"observations": OBSERVATIONS, "business_hours": HOURS, "timezones": ZONES}
REPORT: Final = {"as_of": AS_OF, "windows": ["last_day"], "policy": Policy(), "all_stores": True}
SPANS: Final = {"start": "2023-01-24", "as_of": AS_OF, "policy": Policy()}
#: Every public function, with arguments that are good. On Spark it is the tables that are not, so that nothing starts.
FUNCTIONS: Final[dict[str, tuple[Callable[..., Any], dict[str, Any]]]] = {
    "validate": (uphours.validate, TABLE_ARGUMENTS),
    "report": (uphours.report, TABLE_ARGUMENTS | REPORT | {"stores": ["a"]}),
    "timeline": (uphours.timeline, TABLE_ARGUMENTS | SPANS),
    "outages": (uphours.outages, TABLE_ARGUMENTS | SPANS),
    "sessions": (
        uphours.sessions,
        {"business_hours": HOURS, "timezones": ZONES, "start": "2023-01-24", "end": AS_OF},
    ),
    "Policy": (Policy, {"max_age": None, "confirm_within": timedelta(hours=2), "assume": "unknown"}),
    "Window": (Window, {"name": "own", "start": "2023-01-24", "end": AS_OF}),
    "spark.validate": (on_spark.validate, TABLE_ARGUMENTS),
    "spark.report": (on_spark.report, TABLE_ARGUMENTS | REPORT | {"buckets": 3}),
    "spark.timeline": (on_spark.timeline, TABLE_ARGUMENTS | SPANS | {"buckets": 3}),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@given(data=st.data())
def test_no_argument_raises_another_error_than_ours(name: str, data: st.DataObject) -> None:
    function, good = FUNCTIONS[name]
    chosen = data.draw(st.lists(st.sampled_from(sorted(good)), min_size=1, max_size=2, unique=True))
    arguments = good | {argument: data.draw(ANYTHING, argument) for argument in chosen}
    with suppress(UphoursError):
        function(**arguments)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_good_arguments_are_good(name: str) -> None:
    function, good = FUNCTIONS[name]
    if name.startswith("spark"):
        with pytest.raises(
            InputError, match=r"^observations is of type polars.DataFrame; valid are DataFrames of Spark"
        ):
            function(**good)
    else:
        function(**good)


# --- each argument says what is valid ------------------------------------------------------------------------

NOT_INSTANTS: Final = [True, 1.5, b"2023", decimal.Decimal(3), pd.NaT, np.datetime64("2023-01-25"), [AS_OF], object()]
NOT_FLAGS: Final[list[Any]] = [None, 1, "yes", "", [], np.int64(1)]
NOT_POLICIES: Final = ["nearest", {"interpolation": "nearest"}, Policy, 5]
LAZY: Final = [OBSERVATIONS.lazy(), OBSERVATIONS.lazy().select("nothing")]
NOT_WINDOWS: Final = [
    "last_day", {"last_day"}, {"last_day": 1}, 5, iter(["last_day"]), OBSERVATIONS, *LAZY, np.array(5),
]  # fmt: skip
NOT_IN_WINDOWS: Final = [[("a", "2023-01-24", AS_OF)], [None], [5], [["last_day"]], [b"last_day"], [Window]]
NOT_STORES: Final = [
    "1001", b"1001", {"1001": 1}, 1001, iter(["1001"]), OBSERVATIONS, *LAZY, [1001], [None], [["1001"]],
]  # fmt: skip
REFUSED: Final[dict[tuple[str, ...], dict[str, list[tuple[list[Any], str]]]]] = {
    ("report", "timeline", "outages", "spark.report", "spark.timeline"): {
        "as_of": [(NOT_INSTANTS, "valid are text such as 2023-01-25T18:13:22Z, aware datetimes, dates")],
        "policy": [(NOT_POLICIES, r"policy is .*; valid are Policy objects such as Policy\(")],
    },
    ("timeline", "outages", "sessions", "spark.timeline"): {
        "start": [(NOT_INSTANTS, "^start is .*valid are text such as")],
    },
    ("sessions",): {"end": [([None, *NOT_INSTANTS], "^end is .*valid are text such as")]},
    ("report", "spark.report"): {
        "all_stores": [(NOT_FLAGS, "^all_stores is .*; valid are True and False$")],
        "windows": [
            (NOT_WINDOWS, r"^windows is .*; valid are lists of last_hour, .* and Window\('NAME', START, END\)$"),
            (NOT_IN_WINDOWS, r"^one of windows is .*; valid are last_hour, .* and Window\('NAME', START, END\)$"),
            ([["last_year"]], "there is no window 'last_year'; valid are last_hour"),
        ],
    },
    ("report",): {"stores": [(NOT_STORES, r"stores is .*; valid are lists of ids as text, such as \['1001'\]$")]},
    ("spark.report", "spark.timeline"): {
        "buckets": [([0, -1, 1 << 31, 1.0, True, "3", [3]], "^buckets is .*; valid are whole numbers from 1 on")],
    },
    ("Policy",): {
        "interpolation": [([None, "linear", np.array(["next"])], "; valid are previous, next, nearest$")],
        "assume": [([None, "up", ["active"]], "; valid are unknown, active, inactive$")],
        "prefer_in_session": [(NOT_FLAGS, "; valid are True and False$")],
        "max_age": [([7200, "2h", np.timedelta64(2, "h"), pd.NaT], "; valid are timedeltas such as .*, and None$")],
        "confirm_within": [([7200, "2h", None], r"; valid are timedeltas such as timedelta\(hours=2\)$")],
    },
}


@pytest.mark.parametrize("names", REFUSED, ids=", ".join)
def test_each_argument_says_what_is_valid(names: tuple[str, ...]) -> None:
    for name in names:
        function, good = FUNCTIONS[name]
        for argument, cases in REFUSED[names].items():
            for values, message in cases:
                for value in values:
                    with pytest.raises(InputError, match=message):
                        function(**good | {argument: value})


def test_lists_may_be_columns_of_any_library() -> None:
    expected = uphours.report(OBSERVATIONS, windows=["last_day"], stores=["a"])
    for column in (("a",), {"a"}, np.array(["a"]), pd.Series(["a"]), pl.Series(["a"]), pd.Index(["a"])):
        assert uphours.report(OBSERVATIONS, windows=("last_day",), stores=column).equals(expected)  # type: ignore[arg-type]


def test_durations_and_truth_values_of_other_libraries_are_kept_as_those_of_python() -> None:
    policy = Policy(max_age=pd.Timedelta("90min"), prefer_in_session=np.False_)  # type: ignore[arg-type]
    assert policy == Policy(max_age=timedelta(minutes=90), prefer_in_session=False)
    assert (type(policy.max_age_us), policy.max_age_us) == (int, 90 * MINUTE_US)
    assert type(policy.prefer_in_session) is bool


# --- instants ------------------------------------------------------------------------------------------------

NOON: Final = 1_674_648_000_000_000


@pytest.mark.parametrize(
    "value",
    [
        NOON, np.int64(NOON), np.uint64(NOON), "2023-01-25 12:00", np.str_("2023-01-25T12:00Z"),
        datetime(2023, 1, 25, 12, tzinfo=UTC), pd.Timestamp("2023-01-25 21:00", tz="Asia/Tokyo"),
    ],
)  # fmt: skip
def test_an_instant_is_the_same_in_every_form(value: Any) -> None:
    assert instant_us(value) == NOON
    assert uphours.report(OBSERVATIONS, as_of=value, windows=["last_hour"])["end_us"].unique().to_list() == [NOON]


def test_a_date_is_what_its_text_is() -> None:
    assert instant_us(date(2023, 1, 25)) == instant_us("2023-01-25")
    assert Window("own", date(2023, 1, 25), date(2023, 1, 26)) == Window("own", "2023-01-25", "2023-01-26")


@given(us=st.integers(YEAR_2000_US, LAST_INSTANT - 1))
def test_numbers_in_another_unit_are_refused_with_what_they_would_be(us: int) -> None:
    assert instant_us(us) == us
    wrong = {"seconds": us // 1_000_000, "milliseconds": us // 1000, "nanoseconds": us * 1000}
    for unit, number in wrong.items():
        with pytest.raises(
            InputError, match=f"which looks like {unit}; numbers are microseconds since 1970: {us // 10**6}"
        ):
            instant_us(number, "as_of")


@pytest.mark.parametrize("number", [19_382, 464_000, 27_910_800, 1_000_000_000_000_00])
def test_numbers_that_are_no_microseconds_of_any_observation_are_refused(number: int) -> None:
    for name in ("report", "timeline", "outages", "sessions"):
        function, good = FUNCTIONS[name]
        with pytest.raises(InputError, match=rf"^\w+ is {number}; valid are .*, from the year 2000 on$"):
            function(**good | {"as_of" if name == "report" else "start": number})
    with pytest.raises(InputError, match="from the year 2000 on"):
        Window("own", number, AS_OF)
    assert Window("all_time", "1970-01-01T00:15:46Z", AS_OF).start_us == 946_000_000  # text says its unit


# --- tables --------------------------------------------------------------------------------------------------


class DataFrame:
    """What is known of a table of Spark without Spark: where its class comes from."""

    __module__ = "pyspark.sql.classic.dataframe"


DUPLICATED: Final = pd.DataFrame([["a", "b"]], columns=["store_id", "store_id"])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"store_id": ["a"]}, "^business_hours is of type dict; valid are tables of Polars, pandas, PyArrow or "),
        ([{"store_id": "a"}], "^business_hours is of type list; valid are tables"),
        ([], "^business_hours is of type list; valid are tables"),
        (b"store_id", "^business_hours is b'store_id'; valid are tables"),
        (5, "^business_hours is 5; valid are tables .*, and paths of files"),
        (uphours.validate(OBSERVATIONS), "^business_hours is of type uphours.Validated; valid are tables"),
        (DUPLICATED, "^business_hours cannot be read as a table: .*Duplicate column"),
        (pa.table([["a"], ["b"]], names=["x", "x"]), "^business_hours cannot be read as a table: .*more than once"),
        (HOURS.lazy().select("nothing"), "^business_hours cannot be read as a table: .*nothing"),
        (HOURS["store_id"], "business_hours cannot be read as a table"),
        (pd.Series(["a"]), "^business_hours cannot be read as a table"),
        (DataFrame(), r"^business_hours is a table of Spark; uphours.spark takes it .*business_hours.toArrow\(\)"),
        ("-", "standard input is for the command line"),
        ("", "^business_hours is ''; valid are"),
        ("nothing.csv", "there is no file nothing.csv"),
        ("nothing*.csv", "no file matches"),
        (Path(), "is a folder"),
        ("x" * 5000, "cannot look for 'xxx.*'…: File name too long"),
        (["nothing.csv", 5], "^business_hours is of type list"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_told_with_what_is(value: Any, message: str) -> None:
    for function in (uphours.validate, uphours.report, uphours.timeline, uphours.outages):
        with pytest.raises(InputError, match=message):
            function(OBSERVATIONS, value)
    with pytest.raises(InputError, match=message):
        uphours.sessions(value, start="2023-01-24", end=AS_OF)


@pytest.mark.parametrize("value", [None, OBSERVATIONS, pa.table(OBSERVATIONS), "polls.parquet", 5, {}])
def test_what_is_no_table_of_spark_is_told_with_what_is(value: Any) -> None:
    for function in (on_spark.validate, on_spark.report, on_spark.timeline):
        with pytest.raises(
            InputError, match=r"^observations is .*; valid are DataFrames of Spark, such as spark\.read"
        ):
            function(value)


def test_a_lazy_table_is_collected() -> None:
    expected = uphours.report(OBSERVATIONS, HOURS, ZONES)
    assert uphours.report(OBSERVATIONS.lazy(), HOURS.lazy(), ZONES.lazy()).equals(expected)


@pytest.mark.parametrize("dtype", ["object", "float64", "int64", "datetime64[ns]", "bool", "timedelta64[ns]"])
def test_a_table_without_rows_may_have_columns_of_any_type(dtype: str) -> None:
    def empty(table: pl.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({name: pd.Series([], dtype=dtype) for name in table.columns})

    assert uphours.report(empty(OBSERVATIONS), HOURS, ZONES, as_of=AS_OF).height == 0
    without = uphours.report(OBSERVATIONS)
    assert uphours.report(OBSERVATIONS, empty(HOURS), empty(ZONES)).equals(without)


def test_paths_are_read_as_on_the_command_line(tmp_path: Path) -> None:
    expected = uphours.report(OBSERVATIONS, HOURS, ZONES)
    OBSERVATIONS[:1].write_csv(tmp_path / "polls-1.csv")
    OBSERVATIONS[1:].write_parquet(tmp_path / "polls-2")
    HOURS.write_ndjson(tmp_path / "hours.jsonl")
    hours_file, both = tmp_path / "hours.jsonl", [tmp_path / "polls-1.csv", str(tmp_path / "polls-2")]
    every_way: list[Any] = [f"{tmp_path}/polls-*", both, tuple(both)]
    for named in every_way:
        assert uphours.report(named, hours_file, ZONES).equals(expected)
    assert uphours.sessions(os.fspath(hours_file), start="2023-01-24", end=AS_OF).height == 2


def test_a_bad_row_of_a_file_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "polls.csv"
    rows = b"a,active,2023-01-25 12:00 UTC\na,perhaps,2023-01-25 12:00 UTC\n\xe4,active,2023-01-25 12:00 UTC\n"
    file.write_bytes(b"store_id,status,timestamp_utc\n" + rows)
    validated = uphours.validate(file, HOURS)
    assert validated.quarantine.select("table", "line", "raw").rows() == [
        (str(file), 3, "a,perhaps,2023-01-25 12:00 UTC"),
        (str(file), 4, "\\xe4,active,2023-01-25 12:00 UTC"),
    ]
    with pytest.raises(InputError, match=r"row 3 of .*polls\.csv"):
        uphours.report(file)
