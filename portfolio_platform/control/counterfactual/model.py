"""What a counterfactual says: every decision explained, what each rule did, the two paths day by day, and a summary. Frozen."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal, NamedTuple

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.control.events import encode_decision
from portfolio_platform.control.model import AllocationDecision

Fate = Literal["kept", "scaled", "refused", "not_traded"]
CAVEAT = (
    "First-order: a granted share scales the trade that was made; its fills, prices and exits stay as they were. The market does not "
    "answer, nothing is traded that was not traded then, and no strategy learns of it."
)


class Outcome(NamedTuple):
    """An intent, its decision under the other policy, and what that does to its trade.

    Attributes:
        decision: with every rule's headroom.
        then_code: what it was answered then.
        then_risk: what was granted then, minor units.
        fate: ``kept`` at full size, ``scaled``, ``refused``, or ``not_traded``: there is no fill to follow.
        scale: share of its size that its trade has; 0 where there is none.
        pnl: what its trade made inside the window at full size, base currency.
        kept: what of that is left.
    """

    decision: AllocationDecision
    then_code: str
    then_risk: int
    fate: Fate
    scale: float
    pnl: float
    kept: float


class RuleCount(NamedTuple):
    """What one rule did to the window's intents.

    Attributes:
        rule: its name: a cap, ``mode`` for the multiplier, or what refuses by itself such as ``risk_off``.
        clipped: intents that it made smaller.
        refused: intents that it refused.
        risk: risk that was asked for and not granted because of it, base currency.
        avoided: losses of the refused shares of trades, as a positive number, base currency.
        missed: gains of the refused shares.
    """

    rule: str
    clipped: int
    refused: int
    risk: float
    avoided: float
    missed: float


class Day(NamedTuple):
    """A session, as it was and as it would have been. Shares are of equity where nothing else is said.

    Attributes:
        day: the session.
        equity_then: recorded net asset value, base currency.
        equity: the counterfactual one.
        drawdown_then: recorded drawdown of the unit value.
        drawdown: the counterfactual one.
        regime_then: the regime that the recorded drawdown calls for.
        regime: the one that the counterfactual drawdown calls for.
        heat_then: recorded active risk.
        heat: counterfactual active risk.
        reserved: risk reserved at the session's end.
        gross_then: recorded gross exposure.
        gross: counterfactual gross exposure.
        top_symbol_then: share of the largest symbol, of gross exposure.
        top_symbol: the counterfactual one.
        top_cohort_then: share of the largest cohort, of gross exposure.
        top_cohort: the counterfactual one.
        cohort_exposure_then: gross exposure of the largest cohort, of equity.
        cohort_exposure: the counterfactual one.
        refused: intents of the day that were refused.
        clipped: intents of the day that were clipped.
    """

    day: date
    equity_then: float
    equity: float
    drawdown_then: float
    drawdown: float
    regime_then: str
    regime: str
    heat_then: float
    heat: float
    reserved: float
    gross_then: float
    gross: float
    top_symbol_then: float
    top_symbol: float
    top_cohort_then: float
    top_cohort: float
    cohort_exposure_then: float
    cohort_exposure: float
    refused: int
    clipped: int


class Course(NamedTuple):
    """The figures of one path over the window. Money in base currency.

    Attributes:
        equity: net asset value at the end.
        pnl: realised and unrealised less fees, and what belongs to no trade.
        realised: realised P&L of trades, before fees.
        unrealised: change of unrealised P&L of trades.
        fees: fees paid.
        max_drawdown: deepest fall of the unit value from a high inside the window, or from its beginning, a fraction: what was lost
            before the window is no policy's doing.
        worst_return: worst daily return, a fraction.
        worst_day: its day.
        total_return: flow-neutral return over the window, a fraction.
        risk_off_sessions: sessions that ended in risk-off.
        turnover: traded value over mean equity.
        trades: trades of the window's intents.
        mean_heat: mean active risk over equity.
        max_heat: its largest value.
        mean_gross: mean gross exposure over equity.
        max_symbol: largest exposure of a symbol over equity.
        max_cohort: largest exposure of a cohort over equity.
    """

    equity: float
    pnl: float
    realised: float
    unrealised: float
    fees: float
    max_drawdown: float
    worst_return: float
    worst_day: date
    total_return: float
    risk_off_sessions: int
    turnover: float
    trades: int
    mean_heat: float
    max_heat: float
    mean_gross: float
    max_symbol: float
    max_cohort: float


class Refusals(NamedTuple):
    """What was refused of the window's intents. Money in base currency.

    Attributes:
        intents: how many were decided.
        full: granted in full.
        clipped: granted in part.
        refused: granted nothing.
        requested: risk asked for by all of them.
        granted: risk granted to them.
        share: share of the requested risk that was refused.
        traded_share: share of the risk that was granted then, and is refused now.
        avoided: losses of the refused shares of trades, as a positive number.
        missed: gains of the refused shares.
        refused_trades: trades refused as a whole.
        no_fill: intents that were refused then and would be granted something now: there is no fill to follow.
        no_fill_risk: what they would be granted.
        above: intents that would be granted more than then; their trades stay as they were.
    """

    intents: int
    full: int
    clipped: int
    refused: int
    requested: float
    granted: float
    share: float
    traded_share: float
    avoided: float
    missed: float
    refused_trades: int
    no_fill: int
    no_fill_risk: float
    above: int


@dataclass(frozen=True)
class Counterfactual:
    """One portfolio's window under another policy.

    Attributes:
        portfolio: whose.
        currency: its base currency.
        digits: its minor units.
        policy: name and version of the policy.
        policy_hash: its hash.
        heat_cap: its cap on heat, fraction of equity.
        risk_off: the drawdown at which it goes to risk-off.
        regime: whose drawdown the regime followed: ``counterfactual`` or ``recorded``.
        most: the largest scale that a trade could have.
        first: the first session.
        last: the last session.
        caveat: what it is not.
        then: figures of the recorded path.
        now: figures of the counterfactual path.
        refusals: what was refused.
        rules: what each rule did, the most risk first.
        outcomes: every intent, in the order of time.
        days: every session.
    """

    portfolio: str
    currency: str
    digits: int
    policy: str
    policy_hash: str
    heat_cap: float
    risk_off: float
    regime: str
    most: float
    first: date
    last: date
    caveat: str
    then: Course
    now: Course
    refusals: Refusals
    rules: tuple[RuleCount, ...]
    outcomes: tuple[Outcome, ...]
    days: tuple[Day, ...]

    def document(self) -> dict[str, Any]:
        """Return it as plain content: JSON objects by name, floats not rounded yet."""
        plain = {name: value for name, value in vars(self).items() if name not in _NESTED and not name.startswith("_") and name in _FIELDS}
        return {
            **plain,
            "then": self.then._asdict(),
            "now": self.now._asdict(),
            "refusals": self.refusals._asdict(),
            "rules": [rule._asdict() for rule in self.rules],
            "outcomes": [_outcome(one) for one in self.outcomes],
            "days": [day._asdict() for day in self.days],
        }

    @cached_property
    def content(self) -> bytes:
        """Return its canonical bytes: equal for equal content on any machine."""
        return canonical_bytes(self.document())

    @cached_property
    def hash(self) -> str:
        """Return the SHA-256 of its canonical bytes."""
        return content_hash(self.content)


_NESTED = frozenset({"then", "now", "refusals", "rules", "outcomes", "days"})
_FIELDS = frozenset(Counterfactual.__dataclass_fields__)


def _outcome(one: Outcome) -> dict[str, Any]:
    decision = one.decision
    said = {
        "intent_id": decision.intent_id,
        "strategy": decision.strategy,
        "symbol": decision.symbol,
        "requested_risk": decision.requested_risk,
    }
    return {**one._asdict(), "decision": {**said, **encode_decision(decision)}}
