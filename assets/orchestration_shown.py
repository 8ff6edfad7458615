"""What the orchestrator's assets show: directives and unread lines, trades, the dry run with its charts, plans, executions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.metadata import picture
from portfolio_platform.home import Home
from portfolio_platform.render.text import markdown_text, one_line

if TYPE_CHECKING:
    from portfolio_platform.desk.model import PlanState
    from portfolio_platform.orchestrator.papers import PlanPapers

MOST = 200
"""Rows of a table in the UI."""
NO_PLAN = "No plan was made yet: put a portfolio document into the home's folder `orchestrator` (`portfolio orchestrate init` puts samples \
there), or run `portfolio orchestrate plan`."


def directives_shown(home: Home) -> dict[str, Any]:
    """Return what the home's document asks, every line that is no directive, and what contradicts itself."""
    from portfolio_platform.desk.sources import DOCUMENT, folder_of
    from portfolio_platform.orchestrator.directives import sentence
    from portfolio_platform.orchestrator.loading import load_directives

    path = folder_of(home) / DOCUMENT
    if not path.is_file():
        return {
            "dagster/row_count": 0,
            "nothing read": dg.MetadataValue.md(f"There is no `orchestrator/{DOCUMENT}` in the home. {NO_PLAN}"),
        }
    read = load_directives(path)
    rows = [
        {"sector": one.sector, "kind": one.kind, "says": sentence(one), "line": read.line_of(place) or 0}
        for place, one in enumerate(read.directives)
    ]
    unread = [
        {"line": one.line, "text": one.text, "why": one.why, "could ask for something": "yes" if one.suspicious else "no"}
        for one in read.unread
    ]
    findings = [{"severity": one.severity, "about": one.subject, "what": one.message} for one in read.findings]
    shown = {"dagster/row_count": len(rows), "document": dg.MetadataValue.path(path)}
    return shown | _tables({"directives": rows, "not understood": unread, "findings": findings})


def nothing_planned(why: str = "") -> dict[str, Any]:
    """Return what is shown where there is no plan."""
    return {"dagster/row_count": 0, "nothing planned": dg.MetadataValue.md(markdown_text(why) if why else NO_PLAN)}


def newest_plan(home: Home) -> "tuple[PlanState, PlanPapers] | None":
    """Return the plan of the book that was made last, with its papers; None where there is none."""
    from portfolio_platform.desk import log

    plans = _plans(home)
    if not plans:
        return None
    with home.book.reading() as connection:
        return plans[0][1], log.papers_of(connection, plans[0][1].execution_id)


def trades_shown(papers: "PlanPapers", folder: Path) -> dict[str, Any]:
    """Return the trades of a plan, and where its folder is."""
    from portfolio_platform.render.orchestration import wording as say

    plan = papers.plan
    rows = [
        {
            "sequence": step.sequence,
            "trade": f"{trade.trade_id} {trade.side} {trade.ticker}",
            "account": trade.account,
            "quantity": say.shares(trade.quantity),
            "limit_price": say.price(trade.limit_price, plan.digits),
            "amount": say.money(trade.amount_minor, plan.digits),
            "cash_after": say.money(step.cash_after_minor, plan.digits),
        }
        for trade, step in zip(plan.trades, plan.path, strict=True)
    ]
    return {"dagster/row_count": len(rows)} | _about(papers, folder) | _tables({"trades": rows})


def dry_run_shown(home: Home, state: "PlanState", papers: "PlanPapers") -> dict[str, Any]:
    """Return a plan's dry run: before and after as a table, its charts, the constraints, and the whole report."""
    from portfolio_platform.desk.folder import folder_of
    from portfolio_platform.render.orchestration import charts, markdown, sections
    from portfolio_platform.render.orchestration import wording as say

    plan = papers.plan
    rows = [
        {
            "sector": row.sector,
            "before": say.percent(row.before_ppm),
            "after": say.percent(row.after_ppm),
            "target": say.exact_percent(row.target_ppm),
            "cap": say.exact_percent(row.cap_ppm),
        }
        for row in plan.dry_run.sectors
    ]
    checks = [
        {
            "constraint": say.check_name(one),
            "as planned": _held(one.passed),
            "worst case": _held(one.worst_passed),
            "nearest": sections.nearest(one),
        }
        for one in plan.dry_run.checks
    ]
    shown = {"dagster/row_count": len(rows)} | _about(papers, folder_of(home, papers)) | {"status": state.status(_now(home))}
    return (
        shown
        | _tables({"before and after": rows, "constraints": checks})
        | {
            "sectors": picture(charts.sectors_png(papers), charts.TITLES["sectors"]),
            "cash path": picture(charts.cash_path_png(papers), charts.TITLES["cash_path"]),
            "report": dg.MetadataValue.md(markdown.dry_run(papers)),
        }
    )


