"""From the book and the bars to what is shown of a paper run, and its page in the home. Reads only; the page is all it writes.

`write_page(home, portfolio, figures)` writes `<home>/paper/<portfolio>/page.html` and returns its path; `shown_of` returns what is in it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from sqlalchemy import Connection, select

from portfolio_platform.book import recommendations, schema
from portfolio_platform.canonical import content_hash
from portfolio_platform.control.model import MILLION
from portfolio_platform.days import day_number, to_date
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home, write_atomically
from portfolio_platform.instruments.model import Outcome
from portfolio_platform.instruments.state import Asked, InstrumentState
from portfolio_platform.instruments.store import Machine, history, symbols_of, workflow_machine
from portfolio_platform.instruments.workflow import query
from portfolio_platform.paper.market import Market, read_market
from portfolio_platform.paper.model import Monitored, Opened, SessionClosed
from portfolio_platform.paper.record import Record, portfolios_of, read_record, stream_of
from portfolio_platform.paper.views import readable
from portfolio_platform.policy.load import load_timeline
from portfolio_platform.policy.timeline import Timeline
from portfolio_platform.render.paper_page import paper_page
from portfolio_platform.render.paper_shown import (
    AnswerShown,
    EventShown,
    FigureShown,
    OrderShown,
    PaperShown,
    SessionShown,
    SymbolShown,
    TradeShown,
)

UNIT = 10**18
NEWEST_ORDERS = 12
OWN = {"risk_limit": "own risk limit", "notional_limit": "own size limit", "lot": "", "symbol_max_risk": "symbol"}
"""What a workflow's own bounds are called; what an envelope left is called by the rule that bound it."""


class Measured(Protocol):
    """A validation figure: `paper.validation.Figure` is one."""

    @property
    def name(self) -> str:
        """Return what is asked."""
        ...

    @property
    def value(self) -> str:
        """Return what was found."""
        ...

    @property
    def gate(self) -> str:
        """Return what was asked for."""
        ...

    @property
    def passed(self) -> bool | None:
        """Say whether it is met."""
        ...


@dataclass
class Followed:
    """What a replay of one workflow brings to light.

    Attributes:
        state: at the end.
        phases: when it entered which phase.
        room: when its envelope allowed how much new risk, as a share of equity.
        asks: by intent, the newest of each, with the rule that bound the envelope then.
        outcomes: by trade.
    """

    state: InstrumentState = field(default_factory=InstrumentState)
    phases: list[tuple[date, str]] = field(default_factory=list)
    room: list[tuple[date, float]] = field(default_factory=list)
    asks: dict[str, tuple[Asked, str]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)


def write_page(home: Home, portfolio: str = "paper", figures: Iterable[Measured] = (), *, run: PaperShown | None = None) -> Path:
    """Write the page of a run into the home and return its path; ``run`` is what is shown, where that is known already.

    Raises:
        WrongUse: there is no such run.
    """
    # a portfolio may have any name: none leads out of the folder
    folder = home.root / "paper" / quote(portfolio, safe=" ").replace(".", "%2E")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "page.html"
    write_atomically(path, paper_page(run or shown_of(home, portfolio, figures)).decode())
    return path


def shown_of(home: Home, portfolio: str = "paper", figures: Iterable[Measured] = (), *, machine: Machine | None = None) -> PaperShown:
    """Return what is shown of a run.

    Args:
        home: whose book and bars.
        portfolio: the run's.
        figures: the validation figures, where they are known.
        machine: what workflows step by; the shipped one where None.

    Raises:
        WrongUse: there is no such run.
    """
    with home.book.reading() as connection:
        record = read_record(connection, portfolio)
        if record.opened is None:
            names = ", ".join(portfolios_of(connection)) or "none"
            raise WrongUse(f"there is no paper run of {portfolio!r}; there are: {names}. `portfolio paper run` begins one")
        used = machine or workflow_machine()
        followed = {symbol: follow(used, history(connection, portfolio, symbol)) for symbol in symbols_of(connection, portfolio)}
        orders = tuple(_orders(connection, portfolio))
        digest = _digest(connection, portfolio)
    opened = record.opened
    options = {name: text.strip("'") for name, text in opened.options}
    timeline = load_timeline(home.policies, options.get("policy", "default"))
    market = read_market(home, opened.universe, {}, opened.currency)
    whole = 10.0**market.digits
    return PaperShown(
        portfolio=portfolio,
        policy=options.get("policy", ""),
        control=options.get("control", "on"),
        currency=opened.currency,
        cash=opened.cash / whole,
        sessions=tuple(_sessions(record, opened, market, timeline)),
        symbols=tuple(_symbol(symbol, one) for symbol, one in sorted(followed.items())),
        answers=tuple(_answers(followed, whole)),
        trades=tuple(_trades(followed, whole)),
        fees=sum(fill.fee for fill in record.fills) / whole,
        figures=tuple(FigureShown(one.name, one.value, one.gate, one.passed) for one in figures),
        orders=orders,
        events=tuple(_events(record.sessions, record.monitored)),
        findings=_drifts(record.monitored),
        hash=digest,
    )


