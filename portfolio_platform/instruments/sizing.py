"""How much: risk in money to a quantity and back, always rounded to the smaller position.

Money is minor units, prices, quantities and multipliers are units of 1e-18, shares parts per million.
"""

from typing import NamedTuple

from portfolio_platform.control.model import Envelope
from portfolio_platform.instruments.model import InstrumentConfig, Plan

MILLION = 1_000_000
CUBE = 10**54


class Wish(NamedTuple):
    """What is asked for, and what bounded it; a quantity of 0 says that the bounds leave no trade."""

    wanted_risk: int
    risk: int
    notional: int
    quantity: int
    bounds: tuple[str, ...]


def value_of(config: InstrumentConfig, price: int, quantity: int) -> int:
    """Return price times quantity times multiplier in minor units, rounded up."""
    exact: int = price * quantity * config.multiplier * 10**config.digits
    return -(-exact // CUBE)


def affordable(config: InstrumentConfig, price: int, amount: int) -> int:
    """Return the largest quantity, in lots, whose value at a price (or whose loss over a distance) is at most an amount."""
    if amount <= 0 or price <= 0:
        return 0
    most: int = amount * CUBE // (price * config.multiplier * 10**config.digits)
    return most - most % config.lot


def wish(config: InstrumentConfig, plan: Plan, envelope: Envelope | None, equity: int, size: int, price: int, stop: int) -> Wish:
    """Return what to ask for on a contract: risk of the plan and the judge, within the workflow's limits and its envelope.

    Args:
        config: of the workflow, with its limits.
        plan: with the share of equity at risk.
        envelope: in force, if any.
        equity: minor units.
        size: the judge's share of the usual size, parts per million.
        price: of the decision.
        stop: of the contract.
    """
    wanted = equity * plan.risk_ppm // MILLION * min(size, MILLION) // MILLION
    limits: list[tuple[str, int]] = [("risk_limit", equity * config.limits.risk_ppm // MILLION)]
    if envelope is not None:
        limits.append(("max_new_risk", envelope.max_new_risk))
        if envelope.symbol_max_risk is not None:
            limits.append(("symbol_max_risk", envelope.symbol_max_risk))
    risk = min([wanted, *(amount for _, amount in limits)])
    bounds = [name for name, amount in limits if amount < wanted]
    distance = abs(price - stop)
    quantity = affordable(config, distance, risk)
    most = affordable(config, price, equity * config.limits.notional_ppm // MILLION)
    if most < quantity:
        quantity = most
        bounds.append("notional_limit")
    if quantity <= 0:
        return Wish(wanted, 0, 0, 0, (*bounds, "lot"))
    return Wish(wanted, min(risk, value_of(config, distance, quantity)), value_of(config, price, quantity), quantity, tuple(bounds))


def granted(
    config: InstrumentConfig,
    plan: Plan,
    envelope: Envelope | None,
    equity: int,
    asked: int,
    approved: tuple[int, int | None],
    levels: tuple[int, int],
) -> int:
    """Return the quantity to order on an answer: within what was asked, what was granted, and the envelope in force now.

    Args:
        config: of the workflow.
        plan: with the share of equity at risk.
        envelope: in force, if any.
        equity: minor units, at the request.
        asked: risk that was asked for.
        approved: risk and notional that were granted; no notional where it was not said.
        levels: price of the decision, and the stop.
    """
    price, stop = levels
    risk = min(asked, approved[0])
    if envelope is not None:
        usual = equity * min(plan.risk_ppm, config.limits.risk_ppm) // MILLION
        risk = min(risk, usual * envelope.size_multiplier_cap // MILLION)
        if envelope.symbol_max_risk is not None:
            risk = min(risk, envelope.symbol_max_risk)
    notional = equity * config.limits.notional_ppm // MILLION
    if approved[1] is not None:
        notional = min(notional, approved[1])
    return min(affordable(config, abs(price - stop), risk), affordable(config, price, notional))
