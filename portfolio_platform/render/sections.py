"""Every part of the report that has a heading, in the order in which it is read."""

from collections.abc import Iterator
from dataclasses import dataclass

from portfolio_platform.monitor.alerts.sentences import shown_scope
from portfolio_platform.monitor.report import Figure, PortfolioMonitorReport
from portfolio_platform.render import exposure_sections as held
from portfolio_platform.render import formats, words
from portfolio_platform.render import trading_sections as traded
from portfolio_platform.render.alerts import MONITOR_ONLY
from portfolio_platform.render.blocks import Block, Cell, Grid, columns
from portfolio_platform.render.text import one_line

LABELS = {"headline": "Headline", "drawdown": "Drawdown", "data_quality": "Data quality", "heat": "Heat", "correlation": "Correlation"}
LABELS |= {"turnover": "Turnover", "idle": "Idle capital", "calibration": "Calibration"}
KINDS = {"act": "Act", "look": "Look", "wait": "Wait", "mend": "Mend"}


@dataclass(frozen=True)
class Source:
    """A number as the report holds it, and the address of its row."""

    label: str
    exact: str
    evidence_id: str


def diagnostics(report: PortfolioMonitorReport) -> tuple[Block, ...]:
    """Return the blocks of what is held, then of what is traded, then of how good the signals are."""
    return (
        held.heat(report),
        held.correlation(report),
        held.concentration(report),
        held.drawdown(report),
        held.drift(report),
        traded.execution(report),
        traded.turnover(report),
        traded.idle(report),
        traded.failures(report),
        traded.calibration(report),
    )


def insufficient(report: PortfolioMonitorReport) -> Block:
    """Return what the sample does not allow to say yet: what is missing, and how long until there is enough."""
    sample = report.sufficiency
    if not sample.failed:
        lead = "The sample suffices for every figure." if sample.passed else "No sample has been judged for this session."
        return Block("insufficient", "What the sample does not allow to say yet", (lead,), wide=True)
    rows = tuple(
        (
            Cell(f"{one_line(found.label)}{_about(found.scope)}", one_line(found.evidence_id)),
            Cell(words.missing(found)),
            Cell(words.until(found)),
            Cell(words.reason(found.reason)),
            Cell(one_line(found.gate)),
        )
        for found in sample.failures
    )
    heads = columns("<Figure", "<Missing", "<Until there is enough", "<Why", "~<Gate")
    rest = sample.failed - len(rows)
    lead = f"{sample.failed:,} of {sample.failed + sample.passed:,} figures: they are shown, but nothing is recommended on them."
    caption = f"{len(rows):,} of {sample.failed:,} gates that failed" + (f"; {rest:,} more are not listed" if rest > 0 else "")
    return Block("insufficient", "What the sample does not allow to say yet", (lead,), (), (Grid(caption, heads, rows),), wide=True)


def _about(scope: str) -> str:
    """Return what a gate is about; long scopes are keys whose parts may break at a line's end."""
    if not scope:
        return ""
    shown = one_line(shown_scope(scope))
    return f" ({shown.replace('_', ' ') if scope.count('/') > 1 else shown})"


def follow_ups(report: PortfolioMonitorReport) -> tuple[tuple[str, str, str], ...]:
    """Return what to do next as label, sentence and note; what is for the monitor only is marked and comes last."""
    ordered = sorted(report.follow_ups, key=lambda one: one.monitor_only)
    return tuple((KINDS[one.kind], one_line(one.sentence), MONITOR_ONLY if one.monitor_only else "") for one in ordered)


def named_figures(report: PortfolioMonitorReport) -> Iterator[tuple[str, tuple[Figure, ...]]]:
    """Yield every section with one row: its label and figures."""
    for name, section in report.sections.items():
        yield LABELS.get(name, one_line(name)), section.figures


def sources(report: PortfolioMonitorReport) -> Iterator[Source]:
    """Yield every number of the report, unrounded, with its evidence id; then what changes, alerts and follow-ups rest on."""
    for figure in words.every_figure(report):
        yield _source(figure, "")
    for found in report.concentration:
        by = f" by {one_line(found.dimension)} ({one_line(found.basis)})"
        for figure in found.figures:
            yield _source(figure, by)
        for group in found.top:
            label = f"{one_line(found.dimension)} {one_line(group.group)} ({one_line(found.basis)})"
            yield Source(label, formats.exact(group.exposure), one_line(group.evidence_id))
    for name in report.details:
        for row in report.rows(name):
            if row.get("of"):
                of = one_line(str(row["of"]))
                values = "; ".join(f"{key} {formats.exact(value)}" for key, value in row.items() if isinstance(value, float))
                yield Source(f"{one_line(name)}: {_row_label(of)}", values, of)
    for change in report.changes:
        for evidence in change.evidence_ids:
            yield Source(one_line(change.sentence), "", one_line(evidence))
    for alert in report.alerts:
        for evidence in alert.evidence_ids:
            yield Source(f"Alert: {one_line(alert.sentence)}", formats.exact(alert.observed), one_line(evidence))
    for failure in report.sufficiency.failures:
        yield Source(f"Gate: {one_line(failure.label)}", formats.exact(failure.sample_size), one_line(failure.evidence_id))


def _row_label(of: str) -> str:
    return " ".join(of.split("/")[3:]) or of


def _source(figure: Figure, suffix: str) -> Source:
    exact = formats.exact(figure.value) if figure.value is not None else formats.value_or_reason(figure)
    return Source(f"{one_line(figure.label)}{suffix}", exact, one_line(figure.evidence_id))
