"""The report in sentences: the verdict, what is not known and why, and how far the numbers can be trusted. Unescaped text."""

import shlex
from collections.abc import Iterable

from portfolio_platform.monitor.report import DimensionConcentration, Figure, PortfolioMonitorReport
from portfolio_platform.render import formats
from portfolio_platform.render.text import one_line

REGIMES = {"normal": "normal", "defensive": "defensive", "risk_off": "risk-off", "probation": "probation"}
REGIME_SIGNS = {"normal": "●", "defensive": "◆", "risk_off": "■", "probation": "▲"}
CHANGE_WORDS = {
    "regime": "Regime",
    "position": "Position",
    "flow": "Flow",
    "concentration": "Concentration",
    "high_water_mark": "New high",
    "data": "Data",
}
REASONS = {
    "stale_mark": "a position's mark is stale",
    "missing_fx_rate": "an exchange rate is missing",
    "equity_not_positive": "equity is not positive",
    "no_capital_before": "there was no capital before",
    "no_exposure": "nothing is held",
}
NO_CHANGES = "No position was opened, closed or turned; no new regime, no flow, no other largest group."
HOW_TO_FOLLOW = (
    "Numbers are rounded for reading. Each has an evidence id, TABLE/PORTFOLIO/DAY/…/COLUMN, the address of the row it comes from;"
)


def regime(name: str) -> str:
    """Return a regime's sign and name, so that no colour is needed to tell it."""
    return f"{REGIME_SIGNS.get(name, '○')} {REGIMES.get(name, one_line(name))}"


def title(report: PortfolioMonitorReport) -> str:
    """Return the report's title."""
    return f"{one_line(report.portfolio)}, {formats.day_long(report.day)}"


def follow_command(report: PortfolioMonitorReport) -> str:
    """Return the command that shows the rows behind a table's figures."""
    day = report.day.isoformat()
    return f"portfolio show TABLE --portfolio {shlex.quote(one_line(report.portfolio))} --from {day} --to {day}"


def find(figures: Iterable[Figure], name: str) -> Figure | None:
    """Return a figure by name, None where there is none."""
    return next((figure for figure in figures if figure.name == name), None)


def dimension(report: PortfolioMonitorReport, name: str) -> DimensionConcentration | None:
    """Return the concentration by a dimension, None where the report has none."""
    return next((found for found in report.concentration if found.dimension == name), None)


def verdict(report: PortfolioMonitorReport) -> tuple[str, ...]:
    """Return what a person who reads nothing else should know, a sentence or two for each matter."""
    return tuple(sentence for sentence in (_regime(report), _return(report), _exposure(report), quality(report)) if sentence)


def _regime(report: PortfolioMonitorReport) -> str:
    state = report.drawdown
    name = REGIMES.get(state.regime, one_line(state.regime))
    since = since_when(report)
    drawdown, under = find(state.figures, "drawdown"), find(state.figures, "under_water_days")
    text = f"The drawdown regime is {name}, {since}."
    if drawdown is None or drawdown.value is None:
        return f"{text} The drawdown is not known: {reason(drawdown.reason if drawdown else state.reason)}."
    if drawdown.value <= 0.0:
        return f"{text} The portfolio stands at its high-water mark."
    week = _deeper(drawdown)
    below = f", {_sessions(int(under.value))} under water" if under is not None and under.value is not None else ""
    return f"{text} Drawdown is {formats.value(drawdown)}{week}{below}."


def _deeper(drawdown: Figure) -> str:
    text = formats.change(drawdown, "week")
    if text == formats.NULL:
        return ""
    if text[0] not in formats.ARROWS:
        return " (as a week ago)"
    return f" ({text[3:]} {'deeper' if text[0] == formats.ARROWS[0] else 'less'} than a week ago)"


def since_when(report: PortfolioMonitorReport) -> str:
    """Return how long the regime has held."""
    state = report.drawdown
    return "since this session" if state.transition or not state.sessions_in_regime else f"for {_sessions(state.sessions_in_regime)}"


def _return(report: PortfolioMonitorReport) -> str:
    equity, made = find(report.headline, "equity"), find(report.headline, "daily_return")
    if equity is None or equity.value is None:
        return f"Equity is not known: {reason(equity.reason) if equity else 'the report has none'}."
    text = f"Equity is {formats.value(equity, report.base_currency)}"
    if made is None or made.value is None:
        return f"{text}; the day's return is not known: {reason(made.reason) if made else 'the report has none'}."
    week = week_return(report)
    return (
        f"{text}, {_up_or_down(made.value)} on the day{'' if week is None else f' and {_up_or_down(week)} in a week'}, flows not counted."
    )


