"""The part of `uphours report --engine spark` that knows Spark: a session, sources, and the report of a job."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from uphours import __version__
from uphours.errors import EngineError, InputError, NotFoundError, NothingObservedError
from uphours.ingest.memory_fleet import memory_fleet
from uphours.ingest.readers.parquet_footer import latest_limit
from uphours.ingest.statuses import status_words
from uphours.kernel.local_time import tzdata_version
from uphours.kernel.windows import Windows
from uphours.load_record import Brought, Latest, Loaded, LoadedFile, Rejected, StoreCounts, Summary
from uphours.reports.answers import stores_of
from uphours.reports.groups import Groups, together, whole_fleet
from uphours.reports.memberships import check_labels, no_store_with, with_columns
from uphours.reports.report import Report, Totals
from uphours.reports.request import ReportRequest
from uphours.schema import EVERY_STORE
from uphours.spark.job import in_order, of_stores, shuffled, table_of
from uphours.spark.limits import pruned_before
from uphours.spark.results import NotedReports, groups_of, laid_in_utc
from uphours.spark.setting_lines import settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

#: What the command wants otherwise than Spark does; `--conf` comes after it.
_CONFIGURATION: Final = {
    "spark.app.name": "uphours report",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    # A task has one core, and runs the only thread that works for it.
    "spark.executorEnv.POLARS_MAX_THREADS": "1",
}
#: By what a folder shows that its Parquet files are parts of a table whose log says which of them count.
_TABLE_FORMATS: Final = {"_delta_log": "Delta Lake", ".hoodie": "Hudi", "metadata": "Iceberg"}
_ICEBERG: Final = ".metadata.json"
_OURS: Final = re.compile(r"uphours\.errors\.(\w+): (.*)")
_VALID: Final = "valid are Parquet files, folders and globs, and jdbc:…#TABLE"


@dataclass(frozen=True)
class Answer:
    """What is asked for, the sources of polls that were read for it, and what all that was read means."""

    answer: Report | Groups
    files: Sequence[LoadedFile]
    summary: Summary

    @property
    def report(self) -> Report:
        """That of the stores."""
        return stores_of(self.answer)


@contextmanager
def session(master: str, conf: Mapping[str, str]) -> Iterator[SparkSession]:
    """Start a session, and stop it in the end.

    Raises
    ------
    InputError
        PySpark is not installed, or it does not start: there is no Java, or no such master.
    """
    if find_spec("pyspark") is None:
        raise InputError("the engine spark needs PySpark: pip install 'uphours[spark]'")
    with warnings.catch_warnings():
        # PySpark 4.3 warns of pandas 3, which nothing here uses.
        warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession

        builder: Any = SparkSession.builder.master(master)
        for name, value in (_CONFIGURATION | dict(conf)).items():
            builder = builder.config(name, value)
        try:
            spark = builder.getOrCreate()
        except (PySparkException, _java_error()) as error:
            raise InputError(
                f"Spark does not start with master {master}: {_first_line(error)}. It needs Java 17 or newer "
                "(Debian: apt install openjdk-17-jre-headless); valid masters are local[*], spark://HOST:PORT and yarn"
            ) from error
        try:
            spark.sparkContext.setLogLevel("ERROR")
            yield spark
        finally:
            spark.stop()


def report(
    spark: SparkSession,
    polls: Sequence[str],
    settings_read: Loaded,
    options: ReportRequest,
    *,
    now: int | None,
    statuses: Mapping[str, str] | None = None,
) -> Answer:
    """Make a report of polls that Spark reads, and of everything else, which is read already.

    Parameters
    ----------
    polls
        Parquet files, folders and globs, as Hadoop names them, and ``jdbc:…#TABLE``.
    settings_read
        What was read of hours, zones, special hours, attributes and the ledger.
    now
        UTC microseconds; polls over 24 h later are bad. None: none is.
    statuses
        Words of the polls for ``active``, ``inactive`` and ``unknown``, beside the usual ones.

    Raises
    ------
    InputError
        A source cannot be read or lacks a column, no store has such an attribute or value, or there is no observation
        to take the instant from.
    NotFoundError
        One of the stores is in none of the tables.
    EngineError
        The cluster failed.
    """
    # Unknown time is booked by the report itself.
    made = NotedReports(replace(options, policy=options.policy.changed({"assume": "unknown"})))
    check_labels({name for _, name, _ in settings_read.attributes}, [*options.by, *options.columns])
    if options.stores is None:
        _check_where(settings_read, options)
    needed, words = made.needs(options.as_of), status_words(statuses)
    with _failures_told():
        frames = {name: _source(spark, name) for name in dict.fromkeys(polls)}
        rows = [table_of("polls", name, frame).rows("count", needed, now, words) for name, frame in frames.items()]
        given = _settings(spark, settings_read, made.attributes)
        rows.append(of_stores(given))
        special = given if (settings_read.special_hours[:, 0] == EVERY_STORE).any() else None
        before = latest_limit(settings_read.pruned_before, *map(pruned_before, frames.values()))
        of_buckets = made.of_buckets(options.as_of, before)
        job = in_order(shuffled(rows, None), options.as_of, special).mapInArrow(of_buckets, made.schema)
        table = pl.DataFrame(job.toArrow())
    notes = [json.loads(note) for note in table["note"].drop_nulls()]
    if options.stores is not None:
        if missing := set(options.stores).difference(*(note.get("known", ()) for note in notes)):
            raise NotFoundError("store", min(missing), "it is in none of the tables")
        _check_where(settings_read, options)
    files, rejected = _read_of([*frames], [note for note in notes if "table" in note])
    summary = _summary([note for note in notes if "stores" in note], rejected, Brought.of(settings_read))
    if options.as_of is None:  # else the executors left out what is later
        summary = _latest(notes).noted(summary, now)
    report_of_stores = _report(table.filter(pl.col("note").is_null()), _as_of(notes, options), options)
    return Answer(_answer(report_of_stores, notes, settings_read, options), files, summary)


def _check_where(settings_read: Loaded, options: ReportRequest) -> None:
    """Refuse attributes that none of the stores has which are named, or none at all."""
    named = None if options.stores is None else frozenset(options.stores)
    ids = settings_read.store_ids
    known = {name for store, name, _ in settings_read.attributes if named is None or ids[store] in named}
    check_labels(known, [name for name, _ in options.where])


def _answer(
    made: Report, notes: Sequence[Mapping[str, Any]], settings_read: Loaded, options: ReportRequest
) -> Report | Groups:
    """Put together what is asked for.

    Raises
    ------
    InputError
        No store has such values.
    """
    having = [note for note in notes if "having" in note]
    if having and not any(note["having"] for note in having):
        values = {name: {value for note in having for value in note["values"][name]} for name, _ in options.where}
        raise no_store_with(options.where, values)
    if options.by:
        of_parts = [groups_of(note["groups"]) for note in notes if "groups" in note]
        return Groups(made, options.by, together(of_parts, options.policy), whole_fleet(made))
    return with_columns(made, memory_fleet(settings_read), options.columns) if options.columns else made


def _read_of(names: Sequence[str], notes: Sequence[Mapping[str, Any]]) -> tuple[list[LoadedFile], list[Rejected]]:
    """Put together what executors noted of the rows of each source, batch by batch."""
    files, rejected = [], []
    for position, name in enumerate(names):
        of_source = [note for note in notes if note["table"] == name]
        examples: dict[str, tuple[str, str]] = {}
        counts: Counter[str] = Counter()
        for cause, rows, reason, raw in (one for note in of_source for one in note["rejected"]):
            counts[cause] += rows
            # Which batch comes first is chance; the smallest row is not.
            examples[cause] = min(examples.get(cause, (raw, reason)), (raw, reason))
        rows, bad = sum(note["rows"] for note in of_source), counts.total()
        files.append(LoadedFile("polls", name, "", 0, rows, rows - bad, bad))
        rejected += [
            Rejected(position, cause, counts[cause], 0, reason, raw)
            for cause, (raw, reason) in sorted(examples.items(), key=lambda one: (-counts[one[0]], one[0]))
        ]
    return files, rejected


def _summary(notes: Sequence[Mapping[str, Any]], rejected: Sequence[Rejected], brought: Brought) -> Summary:
    """Add up what is known of the stores of each part; no store is in two."""
    counts = {field.name: sum(note["stores"][field.name] for note in notes) for field in fields(StoreCounts)}
    return Summary(rejected, sum(one.rows for one in rejected), stores=StoreCounts(**counts), brought=brought)


def _latest(notes: Sequence[Mapping[str, Any]]) -> Latest:
    latest = Latest()
    for note in notes:
        latest.add(np.array([us for us in note.get("latest", ()) if us is not None], dtype=np.int64))
    return latest


def _settings(spark: SparkSession, loaded: Loaded, attributes: Collection[str]) -> DataFrame:
    import pyarrow as pa

    rows = settings(loaded, attributes)
    plain = pa.schema([("store_id", pa.string()), ("moment", pa.int64()), ("setting", pa.string())])
    frame: DataFrame = spark.createDataFrame(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(plain))
    return frame


def _as_of(notes: Sequence[Mapping[str, Any]], options: ReportRequest) -> int:
    """Return the instant to speak for, which executors noted where none is named."""
    if options.as_of is not None:
        return options.as_of
    noted = [int(note["as_of"]) for note in notes if note.get("as_of") is not None]
    if not noted:
        raise NothingObservedError
    return noted[0]


def _report(table: pl.DataFrame, as_of: int, options: ReportRequest) -> Report:
    """Put the rows of a job together, in order of store, into the report that they are parts of."""
    laid = laid_in_utc(options.windows, as_of)
    rows = table.sort("store_id", maintain_order=True)

    def values(name: str) -> Any:
        return rows[name].to_numpy().reshape(-1, len(laid.names)).astype(np.int64)

    assert rows["window"].to_list() == [*laid.names] * (rows.height // len(laid.names))
    return Report(
        as_of=as_of,
        policy=options.policy,
        version=__version__,
        tzdata=tzdata_version(),
        store_ids=rows["store_id"].gather_every(len(laid.names)).to_list(),
        windows=Windows(laid.names, values("start_us"), values("end_us"), laid.common),
        totals=Totals(**{field.name: values(field.name) for field in fields(Totals)}),
        hours_known=rows["hours_known"].gather_every(len(laid.names)).to_numpy(),
        raw=options.raw,
    )


# --- sources -----------------------------------------------------------------------------------------------


def _source(spark: SparkSession, name: str) -> DataFrame:
    """Open a source; no row of it is read yet.

    Raises
    ------
    InputError
        It is not there, or nothing that Spark can read as it is meant.
    """
    from pyspark.errors import PySparkException

    try:
        if name.startswith("jdbc:"):
            return _jdbc(spark, name)
        _check_path(spark, name)
        frame: DataFrame = spark.read.parquet(name)
    except (PySparkException, _java_error()) as error:
        raise InputError(f"Spark cannot read {name} (polls): {_first_line(error)}; {_VALID}") from error
    return frame


def _jdbc(spark: SparkSession, name: str) -> DataFrame:
    url, hash_sign, table = name.rpartition("#")
    if not (hash_sign and table):
        raise InputError(f"{name} names no table; valid are jdbc:…#TABLE, such as jdbc:postgresql://db/fleet#polls")
    reader = spark.read.format("jdbc").option("url", url).option("dbtable", table)
    # Instants without a zone are UTC, here as everywhere, not in the zone of some machine.
    frame: DataFrame = reader.option("preferTimestampNTZ", "true").option("fetchsize", "10000").load()
    return frame


def _check_path(spark: SparkSession, name: str) -> None:
    """Refuse what Spark would read without a word, but not as it is meant.

    Raises
    ------
    InputError
        Nothing is there, or the files are parts of a table of another format.
    """
    hadoop: Any = spark.sparkContext._jvm.org.apache.hadoop.fs
    path = hadoop.Path(name)
    system = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    found = list(system.globStatus(path) or [])
    if not found:
        raise InputError(f"there is no {name} (polls); {_VALID}")
    folders = {status.getPath() if status.isDirectory() else status.getPath().getParent() for status in found}
    seen = set()
    while folders:
        folder = folders.pop()
        seen.add(folder)
        if (form := _table_format(system, hadoop, folder)) is not None:
            raise InputError(
                f"{name} is in a table of {form} ({folder}): its folder also holds files that do not count any "
                "more, which only its log can tell. Read the table in a job of your own and call "
                f"uphours.spark.report, or write it as Parquet files first; {_VALID}"
            )
        if (parent := folder.getParent()) is not None and parent not in seen:
            folders.add(parent)


def _table_format(system: Any, hadoop: Any, folder: Any) -> str | None:
    """Return of which format a table begins in a folder."""
    for marker, form in _TABLE_FORMATS.items():
        place = hadoop.Path(folder, marker)
        # Any folder may be called metadata; only what lies in it says whose it is.
        if system.exists(place) and (
            form != "Iceberg" or any(one.getPath().getName().endswith(_ICEBERG) for one in system.listStatus(place))
        ):
            return form
    return None


# --- failures ----------------------------------------------------------------------------------------------


@contextmanager
def _failures_told() -> Iterator[None]:
    """Turn what Spark raises into errors of ours."""
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, _java_error()) as error:
        if ours := _OURS.search(str(error)):
            raise (InputError if ours[1] == "InputError" else EngineError)(ours[2].strip()) from error
        raise EngineError(f"the Spark job failed: {_first_line(error)}") from error


def _java_error() -> type[Exception]:
    from py4j.protocol import Py4JError

    kind: type[Exception] = Py4JError
    return kind


def _first_line(error: Exception) -> str:
    told = getattr(error, "java_exception", None)
    text = str(error) if told is None else str(told.toString())
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
