"""What is shown of a paper run, as it is drawn and written: sessions, symbols, answers, envelopes, figures. Pure; no store here.

Who fills it is above (`portfolio_platform.paper.shown`); pages, charts and tables are made from it alone. Money is in the portfolio's
currency, shares are fractions, R is a multiple of the risk at entry.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from portfolio_platform.render.series import Floats


@dataclass(frozen=True)
class SessionShown:
    """A session's end.

    Attributes:
        day: UTC.
        equity: at its end.
        drawdown: from the highest equity so far, a fraction, at least 0.
        heat: open and reserved risk over equity.
        cap: the policy's cap on heat that day.
        gross: gross exposure over equity.
        symbol_share: of the largest symbol in gross exposure, over equity.
        cohort_share: of the largest cohort in gross exposure, over equity.
        held: open positions.
        running: workflows that run.
        mode: of the portfolio.
        regime: of the drawdown.
    """

    day: date
    equity: float
    drawdown: float
    heat: float
    cap: float
    gross: float
    symbol_share: float
    cohort_share: float
    held: int
    running: int
    mode: str
    regime: str


@dataclass(frozen=True)
class AnswerShown:
    """What became of one activation: what was wanted, asked and got, and which limits made it less.

    Attributes:
        day: of the activation.
        symbol: of what.
        intent: its id.
        wanted: risk that plan, judge and equity came to.
        asked: within envelope and limits; 0 where it was not even asked.
        got: granted.
        code: of the control plane; empty where it was not asked.
        limits: rules that made it less, the envelope's first.
        became: what the workflow made of it.
    """

    day: date
    symbol: str
    intent: str
    wanted: float
    asked: float
    got: float
    code: str
    limits: tuple[str, ...]
    became: str

    @property
    def fate(self) -> str:
        """Return ``whole``, ``smaller`` or ``refused``."""
        if not self.got:
            return "refused"
        return "smaller" if self.got < self.wanted and self.limits else "whole"


@dataclass(frozen=True)
class TradeShown:
    """A closed trade."""

    symbol: str
    template: str
    playbook: str
    regime: str
    opened: date
    closed: date
    r: float
    pnl: float
    exit: str


@dataclass(frozen=True)
class SymbolShown:
    """A symbol's workflow over the run.

    Attributes:
        symbol: its name.
        phase: now.
        template: in force.
        waits_for: in words.
        phases: when it entered which phase, ascending.
        room: days and the new risk that its envelope allowed from then on, as a share of equity, ascending.
    """

    symbol: str
    phase: str
    template: str
    waits_for: str
    phases: tuple[tuple[date, str], ...]
    room: tuple[tuple[date, float], ...]


@dataclass(frozen=True)
class FigureShown:
    """A validation figure against its gate."""

    name: str
    value: str
    gate: str
    passed: bool | None

    @property
    def verdict(self) -> str:
        """Return in a word whether the gate holds; empty where there is none."""
        return "" if self.passed is None else "holds" if self.passed else "does not hold"


@dataclass(frozen=True)
class OrderShown:
    """A recommendation, and what became of it."""

    day: str
    identity: str
    says: str
    became: str


@dataclass(frozen=True)
class EventShown:
    """Something to mark on a chart: a change of regime or mode, a run of the monitor for a breach."""

    day: date
    kind: str
    text: str


@dataclass(frozen=True)
class PaperShown:
    """A paper run.

    Attributes:
        portfolio: its name.
        policy: the policy's name.
        control: whether the control plane was on: ``on``, ``off`` or ``alone``.
        currency: of all amounts.
        cash: what it began with.
        sessions: ascending by day.
        symbols: by name.
        answers: in the order of time.
        trades: closed ones, in the order of their end.
        fees: paid.
        figures: the validation figures.
        orders: recommendations, newest first.
        events: for the charts, ascending.
        findings: what should not be, in words.
        hash: of the run's whole record.
    """

    portfolio: str
    policy: str
    control: str
    currency: str
    cash: float
    sessions: tuple[SessionShown, ...]
    symbols: tuple[SymbolShown, ...]
    answers: tuple[AnswerShown, ...]
    trades: tuple[TradeShown, ...]
    fees: float
    figures: tuple[FigureShown, ...] = ()
    orders: tuple[OrderShown, ...] = ()
    events: tuple[EventShown, ...] = ()
    findings: tuple[str, ...] = field(default=())
    hash: str = ""

    @property
    def days(self) -> list[date]:
        """Return the days of its sessions."""
        return [one.day for one in self.sessions]

    def line(self, name: str) -> Floats:
        """Return one of the sessions' numbers; (sessions,)."""
        return np.array([float(getattr(one, name)) for one in self.sessions], np.float64)


