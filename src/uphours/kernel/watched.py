"""Observations + sessions → the open time that was watched: when polls were near enough to each other to tell.

It is a matter of when polls were made, not of what they said: no policy but `confirm_within` has a say in it.
"""

from __future__ import annotations

import numpy as np

from uphours.kernel.jit import compiled
from uphours.kernel.policy import Policy
from uphours.schema import Observations, Sessions


def watched(observations: Observations, sessions: Sessions, policy: Policy) -> Sessions:
    """Return the parts of the sessions that were watched, ascending per store.

    An instant of a session is watched if it lies between two neighbouring observations at most ``confirm_within``
    apart, or less than ``confirm_within`` after the last one.

    Parameters
    ----------
    observations
        Nothing after as_of; otherwise as `timeline` takes them. What follows the last one is watched beyond as_of:
        anyone who measures it stops there.
    sessions
        Known wherever the result is measured.
    """
    n = len(sessions.offsets) - 1
    # A part begins with a session or with the first of a run of observations. Untouched pages cost no memory.
    limit = len(observations.times) + len(sessions.starts)
    parts = Sessions(np.zeros(n + 1, dtype=np.int64), np.empty(limit, np.int64), np.empty(limit, np.int64))
    _watched_loop(
        observations.offsets, observations.times, sessions.offsets, sessions.starts, sessions.ends,
        policy.confirm_within_us, parts.offsets, parts.starts, parts.ends,
    )  # fmt: skip
    used = slice(int(parts.offsets[-1]))
    return Sessions(parts.offsets, parts.starts[used], parts.ends[used])


@compiled
def _watched_loop(  # type: ignore[no-untyped-def]
    observation_offsets, times, session_offsets, opens, closes, within, offsets, starts, ends
):
    k = 0  # parts written
    for store in range(len(session_offsets) - 1):
        i, stop = observation_offsets[store], observation_offsets[store + 1]
        session, last = session_offsets[store], session_offsets[store + 1]
        while i < stop and session < last:
            # [a, b) is a run of observations of which each is near enough to the one before.
            a = times[i]
            i += 1
            while i < stop and times[i] - times[i - 1] <= within:
                i += 1
            b = times[i - 1]
            if i == stop:
                b += within
            while session < last and closes[session] <= a:
                session += 1
            # The last session that a run reaches may go on in the next run.
            while session < last and opens[session] < b:
                start, end = max(a, opens[session]), min(b, closes[session])
                if start < end:
                    starts[k], ends[k] = start, end
                    k += 1
                if closes[session] > b:
                    break
                session += 1
        offsets[store + 1] = k
