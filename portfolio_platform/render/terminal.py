"""The report as a compact table for a terminal. Text from outside goes into `rich.text.Text`, never into markup."""

from typing import TYPE_CHECKING

from portfolio_platform.monitor.report import Figure, PortfolioMonitorReport
from portfolio_platform.render import alerts, exposure_sections, formats, recommendation, sections, trading_sections, words
from portfolio_platform.render.blocks import Grid
from portfolio_platform.render.series import History
from portfolio_platform.render.sparkline import sparkline
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table
    from rich.text import Text

HEADLINE = ("equity", "daily_return", "drawdown", "gross_exposure_pct", "net_exposure_pct", "heat", "use", "stack_ratio", "turnover_20")
POSITIONS, CHANGES, ALERTS, FOLLOW_UPS, GATES, SPARK = 8, 8, 8, 6, 4, 40
REGIME_STYLES = {"normal": "green", "defensive": "yellow", "risk_off": "bold red", "probation": "cyan"}
SEVERITY_STYLES = {"critical": "bold red", "warning": "yellow", "info": "cyan"}
TONE_STYLES = {"better": "green", "worse": "red", "": "dim"}


def to_terminal(report: PortfolioMonitorReport, history: History | None = None, standing: recommendation.Content | None = None) -> "Group":
    """Return what `rich` prints of a report: verdict, what changed, alerts, what to do, headline, a line for each diagnostic.

    With a history, two small lines show the last sessions of unit value and gross exposure. ``standing`` is the content of
    the recommendation that stands, which the report holds only on the day of issue.
    """
    from rich.console import Group

    parts: list[RenderableType] = [_title(report), *(_text(f"• {sentence}") for sentence in words.verdict(report, standing))]
    parts += _changes(report)
    parts += _alerts(report)
    parts += _next(report, standing)
    parts += [_text(""), _headline(report)]
    if history is not None and len(history.until(report.day)) > 1:
        parts += _sparks(history.until(report.day).tail(SPARK))
    parts += [_text(""), _diagnostics(report)]
    for block in (trading_sections.pnl(report), exposure_sections.positions(report)):
        for grid in block.grids[-1:]:
            parts += [_text(""), _grid(grid, POSITIONS)]
    parts += _insufficient(report)
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
    since = f" since {report.previous_session.isoformat()}" if report.previous_session else ""
    table = _table(f"What changed{since}", ("", False), ("", False))
    table.show_header = False
    for change in report.changes[:CHANGES]:
        style = SEVERITY_STYLES[change.severity] if change.severity != "info" else "dim"
        sign = alerts.SIGNS[change.severity] if change.severity != "info" else " "
        table.add_row(_text(f"{sign} {words.CHANGE_WORDS[change.kind]}", style), _text(change.sentence))
    rest = len(report.changes) - CHANGES
    if rest > 0:
        table.add_row("", _text(f"and {rest:,} more, on the page", "dim"))
    return [_text(""), table]


def _alerts(report: PortfolioMonitorReport) -> "list[RenderableType]":
    found = alerts.firing(report)
    if not found:
        return []
    table = _table("Alerts", ("", False), ("What", False), *((head, True) for head in ("Observed", "Limit", "Room", "Change", "Sessions")))
    for alert in found[:ALERTS]:
        view = alerts.view(alert, report.base_currency)
        said = _text(view.sentence)
        if view.monitor_only:
            said.append(f" ({alerts.MONITOR_ONLY})", "dim")
        sign = _text(f"{view.sign} {view.severity}", SEVERITY_STYLES[view.severity])
        room = formats.moved(alert.room, alert.unit, report.base_currency).removeprefix("+")
        change = formats.moved(alert.change, alert.unit, report.base_currency)
        moved = _text(change, TONE_STYLES.get(alert.trend, "dim"))
        table.add_row(sign, said, _text(view.seen), _text(view.limit), _text(room), moved, _text(f"{alert.sessions_firing:,}"))
    rest = len(found) - ALERTS
    if rest > 0:
        table.add_row("", _text(f"and {rest:,} more, on the page", "dim"))
    silent = len(alerts.silent(report))
    if silent:
        table.add_row("", _text(f"{silent:,} more {'is' if silent == 1 else 'are'} silent: a graver one says the same", "dim"))
    return [_text(""), table]


def _next(report: PortfolioMonitorReport, standing: recommendation.Content | None) -> "list[RenderableType]":
    todo, found = sections.follow_ups(report), report.recommendation
    table = _table("What to do next", ("", False), ("", False))
    table.show_header = False
    if found is not None:
        wanted = ("Would change", "Withdrawn if", "Expires")
        for label, texts in recommendation.facts(report, standing):
            if label in wanted:
                table.add_row(_text(label, "dim"), _text("; ".join(texts)))
    for kind, sentence, note in todo[:FOLLOW_UPS]:
        said = _text(sentence)
        if note:
            said.append(f" ({note})", "dim")
        table.add_row(_text(kind, "dim"), said)
    if len(todo) > FOLLOW_UPS:
        table.add_row("", _text(f"and {len(todo) - FOLLOW_UPS:,} more, on the page", "dim"))
    return [_text(""), table] if table.row_count else []


def _diagnostics(report: PortfolioMonitorReport) -> "Table":
    table = _table("Diagnostics", ("", False), ("", False))
    table.show_header = False
    for block in sections.diagnostics(report):
        table.add_row(_text(block.title, "dim"), _text(" ".join(block.lead)))
    return table


def _grid(grid: Grid, most: int) -> "Table":
    shown = [place for place, column in enumerate(grid.columns) if not column.wide]
    table = _table(grid.caption, *((grid.columns[place].head, grid.columns[place].number) for place in shown))
    for row in grid.rows[:most]:
        table.add_row(*(_text(row[place].text) for place in shown))
    return table


def _insufficient(report: PortfolioMonitorReport) -> "list[RenderableType]":
    block = sections.insufficient(report)
    parts: list[RenderableType] = [_text(""), _text(f"{block.title}: {' '.join(block.lead)}", "bold" if block.grids else "dim")]
    return parts + [_grid(grid, GATES) for grid in block.grids]
