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
-- Weekday and valid_from in one integer, which is the weekday where there is no date; see schedule_rows.
SELECT store, group_concat(((valid_from + 2147483648) * 8 + day) || ',' || start_local_us || ',' || end_local_us)
FROM business_hours WHERE {stores} GROUP BY store

-- name: special_hours
SELECT store, group_concat(date || ',' || start_local_us || ',' || end_local_us)
FROM special_hours WHERE {stores} AND date BETWEEN :first AND :last GROUP BY store

-- name: adjusted
SELECT store, group_concat(entry || ',' || start_at || ',' || end_at)
FROM adjusted WHERE {stores} GROUP BY store

-- name: history
SELECT store, group_concat(observed_at * 4 + status)
FROM observations WHERE {stores} GROUP BY store
