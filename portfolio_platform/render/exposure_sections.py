"""The report's parts about what is held: heat, concentration, drift and crowding, correlation, drawdown, positions."""

from collections.abc import Mapping
from typing import Any

from portfolio_platform.monitor.report import Concentration, PortfolioMonitorReport
from portfolio_platform.render import formats, words
from portfolio_platform.render.blocks import Block, Cell, Grid, columns, name_cell, number_cell, source
from portfolio_platform.render.text import one_line

PERCENT, MONEY = formats.PERCENT, formats.MONEY
NOT_COMPUTED = "It is not computed for this session."


def said(report: PortfolioMonitorReport, section: str, name: str) -> str:
    """Return a figure of a section as text; an en dash where there is none."""
    found = words.figure_of(report, section, name)
    return formats.value(found, report.base_currency) if found is not None else formats.NULL


def known(report: PortfolioMonitorReport, section: str, name: str) -> bool:
    """Say whether a figure of a section has a value."""
    found = words.figure_of(report, section, name)
    return found is not None and found.value is not None


def diagnostic(
    report: PortfolioMonitorReport, name: str, title: str, lead: tuple[str, ...], *grids: Grid | None, wide: bool = False
) -> Block:
    """Return the block of a diagnostic with one row a session; where the row is missing or null as a whole, it says why."""
    section = report.diagnostics.get(name)
    figures = section.figures if section is not None else ()
    if section is None:
        lead = (NOT_COMPUTED,)
    elif all(figure.value is None for figure in figures):
        lead = (f"Not known: {words.reason(section.reason)}.",)
    shown = tuple(grid for grid in grids if grid is not None)
    return Block(name, title, tuple(text for text in lead if text), figures, shown, wide)


def held_by(row: Mapping[str, Any]) -> str:
    """Return a row's symbol and strategy: 'AAPL by trend'."""
    return f"{one_line(str(row.get('symbol')))} by {one_line(str(row.get('strategy')))}"


def heat(report: PortfolioMonitorReport) -> Block:
    """Return heat with the largest risks."""
    rows = report.rows("risks")
    imputed = words.figure_of(report, "heat", "imputed_share")
    beyond = words.figure_of(report, "heat", "beyond_stop")
    lead = [
        f"{said(report, 'heat', 'heat')} of equity is at risk down to the stops, "
        f"{said(report, 'heat', 'use')} of the cap of {said(report, 'heat', 'cap')}."
    ]
    if imputed is not None and imputed.value:
        lead.append(f"{formats.value(imputed)} of that risk is imputed: the positions behind it have no usable stop.")
    if beyond is not None and beyond.value:
        lead.append(f"{formats.value(beyond)} {'position is' if beyond.value == 1 else 'positions are'} open beyond the stop.")
    cells = tuple(
        (
            name_cell(row, "symbol"),
            name_cell(row, "strategy"),
            name_cell(row, "direction"),
            number_cell(row, "risk", MONEY),
            number_cell(row, "risk_pct", PERCENT),
            Cell(formats.price(row.get("mark"))),
            Cell(formats.price(row.get("stop_price"))),
            Cell(_how(row)),
        )
        for row in rows
    )
    heads = columns("<Symbol", "<Strategy", "~<Side", f"Risk, {one_line(report.base_currency)}", "Of equity", "~Mark", "~Stop", "<Rests on")
    grid = Grid(f"The largest risks: {listed(report, 'risks')}", heads, cells) if cells else None
    return diagnostic(report, "heat", "Heat", tuple(lead), grid)


def _how(row: Mapping[str, Any]) -> str:
    method = one_line(str(row.get("method") or formats.NULL))
    if row.get("reason"):
        return f"{method}; {words.reason(str(row['reason']))}"
    return f"{method}, beyond it" if row.get("beyond_stop") else method if method == "stop" else f"{method} (imputed)"


def listed(report: PortfolioMonitorReport, name: str) -> str:
    """Return how many of a detail's rows are listed: '8 of 12'."""
    held = report.details.get(name)
    return f"{len(held.rows):,} of {held.total:,}" if held is not None else "none"


