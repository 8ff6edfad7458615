"""The replay: intents and fills of the past through the control plane's own `decide` and `apply`, in the order of their times.

What is known when: a session's facts are stated at its end, so that an intent of day D sees those of the session before; an
intent is decided at its own time, before the fills of that instant. What a decision grants scales its trade; equity, positions,
risk and the drawdown regime follow from the scaled trades, session by session, and are the next session's facts.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from portfolio_platform.control.counterfactual.paths import Paths, Step, trace
from portfolio_platform.control.counterfactual.record import Action, Asked, Float64, Record, Window
from portfolio_platform.control.events import (
    AllocationDecided,
    FactsStated,
    FillRecorded,
    InstrumentsStated,
    PolicyAdopted,
    PortfolioOpened,
    ReservationEnded,
    Stated,
)
from portfolio_platform.control.model import AllocationDecision
from portfolio_platform.control.reduce import apply
from portfolio_platform.control.rules import decide
from portfolio_platform.control.state import ControlState, Fill
from portfolio_platform.control.terms import Facts, Limits, parts
from portfolio_platform.days import end_of_day_ns
from portfolio_platform.diagnostics import drawdown as d4
from portfolio_platform.ledger.equity import period_return
from portfolio_platform.policy.model import DrawdownPolicy, Policy

SPLIT, INTENT, FILL, FACTS = range(4)
NO_WINDOWS = (math.nan, math.nan)
"""Severity and CDaR of a session: no rule of the regime looks at them, and they are most of the diagnostic's time."""


class Assumptions(NamedTuple):
    """What a replay takes for granted.

    Attributes:
        regime: ``counterfactual``: the drawdown regime follows from the counterfactual equity; ``recorded``: from the recorded one.
        most: the largest scale of a trade. With 1 a grant above what was granted then changes nothing.
    """

    regime: Literal["counterfactual", "recorded"] = "counterfactual"
    most: float = 1.0


@dataclass(frozen=True, eq=False)
class Prepared:
    """A record with its trades traced and everything that happened in the order of time; made once for many policies."""

    record: Record
    paths: Paths
    timeline: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, record: Record) -> "Prepared":
        """Trace a record. At one instant: splits, intents, fills, and then the facts of the session that ends with it."""
        paths = trace(record)
        items = [(action.ts, SPLIT, place) for place, action in enumerate(record.actions) if action.ratio != 1.0]
        items += [(one.intent.ts, INTENT, place) for place, one in enumerate(record.asked)]
        items += [(record.fills[step.fill].ts, FILL, place) for place, step in enumerate(paths.steps)]
        items += [(end_of_day_ns(record.day(place)), FACTS, place) for place in range(record.sessions)]
        return cls(record, paths, tuple(sorted(items)))


@dataclass(frozen=True, eq=False)
class Replayed:
    """What a replay found. Arrays are of the window's sessions, amounts in base currency.

    Attributes:
        window: the sessions that were replayed.
        decisions: by index of the intent, in their order.
        scales: by trade the share of its size; 1 for those from before the window and without an intent.
        position_scales: by row of the record's risks the share of its size.
        equity: net asset value.
        units: flow-neutral unit value, going on from the recorded one.
        drawdowns: D4's rows.
        reserved: risk reserved at the session's end.
        stated: the facts as the control plane was told them.
    """

    window: Window
    decisions: tuple[tuple[int, AllocationDecision], ...]
    scales: Float64
    position_scales: Float64
    equity: Float64
    units: Float64
    drawdowns: tuple[d4.DrawdownDay, ...]
    reserved: Float64
    stated: tuple[FactsStated, ...]


def recorded_drawdowns(record: Record, policy: DrawdownPolicy, until: int) -> list[d4.DrawdownDay]:
    """Return D4's rows of the recorded equity from the beginning to a session, with the regime's rules of a policy."""
    path = _Drawdown(record, policy)
    return [path.next(session, float(record.equity[session])) for session in range(until + 1)]


