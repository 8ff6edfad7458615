"""Envelopes: what a symbol may do, worked out from the state; and which symbols have to be told anew. Pure."""

from collections.abc import Iterable

from portfolio_platform.control.model import Envelope
from portfolio_platform.control.rules import stale
from portfolio_platform.control.state import ControlState
from portfolio_platform.control.terms import SECOND
from portfolio_platform.days import day_number


def envelope(state: ControlState, symbol: str, at: int) -> Envelope:
    """Return the limits of one symbol as the state has them, one version after the newest issued.

    Templates and playbooks bind an intent, not a symbol, so their caps are not in it: a decision has them. A limit on exposure
    is met by an intent's notional; it is in here only where nothing is left of it. What is too little for a trade is nothing.
    """
    terms = state.terms
    keys = [key for key in state.groups(symbol, "", "", "") if key[0] not in ("template", "playbook")]
    most: int | None = None
    room, binding = 0, "no_limit"
    for key in keys:
        cap = terms.cap("risk", *key)
        if cap is None:
            continue
        left = max(0, cap.amount - state.used.get(key, 0))
        if binding == "no_limit" or left < room:
            room, binding = left, key[0]
        if key[0] != "heat":
            most = cap.amount if most is None else min(most, cap.amount)
    if room < terms.minimum_ticket:
        room = 0
    for key in keys if terms.exposure else ():
        cap = terms.cap("exposure", *key)
        if cap is not None and state.exposed.get(key, 0) >= cap.amount and room:
            room, binding = 0, f"{key[0]} exposure"
    positions, fresh = free_places(state, at)
    closed = "flatten_only" if terms.flatten else "risk_off" if terms.mode == "risk_off" or terms.multiplier <= 0 else ""
    if not closed and stale(state, at):
        closed = "stale_state"
    before = state.issued.get(symbol)
    return Envelope(
        portfolio=state.portfolio,
        symbol=symbol,
        version=1 if before is None else before.version + 1,
        portfolio_mode=terms.mode,
        force_flatten_only=bool(terms.flatten),
        size_multiplier_cap=terms.multiplier,
        symbol_max_risk=most,
        max_new_risk=0 if closed else room,
        max_additional_positions=0 if closed else min(positions, fresh),
        binding=closed or binding,
        equity=terms.facts.equity,
        terms_version=terms.version,
        issued_at=at,
        expires_at=_end(state, at),
    )


def free_places(state: ControlState, at: int) -> tuple[int, int]:
    """Return how many positions may still be opened: at all, and on this UTC day."""
    caps = state.terms.caps
    if not caps:
        return 0, 0
    opened = state.opened if day_number(at) == state.day else 0
    return max(0, caps["count", "positions"].amount - len(state.holders)), max(0, caps["count", "new_positions"].amount - opened)


def due(state: ControlState, at: int, symbols: Iterable[str] | None = None) -> list[str]:
    """Return the active symbols that have to be told: what binds changed, half of the envelope's time is over, or none was issued.

    Args:
        state: as it is.
        at: nanoseconds UTC.
        symbols: those to look at; all active ones where None.
    """
    half = state.terms.limits.envelope // 2
    found = []
    for symbol in state.active_symbols if symbols is None else symbols:
        before = state.issued.get(symbol)
        if before is None or before.terms_version != state.terms.version:
            found.append(symbol)
            continue
        now = envelope(state, symbol, at)
        if now.binds != before.binds or (at >= before.issued_at + half and now.expires_at > before.expires_at + SECOND):
            found.append(symbol)
    return found


def _end(state: ControlState, at: int) -> int:
    """Return when an envelope ends: with its time, with the facts, with the policy, or with the first order that ends."""
    terms = state.terms
    ends = [at + terms.limits.envelope]
    if terms.facts.at:
        ends.append(terms.facts.at + terms.limits.facts_age)
    if terms.next_end:
        ends.append(terms.next_end)
    if terms.limits.expires:
        ends.append(terms.limits.expires)
    return max(at, min(ends))
