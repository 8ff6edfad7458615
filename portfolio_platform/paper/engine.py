"""One day of a paper run, in memory: bars, fills, workflows, decisions, orders, and what the day's end says. No store, no clock.

At one instant: the broker holds its orders against the bars that closed; fills and ended orders are told; then candles are told, by symbol;
then what workflows ask for is done until nobody asks any more; then envelopes are told. So what is decided at a close rests on bars up to
that close, and is filled by bars that opened after it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from portfolio_platform.broker.interface import PaperBroker
from portfolio_platform.broker.model import Changed, Event, Failed, Filled
from portfolio_platform.control.model import APPROVED_CLIPPED, APPROVED_FULL
from portfolio_platform.days import format_timestamp
from portfolio_platform.instruments import model
from portfolio_platform.instruments.model import InstrumentConfig, InstrumentEvent, Plan
from portfolio_platform.instruments.store import InstrumentBatch
from portfolio_platform.paper.account import as_control_fill, traded
from portfolio_platform.paper.authority import Authority
from portfolio_platform.paper.market import Instant, Market
from portfolio_platform.paper.model import Finding, Kept, PaperOptions, SignalSaid

ROUNDS = 10_000
"""More commands than this at one instant are a mistake, and are said to be one."""
ENDED = {"rejected": "rejected", "cancelled": "cancelled", "expired": "expired"}


class Plans(Protocol):
    """Who provides plans."""

    def provide(self, request: model.RequestPlan, config: InstrumentConfig) -> model.PlanProvided:
        """Return the plan of a request."""
        ...


class Judges(Protocol):
    """Who reviews a symbol's outcomes."""

    def review(self, asked: model.AskJudge, config: InstrumentConfig, now: int) -> model.JudgeFeedback:
        """Return the feedback."""
        ...


@dataclass
class Happened:
    """What a day has brought so far, for its record.

    Attributes:
        fills: executions.
        signals: newest by id, in the order in which they were first said.
        decisions: answers: whole, clipped, refused.
        envelopes: told to workflows.
        candles: told to workflows.
        plans: provided.
        words: for a display.
        findings: what should not be.
    """

    fills: list[Filled] = field(default_factory=list)
    signals: dict[str, SignalSaid] = field(default_factory=dict)
    decisions: list[int] = field(default_factory=lambda: [0, 0, 0])
    envelopes: int = 0
    candles: int = 0
    plans: list[Plan] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Parts:
    """What a day works with beside its state: all of it pure or in memory."""

    options: PaperOptions
    market: Market
    provider: Plans
    judge: Judges
    calendar_closes: Any
    """``(calendar, timeframes, bar) -> higher timeframes that it completes``."""