def replay(prepared: Prepared, policy: Policy, window: Window, assumptions: Assumptions | None = None) -> Replayed:
    """Return what a policy would have made of a window's intents. What was open before the window stays as it was."""
    run = _Run(prepared, policy, window, assumptions or Assumptions())
    record = prepared.record
    since = end_of_day_ns(record.day(window.first - 1)) if window.first else -(2**62)
    until = end_of_day_ns(record.day(window.last))
    for ts, kind, place in prepared.timeline:
        if ts > until:
            break
        if kind == SPLIT:
            run.split(record.actions[place])
        elif ts <= since:
            if kind == FILL:
                run.before(prepared.paths.steps[place])
        else:
            run.expire(ts)
            if kind == INTENT:
                run.ask(place, record.asked[place])
            elif kind == FILL:
                run.fill(prepared.paths.steps[place])
            else:
                run.close(place, ts)
    return run.found()


class _Drawdown:
    """D4 over an equity path, one session at a time."""

    def __init__(self, record: Record, policy: DrawdownPolicy) -> None:
        self._record, self._policy = record, policy
        self._day, self._last, self._unit = d4.Trail().last, 0.0, 1.0
        self._before: tuple[deque[float], deque[float]] = (deque(maxlen=policy.window), deque(maxlen=policy.window))

    def next(self, session: int, equity: float) -> d4.DrawdownDay:
        record = self._record
        value, reason = math.nan, record.reasons[session]
        if math.isfinite(equity) and math.isfinite(record.net_flow[session]):
            flow, weighted = float(record.net_flow[session]), float(record.weighted_flow[session])
            value, _, _ = period_return(self._last, equity, flow, weighted, record.timing)
        if math.isfinite(value):
            self._unit *= 1.0 + value
        if math.isfinite(equity):
            self._last = equity
            reason = "equity_not_positive" if equity <= 0.0 else reason
        day = d4.next_day(
            self._unit, value, self._day, self._before, self._policy, reason=reason, may_resume=not record.live, windows=NO_WINDOWS
        )
        self._day = day
        if not reason:
            # one that could not be judged is no observation
            self._before[0].append(day.drawdown)
            self._before[1].append(day.ewma_variance)
        return day