def concentration(report: PortfolioMonitorReport) -> Block:
    """Return concentration by gross exposure and by risk in one table, a row for each dimension."""
    names = tuple(dict.fromkeys(found.dimension for found in report.concentration))
    symbol = words.dimension(report, "symbol")
    lead = ["No concentration is reported: nothing is held, or it has not been computed."] if not report.concentration else []
    if symbol is not None and symbol.top:
        effective, top = words.find(symbol.figures, "effective_n"), symbol.top[0]
        number = formats.value(effective) if effective else formats.NULL
        lead.append(
            f"As {number} symbols of equal size; the largest, {one_line(top.group)}, has {formats.percent(top.share)} of gross exposure "
            f"and {formats.percent(top.exposure_pct)} of equity."
        )
    rows = []
    for name in names:
        gross, risk = words.dimension(report, name, "gross"), words.dimension(report, name, "risk")
        held = gross or risk or next(found for found in report.concentration if found.dimension == name)
        rows.append(
            (Cell(one_line(name)), Cell(_largest(held), _origin(held)), _of_equity(held), *_basis(gross), *_basis(risk), _coverage(held))
        )
    heads = columns(
        "<by",
        "<Largest, of gross",
        "Largest, of equity",
        "Effective number",
        "~HHI",
        "<By risk: largest",
        "By risk: effective number",
        "~By risk: HHI",
        "~Classified",
    )
    # the risk's largest comes before its effective number
    shown = tuple((*row[:3], row[4], row[5], row[6], row[7], row[8], row[9]) for row in rows)
    grid = Grid("By gross exposure and by risk; one bet where the effective number is near 1", heads, shown) if shown else None
    return Block(
        "concentration", "Concentration", tuple(lead), (), (grid,) if grid else (), wide=True, unknown=words.concentration_not_known(report)
    )


def _largest(found: Concentration) -> str:
    text = ", ".join(f"{one_line(group.group)} {formats.percent(group.share)}" for group in found.top)
    rest = found.groups - len(found.top)
    return (text or formats.NULL) + (f" and {rest:,} more" if rest > 0 and text else "")


def _origin(found: Concentration) -> str:
    return "; ".join(f"{one_line(group.evidence_id)} = {formats.exact(group.exposure)}" for group in found.top)


def _of_equity(found: Concentration) -> Cell:
    return _figure(found, "top_exposure_pct")


def _coverage(found: Concentration) -> Cell:
    return _figure(found, "coverage")


def _basis(found: Concentration | None) -> tuple[Cell, Cell, Cell]:
    """Return the largest group's share with its name, the effective number and the HHI over a basis."""
    if found is None:
        return (Cell(formats.NULL), Cell(formats.NULL), Cell(formats.NULL))
    top = found.top[0] if found.top else None
    largest = f"{one_line(top.group)} {formats.percent(top.share)}" if top else formats.NULL
    return (Cell(largest), _figure(found, "effective_n"), _figure(found, "hhi"))


def _figure(found: Concentration, name: str) -> Cell:
    figure = words.find(found.figures, name)
    if figure is None or figure.value is None:
        return Cell(formats.NULL)
    return Cell(formats.value(figure), f"{one_line(figure.evidence_id)} = {formats.exact(figure.value)}")


def drift(report: PortfolioMonitorReport) -> Block:
    """Return which templates and playbooks have another share than they used to, and where strategies crowd."""
    rows, crowds = report.rows("drift"), report.rows("crowding")
    lead = ["No share of a template or playbook can be compared with what it was."]
    furthest = next((row for row in rows if row.get("drift") is not None), None)
    if furthest is not None:
        lead = [
            f"Furthest from its usual share: the {one_line(str(furthest.get('dimension')))} {one_line(str(furthest.get('group')))}, "
            f"{formats.percent(furthest.get('share'))} against {formats.percent(furthest.get('baseline'))}."
        ]
    if crowds:
        names = ", ".join(
            f"{one_line(str(row.get('group')))} ({row.get('strategies')} {one_line(str(row.get('side')))})" for row in crowds[:3]
        )
        lead.append(f"Several strategies stand on one side of {names}.")
    drifted = tuple(
        (
            name_cell(row, "group"),
            name_cell(row, "dimension"),
            number_cell(row, "share", PERCENT),
            number_cell(row, "baseline", PERCENT),
            Cell(formats.moved(row.get("drift"), PERCENT), source(row, "drift")),
            number_cell(row, "baseline_sessions", "count"),
        )
        for row in rows
    )
    crowded = tuple(
        (
            name_cell(row, "group"),
            name_cell(row, "kind"),
            name_cell(row, "side"),
            number_cell(row, "strategies", "count"),
            name_cell(row, "members"),
            number_cell(row, "exposure_pct", PERCENT),
        )
        for row in crowds
    )
    grids = []
    if drifted:
        heads = columns("<Group", "<Kind", "Share", "Baseline", "Drift", "~Sessions")
        grids.append(Grid(f"Mean share of gross over 20 sessions against the sessions before: {listed(report, 'drift')}", heads, drifted))
    if crowded:
        heads = columns("<Crowded", "<Kind", "<Side", "Strategies", "~<Who", "Of equity")
        grids.append(Grid(f"Two strategies or more on one side: {listed(report, 'crowding')}", heads, crowded))
    return Block("drift", "Drift and crowding", tuple(lead), (), tuple(grids))


