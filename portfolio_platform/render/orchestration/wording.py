"""How the orchestrator's numbers, times and verdicts are written for people; exact, no float on the way."""

import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from portfolio_platform.orchestrator import amounts
from portfolio_platform.orchestrator.planned import Check, Plan
from portfolio_platform.render.formats import MINUS, NULL

KINDS = {"rebalancing": "Rebalancing", "stock": "Stock recommendation", "queue": "Approved queue"}
VERDICTS = {
    "SAFE": "Every constraint holds, also in the worst case.",
    "CONDITIONAL": "Every constraint holds at the planned prices. Do not begin before each condition below is met.",
    "BLOCKED": "Do not execute this plan.",
}
CHECKS = {
    "sector_cap": "Sector cap",
    "cash_buffer": "Cash buffer",
    "position_size": "Position size",
    "sector_increase": "Sector increase",
    "buffer_throughout": "Buffer throughout",
    "restriction_list": "Restriction list",
}
STATES = {"healthy": "healthy", "marginal": "marginal", "at_risk": "at risk"}
PASSED, FAILED = "✓ holds", "✗ violated"


def money(minor: int | None, digits: int, currency: str = "") -> str:
    """Return minor units as people read them: ``−1,250.00``; the currency follows where it is given; a dash for None."""
    if minor is None:
        return NULL
    text = amounts.money(minor, digits).replace("-", MINUS)
    return f"{text} {currency}" if currency else text


def signed(minor: int, digits: int) -> str:
    """Return minor units with their sign."""
    return money(minor, digits) if minor <= 0 else f"+{money(minor, digits)}"


def percent(ppm: int | None) -> str:
    """Return parts per million as a percentage of two decimals; a dash for None, ≈ before what is too small to write."""
    if ppm is None:
        return NULL
    text = f"{round(Decimal(ppm) / 10_000, 2):.2f}".replace("-", MINUS)
    return f"≈ {text} %" if ppm and not text.strip("0.−") else f"{text} %"


def exact_percent(ppm: int | None) -> str:
    """Return parts per million as a percentage with the decimals that it has; a dash for None."""
    return NULL if ppm is None else f"{amounts.percent(ppm)} %"


def points(ppm: int) -> str:
    """Return a change in parts per million as percentage points with their sign."""
    text = percent(abs(ppm)).replace(" %", "")
    return f"{MINUS if ppm < 0 else '+' if ppm else ''}{text} pts"


def shares(quantity: Decimal) -> str:
    """Return a quantity with thousands separators, no digit lost."""
    return f"{quantity:,f}".replace("-", MINUS)


def price(value: Decimal | None, digits: int) -> str:
    """Return a price with at least the decimals of its currency, no digit lost."""
    if value is None:
        return NULL
    exponent = value.as_tuple().exponent
    return f"{value:,.{max(digits, -exponent if isinstance(exponent, int) else digits)}f}"


def when(at: datetime | None) -> str:
    """Return a time to the minute, in UTC."""
    return NULL if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def moment(ns: int) -> str:
    """Return a time in nanoseconds UTC to the second; a dash for 0."""
    return NULL if not ns else f"{datetime.fromtimestamp(ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(minutes: int | None) -> str:
    """Return an age in the largest whole units that say it."""
    if minutes is None:
        return NULL
    days, rest = divmod(minutes, 24 * 60)
    if days:
        return f"{days} d {rest // 60} h"
    return f"{rest // 60} h {rest % 60} min" if rest >= 60 else f"{rest} min"


def title(plan: Plan) -> str:
    """Return what a plan is called."""
    return f"{KINDS[plan.kind]} plan for {plan.portfolio}"


def check_name(check: Check) -> str:
    """Return the name of a constraint for people."""
    return CHECKS.get(check.name, check.name)


def joined(texts: Sequence[str]) -> str:
    """Return texts behind each other; a dash where there is none."""
    return ", ".join(texts) or NULL


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number and its noun: ``1 sell``, ``2 sells``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def command(*words: str) -> str:
    """Return a command as it is typed, its words quoted where a shell asks for it."""
    return shlex.join(words)
