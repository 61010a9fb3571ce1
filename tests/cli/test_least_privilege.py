"""The users that the guide to database servers makes can do all that uphours does, and see nothing else."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pymysql
import pytest
from sqlalchemy import URL

from tests.cli.conftest import Run
from tests.fixtures import databases

GUIDE: Final = Path(__file__).parents[2] / "docs/how-to/use-postgresql-or-mysql.md"


def statements(scheme: str) -> list[str]:
    """Return the SQL of the guide for a kind of server."""
    of_postgresql, of_mysql = re.findall(
        r"^```sql\n(.*?)^```", GUIDE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return [line for line in (of_postgresql if scheme == "postgresql" else of_mysql).split(";\n") if line]


@pytest.fixture
def user(engine: str) -> Iterator[URL]:
    """Do what the guide says under names of this test's own; return the URL of the user. Drop all of it at the end."""
    server = databases.SERVERS[engine]
    name = f"uphours_{uuid.uuid4().hex[:12]}"
    with server.connected() as cursor:
        try:
            for statement in statements(engine):
                cursor.execute(re.sub(r"\buphours\b", name, statement))
            yield server.url.set(database=name, username=name, password="change-me")
        finally:
            server.drop(name)
            cursor.execute(f"DROP {'ROLE' if engine == 'postgresql' else 'USER'} IF EXISTS {name}")


on_servers = pytest.mark.parametrize("engine", list(databases.SERVERS), indirect=True, scope="session")


@on_servers
def test_the_user_of_the_guide_can_do_what_uphours_does(user: URL, run: Run, files: list[str]) -> None:
    url = user.render_as_string(hide_password=False)
    loaded = run("load", "--db", url, *files)
    assert loaded.code == 0, loaded.err
    assert run("report", "--db", url).out == run("report", *files).out != b""
    for words in (
        ["keys", "create", "admin", "--scope", "admin"],
        ["prune", "--before", "2023-01-25"],
        ["migrate"],
    ):
        ran = run(*words, "--db", url)
        assert ran.code == 0, ran.err
    checked = {line["about"]: line for line in json.loads(run("doctor", "--db", url, "--json").out)}
    assert checked["rights"]["state"] == "good", checked


@on_servers
def test_the_user_of_the_guide_cannot_make_users_or_see_their_passwords(user: URL) -> None:
    passwords = "pg_authid" if user.drivername == "postgresql" else "mysql.user"
    for statement in (f"CREATE USER {user.username}_more", f"SELECT * FROM {passwords}"):
        refused = pytest.raises((psycopg.errors.InsufficientPrivilege, pymysql.OperationalError), match="denied")
        with databases.opened(user.render_as_string(hide_password=False)) as database, refused:
            database.execute(statement)
