"""What a paper run is asked for, what the loop keeps between two sessions, and what it tells while it runs.

Money is an integer of minor units, prices and quantities are integers in units of 1e-18, time is nanoseconds UTC, shares are parts per
million. What is kept has no floats, so that it has one spelling.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal, NamedTuple

from immutables import Map

from portfolio_platform.broker.model import Filled
from portfolio_platform.broker.state import BrokerState
from portfolio_platform.broker.terms import BrokerTerms
from portfolio_platform.instruments.model import EmitSignal, Plan, RiskLimits
from portfolio_platform.instruments.routing import Standing
from portfolio_platform.instruments.screener import ScreenerTerms

Cadence = Literal["weekly", "monthly", "quarterly", "end"]
CADENCES: tuple[Cadence, ...] = ("weekly", "monthly", "quarterly", "end")
Control = Literal["on", "off", "alone"]
"""``on``: the control plane; ``off``: everything that is asked for is granted, sizes follow the account's equity; ``alone``: the same, and
sizes are shares of the initial cash for ever, so that nothing of one symbol reaches another."""
FEES = BrokerTerms(slippage=100, slippage_spread=100, fee=50, fee_minimum=100, participation=50_000, tick=10**14)
"""One to two basis points of slippage, half a basis point of fees and at least a dollar, a twentieth of a bar's volume."""


@dataclass(frozen=True)
class PaperOptions:
    """What a run is asked for; together with the bars it determines every byte of it.

    Attributes:
        portfolio: name of the paper portfolio.
        cash: what it begins with, minor units.
        universe: the symbols; all that the home has bars of where empty.
        monitor: the monitor's own cadence; a breach starts a run of it between.
        control: see `Control`.
        screener_days: the screener passes at the first session end on or after so many days since the last one.
        broker: what trading costs and what goes wrong.
        screener: its numbers.
        limits: of every workflow.
        policy: name of the policy of the portfolio.
        timeframes: of every workflow, ascending.
        lots: quantities are multiples of this, by symbol; the default is one unit.
        breach_sessions: after a breach started a run of the monitor, no other breach does for so many sessions.
        every: events between two kept states of a workflow.
    """

    portfolio: str = "paper"
    cash: int = 100_000_000
    universe: tuple[str, ...] = ()
    monitor: Cadence = "quarterly"
    control: Control = "on"
    screener_days: int = 7
    broker: BrokerTerms = FEES
    screener: ScreenerTerms = field(default_factory=ScreenerTerms)
    limits: RiskLimits = field(default_factory=RiskLimits)
    policy: str = "default"
    timeframes: tuple[str, ...] = ("1d", "1w")
    lots: tuple[tuple[str, int], ...] = ()
    breach_sessions: int = 5
    every: int = 200

    @property
    def words(self) -> dict[str, str]:
        """Return the options as texts by name, as the log keeps them: a run that goes on has to have the same."""
        return {name: _word(value) for name, value in sorted(vars(self).items())}


def _word(value: object) -> str:
    """Return an option as one text in any process: sets have an order of their own there."""
    if isinstance(value, frozenset):
        return repr(sorted(value))
    if isinstance(value, BrokerTerms):
        return ", ".join(f"{name}={_word(item)}" for name, item in sorted(vars(value).items()))
    return repr(value)


class Held(NamedTuple):
    """A position as the account has it.

    Attributes:
        quantity: signed.
        multiplier: notional of one unit at price 1.
        stop: in force at the newest fill, as the ledger knows it; 0 for none.
        template: of the trade that opened it.
        playbook: of the trade that opened it.
    """

    quantity: int
    multiplier: int
    stop: int
    template: str
    playbook: str


class Finding(NamedTuple):
    """Something that should not be: when, what kind, and in words."""

    at: int
    what: str
    text: str


class Passed(NamedTuple):
    """What is kept of a pass of the screener: its id, and the template that it suggested for each candidate."""

    pass_id: str = ""
    at: int = 0
    templates: "Map[str, str]" = Map()


class Counts(NamedTuple):
    """Counts since the start.

    Attributes:
        sessions: days with a session end.
        bars: candle closes.
        fills: executions.
        running_days: for each session end, how many workflows ran.
        right_days: of them, those with the right template: the screener's, or the change waits for the workflow to be idle.
        most_running: the most workflows that ran at once.
        full_sessions: sessions with three workflows or more.
        screened_sessions: sessions since the screener first had a candidate.
        passes: of the screener.
        monitored: runs of the monitor.
        breaches: of them, those that a breach started.
        stopped: workflows that ended.
    """

    sessions: int = 0
    bars: int = 0
    fills: int = 0
    running_days: int = 0
    right_days: int = 0
    most_running: int = 0
    full_sessions: int = 0
    screened_sessions: int = 0
    passes: int = 0
    monitored: int = 0
    breaches: int = 0
    stopped: int = 0


