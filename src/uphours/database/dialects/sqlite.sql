-- name: observations
-- The observations that a timeline over [:start, :end) needs of the chosen stores: those inside,
-- the last one at or before :start however old, and the first one at or after :end; none after :as_of.
-- MATERIALIZED: otherwise SQLite looks the bounds of a store up again for each of its rows.
WITH needed AS MATERIALIZED (
    SELECT
        store,
        coalesce(
            (SELECT max(observed_at) FROM observations AS o WHERE o.store = s.store AND o.observed_at <= :start),
            :start
        ) AS since,
        CASE
            WHEN :end >= :as_of THEN :as_of
            ELSE coalesce(
                (
                    SELECT min(observed_at) FROM observations AS o
                    WHERE o.store = s.store AND o.observed_at >= :end AND o.observed_at <= :as_of
                ),
                :as_of
            )
        END AS until
    FROM stores AS s
    WHERE {stores}
)
-- One row a store, instant and status of each observation packed in one integer.
SELECT
    store,
    (
        SELECT group_concat(observed_at * 4 + status) FROM observations AS o
        WHERE o.store = n.store AND o.observed_at BETWEEN n.since AND n.until
    )
FROM needed AS n

-- name: business_hours
-- Number of the store and valid_from in one integer, which is the number where there is no date; start and weekday in
-- another one. See schedule_rows.
-- One row for all: a row for each store would take as long as all the rest.
SELECT
    0,
    group_concat((valid_from + 2147483648) * 2147483648 + store),
    group_concat(start_local_us * 8 + day),
    group_concat(end_local_us)
FROM business_hours WHERE {stores}

-- name: special_hours
-- Of single stores. Number of the store and date in one integer; see schedule_rows.
-- Store by store, as each has many dates and few are asked for.
SELECT
    0,
    group_concat(date * 2147483648 + store),
    group_concat(start_local_us),
    group_concat(end_local_us)
FROM (SELECT store AS number FROM stores WHERE {stores}) CROSS JOIN special_hours
WHERE store = number AND date BETWEEN :first AND :last

-- name: adjusted
-- By entry: all of its stores often have the same interval.
SELECT
    entry,
    group_concat(store),
    group_concat(start_at),
    group_concat(end_at)
FROM adjusted WHERE {stores} AND start_at < :end AND end_at > :start GROUP BY entry

-- name: history
SELECT store, group_concat(observed_at * 4 + status)
FROM observations WHERE {stores} GROUP BY store

-- name: attributes
-- Of one name: a row for each value and date, with the numbers of the stores that have it.
SELECT value, valid_from, group_concat(store)
FROM attributes WHERE name = :attribute AND {stores} GROUP BY value, valid_from

-- name: timezones
-- A row for each zone and date, with the numbers of the stores that have it.
SELECT timezone, valid_from, group_concat(store)
FROM timezones WHERE {stores} GROUP BY timezone, valid_from
