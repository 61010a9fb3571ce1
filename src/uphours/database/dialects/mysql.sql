-- name: observations
-- The observations that a timeline over [:start, :end) needs of the chosen stores: those inside,
-- the last one at or before :start however old, and the first one at or after :end; none after :as_of.
-- What lies inside is read as one range of time, in one or two partitions. Each look at the end of a store's part
-- first tries the four weeks beside the window; nearly all stores are found there. LIMIT, and not max(): with that
-- the server would read all of a store's rows.
-- One row for four weeks of a store, as a text has a limit; instant and status of each observation packed in one integer.
SELECT store, count(*), group_concat(value)
FROM (
    SELECT store, observed_at * 4 + status AS value, observed_at DIV 2419200000000 AS part
    FROM observations
    WHERE {stores} AND observed_at > :start AND observed_at < :end AND observed_at <= :as_of
    UNION ALL
    SELECT
        s.store,
        coalesce(
            (
                SELECT o.observed_at * 4 + o.status FROM observations AS o
                WHERE o.store = s.store AND o.observed_at BETWEEN :start - 2419200000000 AND :start
                ORDER BY o.observed_at DESC LIMIT 1
            ),
            (
                SELECT o.observed_at * 4 + o.status FROM observations AS o
                WHERE o.store = s.store AND o.observed_at <= :start
                ORDER BY o.observed_at DESC LIMIT 1
            )
        ),
        0
    FROM stores AS s
    WHERE {stores}
    UNION ALL
    SELECT
        s.store,
        (
            SELECT o.observed_at * 4 + o.status FROM observations AS o
            WHERE o.store = s.store AND o.observed_at > :start AND o.observed_at >= :end AND o.observed_at <= :as_of
            ORDER BY o.observed_at LIMIT 1
        ),
        0
    FROM stores AS s
    WHERE {stores}
) AS needed
WHERE value IS NOT NULL
GROUP BY store, part

-- name: business_hours
-- Number of the store and valid_from in one integer, which is the number where there is no date; start and weekday in
-- another one. See schedule_rows.
SELECT
    store,
    count(*),
    group_concat((valid_from + 2147483648) * 2147483648 + store),
    group_concat(start_local_us * 8 + day),
    group_concat(end_local_us)
FROM business_hours WHERE {stores} GROUP BY store

-- name: special_hours
-- Of single stores. Number of the store and date in one integer; see schedule_rows.
SELECT
    store,
    count(*),
    group_concat(date * 2147483648 + store),
    group_concat(start_local_us),
    group_concat(end_local_us)
FROM special_hours WHERE {stores} AND store > 0 AND date BETWEEN :first AND :last GROUP BY store

-- name: adjusted
-- A thousand stores at a time, as a text has a limit.
SELECT
    entry,
    count(*),
    group_concat(store),
    group_concat(start_at),
    group_concat(end_at)
FROM adjusted WHERE {stores} AND start_at < :end AND end_at > :start GROUP BY entry, store DIV 1024

-- name: history
SELECT store, count(*), group_concat(observed_at * 4 + status)
FROM observations WHERE {stores} GROUP BY store, observed_at DIV 2419200000000

-- name: attributes
-- Of one name: a row for each value and date, with the numbers of the stores that have it. As bytes, as texts that
-- differ in blanks at their end are the same to the server; a thousand stores at a time, as a text has a limit.
SELECT min(value), valid_from, group_concat(store)
FROM attributes WHERE CAST(name AS BINARY) = CAST(:attribute AS BINARY) AND name = :attribute AND {stores}
GROUP BY CAST(value AS BINARY), valid_from, store DIV 1024

-- name: timezones
-- A row for each zone and date, with the numbers of the stores that have it;
-- a thousand stores at a time, as a text has a limit.
SELECT timezone, valid_from, group_concat(store)
FROM timezones WHERE {stores} GROUP BY timezone, valid_from, store DIV 1024
