"""The report as GitHub-flavoured Markdown: two minutes to read, every cell escaped."""

from collections.abc import Iterable, Sequence
from datetime import date

from portfolio_platform.monitor.report import Figure, PortfolioMonitorReport
from portfolio_platform.render import formats, words
from portfolio_platform.render.text import markdown_text as md

LEFT, RIGHT = ":--", "--:"


def to_markdown(report: PortfolioMonitorReport) -> str:
    """Return the report as Markdown: the verdict, what changed, then the tables, each number rounded for reading."""
    blocks = [
        f"# {md(words.title(report))}",
        _under_title(report),
        *(md(sentence) for sentence in words.verdict(report)),
        "## What changed",
        _changes(report),
        "## Headline",
        _figures(report, report.headline),
        "## Drawdown",
        f"Regime: **{md(words.regime(report.drawdown.regime))}**" + _transition(report),
        _figures(report, report.drawdown.figures),
        "## Concentration",
        *_concentration(report),
        f"## {'Positions' if len(report.positions) == report.open_positions else 'Largest positions'}",
        _positions(report),
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


def _transition(report: PortfolioMonitorReport) -> str:
    state = report.drawdown
    return f" ({md(f'from {state.transition}' if state.transition else words.since_when(report))})."


def table(heads: Sequence[str], aligns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; heads and cells are plain text and are escaped here, the only place."""
    lines = [heads, *rows]
    body = [f"| {' | '.join(md(cell) for cell in line)} |" for line in lines]
    return "\n".join([body[0], f"| {' | '.join(aligns)} |", *body[1:]])


def _changes(report: PortfolioMonitorReport) -> str:
    since = f"Since {report.previous_session.isoformat()}:" if report.previous_session else "This is the first session:"
    if not report.changes:
        return md(words.NO_CHANGES) if report.previous_session else "This is the first session; there is nothing to compare it with."
    lines = [f"- **{words.CHANGE_WORDS[change.kind]}:** {md(change.sentence)}" for change in report.changes]
    return "\n".join([since, "", *lines])


def _figures(report: PortfolioMonitorReport, figures: Sequence[Figure]) -> str:
    columns: tuple[tuple[formats.Over, date | None], ...] = (("day", report.previous_session), ("week", report.week_session))
    rows = [
        (
            figure.label,
            formats.value(figure, report.base_currency),
            *(formats.change(figure, over) for over, session in columns if session),
        )
        for figure in figures
        if figure.value is not None
    ]
    heads = ["", "Value", *(f"since {session.isoformat()}" for _, session in columns if session)]
    unknown = words.not_known_of(figures)
    parts = [table(heads, (LEFT, *[RIGHT] * (len(heads) - 1)), rows)] if rows else []
    parts += [f"Not known: {' '.join(md(sentence) for sentence in unknown)}"] if unknown else []
    return "\n\n".join(parts)


def _concentration(report: PortfolioMonitorReport) -> Iterable[str]:
    if not report.concentration:
        yield "No concentration is reported: there is no exposure, or it has not been computed."
        return
    rows = []
    for found in report.concentration:
        largest = ", ".join(f"{group.group} {formats.percent(group.share)}" for group in found.top)
        more = f" and {found.groups - len(found.top):,} more" if found.groups > len(found.top) else ""
        picked = [words.find(found.figures, name) for name in ("effective_n", "top_exposure_pct", "coverage")]
        cells = [formats.value(figure) if figure else formats.NULL for figure in picked]
        rows.append((found.dimension, (largest or formats.NULL) + more, *cells))
    heads = ("by", "Largest, of gross exposure", "Effective number", "Largest, of equity", "Classified")
    yield table(heads, (LEFT, LEFT, RIGHT, RIGHT, RIGHT), rows)
    unknown = words.concentration_not_known(report)
    if unknown:
        yield f"Not known: {' '.join(md(sentence) for sentence in unknown)}"


def _positions(report: PortfolioMonitorReport) -> str:
    if not report.positions:
        return "No position is open."
    rows = [
        (
            position.symbol,
            position.strategy,
            position.direction,
            formats.quantity(position.quantity),
            formats.mark(position),
            formats.money(position.market_value_base),
            formats.percent(position.exposure_pct),
            f"{formats.money(position.unrealised_pnl)} {position.currency}",
            formats.price(position.stop_price),
        )
        for position in report.positions
    ]
    heads = ("Symbol", "Strategy", "Side", "Quantity", "Mark", f"Value, {report.base_currency}", "Of equity", "Unrealised", "Stop")
    shown = table(heads, (LEFT, LEFT, LEFT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT, RIGHT), rows)
    rest = report.open_positions - len(report.positions)
    return f"{shown}\n\n{rest:,} smaller positions are not listed." if rest > 0 else shown


def _quality(report: PortfolioMonitorReport) -> Iterable[str]:
    quality = report.data_quality
    yield md(words.quality(report))
    if quality.findings:
        yield "\n".join(f"- {md(finding)}" for finding in quality.findings)
    if quality.stale_marks:
        yield f"Stale marks: {md(', '.join(quality.stale_marks))}."
    yield table(("", "Value"), (LEFT, RIGHT), [(figure.label, formats.value_or_reason(figure)) for figure in quality.figures])


def _footer(report: PortfolioMonitorReport) -> str:
    policy = report.policy
    text = f"Policy {policy.name} version {policy.version} ({policy.hash}); schema version {report.schema_version}; content {report.hash}."
    return f"---\n\n{md(text)}"
