-- The observations that a timeline over [?1, ?2) needs of the stores numbered ?4 to ?5: those inside, the last
-- one at or before ?1 however old, and the first one at or after ?2; none after as_of, ?3.
-- MATERIALIZED: otherwise SQLite looks the bounds of a store up again for each of its rows.
WITH needed AS MATERIALIZED (
    SELECT
        store,
        coalesce(
            (SELECT max(observed_at) FROM observations AS o WHERE o.store = s.store AND o.observed_at <= ?1), ?1
        ) AS since,
        CASE
            WHEN ?2 >= ?3 THEN ?3
            ELSE coalesce(
                (
                    SELECT min(observed_at) FROM observations AS o
                    WHERE o.store = s.store AND o.observed_at >= ?2 AND o.observed_at <= ?3
                ),
                ?3
            )
        END AS until
    FROM stores AS s
    WHERE store BETWEEN ?4 AND ?5
)
-- Instant and status in one integer: the time of a bulk read goes by values, and this saves a third of them.
SELECT o.store, o.observed_at * 2 + o.status AS observation
FROM needed AS n
CROSS JOIN observations AS o ON o.store = n.store AND o.observed_at BETWEEN n.since AND n.until
