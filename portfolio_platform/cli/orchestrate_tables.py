"""Plans for a terminal of 80 columns: verdict, trades with the cash after each, sectors, what to do next. JSON has every digit."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from shlex import quote
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from portfolio_platform.cli.control_tables import show
from portfolio_platform.cli.options import out, plain
from portfolio_platform.control.views import instant
from portfolio_platform.orchestrator.amounts import money, percent

if TYPE_CHECKING:
    from portfolio_platform.desk.approvals import Outcome
    from portfolio_platform.desk.model import PlanState
    from portfolio_platform.desk.prepare import Prepared
    from portfolio_platform.orchestrator.papers import PlanPapers
    from portfolio_platform.orchestrator.planned import Plan

OPEN = ("open", "blocked", "approved", "executing")
STYLES = {"SAFE": "bold green", "CONDITIONAL": "bold yellow", "BLOCKED": "bold red"}


def papers(made: "PlanPapers") -> None:
    """Print a plan: verdict, why, unread lines, trades with the cash after each, sectors before and after."""
    plan = made.plan
    out.print(Text.assemble("plan ", (made.execution_id, "bold")), soft_wrap=True)
    about = f"{plan.kind} of {plan.portfolio}, profile {plan.profile}, made {plan.made_at:%Y-%m-%d %H:%M} UTC"
    out.print(plain(f"{about}, expires {plan.expires_at:%H:%M} UTC"), soft_wrap=True, highlight=False)
    out.print(Text(plan.verdict, style=STYLES[plan.verdict]))
    _listed("reasons", plan.reasons)
    _listed("conditions", plan.conditions)
    _unread(made)
    _listed("notes", [finding.message for finding in plan.findings if finding.severity == "info"])
    trades(plan)
    sectors(plan)


def trades(plan: "Plan") -> None:
    """Print the trades in the order of execution."""
    rows = [
        (
            str(step.sequence),
            Text(trade.side.upper(), style="red" if trade.side == "sell" else "green"),
            trade.ticker,
            quantity(trade.quantity),
            price(trade.limit_price),
            whole(trade.amount_minor, plan.digits),
            whole(step.cash_after_minor, plan.digits),
            trade.account,
        )
        for trade, step in zip(plan.trades, plan.path, strict=True)
    ]
    columns = ("#", "side", "ticker", "shares", "limit", "amount", "cash after", "account")
    show(f"Trades, in {plan.currency}", columns, rows, ("#", "shares", "limit", "amount", "cash after"))


def sectors(plan: "Plan") -> None:
    """Print the sectors before and after, with their targets and caps."""
    rows = [
        (
            row.sector,
            share(row.before_ppm),
            share(row.after_ppm),
            "" if row.target_ppm is None else share(row.target_ppm),
            "" if row.cap_ppm is None else share(row.cap_ppm),
        )
        for row in plan.dry_run.sectors
    ]
    show("Sectors, in % of the value", ("sector", "before", "after", "target", "cap"), rows, ("before", "after", "target", "cap"))


def checks(made: "PlanPapers") -> None:
    """Print the six constraints as planned and in the worst case."""
    rows = [
        (str(check.number), check.name, _mark(check.passed), _mark(check.worst_passed), _nearest(check.worst_observed))
        for check in made.plan.dry_run.checks
    ]
    show("Constraints", ("#", "constraint", "planned", "worst case", "nearest to the limit"), rows, ("#",))


def footing(made: "Prepared") -> None:
    """Say where the files are, what was replaced, who is asked, and which command comes next."""
    for name in made.superseded:
        out.print(f"stands in the place of {plain(name)}", soft_wrap=True, highlight=False)
    out.print(f"folder: {plain(made.folder)}", soft_wrap=True, highlight=False)
    plan, name = made.papers.plan, made.execution_id
    if plan.verdict == "BLOCKED":
        asked = made.state.made.escalation_id
        if asked:
            routed = made.papers.profile.escalation
            said = f"{routed.routing} is asked for an exception within {routed.sla_minutes} minutes"
            out.print(f"{plain(said)}: escalation {plain(asked)}; next:", soft_wrap=True, highlight=False)
            out.print(f"  portfolio escalations show {plain(quote(asked))}", soft_wrap=True, highlight=False)
        else:
            out.print("next: mend what blocks it, then plan again", highlight=False)
        return
    if not plan.trades:
        return
    accept = " --accept-conditions" if plan.conditions else ""
    out.print("next: read plan.html in the folder, then", highlight=False)
    out.print(f"  portfolio orchestrate approve {plain(quote(name))}{accept} --by NAME --reason TEXT", soft_wrap=True, highlight=False)


def plans(portfolio: str, found: Iterable["PlanState"], now: int) -> None:
    """Print the plans of a portfolio with what became of them; the end of an id names a plan as well as the whole."""
    rows = []
    for plan in found:
        made, status = plan.made, plan.status(now).replace("_", " ")
        rows.append((plan.execution_id[-12:], _minute(made.at), made.topic, made.verdict, status))
    listing(f"Plans of {portfolio}", ("id ends with", "made (UTC)", "about", "verdict", "status"), rows)


def listing(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows whose first cell is a name that people copy: it is never broken."""
    if not rows:
        return
    table = Table(title=plain(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*map(plain, row))
    out.print(table)


def plan_view(portfolio: str, plan: "PlanState", now: int) -> dict[str, Any]:
    """Return a plan's state as JSON."""
    made = plan.made
    return {
        "execution_id": plan.execution_id,
        "portfolio": portfolio,
        "kind": made.kind,
        "topic": made.topic,
        "verdict": made.verdict,
        "status": plan.status(now),
        "plan_hash": made.plan_hash,
        "portfolio_hash": made.portfolio_hash,
        "profile": made.profile,
        "source": made.source,
        "trades": made.trades,
        "made_at": instant(made.at),
        "expires_at": instant(plan.expires_at),
        "approved_by": "" if plan.approved is None else plan.approved.by,
        "refusals": [{"at": instant(one.at), "by": one.by, "code": one.code, "reason": one.reason} for one in plan.refusals],
        "superseded_by": "" if plan.superseded is None else plan.superseded.by_execution,
        "instead_of": made.instead_of,
        "escalation_id": made.escalation_id,
        "conflicts": [one.text for one in made.conflicts],
    }


def papers_view(made: "PlanPapers") -> dict[str, Any]:
    """Return a plan as JSON: what it says, and the lines that were not understood."""
    unread = [] if made.directives is None else [one.model_dump(mode="json") for one in made.directives.unread]
    return {"execution_id": made.execution_id, "plan_hash": made.plan.hash, "unread": unread, "plan": made.plan.model_dump(mode="json")}


def prepared_view(made: "Prepared") -> dict[str, Any]:
    """Return a recorded plan as JSON."""
    recorded = made.state.made
    return {
        **papers_view(made.papers),
        "folder": str(made.folder),
        "superseded": list(made.superseded),
        "instead_of": recorded.instead_of,
        "escalation_id": recorded.escalation_id,
        "conflicts": [one._asdict() for one in made.conflicts],
        "repeated": made.repeated,
    }


def outcome_view(outcome: "Outcome") -> dict[str, Any]:
    """Return what came of an approval as JSON."""
    approved, refused = outcome.state.approved, outcome.refused
    return {
        "execution_id": outcome.state.execution_id,
        "approved": refused is None,
        "by": "" if refused is not None or approved is None else approved.by,
        "expires_at": instant(outcome.state.expires_at),
        "code": "" if refused is None else refused.code,
        "reason": "" if refused is None else refused.reason,
        "regenerated": None if outcome.regenerated is None else prepared_view(outcome.regenerated),
    }


def quantity(value: Decimal) -> str:
    """Return a number of shares, with thousands separated."""
    return f"{value:,f}"


def price(value: Decimal) -> str:
    """Return a price with two decimals at least, and four at most."""
    shown = value.quantize(Decimal("0.0001")).normalize()
    return f"{shown:,.2f}" if shown == shown.quantize(Decimal("0.01")) else f"{shown:,f}"


def whole(amount: int, digits: int) -> str:
    """Return an amount without the minor units, which the files have."""
    return money(amount, digits).partition(".")[0]


def share(parts: int) -> str:
    """Return parts per million in percent, with two decimals at most."""
    return percent(round(parts, -2))


def _nearest(observed: Sequence[Any]) -> str:
    return observed[0].text if observed else ""


def _mark(passed: bool) -> Text:
    return Text("holds", style="green") if passed else Text("violated", style="bold red")


def _minute(ns: int) -> str:
    text = instant(ns) or ""
    return f"{text[:10]} {text[11:16]}"


def _listed(title: str, texts: Sequence[str]) -> None:
    if texts:
        out.print(f"{title}:", highlight=False)
        for text in texts:
            out.print(f"  - {plain(text)}", highlight=False)


def _unread(made: "PlanPapers") -> None:
    if made.directives is None:
        return
    lines = []
    for one in made.directives.unread:
        if one.suspicious:
            lines.append(f"line {one.line}{f' to {one.until}' if one.until else ''}: {one.text} ({one.why})")
    others = sum(not one.suspicious for one in made.directives.unread)
    _listed("lines that were not understood", [*lines[:20], *([f"and {len(lines) - 20} more"] if len(lines) > 20 else [])])
    if others:
        text = "1 other line is no directive" if others == 1 else f"{others} other lines are no directives"
        out.print(f"{text}; --json and the report name them", highlight=False)
