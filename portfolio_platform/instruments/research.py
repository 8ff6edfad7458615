"""What a playbook alone would have done on past bars: every thesis taken, nobody else asking, no envelope and no judge.

The trades are made by the same workflow and the same paper broker as a paper run; only the control plane is one that grants everything, so
that research and paper agree. They are research trades: they belong to no ledger, and change no track record of the policy's own.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from portfolio_platform.broker.interface import PaperBroker
from portfolio_platform.broker.model import Bar, Changed, Event, Failed, Filled
from portfolio_platform.broker.state import Account, opened
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.instruments.bars import closes_of
from portfolio_platform.instruments.mean_r import MeanR, mean_r
from portfolio_platform.instruments.model import (
    AllocationDecided,
    AskJudge,
    CancelOrder,
    CandleClosed,
    EmitSignal,
    FillReported,
    InstrumentCommand,
    InstrumentConfig,
    InstrumentEvent,
    OrderEnded,
    Outcome,
    PlaceOrder,
    ReplaceOrder,
    RequestAllocation,
    RequestPlan,
    RiskLimits,
    ScreenerUpdate,
    Started,
)
from portfolio_platform.instruments.planning import LEAST_N, PlaybookPlans
from portfolio_platform.instruments.playbook import ALL, TIMEFRAMES, Playbook
from portfolio_platform.instruments.playbook_loading import Shelf
from portfolio_platform.instruments.state import InstrumentState, Totals, WorkflowTerms
from portfolio_platform.instruments.workflow import step

MILLION = 1_000_000
EQUITY = 10**14
"""So much that a whole lot never decides whether there is a trade; results are in R, so that it shows nowhere else."""
LIMITS = RiskLimits(risk_ppm=MILLION, notional_ppm=100 * MILLION, minimum_r_ppm=0)
LOT = 10**10
COSTS = BrokerTerms(slippage=150, fee=50)
"""One and a half basis points of slippage and half a basis point of fees: the middle of what a paper run draws."""
STRATEGY, ACCOUNT, PORTFOLIO = "research", "research", "research"


class Trade(NamedTuple):
    """A closed trade with its signal: outcome, and the farthest against it and for it over the bars held, in R (parts per million)."""

    symbol: str
    outcome: Outcome
    signal: EmitSignal
    mae_ppm: int
    mfe_ppm: int


class Researched(NamedTuple):
    """What a playbook did.

    Attributes:
        trades: closed, by symbol and time.
        signals: all, of every symbol, the newest word of each.
        totals: of each symbol's workflow: theses, activations, timeouts and the like.
        open: positions that were still held at the end; in no figure.
    """

    trades: tuple[Trade, ...]
    signals: tuple[EmitSignal, ...]
    totals: tuple[tuple[str, Totals], ...]
    open: int


class Record(NamedTuple):
    """The trades of a regime, or of all: results in parts per million of R, bars held.

    Attributes:
        regime: label, or `ALL`.
        wins: trades above 0 R.
        result: mean with its sample size and spread.
        hold_p50: median of the bars held, a value that occurred.
        hold_p90: 90th percentile, likewise.
        mae_p50: median of the farthest against a trade.
        mfe_p50: median of the farthest for it.
    """

    regime: str
    wins: int
    result: MeanR
    hold_p50: int
    hold_p90: int
    mae_p50: int
    mfe_p50: int


def research(
    bars: Mapping[str, Sequence[Bar]],
    calendars: Mapping[str, str],
    playbook: Playbook,
    first: int,
    last: int,
    costs: BrokerTerms = COSTS,
    terms: WorkflowTerms | None = None,
) -> Researched:
    """Walk a playbook over bars, each symbol by itself.

    Args:
        bars: of the playbook's execution timeframe, by symbol, ascending; those before ``first`` are seen and not traded.
        calendars: by symbol, which say when a higher bar is complete.
        playbook: to walk.
        first: time from which a thesis may be armed, nanoseconds UTC.
        last: no bar after it is looked at.
        costs: what trading costs.
        terms: of the workflows; their envelope is not required, and their equity is given here.
    """
    used = (terms or WorkflowTerms())._replace(requires_envelope=False, equity=EQUITY)
    walks = [_Walk(playbook, symbol, calendars[symbol], used, costs) for symbol in sorted(bars)]
    for walk in walks:
        walk.over(bars[walk.symbol], first, last)
    return Researched(
        trades=tuple(trade for walk in walks for trade in walk.trades(bars[walk.symbol])),
        signals=tuple(signal for walk in walks for signal in walk.signals.values()),
        totals=tuple((walk.symbol, walk.state.totals) for walk in walks),
        open=sum(walk.state.position is not None for walk in walks),
    )


def records(trades: Iterable[Trade]) -> tuple[Record, ...]:
    """Return the record over all regimes, then of each regime by label; nothing where there is no trade."""
    by_regime: dict[str, list[Trade]] = {}
    for trade in trades:
        by_regime.setdefault(ALL, []).append(trade)
        by_regime.setdefault(trade.outcome.regime, []).append(trade)
    labels = sorted(by_regime, key=lambda label: (label != ALL, label))
    return tuple(_record(label, by_regime[label]) for label in labels)


def as_toml(found: Sequence[Record]) -> str:
    """Return records as the `[[expectations]]` of a playbook: over all, and of each regime with at least `LEAST_N` trades."""
    return "".join(_table(record) for record in found if record.regime == ALL or (record.regime and record.result.n >= LEAST_N))


def _record(label: str, trades: Sequence[Trade]) -> Record:
    held = [trade.outcome.bars for trade in trades]
    return Record(
        regime=label,
        wins=sum(trade.outcome.r_ppm > 0 for trade in trades),
        result=mean_r([trade.outcome.r_ppm for trade in trades]),
        hold_p50=_quantile(held, 50),
        hold_p90=_quantile(held, 90),
        mae_p50=_quantile([trade.mae_ppm for trade in trades], 50),
        mfe_p50=_quantile([trade.mfe_ppm for trade in trades], 50),
    )


def _quantile(values: Sequence[int], per_cent: int) -> int:
    """Return the smallest value that at least so many per cent do not exceed (inverse of the empirical distribution)."""
    return sorted(values)[max(0, -(-len(values) * per_cent // 100) - 1)]


def _table(record: Record) -> str:
    n = record.result.n
    return (
        f'\n[[expectations]]\nregime = "{record.regime}"\nn = {n}\nwin_rate_pct = {record.wins * 100 / n:.1f}\n'
        f"mean_r = {record.result.mean / MILLION:.2f}\nsd_r = {record.result.sd / MILLION:.2f}\n"
        f"hold_p50 = {max(record.hold_p50, 1)}\nhold_p90 = {max(record.hold_p90, 1)}\n"
        f"mae_p50 = {record.mae_p50 / MILLION:.2f}\nmfe_p50 = {record.mfe_p50 / MILLION:.2f}\n"
    )


class _Walk:
    """One symbol's workflow, its broker, and a control plane that grants everything."""

    def __init__(self, playbook: Playbook, symbol: str, calendar: str, terms: WorkflowTerms, costs: BrokerTerms) -> None:
        wanted = {stage.timeframe for stage in (playbook.thesis, playbook.activation, playbook.invalidation) if stage is not None}
        self.timeframes = tuple(sorted(wanted | {playbook.execution}, key=TIMEFRAMES.index))
        self.symbol, self.calendar, self.terms = symbol, calendar, terms
        self.template = playbook.template
        self.plans = PlaybookPlans(Shelf({playbook.name: playbook}))
        self.config = InstrumentConfig(PORTFOLIO, symbol, self.timeframes, strategy=STRATEGY, account=ACCOUNT, limits=LIMITS, lot=LOT)
        self.broker = PaperBroker(costs, opened({ACCOUNT: Account(EQUITY)}))
        self.state = InstrumentState()
        self.signals: dict[str, EmitSignal] = {}
        self.outcomes: dict[str, Outcome] = {}

    def over(self, bars: Sequence[Bar], first: int, last: int) -> None:
        """Tell the workflow every bar up to a time, and what to trade from the first on."""
        begun = False
        for bar in bars:
            if bar.ts > last:
                return
            if not self.state.config:
                self.tell(Started(bar.opens_at, self.config))
            if bar.ts >= first and not begun:
                begun = True
                self.tell(ScreenerUpdate(bar.opens_at, "research", self.template))
            self.tell(*self.heard(self.broker.on_bar(bar)))
            self.tell(CandleClosed(bar.ts, bar, closes_of(self.calendar, self.timeframes, bar)))

    def tell(self, *events: InstrumentEvent) -> None:
        """Tell the workflow events and do what it asks for, until it asks for nothing more."""
        waiting = deque(events)
        while waiting:
            self.state, commands = step(self.terms, self.state, waiting.popleft())
            for command in commands:
                waiting.extend(self.done(command))

    def done(self, command: InstrumentCommand) -> tuple[InstrumentEvent, ...]:
        """Do a command and return what the workflow is told of it."""
        if isinstance(command, RequestPlan):
            return (self.plans.provide(command, self.config),)
        if isinstance(command, RequestAllocation):
            intent = command.intent
            return (AllocationDecided(command.at, intent.intent_id, "approved_full", intent.requested_risk, intent.requested_notional, 0),)
        if isinstance(command, PlaceOrder):
            return self.heard(self.broker.place(command.order, command.at))
        if isinstance(command, CancelOrder):
            return self.heard(self.broker.cancel(command.order_id, command.at, command.reason))
        if isinstance(command, ReplaceOrder):
            return self.heard(self.broker.replace(command.order_id, command.at, price=command.price))
        if isinstance(command, EmitSignal):
            self.signals[command.signal_id] = command
        elif isinstance(command, AskJudge):
            self.outcomes[command.outcomes[-1].trade_id] = command.outcomes[-1]
        return ()

    def heard(self, events: Iterable[Event]) -> tuple[InstrumentEvent, ...]:
        """Return what a broker said as the workflow is told it."""
        told = (_told(event) for event in events)
        return tuple(event for event in told if event is not None)

    def trades(self, bars: Sequence[Bar]) -> list[Trade]:
        """Return the closed trades, each with its excursions over the bars that it was held, the bar of its exit included."""
        signals = {signal.setup_id: signal for signal in self.signals.values()}
        found = []
        for outcome in self.outcomes.values():
            signal = signals[outcome.trade_id]
            held = [bar for bar in bars if outcome.opened_at <= bar.ts <= outcome.closed_at]
            sign = 1 if outcome.direction == "long" else -1
            risk = abs(signal.entry_price - signal.stop_price)
            ends = [(bar.high - signal.entry_price, bar.low - signal.entry_price) for bar in held]
            moves = [sign * move for pair in ends for move in pair]
            worst, best = max(0, -min(moves)), max(0, *moves)
            found.append(Trade(self.symbol, outcome, signal, worst * MILLION // risk, best * MILLION // risk))
        return found


def _told(event: Event) -> InstrumentEvent | None:
    if isinstance(event, Filled):
        return FillReported(
            at=event.at,
            execution_id=event.execution_id,
            order_id=event.client_order_id,
            side=event.side,
            quantity=event.quantity,
            price=event.price,
            fee=event.fee,
            left=event.left,
            ambiguous=event.ambiguous,
        )
    if isinstance(event, Failed):
        return OrderEnded(event.at, event.client_order_id, "failed", event.reason)
    if isinstance(event, Changed):
        if event.after == "rejected":
            return OrderEnded(event.at, event.client_order_id, "rejected", event.reason)
        if event.after == "cancelled":
            return OrderEnded(event.at, event.client_order_id, "cancelled", event.reason)
        if event.after == "expired":
            return OrderEnded(event.at, event.client_order_id, "expired", event.reason)
    return None
