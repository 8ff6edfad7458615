"""A paper portfolio over bars, durably: every session is one transaction of the book, and nothing is kept anywhere else.

Workflow events, the control plane's events and envelopes, the session's record and the loop's own state (the broker's among it) are
written together or not at all. A process that goes on after a kill begins at the newest session that is whole, and what it writes then is
what the killed one would have written, to the byte: the clock is the session's, draws depend on a seed, and nothing else comes in.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from portfolio_platform.book import snapshots
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import append
from portfolio_platform.broker.state import Account, forgotten, opened
from portfolio_platform.control.terms import Limits
from portfolio_platform.days import NANOSECONDS_PER_DAY, end_of_day_ns, to_date, to_number
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.instruments.bars import closes_of
from portfolio_platform.instruments.store import InstrumentBatch, InstrumentLog, Machine, Placed, symbols_of, workflow_machine
from portfolio_platform.paper.account import exact_of
from portfolio_platform.paper.authority import Authority, ControlAuthority, OpenAuthority, hurried, noticed
from portfolio_platform.paper.beginning import require_account, require_alone, universe_of
from portfolio_platform.paper.closing import Closing
from portfolio_platform.paper.engine import Day, Judges, Parts, Plans, is_running
from portfolio_platform.paper.files import funded_at
from portfolio_platform.paper.market import Market, read_market
from portfolio_platform.paper.model import Finding, Finished, Kept, Moment, Monitored, Opened, PaperOptions, SessionClosed
from portfolio_platform.paper.monitoring import Monitor, Seen
from portfolio_platform.paper.record import instant_of, kept_of, new_event, read_record, snapshot_of
from portfolio_platform.paper.regime import Breaches, Drawdown
from portfolio_platform.paper.validation import late_bars, reconciled
from portfolio_platform.policy.load import load_timeline
from portfolio_platform.policy.timeline import Timeline

FORGET = 60 * NANOSECONDS_PER_DAY
"""How long the broker remembers an order that is over, so that its id is known again."""
Reached = Callable[[str], None]


@dataclass(frozen=True)
class Makers:
    """What workflows are made of and whom they ask; other ones for tests, or for whoever has better plans.

    Attributes:
        machine: the workflow, as it is stored.
        provider: of plans, given those that were provided for the newest days.
        judge: of a symbol's outcomes.
    """

    machine: Machine
    provider: Callable[[tuple[Any, ...]], Plans]
    judge: Judges


def shipped_makers(home: Home) -> Makers:
    """Return the home's playbooks behind the default provider and the default judge."""
    from portfolio_platform.instruments.judge import OutcomeReviewer
    from portfolio_platform.instruments.planning import PlaybookPlans
    from portfolio_platform.instruments.playbook_loading import shelf

    held = shelf(home.root)
    return Makers(workflow_machine(), lambda plans: PlaybookPlans(held, plans), OutcomeReviewer(held))


