"""The report as one self-contained HTML page: no script, nothing loaded from elsewhere, every text escaped by the template."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from portfolio_platform.monitor.report import DimensionConcentration, Figure, PortfolioMonitorReport
from portfolio_platform.render import charts, formats, words
from portfolio_platform.render.provenance import Provenance
from portfolio_platform.render.series import History
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

CARDS = ("equity", "daily_return", "drawdown", "gross_exposure_pct")


@dataclass(frozen=True)
class FigureView:
    """A figure as the page shows it: texts for reading, and what stands behind them."""

    label: str
    value: str
    day: str
    week: str
    day_tone: str
    week_tone: str
    source: str


@dataclass(frozen=True)
class ChartView:
    """A chart with its title and a sentence that says what it shows."""

    name: str
    title: str
    sentence: str
    svg: "Markup"


@dataclass(frozen=True)
class Source:
    """A number as the report holds it, and the address of its row."""

    label: str
    exact: str
    evidence_id: str


def to_html(report: PortfolioMonitorReport, history: History | None = None, provenance: Provenance | None = None) -> str:
    """Return the report as an HTML page.

    Args:
        report: what is shown.
        history: the sessions behind the charts; those after the report's day are left out. Without it, no charts.
        provenance: where the report came from, shown at the foot where it is given.
    """
    shown = history.until(report.day) if history is not None else None
    figures = {figure.name: figure for figure in words.every_figure(report)}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            title=words.title(report),
            verdict=words.verdict(report),
            cards=[view(figures[name], report) for name in CARDS if name in figures],
            largest=_largest(report),
            net=formats.value(figures["net_exposure_pct"]) if "net_exposure_pct" in figures else "",
            headline=[view(figure, report, with_currency=False) for figure in report.headline if figure.value is not None],
            drawdown=[view(figure, report) for figure in report.drawdown.figures if figure.value is not None],
            not_known=words.not_known(report),
            charts=[_chart(name, shown, report) for name in charts.NAMES] if shown is not None else [],
            matrix_names=_matrix_names(report),
            matrix=[(found, _matrix_row(found, report)) for found in report.concentration],
            quality=[view(figure, report) for figure in report.data_quality.figures],
            sources=list(sources(report)),
            provenance=provenance.lines() if provenance else (),
        )
    )


def view(figure: Figure, report: PortfolioMonitorReport, *, with_currency: bool = True) -> FigureView:
    """Return how the page shows a figure."""
    return FigureView(
        label=one_line(figure.label),
        value=formats.value_or_reason(figure, report.base_currency if with_currency else ""),
        day=formats.change(figure, "day"),
        week=formats.change(figure, "week"),
        day_tone=formats.tone(figure, "day"),
        week_tone=formats.tone(figure, "week"),
        source=f"{one_line(figure.evidence_id)} = {formats.exact(figure.value)}",
    )


def sources(report: PortfolioMonitorReport) -> Iterator[Source]:
    """Yield every number of the report, unrounded, with its evidence id; then what the changes rest on."""
    for figure in words.every_figure(report):
        yield _source(figure, "")
    for found in report.concentration:
        for figure in found.figures:
            yield _source(figure, f" by {one_line(found.dimension)}")
        for group in found.top:
            yield Source(f"{one_line(found.dimension)} {one_line(group.group)}", formats.exact(group.exposure), one_line(group.evidence_id))
    for position in report.positions:
        label = f"{one_line(position.symbol)} by {one_line(position.strategy)}, value"
        yield Source(label, formats.exact(position.market_value_base), one_line(position.evidence_id))
    for change in report.changes:
        for evidence in change.evidence_ids:
            yield Source(one_line(change.sentence), "", one_line(evidence))


def _source(figure: Figure, suffix: str) -> Source:
    held = formats.exact(figure.value) if figure.value is not None else formats.value_or_reason(figure)
    return Source(f"{one_line(figure.label)}{suffix}", held, one_line(figure.evidence_id))


def _largest(report: PortfolioMonitorReport) -> list[tuple[DimensionConcentration, FigureView]]:
    found = [(concentration, words.find(concentration.figures, "effective_n")) for concentration in report.concentration]
    return [(concentration, view(effective, report)) for concentration, effective in found if effective is not None and concentration.top]


def _matrix_names(report: PortfolioMonitorReport) -> list[tuple[str, str]]:
    names: dict[str, str] = {}
    for found in report.concentration:
        for figure in found.figures:
            names.setdefault(figure.name, one_line(figure.label))
    return list(names.items())


def _matrix_row(found: DimensionConcentration, report: PortfolioMonitorReport) -> dict[str, FigureView]:
    return {figure.name: view(figure, report) for figure in found.figures}


def _chart(name: charts.ChartName, history: History, report: PortfolioMonitorReport) -> ChartView:
    from markupsafe import Markup

    # the SVG is made here and holds no text from outside
    return ChartView(name, charts.TITLES[name], _said(name, history, report), Markup(charts.chart(name, history)))  # noqa: S704


def _said(name: charts.ChartName, history: History, report: PortfolioMonitorReport) -> str:
    if len(history) < 2:
        return ""
    smoothed = f" Thin: every session; thick: median of {charts.SMOOTHED}." if len(history) > charts.MANY else ""
    return {
        "equity": f"{one_line(report.base_currency)}; {len(history):,} sessions. The mark: of the unit value, at the units then held.",
        "underwater": "Below the high-water mark. The strip names each session's regime.",
        "exposure": f"Fractions of equity.{smoothed}",
        "concentration": f"Of gross exposure.{smoothed}",
    }[name]


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
    environment.filters |= {
        "line": one_line,
        "money": formats.money,
        "percent": formats.percent,
        "price": formats.price,
        "quantity": formats.quantity,
        "exact": formats.exact,
        "mark": formats.mark,
        "regime": words.regime,
        "width": bar_width,
        "joined": _joined,
    }
    environment.globals |= {"CHANGE_WORDS": words.CHANGE_WORDS, "words": words, "NULL": formats.NULL}
    return environment


def bar_width(share: float | None) -> str:
    """Return the width of a bar for a share of the whole, in CSS percent between 0 and 100."""
    known = 0.0 if share is None or share != share else min(max(float(share), 0.0), 1.0)
    return f"{known * 100.0:.1f}%"


def _joined(texts: Iterable[str]) -> str:
    return ", ".join(one_line(text) for text in texts)
