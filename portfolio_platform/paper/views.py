"""Workflows as people and programs outside read them: money in the currency, prices as decimals, times as ISO text."""

import re
from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema, statements
from portfolio_platform.control.model import MILLION
from portfolio_platform.control.views import instant, money, share
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.instruments.model import Condition, ExitRule, Plan, Trigger
from portfolio_platform.instruments.regime import REASONS, Evaluation
from portfolio_platform.instruments.state import Asked, InstrumentState, Position, Setup
from portfolio_platform.instruments.store import TYPE, InstrumentLog, history, portfolios_of, stream_of, symbols_of, workflow_machine
from portfolio_platform.instruments.workflow import query

RELATIONS = {"below": "<", "above": ">", "at_most": "≤", "at_least": "≥"}
_UNITS = re.compile(r"\d{12,}")
UNIT_PLACES = 18
EVALUATIONS = 5


def price(units: int) -> str:
    """Return units of 1e-18 as a decimal of at most six places."""
    text = f"{Decimal(units).scaleb(-UNIT_PLACES):,.6f}"
    return text.rstrip("0").rstrip(".")


def readable(text: str) -> str:
    """Return a sentence of a workflow with its prices and quantities as decimals."""
    return _UNITS.sub(lambda found: price(int(found[0])), text)


def chosen_portfolio(connection: Connection, portfolio: str | None) -> str:
    """Return whose workflows are meant: the one that is named, or the only one that there is.

    Raises:
        WrongUse: there is none, or there are several and none was named.
    """
    known = portfolios_of(connection)
    if portfolio is not None and portfolio not in known:
        raise WrongUse(f"{portfolio!r} has no workflows; these have some: {', '.join(known) or 'none'}. `portfolio paper run` starts them")
    if portfolio is None and len(known) > 1:
        raise WrongUse(f"{', '.join(known)} have workflows; name one with --portfolio")
    if portfolio is None and not known:
        raise WrongUse("there are no workflows here; `portfolio paper run` starts them")
    return portfolio if portfolio is not None else known[0]


def states_of(home: Home, connection: Connection, portfolio: str, symbols: Sequence[str] | None = None) -> dict[str, InstrumentState]:
    """Return the states of a portfolio's workflows by symbol; of all where none are named."""
    wanted = symbols_of(connection, portfolio) if symbols is None else symbols
    return {symbol: one.state for symbol, one in InstrumentLog(home.book).load(connection, portfolio, wanted).items()}


def list_view(home: Home, portfolio: str | None = None) -> tuple[str, list[dict[str, Any]]]:
    """Return the portfolio and one row for each of its workflows, by symbol. Raises `WrongUse` as `chosen_portfolio` does."""
    with home.book.reading() as connection:
        name = chosen_portfolio(connection, portfolio)
        states = states_of(home, connection, name)
        last = newest_events(connection, name, list(states))
    return name, [_row(symbol, state, last[symbol]) for symbol, state in sorted(states.items())]


def _row(symbol: str, state: InstrumentState, last: dict[str, Any]) -> dict[str, Any]:
    view, digits = query(state), digits_of(state)
    envelope = view.envelope
    return {
        "symbol": symbol,
        "phase": view.phase,
        "template": view.template,
        "quantity": price(view.position.quantity) if view.position is not None else "0",
        "mode": "" if envelope is None else "flatten_only" if envelope.force_flatten_only else envelope.portfolio_mode,
        "max_new_risk": None if envelope is None else money(envelope.max_new_risk, digits),
        "symbol_max_risk": None if envelope is None else money(envelope.symbol_max_risk, digits),
        "binding": "" if envelope is None else envelope.binding,
        "regime": view.regime_label,
        "trades": view.totals.trades,
        "r": share(sum(one.r_ppm for one in view.outcomes)),
        "waits_for": readable(view.waits_for),
        "last_event": last,
    }