class PaperLoop:
    """One paper run at work. Use `paper.run.run`; this is its engine room.

    Attributes:
        kept: the state after the newest session.
        sessions: the record so far.
    """

    def __init__(
        self,
        home: Home,
        options: PaperOptions,
        first: date | None,
        last: date | None,
        *,
        makers: Makers | None = None,
        reached: Reached = lambda point: None,
        show: Callable[[Moment], None] = lambda moment: None,
    ) -> None:
        """Read the bars, and go on from what the book has of this portfolio.

        Args:
            home: with bars, instruments and a book.
            options: what the run is asked for; the same as before where it goes on.
            first: the first day; that of the run where it goes on.
            last: the last day.
            makers: see `Makers`.
            reached: is told each point between two transactions; tests let it raise.
            show: is told of each session.

        Raises:
            WrongUse: the run was begun with other options, or the clock has not reached the last day.
        """
        self._home, self._options, self._reached, self._show = home, options, reached, show
        self._timeline: Timeline = load_timeline(home.policies, options.policy)
        base = home.timeline().newest.policy.accounting.default_currency
        with home.book.reading() as connection:
            self._record = read_record(connection, options.portfolio)
        begun = self._record.opened
        self.market: Market = read_market(home, universe_of(options, begun), dict(options.lots), base)
        self._first, self._last = self.market.span(date.fromisoformat(begun.day) if begun is not None else first, last)
        self._require_same(first)
        self._asked = [day for day in self.market.by_day if to_number(self._first) <= day <= to_number(self._last)]
        if self._last > home.last_ended_day:
            raise WrongUse(
                f"{self._last} has not ended by the home's clock, which says {home.clock.now():%Y-%m-%d %H:%M}; choose --to earlier"
            )
        made = makers or shipped_makers(home)
        self._made, self._machine = made, made.machine
        self._closing = Closing(options, self.market, self._timeline)
        self._drawdown = Drawdown(home.timeline().newest.policy.accounting.flow_timing, self.market.digits)
        self._breaches = Breaches()
        self.sessions: list[SessionClosed] = []
        self._version, self._finished = 0, self._record.finished
        self._placed: dict[str, Placed] = {}
        self._undone: dict[str, tuple[Any, ...]] = {}
        self.kept = self._initial()
        self._authority = self._make_authority()
        self._monitor = Monitor(home, self.market, options, self._first)
        self._parts = Parts(options, self.market, made.provider(()), made.judge, closes_of)

    # --- the run

    def run(self) -> None:
        """Go from where the book is to the last day.

        Raises:
            WrongUse: another process runs the portfolio at the same time.
            StoreProblem: the book cannot be written.
        """
        self._resume()
        self._monitor_if_due()
        for number in self._days():
            self._session(number)
            self._monitor_if_due()
        day = to_date(self.kept.day).isoformat()
        if self.kept.day and (self._finished is None or self._finished.day != day):
            if self.kept.monitored < self.kept.day:
                self._look_once_more()
            self._finish()

    def _days(self) -> Iterator[int]:
        last = to_number(self._last)
        return (day for day in self.market.by_day if max(self.kept.day, to_number(self._first) - 1) < day <= last)

    def _require_same(self, first: date | None) -> None:
        begun = self._record.opened
        if begun is None:
            return
        said = dict(begun.options)
        other = sorted(name for name, text in self._options.words.items() if said.get(name) != text)
        if other:
            differ = "; ".join(f"{name} was {said.get(name)}, and is {self._options.words[name]}" for name in other)
            raise WrongUse(
                f"the paper run {self._options.portfolio!r} was begun with other options: {differ}. Give those, or another portfolio"
            )
        if first is not None and first.isoformat() != begun.day:
            raise WrongUse(f"the paper run {self._options.portfolio!r} began on {begun.day}; leave --from out, or name another portfolio")
        if tuple(begun.universe) != self.market.symbols:
            raise WrongUse(f"the paper run {self._options.portfolio!r} was begun with {', '.join(begun.universe)}; name the same universe")

    def _initial(self) -> Kept:
        account = {self._options.portfolio: Account(self._options.cash)}
        cash = exact_of(self._options.cash, self.market.digits)
        return Kept(0, to_number(self._first), opened(account, funded_at(self._first)), cash, monitored=to_number(self._first) - 1)

    def _make_authority(self) -> Authority:
        if self._options.control == "on":
            return ControlAuthority(self._options.portfolio)
        return OpenAuthority(self._options.portfolio, self._options.cash, follows=self._options.control == "off")

    def _resume(self) -> None:
        """Take over what the book has: the loop's state, the workflows, the record, and what follows from it."""
        portfolio = self._options.portfolio
        with self._home.book.reading() as connection:
            found = kept_of(connection, portfolio)
            if found is None:
                return
            self._version, self.kept = self._record.version, found[1]
            require_account(self.kept, self._record, self.market.digits)
            log = InstrumentLog(self._home.book, self._machine, every=self._options.every)
            self._placed = log.load(connection, portfolio, symbols_of(connection, portfolio))
            foreign = [symbol for symbol, one in self._placed.items() if one.carried < one.version]
            self._undone = {symbol: log.unfinished(connection, portfolio, symbol) for symbol in foreign}
        for session in self._record.sessions:
            self._follow(session, again=True)
        if isinstance(self._authority, OpenAuthority):
            listed = [symbol for symbol, one in self._placed.items() if is_running(one.state)]
            equity = self.sessions[-1].equity if self.sessions else self._options.cash
            self._authority.restored(equity, listed, list(self.kept.told.items()))

    def _follow(self, session: SessionClosed, *, again: bool = False) -> str:
        """Take a session into what is followed from one to the next; return the breach that it is, if it is one."""
        policy = self._timeline.on(date.fromisoformat(session.day)).policy
        if again and session.is_session:
            self._drawdown.next(session.equity, session.flow, policy)
        self.sessions.append(session)
        return self._breaches.next(session, policy)

    # --- one session

    def _session(self, number: int) -> None:
        end = end_of_day_ns(to_date(number))
        portfolio = self._options.portfolio
        self._reached(f"session {to_date(number)} begins")
        with self._home.book.writing() as connection:
            take_log_lock(connection)
            require_alone(connection, portfolio, self._version)
            self._authority.caught_up(connection)
            batch = InstrumentBatch(self._machine, portfolio, self._placed)
            day = Day(self._with_provider(), self.kept, batch, self._authority)
            day.happened.findings += [
                *hurried(self._authority, end, self.kept.findings),
                *late_bars(self.market, self.kept, end),
            ]
            for symbol, commands in self._undone.items():
                day.undone(symbol, commands)
            events = [] if self._version else [new_event(portfolio, self._open(), "opened")]
            flow = self._options.cash if not self._version else 0
            day.begin(end - NANOSECONDS_PER_DAY + 2)
            for instant in self.market.by_day[number]:
                day.instant(instant)
            closed = self._closing.close(day, number, flow, self._drawdown)
            breach = self._follow(closed)
            self.kept = self._after(day, number, closed, breach)
            events.append(new_event(portfolio, closed, closed.day))
            ours = len(batch.pending)
            stored = append(connection, [*batch.pending, *self._authority.pending, *events], recorded_at=instant_of(end))
            batch.settle(connection, stored[:ours], carried=True, every=self._options.every)
            snapshots.keep(connection, [snapshot_of(portfolio, self.kept, stored[-1])])
            self._reached(f"session {closed.day} before commit")
        self._authority.pending.clear()
        self._placed, self._version = batch.placed, stored[-1].version
        self._undone.clear()
        self._reached(f"session {closed.day} after commit")
        self._show(self._moment(number, closed))

    def _with_provider(self) -> Parts:
        """Return what a day works with: a provider that has answered the newest days' requests, in whatever process it did."""
        parts = self._parts
        return Parts(parts.options, parts.market, self._made.provider(self.kept.plans), parts.judge, parts.calendar_closes)

    def _open(self) -> Opened:
        """Begin: take charge of the portfolio, and say what there is before the first bar."""
        at = funded_at(self._first)
        policy = self._timeline.on(self._first).policy
        groups = [(symbol, one.groups) for symbol, one in sorted(self.market.listed.items())]
        self._authority.opened(at, Limits.of(policy), groups, self.market.currency, self.market.digits)
        self._authority.state_facts(self._closing.initial_facts(self._first, at), at)
        self._authority.tell(at)
        words = tuple(sorted(self._options.words.items()))
        return Opened(at, self._first.isoformat(), self._options.cash, self.market.currency, self.market.symbols, words)

    def _after(self, day: Day, number: int, closed: SessionClosed, breach: str) -> Kept:
        kept, happened = day.kept, day.happened
        broker = forgotten(day.broker.state, end_of_day_ns(to_date(number)) - FORGET)
        newest = max((plan.day for plan in (*kept.plans, *happened.plans)), default="")
        plans = {(plan.symbol, plan.template): plan for plan in (*kept.plans, *happened.plans) if plan.day == newest}
        counts = self._closing.counted(kept.counts, day, closed)
        sessions = kept.sessions + closed.is_session
        states = [(symbol, one.state) for symbol, one in day.batch.placed.items()]
        differ = reconciled(kept._replace(broker=broker), states, "instruments", closed.at)
        due = breach if breach and sessions >= kept.cooled else ""
        return kept._replace(
            day=number,
            broker=broker,
            plans=tuple(plans[key] for key in sorted(plans)),
            counts=counts,
            sessions=sessions,
            breach=due,
            cooled=sessions + self._options.breach_sessions if due else kept.cooled,
            mode=closed.mode,
            findings=(*kept.findings, *happened.findings, *differ, *noticed(day.authority, closed.at)),
        )

    # --- the monitor

    def _monitor_if_due(self) -> None:
        why = self._due()
        if why:
            self._run_monitor(why)

    def _due(self) -> str:
        """Say why the monitor has to run after the newest session: a breach, or a new period of its cadence has begun."""
        kept = self.kept
        if not kept.day or kept.monitored >= kept.day:
            return ""
        if kept.breach:
            return f"breach: {kept.breach}"
        return f"{self._options.monitor} run" if self._period(kept.day) != self._period(kept.monitored) else ""

    def _period(self, number: int) -> tuple[int, ...]:
        day, cadence = to_date(number), self._options.monitor
        if cadence == "weekly":
            return day.isocalendar()[:2]
        if cadence == "monthly":
            return (day.year, day.month)
        return (day.year, (day.month - 1) // 3) if cadence == "quarterly" else ()

    def _run_monitor(self, why: str) -> None:
        """Run the monitor, let what it recommends become orders, and note what it saw."""
        day = to_date(self.kept.day)
        seen = self._monitor.look(day, self.sessions)
        self._reached(f"monitor {day} built")
        self._monitor.recommend(day, to_date(self.kept.monitored))
        self._reached(f"monitor {day} recommended")
        counts = self.kept.counts
        counts = counts._replace(monitored=counts.monitored + 1, breaches=counts.breaches + bool(self.kept.breach))
        buckets = seen.buckets or self.kept.buckets
        self._note(self.kept._replace(monitored=self.kept.day, breach="", buckets=buckets, counts=counts), why, seen)
        self._reached(f"monitor {day} noted")

    def _look_once_more(self) -> None:
        """Compare loop and ledger at the end of the run. Nothing else comes of it: a run that goes on is as if it had not stopped here."""
        self._note(self.kept, "end of the run", self._monitor.look(to_date(self.kept.day), self.sessions))
        self._reached("compared at the end")

    def _note(self, kept: Kept, why: str, seen: Seen) -> None:
        portfolio, day, closed = self._options.portfolio, to_date(self.kept.day), self.sessions[-1]
        drift = seen.drift(closed.equity, self.market.digits)
        if drift:
            text = f"equity of {day} is {closed.equity} in the loop and {seen.equity} in the ledger, in minor units"
            kept = kept._replace(findings=(*kept.findings, Finding(closed.at, "equity_drift", text)))
        with self._home.book.writing() as connection:
            take_log_lock(connection)
            require_alone(connection, portfolio, self._version)
            self._authority.caught_up(connection)
            orders = self._authority.state.terms.orders if isinstance(self._authority, ControlAuthority) else {}
            words = tuple(f"{one.kind} {one.mode or one.rule} until {one.until}" for _, one in sorted(orders.items()))
            event = new_event(portfolio, Monitored(closed.at, day.isoformat(), why, seen.equity, drift, words), f"monitored/{day}")
            stored = append(connection, [event], recorded_at=instant_of(closed.at))
            snapshots.keep(connection, [snapshot_of(portfolio, kept, stored[-1])])
        self.kept, self._version = kept, stored[-1].version

    def _finish(self) -> None:
        """Note that the run has reached the end that it was asked for."""
        day = to_date(self.kept.day)
        portfolio, at = self._options.portfolio, end_of_day_ns(day)
        event = new_event(portfolio, Finished(at, day.isoformat()), f"finished/{day}")
        with self._home.book.writing() as connection:
            take_log_lock(connection)
            require_alone(connection, portfolio, self._version)
            stored = append(connection, [event], recorded_at=instant_of(at))
            snapshots.keep(connection, [snapshot_of(portfolio, self.kept, stored[-1])])
        self._version = stored[-1].version
        self._finished = Finished(at, day.isoformat())
        self._reached("finished")

    def _moment(self, number: int, closed: SessionClosed) -> Moment:
        days = self._asked
        peak = max((one.equity for one in self.sessions), default=closed.equity)
        return self._closing.moment(self.kept, self._placed, self._authority, closed, (bisect_right(days, number), len(days)), peak)