@dataclass(frozen=True)
class SummaryShown:
    """What a run comes to."""

    total_return: float
    pnl: float
    max_drawdown: float
    mean_heat: float
    max_heat: float
    over_cap: int
    mean_symbol: float
    max_symbol: float
    mean_cohort: float
    max_cohort: float
    mean_held: float
    max_held: int
    guarded: int
    activations: int
    refused: int
    smaller: int
    wanted: float
    got: float
    trades: int
    win_rate: float
    mean_r: float
    fees: float


def summary(run: PaperShown) -> SummaryShown:
    """Return what a run comes to; NaN where there is nothing to take a mean of."""
    last = run.sessions[-1].equity if run.sessions else run.cash
    rs = [one.r for one in run.trades]
    fates = [one.fate for one in run.answers]
    return SummaryShown(
        total_return=last / run.cash - 1.0 if run.cash else np.nan,
        pnl=last - run.cash,
        max_drawdown=_most(run, "drawdown"),
        mean_heat=_mean(run.line("heat")),
        max_heat=_most(run, "heat"),
        over_cap=sum(one.heat > one.cap for one in run.sessions),
        mean_symbol=_mean(run.line("symbol_share")),
        max_symbol=_most(run, "symbol_share"),
        mean_cohort=_mean(run.line("cohort_share")),
        max_cohort=_most(run, "cohort_share"),
        mean_held=_mean(run.line("held")),
        max_held=int(_most(run, "held")),
        guarded=sum(one.mode != "normal" for one in run.sessions),
        activations=len(run.answers),
        refused=fates.count("refused"),
        smaller=fates.count("smaller"),
        wanted=sum(one.wanted for one in run.answers),
        got=sum(one.got for one in run.answers),
        trades=len(rs),
        win_rate=sum(r > 0 for r in rs) / len(rs) if rs else np.nan,
        mean_r=sum(rs) / len(rs) if rs else np.nan,
        fees=run.fees,
    )


def limits_that_bit(run: PaperShown) -> dict[str, tuple[int, int, float]]:
    """Return by limit how often it refused, how often it made smaller, and the risk that went; the most first.

    What several limits took is shared among them in equal parts, so that the parts add up to the whole.
    """
    found: dict[str, tuple[int, int, float]] = {}
    for one in run.answers:
        lost = one.wanted - one.got
        if not one.limits or lost <= 0:
            continue
        for limit in one.limits:
            refused, smaller, risk = found.get(limit, (0, 0, 0.0))
            found[limit] = (refused + (one.fate == "refused"), smaller + (one.fate == "smaller"), risk + lost / len(one.limits))
    return dict(sorted(found.items(), key=lambda item: (-item[1][2], item[0])))


def interval(rs: Sequence[float], seed: int = 7, draws: int = 2_000) -> tuple[float, float] | None:
    """Return the 95 % bootstrap interval of a mean R over trades, seeded; None below ten trades.

    Trades are drawn one by one with replacement (Efron 1979), which takes them as independent; those of one wave are not, so that the
    true interval is wider.
    """
    if len(rs) < 10:
        return None
    values = np.sort(np.asarray(rs, np.float64))
    means = np.random.default_rng(seed).choice(values, (draws, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _mean(values: Floats) -> float:
    return float(np.nanmean(values)) if len(values) and np.isfinite(values).any() else np.nan


def _most(run: PaperShown, name: str) -> float:
    return float(np.nanmax(run.line(name))) if run.sessions else 0.0