def show_view(home: Home, portfolio: str | None, symbol: str) -> dict[str, Any]:
    """Return everything that a workflow says of itself. Raises `WrongUse` where there is none of this symbol."""
    with home.book.reading() as connection:
        name = chosen_portfolio(connection, portfolio)
        states = states_of(home, connection, name, [symbol])
        if symbol not in states:
            names = ", ".join(symbols_of(connection, name))
            raise WrongUse(f"{name} has no workflow of {symbol!r}; it has: {names}")
        last = newest_events(connection, name, [symbol])[symbol]
        evaluations = evaluations_of(connection, name, symbol)
    state = states[symbol]
    view, digits = query(state), digits_of(state)
    return {
        **_row(symbol, state, last),
        "portfolio": name,
        "next_template": view.next_template,
        "plan": None if view.plan is None else plan_view(view.plan),
        "plan_reason": view.plan_reason,
        "declined": view.declined,
        "setup": None if view.setup is None else setup_view(view.setup),
        "setups": view.setup_count,
        "position": None if view.position is None else position_view(view.position),
        "orders": [
            {"order_id": one.order_id, "purpose": one.purpose, "left": price(one.left), "price": price(one.price)} for one in view.orders
        ],
        "evaluations": [evaluation_view(one) for one in evaluations],
        "judgement": {
            "stance": view.judgement.stance,
            "size": share(view.judgement.size_ppm),
            "blocked_until": instant(view.judgement.blocked_until),
            "reasons": list(view.judgement.reasons),
        },
        "blocked_until": instant(view.blocked_until) if view.blocked_until < 1 << 62 else "for ever",
        "asked_and_got": [ask_view(one, digits) for one in reversed(view.asks)],
        "totals": view.totals._asdict(),
        "outcomes": [{**one._asdict(), "closed_at": instant(one.closed_at), "opened_at": instant(one.opened_at)} for one in view.outcomes],
        "notices": [{"at": instant(one.at), "kind": one.kind, "text": readable(one.text)} for one in reversed(view.notices)],
    }


def evaluation_view(one: Evaluation) -> dict[str, Any]:
    """Return an evaluation of the regime with its reason code, in words too."""
    return {
        "at": instant(one.at),
        "fired": one.fired,
        "distance": share(one.distance),
        "threshold": share(one.threshold),
        "reason_code": one.reason_code,
        "words": REASONS[one.reason_code],
        "before": " ".join(one.before),
        "after": " ".join(one.after),
        "candidate": " ".join(one.candidate),
        "contributions": {name: share(parts) for name, parts in one.contributions},
    }


def evaluations_of(connection: Connection, portfolio: str, symbol: str, newest: int = EVALUATIONS) -> list[Evaluation]:
    """Return the newest evaluations of a workflow's regime, the newest first: its events are replayed."""
    machine = workflow_machine()
    state: InstrumentState = machine.initial
    found: deque[Evaluation] = deque(maxlen=newest)
    for _, event in history(connection, portfolio, symbol):
        before = state.evaluation
        state = machine.step(state, event)[0]
        if state.evaluation is not None and state.evaluation is not before:
            found.append(state.evaluation)
    return list(reversed(found))


def plan_view(plan: Plan) -> dict[str, Any]:
    """Return a plan: what arms it, what opens it, what ends it, and its exits, in words."""
    return {
        "plan_id": plan.plan_id,
        "playbook": plan.playbook,
        "version": plan.version,
        "template": plan.template,
        "day": plan.day,
        "regimes": list(plan.regimes),
        "thesis": [f"{side}: {trigger_words(one)}" for side, one in plan.thesis],
        "activation": [f"{side}: {trigger_words(one)}" for side, one in plan.activation],
        "invalidation": [f"{side}: {trigger_words(one)}" for side, one in plan.invalidation],
        "timeout_bars": plan.timeout_bars,
        "stop": rule_words(plan.stop),
        "target": rule_words(plan.target),
        "trail": rule_words(plan.trail),
        "time_exit_bars": plan.time_exit_bars,
        "minimum_r": share(plan.minimum_r_ppm),
        "risk_share": share(plan.risk_ppm),
        "cooldown_bars": plan.cooldown_bars,
    }


