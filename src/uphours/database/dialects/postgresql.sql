-- name: observations
-- The observations that a timeline over [:start, :end) needs of the chosen stores: those inside,
-- the last one at or before :start however old, and the first one at or after :end; none after :as_of.
-- What lies inside is read as one range of time, which the partitions and their indices know how to find; for the
-- two others each store has a look of its own, at an end of an index.
WITH needed AS (
    SELECT store, observed_at, status FROM observations
    WHERE {stores} AND observed_at > :start AND observed_at < :end AND observed_at <= :as_of
    UNION ALL
    SELECT s.store, o.observed_at, o.status
    FROM stores AS s
    CROSS JOIN LATERAL (
        SELECT observed_at, status FROM observations AS o
        WHERE o.store = s.store AND o.observed_at <= :start
        ORDER BY observed_at DESC LIMIT 1
    ) AS o
    WHERE {stores}
    UNION ALL
    SELECT s.store, o.observed_at, o.status
    FROM stores AS s
    CROSS JOIN LATERAL (
        SELECT observed_at, status FROM observations AS o
        WHERE o.store = s.store AND o.observed_at > :start AND o.observed_at >= :end AND o.observed_at <= :as_of
        ORDER BY observed_at LIMIT 1
    ) AS o
    WHERE {stores}
)
-- One row a store, instant and status of each observation packed in one integer.
SELECT store, count(*), string_agg(CAST(observed_at * 4 + status AS text), ',') FROM needed GROUP BY store

-- name: business_hours
-- Number of the store and valid_from in one integer, which is the number where there is no date; start and weekday in
-- another one. See schedule_rows.
SELECT
    store,
    count(*),
    string_agg(CAST((valid_from + 2147483648) * 2147483648 + store AS text), ','),
    string_agg(CAST(start_local_us * 8 + day AS text), ','),
    string_agg(CAST(end_local_us AS text), ',')
FROM business_hours WHERE {stores} GROUP BY store

-- name: special_hours
-- Of single stores. Number of the store and date in one integer; see schedule_rows.
SELECT
    store,
    count(*),
    string_agg(CAST(date * 2147483648 + store AS text), ','),
    string_agg(CAST(start_local_us AS text), ','),
    string_agg(CAST(end_local_us AS text), ',')
FROM special_hours WHERE {stores} AND store > 0 AND date BETWEEN :first AND :last GROUP BY store

-- name: adjusted
SELECT
    entry,
    count(*),
    string_agg(CAST(store AS text), ','),
    string_agg(CAST(start_at AS text), ','),
    string_agg(CAST(end_at AS text), ',')
FROM adjusted WHERE {stores} AND start_at < :end AND end_at > :start GROUP BY entry

-- name: history
SELECT store, count(*), string_agg(CAST(observed_at * 4 + status AS text), ',')
FROM observations WHERE {stores} GROUP BY store

-- name: attributes
-- Of one name: a row for each value and date, with the numbers of the stores that have it.
SELECT value, valid_from, string_agg(CAST(store AS text), ',')
FROM attributes WHERE name = :attribute AND {stores} GROUP BY value, valid_from

-- name: timezones
-- A row for each zone and date, with the numbers of the stores that have it.
SELECT timezone, valid_from, string_agg(CAST(store AS text), ',')
FROM timezones WHERE {stores} GROUP BY timezone, valid_from