def correlation(report: PortfolioMonitorReport) -> Block:
    """Return how many bets the positions are, and which symbols move together."""
    buckets = report.rows("buckets")
    lead = []
    if known(report, "correlation", "stack_ratio"):
        between = ""
        if known(report, "correlation", "stack_ratio_low"):
            between = f" (bounds {said(report, 'correlation', 'stack_ratio_low')} to {said(report, 'correlation', 'stack_ratio_high')})"
        lead.append(f"The positions are {said(report, 'correlation', 'stack_ratio')} times fewer bets than they seem{between}.")
        if known(report, "correlation", "effective_bets"):
            lead[0] = f"{lead[0][:-1]}: {said(report, 'correlation', 'effective_bets')} effective bets."
    else:
        found = words.figure_of(report, "correlation", "stack_ratio")
        lead.append(f"How far positions stack is not known: {words.reason(found.reason) if found else 'it is not computed'}.")
    if buckets:
        first = buckets[0]
        lead.append(
            f"{one_line(str(first.get('symbols')))} move together and hold "
            f"{formats.percent(first.get('same_direction_pct'))} of equity in one direction."
        )
    cells = tuple(
        (
            name_cell(row, "symbols"),
            number_cell(row, "size", "count"),
            number_cell(row, "same_direction_pct", PERCENT),
            number_cell(row, "tightness", "1"),
        )
        for row in buckets
    )
    heads = columns("<Symbols of a bucket", "Size", "One direction, of equity", "Least correlation")
    grid = Grid(f"Buckets of symbols that move together: {listed(report, 'buckets')}", heads, cells) if cells else None
    return diagnostic(report, "correlation", "Correlation", tuple(lead), grid)


def drawdown(report: PortfolioMonitorReport) -> Block:
    """Return drawdown, the regime, and the room to the next graver one."""
    state = report.drawdown
    lead = [
        f"Regime: {words.regime(state.regime)}, {words.since_when(report)}{f' ({one_line(state.transition)})' if state.transition else ''}."
    ]
    if state.room is not None:
        following = words.REGIMES.get(state.next_regime, one_line(state.next_regime))
        lead.append(f"Room: {formats.percent(state.room)} of drawdown until {following}.")
    elif state.regime == "risk_off":
        lead.append("No graver regime follows.")
    if state.reason:
        lead.append(f"{words.reason(state.reason)}.")
    return Block("drawdown", "Drawdown", tuple(lead), state.figures)


def positions(report: PortfolioMonitorReport) -> Block:
    """Return the largest positions."""
    rows = report.rows("positions")
    if not rows:
        none = "No position is open." if not report.open_positions else "The positions are not listed."
        return Block("positions", "Positions", (none,), wide=True)
    equity = report.headline.value("equity")
    cells = tuple(_position(row, equity) for row in rows)
    currency = one_line(report.base_currency)
    heads = columns(
        "<Symbol",
        "<Strategy",
        "~<Template, playbook",
        "<Side",
        "~Quantity",
        "~Cost",
        "~Mark",
        "~Stop",
        f"Value, {currency}",
        "Of equity",
        "Unrealised",
    )
    rest = report.open_positions - len(rows)
    title = "Largest positions" if rest > 0 else "Positions"
    lead = (f"{rest:,} smaller {'position is' if rest == 1 else 'positions are'} not listed.",) if rest > 0 else ()
    caption = (
        f"{len(rows):,} of {report.open_positions:,} open positions, largest first; prices and unrealised P&L in the position's currency"
    )
    return Block("positions", title, lead, (), (Grid(caption, heads, cells),), wide=True)


def _position(row: Mapping[str, Any], equity: float | None) -> tuple[Cell, ...]:
    held, quantity = row.get("market_value_base"), str(row.get("quantity"))
    share = held / equity if isinstance(held, (int, float)) and equity else None
    made_by = f"{one_line(str(row.get('template') or 'no template'))}, {one_line(str(row.get('playbook') or 'no playbook'))}"
    return (
        name_cell(row, "symbol"),
        name_cell(row, "strategy"),
        Cell(made_by),
        Cell("short" if quantity.startswith("-") else "long"),
        Cell(formats.quantity(quantity)),
        Cell(formats.price(row.get("average_cost"))),
        Cell(formats.mark(row)),
        Cell(formats.price(row.get("stop_price"))),
        number_cell(row, "market_value_base", MONEY),
        Cell(formats.percent(share)),
        Cell(formats.money(row.get("unrealised_pnl"), str(row.get("currency") or "")), source(row, "unrealised_pnl")),
    )