def plans_shown(home: Home) -> dict[str, Any]:
    """Return the plans that are not over, and the newest one's report."""
    from portfolio_platform.desk.escalations import cases_of
    from portfolio_platform.desk.folder import folder_of
    from portfolio_platform.orchestrator.guide import guide_of
    from portfolio_platform.render.orchestration import markdown
    from portfolio_platform.render.orchestration import wording as say

    now, newest = _now(home), newest_plan(home)
    if newest is None:
        return nothing_planned()
    found = [(name, plan) for name, plan in _plans(home) if plan.status(now) in ("open", "blocked", "approved", "executing", "expired")]
    rows = [
        {
            "plan": plan.execution_id,
            "portfolio": name,
            "kind": plan.made.kind,
            "verdict": plan.made.verdict,
            "status": plan.status(now),
            "trades": plan.made.trades,
            "expires": say.moment(plan.expires_at),
        }
        for name, plan in found
    ]
    _, papers = newest
    waiting = sum(case.answered is None for case in cases_of(home))
    shown = {"dagster/row_count": len(rows), "escalations without an answer": waiting} | _about(papers, folder_of(home, papers))
    report = markdown.report(papers, guide_of(papers.plan, papers.profile))
    return shown | _tables({"plans": rows}) | {"newest": dg.MetadataValue.md(report)}


def executions_shown(home: Home) -> dict[str, Any]:
    """Return every reported fill by execution, what is left of each, and what was flagged."""
    from portfolio_platform.desk.execution_status import execution_report
    from portfolio_platform.desk.executions import executions, read_state
    from portfolio_platform.render.orchestration import wording as say

    reports = [execution_report(home, read_state(home, plan.execution_id), live=False) for _, plan in executions(home, None)]
    rows = [
        {
            "time": f"{row.at:%Y-%m-%d %H:%M:%S}",
            "plan": report.execution_id,
            "trade": row.trade_id,
            "fill": f"{row.side} {say.shares(row.quantity)} {row.ticker}",
            "price": say.price(row.price, report.digits),
            "fee": say.money(row.fee_minor, report.digits),
            "cash_after": say.money(row.cash_after_minor, report.digits),
            "buffer": f"{say.percent(row.buffer_ppm)} {say.STATES.get(row.buffer_state, row.buffer_state)}",
        }
        for report in reports
        for row in report.log
    ]
    standing = [
        {
            "plan": report.execution_id,
            "status": report.status.replace("_", " "),
            "left": len(report.left),
            "flags": len(report.flags),
            "set aside": len(report.set_aside),
            "limits": "not verified" if report.verification is None else _held(report.verification.passed),
        }
        for report in reports
    ]
    flags = [{"plan": report.execution_id, "flag": one.code, "what": one.text} for report in reports for one in report.flags]
    shown: dict[str, Any] = {"dagster/row_count": len(rows), "executions": len(reports)}
    if not reports:
        shown["nothing executed"] = dg.MetadataValue.md("No plan was approved yet; `portfolio orchestrate approve` approves one.")
    return shown | _tables({"fills": rows, "standing": standing, "flags": flags})


def _plans(home: Home) -> "list[tuple[str, PlanState]]":
    from portfolio_platform.desk import log

    with home.book.reading() as connection:
        found = [(name, plan) for name in log.portfolios(connection) for plan in log.plans_of(connection, name).values()]
    return sorted(found, key=lambda one: (one[1].made.at, one[1].execution_id), reverse=True)


def _now(home: Home) -> int:
    from portfolio_platform.days import nanoseconds

    return nanoseconds(home.clock.now())


def _held(passed: bool) -> str:
    from portfolio_platform.render.orchestration import wording as say

    return say.PASSED if passed else say.FAILED


def _about(papers: "PlanPapers", folder: Path) -> dict[str, Any]:
    """Return what identifies a plan, with its folder and the page a trader works from."""
    plan = papers.plan
    shown: dict[str, Any] = {
        "plan": one_line(papers.execution_id),
        "verdict": plan.verdict,
        "folder": dg.MetadataValue.path(folder),
        "page": dg.MetadataValue.url((folder / "plan.html").absolute().as_uri()),
    }
    if plan.reasons:
        shown["reasons"] = _list(plan.reasons)
    if plan.conditions:
        shown["conditions"] = _list(plan.conditions)
    return shown


def _list(texts: Sequence[str]) -> dg.MetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {markdown_text(text)}" for text in texts))


def _tables(tables: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return tables with rows as metadata, of each the first rows; texts on one line."""
    shown: dict[str, Any] = {}
    for name, rows in tables.items():
        if rows:
            records = [
                dg.TableRecord({key: one_line(value) if isinstance(value, str) else value for key, value in row.items()})
                for row in rows[:MOST]
            ]
            shown[name] = dg.MetadataValue.table(records)
    return shown
