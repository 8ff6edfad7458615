"""The report in sentences: the verdict, what is not known and why, and how far the numbers can be trusted. Unescaped text."""

import re
import shlex
from collections.abc import Iterable

from portfolio_platform.monitor.report import Concentration, Figure, GateFailure, PortfolioMonitorReport
from portfolio_platform.render import alerts, formats, recommendation
from portfolio_platform.render.text import one_line

REGIMES = {"normal": "normal", "defensive": "defensive", "risk_off": "risk-off", "probation": "probation"}
REGIME_SIGNS = {"normal": "●", "defensive": "◆", "risk_off": "■", "probation": "▲"}
CHANGE_WORDS = {
    "alert": "Alert",
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
    "flat": "nothing is held",
    "one_symbol": "only one symbol is held",
    "hedged": "the book is hedged: its variance is near 0",
    "no_common_session": "the symbols have no session in common",
    "no_baseline": "there is no baseline yet",
    "short_baseline": "the baseline is too short",
    "baseline_too_short": "the baseline is too short",
    "no_trades": "nothing was traded",
    "no_intent": "there was no intent",
    "no_setup": "there was no qualified setup",
    "no_session_with_a_cap": "no session of the window had a cap above 0",
    "no_expectation": "the playbook states no expectation",
    "too_few_observations": "there are too few observations",
    "not_cadenced": "the source has no cadence",
}
NO_CHANGES = "No alert began or ended, no position was opened, closed or turned; no new regime, no flow, no other largest group."
NAMED = 3
_CODE = re.compile(r"[a-z]+(_[a-z]+)+")
_PARTS = re.compile(r"[;,] ")
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


def dimension(report: PortfolioMonitorReport, name: str, basis: str = "gross") -> Concentration | None:
    """Return the concentration by a dimension over gross exposure or risk, None where the report has none."""
    return next((found for found in report.concentration if (found.dimension, found.basis) == (name, basis)), None)


def verdict(report: PortfolioMonitorReport, standing: recommendation.Content | None = None) -> tuple[str, ...]:
    """Return what a person who reads nothing else should know, the gravest first: a sentence or two for each matter.

    ``standing`` is the content of the recommendation that stands, where the report does not hold it.
    """
    grave = report.drawdown.regime != "normal"
    told = (
        _regime(report) if grave else "",
        _alerts(report),
        "" if report.recommendation is None else recommendation.headline(report, standing),
        _return(report),
        _exposure(report),
        "" if grave else _regime(report),
        _sufficiency(report),
        quality(report),
    )
    return tuple(sentence for sentence in told if sentence)


def _alerts(report: PortfolioMonitorReport) -> str:
    found = alerts.firing(report)
    if not found:
        return "No alert fires."
    grave = [alert for alert in found if alert.severity == "critical"]
    first = grave or list(found)
    named = ([alert for alert in first if alert.gate_passed] or first)[:NAMED]
    told = "; ".join(one_line(alert.sentence).removesuffix(".") for alert in named)
    more = f"; and {len(first) - len(named)} more" if len(first) > len(named) else ""
    kind = "critical alert" if grave else "alert"
    rest = len(found) - len(first)
    others = f" {_many(rest, 'alert warns', 'alerts warn')}." if rest else ""
    look = sum(not alert.gate_passed for alert in found)
    only = f" For {look} of them the sample does not suffice to do more than look." if look else ""
    return f"{_many(len(first), kind, f'{kind}s')}: {told}{more}.{others}{only}"


def _sufficiency(report: PortfolioMonitorReport) -> str:
    held = report.sufficiency
    if not held.failed:
        return "The sample suffices for every figure." if held.passed else ""
    waits = [(failure.sessions_until, failure) for failure in held.failures if failure.sessions_until is not None]
    text = f"{held.failed:,} of {held.failed + held.passed:,} figures do not have a sample that suffices"
    if not waits:
        return f"{text}."
    soonest, first = min(waits, key=lambda pair: pair[0])
    return f"{text}; the next to have one: {one_line(first.label)}, in {formats.how_long(soonest)} at this rate."