class _Run:
    """The state of the control plane and the scaled ledger, as a window goes by."""

    def __init__(self, prepared: Prepared, policy: Policy, window: Window, assumptions: Assumptions) -> None:
        record, paths = prepared.record, prepared.paths
        self._record, self._paths, self._policy, self._window = record, paths, policy, window
        self._most = assumptions.most
        self._minor = 10**record.digits
        self._scale: list[float] = [1.0] * paths.size
        self._share = [(1, 1)] * paths.size  # the same in whole numbers: what is taken, of what was granted then
        self._held = [0] * len(record.positions)
        self._scaled = [0] * len(record.positions)
        self._split: set[int] = set()  # since the newest facts
        self._decisions: list[tuple[int, AllocationDecision]] = []
        self._drawdown = _Drawdown(record, policy.drawdown)
        self._recorded = recorded_drawdowns(record, policy.drawdown, window.last) if assumptions.regime == "recorded" else None
        self._risk_start = np.searchsorted(record.risks.session, np.arange(record.sessions + 1)).tolist()
        self._position_scale = np.ones(record.risks.session.size)
        self._days: list[tuple[float, float]] = []
        self._stated_facts: list[FactsStated] = []
        self._rows: list[d4.DrawdownDay] = []
        self._cash = self._cash_before(window.first)
        start = end_of_day_ns(record.day(window.first - 1)) if window.first else record.funded_at
        self._state = ControlState(record.portfolio)
        for event in (
            PortfolioOpened(start, start, record.currency, record.digits, record.live),
            InstrumentsStated(start, record.instruments),
            PolicyAdopted(start, Limits.of(policy)),
        ):
            self._state = apply(self._state, event)
        self._is_begun = False

    def _cash_before(self, session: int) -> Float64:
        moves = self._paths.moves
        upto = slice(0, int(moves.start[session]))
        net = (moves.cash - moves.fee)[upto]
        return np.bincount(moves.currency[upto], net, minlength=len(self._record.currencies)).astype(np.float64)

    def _begin(self) -> None:
        """State what was known when the window began: the session before it as recorded, or the first money that came."""
        self._is_begun = True
        record, first = self._record, self._window.first
        if first:
            for session in range(first):
                day = self._drawdown.next(session, float(record.equity[session]))
            self._state_facts(first - 1, end_of_day_ns(record.day(first - 1)), float(record.equity[first - 1]), day)
        elif record.funded_at:
            facts = Facts(equity=round(record.funded * self._minor), at=record.funded_at, day=record.day(0).isoformat())
            self._state = apply(self._state, FactsStated(record.funded_at, facts, (), ()))

    def before(self, step: Step) -> None:
        """Take over a fill from before the window, at its own size."""
        self._take(step, step.closed, step.opened)

    def split(self, action: Action) -> None:
        """Take a split over, at both sizes; the control plane's own quantity is put right by the next facts."""
        for sizes in (self._held, self._scaled):
            sizes[action.position] = round(sizes[action.position] * action.ratio)
        self._split.add(action.position)

    def expire(self, at: int) -> None:
        """End the reservations whose time is over, as the clock does."""
        if not self._is_begun:
            self._begin()
        while self._state.next_expiry and self._state.next_expiry <= at:
            end = self._state.next_expiry
            over = sorted(name for name, one in self._state.reservations.items() if one.expires_at <= end)
            for name in over:
                self._state = apply(self._state, ReservationEnded(end, name, True, "rule:clock", f"its time was over at {end}"))

    def ask(self, place: int, asked: Asked) -> None:
        """Decide an intent; where it was granted something then, what it is granted now is reserved and scales its trades."""
        decision = decide(self._state, asked.intent, asked.intent.ts)
        self._decisions.append((place, decision))
        if not asked.approved:
            return
        taken = min(decision.approved_risk, math.floor(asked.approved * self._most))
        for trade in self._paths.trades_of[place]:
            self._scale[trade] = taken / asked.approved
            self._share[trade] = (taken, asked.approved)
        notional = decision.approved_notional
        if taken < decision.approved_risk and notional is not None:
            notional = notional * taken // decision.approved_risk
        applied = decision._replace(approved_risk=taken, approved_notional=notional)
        self._state = apply(self._state, AllocationDecided(asked.intent.ts, asked.intent, applied))

    def fill(self, step: Step) -> None:
        """Record what is left of a fill at its scale: first what it closes, then what it opens."""
        record, fill = self._record, self._record.fills[step.fill]
        held = record.positions[step.position]
        closing = _share(self._scaled[step.position], step)
        taken, approved = self._share[step.trade] if step.opened else (0, 1)
        opening = step.opened * taken // approved
        rate = float(record.fx[held.currency, step.session])
        each = held.multiplier * (rate if math.isfinite(rate) else 1.0) * self._minor / 10**18
        for amount, part in ((closing, "closes"), (opening, "opens")):
            if not amount:
                continue
            risk = None
            if part == "closes":
                risk = 0
            elif step.sign * (fill.price - fill.stop) >= 0.0:
                # a stop that is missing, or that the price is beyond, protects nothing: its risk is what was reserved for it
                risk = round(step.sign * (fill.price - fill.stop) * amount * each)
            exposure = round(abs(fill.price) * amount * each)
            if part == "closes" and step.position in self._split:
                known = self._state.positions.get((held.strategy, held.symbol))
                amount = _share(known.quantity, step) if known is not None else 0
            names = (held.strategy, held.symbol, step.sign * amount, exposure, risk, fill.intent_id, fill.template, fill.playbook)
            self._state = apply(self._state, FillRecorded(fill.ts, Fill(f"{fill.execution_id}/{part}", fill.ts, *names)))
        self._take(step, closing, opening)

    def _take(self, step: Step, closing: int, opening: int) -> None:
        self._held[step.position] += step.sign * (step.closed + step.opened)
        self._scaled[step.position] += step.sign * (closing + opening)

    def close(self, session: int, at: int) -> None:
        """End a session: value what is held, take the drawdown's next step, and state the facts."""
        equity = self._equity(session)
        day = self._drawdown.next(session, equity)
        self._rows.append(day)
        self._state_facts(session, at, equity, day)
        self._days.append((equity, self._state.reserved_risk / self._minor))

    def _equity(self, session: int) -> float:
        moves, held, scale = self._paths.moves, self._paths.open, self._scale
        for row in range(int(moves.start[session]), int(moves.start[session + 1])):
            self._cash[moves.currency[row]] += (moves.cash[row] - moves.fee[row]) * scale[moves.trade[row]]
        total = float(self._record.other[session])
        for code, amount in enumerate(self._cash.tolist()):
            total += amount * float(self._record.fx[code, session]) if amount else 0.0
        for row in range(int(held.start[session]), int(held.start[session + 1])):
            total += float(held.value[row]) * scale[held.trade[row]]
        return total

    def _state_facts(self, session: int, at: int, equity: float, day: d4.DrawdownDay) -> None:
        """State a session's facts; one whose equity is not known says nothing, and the facts before it grow old."""
        record = self._record
        rows = range(self._risk_start[session], self._risk_start[session + 1])
        stated: dict[tuple[str, str], Stated] = {}
        gross = 0
        for row in rows:
            position = int(record.risks.position[row])
            scale = self._scaled[position] / self._held[position] if self._held[position] else 0.0
            self._position_scale[row] = scale
            if not self._scaled[position]:
                continue
            one = self._stated(row, position, scale)
            before = stated.get((one.strategy, one.symbol))
            stated[one.strategy, one.symbol] = one if before is None else _together(before, one)
            gross += one.exposure
        if not math.isfinite(equity):
            return
        rule = day if self._recorded is None else self._recorded[session]
        facts = Facts(
            equity=round(equity * self._minor),
            gross=gross,
            regime=rule.regime,
            regime_mode=self._policy.recommendations.modes.get(rule.regime, "normal"),
            regime_size=parts(rule.size_multiplier),
            at=at,
            session=session,
            day=record.day(session).isoformat(),
        )
        event = FactsStated(at, facts, tuple(stated[key] for key in sorted(stated)), record.buckets[session])
        self._state = apply(self._state, event)
        self._stated_facts.append(event)
        self._split.clear()

    def _stated(self, row: int, position: int, scale: float) -> Stated:
        risks, held = self._record.risks, self._record.positions[position]
        exposure = float(risks.exposure[row])
        exposure = exposure if math.isfinite(exposure) else 0.0
        risk = float(risks.risk[row])
        # a risk that is not known is taken for all of the exposure
        risk = risk if math.isfinite(risk) else exposure
        amounts = (round(risk * scale * self._minor), round(exposure * scale * self._minor))
        return Stated(held.strategy, held.symbol, self._scaled[position], *amounts, risks.template[row], risks.playbook[row])

    def found(self) -> Replayed:
        """Return what was found."""
        equity, reserved = (np.array(column, dtype=np.float64) for column in zip(*self._days, strict=True))
        return Replayed(
            window=self._window,
            decisions=tuple(self._decisions),
            scales=np.array(self._scale, dtype=np.float64),
            position_scales=self._position_scale,
            equity=equity,
            units=np.array([day.unit_value for day in self._rows], dtype=np.float64),
            drawdowns=tuple(self._rows),
            reserved=reserved,
            stated=tuple(self._stated_facts),
        )


def _share(size: int, step: Step) -> int:
    """Return what a fill closes of a position of another size: all of it where the position was closed, else the same share."""
    if not step.closed:
        return 0
    return abs(size) if step.closed == step.held else abs(size) * step.closed // step.held


def _together(one: Stated, other: Stated) -> Stated:
    """Return two positions of one strategy and symbol, in other currencies, as one."""
    return one._replace(quantity=one.quantity + other.quantity, risk=one.risk + other.risk, exposure=one.exposure + other.exposure)
