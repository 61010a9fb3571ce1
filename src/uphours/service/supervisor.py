"""The processes of the service: `serve` with its worker processes, `work` for one worker; signals, children, logs."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

import structlog

from uphours.database import api_keys, queue
from uphours.database.database import Database, connect
from uphours.database.queue import KINDS
from uphours.errors import DatabaseUnavailableError, InputError, UphoursError
from uphours.ingest.inputs import Limits
from uphours.printable import printable, printable_lines
from uphours.reports.measure import warm_up
from uphours.service.terms import now_us, watched
from uphours.service.worker import Terms, Worker
from uphours.settings import CONFIG, PREFIX, Settings, environment
from uphours.wire.words import JobKind

#: How long a database server is waited for at the start, how often it is asked, and how often the log says so.
_SERVER_STARTS_S: Final = 60.0
#: Stores that a load may name.
_MOST_STORES: Final = 500_000
_ASK_S: Final = 0.5
_SAY_S: Final = 5.0
#: How long the store is looked over for damage at the start, in seconds.
_LOOK_OVER_S: Final = 5.0
#: How long a worker that must stop may go on with its job, and how long `serve` waits for it to leave.
_GRACE_S: Final = 3.0
_LEAVE_S: Final = 5.0
_LOOK_S: Final = 0.2
#: The characters of one value of a log line.
_MOST_LOGGED: Final = 2_000
#: The characters at each end of a traceback, whose last line may hold a text from outside.
_MOST_OF_TRACEBACK: Final = 8_000
#: Options of glibc's allocator (malloc.h): when the end of a heap is given back, from which size an array is mapped
#: and so given back when it is freed, and how many heaps there are. Else each thread keeps the arrays that it freed.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
_ALLOCATOR: Final = {_M_TRIM_THRESHOLD: 4_000_000, _M_MMAP_THRESHOLD: 1_000_000, _M_ARENA_MAX: 2}
_SHORTEST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0

log = structlog.get_logger("uphours")


def serve(settings: Settings) -> None:
    """Serve until a signal says to stop.

    Raises
    ------
    InputError
        The address cannot be used, or is one that others can reach while there is no API key.
    DatabaseError
        The database is damaged, or of a newer version, or its server does not answer.
    """
    log_to_stderr(settings)
    _give_memory_back()
    database = connect(settings.database_url)
    _migrate(database)
    _look_over(database)
    needs_key = settings.require_key or not (settings.on_loopback or settings.insecure)
    if needs_key:
        _check_key(database, settings)
    # Here: a worker needs neither, and they are a third of the time that it takes to start.
    from uphours.service import server
    from uphours.service.app import create_app

    with server.bound(settings) as taken:
        workers = Workers(database, settings)
        stop = threading.Event()
        # Until uvicorn listens to signals, and when it raises the one that ended it again: there is more to do.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        workers.start()
        try:
            host, port = taken.getsockname()[:2]
            log.info(
                "serving", url=_url(host, port), store=database.described, workers=settings.workers, keys=needs_key
            )
            server.run(create_app(settings, needs_key=needs_key), taken, stop)
        finally:
            workers.stop()
    log.info("stopped")


def _give_memory_back() -> None:
    """Have the allocator give freed arrays back, where it is glibc's: the service takes 40 % less memory."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    if mallopt is not None:
        for option, value in _ALLOCATOR.items():
            mallopt(option, value)


def _migrate(database: Database) -> None:
    """Bring the database up to date; a server that is just being started is waited for."""
    deadline = time.monotonic() + _SERVER_STARTS_S
    say_at = 0.0
    while True:
        try:
            database.migrate()
            return
        except DatabaseUnavailableError as error:
            now = time.monotonic()
            if not database.engine.is_server:
                raise
            if now >= deadline:
                raise DatabaseUnavailableError(f"{error}; it was waited for {_SERVER_STARTS_S:.0f} seconds") from error
            if now >= say_at:
                log.warning("waiting for the database server", error=str(error), seconds_left=round(deadline - now))
                say_at = now + _SAY_S
        time.sleep(_ASK_S)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _look_over(database: Database) -> None:
    if not database.look_over(_LOOK_OVER_S):
        log.info("the store is large: only a part of it was looked over for damage", seconds=_LOOK_OVER_S)


def _check_key(database: Database, settings: Settings) -> None:
    with database.reading() as connection:
        if any(key.revoked_at is None for key in api_keys.list_keys(connection)):
            return
    makes = "and there is no API key; `uphours keys create NAME --scope admin` makes one"
    if settings.require_key:
        raise InputError(f"the setting require_key asks for API keys, {makes}")
    raise InputError(f"others could reach {settings.host}, {makes}, --insecure serves without")


@dataclass
class _Child:
    kinds: Sequence[JobKind]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    start_at: float = 0.0
    pause: float = field(default=_SHORTEST_PAUSE_S)