def missing(failure: GateFailure) -> str:
    """Return what a metric's sample is missing."""
    if failure.missing:
        known = failure.sample_size is not None and failure.required is not None
        have = f" ({failure.sample_size:,} of {failure.required:,})" if known else ""
        return f"{failure.missing:,} more {'observation' if failure.missing == 1 else 'observations'}{have}"
    return "not a matter of how many observations there are"


def until(failure: GateFailure) -> str:
    """Return how long it is until there is enough at this rate."""
    if failure.sessions_until is None:
        return "cannot be said" if failure.missing else "when the condition holds"
    return formats.how_long(failure.sessions_until)


def _regime(report: PortfolioMonitorReport) -> str:
    state = report.drawdown
    name = REGIMES.get(state.regime, one_line(state.regime))
    since = since_when(report)
    figures = state.figures
    drawdown, under = find(figures, "drawdown"), find(figures, "under_water_days")
    text = f"The drawdown regime is {name}, {since}."
    if drawdown is None or drawdown.value is None:
        return f"{text} The drawdown is not known: {reason(drawdown.reason if drawdown else state.reason)}."
    if drawdown.value <= 0.0:
        return f"{text} The portfolio stands at its high-water mark."
    week = _deeper(drawdown)
    below = f", {_sessions(int(under.value))} under water" if under is not None and under.value is not None else ""
    room = "" if state.room is None else f"; {formats.percent(state.room)} to {REGIMES.get(state.next_regime, one_line(state.next_regime))}"
    return f"{text} Drawdown is {formats.value(drawdown)}{week}{below}{room}."


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
    equity, made = find(report.headline.figures, "equity"), find(report.headline.figures, "daily_return")
    if equity is None or equity.value is None:
        return f"Equity is not known: {reason(equity.reason) if equity else 'the report has none'}."
    text = f"Equity is {formats.value(equity, report.base_currency)}"
    if made is None or made.value is None:
        return f"{text}; the day's return is not known: {reason(made.reason) if made else 'the report has none'}."
    week = report.returns.week
    return (
        f"{text}, {_up_or_down(made.value)} on the day{'' if week is None else f' and {_up_or_down(week)} in a week'}, flows not counted."
    )


def _up_or_down(fraction: float) -> str:
    size = formats.percent(abs(fraction), 2)
    return "unchanged" if size in ("0.00 %", "≈ 0.00 %") else f"{'up' if fraction > 0 else 'down'} {size}"


def _exposure(report: PortfolioMonitorReport) -> str:
    if not report.open_positions:
        return "No position is open."
    gross, net = find(report.headline.figures, "gross_exposure_pct"), find(report.headline.figures, "net_exposure_pct")
    sizes = f"gross exposure {formats.value(gross)} and net {formats.value(net)} of equity" if gross and net else "exposure not reported"
    number = "1 position has" if report.open_positions == 1 else f"{report.open_positions:,} positions have"
    largest = [
        f"{name} {one_line(found.top[0].group)}{_share(found.top[0].share)}"
        for name in ("symbol", "template")
        if (found := dimension(report, name)) and found.top
    ]
    text = f"{number} {sizes}" + (f"; the largest {', the largest '.join(largest)}." if largest else ".")
    heat, use = figure_of(report, "heat", "heat"), figure_of(report, "heat", "use")
    if heat is None or heat.value is None or use is None or use.value is None:
        return text
    return f"{text} The stops leave {formats.value(heat)} of equity at risk, {formats.value(use)} of the cap on heat."


def quality(report: PortfolioMonitorReport) -> str:
    """Return in a sentence how far the day's numbers can be trusted."""
    held = report.data_quality
    stale = held.section.value("stale_positions")
    wrong = []
    if stale:
        fresh = held.fresh_coverage
        cover = "" if fresh is None else f"; {formats.percent(fresh)} of gross exposure has a fresh one"
        wrong.append(f"{_many(int(stale), 'position has', 'positions have')} a stale mark{cover}")
    aside = held.quarantined_to_date + held.quarantined_undated
    if aside:
        wrong.append(f"{_many(aside, 'row is', 'rows are')} in quarantine and may be missing here")
    if held.findings:
        wrong.append(f"{_many(len(held.findings), 'finding', 'findings')} below")
    if wrong:
        return f"Read the numbers with care: {'; '.join(wrong)}."
    return "The data is complete as far as known: every mark is fresh and no row is in quarantine."


