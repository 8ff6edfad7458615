"""Whether a portfolio stands on one side: symbols held long or short together, and how many stayed so for a window of sessions.

A count, with no correlation in it: where `correlation_stacking` asks how many bets the positions are, and needs returns and an
interval for it, this asks how many of them would lose together if the market turned. The window's figures are those of its
weakest session on one and the same side, so that a day of agreement is nothing and two weeks of it are.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Float64 = npt.NDArray[np.float64]
SIDES = ("long", "short", "")
NEITHER = 2


@dataclass(frozen=True)
class OneSided:
    """Figures by session, shape (n,).

    ``lasting`` symbols at least were on ``side`` in every session of the window, and ``lasting_share`` of those held at least;
    0 where the window is not full or neither side had one throughout.
    """

    lasting: Int64
    lasting_share: Float64
    side: Int64


def one_sided(long: Int64, short: Int64, window: int) -> OneSided:
    """Return the figures of one portfolio from its symbols held long and short in each session, shape (n,)."""
    held = np.maximum(long + short, 1)
    counts = np.stack([_smallest(side.astype(np.float64), window) for side in (long, short)])
    shares = np.stack([_smallest(side / held, window) for side in (long, short)])
    which = np.argmax(counts, axis=0)
    at = np.arange(long.size)
    lasting = counts[which, at].astype(np.int64)
    return OneSided(lasting, shares[which, at], np.where(lasting > 0, which, NEITHER))


def _smallest(values: Float64, window: int) -> Float64:
    """Return the smallest of the last ``window`` values at each place, 0 where there are not so many."""
    padded = np.concatenate((np.zeros(window - 1), values))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, window).min(axis=1), np.float64)