def follow(machine: Machine, events: Iterable[tuple[int, Any]]) -> Followed:
    """Replay a workflow's events and note what changed on the way."""
    found = Followed(machine.initial)
    phase, envelope, asks, outcomes = "", None, (), ()
    for _, event in events:
        state = machine.step(found.state, event)[0]
        found.state = state
        if state.phase != phase:
            phase = state.phase
            found.phases.append((_day(event.at), phase))
        if state.envelope is not envelope:
            envelope = state.envelope
            if envelope is not None:
                found.room.append((_day(event.at), envelope.max_new_risk / envelope.equity if envelope.equity else 0.0))
        if state.asks is not asks:
            asks = state.asks
            bound = envelope.binding if envelope is not None else ""
            for one in asks[-3:]:
                found.asks[one.intent_id] = (one, found.asks[one.intent_id][1] if one.intent_id in found.asks else bound)
        if state.outcomes is not outcomes:
            outcomes = state.outcomes
            found.outcomes.update({one.trade_id: one for one in outcomes[-2:]})
    return found


def limits_of(ask: Asked, binding: str) -> tuple[str, ...]:
    """Return the rules that made an answer less than what was wanted: those of the envelope, the workflow's own, the control plane's.

    Args:
        ask: with its bounds, its answer and what became of it.
        binding: the rule that bound the envelope in force when it was asked.
    """
    found: dict[str, None] = {}
    blocked = ask.became.removeprefix("not asked: ")
    if blocked != ask.became and not blocked.startswith("no room"):
        return (_named(blocked),)
    for bound in ask.bounds:
        name = binding if bound == "max_new_risk" else OWN.get(bound, bound)
        if name:
            found[_named(name)] = None
    for reason in ask.reasons:
        kind, _, rest = reason.partition(":")
        if kind == "mode":
            found[f"mode {rest.split(' by ')[0]}"] = None
        elif kind == "constrained":
            found[_named(rest)] = None
        elif kind == "minimum_ticket":
            found["smallest ticket"] = None
    if not found and ask.code.startswith("rejected"):
        found[_named(ask.code.removeprefix("rejected_"))] = None
    if not found and ask.got_risk and ask.became and not ask.became.startswith("ordered"):
        found[_named(ask.became)] = None
    return tuple(found)


def _named(rule: str) -> str:
    return {"risk_off": "mode risk_off", "flatten_only": "flatten only"}.get(rule, rule.replace("_", " "))


def _symbol(symbol: str, one: Followed) -> SymbolShown:
    view = query(one.state)
    return SymbolShown(symbol, view.phase, view.template, readable(view.waits_for), tuple(one.phases), tuple(one.room))


def _answers(followed: Mapping[str, Followed], whole: float) -> Iterator[AnswerShown]:
    rows = [(ask.at, symbol, ask, bound) for symbol, one in followed.items() for ask, bound in one.asks.values()]
    for at, symbol, ask, bound in sorted(rows, key=lambda row: (row[0], row[1])):
        ordered = ask.became.startswith("ordered")
        yield AnswerShown(
            day=_day(at),
            symbol=symbol,
            intent=ask.intent_id,
            wanted=ask.wanted_risk / whole,
            asked=ask.requested_risk / whole,
            got=ask.got_risk / whole if ordered else 0.0,
            code=ask.code,
            limits=limits_of(ask, bound),
            became="ordered" if ordered else ask.became,
        )