class Day:
    """A day at work.

    Attributes:
        kept: the loop's state as it becomes.
        batch: the workflows' events.
        authority: who grants risk.
        broker: on paper.
        happened: for the record.
    """

    def __init__(self, parts: Parts, kept: Kept, batch: InstrumentBatch, authority: Authority) -> None:
        """Begin a day where the last one ended."""
        self._parts = parts
        self.kept, self.batch, self.authority = kept, batch, authority
        self.broker = PaperBroker(parts.options.broker, kept.broker)
        self.happened = Happened()
        self._waiting: deque[tuple[str, Any]] = deque()

    # --- what drives it

    def instant(self, instant: Instant) -> None:
        """Let the bars of one instant close."""
        at = instant.at
        said: list[Event] = []
        for bar in instant.bars:
            self.kept = self.kept._replace(opens=self.kept.opens.set(bar.symbol, bar.ts))
            said += self.broker.on_bar(bar)
        self._executed([one for one in said if isinstance(one, Filled)])
        for event in said:
            self._broker_said(event)
        self._drain(at)
        self.tell(at, everybody=True)  # an envelope that is over at this very close would forbid what it decides
        for bar in instant.bars:
            self._candle(at, bar.symbol, bar)
        self._drain(at)
        self.tell(at)

    def undone(self, symbol: str, commands: Iterable[Any]) -> None:
        """Have commands done that follow from events which somebody else wrote: a person who ended a workflow."""
        self._waiting += [(symbol, command) for command in commands]

    def begin(self, at: int) -> None:
        """Tell the envelopes that somebody issued since the last session."""
        for symbol in self.running:
            self._deliver_envelope(symbol, at)
        self._drain(at)

    def tell(self, at: int, *, everybody: bool = False) -> None:
        """Issue the envelopes that are due and tell them, until nobody has anything to do about it."""
        self.authority.tell(at, everybody=everybody)
        for _ in range(ROUNDS):
            due = [symbol for symbol in self.running if self._is_untold(symbol)]
            if not due:
                return
            for symbol in due:
                self._deliver_envelope(symbol, at)
            self._drain(at)
            self.authority.tell(at)
        raise RuntimeError(f"envelopes and workflows answer each other without an end at {format_timestamp(at)}")

    def start(self, symbol: str, template: str, pass_id: str, at: int) -> None:
        """Start a workflow: its config, then the bars it has missed, so that it sees what it needs from its first candle on."""
        parts, one = self._parts, self._parts.market.listed[symbol]
        config = InstrumentConfig(
            portfolio=parts.options.portfolio,
            symbol=symbol,
            timeframes=parts.options.timeframes,
            template=template,
            screener_run_id=pass_id,
            parent_run_id=f"paper:{parts.options.portfolio}:{self.kept.begun}",
            account=parts.options.portfolio,
            limits=parts.options.limits,
            lot=one.lot,
            multiplier=one.multiplier,
            currency=one.currency,
            digits=parts.market.digits,
        )
        commands = list(self.batch.take(symbol, model.Started(at, config)))
        for bar in parts.market.before(symbol, at, after=self.kept.fed.get(symbol, 0)):
            closes = parts.calendar_closes(one.calendar, parts.options.timeframes, bar)
            # what it would have done then is over: only what it wants to know now is still of use
            commands += self.batch.take(symbol, model.CandleClosed(bar.ts, bar, closes))
            self.kept = self.kept._replace(fed=self.kept.fed.set(symbol, bar.ts))
        plans = [one for one in commands if isinstance(one, model.RequestPlan)]
        self._waiting += [(symbol, one) for one in commands if isinstance(one, model.Enlist)]
        self._waiting += [(symbol, one) for one in plans[-1:]]
        self.happened.words.append(f"{symbol}: started with {template}")
        self._drain(at)

    def say(self, symbol: str, event: InstrumentEvent, at: int) -> None:
        """Tell a workflow something, and do what it asks for."""
        self._deliver(symbol, event)
        self._drain(at)

    @property
    def running(self) -> list[str]:
        """Return the symbols whose workflow runs, sorted."""
        return sorted(symbol for symbol, one in self.batch.placed.items() if is_running(one.state))

    # --- what it does

    def _candle(self, at: int, symbol: str, bar: Any) -> None:
        placed = self.batch.placed.get(symbol)
        if placed is None or not is_running(placed.state):
            return
        closes = self._parts.calendar_closes(self._parts.market.listed[symbol].calendar, self._parts.options.timeframes, bar)
        self.happened.candles += 1
        self.kept = self.kept._replace(fed=self.kept.fed.set(symbol, bar.ts))
        self._deliver(symbol, model.CandleClosed(at, bar, closes))

    def _deliver(self, symbol: str, event: InstrumentEvent) -> None:
        self._waiting += [(symbol, command) for command in self.batch.take(symbol, event)]

    def _is_untold(self, symbol: str) -> bool:
        envelope = self.authority.envelope(symbol)
        return envelope is not None and envelope.version > self.kept.told.get(symbol, 0)

    def _deliver_envelope(self, symbol: str, at: int) -> None:
        envelope = self.authority.envelope(symbol)
        if envelope is None or not self._is_untold(symbol):
            return
        self.kept = self.kept._replace(told=self.kept.told.set(symbol, envelope.version))
        self.happened.envelopes += 1
        self._deliver(symbol, model.EnvelopeIssued(at, envelope))

    def _drain(self, at: int) -> None:
        for _ in range(ROUNDS):
            if not self._waiting:
                return
            symbol, command = self._waiting.popleft()
            self._do(symbol, command, at)
        raise RuntimeError(f"workflows ask for more and more at {format_timestamp(at)}; the last was {self._waiting[0]}")

    def _do(self, symbol: str, command: Any, at: int) -> None:
        if isinstance(command, model.RequestPlan):
            provided = self._parts.provider.provide(command, self._config(symbol))._replace(at=at)
            if provided.plan is not None:
                self.happened.plans.append(provided.plan)
            self._deliver(symbol, provided)
        elif isinstance(command, model.RequestAllocation):
            self._allocate(symbol, command, at)
        elif isinstance(command, model.ReleaseAllocation):
            self.authority.release(command.intent_id, command.reason, at)
        elif isinstance(command, model.PlaceOrder):
            self._broker_answers(self.broker.place(command.order, at))
        elif isinstance(command, model.CancelOrder):
            self._broker_answers(self.broker.cancel(command.order_id, at, command.reason))
        elif isinstance(command, model.ReplaceOrder):
            self._broker_answers(self.broker.replace(command.order_id, at, price=command.price))
        elif isinstance(command, model.EmitSignal):
            said = SignalSaid(symbol, self._config(symbol).engine_version, command)
            self.happened.signals[command.signal_id] = said
        elif isinstance(command, model.AskJudge):
            self._deliver(symbol, self._parts.judge.review(command, self._config(symbol), at))
        elif isinstance(command, model.Enlist):
            self.authority.enlist(symbol, command.active, at)
            if not command.active:
                self.happened.words.append(f"{symbol}: stopped")
        else:
            raise TypeError(f"{type(command).__name__} is no command of a workflow")

    def _allocate(self, symbol: str, command: model.RequestAllocation, at: int) -> None:
        made = self.authority.decide(command.intent, at)
        place = 0 if made.code == APPROVED_FULL else 1 if made.code == APPROVED_CLIPPED else 2
        self.happened.decisions[place] += 1
        reasons = tuple(made.reasons)
        self.happened.words.append(f"{symbol}: {made.code} {made.approved_risk / 10**self._parts.market.digits:,.0f} at risk")
        event = model.AllocationDecided(at, made.intent_id, made.code, made.approved_risk, made.approved_notional, made.expires_at, reasons)
        self._deliver(symbol, event)

    def _broker_answers(self, events: Sequence[Event]) -> None:
        self._executed([one for one in events if isinstance(one, Filled)])
        for event in events:
            self._broker_said(event)

    def _broker_said(self, event: Event) -> None:
        if isinstance(event, Filled):
            self._filled(event)
        elif isinstance(event, Changed) and event.after in ENDED:
            outcome: Any = ENDED[event.after]
            self._tell_owner(event.symbol, model.OrderEnded(event.at, event.client_order_id, outcome, event.reason))
        elif isinstance(event, Failed):
            self._tell_owner(event.symbol, model.OrderEnded(event.at, event.client_order_id, "failed", event.reason))

    def _executed(self, fills: Sequence[Filled]) -> None:
        """Take executions into the account and to the control plane, those first that took from what would be over by now."""
        digits = self._parts.market.digits
        timed = [(self.authority.heard_at(as_control_fill(one, digits), one.at), place, one) for place, one in enumerate(fills)]
        for heard, _, fill in sorted(timed, key=lambda item: item[:2]):
            cash, held = traded(self.kept.cash, self.kept.held, fill, digits)
            self.kept = self.kept._replace(cash=cash, held=held)
            self.happened.fills.append(fill)
            self.authority.fill(as_control_fill(fill, digits), heard)

    def _filled(self, fill: Filled) -> None:
        price = fill.price / 10**18
        self.happened.words.append(f"{fill.symbol}: {fill.side} {fill.quantity / 10**18:g} at {price:,.2f}")
        reported = model.FillReported(
            fill.at,
            fill.execution_id,
            fill.client_order_id,
            fill.side,
            fill.quantity,
            fill.price,
            fill.fee,
            fill.left,
            fill.ambiguous,
        )
        self._tell_owner(fill.symbol, reported)

    def _tell_owner(self, symbol: str, event: InstrumentEvent) -> None:
        """Tell a symbol's workflow; also one that has stopped, for what comes then should be known."""
        if symbol in self.batch.placed:
            self._deliver(symbol, event)
        else:
            self.happened.findings.append(Finding(event.at, "unowned", f"{symbol}: {type(event).__name__} without a workflow"))

    def _config(self, symbol: str) -> InstrumentConfig:
        config = self.batch.placed[symbol].state.config
        assert isinstance(config, InstrumentConfig)
        return config


def is_running(state: Any) -> bool:
    """Say whether a workflow was started and has not stopped."""
    return state.config is not None and state.phase != "stopped"


def phases(states: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str, str], ...]:
    """Return symbol, phase and template of the workflows that run, by symbol."""
    return tuple((symbol, state.phase, state.template) for symbol, state in sorted(states) if is_running(state))
