"""What Prometheus reads: requests of this process, and the state of jobs, loads and sources as the database has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from uphours.database import queue
from uphours.database import sources as source_table
from uphours.database.database import Database
from uphours.database.tables import loads, stores
from uphours.schema import SECOND_US

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_STATES: Final = ("receiving", "queued", "running", "complete", "failed", "cancelled")


class Metrics:
    """The metrics of one service."""

    def __init__(self, database: Database, watched: Iterable[str], now: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_StoreCollector(database, list(watched), now))
        self._requests = Counter(
            "uphours_http_requests", "Requests.", ["method", "route", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "uphours_http_request_seconds",
            "How long requests took.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._commits = Histogram(
            "uphours_observation_commit_requests",
            "How many requests with observations were committed together.",
            buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
            registry=self._registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        counter, histogram = self._of(method, route, status)
        counter.inc()
        histogram.observe(seconds)

    @lru_cache(maxsize=4096)  # noqa: B019  # there is one of these as long as the process lives
    def _of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        known = method if method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS") else "other"
        return self._requests.labels(known, route, str(status)), self._seconds.labels(known, route)

    def commit(self, requests: int) -> None:
        """Count a commit of observations."""
        self._commits.observe(requests)

    def written(self) -> bytes:
        """Return everything as text."""
        return generate_latest(self._registry)


class _StoreCollector(Collector):
    def __init__(self, database: Database, watched: list[str], now: Callable[[], int]) -> None:
        self._database, self._watched, self._now = database, watched, now

    def describe(self) -> list[GaugeMetricFamily]:
        return []  # it is asked when someone scrapes, not when it is registered

    def collect(self) -> Iterator[GaugeMetricFamily]:
        with self._database.reading() as connection:
            counts = queue.counts(connection)
            since = queue.waiting_since(connection)
            sources = source_table.states(connection)
            failing = source_table.failing(connection)
            stores_known = connection.execute(select(func.count()).select_from(stores)).scalar_one()
            last_load, last_observed = connection.execute(
                select(func.max(loads.c.load), func.max(loads.c.last_observed_at))
            ).one()
        jobs = GaugeMetricFamily("uphours_jobs", "Jobs by kind and state.", labels=["kind", "state"])
        for kind in queue.KINDS:
            for state in _STATES:
                jobs.add_metric([kind, state], counts.get((kind, state), 0))
        yield jobs
        waited = 0.0 if since is None else max(0, self._now() - since) / SECOND_US
        yield GaugeMetricFamily("uphours_job_wait_seconds", "How long the first job has waited.", waited)
        yield GaugeMetricFamily("uphours_stores", "Stores that are known.", stores_known)
        yield GaugeMetricFamily("uphours_last_load", "Number of the last load.", last_load or 0)
        if last_observed is not None:
            seconds = last_observed / SECOND_US
            yield GaugeMetricFamily("uphours_last_observed_seconds", "The latest observation.", seconds)
        yield from self._of_sources(sources, failing)

    def _of_sources(
        self,
        states: dict[str, source_table.SourceState],
        failing: dict[str, list[source_table.FailingFile]],
    ) -> Iterator[GaugeMetricFamily]:
        failures = GaugeMetricFamily("uphours_source_failures", "Failures in a row.", labels=["source"])
        succeeded = GaugeMetricFamily("uphours_source_success_seconds", "Last success.", labels=["source"])
        files = GaugeMetricFamily("uphours_source_files", "Files read.", labels=["source"])
        bad = GaugeMetricFamily("uphours_source_failing_files", "Files that cannot be read.", labels=["source"])
        for name in self._watched:
            state = states.get(name, source_table.SourceState(name))
            failures.add_metric([name], state.failures)
            files.add_metric([name], state.files_read)
            bad.add_metric([name], len(failing.get(name, ())))
            if state.succeeded_at is not None:
                succeeded.add_metric([name], state.succeeded_at / SECOND_US)
        yield from (failures, succeeded, files, bad)
