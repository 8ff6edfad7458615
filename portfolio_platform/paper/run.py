"""A paper run from its beginning, or from where a killed one was, to its end: the loop, its facts in the home, its validation figures.

For the command line, pages and Dagster: `run` does everything; `status` says how a run stands without doing anything.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.instruments.model import Expectation
from portfolio_platform.paper.beginning import require_own
from portfolio_platform.paper.loop import Makers, PaperLoop, shipped_makers
from portfolio_platform.paper.model import Finding, Kept, Moment, Monitored, PaperOptions, SessionClosed
from portfolio_platform.paper.publishing import PublishedRun, publish_run
from portfolio_platform.paper.record import Record, kept_of, portfolios_of, read_record
from portfolio_platform.paper.validation import Figure, figures

Report = Callable[[str], None]


@dataclass(frozen=True)
class PaperResult:
    """What a run came to.

    Attributes:
        portfolio: which.
        first: its first day.
        last: its newest session's day.
        sessions: every session of its record.
        monitored: every run of the monitor.
        kept: the loop's state.
        figures: the validation figures.
        published: what became facts of the home.
    """

    portfolio: str
    first: date
    last: date
    sessions: tuple[SessionClosed, ...]
    monitored: tuple[Monitored, ...]
    kept: Kept
    figures: tuple[Figure, ...]
    published: PublishedRun

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return what should not have been."""
        return self.kept.findings


@dataclass
class _Stopwatch:
    """Measures how long each session took from its beginning to its commit."""

    seconds: list[float] = field(default_factory=list)
    _begun: float = 0.0

    def __call__(self, point: str) -> None:
        now = time.perf_counter()
        if point.startswith("session") and point.endswith("begins"):
            self._begun = now
        elif point.startswith("session") and point.endswith("after commit"):
            self.seconds.append(now - self._begun)


def run(
    home: Home,
    options: PaperOptions | None = None,
    *,
    first: date | None = None,
    last: date | None = None,
    makers: Makers | None = None,
    show: Callable[[Moment], None] = lambda moment: None,
    report: Report = lambda text: None,
    build: bool = True,
) -> PaperResult:
    """Run a paper portfolio over a home's bars; one that was begun goes on.

    Args:
        home: with bars, instruments and a book. Nothing but the book changes until the end is reached.
        options: what is asked for; the defaults where None. A run that goes on needs the ones it was begun with.
        first: first day; a year after the first bar where None.
        last: last day; that of the last bar where None. Later, with a later one, the same run goes on.
        makers: other plans or judges than the home's playbooks'.
        show: is told of each session, for a live display.
        report: is told what is done at the end.
        build: whether every table of the home is built at the end.

    Raises:
        WrongUse: there is nothing to run over, the run was begun with other options, or the portfolio is somebody else's.
        DataProblem: an instrument is in another currency, or was split.
        StoreProblem: the book cannot be written.
    """
    options = options or PaperOptions()
    require_own(home, options.portfolio)
    watch = _Stopwatch()
    loop = PaperLoop(home, options, first, last, makers=makers, reached=watch, show=show)
    loop.run()
    with home.book.reading() as connection:
        record = read_record(connection, options.portfolio)
    published = publish_run(home, options, loop.market, record, expectations=expectations_of(home), build=build, report=report)
    report("validating")
    with home.book.reading() as connection:
        machine = makers.machine if makers is not None else None
        found = figures(connection, loop.kept, record.sessions, watch.seconds, machine=machine)
    opened = record.opened
    assert opened is not None
    return PaperResult(
        options.portfolio,
        date.fromisoformat(opened.day),
        date.fromisoformat(record.sessions[-1].day),
        record.sessions,
        record.monitored,
        loop.kept,
        tuple(found),
        published,
    )


def expectations_of(home: Home) -> dict[tuple[str, str], tuple[Expectation, ...]]:
    """Return what the home's playbooks expect of themselves, by template and playbook."""
    from portfolio_platform.instruments.planning import expectations
    from portfolio_platform.instruments.playbook_loading import shelf

    return {(one.template, one.name): expectations(one) for _, one in sorted(shelf(home.root).playbooks.items())}


@dataclass(frozen=True)
class PaperStatus:
    """How a run stands.

    Attributes:
        portfolio: which.
        record: everything that it recorded.
        kept: the loop's state; None where it has no session yet.
    """

    portfolio: str
    record: Record
    kept: Kept | None


def status(home: Home, portfolio: str = "paper") -> PaperStatus:
    """Return how a paper run stands, from the book alone.

    Raises:
        WrongUse: there is no such run.
    """
    with home.book.reading() as connection:
        record, found = read_record(connection, portfolio), kept_of(connection, portfolio)
        if record.opened is None:
            names = ", ".join(portfolios_of(connection)) or "none"
            raise WrongUse(f"there is no paper run of {portfolio!r}; there are: {names}. `portfolio paper run` begins one")
    return PaperStatus(portfolio, record, None if found is None else found[1])


__all__ = ["Makers", "PaperResult", "PaperStatus", "expectations_of", "run", "shipped_makers", "status"]
