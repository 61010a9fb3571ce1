-- name: observations
-- The observations that a timeline over [:start, :end) needs of the stores numbered :first to :last: those inside,
-- the last one at or before :start however old, and the first one at or after :end; none after :as_of.
-- What lies inside is read as one range of time, which the partitions and their indices know how to find; for the
-- two others each store has a look of its own, at an end of an index.
WITH needed AS (
    SELECT store, observed_at, status FROM observations
    WHERE store BETWEEN :first AND :last AND observed_at > :start AND observed_at < :end AND observed_at <= :as_of
    UNION ALL
    SELECT s.store, o.observed_at, o.status
    FROM stores AS s
    CROSS JOIN LATERAL (
        SELECT observed_at, status FROM observations AS o
        WHERE o.store = s.store AND o.observed_at <= :start
        ORDER BY observed_at DESC LIMIT 1
    ) AS o
    WHERE s.store BETWEEN :first AND :last
    UNION ALL
    SELECT s.store, o.observed_at, o.status
    FROM stores AS s
    CROSS JOIN LATERAL (
        SELECT observed_at, status FROM observations AS o
        WHERE o.store = s.store AND o.observed_at > :start AND o.observed_at >= :end AND o.observed_at <= :as_of
        ORDER BY observed_at LIMIT 1
    ) AS o
    WHERE s.store BETWEEN :first AND :last
)
-- One row a store, instant and status of each observation in one integer.
SELECT store, count(*), string_agg(CAST(observed_at * 2 + status AS text), ',') FROM needed GROUP BY store

-- name: business_hours
SELECT store, 3 * count(*), string_agg(concat_ws(',', day, start_local_us, end_local_us), ',')
FROM business_hours WHERE store BETWEEN :first AND :last GROUP BY store

-- name: history
SELECT store, count(*), string_agg(CAST(observed_at * 2 + status AS text), ',')
FROM observations WHERE store BETWEEN :first AND :last GROUP BY store
