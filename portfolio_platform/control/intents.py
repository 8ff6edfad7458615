"""Reading what strategies send: text, numbers and times become an intent; what cannot be read is kept as its fault.

Nothing raises here: a wrong intent is answered with ``rejected_invalid`` and the reason, and is recorded like any other.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from portfolio_platform.control.model import PortfolioIntent
from portfolio_platform.control.money import minor, quantity_units
from portfolio_platform.control.state import Fill
from portfolio_platform.days import nanoseconds
from portfolio_platform.errors import WrongUse

TEXTS = ("intent_id", "portfolio", "strategy", "symbol", "side", "template", "playbook", "regime", "correlation_bucket")
REQUIRED = ("intent_id", "symbol", "side", "ts")
KNOWN = frozenset((*TEXTS, "requested_risk", "requested_notional", "ts"))
LARGEST_AMOUNT = 10**15
"""The largest amount of a currency that is taken seriously: its minor units fit 64 bits."""
LONGEST = 200
"""How long a name may be."""


def read_intent(given: Mapping[str, Any] | PortfolioIntent, portfolio: str, digits: int) -> PortfolioIntent:
    """Return the intent behind what a strategy sent.

    Args:
        given: fields of `PortfolioIntent`; money as a decimal of the portfolio's currency (text, `Decimal`, whole number or
            float), time as a `datetime` with a time zone, ISO text or nanoseconds. An intent that is one already is taken as it is.
        portfolio: whose limits it is held against, where it does not say so.
        digits: minor units of the currency.

    Returns:
        The intent; what was wrong with it is in its `fault`, and its identity is kept as far as it can be read.
    """
    if isinstance(given, PortfolioIntent):
        return given
    faults = [f"{name}: is no field of an intent" for name in sorted(map(str, set(given) - KNOWN))]
    texts = {name: _text(given.get(name), name, faults) for name in TEXTS}
    texts["portfolio"] = texts["portfolio"] or portfolio
    faults += [f"{name}: is missing" for name in REQUIRED if given.get(name) in (None, "")]
    ts = _time(given.get("ts"), faults)
    flat = texts["side"] == "flat"
    risk = 0 if flat and given.get("requested_risk") is None else _money(given.get("requested_risk"), "requested_risk", digits, faults)
    notional = given.get("requested_notional")
    exposure = None if notional is None else _money(notional, "requested_notional", digits, faults)
    identity = texts["intent_id"] or "unnamed:" + hashlib.sha256(repr(sorted(given.items(), key=str)).encode()).hexdigest()[:32]
    return PortfolioIntent(
        intent_id=identity,
        portfolio=texts["portfolio"],
        strategy=texts["strategy"],
        symbol=texts["symbol"],
        side=texts["side"],
        requested_risk=risk,
        ts=ts,
        requested_notional=exposure,
        template=texts["template"],
        playbook=texts["playbook"],
        regime=texts["regime"],
        correlation_bucket=texts["correlation_bucket"],
        fault="; ".join(faults),
    )


def read_fill(given: Mapping[str, Any] | Fill, digits: int) -> Fill:
    """Return the fill behind what a strategy reports.

    Args:
        given: ``execution_id, ts, strategy, symbol, side`` (buy or sell), ``quantity, price``; and, where known, ``stop_price``,
            ``multiplier``, ``intent_id``, ``template``, ``playbook``.
        digits: minor units of the currency.

    Raises:
        WrongUse: a field is missing or wrong: a fill is a fact, so it has to be put right, not refused.
    """
    if isinstance(given, Fill):
        return given
    faults: list[str] = []
    texts = {
        name: _text(given.get(name), name, faults)
        for name in ("execution_id", "strategy", "symbol", "side", "intent_id", "template", "playbook")
    }
    faults += [
        f"{name}: is missing" for name in ("execution_id", "symbol", "side", "quantity", "price", "ts") if given.get(name) in (None, "")
    ]
    if texts["side"] not in ("buy", "sell"):
        faults.append(f"side: {texts['side']!r} is neither buy nor sell")
    ts = _time(given.get("ts"), faults)
    numbers: dict[str, Decimal | None] = {}
    for name in ("quantity", "price", "stop_price", "multiplier"):
        numbers[name] = _decimal(given.get(name), name, faults)
    quantity, price = numbers["quantity"] or Decimal(0), numbers["price"] or Decimal(0)
    if quantity <= 0 and not faults:
        faults.append(f"quantity: {quantity} is not above 0; the side says which way")
    if quantity * price * (numbers["multiplier"] or Decimal(1)) > LARGEST_AMOUNT:
        faults.append(f"quantity: {quantity} at {price} is absurd")
    if faults:
        raise WrongUse(f"fill {texts['execution_id'] or '(unnamed)'}: {'; '.join(faults)}")
    sign = 1 if texts["side"] == "buy" else -1
    each = quantity * (numbers["multiplier"] or Decimal(1))
    stop = numbers["stop_price"]
    risk = None if stop is None else minor(max(Decimal(0), sign * (price - stop)) * each, digits)
    return Fill(
        execution_id=texts["execution_id"],
        at=ts,
        strategy=texts["strategy"],
        symbol=texts["symbol"],
        quantity=sign * quantity_units(quantity),
        exposure=minor(abs(price) * each, digits),
        risk=risk,
        intent_id=texts["intent_id"],
        template=texts["template"],
        playbook=texts["playbook"],
    )


def _text(value: Any, name: str, faults: list[str]) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        faults.append(f"{name}: {_short(value)} is no text")
        return ""
    if len(value) > LONGEST or not value.isprintable():
        faults.append(f"{name}: {_short(value)} is not printable text of at most {LONGEST} characters")
        return ""
    return value


def _time(value: Any, faults: list[str]) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            faults.append(f"ts: {_short(value)} is no ISO time")
            return 0
    if isinstance(value, datetime):
        if value.tzinfo is None:
            faults.append(f"ts: {value.isoformat()} has no time zone")
            return 0
        return nanoseconds(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) < 2**62:
            return value
        faults.append(f"ts: {_short(value)} is beyond any time")
    elif value is not None:
        faults.append(f"ts: {_short(value)} is no time")
    return 0


def _decimal(value: Any, name: str, faults: list[str]) -> Decimal | None:
    if value is None or value == "":
        return None
    try:
        quantity_units(value)
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except ValueError as error:
        faults.append(f"{name}: {error}")
        return None


def _money(value: Any, name: str, digits: int, faults: list[str]) -> int:
    if value is None or isinstance(value, bool):
        faults.append(f"{name}: is missing" if value is None else f"{name}: {value} is no number")
        return 0
    try:
        amount = minor(value, digits)
    except ValueError as error:
        faults.append(f"{name}: {error}")
        return 0
    if abs(amount) > LARGEST_AMOUNT * 10**digits:
        faults.append(f"{name}: {_short(value)} is absurd")
        return 0
    return amount


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
