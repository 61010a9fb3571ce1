"""Observations + sessions → spans: which observation speaks for each instant, decided once.

Every number of uphours is a view of the spans made here.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from uphours.kernel.jit import compiled
from uphours.kernel.policy import Policy
from uphours.schema import UNKNOWN, Observations, Sessions, Spans

_INTERPOLATIONS: Final = {"previous": 0, "next": 1, "nearest": 2}
_NEXT: Final = 1
_NEAREST: Final = 2
_NO_LIMIT: Final = 1 << 62


def timeline(
    observations: Observations,
    sessions: Sessions,
    start: int,
    end: int,
    policy: Policy,
    *,
    merged: bool = True,
) -> Spans:
    """Cut the sessions of every store inside ``[start, end)`` into spans of one status.

    For an instant *u* inside a session let P be the last observation at or before *u* and Q the first one
    after it. Who speaks: the only one there is; else, with ``prefer_in_session``, the only one made inside
    the session of *u*; else the one that ``interpolation`` names. It speaks up to ``max_age`` far; one of status
    unknown says that *u* is unknown. Known time between P and Q is confirmed where they agree and are at most
    ``confirm_within`` apart. With ``only_watched`` no observation speaks for unwatched time (`watched.watched`).

    Parameters
    ----------
    observations
        Nothing after as_of. Per store at least the last one at or before ``start``, those in between, and the
        first one at or after ``end``, where they exist.
    sessions
        Known from the first to the last of these observations (`hours.reach`).
    start, end
        UTC microseconds, ``end`` not after as_of.
    merged
        Join neighbouring spans of a session with the same status and confirmation; without it each span has
        one observation that speaks for all of it.

    Returns
    -------
    Spans
        Half-open, ascending per store, without gaps inside a session.
    """
    n = len(sessions.offsets) - 1
    max_age = _NO_LIMIT if policy.max_age_us is None else policy.max_age_us
    # Between two neighbouring cuts (a session's bounds, observations) the pass emits at most three spans: one
    # while P speaks, one while neither does, one while Q speaks. Pages that stay untouched cost no memory.
    pieces = len(observations.times) + len(sessions.starts)
    is_one_each = policy.interpolation != "nearest" and policy.max_age_us is None and not policy.only_watched
    limit = pieces if is_one_each else 3 * pieces
    spans = Spans(
        offsets=np.zeros(n + 1, dtype=np.int64),
        starts=np.empty(limit, dtype=np.int64),
        ends=np.empty(limit, dtype=np.int64),
        statuses=np.empty(limit, dtype=np.uint8),
        confirmed=np.empty(limit, dtype=np.bool_),
        evidence=np.empty(limit, dtype=np.int64),
    )
    _timeline_loop(
        observations.offsets, observations.times, observations.statuses,
        sessions.offsets, sessions.starts, sessions.ends,
        start, end,
        _INTERPOLATIONS[policy.interpolation], policy.prefer_in_session,
        max_age, policy.confirm_within_us, policy.only_watched, merged,
        spans.offsets, spans.starts, spans.ends, spans.statuses, spans.confirmed, spans.evidence,
    )  # fmt: skip
    used = slice(int(spans.offsets[-1]))
    return Spans(
        spans.offsets, spans.starts[used], spans.ends[used], spans.statuses[used], spans.confirmed[used],
        spans.evidence[used],
    )  # fmt: skip


@compiled
def _timeline_loop(  # type: ignore[no-untyped-def]
    observation_offsets, times, observed,
    session_offsets, opens, closes,
    start, end,
    interpolation, prefer_in_session, max_age, confirm_within, only_watched, merged,
    offsets, starts, ends, statuses, confirmed, evidence,
):  # fmt: skip
    k = 0  # spans written
    last_status, last_sure = UNKNOWN, False  # of the span before
    for store in range(len(session_offsets) - 1):
        first, stop = observation_offsets[store], observation_offsets[store + 1]
        p = first - 1  # position of P; first - 1 means that there is none
        for session in range(session_offsets[store], session_offsets[store + 1]):
            a, b = max(opens[session], start), min(closes[session], end)
            session_k = k
            while a < b:
                while p + 1 < stop and times[p + 1] <= a:
                    p += 1
                q = p + 1
                has_p, has_q = p >= first, q < stop
                piece_end = min(b, times[q]) if has_q else b

                # [a, from_q) is P's to speak for, [from_q, piece_end) is Q's.
                if has_p and has_q:
                    p_inside, q_inside = times[p] >= opens[session], times[q] < closes[session]
                    if prefer_in_session and p_inside != q_inside:
                        from_q = piece_end if p_inside else a
                    elif interpolation == _NEAREST:
                        # Not (P + Q) // 2 of the raw values: that is the same, this cannot overflow.
                        from_q = min(max(times[p] + (times[q] - times[p]) // 2, a), piece_end)
                    else:
                        from_q = a if interpolation == _NEXT else piece_end
                    agree = observed[p] == observed[q] and times[q] - times[p] <= confirm_within
                else:
                    from_q = piece_end if has_p else a
                    agree = False

                # Neither speaks further than max_age: [p_until, q_since) belongs to neither.
                p_until = min(from_q, times[p] + max_age) if has_p else a
                q_since = max(from_q, times[q] - max_age) if has_q else piece_end
                p_until, q_since = max(p_until, a), min(q_since, piece_end)
                if only_watched and not (has_p and has_q and times[q] - times[p] <= confirm_within):
                    q_since = piece_end
                    p_until = a if has_q or not has_p else max(a, min(p_until, times[p] + confirm_within))

                if a < p_until:
                    until, speaker = p_until, p
                elif a < q_since:
                    until, speaker = q_since, -1
                else:
                    until, speaker = piece_end, q
                status = UNKNOWN if speaker < 0 else observed[speaker]
                sure = agree and status != UNKNOWN
                if merged and k > session_k and last_status == status and last_sure == sure:
                    ends[k - 1] = until
                else:
                    starts[k], ends[k], statuses[k], confirmed[k], evidence[k] = a, until, status, sure, speaker
                    last_status, last_sure = status, sure
                    k += 1
                a = until
        offsets[store + 1] = k
