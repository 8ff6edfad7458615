"""Publishing reports: the diagnostics' tables in, immutable revisions in the book out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from portfolio_platform.book import policies as archive
from portfolio_platform.book.reports import Published, ReportDraft, publish
from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.errors import DataProblem
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import QUARANTINE
from portfolio_platform.lake.progress import newest_decisions, read_progress
from portfolio_platform.monitor.compose import Content
from portfolio_platform.monitor.details import DETAILS
from portfolio_platform.monitor.figures import DIAGNOSTICS
from portfolio_platform.monitor.pipeline.contents import compose_contents
from portfolio_platform.monitor.pipeline.staleness import digests, remember_published
from portfolio_platform.monitor.report import KIND, SCHEMA_VERSION
from portfolio_platform.policy.assigned import policies_in_time
from portfolio_platform.version import __version__

RECOMMENDATIONS = "recommendations"
BATCH = 250
READ = tuple(
    {
        table.name: table
        for table in (
            derived.PORTFOLIO_EQUITY,
            derived.DRAWDOWN_STATE,
            derived.CONCENTRATION_METRICS,
            derived.CONCENTRATION_GROUPS,
            derived.PNL_ATTRIBUTION,
            derived.SAMPLE_SUFFICIENCY,
            derived.ALERT_STATES,
            derived.RECOMMENDATION_STATES,
            *(table for table, _ in DIAGNOSTICS.values()),
            *(detail.table for detail in DETAILS),
        )
    }.values()
)


@dataclass(frozen=True)
class Headline:
    """What a report says first."""

    equity: float | int | None
    drawdown: float | int | None
    regime: str
    alerts: int


@dataclass(frozen=True)
class DayReports:
    """What publishing did for a day: one entry for each portfolio with a session, none where there was none."""

    day: date
    published: tuple[Published, ...]
    headlines: dict[str, Headline]


def provenance(home: Home) -> dict[str, object]:
    """Return what the reports of this moment rest on beside policies: lake versions, newest import, events of the book, code."""
    built = read_progress(home.lake, RECOMMENDATIONS)
    return {
        "lake_versions": {table.name: home.lake.version(table) for table in READ},
        "import_seq": max(built.import_seq if built else 0, home.lake.largest(QUARANTINE, "import_seq")),
        "decisions": newest_decisions(home.lake),
        "code_version": __version__,
    }


def publish_reports(home: Home, days: Sequence[date], progress: Callable[[int, int], None] = lambda done, of: None) -> list[DayReports]:
    """Compose and publish the reports of some days: a new revision only where the content differs.

    Raises `DataProblem` where the diagnostics do not reach the last day yet.
    """
    wanted = sorted(set(days))
    if not wanted:
        return []
    built = read_progress(home.lake, RECOMMENDATIONS)
    if built is None or built.built_until < min(wanted[-1], home.today):
        reach = f"reach {built.built_until}" if built else "are not built yet"
        raise DataProblem(f"the diagnostics {reach}, and the report is of {wanted[-1]}; run `portfolio build` or the job refresh first")
    policies = policies_in_time(home)
    rests_on = {day: policies.told(day) for day in wanted}
    shared, now = provenance(home), home.clock.now()
    with home.book.writing() as connection:
        for policy in policies.begun(wanted[-1]):
            archive.archive(connection, policy.name, policy.canonical(), now)
    done: dict[date, list[Published]] = {day: [] for day in wanted}
    headlines: dict[date, dict[str, Headline]] = {day: {} for day in wanted}
    drafts: list[ReportDraft] = []
    hashed: list[tuple[date, str]] = []

    def flush() -> None:
        if drafts:
            with home.book.writing() as connection:
                for item in publish(connection, drafts, published_at=now):
                    done[item.day].append(item)
            drafts.clear()

    for count, content in enumerate(compose_contents(home, wanted, policies), start=1):
        portfolio, day = content["portfolio"], date.fromisoformat(content["day"])
        written = canonical_bytes(content, plain=True)
        made_from = {**shared, "policies": rests_on[day]}
        drafts.append(ReportDraft(portfolio, day, KIND, SCHEMA_VERSION, content["policy"]["hash"], written, made_from))
        hashed.append((day, content_hash(written)))
        headlines[day][portfolio] = _headline(content)
        if len(drafts) >= BATCH:
            flush()
            progress(count, len(wanted))
    flush()
    remember_published(home, {day: digest for day, (digest, _) in digests(hashed, wanted).items()})
    return [DayReports(day, tuple(done[day]), headlines[day]) for day in wanted]


def _headline(content: Content) -> Headline:
    equity, drawdown = content["headline"]["values"]["equity"][0], content["drawdown"]["section"]["values"]["drawdown"][0]
    firing = [alert for alert in content["alerts"] if alert["state"] == "firing" and not alert["inhibited_by"]]
    return Headline(equity, drawdown, content["drawdown"]["regime"], len(firing))
