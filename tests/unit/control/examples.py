"""A small portfolio under control: 1,000,000 of equity, three symbols in two cohorts, caps that are easy to add up."""

from dataclasses import replace
from typing import Any

from portfolio_platform.control.events import (
    AllocationDecided,
    Event,
    FactsStated,
    FillRecorded,
    InstrumentsStated,
    OrderGiven,
    PolicyAdopted,
    PortfolioOpened,
    Stated,
)
from portfolio_platform.control.model import AllocationDecision, PortfolioIntent
from portfolio_platform.control.reduce import apply, replay
from portfolio_platform.control.rules import decide
from portfolio_platform.control.state import ControlState, Fill, Instrument
from portfolio_platform.control.terms import Facts, Limits, Order
from portfolio_platform.policy.load import default_policy

DAY = 86_400_000_000_000
NOON = 20_000 * DAY + DAY // 2
MONEY = 100  # minor units of one unit of currency
UNIT = 10**18
EQUITY = 1_000_000 * MONEY
GROUPS = {"AAA": Instrument("tech", "growth"), "BBB": Instrument("tech", "growth"), "CCC": Instrument("energy", "value")}
# heat 6 %, symbol 2 %, cohort, template, playbook and bucket 4 % of equity; 5 new positions a day, 20 in all
LIMITS = Limits.of(default_policy())


def facts(at: int = NOON, positions: tuple[Stated, ...] = (), buckets: tuple[tuple[str, str], ...] = (), **said: Any) -> FactsStated:
    """The facts of a session that ended at `at`."""
    whole = Facts(**{"equity": EQUITY, "at": at, "session": 1, "day": "2024-10-04", **said})
    return FactsStated(at, whole, positions, buckets)


def begun(*later: Event, at: int = NOON, live: bool = False, limits: Limits = LIMITS, **changed: Any) -> ControlState:
    """A portfolio that was opened, has its instruments, policy and first facts, and what comes `later`."""
    events: tuple[Event, ...] = (
        PortfolioOpened(at, at, "USD", 2, live),
        InstrumentsStated(at, tuple(sorted(GROUPS.items()))),
        PolicyAdopted(at, replace(limits, **changed)),
        facts(at),
    )
    return replay(ControlState("p"), (*events, *later))


def intent(name: str = "i1", risk: int = 5_000, symbol: str = "AAA", side: str = "long", **said: Any) -> PortfolioIntent:
    """An intent over `risk` units of currency."""
    given = {"strategy": "trend", "template": "breakout", "playbook": "squeeze", "ts": NOON, **said}
    return PortfolioIntent(intent_id=name, portfolio="p", symbol=symbol, side=side, requested_risk=risk * MONEY, **given)


def asked(state: ControlState, wanted: PortfolioIntent, at: int = NOON) -> tuple[ControlState, AllocationDecision]:
    """The state after an intent was decided, and the decision."""
    decision = decide(state, wanted, at)
    return apply(state, AllocationDecided(decision.at, wanted, decision)), decision


def fill(
    name: str, quantity: float, risk: int | None, *, symbol: str = "AAA", price: int = 100, at: int = NOON + 1, **said: Any
) -> FillRecorded:
    """A fill of a signed quantity whose loss at the stop is `risk` units of currency."""
    exposure = round(abs(quantity) * price * MONEY)
    given = {"strategy": "trend", "template": "breakout", "playbook": "squeeze", **said}
    units = round(quantity * 1_000) * UNIT // 1_000
    return FillRecorded(
        at, Fill(name, at, quantity=units, symbol=symbol, exposure=exposure, risk=None if risk is None else risk * MONEY, **given)
    )


def order(name: str, kind: str, *, until: int = NOON + DAY, source: str = "operator", by: str = "alice", **said: Any) -> OrderGiven:
    """An order from noon on."""
    return OrderGiven(NOON, Order(name, kind, source, by, "because", NOON, until, **said))


def room(decision: AllocationDecision, rule: str) -> tuple[int | None, int, int]:
    """Limit, used and headroom that a rule saw, in minor units."""
    found = next(one for one in decision.headrooms if one.rule == rule)
    return found.limit, found.used, found.headroom
