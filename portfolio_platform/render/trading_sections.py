"""The report's parts about what is traded: P&L, turnover, execution, idle capital, failures, calibration."""

from collections.abc import Mapping
from typing import Any

from portfolio_platform.monitor.report import PortfolioMonitorReport
from portfolio_platform.render import formats, words
from portfolio_platform.render.blocks import Block, Cell, Grid, columns, name_cell, number_cell, source
from portfolio_platform.render.exposure_sections import diagnostic, known, listed, said
from portfolio_platform.render.text import one_line
from portfolio_platform.signals.expectations import EXCURSIONS, NOT_ALIKE

PERCENT, MONEY = formats.PERCENT, formats.MONEY
MEASURES = {
    "slippage": "Slippage",
    "holding_time": "Holding time",
    "mae": "Adverse excursion",
    "mfe": "Favourable excursion",
    "win_rate": "Share won",
    "fill_ratio": "Share filled",
    "fill_time": "Time to fill",
}


def pnl(report: PortfolioMonitorReport) -> Block:
    """Return the day's P&L by strategy and by symbol, and the returns of longer spans."""
    spans = Grid(
        "Returns up to this day, flows not counted",
        columns("<Over", "Return"),
        tuple((Cell(name), Cell(formats.percent(value, 2))) for name, value in words.returned(report)),
    )
    by_strategy, by_symbol = report.rows("pnl_by_strategy"), report.rows("pnl_by_symbol")
    lead = "No P&L is attributed to this day."
    if by_strategy:
        largest = max(by_strategy, key=lambda row: abs(row.get("total") or 0.0))
        lead = f"Most of the day's P&L is of {_who(largest, 'strategy')}: {_signed(largest.get('total'))}."
    if by_symbol:
        largest = max(by_symbol, key=lambda row: abs(row.get("total") or 0.0))
        lead = f"{lead} By symbol, most is of {_who(largest, 'symbol')}: {_signed(largest.get('total'))}."
    grids = [spans]
    for name, by in (("pnl_by_strategy", "strategy"), ("pnl_by_symbol", "symbol")):
        rows = report.rows(name)
        if rows:
            heads = columns(f"<{by.capitalize()}", "Total", "Realised", "Unrealised", "~Income", "~Fees")
            cells = tuple(
                (
                    Cell(_who(row, by)),
                    *(Cell(_signed(row.get(part))) for part in ("total", "realised", "unrealised", "income")),
                    Cell(formats.money(row.get("fees"))),
                )
                for row in rows
            )
            grids.append(Grid(f"The day's P&L by {by}, {one_line(report.base_currency)}: {listed(report, name)}", heads, cells))
    return Block("pnl", "Returns and P&L", (lead,), (), tuple(grids), wide=True)


def _who(row: Mapping[str, Any], by: str) -> str:
    return one_line(str(row.get(by) or "")) or "no position (cash)"


def _signed(amount: float | None) -> str:
    if amount is None:
        return formats.NULL
    return f"+{formats.money(amount)}" if amount > 0.0 else formats.money(amount)


def turnover(report: PortfolioMonitorReport) -> Block:
    """Return turnover against what is usual, and the symbols that are traded back and forth."""
    usual = f"; {said(report, 'turnover', 'turnover_baseline')} is usual" if known(report, "turnover", "turnover_baseline") else ""
    lead = [f"{said(report, 'turnover', 'turnover_20')} of equity was traded in 20 sessions{usual}."]
    if known(report, "turnover", "fills_tail"):
        lead.append(
            f"{said(report, 'turnover', 'fills_20')} fills; at the usual rate so many "
            f"have a chance of {said(report, 'turnover', 'fills_tail')}."
        )
    if known(report, "turnover", "cost_drag_bps"):
        lead.append(f"Fees took {said(report, 'turnover', 'cost_drag_bps')} of equity.")
    if not known(report, "turnover", "turnover_20"):
        found = words.figure_of(report, "turnover", "turnover_20")
        lead[0] = f"The turnover of 20 sessions is not known: {words.reason(found.reason) if found else 'it is not computed'}."
    cells = tuple(
        (
            name_cell(row, "symbol"),
            number_cell(row, "churn", "1"),
            number_cell(row, "trades", "count"),
            number_cell(row, "flips", "count"),
            number_cell(row, "traded", MONEY),
            number_cell(row, "fees", MONEY),
        )
        for row in report.rows("churn")
    )
    heads = columns("<Symbol", "Churn", "Trades", "~Flips", "Traded", "~Fees")
    caption = f"Traded back and forth, 20 sessions: {listed(report, 'churn')} with 4 trades or more; 1 is all round trips"
    return diagnostic(report, "turnover", "Turnover and churn", tuple(lead), Grid(caption, heads, cells) if cells else None)


