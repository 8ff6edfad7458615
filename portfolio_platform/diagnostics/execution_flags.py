"""Orders that went beyond a hard limit of execution, one by one: slipped too far, or waited too long.

`execution_profile` counts such orders and looks for drift in the rest; here each is named, for one gap through a stop costs more
than a month of drift. An order is the executions of one order id, strategy, symbol and side in a day; what it paid is their mean by
quantity. It is a stop or a target where its decision price is the one that was in force, else it was sent at the decision: only
then does the time that it took say anything about execution.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from portfolio_platform.policy.diagnostics import ExecutionPolicy

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

STOP, TARGET, SENT = range(3)
KINDS = ("stop", "target", "sent")
SLIPPAGE, LATE = 1, 2
LIMITS = ("", "slippage", "late", "slippage, late")
BPS = 1e4
SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True)
class Fills:
    """Executions, sorted by order and time; NaN where unknown. ``order`` are ascending codes, ``buy`` is true for a purchase."""

    order: Int64
    buy: Flags
    quantity: Float64
    price: Float64
    decision_price: Float64
    stop_price: Float64
    target_price: Float64
    waited: Float64
    """Seconds from the decision."""


@dataclass(frozen=True)
class Orders:
    """One row for each order; ``row`` is the place of its first execution, ``limits`` a code into `LIMITS`.

    ``slippage_bps`` is adverse where positive, NaN without a decision price; ``minutes`` lie between the decision and the first
    execution.
    """

    row: Int64
    kind: Int64
    quantity: Float64
    fill_price: Float64
    slippage_bps: Float64
    minutes: Float64
    executions: Int64
    limits: Int64


def orders(fills: Fills, policy: ExecutionPolicy) -> Orders:
    """Return every order with the limits that it passed; shape (orders,)."""
    first = np.flatnonzero(np.diff(fills.order, prepend=-1))
    if not first.size:
        none, nothing = np.empty(0, np.int64), np.empty(0)
        return Orders(none, none, nothing, nothing, nothing, nothing, none, none)
    quantity = np.add.reduceat(fills.quantity, first)
    price = np.add.reduceat(fills.quantity * fills.price, first) / quantity
    decided = fills.decision_price[first]
    decided = np.where(decided > 0.0, decided, np.nan)
    slippage = np.where(fills.buy[first], 1.0, -1.0) * (price - decided) / decided * BPS
    with np.errstate(invalid="ignore"):
        kind = np.where(decided == fills.stop_price[first], STOP, np.where(decided == fills.target_price[first], TARGET, SENT))
        minutes = fills.waited[first] / SECONDS_PER_MINUTE
        beyond = np.where(slippage > policy.slippage_limit_bps, SLIPPAGE, 0)
        late = np.where((kind == SENT) & (minutes > policy.fill_minutes), LATE, 0)
    executions = np.diff(np.append(first, fills.order.size))
    return Orders(first, kind, quantity, price, slippage, minutes, executions, beyond + late)
