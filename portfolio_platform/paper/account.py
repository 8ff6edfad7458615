"""The paper account to the last digit: cash, positions, what they are worth, and what a session's end says of them. Pure.

The broker rounds each trade to the minor unit, as brokers do; the ledger does not. So that both agree over thousands of trades, the loop's
cash is kept in units of 1e-54: price times quantity times multiplier, none of them rounded.
"""

from collections.abc import Mapping
from typing import NamedTuple

from immutables import Map

from portfolio_platform.broker.model import UNIT, Filled
from portfolio_platform.control.events import Stated
from portfolio_platform.control.model import MILLION
from portfolio_platform.control.state import Fill
from portfolio_platform.paper.model import Held

EXACT = UNIT**3
"""Units of cash in one of the currency."""


class Worth(NamedTuple):
    """What an account comes to at some marks; minor units."""

    equity: int
    gross: int
    risk: int
    positions: tuple[Stated, ...]


def minor_of(exact: int, digits: int) -> int:
    """Return an exact amount in minor units, halves to even."""
    whole = EXACT // int(10**digits)
    low, rest = divmod(exact, whole)
    return low + (rest * 2 > whole or (rest * 2 == whole and low % 2 == 1))


def exact_of(minor: int, digits: int) -> int:
    """Return minor units as an exact amount."""
    return minor * (EXACT // int(10**digits))


def traded(cash: int, held: "Map[str, Held]", fill: Filled, digits: int) -> "tuple[int, Map[str, Held]]":
    """Return cash and positions after a fill."""
    sign = 1 if fill.side == "buy" else -1
    labels = fill.labels
    cash -= sign * fill.price * fill.quantity * labels.multiplier + exact_of(fill.fee, digits)
    before = held.get(fill.symbol) or Held(0, labels.multiplier, 0, "", "")
    quantity = before.quantity + sign * fill.quantity
    if not quantity:
        return cash, held.delete(fill.symbol) if fill.symbol in held else held
    opened = before.quantity == 0 or (quantity > 0) != (before.quantity > 0)
    names = (labels.template, labels.playbook) if opened else (before.template, before.playbook)
    stop = labels.stop_price or (0 if opened else before.stop)
    return cash, held.set(fill.symbol, Held(quantity, labels.multiplier, stop, *names))


def as_control_fill(fill: Filled, digits: int) -> Fill:
    """Return a fill as the control plane takes it: the same as the ledger's feed would say of its row."""
    sign = 1 if fill.side == "buy" else -1
    labels = fill.labels
    lost = sign * (fill.price - labels.stop_price) if labels.stop_price else None
    each = fill.quantity * labels.multiplier
    return Fill(
        execution_id=fill.execution_id,
        at=fill.at,
        strategy=labels.strategy,
        symbol=fill.symbol,
        quantity=sign * fill.quantity,
        exposure=minor_of(fill.price * each, digits),
        risk=None if lost is None or lost < 0 else minor_of(lost * each, digits),
        intent_id=labels.intent_id,
        template=labels.template,
        playbook=labels.playbook,
    )


def worth(cash: int, held: Mapping[str, Held], marks: Mapping[str, int], strategy: str, digits: int, exit_cost: int) -> Worth:
    """Return what an account is worth, and its positions with their open risk as D1 has it.

    The risk of a position is what it loses at its stop, and the cost of leaving. Without a stop, or with one that the mark is beyond, all
    of its exposure is at risk.

    Args:
        cash: exact.
        held: positions by symbol.
        marks: the newest close of each symbol that is held.
        strategy: whose positions they are.
        digits: decimals of the currency's minor unit.
        exit_cost: share of the exposure that leaving costs, parts per million.
    """
    equity, gross, at_risk, stated = cash, 0, 0, []
    for symbol in sorted(held):
        one = held[symbol]
        value = one.quantity * one.multiplier * marks[symbol]
        equity += value
        exposure = abs(value)
        lost = (marks[symbol] - one.stop) * one.quantity * one.multiplier
        risk = exposure if not one.stop or lost < 0 else lost + exposure * exit_cost // MILLION
        gross, at_risk = gross + exposure, at_risk + risk
        amounts = (minor_of(risk, digits), minor_of(exposure, digits))
        stated.append(Stated(strategy, symbol, one.quantity, *amounts, one.template, one.playbook))
    return Worth(minor_of(equity, digits), minor_of(gross, digits), minor_of(at_risk, digits), tuple(stated))