def execution(report: PortfolioMonitorReport) -> Block:
    """Return what execution was against what playbooks expect, with intervals."""
    rows = report.rows("execution")
    held = report.details.get("execution")
    if not rows:
        return Block("execution", "Execution against expectation", ("No trade to compare with an expectation.",), wide=True)
    off = [row for row in rows if (row.get("drift") or 0.0) > 0.0 or row.get("cusum_signal")]
    compared = any(row.get("expected") is not None for row in rows)
    lead = "No interval lies beyond its expectation." if compared else "No playbook states an expectation to compare with."
    if off:
        names = ", ".join(f"{_measure(row).lower()} of {_playbook(row)}" for row in off[:3])
        more = f" and {len(off) - 3} more" if len(off) > 3 else ""
        lead = f"Beyond what is expected: {names}{more}."
    cells = tuple(
        (
            Cell(_measure(row)),
            Cell(_playbook(row)),
            number_cell(row, "realised", str(row.get("unit") or "")),
            Cell(_interval(row)),
            Cell(_expected(row), source(row, "expected")),
            Cell(_beyond(row), source(row, "drift")),
            number_cell(row, "n", "count"),
            Cell(_cusum(row), source(row, "cusum")),
            Cell(_standing(row)),
        )
        for row in rows
    )
    heads = columns("<Measure", "<Playbook", "Realised", "Interval, 95 %", "Expected", "~Beyond by", "n", "~CUSUM", "<Says")
    total = f" {len(rows):,} of {held.total:,}." if held is not None and held.total > len(rows) else ""
    alike = f" {NOT_ALIKE.capitalize()}." if any(row.get("measure") in EXCURSIONS for row in rows) else ""
    caption = f"Median (rate where the measure is one) of the newest trades, with its interval.{total}{alike}"
    return Block("execution", "Execution against expectation", (lead,), (), (Grid(caption, heads, cells),), wide=True)


def _measure(row: Mapping[str, Any]) -> str:
    name = str(row.get("measure"))
    return MEASURES.get(name, one_line(name))


def _playbook(row: Mapping[str, Any]) -> str:
    name = str(row.get("playbook"))
    return "all playbooks" if name == "all" else one_line(name)


def _interval(row: Mapping[str, Any]) -> str:
    low, high, unit = row.get("low"), row.get("high"), str(row.get("unit") or "")
    if low is None or high is None:
        return formats.NULL
    return f"{formats.measured(low, unit)} to {formats.measured(high, unit)}"


def _expected(row: Mapping[str, Any]) -> str:
    return formats.measured(row.get("expected"), str(row.get("unit") or ""))


def _beyond(row: Mapping[str, Any]) -> str:
    drift = row.get("drift")
    text = formats.measured(drift, str(row.get("unit") or ""))
    if not drift:
        return formats.NULL if drift is None else "0"
    return text if any(char in "123456789" for char in text) else formats.ALMOST_UNCHANGED


def _cusum(row: Mapping[str, Any]) -> str:
    text = formats.measured(row.get("cusum"), "sigma")
    return f"{text}, signal" if row.get("cusum_signal") else text


