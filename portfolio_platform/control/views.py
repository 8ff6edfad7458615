"""Decisions, envelopes and states as people and programs outside read them: money in the currency, times as ISO text."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from portfolio_platform.control.model import MILLION, AllocationDecision, Answer, Envelope, Headroom
from portfolio_platform.control.money import QUANTITY_PLACES, major
from portfolio_platform.control.state import ControlState
from portfolio_platform.control.utilisation import Sums, Utilised, utilised
from portfolio_platform.days import day_number

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant(ns: int) -> str | None:
    """Return a time as ISO text with microseconds at most; None for 0."""
    return (_EPOCH + timedelta(microseconds=ns // 1_000)).isoformat().replace("+00:00", "Z") if ns else None


def money(amount: int | None, digits: int) -> str | None:
    """Return minor units as a decimal text of the currency."""
    return None if amount is None else format(major(amount, digits), "f")


def share(parts: int) -> str:
    """Return parts per million as a decimal text."""
    return format((Decimal(parts) / MILLION).normalize(), "f")


def headroom_view(one: Headroom, digits: int) -> dict[str, Any]:
    """Return what a rule saw; counts stay counts."""
    counted = one.basis == "count"
    return {
        "rule": one.rule,
        "scope": one.scope,
        "basis": one.basis,
        "limit": str(one.limit) if counted else money(one.limit, digits),
        "used": str(one.used) if counted else money(one.used, digits),
        "headroom": money(one.headroom, digits),
        "source": one.source,
    }


def decision_view(decision: AllocationDecision, digits: int) -> dict[str, Any]:
    """Return a decision with every number behind it."""
    return {
        "intent_id": decision.intent_id,
        "portfolio": decision.portfolio,
        "strategy": decision.strategy,
        "symbol": decision.symbol,
        "approved": decision.approved,
        "decision_code": decision.code,
        "requested_risk": money(decision.requested_risk, digits),
        "scaled_risk": money(decision.scaled_risk, digits),
        "approved_risk": money(decision.approved_risk, digits),
        "approved_notional": money(decision.approved_notional, digits),
        "reasons": list(decision.reasons),
        "headrooms": [headroom_view(one, digits) for one in decision.headrooms],
        "portfolio_mode": decision.mode,
        "size_multiplier": share(decision.multiplier),
        "equity": money(decision.equity, digits),
        "facts_at": instant(decision.facts_at),
        "policy_hash": decision.policy_hash,
        "terms_version": decision.terms_version,
        "state_version": decision.state_version,
        "decided_at": instant(decision.at),
        "reservation_ttl_s": decision.reservation_ttl_s,
        "expires_at": instant(decision.expires_at),
    }


def envelope_view(envelope: Envelope, digits: int) -> dict[str, Any]:
    """Return an envelope."""
    return {
        "portfolio": envelope.portfolio,
        "symbol": envelope.symbol,
        "version": envelope.version,
        "portfolio_mode": envelope.portfolio_mode,
        "force_flatten_only": envelope.force_flatten_only,
        "size_multiplier_cap": share(envelope.size_multiplier_cap),
        "symbol_max_risk": money(envelope.symbol_max_risk, digits),
        "max_new_risk": money(envelope.max_new_risk, digits),
        "max_additional_positions": envelope.max_additional_positions,
        "binding": envelope.binding,
        "equity": money(envelope.equity, digits),
        "terms_version": envelope.terms_version,
        "issued_at": instant(envelope.issued_at),
        "expires_at": instant(envelope.expires_at),
    }


def answer_view(answer: Answer, digits: int) -> dict[str, Any]:
    """Return an answer: the decision, the envelope in force, whether it was given before."""
    envelope = None if answer.envelope is None else envelope_view(answer.envelope, digits)
    return {**decision_view(answer.decision, digits), "constraint_envelope": envelope, "repeated": answer.repeated}


def state_view(state: ControlState) -> dict[str, Any]:
    """Return a state as a person looks at it: terms, limits with what is used of them, positions, reservations, orders."""
    terms, digits = state.terms, state.digits
    return {
        "portfolio": state.portfolio,
        "version": state.version,
        "terms_version": terms.version,
        "as_of": instant(state.now),
        "live": state.live,
        "portfolio_mode": terms.mode,
        "mode_source": terms.mode_source,
        "size_multiplier": share(terms.multiplier),
        "force_flatten_only": bool(terms.flatten),
        "policy": terms.limits.policy_name,
        "policy_hash": terms.limits.policy_hash,
        "equity": money(terms.facts.equity, digits),
        "regime": terms.facts.regime,
        "facts_at": instant(terms.facts.at),
        "active_risk": money(state.active_risk, digits),
        "reserved_risk": money(state.reserved_risk, digits),
        "limits": limits_view(state),
        "positions": [
            {
                "strategy": strategy,
                "symbol": symbol,
                "quantity": format(major(one.quantity, QUANTITY_PLACES).normalize(), "f"),
                "risk": money(one.risk, digits),
                "exposure": money(one.exposure, digits),
                "template": one.template,
                "playbook": one.playbook,
            }
            for (strategy, symbol), one in sorted(state.positions.items())
        ],
        "reservations": [
            {
                "intent_id": name,
                "strategy": one.strategy,
                "symbol": one.symbol,
                "side": one.side,
                "granted": money(one.granted, digits),
                "remaining": money(one.remaining, digits),
                "expires_at": instant(one.expires_at),
            }
            for name, one in sorted(state.reservations.items())
        ],
        "orders": [
            {
                "order_id": order.order_id,
                "kind": order.kind,
                "source": order.words,
                "by": order.by,
                "reason": order.reason,
                "mode": order.mode,
                "rule": order.rule,
                "scope": order.scope,
                "basis": order.basis,
                "amount": str(order.amount) if order.basis == "count" else money(order.amount, digits),
                "equity": money(order.equity, digits),
                "begins": instant(order.begins),
                "until": instant(order.until),
                "recommendation": order.recommendation,
            }
            for _, order in sorted(terms.orders.items())
        ],
    }


def limits_view(state: ControlState) -> list[dict[str, Any]]:
    """Return every limit in force with what is used of it: the portfolio's, and those of groups that hold anything."""
    opened = state.opened if day_number(state.now) == state.day else 0
    used = Sums(state.used, state.exposed, len(state.holders), opened)
    return [_limit(one, None if one.basis == "count" else state.digits) for one in utilised(state.terms, used)]


def _limit(one: Utilised, digits: int | None) -> dict[str, Any]:
    def shown(amount: int) -> str | None:
        return str(amount) if digits is None else money(amount, digits)

    return {
        "rule": one.rule,
        "scope": one.scope,
        "basis": one.basis,
        "limit": shown(one.limit),
        "used": shown(one.used),
        "headroom": shown(one.headroom),
        "use": f"{one.used / one.limit:.4f}" if one.limit else None,
        "source": one.source,
    }
