"""Reading what strategies send: text, numbers and times become an intent; what cannot be read is kept as its fault.

Nothing raises here: a wrong intent is answered with ``rejected_invalid`` and the reason, and is recorded like any other.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from portfolio_platform.control.model import SET_ASIDE, PortfolioIntent
from portfolio_platform.control.money import QUANTITY_PLACES, minor, quantity_units, shown
from portfolio_platform.control.state import Fill
from portfolio_platform.control.terms import LAST
from portfolio_platform.days import nanoseconds
from portfolio_platform.errors import WrongUse

TEXTS = ("intent_id", "portfolio", "strategy", "symbol", "side", "template", "playbook", "regime", "correlation_bucket")
REQUIRED = ("intent_id", "symbol", "side", "ts")
KNOWN = frozenset((*TEXTS, "requested_risk", "requested_notional", "ts"))
LARGEST_AMOUNT = 10**15
"""The largest amount of a currency that is taken seriously: its minor units fit 64 bits."""
LARGEST_RISK = LARGEST_AMOUNT
"""The largest risk and exposure of a fill, in minor units, to either side of it."""
LONGEST = 200
"""How long a name may be."""
LONGEST_FAULT = 2_000
"""How much is said of what is wrong with an intent."""
FIRST = 10**17
"""The first time that is taken seriously, in 1973, nanoseconds UTC: what is below was counted in other units."""
NEEDED_TO_REDUCE = ("portfolio", "symbol")
"""The fields without which an intent to reduce cannot be answered; whatever else is wrong with one is set aside, and said."""


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
        return given if _is_sound(given) else _made_sound(given)
    faults = [f"{name}: is no field of an intent" for name in sorted(map(shown, set(given) - KNOWN))]
    texts = {name: _text(given.get(name), name, faults) for name in TEXTS}
    texts["portfolio"] = texts["portfolio"] or portfolio
    faults += [f"{name}: is missing" for name in REQUIRED if given.get(name) in (None, "")]
    ts = _time(given.get("ts"), faults)
    flat = texts["side"] == "flat"
    risk = 0 if flat and given.get("requested_risk") is None else _money(given.get("requested_risk"), "requested_risk", digits, faults)
    notional = given.get("requested_notional")
    exposure = None if notional is None else _money(notional, "requested_notional", digits, faults)
    identity = texts["intent_id"] or _identity(given)
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
        fault=_fault(faults, flat),
    )


def _fault(faults: list[str], flat: bool) -> str:
    """Return what is wrong with an intent, in one text."""
    text = "; ".join(faults)[:LONGEST_FAULT]
    aside = flat and text and not any(one.startswith(NEEDED_TO_REDUCE) for one in faults)
    return SET_ASIDE + text if aside else text


def _identity(given: Mapping[str, Any]) -> str:
    """Return the id of an intent that has none: by its content."""
    said = sorted(f"{shown(name)}={_whole(value)}" for name, value in given.items())
    return "unnamed:" + hashlib.sha256("\n".join(said).encode()).hexdigest()[:32]


def _whole(value: Any) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return shown(value)


def _is_sound(intent: PortfolioIntent) -> bool:
    """Say whether an intent that was made in Python holds what its type says, so that it can be decided and recorded."""
    texts = (intent[0], intent[1], intent[2], intent[3], intent[4], intent[8], intent[9], intent[10], intent[11])
    numbers = (intent.requested_risk, intent.ts, 0 if intent.requested_notional is None else intent.requested_notional)
    return (
        all(type(one) is str and len(one) <= LONGEST and one.isprintable() for one in texts)
        and all(type(one) is int and -LAST < one < LAST for one in numbers)
        and type(intent.fault) is str
        and intent.intent_id != ""
    )


def _made_sound(intent: PortfolioIntent) -> PortfolioIntent:
    """Return an intent with what cannot be recorded taken out, and named in its fault."""
    given = intent._asdict()
    faults = [intent.fault] if isinstance(intent.fault, str) and intent.fault else []
    for name in TEXTS:
        given[name] = _text(given[name], name, faults)
    for name in ("requested_risk", "ts", "requested_notional"):
        value = given[name]
        if value is None and name == "requested_notional":
            continue
        if type(value) is not int or not -LAST < value < LAST:
            faults.append(f"{name}: {shown(value)} is no whole number of 62 bits")
            given[name] = 0
    if not given["intent_id"]:
        faults.append("intent_id: is missing")
        given["intent_id"] = _identity(intent._asdict())
    return PortfolioIntent(**{**given, "fault": _fault(faults, given["side"] == "flat")})


def read_fill(given: Mapping[str, Any] | Fill, digits: int, latest: int = LAST) -> Fill:
    """Return the fill behind what a strategy reports.

    Args:
        given: ``execution_id, ts, strategy, symbol, side`` (buy or sell), ``quantity, price``; and, where known, ``stop_price``,
            ``multiplier``, ``intent_id``, ``template``, ``playbook``.
        digits: minor units of the currency.
        latest: a time after it is a mistake, nanoseconds UTC.

    Raises:
        WrongUse: a field is missing or wrong: a fill is a fact, so it has to be put right, not refused.
    """
    if isinstance(given, Fill):
        numbers_made = (given.quantity, given.exposure, given.risk or 0, given.at)
        if any(type(one) is not int for one in numbers_made) or not given.quantity or given.exposure < 0 or (given.risk or 0) < 0:
            raise WrongUse(f"fill {shown(given.execution_id)}: it wants whole numbers, a quantity, and risk and exposure from 0")
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
    if ts > latest:
        faults.append(f"ts: {shown(given.get('ts'))} lies in the future")
    numbers: dict[str, Decimal | None] = {}
    for name in ("quantity", "price", "stop_price", "multiplier"):
        numbers[name] = _decimal(given.get(name), name, faults)
    quantity, price, stop = numbers["quantity"] or Decimal(0), numbers["price"] or Decimal(0), numbers["stop_price"]
    multiplier = Decimal(1) if numbers["multiplier"] is None else numbers["multiplier"]
    if not faults and (quantity <= 0 or not quantity_units(quantity)):
        faults.append(f"quantity: {quantity} is not above 0 in units of 1e-{QUANTITY_PLACES}; the side says which way")
    if multiplier <= 0:
        faults.append(f"multiplier: {multiplier} is not above 0")
    if not faults and quantity * multiplier * max(abs(price), abs(stop or price)) * 10**digits > LARGEST_RISK:
        faults.append(f"quantity: {quantity} at {price} is absurd")
    if faults:
        raise WrongUse(f"fill {texts['execution_id'] or '(unnamed)'}: {'; '.join(faults)[:LONGEST_FAULT]}")
    sign = 1 if texts["side"] == "buy" else -1
    each = quantity * multiplier
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
        faults.append(f"{name}: {shown(value)} is no text")
        return ""
    if len(value) > LONGEST or not value.isprintable():
        faults.append(f"{name}: {shown(value)} is not printable text of at most {LONGEST} characters")
        return ""
    return value


def _time(value: Any, faults: list[str]) -> int:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            faults.append(f"ts: {shown(value)} is no ISO time")
            return 0
    if isinstance(value, datetime):
        if value.tzinfo is None:
            faults.append(f"ts: {value.isoformat()} has no time zone")
            return 0
        try:
            value = nanoseconds(value)
        except OverflowError:  # its first or last day, in another time zone
            faults.append(f"ts: {value.isoformat()} is beyond any time")
            return 0
    if isinstance(value, int) and not isinstance(value, bool):
        if FIRST <= value < LAST:
            return value
        faults.append(f"ts: {shown(value)} is no time in nanoseconds UTC, or beyond any that is meant")
    elif value is not None:
        faults.append(f"ts: {shown(value)} is no time")
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
        faults.append(f"{name}: {shown(value)} is absurd")
        return 0
    return amount