def trigger_words(trigger: Trigger) -> str:
    """Return a trigger's conditions in words."""
    return f"at a close of {trigger.timeframe} {' and '.join(condition_words(one) for one in trigger.conditions)}"


def condition_words(condition: Condition, found: int | None = None, *, known: bool = False) -> str:
    """Return a condition in words, with the value that it met where that is ``known``."""
    met = f" ({'no value yet' if found is None else share(found)})" if known else ""
    return f"{condition.feature}{met} {RELATIONS[condition.relation]} {share(condition.value)}"


def rule_words(rule: ExitRule) -> str:
    """Return how a stop or a target is found, in words."""
    if rule.kind == "none":
        return "none"
    words = {
        "atr": f"{share(rule.multiple)} × true range of {rule.bars} bars",
        "range": f"beyond the range of {rule.bars} bars by {share(rule.multiple)} of it",
        "r": f"{share(rule.multiple)} × the risk",
        "mean": f"mean of {rule.bars} bars",
    }
    return words[rule.kind]


def setup_view(setup: Setup) -> dict[str, Any]:
    """Return an armed thesis with its exit contract."""
    contract = setup.contract
    return {
        "setup_id": setup.setup_id,
        "direction": setup.direction,
        "timeframe": setup.timeframe,
        "armed_at": instant(setup.armed_at),
        "regime": setup.regime,
        "bars": setup.bars,
        "activated_at": instant(setup.activated_at),
        "contract": None
        if contract is None
        else {
            "price": price(contract.price),
            "stop": price(contract.stop),
            "target": price(contract.target) if contract.target else None,
            "bars": contract.bars,
            "reward_for_risk": share(contract.reward_ppm),
        },
    }


def position_view(position: Position) -> dict[str, Any]:
    """Return what is held and under which contract."""
    return {
        "trade_id": position.trade_id,
        "direction": position.direction,
        "quantity": price(position.quantity),
        "average_entry": price(position.entry_value // position.entered) if position.entered else None,
        "stop": price(position.stop),
        "target": price(position.contract.target) if position.contract is not None and position.contract.target else None,
        "bars": position.bars,
        "closing": position.closing,
    }


def ask_view(ask: Asked, digits: int) -> dict[str, Any]:
    """Return what was asked and what it got."""
    return {
        "intent_id": ask.intent_id,
        "at": instant(ask.at),
        "wanted_risk": money(ask.wanted_risk, digits),
        "requested_risk": money(ask.requested_risk, digits),
        "bounds": list(ask.bounds),
        "envelope_version": ask.envelope_version,
        "code": ask.code,
        "got_risk": money(ask.got_risk, digits),
        "reasons": list(ask.reasons),
        "became": ordered_words(ask.became, digits),
    }


def ordered_words(became: str, digits: int) -> str:
    """Return what became of an ask, with quantity and risk as decimals."""
    found = re.fullmatch(r"ordered (\d+) at a risk of (\d+)", became)
    return f"ordered {price(int(found[1]))} at a risk of {money(int(found[2]), digits)}" if found else readable(became)


def digits_of(state: InstrumentState) -> int:
    """Return the decimals of the workflow's currency."""
    return state.config.digits if state.config is not None else 2


def newest_events(connection: Connection, portfolio: str, symbols: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return by symbol the newest event of its stream: type, time and version."""
    streams = {symbol: stream_of(portfolio, symbol) for symbol in symbols}
    versions = statements.versions(connection, list(streams.values()))
    log, machine = schema.events.c, workflow_machine()
    found = {}
    for symbol, stream in streams.items():
        query_ = select(log.type, log.content).where(log.stream == stream, log.version == versions[stream])
        row = connection.execute(query_).one()
        event = machine.decode(row.type, orjson.loads(row.content)["data"])
        found[symbol] = {"type": row.type.removeprefix(TYPE), "at": instant(event.at), "version": versions[stream]}
    return found


def r_words(parts: int) -> str:
    """Return a result in R."""
    return f"{Decimal(parts) / MILLION:+.2f} R"
