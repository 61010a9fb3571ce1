"""The users that the guide to database servers makes can do all that storepulse does, and see nothing else."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import psycopg
import pymysql
import pytest

from tests.cli.conftest import Run
from tests.fixtures.services import in_ci

GUIDE: Final = Path(__file__).parents[2] / "docs/how-to/use-postgresql-or-mysql.md"
HOST: Final = "127.0.0.1"


def statements(scheme: str) -> list[str]:
    """Return the SQL of the guide for a kind of server."""
    of_postgresql, of_mysql = re.findall(
        r"^```sql\n(.*?)^```", GUIDE.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    return [line for line in (of_postgresql if scheme == "postgresql" else of_mysql).split(";\n") if line]


def as_superuser(scheme: str) -> Any:
    if scheme == "postgresql":
        return psycopg.connect(host=HOST, user="postgres", dbname="postgres", autocommit=True, connect_timeout=5)
    return pymysql.connect(host=HOST, user="root", autocommit=True, connect_timeout=5)


@contextmanager
def made(scheme: str) -> Iterator[str]:
    """Do what the guide says under names of this test's own; drop all of it at the end."""
    try:
        connection = as_superuser(scheme)
    except (psycopg.OperationalError, pymysql.OperationalError) as error:
        message = f"there is no {scheme} server at {HOST}: {error}"
        if in_ci():
            pytest.fail(message)
        pytest.skip(message)
    name = f"storepulse_{uuid.uuid4().hex[:12]}"
    with closing(connection), closing(connection.cursor()) as cursor:
        try:
            for statement in statements(scheme):
                cursor.execute(re.sub(r"\bstorepulse\b", name, statement))
            yield name
        finally:
            if scheme == "postgresql":
                cursor.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
                cursor.execute(f"DROP ROLE IF EXISTS {name}")
            else:
                cursor.execute(f"DROP DATABASE IF EXISTS {name}")
                cursor.execute(f"DROP USER IF EXISTS '{name}'@'%'")


@pytest.fixture(params=["postgresql", "mysql"])
def database(request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    with made(request.param) as name:
        yield request.param, name


def test_the_user_of_the_guide_can_load_report_and_make_keys(
    database: tuple[str, str], run: Run, files: list[str]
) -> None:
    scheme, name = database
    url = f"{scheme}://{name}:change-me@{HOST}/{name}"
    loaded = run("load", "--db", url, *files)
    assert loaded.code == 0, loaded.err
    report = run("report", "--db", url)
    assert report.out == run("report", *files).out != b""
    assert run("keys", "create", "admin", "--scope", "admin", "--db", url).code == 0


def test_the_user_of_the_guide_cannot_make_databases_or_users(database: tuple[str, str]) -> None:
    scheme, name = database
    connect: Callable[..., Any] = psycopg.connect if scheme == "postgresql" else pymysql.connect
    to_it = {"dbname": name, "autocommit": True} if scheme == "postgresql" else {"database": name}
    with closing(connect(host=HOST, user=name, password="change-me", **to_it)) as connection:
        for statement in (f"CREATE DATABASE {name}_more", f"CREATE USER {name}_more"):
            with pytest.raises((psycopg.errors.InsufficientPrivilege, pymysql.OperationalError)):
                connection.cursor().execute(statement)