def _standing(row: Mapping[str, Any]) -> str:
    if (row.get("drift") or 0.0) > 0.0:
        return "◆ worse than expected"
    if row.get("cusum_signal"):
        return "◆ worse for long"
    if row.get("reason"):
        return words.reason(str(row["reason"]))
    return "as expected" if row.get("drift") is not None else formats.NULL


def idle(report: PortfolioMonitorReport) -> Block:
    """Return idle capital against opportunity, and what was refused."""
    lead = [f"{said(report, 'idle', 'idle')} of the heat cap lay idle over 20 sessions."]
    if known(report, "idle", "feasible_use"):
        lead.append(f"The opportunity could sustain a use of {said(report, 'idle', 'feasible_use')}.")
    if known(report, "idle", "missed_rate"):
        lead.append(f"{said(report, 'idle', 'missed')} of {said(report, 'idle', 'setups')} qualified setups were missed for capacity.")
    if known(report, "idle", "rejection_rate"):
        intents = f"{said(report, 'idle', 'recent_intents')} intents" if known(report, "idle", "recent_intents") else "the recent intents"
        before = f"; {said(report, 'idle', 'rejection_baseline')} before" if known(report, "idle", "rejection_baseline") else ""
        lead.append(f"{said(report, 'idle', 'rejection_rate')} of {intents} were rejected{before}.")
    if not known(report, "idle", "idle"):
        found = words.figure_of(report, "idle", "idle")
        lead[0] = f"Idle capital is not known: {words.reason(found.reason) if found else 'it is not computed'}."
    return diagnostic(report, "idle", "Idle capital and rejections", tuple(lead))


def failures(report: PortfolioMonitorReport) -> Block:
    """Return how losing trades failed, and which failures come back."""
    rows = report.rows("failures")
    coming = [row for row in rows if row.get("recurring")]
    lead = "No failure comes back: none is both more frequent than before and spread over symbols."
    if coming:
        names = ", ".join(f"{_mode(row)} ({row.get('cases')} of {row.get('trades')} trades)" for row in coming[:3])
        lead = f"Failures that come back: {names}."
    if not rows:
        lead = "No losing trade in the last 60 sessions."
    cells = tuple(
        (
            Cell(("◆ " if row.get("recurring") else "") + _mode(row)),
            Cell(f"{one_line(str(row.get('template')))}, {one_line(str(row.get('side')))}"),
            Cell(one_line(str(row.get("regime") or formats.NULL)).replace("_", " ")),
            Cell(f"{row.get('cases')} of {row.get('trades')}", source(row, "cases")),
            number_cell(row, "baseline_share", PERCENT),
            number_cell(row, "p_adjusted", "probability"),
            number_cell(row, "loss_share", PERCENT),
            name_cell(row, "members"),
        )
        for row in rows
    )
    heads = columns("<How it failed", "<Template, side", "~<Market", "Cases", "Share before", "~p, adjusted", "Of losses", "~<Symbols")
    grid = (
        Grid(f"Losing trades of 60 sessions, least chance first: {listed(report, 'failures')}; ◆ comes back", heads, cells)
        if cells
        else None
    )
    return Block("failures", "Failure modes", (lead,), (), (grid,) if grid else (), wide=True)


def _mode(row: Mapping[str, Any]) -> str:
    return one_line(str(row.get("failure_mode"))).replace("_", " ")


def calibration(report: PortfolioMonitorReport) -> Block:
    """Return whether stated confidence came true."""
    lead = [
        f"{said(report, 'calibration', 'confidence')} was stated, "
        f"{said(report, 'calibration', 'hit_rate')} of {said(report, 'calibration', 'n')} resolved signals came true."
    ]
    gap = words.figure_of(report, "calibration", "gap")
    if gap is not None and gap.value is not None:
        lead.append(
            f"That is {'too confident' if gap.value > 0 else 'too cautious'} by {formats.moved(abs(gap.value), PERCENT).lstrip('+')}."
        )
    elif known(report, "calibration", "n"):
        lead = [f"Calibration is not known: {words.reason(gap.reason) if gap else 'it is not computed'}."]
    return diagnostic(report, "calibration", "Calibration", tuple(lead), wide=True)
