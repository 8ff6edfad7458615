"""Why an order was granted, clipped or refused: the intent, the state it met, each rule's headroom, and whose word was behind a limit."""

from collections.abc import Iterable
from typing import Any

from portfolio_platform.control.audit import Placed, difference
from portfolio_platform.control.events import (
    AllocationDecided,
    FactsStated,
    FillRecorded,
    PolicyAdopted,
    ReservationEnded,
)
from portfolio_platform.control.log import events_after, opened_portfolios
from portfolio_platform.control.model import AllocationDecision, Headroom
from portfolio_platform.control.money import major
from portfolio_platform.control.reduce import apply
from portfolio_platform.control.rules import decide
from portfolio_platform.control.state import ControlState
from portfolio_platform.control.terms import Order
from portfolio_platform.control.views import instant, money, share
from portfolio_platform.errors import WrongUse
from portfolio_platform.explain.book import remarks
from portfolio_platform.explain.recommendations import recommendation
from portfolio_platform.explain.sources import Sources
from portfolio_platform.explain.tree import Draft, Node, grown, listing
from portfolio_platform.home import Home

PREFIX = "decision:"
DEPTH, ROWS = 5, 40


class Found:
    """A decision where it was made: the state before it, and what became of its reservation."""

    def __init__(self, placed: Placed, event: AllocationDecided, state: ControlState) -> None:
        """Begin with the decision and the state that it met."""
        self.placed, self.event, self.state = placed, event, state
        self.later: list[Placed] = []
        self.facts: Placed | None = None
        self.policy: Placed | None = None


def why_decided(home: Home, intent_id: str, portfolio: str = "", depth: int = DEPTH) -> Node:
    """Return the tree under the decision on an intent. Raises `WrongUse` where the log has none."""
    return grown(decision(Sources(home), intent_id.removeprefix(PREFIX), portfolio), depth, ROWS)


def decision(of: Sources, identity: str, portfolio: str = "") -> Draft:
    """Return a decision by its intent's id, or by ``<portfolio>:<intent id>``. Raises `WrongUse` where the log has none."""
    with of.home.book.reading() as connection:
        portfolios = opened_portfolios(connection)
        # both names and ids may hold colons: first what reads as a portfolio's own, then the id as it stands
        named = [] if portfolio else [(name, identity[len(name) + 1 :]) for name in portfolios if identity.startswith(f"{name}:")]
        places = named or [(name, identity) for name in ([portfolio] if portfolio else portfolios)]
        found = [one for name, wanted in places if (one := _find(name, wanted, events_after(connection, name)))]
        if named and not found:
            places = [(name, identity) for name in portfolios]
            found = [one for name, wanted in places if (one := _find(name, wanted, events_after(connection, name)))]
    if not found:
        raise WrongUse(f"no decision on an intent {identity!r} is in the log of {portfolio or ', '.join(portfolios) or 'any portfolio'}")
    if len(found) > 1:
        where = ", ".join(one.state.portfolio for one in found)
        raise WrongUse(f"{where} each have an intent {identity!r}; name the portfolio: {PREFIX}{found[0].state.portfolio}:{identity}")
    return _draft(of, found[0])


def _find(portfolio: str, intent_id: str, events: Iterable[Placed]) -> Found | None:
    """Replay a stream up to a decision, and note what later events say of its reservation."""
    state, found = ControlState(portfolio), None
    facts: Placed | None = None
    policy: Placed | None = None
    for placed in events:
        event = placed.event
        if found is not None:
            if _concerns(event, intent_id):
                found.later.append(placed)
            continue
        if isinstance(event, AllocationDecided) and event.intent.intent_id == intent_id:
            found = Found(placed, event, state)
            found.facts, found.policy = facts, policy
            continue
        facts = placed if isinstance(event, FactsStated) else facts
        policy = placed if isinstance(event, PolicyAdopted) else policy
        state = apply(state, event)
    return found


