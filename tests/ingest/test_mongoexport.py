"""What mongoexport writes loads as it is: JSON Lines and arrays in every version of extended JSON, and CSV."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.fixtures.tables import HEADERS, NOW, content_of, hours_of, only_reason, polls_of, read, zones_of
from uphours.ingest import quarantine
from uphours.ingest.detect import kind_of
from uphours.ingest.inputs import Kind
from uphours.ingest.load import read_rows
from uphours.load_record import Loaded

LONG = 8419537941919820732
OBJECT_ID = "63cd2a1b9d1e8a0012345678"
UUID = "3b241101-e2bb-4255-8caf-4136c566a962"
UUID_BASE64 = "OyQRAeK7QlWMr0E2xWapYg=="
MS = 1674389379388
#: The same instant as text.
TIME = "2023-01-22 12:09:39.388000 UTC"

PLAIN: dict[Kind, list[dict[str, str]]] = {
    "polls": [
        {"store_id": str(LONG), "status": "active", "timestamp_utc": "2023-01-22 12:09:39.388 UTC"},
        {"store_id": "1001", "status": "inactive", "timestamp_utc": "2023-01-22 12:09:40 UTC"},
    ],
    "hours": [
        {"store_id": str(LONG), "day": "0", "start_time_local": "09:00", "end_time_local": "17:00"},
        {"store_id": "1001", "day": "6", "start_time_local": "18:00", "end_time_local": "02:00"},
    ],
    "timezones": [
        {"store_id": str(LONG), "timezone_str": "America/New_York"},
        {"store_id": "1001", "timezone_str": "Asia/Kolkata"},
    ],
}
#: How each form writes a 64-bit id, a small whole number kept as a double, and a date.
WRITTEN: dict[str, tuple[Callable[[str], Any], Callable[[str], Any], Callable[[int], Any]]] = {
    "relaxed": (int, float, lambda ms: {"$date": "2023-01-22T12:09:39.388Z" if ms == MS else "2023-01-22T12:09:40Z"}),
    "canonical": (
        lambda digits: {"$numberLong": digits},
        lambda digits: {"$numberDouble": f"{digits}.0"},
        lambda ms: {"$date": {"$numberLong": str(ms)}},
    ),
    "version 1": (lambda digits: {"$numberLong": digits}, int, lambda ms: {"$date": ms}),
    "32 bits": (
        lambda digits: {"$numberLong": digits} if len(digits) > 9 else {"$numberInt": digits},
        lambda digits: {"$numberInt": digits},
        lambda ms: {"$date": {"$numberLong": str(ms)}},
    ),
}
FORMS = sorted(WRITTEN)


def exported(kind: Kind, form: str) -> list[dict[str, Any]]:
    """Return the documents of `PLAIN` as mongoexport writes them."""
    long, double, date = WRITTEN[form]
    made: list[dict[str, Any]] = []
    for number, row in enumerate(PLAIN[kind]):
        document: dict[str, Any] = {"_id": {"$oid": OBJECT_ID}, **row, "tags": ["a", {"$numberInt": "1"}]}
        document["store_id"] = long(row["store_id"])
        if "day" in row:
            document["day"] = double(row["day"])
        if "timestamp_utc" in row:
            document["timestamp_utc"] = date(MS if number == 0 else MS + 612)
        made.append(document)
    return made


def lines_of(documents: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(document, separators=(",", ":")) + "\n" for document in documents)


def poll(**fields: object) -> str:
    row = {"store_id": "1", "status": "active", "timestamp_utc": {"$date": "2023-01-22T12:09:39.388Z"}} | fields
    return json.dumps(row)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", PLAIN)
def test_every_form_says_the_same_as_plain_json(tmp_path: Path, kind: Kind, form: str) -> None:
    plain = content_of(read(tmp_path, kind, lines_of(PLAIN[kind])))
    documents = exported(kind, form)
    as_array = "[" + ",\n".join(json.dumps(document) for document in documents) + "]\n"
    as_pretty_array = json.dumps(documents, indent="\t")
    for content in (lines_of(documents), as_array, as_pretty_array):
        loaded = read(tmp_path, kind, content)
        assert content_of(loaded) == plain
        assert (loaded.files[0].rows_read, loaded.quarantine) == (2, [])


@pytest.mark.parametrize("form", FORMS)
def test_rows_that_are_sent_to_the_service_say_the_same_as_a_file_of_them(tmp_path: Path, form: str) -> None:
    content = lines_of([*exported("polls", form), {"store_id": {"$oid": "x"}}])
    rows = [json.loads(line, parse_int=str) for line in content.splitlines()]
    sent = read_rows(rows, name="sent", now=NOW)
    from_file = read(tmp_path, "polls", content)
    assert content_of(sent) == content_of(from_file)
    assert polls_of(sent)[1] == (str(LONG), "active", TIME)
    assert [row.reason for row in sent.quarantine] == [row.reason for row in from_file.quarantine]


@pytest.mark.parametrize("kind", PLAIN)
def test_the_kind_of_an_export_is_told_from_its_fields(kind: Kind) -> None:
    content = lines_of(exported(kind, "canonical")).encode()
    assert kind_of("export", io.BufferedReader(io.BytesIO(content))) == kind


@pytest.mark.parametrize(
    ("written", "store_id"),
    [
        ({"$oid": OBJECT_ID}, OBJECT_ID),
        ({"$numberLong": str(LONG)}, str(LONG)),
        ({"$numberLong": LONG}, str(LONG)),
        ({"$numberLong": "-1"}, "-1"),
        ({"$numberInt": "3"}, "3"),
        ({"$numberDecimal": "12345678901234567890123456789012345"}, "12345678901234567890123456789012345"),
        ({"$numberDouble": "3.0"}, "3"),
        ({"$numberDouble": "1.234567E+06"}, "1234567"),
        ({"$numberDouble": "-0.0"}, "0"),
        (1234567.0, "1234567"),
        (9007199254740991.0, "9007199254740991"),
        ({"$uuid": UUID}, UUID),
        ({"$binary": {"base64": UUID_BASE64, "subType": "04"}}, UUID),
        ({"$binary": UUID_BASE64, "$type": "04"}, UUID),
        ({"$binary": UUID_BASE64, "$type": 4}, UUID),
        ({"$symbol": "north"}, "north"),
    ],
)
def test_an_id_may_have_any_type_that_has_a_text_of_its_own(tmp_path: Path, written: object, store_id: str) -> None:
    assert polls_of(read(tmp_path, "polls", poll(store_id=written))) == [(store_id, "active", TIME)]


@pytest.mark.parametrize(
    "written",
    [
        {"$numberDouble": "8.41953794191982E+18"},
        {"$numberDouble": "9007199254740992.0"},
        {"$numberDouble": "1.5"},
        {"$numberDouble": "NaN"},
        {"$numberDouble": "-Infinity"},
        {"$numberDouble": "many"},
        {"$numberDouble": None},
        8.41953794191982e18,
        9007199254740992.0,
        1.5,
        float("inf"),
        {"$numberLong": "1.5"},
        {"$numberLong": ""},
        {"$numberLong": {"$numberLong": "1"}},
        {"$numberDecimal": "1E+3"},
        {"$oid": "short"},
        {"$oid": {"$oid": OBJECT_ID}},
        {"$oid": OBJECT_ID, "more": 1},
        {"$uuid": "short"},
        {"$uuid": 7},
        {"$binary": {"base64": UUID_BASE64, "subType": "03"}},
        {"$binary": {"base64": "OyQRAQ==", "subType": "04"}},
        {"$binary": {"base64": "é", "subType": "04"}},
        {"$binary": {"base64": 1.5, "subType": "04"}},
        {"$binary": {"base64": UUID_BASE64}},
        {"$binary": UUID_BASE64},
        {"$date": "2023-01-22T12:09:39.388Z"},
        {"$symbol": ["x"]},
        {"$minKey": 1},
        {"$unknown": "x"},
        {},
        {"nested": "x"},
        ["x"],
    ],
)
def test_an_id_that_cannot_be_used_is_set_aside_with_what_it_is(tmp_path: Path, written: object) -> None:
    content = poll(store_id=written)
    loaded = read(tmp_path, "polls", content)
    assert loaded.quarantine[0].raw == content.encode()
    assert only_reason(loaded).startswith("store_id is ")
    assert only_reason(loaded).endswith("; valid are text and whole numbers")


@pytest.mark.parametrize(
    "written",
    [
        {"$date": "2023-01-22T12:09:39.388Z"},
        {"$date": "2023-01-22T12:09:39.388+0000"},
        {"$date": "2023-01-22T13:09:39.388+01:00"},
        {"$date": {"$numberLong": str(MS)}},
        {"$date": {"$numberLong": MS}},
        {"$date": MS},
        {"$date": str(MS)},
        "2023-01-22T12:09:39.388Z",
    ],
)
def test_a_date_may_be_text_or_milliseconds(tmp_path: Path, written: object) -> None:
    assert polls_of(read(tmp_path, "polls", poll(timestamp_utc=written))) == [("1", "active", TIME)]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ({"$date": {"$numberLong": "-1"}}, "timestamp_utc '1969-12-31T23:59:59.999000Z' is before the year 2000"),
        ({"$date": -315619200000}, "timestamp_utc '1960-01-01T00:00:00Z' is before the year 2000"),
        ({"$date": {"$numberLong": "-62135596800000"}}, "'0001-01-01T00:00:00Z' is before the year 2000"),
        ({"$date": {"$numberLong": "946684799999"}}, "before the year 2000"),
        ({"$date": {"$numberLong": "7258118400000"}}, "after the year 2199"),
        ({"$date": {"$numberLong": "1675382400001"}}, "more than 24 h in the future"),
        ({"$date": {"$numberLong": "9223372036854775807"}}, 'unreadable timestamp_utc \'{"$date": {"$numberLong"'),
        ({"$date": {"$numberLong": "9" * 5000}}, "unreadable timestamp_utc"),
        ({"$date": 9 * 10**18}, "unreadable timestamp_utc"),
        ({"$date": 1674389379388.5}, "unreadable timestamp_utc '{\"$date\": 1674389379388.5}'"),
        ({"$date": "soon"}, "unreadable timestamp_utc 'soon'"),
        ({"$date": ""}, "missing timestamp_utc"),
        ({"$date": None}, "unreadable timestamp_utc"),
        ({"$date": {"$date": MS}}, "unreadable timestamp_utc"),
        ({"$date": {"$numberLong": None}}, "unreadable timestamp_utc"),
        ({"$date": MS, "more": 1}, "unreadable timestamp_utc"),
        ({"$timestamp": {"t": 1674389379, "i": 1}}, 'unreadable timestamp_utc \'{"$timestamp"'),
        ({"$numberLong": str(MS // 10**6)}, f"timestamp_utc '{MS // 10**6}' has not the length of Unix time"),
        ([{"$date": MS}], "unreadable timestamp_utc"),
    ],
)
def test_a_date_that_cannot_be_used_is_set_aside_with_the_usual_reason(
    tmp_path: Path, written: object, reason: str
) -> None:
    assert reason in only_reason(read(tmp_path, "polls", poll(timestamp_utc=written)))


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        ("polls", {"status": {"$numberInt": "2"}}, "unknown status '2'; valid are active (up, "),
        ("polls", {"status": {"$date": MS}}, 'unknown status \'{"$date": "1674389379388"}\'; valid are active (up, '),
        ("hours", {"day": {"$numberInt": "8"}}, "unreadable day '8'; valid are 0 (Monday) to 6 (Sunday)"),
        (
            "hours",
            {"day": {"$numberDouble": "0.5"}},
            'unreadable day \'{"$numberDouble": "0.5"}\'; valid are 0 (Monday)',
        ),
        ("hours", {"day": 0.5}, "unreadable day '0.5'"),
        ("hours", {"start_time_local": {"$date": MS}}, 'unreadable start_time_local \'{"$date": '),
        ("timezones", {"timezone_str": {"$regex": "x"}}, 'unknown zone \'{"$regex": "x"}\'; valid are IANA names'),
    ],
)
def test_other_values_that_cannot_be_used_are_set_aside_with_what_is_valid(
    tmp_path: Path, kind: Kind, fields: dict[str, object], reason: str
) -> None:
    assert reason in only_reason(read(tmp_path, kind, json.dumps(PLAIN[kind][0] | fields)))


def test_a_status_that_is_a_symbol_is_a_status(tmp_path: Path) -> None:
    assert polls_of(read(tmp_path, "polls", poll(status={"$symbol": "inactive"}))) == [("1", "inactive", TIME)]


def test_rows_that_were_set_aside_go_out_with_plain_values_and_come_back_fixed(tmp_path: Path) -> None:
    bad = {
        "store_id": {"$numberLong": str(LONG)},
        "status": "open",
        "timestamp_utc": {"$date": {"$numberLong": str(MS)}},
    }
    loaded = read(tmp_path, "polls", json.dumps(bad))
    rows: list[Mapping[str, Any]] = [{"reason": row.reason, "raw": row.raw} for row in loaded.quarantine]
    made = quarantine.as_csv(rows, kind="polls", header=None)
    assert made.endswith(f",{LONG},open,2023-01-22T12:09:39.388000Z,\n".encode())
    assert polls_of(read(tmp_path, "polls", made.replace(b",open,", b",active,"))) == [(str(LONG), "active", TIME)]


def test_csv_of_mongoexport_loads_as_it_is(tmp_path: Path) -> None:
    polls = f"_id,store_id,status,timestamp_utc\nObjectId({OBJECT_ID}),{LONG},active,2023-01-22T12:09:39.388Z\n"
    assert polls_of(read(tmp_path, "polls", polls)) == [(str(LONG), "active", TIME)]
    hours = f"store_id,day,start_time_local,end_time_local\n{LONG},0,09:00,17:00\n"
    assert hours_of(read(tmp_path, "hours", hours)) == [(str(LONG), 0, 540, 1020)]
    zones = f"store_id,timezone_str\n{LONG},America/New_York\n"
    assert zones_of(read(tmp_path, "timezones", zones)) == {str(LONG): "America/New_York"}


@pytest.mark.parametrize("quoted", [False, True])
def test_an_object_id_in_csv_is_the_same_id_as_in_json(tmp_path: Path, quoted: bool) -> None:
    field = f'"ObjectId({OBJECT_ID})"' if quoted else f"ObjectId({OBJECT_ID})"
    content = f"{HEADERS['polls']}\n{field},active,2023-01-22T12:09:39.388Z\n1,active,2023-01-22T12:09:39.388Z\n"
    assert polls_of(read(tmp_path, "polls", content)) == [("1", "active", TIME), (OBJECT_ID, "active", TIME)]


@pytest.mark.parametrize(
    "store_id", ["ObjectId()", "ObjectId(x)", f"ObjectId({OBJECT_ID}) 2", f"my ObjectId({OBJECT_ID})"]
)
def test_text_that_is_no_object_id_in_csv_stays_as_it_is(tmp_path: Path, store_id: str) -> None:
    content = f"{HEADERS['polls']}\n{store_id},active,2023-01-22T12:09:39.388Z\n"
    assert read(tmp_path, "polls", content).store_ids == [store_id]


# --- any document ---------------------------------------------------------------------------------------

NAMES = st.sampled_from(
    ["$oid", "$numberLong", "$numberInt", "$numberDouble", "$numberDecimal", "$date", "$uuid", "$binary", "$type",
     "$symbol", "$timestamp", "$undefined", "base64", "subType", "x"]
)  # fmt: skip
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([OBJECT_ID, UUID, UUID_BASE64, "04", "3.0", str(LONG), str(MS), "2023-01-22T12:09:39.388Z"])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.dictionaries(NAMES, inner, max_size=3) | st.lists(inner, max_size=3), max_leaves=6
)
COLUMNS: dict[Kind, list[str]] = {kind: HEADERS[kind].split(",") for kind in HEADERS}


@given(data=st.data(), kind=st.sampled_from(sorted(PLAIN)))
def test_no_document_ends_in_a_crash_and_every_one_is_accepted_or_set_aside(data: st.DataObject, kind: Kind) -> None:
    good = st.sampled_from(exported(kind, "canonical"))
    changes = st.dictionaries(st.sampled_from([*COLUMNS[kind], "_id"]), VALUES)
    documents = data.draw(
        st.lists(st.builds(lambda row, changed: row | changed, good, changes), min_size=1, max_size=8)
    )
    # An object that is alone and has an object or a list for each column is a table by columns, and refused.
    assume(len(documents) > 1 or not all(isinstance(documents[0][name], dict | list) for name in COLUMNS[kind]))
    with TemporaryDirectory() as folder:
        loads = [read(Path(folder), kind, content) for content in (lines_of(documents), json.dumps(documents))]
    if kind == "polls":
        rows = json.loads(json.dumps(documents), parse_int=str)
        loads.append(read_rows(rows, name="sent", now=NOW))
    for loaded in loads:
        assert_every_row_is_in_one_place(loaded, len(documents))
        assert content_of(loaded) == content_of(loads[0])
        made = [{"reason": row.reason, "raw": row.raw} for row in loaded.quarantine]
        assert quarantine.as_csv(made, kind=kind, header=None).count(b"\n") == len(made) + 1


def assert_every_row_is_in_one_place(loaded: Loaded, rows: int) -> None:
    (file,) = loaded.files
    assert file.rows_read == file.accepted + file.quarantined == rows
    assert file.quarantined == len(loaded.quarantine)
    assert all(row.reason for row in loaded.quarantine)


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5), st.integers(946_684_800_000, 1_675_000_000_000)
)
def test_no_digit_of_an_id_and_no_millisecond_is_lost(ids: list[int], ms: int) -> None:
    lines = [
        poll(store_id={"$numberLong": str(number)}, timestamp_utc={"$date": {"$numberLong": str(ms)}}) for number in ids
    ]
    with TemporaryDirectory() as folder:
        loaded = read(Path(folder), "polls", "\n".join(lines))
    assert loaded.quarantine == []
    assert set(loaded.store_ids) == {str(number) for number in ids}
    assert set(loaded.times.tolist()) == {ms * 1000}
