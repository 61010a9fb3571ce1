"""A database server that is just being started is waited for, at the start of `serve` and of a worker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fixtures.commands import COMMAND, environment, popen, start
from tests.fixtures.own_servers import OwnPostgreSQL, OwnServer, free_port, own_server
from tests.fixtures.services import in_time
from uphours.database.database import Database, connect
from uphours.errors import DatabaseUnavailableError
from uphours.service import supervisor

WAITING = '"event": "waiting for the database server"'
#: The command line with a minute that is over after a second.
IMPATIENT = [
    sys.executable,
    "-c",
    "from uphours.cli.command_line import main; from uphours.service import supervisor; "
    "supervisor._SERVER_STARTS_S = 1.0; main()",
]


@pytest.fixture
def server() -> Iterator[OwnServer]:
    with own_server(OwnPostgreSQL) as made:
        yield made


@pytest.mark.slow
def test_serve_and_a_worker_wait_for_a_server_that_is_just_being_started(tmp_path: Path, server: OwnServer) -> None:
    logs = {"serve": tmp_path / "serve.log", "worker": tmp_path / "worker.log"}
    words = {"serve": ["serve", "--port", "0", "--workers", "0"], "worker": ["worker"]}
    with ExitStack() as stack:
        running = []
        for name, log in logs.items():
            sink = stack.enter_context(log.open("wb"))
            changed = environment(UPHOURS_DATABASE_URL=server.url)
            running.append(
                popen([*COMMAND, *words[name]], cwd=tmp_path, env=changed, stdin=subprocess.DEVNULL, stderr=sink)
            )
            stack.callback(running[-1].wait)
            stack.callback(running[-1].kill)
        assert in_time(lambda: all(WAITING in log.read_text() for log in logs.values()), 60)
        server.start()
        assert in_time(lambda: '"event": "serving"' in logs["serve"].read_text(), 60), logs["serve"].read_text()
        assert in_time(lambda: '"event": "worker started"' in logs["worker"].read_text(), 120)
        for process in running:
            process.terminate()
        assert [process.wait(30) for process in running] == [0, 0]
    for log in logs.values():
        assert "secret" not in log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "words"), [("postgresql", ["serve", "--port", "0"]), ("mysql", ["worker"])])
def test_a_server_that_does_not_come_is_exit_code_3(tmp_path: Path, scheme: str, words: list[str]) -> None:
    url = f"{scheme}://somebody:secret@127.0.0.1:{free_port()}/fleet"
    ended = start(tmp_path, *words, command=IMPATIENT, UPHOURS_DATABASE_URL=url)
    *logged, last = ended.stderr.decode().splitlines()
    assert ended.returncode == 3
    assert [WAITING in line for line in logged] == [True]
    assert last.startswith(f"uphours: the database {scheme}://somebody:***@127.0.0.1:")
    assert last.endswith("; it was waited for 1 seconds")
    assert b"secret" not in ended.stderr


def test_a_store_in_a_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_store: Database) -> bool:
        raise DatabaseUnavailableError("the disk is full")

    monkeypatch.setattr(Database, "migrate", fail)
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailableError, match=r"^the disk is full$"):
        supervisor._migrate(connect(f"sqlite:///{tmp_path / 'uphours.db'}"))
    assert time.monotonic() - began < supervisor._ASK_S