def _concerns(event: object, intent_id: str) -> bool:
    if isinstance(event, FillRecorded):
        return event.fill.intent_id == intent_id
    if isinstance(event, AllocationDecided):
        return event.intent.intent_id == intent_id
    return isinstance(event, ReservationEnded) and event.intent_id == intent_id


def _draft(of: Sources, found: Found) -> Draft:
    made, digits = found.event.decision, found.state.digits
    title = f"{PREFIX}{made.portfolio}:{made.intent_id}"
    text = f"{made.code}, {money(made.approved_risk, digits)} of {money(made.requested_risk, digits)}"
    words = "; ".join(made.reasons) or "every limit had room"
    return Draft(title, made.approved_risk, text, words, title, lambda: _parts(of, found))


def _parts(of: Sources, found: Found) -> list[Draft]:
    made, digits, state = found.event.decision, found.state.digits, found.state
    parts = [
        _intent(found),
        Draft(
            "mode",
            made.mode,
            made.mode,
            f"{state.terms.mode_source}; size × {share(made.multiplier)}",
            parts=lambda: _orders(of, state, "mode"),
        ),
        listing("what every rule saw", lambda: [_room(of, state, made, one) for one in made.headrooms]),
        _facts(found),
        Draft(
            "policy", made.policy_hash, made.policy_hash[:12], f"{state.terms.limits.policy_name}, adopted as event {_seq(found.policy)}"
        ),
        _recomputed(found),
        Draft(
            "in the log",
            found.placed.seq,
            f"event {found.placed.seq}",
            f"version {found.placed.version} of the stream, at {instant(made.at)}",
        ),
    ]
    if state.terms.flatten:
        parts.insert(1, Draft("flatten only", True, "yes", state.terms.flatten, parts=lambda: _orders(of, state, "flatten")))
    if found.later:
        parts.append(listing("what came of it", lambda: [_later(one, digits) for one in found.later]))
    return [*parts, *remarks(of, f"{PREFIX}{made.portfolio}:{made.intent_id}")]


def _intent(found: Found) -> Draft:
    one, digits = found.event.intent, found.state.digits
    asked = f"{one.side} {one.symbol}, {money(one.requested_risk, digits)} at risk"
    rest = [
        f"{name} {value}"
        for name, value in (("strategy", one.strategy), ("template", one.template), ("playbook", one.playbook), ("regime", one.regime))
        if value
    ]
    signal = [] if one.fault else [f"at {instant(one.ts)}"]
    notional = [] if one.requested_notional is None else [f"notional {money(one.requested_notional, digits)}"]
    return Draft("what was asked", one.requested_risk, asked, ", ".join([*rest, *notional, *signal]) or one.fault)


def _room(of: Sources, state: ControlState, made: AllocationDecision, one: Headroom) -> Draft:
    digits = state.digits if one.basis != "count" else 0
    name = f"{one.rule} {one.scope}".strip()
    if one.limit is None:
        return Draft(name, text="no limit", words=f"{money(one.used, digits)} used")
    bit = ", it bit" if made.approved_risk == one.headroom and made.approved_risk < made.scaled_risk else ""
    text = f"{money(one.headroom, state.digits)} left{bit}"
    words = f"{money(one.used, digits)} of {money(one.limit, digits)} {one.basis} used; limit by {one.source}"
    return Draft(name, one.headroom, text, words, parts=lambda: _behind(of, state, one))


def _behind(of: Sources, state: ControlState, one: Headroom) -> list[Draft]:
    """Return the order that set a limit, and the positions and reservations that use it."""
    orders = [
        order for order in state.terms.orders.values() if order.kind == "cap" and order.rule == one.rule and order.words == one.source
    ]
    parts = [order_draft(of, order, state.digits) for order in sorted(orders) if order.scope in ("", one.scope)]
    users = [] if one.basis == "count" else _users(state, one.rule, one.scope)
    return [*parts, *([listing("what uses it", lambda: users)] if users else [])]


