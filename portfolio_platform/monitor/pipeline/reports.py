"""Publishing reports: the diagnostics' tables in, immutable revisions in the book out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from portfolio_platform import __version__
from portfolio_platform.book import policies as archive
from portfolio_platform.book.reports import Published, ReportDraft, publish
from portfolio_platform.days import day_number, to_date, to_number
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.lake import active, derived
from portfolio_platform.lake.changes import first_changed_day
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.facts import PORTFOLIOS, QUARANTINE
from portfolio_platform.lake.progress import Progress, changed_since, newest_import_of, read_progress, write_progress
from portfolio_platform.ledger.pipeline import LEDGER_FACTS
from portfolio_platform.ledger.pipeline import NAME as LEDGER
from portfolio_platform.monitor.compose import SetAside, compose
from portfolio_platform.monitor.inputs import Tables, session_inputs
from portfolio_platform.monitor.report import KIND, SCHEMA_VERSION, PortfolioMonitorReport
from portfolio_platform.policy.assigned import Assigned, assigned_policies
from portfolio_platform.sources.pipeline import quarantined

NAME = "reports"
LOOK_BACK = timedelta(days=31)
BATCH = 250
READ = (
    derived.LEDGER_SNAPSHOTS,
    derived.PORTFOLIO_EQUITY,
    derived.CONCENTRATION_METRICS,
    derived.CONCENTRATION_GROUPS,
    derived.DRAWDOWN_STATE,
)


@dataclass(frozen=True)
class Headline:
    """What a report says first."""

    equity: float | int | None
    drawdown: float | int | None
    regime: str


@dataclass(frozen=True)
class DayReports:
    """What publishing did for a day: one entry for each portfolio with a session, none where there was none."""

    day: date
    published: tuple[Published, ...]
    headlines: dict[str, Headline]


def read_tables(home: Home, first: date, last: date) -> Tables:
    """Read the derived tables of a range of days, and of the weeks before it that changes are taken against."""
    since = first - LOOK_BACK
    where = (pc.field("day") >= since) & (pc.field("day") <= last)
    from_month, to_month = since.isoformat()[:7], last.isoformat()[:7]

    def read(table: Table, condition: pc.Expression = where) -> pa.Table:
        return home.lake.read(table, None, condition, from_month=from_month, to_month=to_month)

    return Tables(
        equity=read(derived.PORTFOLIO_EQUITY),
        drawdown=read(derived.DRAWDOWN_STATE),
        metrics=read(derived.CONCENTRATION_METRICS),
        groups=read(derived.CONCENTRATION_GROUPS),
        positions=read(derived.LEDGER_SNAPSHOTS, where & pc.field("average_cost").is_valid()),
    )


def set_aside(home: Home) -> SetAside:
    """Return what is in quarantine, by portfolio and day."""
    rows = quarantined(home.lake)
    days: dict[str | None, list[date]] = {}
    undated: dict[str | None, int] = {}
    for portfolio, ts in zip(rows["portfolio"].to_pylist(), rows["ts"].to_pylist(), strict=True):
        if ts is None:
            undated[portfolio] = undated.get(portfolio, 0) + 1
        else:
            days.setdefault(portfolio, []).append(to_date(day_number(ts)))
    return SetAside({name: sorted(found) for name, found in days.items()}, undated)


def compose_reports(home: Home, days: Iterable[date], policies: Assigned | None = None) -> Iterator[PortfolioMonitorReport]:
    """Yield the report of every portfolio and session among the days; nothing is stored."""
    wanted = set(days)
    if not wanted:
        return
    assigned = policies or assigned_policies(home)
    base = {row["portfolio"]: row["base_currency"] for row in active.read(home.lake, PORTFOLIOS).to_pylist()}
    aside = set_aside(home)
    tables = read_tables(home, min(wanted), max(wanted))
    for inputs in session_inputs(tables, wanted, assigned.default.accounting.max_mark_age):
        portfolio = inputs.equity["portfolio"]
        yield compose(
            inputs,
            assigned.of(portfolio),
            mode="live" if portfolio in assigned.live else "paper",
            base_currency=base.get(portfolio, assigned.default.accounting.default_currency),
            aside=aside,
        )


def provenance(home: Home) -> dict[str, object]:
    """Return what the reports of this moment rest on: lake versions, newest import, version of the code."""
    ledger = read_progress(home.lake, LEDGER)
    return {
        "lake_versions": {table.name: home.lake.version(table) for table in READ},
        "import_seq": ledger.import_seq if ledger else 0,
        "code_version": __version__,
    }


def publish_reports(home: Home, days: Sequence[date], progress: Callable[[int, int], None] = lambda done, of: None) -> list[DayReports]:
    """Compose and publish the reports of some days: a new revision only where the content differs.

    Raises `DataProblem` where the diagnostics do not reach the last day yet.
    """
    wanted = sorted(set(days))
    if not wanted:
        return []
    for name in ("concentration", "drawdown"):
        built = read_progress(home.lake, name)
        if built is None or built.built_until < min(wanted[-1], home.today):
            reach = f"reaches {built.built_until}" if built else "is not built yet"
            raise DataProblem(f"{name} {reach}, and the report is of {wanted[-1]}; run `portfolio build` or the job refresh first")
    policies, stale = assigned_policies(home), stale_days(home)
    shared, now = provenance(home), home.clock.now()
    with home.book.writing() as connection:
        for policy in {policies.default.hash: policies.default, **{p.hash: p for p in policies.by_portfolio.values()}}.values():
            archive.archive(connection, policy.name, policy.canonical(), now)
    done: dict[date, list[Published]] = {day: [] for day in wanted}
    headlines: dict[date, dict[str, Headline]] = {day: {} for day in wanted}
    drafts: list[ReportDraft] = []

    def flush() -> None:
        if drafts:
            with home.book.writing() as connection:
                for item in publish(connection, drafts, published_at=now):
                    done[item.day].append(item)
            drafts.clear()

    for count, report in enumerate(compose_reports(home, wanted, policies), start=1):
        draft = ReportDraft(report.portfolio, report.day, KIND, SCHEMA_VERSION, report.policy.hash, report.canonical(), shared)
        drafts.append(draft)
        said = Headline(report.figure("equity").value, report.figure("drawdown").value, report.drawdown.regime)
        headlines[report.day][report.portfolio] = said
        if len(drafts) >= BATCH:
            flush()
            progress(count, len(wanted))
    flush()
    _remember(home, policies, stale, wanted)
    return [DayReports(day, tuple(done[day]), headlines[day]) for day in wanted]


def stale_days(home: Home) -> list[date]:
    """Return the ended days whose reports are not published, or rest on older facts, another policy or older code."""
    days = [to_date(number) for number in range(to_number(home.first_day), to_number(home.last_ended_day) + 1)]
    published, newest = read_progress(home.lake, NAME), newest_import_of(home.lake, LEDGER_FACTS)
    if published is None or not published.rests_on(assigned_policies(home).hash):
        return days if newest else []
    changed = [changed_since(home.lake, LEDGER, published.upstreams.get(LEDGER, 0)), published.built_until + timedelta(days=1)]
    if newest > published.import_seq:
        changed.append(first_changed_day(home.lake, LEDGER_FACTS, published.import_seq, home.first_day))
    changed.append(_set_aside_from(home, published.import_seq))
    first = min(day for day in changed if day is not None)
    return [day for day in days if day >= first]


def _set_aside_from(home: Home, since_seq: int) -> date | None:
    """Return the earliest day that rows set aside after an import may be missing from; the first where one has no day."""
    times = home.lake.read(QUARANTINE, ["ts"], pc.field("import_seq") > since_seq)["ts"]
    if not len(times):
        return None
    return home.first_day if times.null_count else to_date(day_number(pc.min(times).as_py()))


def _remember(home: Home, policies: Assigned, stale: list[date], wanted: list[date]) -> None:
    """Record that all reports are current, where these days were all that were not."""
    ledger = read_progress(home.lake, LEDGER)
    if not stale or not set(stale) <= set(wanted) or ledger is None or ledger.built_until < stale[-1]:
        return
    with home.lake.writing():
        newest = max(ledger.import_seq, home.lake.largest(QUARANTINE, "import_seq"))
        done = Progress(NAME, stale[-1], stale[0], newest, policies.hash, {LEDGER: ledger.generation})
        write_progress(home.lake, done)
