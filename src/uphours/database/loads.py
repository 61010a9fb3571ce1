"""Writing a load, and reading back what was loaded: all through SQLAlchemy."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, ScalarSelect, Select, case, func, insert, select

from uphours.database import (
    loaded_entries,
    locks,
    polled_days,
    properties,
    rejected_entries,
    schedules,
    special_dates,
    store_attributes,
    stored_targets,
)
from uphours.database.dated_values import EVERY, restated
from uphours.database.dialects.dialect import Engine, dialect_of, parts_of
from uphours.database.store_counts import store_counts
from uphours.database.store_numbers import known_numbers, store_numbers
from uphours.database.tables import (
    business_hours,
    load_files,
    loads,
    observations,
    quarantine,
    stores,
    timezones,
    unknown_hours,
)
from uphours.date_names import DateNames, renumbered
from uphours.errors import NotFoundError
from uphours.kernel.observations import distinct
from uphours.load_record import MOST_KEPT, Brought, Latest, Load, Loaded, LoadedFile, Summary
from uphours.schema import DAY_US, EVERY_STORE, UNKNOWN_TIMEZONE, Codes, Setting
from uphours.version import VERSION

#: Who enters what a load brings for the ledger, where no one is named.
_NO_ACTOR: Final = "load"


def write(connection: Connection, loaded: Loaded, *, actor: str | None = None) -> Load:
    """Write all that a load brings, and its record.

    ``actor``: who enters what it brings for the ledger.

    Raises
    ------
    RejectedError
        No row of a file for the ledger can be used.
    """
    _begin(connection, loaded)
    load = _next_load(connection)
    numbers = store_numbers(connection, loaded.store_ids)
    changes, restated = _replace_calendar(connection, numbers, loaded, load)
    entered = loaded_entries.enter(connection, loaded, numbers, load=load, actor=actor or _NO_ACTOR)
    loaded = rejected_entries.set_aside(loaded, entered)
    order = np.argsort(numbers)  # in the order of their numbers the rows of stores lie as the table has them
    places = np.empty(len(order), dtype=np.int32)
    places[order] = np.arange(len(order))
    found = distinct(places[loaded.stores], loaded.times, loaded.statuses, len(order))
    polls = found.observations
    added, replaced = polled_days.insert_polls(
        connection, np.repeat(numbers[order], np.diff(polls.offsets)), polls.times, polls.statuses
    )
    limit = _new_limit(connection, loaded)
    if limit is not None:
        properties.put(connection, "pruned_before", str(limit))
    known_already = len(polls.times) - sum(added.values()) - replaced
    summary = _summary(connection, loaded, limit)
    return _record(
        connection,
        loaded,
        load,
        repeated=loaded.repeated + found.repeated + known_already + entered.repeated,
        conflicting=loaded.conflicting + found.conflicting + replaced,
        added=added,
        summary=replace(summary, unusable_left_out=changes.unusable_left_out, restated=restated),
    )


def write_each(
    connection: Connection, loaded: Loaded, requests: Codes, count: int
) -> tuple[Load, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Write the observations of ``count`` requests as if each were a load of its own, and one record of all.

    ``requests``: the request of each observation, ascending. Returns the record, and how many observations of each
    request were repeated and conflicting. Made for some hundred observations.
    """
    engine = _begin(connection, loaded)
    numbers = store_numbers(connection, loaded.store_ids)
    keys = list(zip(numbers[loaded.stores].tolist(), loaded.times.tolist(), strict=True))
    status_of: dict[tuple[int, int], int] = {}
    for part in parts_of(keys):
        status_of |= engine.known_statuses(connection, part)
    before = dict(status_of)
    # The statuses that each request gives each instant of a store.
    said: dict[tuple[int, tuple[int, int]], list[int]] = {}
    for key, status, request in zip(keys, loaded.statuses.tolist(), requests.tolist(), strict=True):
        said.setdefault((request, key), []).append(status)
    repeated, conflicting = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    for (request, key), statuses_said in said.items():
        # Inside one load the smallest status wins; a later load replaces an earlier one.
        status = min(statuses_said)
        agreeing = statuses_said.count(status)
        known = status_of.get(key)
        repeated[request] += agreeing - 1 + (known == status)
        conflicting[request] += len(statuses_said) - agreeing + (known is not None and known != status)
        status_of[key] = status
    changed = sorted((*key, status) for key, status in status_of.items() if before.get(key) != status)
    added = dict.fromkeys((loaded.times // DAY_US).tolist(), 0)
    for key in status_of.keys() - before.keys():
        added[key[1] // DAY_US] += 1
    stores, times, statuses = np.array(changed, dtype=np.int64).reshape(-1, 3).T
    engine.insert_observations(connection, stores.astype(np.int32), times, statuses.astype(np.uint8))
    record = _record(
        connection,
        loaded,
        _next_load(connection),
        repeated=int(repeated.sum()),
        conflicting=int(conflicting.sum()),
        added=added,
        summary=Summary(loaded.rejected, min(len(loaded.quarantine), MOST_KEPT)),
    )
    return record, repeated, conflicting


def _begin(connection: Connection, loaded: Loaded) -> Engine:
    """Wait for the loads that are being written, and make room for this one."""
    locks.take(connection, "loads")
    engine = dialect_of(connection)
    engine.prepare(connection, loaded.times)
    return engine


def _next_load(connection: Connection) -> int:
    number: int = connection.execute(select(func.coalesce(func.max(loads.c.load), 0) + 1)).scalar_one()
    return number


def _replace_calendar(
    connection: Connection, numbers: Codes, loaded: Loaded, load: int
) -> tuple[schedules.Changes, int]:
    """Replace what a load says of stores and targets; return what changed, and of how many stores the past."""
    unusable: dict[Setting, set[int]] = {}
    for kind, places in loaded.unusable.items():
        known = known_numbers(connection, loaded.unreadable[kind])
        unusable[kind] = {int(numbers[place]) for place in places} | set(known.values())
    hours = np.column_stack([numbers[loaded.hours[:, 0]], loaded.hours[:, 1:]])
    number_of = {EVERY_STORE: EVERY, **dict(enumerate(numbers.tolist()))}
    zones = {(number_of[store], since): name for (store, since), name in loaded.timezones.items()}
    changes = schedules.replace(connection, hours, zones, unusable, load=load)
    days = renumbered(loaded.special_hours, numbers, every=EVERY)
    names = DateNames.of(loaded.special_names).renumbered(numbers, every=EVERY)
    special = special_dates.replace(connection, days, names, load=load)
    values = {(number_of[store], name, since): value for (store, name, since), value in loaded.attributes.items()}
    limits = store_attributes.replace(connection, values, load=load)
    stored_targets.replace(connection, loaded.targets, load=load)
    return changes, restated(connection, changes.since, limits, special)


def _is_polls_alone(loaded: Loaded) -> bool:
    unusable = any(map(len, loaded.unusable.values())) or any(map(len, loaded.unreadable.values()))
    return not (len(loaded.hours) or loaded.timezones or unusable)


def _new_limit(connection: Connection, loaded: Loaded) -> int | None:
    """Return from when on observations are complete, if a load brings a later instant than was known."""
    if loaded.pruned_before is None:
        return None
    known = properties.get(connection, "pruned_before")
    return loaded.pruned_before if known is None or int(known) < loaded.pruned_before else None


def _summary(connection: Connection, loaded: Loaded, limit: int | None) -> Summary:
    """Sum up what a load did; after its rows are written, and before its record is."""
    summary = Summary(
        rejected=loaded.rejected,
        rows_kept=min(len(loaded.quarantine), MOST_KEPT),
        notices=loaded.notices,
        stores=store_counts(connection, polls_alone=_is_polls_alone(loaded)),
        pruned_before=limit,
        brought=Brought.of(loaded),
    )
    latest = Latest(latest=connection.execute(select(func.max(loads.c.last_observed_at))).scalar())
    latest.add(loaded.times)
    return latest.noted(summary, loaded.started_at)


def _record(
    connection: Connection,
    loaded: Loaded,
    load: int,
    *,
    repeated: int,
    conflicting: int,
    added: Mapping[int, int],
    summary: Summary,
) -> Load:
    """Write the record of a load, its files and its quarantine, and the days of its observations.

    ``added``: how many of them were new, by day.
    """
    times = loaded.times
    record = Load(
        load=load,
        started_at=loaded.started_at,
        version=VERSION,
        rows_read=sum(file.rows_read for file in loaded.files),
        accepted=sum(file.accepted for file in loaded.files),
        repeated=repeated,
        conflicting=conflicting,
        quarantined=sum(file.quarantined for file in loaded.files),
        first_observed_at=int(times.min()) if len(times) else None,
        last_observed_at=int(times.max()) if len(times) else None,
        files=loaded.files,
        summary=summary,
    )
    facts = record.facts()
    files = [{**file, "load": record.load, "file": place} for place, file in enumerate(facts.pop("files"))]
    connection.execute(insert(loads).values(facts | {"summary": summary.to_json()}))
    connection.execute(insert(load_files), files)
    polled_days.record(connection, added)
    if loaded.quarantine:
        set_aside = [
            {"load": record.load, "file": row.file, "line": row.line, "raw": row.raw, "reason": row.reason}
            for row in loaded.quarantine[:MOST_KEPT]
        ]
        connection.execute(insert(quarantine), set_aside)
    return record


def list_loads(connection: Connection, *, before: int | None = None, limit: int | None = None) -> list[Load]:
    """Return the record of every load, the newest first; those ``before`` one, at most ``limit``."""
    query = select(loads).order_by(loads.c.load.desc()).limit(limit)
    return records(connection, query if before is None else query.where(loads.c.load < before))


def find_load(connection: Connection, load: int) -> Load:
    """Return the record of one load.

    Raises
    ------
    NotFoundError
        There is no such load.
    """
    found = records(connection, select(loads).where(loads.c.load == load))
    if not found:
        raise NotFoundError("load", str(load), "`uphours loads` lists them")
    return found[0]


def records(connection: Connection, query: Select[Any]) -> list[Load]:
    """Return the records that a query of the table of loads selects."""
    rows = connection.execute(query).mappings().all()
    files: dict[int, list[LoadedFile]] = {row["load"]: [] for row in rows}
    for part in parts_of(list(files)):
        of_part = select(load_files).where(load_files.c.load.in_(part)).order_by(load_files.c.load, load_files.c.file)
        for row in connection.execute(of_part).mappings():
            fields = {name: value for name, value in row.items() if name not in ("load", "file")}
            files[row["load"]].append(LoadedFile(**fields))
    summaries = {row["load"]: row["summary"] and Summary.from_dict(json.loads(row["summary"])) for row in rows}
    return [Load(**{**row, "summary": summaries[row["load"]] or None}, files=files[row["load"]]) for row in rows]


def any_observation(connection: Connection) -> bool:
    """Say whether the database holds any observation."""
    return connection.execute(select(observations.c.store).limit(1)).first() is not None


def list_stores(connection: Connection) -> list[dict[str, Any]]:
    """Return every store: its id, zone (null: none given), hours, and when it was first and last observed.

    Of dated zones and weeks the latest one counts.
    ``hours_known`` is false where rows of hours or zones were given and none could be used.
    """

    def seen(extreme: Callable[..., Any]) -> ScalarSelect[Any]:
        # One look at the end of the store's own part of the table, not a pass over its history.
        observed = observations.c
        return select(extreme(observed.observed_at)).where(observed.store == stores.c.store).scalar_subquery()

    week, zone = business_hours.c, timezones.c
    other = business_hours.alias("other")
    latest_week = select(func.max(other.c.valid_from)).where(other.c.store == week.store).scalar_subquery()
    rows_of_hours = select(func.count()).where(week.store == stores.c.store, week.valid_from == latest_week)
    latest_zone = select(zone.timezone).where(zone.store == stores.c.store).order_by(zone.valid_from.desc()).limit(1)
    unknown = select(unknown_hours.c.kind).where(unknown_hours.c.store == stores.c.store)
    no_zone = unknown.where(unknown_hours.c.kind == "timezones").exists()
    query = select(
        stores.c.store_id,
        case((no_zone, UNKNOWN_TIMEZONE), else_=latest_zone.scalar_subquery()).label("timezone"),
        rows_of_hours.scalar_subquery().label("hours_rows"),
        unknown.exists().label("hours_unknown"),
        seen(func.min).label("first_observed_at"),
        seen(func.max).label("last_observed_at"),
    ).order_by(stores.c.store_id)
    rows = [dict(row) for row in connection.execute(query).mappings()]
    for row in rows:
        row["hours_known"] = not row.pop("hours_unknown")
    return rows