def _users(state: ControlState, rule: str, scope: str) -> list[Draft]:
    digits = state.digits
    held = [
        (one.risk, f"{strategy} {symbol}", "active, to its stop")
        for (strategy, symbol), one in state.positions.items()
        if (rule, scope) in state.groups(symbol, one.template, one.playbook, one.bucket)
    ]
    held += [
        (one.remaining, f"{one.strategy} {one.symbol}", f"reserved by {name} until {instant(one.expires_at)}")
        for name, one in state.reservations.items()
        if (rule, scope) in state.groups(one.symbol, one.template, one.playbook, one.bucket) and one.remaining
    ]
    return [Draft(name, risk, str(money(risk, digits)), words) for risk, name, words in sorted(held, reverse=True)]


def _orders(of: Sources, state: ControlState, kind: str) -> list[Draft]:
    return [order_draft(of, order, state.digits) for order in sorted(state.terms.orders.values()) if order.kind == kind]


def order_draft(of: Sources, order: Order, digits: int) -> Draft:
    """Return an order: what it changed, by whom and until when, and the recommendation behind it."""
    what = order.mode or (f"{order.rule} {order.scope}".strip() if order.kind == "cap" else "flatten only")
    amount = ""
    if order.kind == "cap":
        amount = (
            f" at {order.amount}"
            if order.basis == "count"
            else f" at {money(order.amount, digits)} of equity {money(order.equity, digits)}"
        )
    words = f"by {order.by}: {order.reason}; until {instant(order.until)}"
    return Draft(f"order {order.order_id}", order.amount, f"{what}{amount}", words, parts=lambda: _recommended(of, order))


def _recommended(of: Sources, order: Order) -> list[Draft]:
    """Return the recommendation behind an order: from it the tree goes on to alerts, metrics and rows."""
    if not order.recommendation:
        return []
    try:
        return [recommendation(of, order.recommendation)]
    except WrongUse as error:
        return [Draft(order.recommendation, words=str(error))]


def _facts(found: Found) -> Draft:
    facts, digits = found.state.terms.facts, found.state.digits
    if not facts.at:
        return Draft("facts", text="none", words="no session had been stated")
    words = f"session {facts.day}, equity {money(facts.equity, digits)}, stated as event {_seq(found.facts)}"
    evidence = f"portfolio_equity/{found.state.portfolio}/{facts.day}/equity"
    return Draft("facts", facts.equity, f"as of {instant(facts.at)}", words, evidence)


def _recomputed(found: Found) -> Draft:
    again = difference(found.event.decision, decide(found.state, found.event.intent, found.event.at))
    if again is None:
        return Draft("worked out again", True, "equal", f"from the {found.state.version} events before it")
    what, should, was = again
    return Draft("worked out again", False, "DIFFERS", f"{what} should be {should}, and was recorded as {was}")


def _later(placed: Placed, digits: int) -> Draft:
    event: Any = placed.event
    if isinstance(event, FillRecorded):
        fill = event.fill
        quantity = format(major(fill.quantity, 18).normalize(), "f")
        risk = "without a stop" if fill.risk is None else f"risk {money(fill.risk, digits)}"
        return Draft(
            f"fill {fill.execution_id}",
            text=f"{quantity} {fill.symbol}",
            words=f"{risk}, at {instant(fill.at)}",
            evidence_id=fill.execution_id,
        )
    if isinstance(event, ReservationEnded):
        how = "expired" if event.expired else f"cancelled by {event.by}"
        return Draft("reservation", text=how, words=f"{event.reason}; {instant(event.at)}")
    return Draft("asked again with other content", text=event.decision.code, words="; ".join(event.decision.reasons))


def _seq(placed: Placed | None) -> str:
    return "?" if placed is None else str(placed.seq)
