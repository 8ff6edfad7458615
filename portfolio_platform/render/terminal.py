"""The report as a compact table for a terminal. Text from outside goes into `rich.text.Text`, never into markup."""

from typing import TYPE_CHECKING

from portfolio_platform.monitor.report import Figure, PortfolioMonitorReport
from portfolio_platform.render import formats, words
from portfolio_platform.render.series import History
from portfolio_platform.render.sparkline import sparkline
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

HEADLINE = ("equity", "daily_return", "drawdown", "gross_exposure_pct", "net_exposure_pct", "volatility_60", "open_positions")
DIMENSIONS = ("symbol", "template", "cohort")
POSITIONS, CHANGES, SPARK = 8, 8, 40
REGIME_STYLES = {"normal": "green", "defensive": "yellow", "risk_off": "bold red", "probation": "cyan"}
TONE_STYLES = {"better": "green", "worse": "red", "": "dim"}


def to_terminal(report: PortfolioMonitorReport, history: History | None = None) -> "Group":
    """Return what `rich` prints of a report: verdict, headline, what changed, concentration, positions.

    With a history, two small lines show the last sessions of unit value and gross exposure.
    """
    from rich.console import Group

    parts: list[RenderableType] = [_title(report), *(_text(sentence) for sentence in words.verdict(report)), _text("")]
    parts.append(_headline(report))
    if history is not None and len(history.until(report.day)) > 1:
        parts += _sparks(history.until(report.day).tail(SPARK))
    parts += _changes(report)
    if report.concentration:
        parts += [_text(""), _concentration(report)]
    if report.positions:
        parts += [_text(""), _positions(report)]
    unknown = words.not_known(report)
    if unknown:
        parts += [_text(""), _text(f"Not known: {' '.join(unknown)}", "dim")]
    return Group(*parts)


def _text(text: str, style: str = "", justify: str | None = None) -> "Text":
    from rich.text import Text

    out = Text(one_line(text), style=style)
    out.justify = justify  # type: ignore[assignment]
    return out


def _title(report: PortfolioMonitorReport) -> "Text":
    out = _text(words.title(report), "bold")
    out.append("  ")
    out.append(words.regime(report.drawdown.regime), REGIME_STYLES.get(report.drawdown.regime, ""))
    out.append(f"  {one_line(report.mode)}", "dim")
    return out


def _table(title: str, *columns: tuple[str, bool]) -> "Table":
    """Return a plain table; a column is its head and whether it holds numbers."""
    from rich.table import Table

    table = Table(title=_text(title, "bold"), title_justify="left", box=None, pad_edge=False, header_style="dim")
    for head, numbers in columns:
        table.add_column(_text(head), justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    return table


def _moved(figure: Figure, over: "formats.Over") -> "Text":
    return _text(formats.change(figure, over), TONE_STYLES[formats.tone(figure, over)])


def _headline(report: PortfolioMonitorReport) -> "Table":
    day = report.previous_session.isoformat() if report.previous_session else "session before"
    week = report.week_session.isoformat() if report.week_session else "a week before"
    table = _table("Headline", ("", False), ("Value", True), (f"since {day}", True), (f"since {week}", True))
    for name in HEADLINE:
        figure = words.find(words.every_figure(report), name)
        if figure is not None:
            shown = _text(formats.value(figure, report.base_currency), "bold")
            table.add_row(_text(figure.label), shown, _moved(figure, "day"), _moved(figure, "week"))
    return table


def _sparks(history: History) -> "list[RenderableType]":
    lines = []
    for label, values in (("Unit value", history.unit_value), ("Gross exposure", history.gross_exposure_pct)):
        drawn = sparkline(values.tolist())
        if drawn:
            line = _text(label)
            line.append(f"{'':<{16 - len(label)}}{drawn}", "cyan")
            line.append(f"  last {len(history)} sessions", "dim")
            lines.append(line)
    return [_text(""), *lines]


def _changes(report: PortfolioMonitorReport) -> "list[RenderableType]":
    if not report.changes:
        return [_text(""), _text(words.NO_CHANGES if report.previous_session else "This is the first session.", "dim")]
    table = _table("What changed", ("", False), ("", False))
    table.show_header = False
    for change in report.changes[:CHANGES]:
        table.add_row(_text(words.CHANGE_WORDS[change.kind], "dim"), _text(change.sentence))
    rest = len(report.changes) - CHANGES
    if rest > 0:
        table.add_row("", _text(f"and {rest:,} more, on the page", "dim"))
    return [_text(""), table]


def _concentration(report: PortfolioMonitorReport) -> "Table":
    table = _table("Concentration", ("by", False), ("Largest", False), ("Of gross", True), ("Of equity", True), ("Effective number", True))
    for name in DIMENSIONS:
        found = words.dimension(report, name)
        if found is None:
            continue
        effective = words.find(found.figures, "effective_n")
        largest = found.top[0] if found.top else None
        table.add_row(
            _text(found.dimension),
            _text(largest.group if largest else found.reason or formats.NULL),
            _text(formats.percent(largest.share if largest else None)),
            _text(formats.percent(largest.exposure_pct if largest else None)),
            _text(formats.value(effective) if effective else formats.NULL),
        )
    return table


def _positions(report: PortfolioMonitorReport) -> "Table":
    shown = report.positions[:POSITIONS]
    title = f"Positions ({len(shown)} of {report.open_positions:,})" if len(shown) < report.open_positions else "Positions"
    value = f"Value, {report.base_currency}"
    table = _table(title, ("Symbol", False), ("Strategy", False), ("Side", False), (value, True), ("Of equity", True), ("Unrealised", True))
    for position in shown:
        table.add_row(
            _text(position.symbol),
            _text(position.strategy),
            _text(position.direction),
            _text(formats.money(position.market_value_base)),
            _text(formats.percent(position.exposure_pct)),
            _text(formats.money(position.unrealised_pnl, position.currency)),
        )
    return table
