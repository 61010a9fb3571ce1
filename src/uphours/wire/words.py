"""The words that stand for states, kinds and choices."""

from __future__ import annotations

from typing import Literal, TypeAlias

# Reports and jobs.
Format: TypeAlias = Literal["csv", "json", "parquet", "xlsx"]
JobKind: TypeAlias = Literal["report", "load", "source"]
JobState: TypeAlias = Literal["receiving", "queued", "running", "complete", "failed", "cancelled"]

# Time.
BucketSize: TypeAlias = Literal["hour", "day", "week"]

# A policy.
Interpolation: TypeAlias = Literal["previous", "next", "nearest"]
Assume: TypeAlias = Literal["unknown", "active", "inactive"]

# Stores.
ObservationStatus: TypeAlias = Literal["active", "inactive", "unknown"]
SpanStatus: TypeAlias = Literal["up", "down", "unknown", "excluded"]
StoreState: TypeAlias = Literal["up", "down", "unknown", "excluded", "closed", "hours unknown"]
Lacking: TypeAlias = Literal["hours", "timezone"]
Observed: TypeAlias = Literal["ever", "never"]
Tab: TypeAlias = Literal["attention", "down_throughout", "unstable", "below_target", "not_polled", "incomplete", "all"]
StoreOrder: TypeAlias = Literal["store_id", "availability", "lost_time", "since", "last_observed"]
GroupOrder: TypeAlias = Literal["values", "availability", "lost_time"]
Origin: TypeAlias = Literal[
    "week", "special hours", "special hours of every store", "always open", "outside first and last day",
    "before the first week", "before the first zone", "hours unknown",
]  # fmt: skip

# The ledger.
CountsAs: TypeAlias = Literal["excluded", "up", "down", "unknown"]
EntryCountsAs: TypeAlias = Literal["excluded", "up", "down", "unknown", "withdrawal"]
AdjustmentReason: TypeAlias = Literal[
    "planned closure", "platform outage", "collector failure", "store's own fault", "wrong data", "other"
]

# Targets.
TargetPeriod: TypeAlias = Literal["week", "month", "quarter"]
Exhausted: TypeAlias = Literal["past", "projected"]

# The service.
Scope: TypeAlias = Literal["read", "ingest", "adjust", "feed", "admin"]
SourceState: TypeAlias = Literal["ok", "failing", "not read yet"]
