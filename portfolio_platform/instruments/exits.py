"""The exit contract of an entry before it is asked for, and the tightening of its stop while it is held. Prices in units of 1e-18."""

from collections.abc import Sequence

from portfolio_platform.broker.model import Bar
from portfolio_platform.instruments.features import atr, highest, lowest, mean
from portfolio_platform.instruments.model import Direction, ExitRule, Plan
from portfolio_platform.instruments.state import Contract, Position

MILLION = 1_000_000


def sign_of(direction: Direction) -> int:
    """Return 1 for long and -1 for short."""
    return 1 if direction == "long" else -1


def contract_of(plan: Plan, direction: Direction, bars: Sequence[Bar], tick: int, minimum_r: int) -> tuple[Contract | None, str]:
    """Return the exit contract of an entry at the last close, or None and why there is no trade.

    Args:
        plan: with the rules.
        direction: of the entry.
        bars: closed bars of the execution timeframe, newest last.
        tick: stops and targets are multiples of this, rounded to the worse: a stop away from the price, a target towards it.
        minimum_r: least reward for a unit of risk, parts per million; of a target, where there is one.
    """
    sign, price = sign_of(direction), bars[-1].close
    stop = _level(plan.stop, -sign, price, bars, 0)
    if stop is None:
        return None, "there is no stop yet: too few bars"
    stop = _ticked(stop, tick, -sign)
    risk = (price - stop) * sign
    if risk <= 0 or stop <= 0:
        return None, f"the stop at {stop} is not on the losing side of {price}"
    if plan.time_exit_bars <= 0:
        return None, "there is no time exit"
    if plan.target.kind == "none":
        return Contract(price, stop, 0, plan.time_exit_bars, 0), ""
    target = _level(plan.target, sign, price, bars, risk)
    if target is None:
        return None, "there is no target yet: too few bars"
    target = _ticked(target, tick, -sign)
    reward = (target - price) * sign * MILLION // risk if target > 0 else 0
    if reward < minimum_r or reward <= 0:
        return None, f"reward {reward} ppm of the risk is below {minimum_r}"
    return Contract(price, stop, target, plan.time_exit_bars, reward), ""


def trailed(rule: ExitRule, position: Position, bars: Sequence[Bar], tick: int) -> int:
    """Return the stop of a position after a close: tighter than before, or the same. It stays on the losing side of the close."""
    if rule.kind == "none" or position.contract is None or not bars:
        return position.stop
    sign, price = sign_of(position.direction), bars[-1].close
    risk = abs(position.contract.price - position.contract.stop)
    stop = _level(rule, -sign, price, bars, risk)
    if stop is None:
        return position.stop
    stop = _ticked(stop, tick, -sign)
    tighter = (stop - position.stop) * sign > 0
    return stop if tighter and (price - stop) * sign > 0 and stop > 0 else position.stop


def _level(rule: ExitRule, side: int, price: int, bars: Sequence[Bar], risk: int) -> int | None:
    """Return the price of a rule above (side 1) or below (side -1) a price; None where there are too few bars for it."""
    if rule.kind == "atr":
        span = atr(bars, rule.bars)
        return price + side * span * rule.multiple // MILLION if span else None
    if rule.kind == "range":
        high, low = highest(bars, rule.bars), lowest(bars, rule.bars)
        if not high:
            return None
        margin = (high - low) * rule.multiple // MILLION
        return high + margin if side > 0 else low - margin
    if rule.kind == "r":
        return price + side * risk * rule.multiple // MILLION if risk else None
    if rule.kind == "mean":
        return mean(bars, rule.bars) or None
    return None


def _ticked(price: int, tick: int, side: int) -> int:
    """Return a price as a multiple of the tick, rounded up (side 1) or down (side -1)."""
    return -(-price // tick) * tick if side > 0 else price // tick * tick