def quality_rows(report: PortfolioMonitorReport) -> tuple[tuple[str, str], ...]:
    """Return how far the numbers can be trusted as pairs of label and value."""
    held = report.data_quality
    known = [(one_line(found.label), formats.value_or_reason(found, report.base_currency)) for found in held.section.figures]
    fresh = formats.percent(held.fresh_coverage)
    return (
        ("Gross exposure with a fresh mark", f"{fresh} (nothing is held)" if fresh == formats.NULL else fresh),
        *known,
        ("Rows in quarantine, of this day", f"{held.quarantined_on_day:,}"),
        ("Rows in quarantine, up to this day", f"{held.quarantined_to_date:,}"),
        ("Rows in quarantine without a day that can be read", f"{held.quarantined_undated:,}"),
    )


def reason(code: str) -> str:
    """Return a reason as a person reads it: the tables' codes in words, everything else as it is."""
    text = one_line(code)
    if text in REASONS:
        return REASONS[text]
    parts = [REASONS.get(part, part.replace("_", " ") if _CODE.fullmatch(part) else part) for part in _PARTS.split(text)]
    return "; ".join(parts) or "no reason given"


def not_known(report: PortfolioMonitorReport) -> tuple[str, ...]:
    """Return a sentence for each reason why figures of the report are null, with the figures that it silences."""
    of_one = not_known_of(every_figure(report))
    returns = [name for name, held in returned(report) if held is None]
    spans = (f"Return of {', '.join(returns)}: the portfolio is younger, or a unit value on the way is null.",) if returns else ()
    return tuple(dict.fromkeys((*of_one, *spans, *concentration_not_known(report))))


def concentration_not_known(report: PortfolioMonitorReport) -> tuple[str, ...]:
    """Return a sentence for each reason why concentration is null; dimensions that are null as a whole share one."""
    whole: dict[str, list[str]] = {}
    sentences: list[str] = []
    for found in report.concentration:
        known = [figure for figure in found.figures if figure.value is not None]
        codes = {figure.reason or found.reason for figure in found.figures}
        name = f"{one_line(found.dimension)}{'' if found.basis == 'gross' else f' ({one_line(found.basis)})'}"
        if not known and len(codes) == 1:
            whole.setdefault(reason(codes.pop()), []).append(name)
        else:
            sentences += not_known_of(found.figures, f" by {name}")
    return (*(f"Concentration by {', '.join(names)}: {why}." for why, names in whole.items()), *sentences)


def not_known_of(figures: Iterable[Figure], of: str = "") -> tuple[str, ...]:
    """Return a sentence for each reason why some of these figures, of what ``of`` says, are null."""
    by_reason: dict[str, list[str]] = {}
    for figure in figures:
        if figure.value is None:
            by_reason.setdefault(reason(figure.reason), []).append(one_line(figure.label))
    return tuple(f"{'; '.join(labels)}{of}: {why}." for why, labels in by_reason.items())


def every_figure(report: PortfolioMonitorReport) -> tuple[Figure, ...]:
    """Return the figures of every section with one row: headline, drawdown, data quality, diagnostics."""
    return tuple(figure for section in report.sections.values() for figure in section.figures)


def figure_of(report: PortfolioMonitorReport, section: str, name: str) -> Figure | None:
    """Return a figure of a section, None where the report has either not."""
    held = report.sections.get(section)
    return find(held.figures, name) if held is not None else None


def returned(report: PortfolioMonitorReport) -> tuple[tuple[str, float | None], ...]:
    """Return the periods and what was returned over each, flows not counted."""
    held = report.returns
    pairs = (("a week", held.week), ("the month", held.month), ("the quarter", held.quarter), ("the year", held.year))
    return (*pairs, ("all since the start", held.start))


def _share(share: float | None) -> str:
    return "" if share is None else f" with {formats.percent(share)} of gross"


def _sessions(number: int) -> str:
    return _many(number, "session", "sessions")


def _many(number: int, one: str, more: str) -> str:
    return f"{number:,} {one if number == 1 else more}"
