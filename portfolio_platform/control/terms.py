"""The terms of a portfolio: the limits in force, made from policy, facts and orders. They change seldom and are read always."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from portfolio_platform.control.model import GRAVITY, MILLION
from portfolio_platform.policy.model import Policy

MINUTE = 60_000_000_000
SECOND = 1_000_000_000
LAST = 2**62
"""Below it are all times (the year 2116) and amounts that are taken seriously: the log's integers are read with 64 bits."""

Basis = Literal["risk", "exposure", "count"]
RISK: tuple[str, ...] = ("heat", "symbol", "cohort", "sector", "template", "playbook", "bucket")
"""The rules that cap risk, in the order in which they are evaluated."""
COUNTS = ("positions", "new_positions")
OrderKind = Literal["mode", "cap", "flatten"]
Source = Literal["recommendation", "operator"]


def parts(fraction: float) -> int:
    """Return a fraction in parts per million."""
    return round(fraction * MILLION)


@dataclass(frozen=True, slots=True)
class Limits:
    """A policy's limits as integers: caps in parts per million of equity by basis and rule, counts, times in nanoseconds."""

    policy_hash: str
    policy_name: str
    caps: tuple[tuple[str, str, int], ...]
    positions: int
    new_positions: int
    minimum_ticket: int
    sizes: tuple[tuple[str, int], ...]
    reservation: int
    intent_age: int
    facts_age: int
    envelope: int
    tolerance: int
    expires: int = 0

    @classmethod
    def of(cls, policy: Policy, expires: int = 0) -> "Limits":
        """Return the limits that a policy sets, up to its expiry (nanoseconds UTC, 0 for none)."""
        control = policy.control
        caps = [("risk", "heat", parts(policy.heat.cap))]
        for name in RISK[1:]:
            for basis in ("risk", "exposure"):
                share = getattr(control, f"{name}_{basis}", None)
                if share is not None:
                    caps.append((basis, name, parts(share)))
        regime = policy.drawdown.regime
        return cls(
            policy_hash=policy.hash,
            policy_name=f"{policy.name} v{policy.version}",
            caps=tuple(sorted(caps)),
            positions=control.positions,
            new_positions=control.new_positions,
            minimum_ticket=parts(control.minimum_ticket),
            sizes=(("normal", MILLION), ("defensive", parts(regime.defensive_size)), ("risk_off", parts(regime.risk_off_size))),
            reservation=round(control.reservation_minutes * MINUTE),
            intent_age=round(control.intent_minutes * MINUTE),
            facts_age=round(control.facts_minutes * MINUTE),
            envelope=round(control.envelope_minutes * MINUTE),
            tolerance=round(control.clock_seconds * SECOND),
            expires=expires,
        )


class Order(NamedTuple):
    """A change of the terms with an author and an end: by an approved recommendation, or by an operator.

    Attributes:
        order_id: its id.
        kind: ``mode``, ``cap`` or ``flatten``.
        source: ``recommendation`` or ``operator``.
        by: who gave it, or approved it.
        reason: why.
        begins: nanoseconds UTC.
        until: nanoseconds UTC; the end, after which what was before returns.
        mode: of a mode.
        rule: of a cap: the rule whose limit it sets; `positions` and `new_positions` too.
        scope: of a cap: the group, empty for all of them.
        basis: of a cap.
        amount: of a cap: minor units, or a count.
        equity: of a cap: what the amount was worked out from, minor units.
        share: of a cap: the fraction of equity or of gross exposure it was, parts per million; 0 where it was an amount.
        tightens: of a cap: whether it may only narrow what the policy allows.
        recommendation: id of the recommendation behind it.
    """

    order_id: str
    kind: str
    source: str
    by: str
    reason: str
    begins: int
    until: int
    mode: str = ""
    rule: str = ""
    scope: str = ""
    basis: str = ""
    amount: int = 0
    equity: int = 0
    share: int = 0
    tightens: bool = False
    recommendation: str = ""

    @property
    def words(self) -> str:
        """Return where a limit comes from, for a decision."""
        if self.source != "recommendation":
            return f"operator:{self.by}"
        name = self.recommendation or self.order_id
        return name if name.startswith("recommendation:") else f"recommendation:{name}"


def fault_of(order: Order, now: int) -> str:
    """Say why an order would change nothing from now on, or cannot be meant; empty where it can."""
    if not order.by or not order.reason or order.until <= now:
        return "an order wants a name, a reason and an end ahead"
    if order.until >= LAST:
        return "end: it lies beyond 2116, as far as times in nanoseconds are taken seriously; give it again when it is over"
    if order.kind == "flatten" or (order.kind == "mode" and order.mode in GRAVITY):
        return ""
    if order.kind == "mode":
        return f"mode {order.mode!r} is none of {', '.join(GRAVITY)}"
    if order.kind != "cap":
        return f"kind {order.kind!r} is none of mode, cap, flatten"
    if order.rule not in (*RISK, *COUNTS):
        return f"rule {order.rule!r} is none of {', '.join((*RISK, *COUNTS))}"
    bases = ("count",) if order.rule in COUNTS else ("risk", "exposure")
    if order.basis not in bases:
        return f"basis {order.basis!r} of {order.rule} is none of {', '.join(bases)}"
    if order.scope and order.rule in ("heat", *COUNTS):
        return f"scope {order.scope!r}: {order.rule} is the whole portfolio's and has none"
    if type(order.amount) is not int or not 0 <= order.amount < LAST:
        return f"amount {order.amount!r} is no whole number from 0 to {LAST - 1}"
    return ""


