-- name: observations
-- The observations that a timeline over [:start, :end) needs of the stores numbered :first to :last: those inside,
-- the last one at or before :start however old, and the first one at or after :end; none after :as_of.
-- Each look at the end of a store's part first tries the four weeks beside the window, which lie in one or two
-- partitions; nearly all stores are found there.
WITH needed AS (
    SELECT
        store,
        coalesce(
            (
                SELECT max(observed_at) FROM observations AS o
                WHERE o.store = s.store AND o.observed_at BETWEEN :start - 2419200000000 AND :start
            ),
            (SELECT max(observed_at) FROM observations AS o WHERE o.store = s.store AND o.observed_at <= :start),
            :start
        ) AS since,
        CASE
            WHEN :end >= :as_of THEN :as_of
            ELSE coalesce(
                (
                    SELECT min(observed_at) FROM observations AS o
                    WHERE o.store = s.store AND o.observed_at >= :end
                    AND o.observed_at <= least(:as_of, :end + 2419200000000)
                ),
                (
                    SELECT min(observed_at) FROM observations AS o
                    WHERE o.store = s.store AND o.observed_at >= :end AND o.observed_at <= :as_of
                ),
                :as_of
            )
        END AS until
    FROM stores AS s
    WHERE store BETWEEN :first AND :last
)
-- Instant and status of each observation in one integer, a row for four weeks of a store: a text has a limit.
SELECT n.store, count(*), group_concat(o.observed_at * 2 + o.status)
FROM needed AS n JOIN observations AS o ON o.store = n.store AND o.observed_at BETWEEN n.since AND n.until
GROUP BY n.store, o.observed_at DIV 2419200000000

-- name: business_hours
SELECT store, 3 * count(*), group_concat(day, ',', start_local_us, ',', end_local_us)
FROM business_hours WHERE store BETWEEN :first AND :last GROUP BY store

-- name: history
SELECT store, count(*), group_concat(observed_at * 2 + status)
FROM observations WHERE store BETWEEN :first AND :last GROUP BY store, observed_at DIV 2419200000000
