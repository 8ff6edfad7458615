"""The report as GitHub-flavoured Markdown: two minutes to read, every cell escaped."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from portfolio_platform.monitor.report import Figure, PortfolioMonitorReport
from portfolio_platform.render import alerts, formats, recommendation, sections, words
from portfolio_platform.render import exposure_sections as held
from portfolio_platform.render import trading_sections as traded
from portfolio_platform.render.blocks import Block, Grid
from portfolio_platform.render.text import markdown_text as md

LEFT, RIGHT = ":--", "--:"


def to_markdown(report: PortfolioMonitorReport, standing: recommendation.Content | None = None) -> str:
    """Return the report as Markdown: the verdict, what changed, what is wrong, then the tables, each number rounded for reading.

    ``standing`` is the content of the recommendation that stands, which the report holds only on the day of issue.
    """
    blocks = [
        f"# {md(words.title(report))}",
        _under_title(report),
        "\n".join(f"- {md(sentence)}" for sentence in words.verdict(report, standing)),
        "## What changed",
        _changes(report),
        "## Alerts",
        *_alerts(report),
        "## Recommendation",
        *_recommendation(report, standing),
        "## What to do next",
        _follow_ups(report),
        *_block(traded.pnl(report)),
    ]
    for block in sections.diagnostics(report):
        blocks += _block(block)
    blocks += [
        *_block(held.positions(report)),
        *_block(sections.insufficient(report)),
        "## Every figure",
        *_figures(report),
        "## Data quality",
        *_quality(report),
        "## Where the numbers come from",
        f"{md(words.HOW_TO_FOLLOW)} to see the rows of a table: {_code(words.follow_command(report))}.",
        _footer(report),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _code(text: str) -> str:
    """Return text as inline code, fenced by more backticks than it holds."""
    fence = "`"
    while fence in text:
        fence += "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _under_title(report: PortfolioMonitorReport) -> str:
    return md(f"{report.mode} portfolio, session {report.session:,}, amounts in {report.base_currency}")


def table(heads: Sequence[str], aligns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; heads and cells are plain text and are escaped here, the only place."""
    lines = [heads, *rows]
    body = [f"| {' | '.join(md(cell) for cell in line)} |" for line in lines]
    return "\n".join([body[0], f"| {' | '.join(aligns)} |", *body[1:]])


def _block(block: Block) -> Iterator[str]:
    yield f"## {md(block.title)}"
    yield md(" ".join(block.lead))
    for grid in block.grids:
        yield f"{md(grid.caption.rstrip('.'))}:"
        yield _grid(grid)
    if block.unknown:
        yield f"Not known: {' '.join(md(sentence) for sentence in block.unknown)}"


def _grid(grid: Grid) -> str:
    aligns = [RIGHT if column.number else LEFT for column in grid.columns]
    return table([column.head for column in grid.columns], aligns, [[cell.text for cell in row] for row in grid.rows])


def _changes(report: PortfolioMonitorReport) -> str:
    since = f"Since {report.previous_session.isoformat()}:" if report.previous_session else "This is the first session:"
    if not report.changes:
        return md(words.NO_CHANGES) if report.previous_session else "This is the first session; there is nothing to compare it with."
    lines = [f"- **{words.CHANGE_WORDS[change.kind]}:** {md(change.sentence)}" for change in report.changes]
    return "\n".join([since, "", *lines])


def _alerts(report: PortfolioMonitorReport) -> Iterator[str]:
    found = alerts.firing(report)
    yield md(alerts.summary(report)[:1].upper() + alerts.summary(report)[1:]) if found else "No alert fires."
    views = [alerts.view(alert, report.base_currency) for alert in found]
    if views:
        heads = ("Severity", "What", "Observed against threshold", "Room", "Trend", "How long")
        rows = [
            (
                f"{view.sign} {view.severity}{f', {view.note}' if view.note else ''}",
                view.sentence + (f" ({alerts.MONITOR_ONLY})" if view.monitor_only else ""),
                view.observed,
                view.room,
                view.trend,
                view.since,
            )
            for view in views
        ]
        yield table(heads, (LEFT,) * 6, rows)
        yield "What is behind each:"
        yield "\n".join(_behind(view) for view in views)
    silent = alerts.silent(report)
    if silent:
        yield "Silent, because a graver alert says the same:"
        yield "\n".join(f"- {md(alert.sentence)} (silent because of {md(alert.inhibited_by)})" for alert in silent)
    over = alerts.ended(report)
    if over:
        yield "Over in this session:"
        yield "\n".join(f"- {md(alert.sentence)}" for alert in over)


def _behind(view: alerts.AlertView) -> str:
    told = {"Window", "Who", "How sure", "Before", "Evidence"}
    facts = "; ".join(f"{label}: {text}" for label, text in view.facts if label in told)
    return f"- **{md(view.sentence)}** {md(facts)}"


def _recommendation(report: PortfolioMonitorReport, standing: recommendation.Content | None) -> Iterator[str]:
    yield md(recommendation.headline(report, standing))
    facts = recommendation.facts(report, standing)
    if facts:
        yield "\n".join(f"- **{label}:** {md('; '.join(texts))}" for label, texts in facts)
    if report.recommendation is not None:
        yield f"{recommendation.ENFORCES_NOTHING} To see it: {_code(recommendation.command(report.recommendation))}."


def _follow_ups(report: PortfolioMonitorReport) -> str:
    lines = [f"- **{kind}:** {md(sentence)}{f' ({note})' if note else ''}" for kind, sentence, note in sections.follow_ups(report)]
    return "\n".join(lines) or "Nothing."


def _figures(report: PortfolioMonitorReport) -> Iterator[str]:
    columns: tuple[tuple[formats.Over, date | None], ...] = (("day", report.previous_session), ("week", report.week_session))
    shown = [(over, session) for over, session in columns if session]
    heads = ["", "Value", *(f"since {session.isoformat()}" for _, session in shown if session)]
    rows: list[Sequence[str]] = []
    for label, figures in sections.named_figures(report):
        rows += [_figure(report, label, figure, [over for over, _ in shown]) for figure in figures if figure.value is not None]
    if rows:
        yield table(heads, (LEFT, *[RIGHT] * (len(heads) - 1)), rows)
    unknown = words.not_known(report)
    if unknown:
        yield f"Not known: {' '.join(md(sentence) for sentence in unknown)}"


def _figure(report: PortfolioMonitorReport, label: str, figure: Figure, over: Sequence[formats.Over]) -> tuple[str, ...]:
    value = formats.value(figure, report.base_currency)
    return (f"{label}: {figure.label}", value, *(formats.change(figure, span) for span in over))


def _quality(report: PortfolioMonitorReport) -> Iterable[str]:
    quality = report.data_quality
    yield md(words.quality(report))
    if quality.findings:
        yield "\n".join(f"- {md(finding)}" for finding in quality.findings)
    if quality.stale_marks:
        yield f"Stale marks: {md(', '.join(quality.stale_marks))}."
    yield table(("", "Value"), (LEFT, RIGHT), words.quality_rows(report))


def _footer(report: PortfolioMonitorReport) -> str:
    policy = report.policy
    text = f"Policy {policy.name} version {policy.version} ({policy.hash}); schema version {report.schema_version}; content {report.hash}."
    return f"---\n\n{md(text)}"
