"""No part of a password is shown, however it is written, whatever goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uphours.database.database import connect
from uphours.database.doctor import checkup
from uphours.errors import UphoursError
from uphours.ingest.sources.resolve import described
from uphours.settings import settings as settings_of

pytestmark = pytest.mark.anywhere

#: Nothing that a message would hold by itself.
_PARTS: Final = st.lists(st.text("QXZJ7", min_size=5, max_size=7), min_size=1, max_size=4)
_BETWEEN: Final = st.lists(st.sampled_from("@/?#:%&=+ \\;[]é☕"), min_size=3, max_size=3)
_URLS: Final = (
    "{scheme}://me:{password}@127.0.0.1:1/fleet",
    "{scheme}://me:{password}@127.0.0.1/",
    "{scheme}://me:{password}@127.0.0.1:port/fleet",
    "{scheme}://me:{password}",
    "{scheme}://127.0.0.1:1/fleet?user=me&password={password}",
    "{scheme}://127.0.0.1:1/fleet?passwd={password}&pasword={password}",
    "{scheme}:me:{password}@127.0.0.1/fleet",
    "me:{password}@127.0.0.1/fleet",
    "{scheme} ://me:{password}@127.0.0.1/fleet",
)


def told(url: str) -> str:
    """Return all that is said of a URL: what it is called, errors with what caused them, and the check-up."""
    said: list[str] = []
    try:
        database = connect(url)
        said.append(database.described)
        said += [finding.says for finding in checkup(database, now=lambda: 0)]
        with database.writing():
            pass
    except UphoursError as error:
        said.append(str(error))
    return "\n".join(said)


@given(
    _PARTS, _BETWEEN, st.sampled_from(_URLS), st.sampled_from(["postgresql", "postgres", "mysql", "oracle", "sqlite"]),
    st.booleans(),
)  # fmt: skip
@settings(max_examples=4 * settings().max_examples)
def test_no_part_of_a_password_is_told(
    parts: list[str], between: list[str], template: str, scheme: str, escaped: bool
) -> None:
    password = "".join(part + mark for part, mark in zip(parts, [*between, ""], strict=False))
    url = template.format(scheme=scheme, password=quote(password, safe="") if escaped else password)
    text = told(url)
    assert text
    assert not [part for part in parts if part in text], (url, text)


@given(
    _PARTS, _BETWEEN,
    st.sampled_from(["https://me:{}@host/x", "s3://key:{}@bucket/x", "http://me:{}@host:80/a?b=c", "http://h/?token={}"]),
)  # fmt: skip
def test_no_part_of_a_password_is_in_the_name_of_a_place(parts: list[str], between: list[str], template: str) -> None:
    password = "".join(part + mark for part, mark in zip(parts, [*between, ""], strict=False))
    if "token" in template:
        password = quote(password, safe="")
    said = described(template.format(password))
    assert not [part for part in parts if part in said], said


@pytest.mark.parametrize("scheme", ["https", "http", "s3", "gs"])
def test_a_password_with_a_whole_authority_in_it_is_not_shown(scheme: str) -> None:
    assert described(f"{scheme}://me:QXQXQ@77777/@host/x") == f"{scheme}://…"


def test_the_url_of_a_clean_password_is_told_without_it() -> None:
    assert connect("postgresql://me:se%40cret@db.example:5433/fleet").described == (
        "postgresql://me:***@db.example:5433/fleet"
    )


def test_a_file_that_holds_a_url_and_is_no_text_is_not_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "url"
    path.write_bytes(b"postgresql://me:\xe9\xff@host/fleet")
    monkeypatch.setenv("UPHOURS_DATABASE_URL_FILE", str(path))
    with pytest.raises(ValueError, match="it is not UTF-8") as error:
        settings_of()
    assert "0x" not in str(error.value)
