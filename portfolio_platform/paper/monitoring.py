"""A run of the monitor in the middle of a paper run: facts by the normal import, the stages, recommendations, and what follows from them.

The lake is one in memory that knows nothing after the session it is asked about: its bars are imported up to there and no further. What it
finds goes where it always goes: recommendations into the book, approved by the rule that holds on paper, applied by the control plane.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.compute as pc

from portfolio_platform.clock import end_of_day
from portfolio_platform.control.pipeline.carry import carry
from portfolio_platform.control.pipeline.fills import read_money
from portfolio_platform.control.pipeline.publish import publish
from portfolio_platform.control.pipeline.sessions import read_sessions
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.days import end_of_day_ns, to_date, to_number
from portfolio_platform.home import Home
from portfolio_platform.lake.derived import PORTFOLIO_EQUITY
from portfolio_platform.lake.facts import INSTRUMENTS
from portfolio_platform.ledger import pipeline as ledger
from portfolio_platform.monitor.lifecycle import publish_recommendations
from portfolio_platform.paper import files
from portfolio_platform.paper.market import Market
from portfolio_platform.paper.memory import MemoryLake
from portfolio_platform.paper.model import PaperOptions, SessionClosed
from portfolio_platform.paper.working import WorkingHome
from portfolio_platform.policy.assigned import policies_in_time
from portfolio_platform.sources.pipeline import import_paths
from portfolio_platform.stage import Stage, build_stage

LEFT_OUT = frozenset({"calibration", "day_inputs", "limits"})
"""Stages that nothing in the loop reads: they are built with everything else when the run is over."""


ROUNDING = 0.51
"""Half of a minor unit, and what doubles of such a size may be off."""


@dataclass
class SessionClock:
    """A clock that says the end of the session that is being worked on.

    Attributes:
        at: that time.
    """

    at: datetime

    def now(self) -> datetime:
        """Return the session's end."""
        return self.at


@dataclass(frozen=True)
class Seen:
    """What the monitor says of a session.

    Attributes:
        equity: of the ledger, minor units; None where it has no session on the day.
        buckets: of what is held.
        value: the ledger's equity as it stands in the lake, unrounded, in the currency.
    """

    equity: int | None
    buckets: tuple[tuple[str, str], ...]
    value: float = 0.0

    def drift(self, equity: int, digits: int) -> int:
        """Return how far an equity in minor units is from the ledger's; 0 within the rounding of a minor unit.

        A half of a minor unit is rounded by the loop as it is, and by the ledger as the nearest double of it is: no drift.
        """
        if self.equity is None or abs(equity - self.value * 10**digits) <= ROUNDING:
            return 0
        return equity - self.equity


class Monitor:
    """The monitor of one paper run. It holds a lake in memory, which it fills from the record as far as it is asked about."""

    def __init__(self, home: Home, market: Market, options: PaperOptions, first: date) -> None:
        """Begin with an empty lake; what earlier processes had in theirs is imported with the first run."""
        self._market, self._options, self._first = market, options, first
        self._home = WorkingHome.of(home, MemoryLake(home.root / "paper.lock"), first)
        self._source = home
        self._until = 0
        self._revisions: dict[str, int] = {}
        self._is_begun = False
        self._clock = SessionClock(end_of_day(first))
        self._plane = ControlPlane(home.book, self._clock)

    def look(self, day: date, sessions: Iterable[SessionClosed]) -> Seen:
        """Import what came up to a day, and build every stage that the loop reads.

        Args:
            day: the last session.
            sessions: all of the record, in the order of time.
        """
        now = self._home.at(end_of_day(day))
        end = end_of_day_ns(day)
        with TemporaryDirectory(prefix="portfolio-paper-") as folder:
            self._import(now, Path(folder), end, [one for one in sessions if self._until < one.at <= end])
        if self._options.control == "on":
            publish(now, self._options.portfolio)
        self._until = end
        if now.given_policies is None:
            now.read_policies()
            self._home = now
        with now.lake.writing():
            ledger.build(now)
            for stage in self.stages():
                build_stage(now, stage)
        return self._seen(now, day)

    def recommend(self, day: date, since: date) -> None:
        """Publish what was recommended after a day, let the rule approve what it may, and apply what is approved.

        Safe to repeat: what was done is found done.
        """
        if self._options.control != "on":
            return
        now = self._home.at(end_of_day(day))
        days = [to_date(number) for number in range(to_number(since) + 1, to_number(day) + 1)]
        publish_recommendations(now, days, only=self._options.portfolio, news_after=since)
        self._clock.at = end_of_day(day)
        carry(now, plane=self._plane, only=self._options.portfolio)

    @staticmethod
    def stages() -> tuple[Stage, ...]:
        """Return the stages that the loop builds, in their order."""
        from portfolio_platform.stages import STAGES

        return tuple(stage for stage in STAGES if stage.name not in LEFT_OUT)

    def _import(self, now: WorkingHome, folder: Path, end: int, sessions: list[SessionClosed]) -> None:
        market, options = self._market, self._options
        found: files.Files = {}
        if not self._is_begun:
            self._take_instruments(now)
            found |= files.funding(options, market, self._first)
            self._is_begun = True
        bars = [bar for symbol in market.symbols for bar in market.before(symbol, end, after=self._until, keep=10**9)]
        found |= files.bars(bars)
        found |= files.fills((fill for one in sessions for fill in one.fills), market.digits)
        made, stated = files.signals(((one.at, said) for one in sessions for said in one.signals), options, self._revisions)
        self._revisions.update(stated)
        paths = []
        for name, content in (found | made).items():
            path = folder / name
            path.write_bytes(content)
            paths.append(path)
        if paths:
            import_paths(now, paths)

    def _take_instruments(self, now: WorkingHome) -> None:
        """Take the instruments over as the home's lake has them."""
        rows = self._source.lake.read(INSTRUMENTS.table)
        with now.lake.writing():
            now.lake.append(INSTRUMENTS.table, rows)

    def _seen(self, now: WorkingHome, day: date) -> Seen:
        portfolio = self._options.portfolio
        found = read_sessions(now, {portfolio: day}, day, policies_in_time(now), read_money(now))[portfolio].stated
        if not found:
            return Seen(None, ())
        where = (pc.field("portfolio") == portfolio) & (pc.field("day") == day)
        value: float = now.lake.read(PORTFOLIO_EQUITY, ["equity"], where)["equity"][0].as_py()
        return Seen(found[-1].facts.equity, found[-1].buckets, value)