def _trades(followed: Mapping[str, Followed], whole: float) -> Iterator[TradeShown]:
    rows = [(symbol, one) for symbol, found in followed.items() for one in found.outcomes.values()]
    for symbol, one in sorted(rows, key=lambda row: (row[1].closed_at, row[0])):
        days = (_day(one.opened_at), _day(one.closed_at))
        yield TradeShown(symbol, one.template, one.playbook, one.regime, *days, one.r_ppm / MILLION, one.pnl_minor / whole, one.exit)


def _sessions(record: Record, opened: Opened, market: Market, timeline: Timeline) -> Iterator[SessionShown]:
    whole, peak = 10.0**market.digits, 0.0
    exposed = _exposures(record.sessions, market)
    for one, by_symbol in zip(record.sessions, exposed, strict=True):
        if not one.is_session:
            continue
        day, equity = date.fromisoformat(one.day), one.equity / whole
        peak = max(peak, equity, opened.cash / whole)
        by_cohort: dict[str, float] = {}
        for symbol, value in by_symbol.items():
            cohort = market.listed[symbol].groups.cohort or symbol
            by_cohort[cohort] = by_cohort.get(cohort, 0.0) + value
        scale = 1.0 / equity if equity > 0 else 0.0
        yield SessionShown(
            day=day,
            equity=equity,
            drawdown=1.0 - equity / peak,
            heat=(one.risk + one.reserved) / whole * scale,
            cap=timeline.on(day).policy.heat.cap,
            gross=one.gross / whole * scale,
            symbol_share=max(by_symbol.values(), default=0.0) * scale,
            cohort_share=max(by_cohort.values(), default=0.0) * scale,
            held=one.held,
            running=one.running,
            mode=one.mode,
            regime=one.regime,
        )


def _exposures(sessions: Sequence[SessionClosed], market: Market) -> Iterator[dict[str, float]]:
    """Yield the gross exposure of each symbol at each session's end, in the currency."""
    quantities: dict[str, int] = {}
    multipliers: dict[str, int] = {}
    for one in sessions:
        for fill in one.fills:
            quantities[fill.symbol] = quantities.get(fill.symbol, 0) + (fill.quantity if fill.side == "buy" else -fill.quantity)
            multipliers[fill.symbol] = fill.labels.multiplier
        held = {symbol: quantity for symbol, quantity in quantities.items() if quantity}
        marks = {symbol: market.before(symbol, one.at, keep=1)[-1].close for symbol in held}
        yield {symbol: abs(number * marks[symbol] * multipliers[symbol]) / UNIT**3 for symbol, number in held.items()}


def _events(sessions: Sequence[SessionClosed], monitored: Sequence[Monitored]) -> list[EventShown]:
    found, regime, mode = [], "normal", "normal"
    for one in sessions:
        day = date.fromisoformat(one.day)
        if one.regime != regime:
            found.append(EventShown(day, "regime", f"{regime} to {one.regime}"))
            regime = one.regime
        if one.mode != mode:
            found.append(EventShown(day, "mode", f"{mode} to {one.mode}"))
            mode = one.mode
    found += [EventShown(date.fromisoformat(one.day), "breach", one.why) for one in monitored if one.why.startswith("breach")]
    return sorted(found, key=lambda one: (one.day, one.kind, one.text))


def _orders(connection: Connection, portfolio: str) -> Iterator[OrderShown]:
    for one in reversed(recommendations.listed(connection, portfolio)[-NEWEST_ORDERS:]):
        by = f" by {one.decided_by}" if one.decided_by else ""
        yield OrderShown(one.issued, one.id, str(one.said.get("reason", "")), f"{one.state}{by}")


def _drifts(monitored: Sequence[Monitored]) -> tuple[str, ...]:
    return tuple(f"{one.day}: the loop's equity and the ledger's differ by {one.drift} minor units" for one in monitored if one.drift)


def _digest(connection: Connection, portfolio: str) -> str:
    """Return the hash of the run's whole record: of the hashes of its events, in their order."""
    log = schema.events.c
    rows = connection.execute(select(log.content).where(log.stream == stream_of(portfolio)).order_by(log.version))
    return content_hash("\n".join(content_hash(content) for (content,) in rows).encode())


def _day(at: int) -> date:
    return to_date(day_number(at))


__all__ = ["Followed", "follow", "limits_of", "shown_of", "write_page"]