def _up_or_down(fraction: float) -> str:
    size = formats.percent(abs(fraction), 2)
    return "unchanged" if size in ("0.00 %", "≈ 0.00 %") else f"{'up' if fraction > 0 else 'down'} {size}"


def week_return(report: PortfolioMonitorReport) -> float | None:
    """Return the flow-neutral return since the session of a week ago, by the unit value; None where that is not known."""
    unit = find(report.headline, "unit_value")
    if unit is None or unit.value is None or unit.change_week is None or unit.value - unit.change_week <= 0.0:
        return None
    return unit.value / (unit.value - unit.change_week) - 1.0


def _exposure(report: PortfolioMonitorReport) -> str:
    if not report.open_positions:
        return "No position is open."
    gross, net = find(report.headline, "gross_exposure_pct"), find(report.headline, "net_exposure_pct")
    sizes = f"gross exposure {formats.value(gross)} and net {formats.value(net)} of equity" if gross and net else "exposure not reported"
    number = "1 position has" if report.open_positions == 1 else f"{report.open_positions:,} positions have"
    largest = [
        f"{name} {one_line(found.top[0].group)}{_share(found.top[0].share)}"
        for name in ("symbol", "template")
        if (found := dimension(report, name)) and found.top
    ]
    return f"{number} {sizes}" + (f"; the largest {', the largest '.join(largest)}." if largest else ".")


def quality(report: PortfolioMonitorReport) -> str:
    """Return in a sentence how far the day's numbers can be trusted."""
    figures = report.data_quality.figures
    fresh, stale = find(figures, "fresh_coverage"), find(figures, "stale_positions")
    aside = find(figures, "quarantined_to_date")
    undated = find(figures, "quarantined_undated")
    wrong = []
    if stale is not None and stale.value:
        cover = f"; {formats.value(fresh)} of gross exposure has a fresh one" if fresh is not None and fresh.value is not None else ""
        wrong.append(f"{_many(int(stale.value), 'position has', 'positions have')} a stale mark{cover}")
    held = sum(int(found.value) for found in (aside, undated) if found is not None and found.value)
    if held:
        wrong.append(f"{_many(held, 'row is', 'rows are')} in quarantine and may be missing here")
    if report.data_quality.findings:
        wrong.append(f"{_many(len(report.data_quality.findings), 'finding', 'findings')} below")
    if wrong:
        return f"Read the numbers with care: {'; '.join(wrong)}."
    return "The data is complete as far as known: every mark is fresh and no row is in quarantine."


def reason(code: str) -> str:
    """Return a reason as a person reads it: the tables' codes in words, everything else as it is."""
    return REASONS.get(code, one_line(code)) or "no reason given"


def not_known(report: PortfolioMonitorReport) -> tuple[str, ...]:
    """Return a sentence for each reason why figures of the report are null, with the figures that it silences."""
    return tuple(dict.fromkeys((*not_known_of(every_figure(report)), *concentration_not_known(report))))


def concentration_not_known(report: PortfolioMonitorReport) -> tuple[str, ...]:
    """Return a sentence for each reason why concentration is null; dimensions that are null as a whole share one."""
    whole: dict[str, list[str]] = {}
    sentences: list[str] = []
    for found in report.concentration:
        known = [figure for figure in found.figures if figure.value is not None]
        codes = {figure.reason or found.reason for figure in found.figures}
        if not known and len(codes) == 1:
            whole.setdefault(reason(codes.pop()), []).append(one_line(found.dimension))
        else:
            sentences += not_known_of(found.figures, found)
    return (*(f"Concentration by {', '.join(names)}: {why}." for why, names in whole.items()), *sentences)


def not_known_of(figures: Iterable[Figure], of: DimensionConcentration | None = None) -> tuple[str, ...]:
    """Return a sentence for each reason why some of these figures, of a dimension where one is given, are null."""
    by_reason: dict[str, list[str]] = {}
    for figure in figures:
        if figure.value is None:
            why = reason(figure.reason or (of.reason if of else ""))
            by_reason.setdefault(why, []).append(one_line(figure.label))
    by = f" by {one_line(of.dimension)}" if of else ""
    return tuple(f"{'; '.join(labels)}{by}: {why}." for why, labels in by_reason.items())


def every_figure(report: PortfolioMonitorReport) -> tuple[Figure, ...]:
    """Return the figures of headline, drawdown and data quality."""
    return (*report.headline, *report.drawdown.figures, *report.data_quality.figures)


def _share(share: float | None) -> str:
    return "" if share is None else f" with {formats.percent(share)} of gross"


def _sessions(number: int) -> str:
    return _many(number, "session", "sessions")


def _many(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