class Kept(NamedTuple):
    """Everything that the next session depends on, beside the options, the bars, and what is in other streams of the book.

    Attributes:
        day: the last session, as a day number.
        begun: the first day.
        broker: the broker's state.
        cash: exact, in units of 1e-54 of the currency.
        held: by symbol.
        traded: the first day on which each symbol was traded.
        standings: of running workflows with the screener.
        screened: the last pass of the screener.
        fed: time of the last candle that each workflow was told.
        told: version of the envelope that each workflow was told.
        opens: by symbol the close of its last bar, which is when the next opens.
        buckets: correlation buckets of the newest monitor run.
        plans: provided for the newest days.
        sessions: of the ledger, so far.
        monitored: day number of the last run of the monitor.
        breach: why the monitor has to run now; empty where nothing asks for it.
        cooled: no breach starts a run of the monitor before this many sessions.
        mode: of the portfolio at the last session's end.
        counts: for the validation figures.
        findings: everything that should not be.
    """

    day: int
    begun: int
    broker: BrokerState
    cash: int
    held: "Map[str, Held]" = Map()
    traded: "Map[str, int]" = Map()
    standings: "Map[str, Standing]" = Map()
    screened: Passed = Passed()
    fed: "Map[str, int]" = Map()
    told: "Map[str, int]" = Map()
    opens: "Map[str, int]" = Map()
    buckets: tuple[tuple[str, str], ...] = ()
    plans: tuple[Plan, ...] = ()
    sessions: int = 0
    monitored: int = 0
    breach: str = ""
    cooled: int = 0
    mode: str = "normal"
    counts: Counts = Counts()
    findings: tuple[Finding, ...] = ()


# --- events of the stream `paper/<portfolio>`


class Opened(NamedTuple):
    """A run begins: its options in words, its first day, its universe, and what it begins with."""

    at: int
    day: str
    cash: int
    currency: str
    universe: tuple[str, ...]
    options: tuple[tuple[str, str], ...]


class SignalSaid(NamedTuple):
    """A signal of a workflow, as the facts take it; the newest of an id counts."""

    symbol: str
    engine: str
    signal: EmitSignal


class SessionClosed(NamedTuple):
    """A session ended.

    Attributes:
        at: its end.
        day: ISO.
        is_session: whether the ledger has a session on this day.
        equity: minor units.
        gross: gross exposure, minor units.
        risk: open risk, minor units.
        reserved: risk that is granted and not filled, minor units.
        flow: money that came in, minor units.
        regime: of the drawdown.
        mode: in force.
        running: workflows that run.
        held: open positions.
        envelopes: told in the session.
        decisions: intents that were answered, those approved whole, clipped, refused.
        fills: of the session.
        signals: of the session.
        words: what happened, for a display.
    """

    at: int
    day: str
    is_session: bool
    equity: int
    gross: int
    risk: int
    reserved: int
    flow: int
    regime: str
    mode: str
    running: int
    held: int
    envelopes: int
    decisions: tuple[int, int, int]
    fills: tuple[Filled, ...]
    signals: tuple[SignalSaid, ...]
    words: tuple[str, ...] = ()


class Monitored(NamedTuple):
    """The monitor ran over everything up to a day.

    Attributes:
        at: end of the day.
        day: ISO.
        why: its cadence, or the breach.
        equity: of the ledger, minor units; None where it has no session yet.
        drift: equity of the loop less that of the ledger, minor units.
        orders: what recommendations have ordered and still holds, in words.
    """

    at: int
    day: str
    why: str
    equity: int | None
    drift: int
    orders: tuple[str, ...]


class Finished(NamedTuple):
    """A run reached the end that it was asked for."""

    at: int
    day: str


@dataclass(frozen=True)
class Moment:
    """What a live display shows after a session.

    Attributes:
        day: the session.
        done: sessions done of those asked for, and how many those are.
        equity: minor units.
        start: what the run began with, minor units.
        peak: highest equity so far, minor units.
        mode: of the portfolio.
        regime: of the drawdown.
        positions: symbol, signed quantity, value in minor units.
        phases: by symbol, of the running workflows.
        envelopes: by symbol, in short.
        recent: the newest things that happened, newest last.
    """

    day: date
    done: tuple[int, int]
    equity: int
    start: int
    peak: int
    mode: str
    regime: str
    positions: tuple[tuple[str, int, int], ...]
    phases: tuple[tuple[str, str, str], ...]
    envelopes: tuple[tuple[str, str], ...]
    recent: tuple[str, ...]