class Facts(NamedTuple):
    """What a session's facts say of the portfolio as a whole: equity and gross exposure in minor units, regime, as-of time.

    ``content`` is the hash of all that was stated, by which the same statement is known again; the shell fills it in.
    """

    equity: int = 0
    gross: int = 0
    regime: str = ""
    regime_mode: str = "normal"
    regime_size: int = MILLION
    at: int = 0
    session: int = 0
    day: str = ""
    content: str = ""


class Cap(NamedTuple):
    """A limit in force: its amount and where it comes from."""

    amount: int
    source: str


NO_FACTS = Facts()
NO_LIMITS = Limits("", "", (), 0, 0, 0, (), 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Terms:
    """What every decision reads, worked out once for each change.

    Attributes:
        version: counts the changes of policy, facts and orders.
        limits: the policy's.
        facts: the newest session's.
        orders: those in force, by id.
        mode: the mode in force.
        mode_source: where it comes from.
        multiplier: share of its size that a new position may have, parts per million.
        flatten: the order that allows only reducing; empty where there is none.
        caps: the limit of each rule on risk or count, where a rule has one.
        scoped: limits for one group: (basis, rule, scope).
        exposure: whether any limit is on exposure.
        minimum_ticket: minor units.
        operators: whether any order is an operator's.
        next_end: when the first order ends, nanoseconds UTC; 0 where none does.
    """

    version: int = 0
    limits: Limits = NO_LIMITS
    facts: Facts = NO_FACTS
    orders: Mapping[str, Order] = field(default_factory=dict)
    mode: str = "normal"
    mode_source: str = "policy"
    multiplier: int = MILLION
    flatten: str = ""
    caps: Mapping[tuple[str, str], Cap] = field(default_factory=dict)
    scoped: Mapping[tuple[str, str, str], Cap] = field(default_factory=dict)
    exposure: bool = False
    minimum_ticket: int = 0
    operators: bool = False
    next_end: int = 0

    def cap(self, basis: str, rule: str, scope: str) -> Cap | None:
        """Return the limit of a rule on one group, None where there is none."""
        if self.scoped:
            found = self.scoped.get((basis, rule, scope))
            if found is not None:
                return found
        return self.caps.get((basis, rule))


def revised(terms: Terms, *, limits: Limits | None = None, facts: Facts | None = None, orders: Mapping[str, Order] | None = None) -> Terms:
    """Return the terms with another policy, other facts or other orders, one version on. Pure."""
    limits = terms.limits if limits is None else limits
    facts = terms.facts if facts is None else facts
    orders = terms.orders if orders is None else orders
    mode, mode_source, multiplier = _mode(limits, facts, orders.values())
    caps, scoped = _caps(limits, facts, orders.values())
    flatten = next((order.words for order in _by_weight(orders.values(), "flatten")), "")
    return replace(
        terms,
        version=terms.version + 1,
        limits=limits,
        facts=facts,
        orders=orders,
        mode=mode,
        mode_source=mode_source,
        multiplier=multiplier,
        flatten=flatten,
        caps=caps,
        scoped=scoped,
        exposure=any(key[0] == "exposure" for key in (*caps, *scoped)),
        minimum_ticket=max(1, facts.equity * limits.minimum_ticket // MILLION),
        operators=any(order.source == "operator" for order in orders.values()),
        next_end=min((order.until for order in orders.values()), default=0),
    )


def _by_weight(orders: Iterable[Order], kind: str) -> list[Order]:
    """Return the orders of a kind, the one that counts first: an operator's before a recommendation's, the newest first."""
    found = [order for order in orders if order.kind == kind]
    return sorted(found, key=lambda order: (order.source == "operator", order.begins, order.order_id), reverse=True)


def _mode(limits: Limits, facts: Facts, orders: Iterable[Order]) -> tuple[str, str, int]:
    """Return mode, its source and the multiplier.

    An operator's mode stands instead of everything else; without one, the graver of regime and recommendations counts.
    """
    sizes = dict(limits.sizes)
    given = _by_weight(orders, "mode")
    if given and given[0].source == "operator":
        return given[0].mode, given[0].words, sizes.get(given[0].mode, 0)
    mode, source = facts.regime_mode, f"regime:{facts.regime}" if facts.regime else "policy"
    for order in given:
        if GRAVITY[order.mode] > GRAVITY[mode]:
            mode, source = order.mode, order.words
    return mode, source, min(sizes.get(mode, MILLION), facts.regime_size)


def _caps(limits: Limits, facts: Facts, orders: Iterable[Order]) -> tuple[dict[tuple[str, str], Cap], dict[tuple[str, str, str], Cap]]:
    equity = max(0, facts.equity)
    caps = {(basis, rule): Cap(equity * share // MILLION, "policy") for basis, rule, share in limits.caps}
    caps["count", "positions"] = Cap(limits.positions, "policy")
    caps["count", "new_positions"] = Cap(limits.new_positions, "policy")
    scoped: dict[tuple[str, str, str], Cap] = {}
    narrow: set[tuple[str, str, str]] = set()
    # from the lightest to the weightiest, so that the weightiest is laid on last; of two recommendations the tighter stays
    for order in reversed(_by_weight(orders, "cap")):
        given = Cap(max(0, order.amount), order.words)
        key, wide = (order.basis, order.rule, order.scope), (order.basis, order.rule)
        before = scoped.get(key) if order.scope else caps.get(wide)
        if before is None and order.tightens:
            before = caps.get(wide)
        if before is not None and order.tightens and before.amount <= given.amount:
            continue
        if order.scope:
            scoped[key] = given
            (narrow.add if order.tightens else narrow.discard)(key)
        else:
            caps[wide] = given
    for key in narrow:  # what may only narrow one group widens nothing that was ordered for all of them
        cap = caps.get(key[:2])
        if cap is not None and cap.amount < scoped[key].amount:
            del scoped[key]
    return caps, scoped