class Workers:
    """Worker processes: started, started again when they die, stopped.

    With two or more the first does nothing but reports, so that no load keeps them waiting.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        kinds: list[Sequence[JobKind]] = [KINDS] * settings.workers
        if len(kinds) > 1:
            kinds[0] = ("report",)
        self._children = [_Child(mine) for mine in kinds]
        self._stopping = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="workers", daemon=True)

    def start(self) -> None:
        """Start all of them."""
        for child in self._children:
            self._spawn(child)
        self._watcher.start()

    def stop(self) -> None:
        """Ask all of them to leave; kill those that don't, and let others take over what they did."""
        self._stopping.set()
        self._watcher.join()
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + _LEAVE_S
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self._release(process)

    def _spawn(self, child: _Child) -> None:
        words = [sys.executable, "-m", "uphours", "worker", "--supervised"]
        for kind in child.kinds:
            words += ["--kind", kind]
        inherited = {name: value for name, value in os.environ.items() if not _names_file(name)}
        child.started_at = time.monotonic()
        child.process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,  # it ends when this process does, however that ends
            env=inherited | environment(self._settings),
            start_new_session=True,  # an interrupt from the terminal comes to this process alone
        )

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_S):
            for child in self._children:
                if child.process is None:
                    if time.monotonic() >= child.start_at:
                        self._spawn(child)
                elif child.process.poll() is not None:
                    self._bury(child, child.process)

    def _bury(self, child: _Child, died: subprocess.Popen[bytes]) -> None:
        """Let others take over what a worker did, and start another one; ever later if they die at once."""
        log.warning("a worker died", pid=died.pid, code=died.returncode)
        self._release(died)
        quickly = time.monotonic() - child.started_at < _LONGEST_PAUSE_S
        child.pause = min(child.pause * 2, _LONGEST_PAUSE_S) if quickly else _SHORTEST_PAUSE_S
        child.process, child.start_at = None, time.monotonic() + child.pause

    def _release(self, died: subprocess.Popen[bytes]) -> None:
        if died.stdin is not None:
            died.stdin.close()
        try:
            with self._database.writing() as connection:
                queue.release(connection, _name(died.pid))
        except UphoursError as error:
            log.warning("jobs of a dead worker wait for the end of their lease", error=str(error))


def _names_file(name: str) -> bool:
    """Say whether a variable leads to settings elsewhere, whose values a worker is given instead."""
    return name == CONFIG or (name.startswith(PREFIX) and name.endswith("_FILE"))


def _name(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}"[:128]


def work(settings: Settings, kinds: Sequence[JobKind], *, supervised: bool) -> None:
    """Do jobs until a signal says to stop, or, ``supervised``, until the process that started this one has ended."""
    log_to_stderr(settings)
    _give_memory_back()
    database = connect(settings.database_url, keep_open=True)
    _migrate(database)
    warm_up()
    worker = Worker(database, _name(os.getpid()), terms(settings), kinds or KINDS)
    stopping = threading.Event()

    def stop(*_: object) -> None:
        if not stopping.is_set():
            stopping.set()
            worker.stop()
            threading.Thread(target=_leave_in_time, args=[worker], daemon=True).start()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if supervised:
        threading.Thread(target=_until_left_alone, args=[stop], daemon=True).start()
    log.info("worker started", kinds=list(kinds or KINDS))
    worker.run()
    database.close()
    log.info("worker stopped")


def terms(settings: Settings) -> Terms:
    """Return what the settings mean for a worker."""
    return Terms(
        now=now_us,
        watched=watched(settings),
        allow_private=settings.allow_private_addresses,
        limits=Limits(settings.max_decompressed_bytes, settings.max_rows, _MOST_STORES),
        keep_us=settings.keep_reports,
    )


def _until_left_alone(stop: Any) -> None:
    # Not sys.stdin: a thread that holds it would be the end of the interpreter when that ends in good order.
    while os.read(0, 1024):
        pass
    stop()


def _leave_in_time(worker: Worker) -> None:
    """Hand the job back that takes longer than the grace, and leave whatever it is doing."""
    time.sleep(_GRACE_S)
    handing = threading.Thread(target=worker.hand_back, daemon=True)
    handing.start()
    handing.join(1.0)
    os._exit(0)


def _printable_values(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Keep what comes from outside from steering a terminal or filling a disk: paths, names, reasons."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value, _MOST_LOGGED)
    return event


def _bounded_traceback(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    found = event.get("exception")
    if isinstance(found, str) and len(found) > 2 * _MOST_OF_TRACEBACK:
        event["exception"] = f"{found[:_MOST_OF_TRACEBACK]}\n…\n{found[-_MOST_OF_TRACEBACK:]}"
    return event


def _write_traceback(sink: TextIO, raised: structlog.typing.ExcInfo) -> None:
    sink.write("\n" + printable_lines("".join(traceback.format_exception(*raised))))


def log_to_stderr(settings: Settings) -> None:
    """Write log lines to standard error: JSON, or for people where that is a terminal."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    for_people = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _printable_values,
    ]
    # Tracebacks without the values of variables: an API key may be among them.
    last: list[Any] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=_write_traceback)]
        if for_people
        else [structlog.processors.format_exc_info, _bounded_traceback, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
