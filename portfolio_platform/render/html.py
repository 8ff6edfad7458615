"""The report as one self-contained HTML page: no script, nothing loaded from elsewhere, every text escaped by the template."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portfolio_platform.monitor.report import Figure, PortfolioMonitorReport
from portfolio_platform.render import alerts, charts, formats, recommendation, sections, words
from portfolio_platform.render import exposure_sections as held
from portfolio_platform.render import trading_sections as traded
from portfolio_platform.render.blocks import Block
from portfolio_platform.render.chart_data import Data, Series
from portfolio_platform.render.provenance import Provenance
from portfolio_platform.render.series import History
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

CARDS = ("equity", "daily_return", "drawdown", "use")
Charts = Mapping[charts.ChartName, Data]


@dataclass(frozen=True)
class FigureView:
    """A figure as the page shows it: texts for reading, and what stands behind them."""

    name: str
    label: str
    value: str
    day: str
    week: str
    day_tone: str
    week_tone: str
    source: str


@dataclass(frozen=True)
class BlockView:
    """A block and its figures as the page shows them."""

    block: Block
    figures: tuple[FigureView, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class ChartView:
    """A chart with its title and a sentence that says what it shows."""

    name: str
    title: str
    sentence: str
    svg: "Markup"


def to_html(
    report: PortfolioMonitorReport,
    data: Charts | None = None,
    provenance: Provenance | None = None,
    standing: recommendation.Content | None = None,
) -> str:
    """Return the report as an HTML page.

    Args:
        report: what is shown.
        data: by chart what it shows; sessions after the report's day are left out. Without it, no charts.
        provenance: where the report came from, shown at the foot where it is given.
        standing: content of the recommendation that stands, which the report holds only on the day of issue.
    """
    figures = {figure.name: figure for figure in reversed(words.every_figure(report))}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            title=words.title(report),
            verdict=words.verdict(report, standing),
            cards=[view(figures[name], report) for name in CARDS if name in figures],
            beside=formats.percent(report.returns.week, 2),
            firing=[alerts.view(alert, report.base_currency) for alert in alerts.firing(report)],
            summary=alerts.summary(report),
            silent=[alerts.view(alert, report.base_currency) for alert in alerts.silent(report)],
            ended=[alerts.view(alert, report.base_currency) for alert in alerts.ended(report)],
            recommended=recommendation.headline(report, standing),
            recommendation=recommendation.facts(report, standing),
            command=recommendation.command(report.recommendation) if report.recommendation else "",
            follow_ups=sections.follow_ups(report),
            charts=_charts(data, report),
            pnl=_view(traded.pnl(report), report),
            blocks=[_view(block, report) for block in sections.diagnostics(report)],
            positions=_view(held.positions(report), report),
            insufficient=_view(sections.insufficient(report), report),
            headline=_view(Block("headline", "Headline", (), report.headline.figures), report),
            not_known=words.not_known(report),
            sources=list(sections.sources(report)),
            provenance=provenance.lines() if provenance else (),
        )
    )


def view(figure: Figure, report: PortfolioMonitorReport, *, with_currency: bool = True) -> FigureView:
    """Return how the page shows a figure."""
    return FigureView(
        name=one_line(figure.name),
        label=one_line(figure.label),
        value=formats.value_or_reason(figure, report.base_currency if with_currency else ""),
        day=formats.change(figure, "day"),
        week=formats.change(figure, "week"),
        day_tone=formats.tone(figure, "day"),
        week_tone=formats.tone(figure, "week"),
        source=f"{one_line(figure.evidence_id)} = {formats.exact(figure.value)}",
    )


def _view(block: Block, report: PortfolioMonitorReport) -> BlockView:
    figures = tuple(view(figure, report) for figure in block.figures if figure.value is not None)
    return BlockView(block, figures, (*words.not_known_of(block.figures), *block.unknown))


def _charts(data: Charts | None, report: PortfolioMonitorReport) -> list[ChartView]:
    if data is None:
        return []
    return [_chart(name, data[name].until(report.day), report) for name in charts.PAGE if name in data]


def _chart(name: charts.ChartName, data: Data, report: PortfolioMonitorReport) -> ChartView:
    from markupsafe import Markup

    # the SVG is made here; names from outside are in it as shapes, never as text
    return ChartView(name, charts.TITLES[name], _said(name, data, report), Markup(charts.chart(name, data)))  # noqa: S704


def _said(name: charts.ChartName, data: Data, report: PortfolioMonitorReport) -> str:
    if isinstance(data, (History, Series)) and len(data) < 2:
        return ""
    said = {
        "equity": f"{one_line(report.base_currency)}. The mark: of the unit value, at the units then held.",
        "underwater": "Below the high-water mark. The strip names each session's regime.",
        "heat": "Of equity; shaded above the cap. Below: the share of the risk that is imputed.",
        "stack": "1 is as many bets as positions. Shaded: its interval. A gap: fewer than two symbols.",
        "turnover": "Of equity, and fills; dashed: at the rate of the 250 sessions before.",
        "correlation": "Shrunk, 60 sessions, of this day; symbols by bucket, a frame around each bucket.",
    }
    return said.get(name, "")


def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("portfolio_platform.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"line": _line, "regime": words.regime, "joined": _joined}
    environment.globals |= {"CHANGE_WORDS": words.CHANGE_WORDS, "SIGNS": alerts.SIGNS, "words": words, "NULL": formats.NULL}
    environment.globals |= {"MONITOR_ONLY": alerts.MONITOR_ONLY, "ENFORCES_NOTHING": recommendation.ENFORCES_NOTHING}
    return environment


def _line(text: str) -> str:
    """Return text on one line; a percent sign stays with its number."""
    return one_line(text).replace(" %", "\N{NO-BREAK SPACE}%")


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(one_line(text) for text in texts)
