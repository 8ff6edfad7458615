"""The end of a session: what the account is worth, the facts for the control plane, the screener's pass, and the session's record."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from immutables import Map

from portfolio_platform.control.events import FactsStated
from portfolio_platform.control.terms import Facts, parts
from portfolio_platform.days import NANOSECONDS_PER_DAY, end_of_day_ns, to_date
from portfolio_platform.diagnostics.drawdown import DrawdownDay
from portfolio_platform.instruments import model
from portfolio_platform.instruments.routing import RequestStop, SignalTemplate, StartWorkflow, route
from portfolio_platform.instruments.screener import ScreenerPass, screen
from portfolio_platform.instruments.store import Placed
from portfolio_platform.instruments.workflow import kept_out
from portfolio_platform.ledger.calendars import sessions
from portfolio_platform.paper.account import Worth, worth
from portfolio_platform.paper.authority import Authority
from portfolio_platform.paper.engine import Day, is_running, phases
from portfolio_platform.paper.market import Market
from portfolio_platform.paper.model import Counts, Moment, PaperOptions, Passed, SessionClosed
from portfolio_platform.paper.regime import Drawdown
from portfolio_platform.policy.model import Policy
from portfolio_platform.policy.timeline import Timeline

BPS = 1e-4
GATE_RUNNING = 3
"""So many workflows at once is what the specification asks for."""
SHOWN = 8
"""Things that happened, on a display."""


class Closing:
    """What a session's end does, for the options and bars of one run."""

    def __init__(self, options: PaperOptions, market: Market, timeline: Timeline) -> None:
        """Note what does not change during a run."""
        self._options, self._market, self._timeline = options, market, timeline
        self._recent: list[str] = []

    def initial_facts(self, first: date, at: int) -> FactsStated:
        """Return the facts before the first session: the initial cash, and nothing held."""
        return FactsStated(at, Facts(equity=self._options.cash, at=at, day=first.isoformat()), (), ())

    def close(self, day: Day, number: int, flow: int, drawdown: Drawdown) -> SessionClosed:
        """End a session: state its facts, tell the envelopes that follow, let the screener pass where it is due.

        Args:
            day: at work.
            number: of the day.
            flow: money that came in, minor units.
            drawdown: is taken one session on where the ledger has one on this day.
        """
        at, policy = end_of_day_ns(to_date(number)), self._timeline.on(to_date(number)).policy
        is_session = self._is_session(day, number, flow)
        value = self._worth(day, policy)
        regime = drawdown.next(value.equity, flow, policy) if is_session else drawdown.day
        facts = self._facts(day, number, at, value, regime, policy, is_session)
        day.authority.state_facts(facts, at)
        day.tell(at, everybody=True)
        self._screen(day, at)
        standing = day.authority.standing()
        happened = day.happened
        running = day.running
        day.kept = day.kept._replace(standings=Map({name: one for name, one in day.kept.standings.items() if name in running}))
        return SessionClosed(
            at=at,
            day=to_date(number).isoformat(),
            is_session=is_session,
            equity=value.equity,
            gross=value.gross,
            risk=value.risk,
            reserved=standing.reserved,
            flow=flow,
            regime=regime.regime,
            mode=standing.mode,
            running=len(running),
            held=len(day.kept.held),
            envelopes=happened.envelopes,
            decisions=(happened.decisions[0], happened.decisions[1], happened.decisions[2]),
            fills=tuple(happened.fills),
            signals=tuple(happened.signals.values()),
            words=tuple(happened.words),
        )

    def _is_session(self, day: Day, number: int, flow: int) -> bool:
        """Say whether the ledger has a session: money came, something was traded, or a calendar of what ever was has one."""
        traded = day.kept.traded
        for fill in day.happened.fills:
            if fill.symbol not in traded:
                traded = traded.set(fill.symbol, number)
        day.kept = day.kept._replace(traded=traded)
        if flow or day.happened.fills:
            return True
        calendars = {self._market.listed[symbol].calendar for symbol in traded}
        return any(len(sessions(calendar, number, number)) for calendar in sorted(calendars))

    def _worth(self, day: Day, policy: Policy) -> Worth:
        kept, bars = day.kept, day.broker.state.bars
        marks = {symbol: bars[symbol].close for symbol in kept.held}
        exit_cost = parts(policy.heat.exit_cost_bps * BPS)
        return worth(kept.cash, kept.held, marks, "instruments", self._market.digits, exit_cost)

    def _facts(self, day: Day, number: int, at: int, value: Worth, regime: DrawdownDay, policy: Policy, is_session: bool) -> FactsStated:
        facts = Facts(
            equity=value.equity,
            gross=value.gross,
            regime=regime.regime,
            regime_mode=policy.recommendations.modes.get(regime.regime, "normal"),
            regime_size=parts(regime.size_multiplier),
            at=at,
            session=day.kept.sessions if is_session else max(0, day.kept.sessions - 1),
            day=to_date(number).isoformat(),
        )
        held = {one.symbol for one in value.positions}
        return FactsStated(0, facts, value.positions, tuple((symbol, bucket) for symbol, bucket in day.kept.buckets if symbol in held))

    def _screen(self, day: Day, at: int) -> None:
        """Let the screener pass where it is due, and do what follows: workflows start, are told of templates, are asked to stop."""
        last = day.kept.screened
        if last.at and at < last.at + self._options.screener_days * NANOSECONDS_PER_DAY:
            return
        found = screen(self._market.universe.until(at), at, self._options.screener)
        running = day.running
        standings = {name: one for name, one in day.kept.standings.items() if name in running}
        routes, after = route(found, standings, self._options.screener)
        out = {symbol for symbol, placed in day.batch.placed.items() if symbol not in running and kept_out(placed.state)}
        day.kept = day.kept._replace(standings=Map({name: one for name, one in after.items() if name not in out}), screened=passed(found))
        for one in routes:
            if isinstance(one, StartWorkflow) and one.symbol in out:
                day.happened.words.append(f"{one.symbol}: kept out, a person ended its workflow")
            elif isinstance(one, StartWorkflow):
                day.start(one.symbol, one.template, one.pass_id, at)
                day.say(one.symbol, model.ScreenerUpdate(at, one.pass_id, one.template, one.rank, one.score_ppm), at)
            elif isinstance(one, SignalTemplate):
                day.happened.words.append(f"{one.symbol}: the screener suggests {one.template}")
                day.say(one.symbol, model.ScreenerUpdate(at, one.pass_id, one.template, one.rank, one.score_ppm), at)
            elif isinstance(one, RequestStop):
                day.happened.words.append(f"{one.symbol}: asked to stop, {one.reason}")
                day.say(one.symbol, model.StopRequested(at, f"{one.pass_id}:stop", model.SCREENER, one.reason), at)
        day.tell(at, everybody=True)

    def counted(self, counts: Counts, day: Day, closed: SessionClosed) -> Counts:
        """Return the counts after a session."""
        right = told = 0
        for symbol, suggested in day.kept.screened.templates.items():
            placed = day.batch.placed.get(symbol)
            if placed is None or not is_running(placed.state):
                continue
            told += 1
            right += _is_right(placed.state, suggested)
        begun = bool(counts.screened_sessions or day.kept.screened.templates)
        return counts._replace(
            sessions=counts.sessions + 1,
            bars=counts.bars + day.happened.candles,
            fills=counts.fills + len(closed.fills),
            running_days=counts.running_days + told,
            right_days=counts.right_days + right,
            most_running=max(counts.most_running, closed.running),
            full_sessions=counts.full_sessions + (begun and closed.running >= GATE_RUNNING),
            screened_sessions=counts.screened_sessions + begun,
            passes=counts.passes + (day.kept.screened.at == closed.at),
            stopped=counts.stopped + sum(word.endswith(STOPPED) for word in closed.words),
        )

    def moment(
        self,
        kept: Any,
        placed: Mapping[str, Placed],
        authority: Authority,
        closed: SessionClosed,
        done: tuple[int, int],
        peak: int,
    ) -> Moment:
        """Return what a display shows after a session."""
        self._recent = [*self._recent, *(f"{closed.day} {word}" for word in closed.words)][-SHOWN:]
        bars = kept.broker.bars
        whole = 10**18
        positions = tuple(
            (symbol, one.quantity, one.quantity * bars[symbol].close // whole * one.multiplier // whole * 10**self._market.digits // whole)
            for symbol, one in sorted(kept.held.items())
        )
        told = []
        for symbol, one in sorted(placed.items()):
            envelope = authority.envelope(symbol)
            if envelope is not None and is_running(one.state):
                told.append(
                    (symbol, f"{envelope.portfolio_mode}, {envelope.max_new_risk / 10**self._market.digits:,.0f}, {envelope.binding}")
                )
        return Moment(
            day=date.fromisoformat(closed.day),
            done=done,
            equity=closed.equity,
            start=self._options.cash,
            peak=peak,
            mode=closed.mode,
            regime=closed.regime,
            positions=positions,
            phases=phases((symbol, one.state) for symbol, one in placed.items()),
            envelopes=tuple(told),
            recent=tuple(self._recent),
        )


STOPPED = ": stopped"


def passed(found: ScreenerPass) -> Passed:
    """Return what is kept of a pass."""
    return Passed(found.pass_id, found.at, Map({row.symbol: row.template for row in found.rows if row.candidate and row.template}))


def _is_right(state: Any, suggested: str) -> bool:
    """Say whether a workflow has the template that the screener suggests, or holds a position and takes it when it is idle."""
    waits = state.hint is not None and state.hint.template == suggested and state.position is not None
    return bool(state.template == suggested or waits)
