"""What is said of a plan, before it is written anywhere: facts, sentences, tables of cells. Unescaped text, the same for every output."""

from collections.abc import Sequence
from decimal import Decimal

from portfolio_platform.orchestrator.directive import Directives
from portfolio_platform.orchestrator.directives import sentence
from portfolio_platform.orchestrator.guide import GuideStep, Phase
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.orchestrator.planned import CASH, Check, Plan, Trade
from portfolio_platform.orchestrator.profile import Profile, ppm
from portfolio_platform.render.blocks import Cell, Grid, columns
from portfolio_platform.render.formats import NULL
from portfolio_platform.render.orchestration import wording as say

WAY_OUT = "Mend what the reasons name and plan again, or ask for an exception: portfolio escalations list shows what is asked already."

MOST_NAMED = 6
"""Sells that an order waits for, and lots that it takes, that are named one by one."""


def grid(caption: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Grid:
    """Return a table of texts; '<' before a head makes its column one of words."""
    return Grid(caption, columns(*heads), tuple(tuple(Cell(text) for text in row) for row in rows))


def facts(papers: PlanPapers) -> list[tuple[str, str]]:
    """Return what identifies a plan."""
    plan, profile = papers.plan, papers.profile
    orders = "sells first by liquidity, then buys by conviction"
    found = [
        ("Execution", plan.execution_id),
        ("Portfolio", f"{plan.portfolio}, worth {say.money(plan.dry_run.equity_before_minor, plan.digits, plan.currency)}"),
        ("Made", f"{say.when(plan.made_at)}; may be executed until {say.when(plan.expires_at)}"),
        ("From", _origin(papers)),
        ("Profile", f"{plan.profile}, {orders if profile.sequence.order == 'sells_then_buys' else 'in the order of approval'}"),
        ("Trades", trades_counted(plan)),
    ]
    return found


def trades_counted(plan: Plan) -> str:
    """Return how many orders there are, and what they bring and cost."""
    sells = sum(trade.side == "sell" for trade in plan.trades)
    run, buys = plan.dry_run, len(plan.trades) - sells
    parts = [f"{say.counted(sells, 'sell')} for {say.money(run.sells_minor, plan.digits, plan.currency)}"] if sells else []
    parts += [f"{say.counted(buys, 'buy')} for {say.money(run.buys_minor, plan.digits, plan.currency)}"] if buys else []
    return ", ".join([*parts, f"fees {say.money(run.fees_minor, plan.digits, plan.currency)}"]) if parts else "none"


def _origin(papers: PlanPapers) -> str:
    if papers.recommendation is not None:
        found = papers.recommendation
        size = f"{found.proposed_allocation_pct:f} %"
        return f"recommendation of {found.ticker}, {size}, conviction {found.conviction_score} ({found.source})"
    if papers.queue is not None:
        return f"approved queue {papers.queue.source}, {say.counted(len(papers.queue.trades), 'trade')}"
    read = papers.directives
    number = 0 if read is None else len(read.directives)
    return f"{papers.document_source or 'directives'}, {say.counted(number, 'directive')}"


def orders(phase: Phase, plan: Plan) -> Grid:
    """Return the orders of a phase as the guide gives them."""
    digits = plan.digits
    rows = [
        (
            str(step.sequence),
            step.trade_id,
            f"{step.side.upper()} {step.ticker}",
            step.account,
            say.shares(step.quantity),
            limit(step, digits),
            say.money(step.expected_minor, digits),
            say.money(step.cash_after_minor, digits),
            say.money(step.account_after_minor, digits),
            order_note(step),
        )
        for step in phase.steps
    ]
    heads = ("#", "<Id", "<Order", "<Account", "Quantity", "Limit price", "Expected", "Cash after", "Account after", "<Note")
    return grid(f"Phase {phase.number}: {phase.title}, {say.money(phase.total_minor, digits, plan.currency)}", heads, rows)


def limit(step: GuideStep, digits: int) -> str:
    """Return a limit price with its side: sell no lower, buy no higher."""
    return f"{'≥' if step.side == 'sell' else '≤'} {say.price(step.limit_price, digits)}"


def order_note(step: GuideStep) -> str:
    """Return what an order waits for and which lots it takes; the trade list has every one of many."""
    waits = step.waits_for
    text = f"wait until {', '.join(waits)} {'is' if len(waits) == 1 else 'are'} confirmed" if waits else ""
    if len(waits) > MOST_NAMED:
        text = f"wait until {len(waits)} sells of {step.account} are confirmed, {waits[0]} to {waits[-1]}"
    lots = f"sell {'; '.join(step.lots[:MOST_NAMED])}" if step.lots else ""
    more = len(step.lots) - MOST_NAMED
    lots += f" and {say.counted(more, 'more lot')}" if more > 0 else ""
    return "; ".join(part for part in (text, lots) if part)


def rules(profile: Profile) -> tuple[str, ...]:
    """Return the rules of the profile that hold while a person executes."""
    execution, escalation = profile.execution, profile.escalation
    return (
        "Give every order with its limit price: sell no lower, buy no higher.",
        f"A fill more than {execution.slippage_bps:f} basis points from its price is reported as slippage.",
        f"A fill below {execution.partial_fill_pct:f} % of its order is reported as partial.",
        f"After {execution.no_fill_minutes} minutes without a fill, cancel what is open and ask {escalation.routing}; "
        f"an answer is due within {escalation.sla_minutes} minutes.",
        f"Cash never below {say.exact_percent(ppm(profile.buffer.floor_pct))} of the portfolio, and no account below 0: stop before that.",
    )


def targets(plan: Plan) -> Grid | None:
    """Return what each sector is asked for; None where the plan has no targets."""
    if not plan.targets:
        return None
    rows = [
        (
            target.sector,
            target.action if target.sector != CASH else "TARGET",
            say.percent(target.current_ppm),
            say.exact_percent(target.target_ppm),
            say.money(target.amount_minor, plan.digits) if target.action != "HOLD" else NULL,
            str(target.line) if target.line else NULL,
        )
        for target in plan.targets
    ]
    return grid("What the directives ask", ("<Sector", "<Action", "Now", "Target", f"Amount {plan.currency}", "Line"), rows)


def sectors(plan: Plan) -> Grid:
    """Return every sector before and after, beside its target and its cap."""
    digits = plan.digits
    rows = [
        (
            row.sector,
            say.money(row.before_minor, digits),
            say.percent(row.before_ppm),
            say.money(row.after_minor, digits),
            say.percent(row.after_ppm),
            say.points(row.after_ppm - row.before_ppm) if row.after_ppm != row.before_ppm else NULL,
            say.exact_percent(row.target_ppm),
            say.exact_percent(row.cap_ppm),
        )
        for row in plan.dry_run.sectors
    ]
    heads = ("<Sector", f"Before {plan.currency}", "Before", f"After {plan.currency}", "After", "Change", "Target", "Cap")
    return grid("The portfolio before and after all trades", heads, rows)


def positions(plan: Plan) -> Grid:
    """Return the positions that the plan changes."""
    rows = [
        (
            row.ticker,
            row.sector,
            say.money(row.before_minor, plan.digits),
            say.percent(row.before_ppm),
            say.money(row.after_minor, plan.digits),
            say.percent(row.after_ppm),
        )
        for row in plan.dry_run.positions
    ]
    heads = ("<Position", "<Sector", f"Before {plan.currency}", "Before", f"After {plan.currency}", "After")
    return grid("Positions that change, over all accounts", heads, rows)


def constraints(plan: Plan) -> Grid:
    """Return the six constraints: what each asks, whether it holds, and what comes nearest to it."""
    rows = [
        (
            f"{check.number} {say.check_name(check)}",
            check.limit,
            say.PASSED if check.passed else say.FAILED,
            say.PASSED if check.worst_passed else say.FAILED,
            nearest(check),
        )
        for check in plan.dry_run.checks
    ]
    return grid("The six constraints", ("<Constraint", "<Limit", "<As planned", "<Worst case", "<Nearest to the limit"), rows)


def nearest(check: Check) -> str:
    """Return what violates a constraint, all of it; else what comes nearest."""
    violated = [observed.text for observed in check.worst_observed if not observed.passed]
    if violated:
        return "; ".join(violated)
    if not check.worst_passed:
        return "worst case: " + "; ".join(observed.text for observed in check.worst_case[:3])
    return check.worst_observed[0].text if check.worst_observed else NULL


def cash_path(plan: Plan) -> Grid:
    """Return the cash after every trade, as planned and in the worst case."""
    digits = plan.digits
    rows = [
        (
            str(step.sequence),
            step.trade_id,
            f"{trade.side} {trade.ticker}",
            say.signed(trade.cash_minor, digits),
            say.money(step.cash_after_minor, digits),
            say.percent(step.buffer_ppm),
            say.STATES[step.state],
            say.money(step.account_after_minor, digits),
            say.money(step.worst_cash_after_minor, digits),
            say.PASSED if step.holds and step.worst_holds else "✗ in the worst case" if step.holds else say.FAILED,
        )
        for trade, step in zip(plan.trades, plan.path, strict=True)
    ]
    heads = ("#", "<Id", "<Trade", "Changes cash", "Cash after", "Buffer", "<State", "Account after", "Worst case", "<Holds")
    return grid(f"Cash after every trade, {plan.currency}", heads, rows)


def worst_case(papers: PlanPapers) -> Grid:
    """Return where cash and value end as planned and in the worst case."""
    plan, worst = papers.plan, papers.profile.worst_case
    run, digits = plan.dry_run, plan.digits
    fees = sum(trade.worst_fee_minor for trade in plan.trades)
    lowest = min((step.worst_cash_after_minor for step in plan.path), default=run.cash_before_minor)
    planned = (run.cash_after_minor, run.lowest_cash_minor, run.fees_minor, run.equity_after_minor)
    slipped = (run.worst_cash_after_minor, lowest, fees, run.worst_equity_after_minor)
    names = ("Cash at the end", "Lowest cash on the way", "Fees", "Value at the end")
    rows = [(name, say.money(one, digits), say.money(other, digits)) for name, one, other in zip(names, planned, slipped, strict=True)]
    caption = f"Worst case: {worst.slippage_bps:f} basis points against every trade, fees of {worst.fee_fixed:f} and {worst.fee_bps:f} bps"
    return grid(caption, (f"<{plan.currency}", "As planned", "Worst case"), rows)


def picks(plan: Plan) -> Grid:
    """Return why each trade is there: gain or pick, conviction, residue."""
    rows = [
        (
            trade.trade_id,
            f"{trade.side} {trade.ticker}",
            trade.sector,
            _reason(trade),
            say.money(trade.residue_minor, plan.digits) if trade.residue_minor else NULL,
            say.money(sum(lot.gain_minor for lot in trade.lots), plan.digits) if trade.lots else NULL,
        )
        for trade in plan.trades
    ]
    return grid(
        f"Why these trades; rounding leaves {say.money(plan.residue_minor, plan.digits, plan.currency)} in cash",
        ("<Id", "<Trade", "<Sector", "<Why", "Residue", "Gain realised"),
        rows,
    )


def _reason(trade: Trade) -> str:
    if trade.side == "sell" and not trade.approved_at:
        gain = "cost nothing" if trade.gain_ppm is None else f"unrealised gain {say.percent(trade.gain_ppm)}"
        return f"{gain}; {len(trade.lots)} tax {'lot' if len(trade.lots) == 1 else 'lots'}"
    conviction = "" if trade.conviction is None else f", conviction {trade.conviction}"
    approved = f"; approved {say.when(trade.approved_at)}" if trade.approved_at else ""
    return f"{trade.why}{conviction}{approved}"


def manifest(plan: Plan) -> Grid:
    """Return every input with its age, source and status."""
    rows = [
        (entry.name, entry.source or NULL, say.when(entry.as_of), say.age(entry.age_minutes), entry.status, entry.detail or NULL)
        for entry in plan.manifest.entries
    ]
    released = "" if plan.manifest.released else "; the plan is not released"
    return grid(f"What the plan rests on{released}", ("<Input", "<Source", "<As of", "Age", "<Status", "<Detail"), rows)


def findings(plan: Plan) -> Grid | None:
    """Return the findings, the gravest first; None where there are none."""
    if not plan.findings:
        return None
    order = ("error", "warning", "info")
    rows = [
        (finding.severity, finding.subject or NULL, finding.message, finding.remedy or NULL, str(finding.line) if finding.line else NULL)
        for finding in sorted(plan.findings, key=lambda one: order.index(one.severity))
    ]
    return grid("Findings: an error blocks, a warning is a condition", ("<Severity", "<About", "<What", "<Do", "Line"), rows)


def read_lines(directives: Directives) -> list[str]:
    """Return each directive in the specification's words, with its line."""
    found = []
    for place, directive in enumerate(directives.directives):
        line = directives.line_of(place)
        found.append(sentence(directive) + (f" (line {line})" if line else ""))
    return found


def unread(directives: Directives | None) -> Grid | None:
    """Return the lines of the document that were not understood; None where there are none."""
    if directives is None or not directives.unread:
        return None
    rows = [
        (
            f"{stretch.line}–{stretch.until}" if stretch.until else str(stretch.line),
            "yes" if stretch.suspicious else "no",
            stretch.text,
            stretch.why,
        )
        for stretch in directives.unread
    ]
    return grid("Lines of the document that are no directive", ("Line", "<Could ask for something", "<Text", "<Why"), rows)


def criteria(papers: PlanPapers) -> Grid | None:
    """Return the six criteria of a stock recommendation; None for another plan."""
    validation = papers.validation
    if validation is None:
        return None
    rows = [(one.name, say.PASSED if one.passed else "✗ not met", one.text) for one in validation.criteria]
    return grid(f"{validation.ticker}: {validation.status}", ("<Criterion", "<Outcome", "<Seen and asked"), rows)


def exits(papers: PlanPapers) -> list[str]:
    """Return the stops and profit targets that are to be placed after the purchases."""
    digits = papers.plan.digits
    asked: list[tuple[str, Decimal | None, tuple[Decimal, ...]]] = []
    if papers.recommendation is not None:
        asked.append((papers.recommendation.ticker, papers.recommendation.stop_price, papers.recommendation.profit_targets))
    if papers.queue is not None:
        asked += [(f"{trade.trade_id} {trade.ticker}", trade.stop_price, trade.profit_targets) for trade in papers.queue.trades]
    found = []
    for name, stop, aims in asked:
        parts = [f"stop at {say.price(stop, digits)}"] if stop is not None else []
        if aims:
            prices = ", ".join(say.price(aim, digits) for aim in aims)
            parts.append(f"profit {'target' if len(aims) == 1 else 'targets'} at {prices}")
        if parts:
            found.append(f"{name}: {', '.join(parts)}.")
    return found


def before(said: Sequence[str]) -> list[str]:
    """Return the guide's check list before the first order without the conditions, which stand with the verdict."""
    return [line for line in said if not line.startswith("Condition: ")]


def afterwards(papers: PlanPapers, said: Sequence[str]) -> list[str]:
    """Return what must hold afterwards, with the stops to place."""
    placed = exits(papers)
    kept = [line for line in without_rules(said) if not placed or not line.startswith("Stops and")]
    return [*kept, *(f"Place and report for {one}" for one in placed)]


def without_rules(said: Sequence[str]) -> list[str]:
    """Return what must hold afterwards without the rules of fills, which stand by themselves."""
    return [line for line in said if not line.startswith("A fill more than")]
