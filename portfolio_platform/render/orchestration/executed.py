"""An execution as files: what is done, what is left, whether the portfolio keeps its limits (v8.0.3 STEP 7). Made from its report alone."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from portfolio_platform.orchestrator.amounts import part as share_of
from portfolio_platform.orchestrator.execution_report import ExecutionReport, TradeRow
from portfolio_platform.orchestrator.verification import Verification, cash_row
from portfolio_platform.render.blocks import Grid
from portfolio_platform.render.formats import MINUS, NULL
from portfolio_platform.render.orchestration import documents, markdown, pages, sections
from portfolio_platform.render.orchestration import wording as say
from portfolio_platform.render.orchestration.pages import Part, present
from portfolio_platform.render.orchestration.sections import grid
from portfolio_platform.render.text import markdown_text as md

STATUS = {
    "open": "not begun",
    "waiting": "waits for its sells",
    "placed": "placed, no fill yet",
    "partial": "partly filled",
    "filled": "✓ filled",
    "given_up": "✗ given up",
}
BUFFER = {"pass": "✓ holds", "caution": "✓ holds, marginal", "fail": "✗ breached"}
SOURCES = {
    "reported": "the plan's portfolio with the reported fills, at the prices planned with",
    "ledger": "the ledger's own portfolio, which has the fills",
}


def execution_files(report: ExecutionReport) -> Mapping[str, bytes]:
    """Return the execution report as Markdown, page and JSON, by file name."""
    return {
        "execution_report.html": execution_page(report).encode("utf-8"),
        "execution_report.md": execution_markdown(report).encode("utf-8"),
        "execution_report.json": documents.json_bytes(report.model_dump(mode="json")),
    }


def execution_page(report: ExecutionReport) -> str:
    """Return the execution report as a page: on top whether the limits hold, then what is left, then what was done."""
    tone, word, said, faults = verdict(report)
    return pages.report(
        title(report),
        facts(report),
        parts(report),
        [("Execution", report.execution_id)],
        tone=tone,
        verdict=word,
        said=said,
        reasons=faults,
        conditions=(),
    )


def execution_markdown(report: ExecutionReport) -> str:
    """Return the same as Markdown."""
    _, word, said, faults = verdict(report)
    found = [f"# {md(title(report))}", "\n".join(f"- **{label}:** {md(text)}" for label, text in facts(report))]
    found += [f"## {md(word)}", md(said), markdown.bullets(faults)]
    for part in parts(report):
        if part.is_empty:
            continue
        found += [f"## {md(part.title)}", *(md(text) for text in part.lead), markdown.bullets(part.bullets), markdown.boxes(part.ticks)]
        found += markdown.grids(*part.grids)
        found += [markdown.code(text) for text in part.commands]
    return markdown.document(found)


def title(report: ExecutionReport) -> str:
    """Return what the report is called."""
    return f"Execution of {report.execution_id}"


def verdict(report: ExecutionReport) -> tuple[str, str, str, tuple[str, ...]]:
    """Return the tone, the word on top, its sentence, and every limit that does not hold."""
    found = report.verification
    left = say.counted(len(report.left), "trade")
    rest = f"{left} still {'has' if len(report.left) == 1 else 'have'} something to do." if report.left else "Nothing is left to do."
    if found is None:
        return "conditional", "NOT VERIFIED", f"No fill was reported yet, or none could be looked at. {rest}", ()
    if not found.passed:
        return "blocked", "LIMITS BREACHED", f"The portfolio does not keep its limits. {rest}", found.faults
    if found.buffer == "caution":
        return "conditional", "LIMITS HELD", f"Every limit holds; the cash buffer is marginal. {rest}", ()
    return "safe", "LIMITS HELD", f"Every limit holds. {rest}", ()


def facts(report: ExecutionReport) -> list[tuple[str, str]]:
    """Return what identifies an execution."""
    counts = {name: sum(row.status == name for row in report.trades) for name in STATUS}
    done = ", ".join(f"{number} {STATUS[name].strip('✓✗ ')}" for name, number in counts.items() if number)
    conditions = f", accepting {say.counted(len(report.conditions), 'condition')}" if report.conditions else ""
    found = [
        ("Portfolio", f"{report.portfolio}, profile {report.profile}"),
        ("Plan", f"{report.kind}, {report.verdict}, made {say.when(report.made_at)}"),
        ("Approved", f"by {report.approved_by} at {say.when(report.approved_at)}, until {say.when(report.approved_until)}{conditions}"),
        ("Status", report.status.replace("_", " ")),
        ("Trades", done or "none"),
        ("Reports", str(report.reports)),
        ("Next review", NULL if report.next_review is None else report.next_review.isoformat()),
    ]
    if report.document_revision:
        found.append(("Portfolio document", f"revision {report.document_revision}"))
    if report.routed_to:
        found.append(("Sent to", ", ".join(report.routed_to)))
    return found


def parts(report: ExecutionReport) -> list[Part]:
    """Return the parts of the report, in the order in which a trader asks."""
    found = report.verification
    ended = report.status.replace("_", " ") in ("executed", "partly executed", "not executed", "withdrawn")
    again = () if ended or not report.left else (say.command("portfolio", "execution", "report", report.execution_id, "--interactive"),)
    return [
        Part("What is left", grids=present(_left(report)), commands=again),
        Part("Flags", grids=present(_flags(report), _set_aside(report))),
        Part(
            "Limits after the fills",
            lead=() if found is None else (_buffer(found), *found.notes),
            grids=present(*_limits(found)),
        ),
        Part("Trades, planned and done", grids=present(_trades(report))),
        Part("Execution log", grids=present(_log(report))),
        Part("What must hold afterwards", ticks=sections.without_rules(report.must_hold)),
        Part("Stops and profit targets", grids=present(_exits(report))),
        Part("Escalations", grids=present(_escalations(report))),
        Part("What falls due", grids=present(_due(report))),
        Part("Conditions of the approval", bullets=report.conditions),
    ]


def _bps(value: Decimal | None) -> str:
    if value is None:
        return NULL
    return f"{value:+.2f} bps".replace("-", MINUS) if value else "0.00 bps"


def _left(report: ExecutionReport) -> Grid:
    rows = [
        (
            row.trade_id,
            f"{row.side.upper()} {row.ticker}",
            row.account,
            say.shares(row.left),
            f"{'≥' if row.side == 'sell' else '≤'} {say.price(row.limit_price, report.digits)}",
            STATUS[row.status] + (f": {', '.join(row.waits_for)}" if row.status == "waiting" else ""),
        )
        for row in report.left
    ]
    return grid("Still to do", ("<Id", "<Order", "<Account", "Quantity", "Limit price", "<Status"), rows)


def _flags(report: ExecutionReport) -> Grid:
    rows = [(flag.code, flag.trade_id or NULL, flag.text, flag.limit or NULL, flag.found or NULL) for flag in report.flags]
    return grid("What was noticed", ("<Flag", "<Trade", "<What", "<Limit", "<Found"), rows)


def _set_aside(report: ExecutionReport) -> Grid:
    rows = [(f"{row.file} {row.line}", row.column, row.value or NULL, row.rule, row.remedy) for row in report.set_aside]
    return grid("Rows that were set aside", ("<Line", "<Column", "<Value", "<Rule", "<Do"), rows)


def _buffer(found: Verification) -> str:
    digits, currency = found.digits, found.currency
    planned = "" if found.planned_cash_minor is None else f" (planned {say.money(found.planned_cash_minor, digits)})"
    return (
        f"Cash {say.money(found.cash_minor, digits, currency)}{planned} of {say.money(found.equity_minor, digits, currency)}: "
        f"{say.exact_percent(found.buffer_ppm)}, at least {say.exact_percent(found.floor_ppm)}, healthy from "
        f"{say.exact_percent(found.healthy_ppm)}: {BUFFER[found.buffer]}. Looked at: {SOURCES[found.source]}, {say.when(found.as_of)}."
    )


def _limits(found: Verification | None) -> Sequence[Grid]:
    if found is None:
        return ()
    heads = (f"Value {found.currency}", "Share", "Planned", "Limit", "<Result")
    cash = cash_row(found)
    aimed = None
    if found.planned_cash_minor is not None and found.planned_equity_minor is not None:
        aimed = share_of(found.planned_cash_minor, found.planned_equity_minor)
    sectors = [
        _share(row.name, row.amount_minor, row.share_ppm, row.planned_ppm, row.limit_ppm, row.passed, found) for row in found.sectors
    ]
    last = _share(cash.name, cash.amount_minor, cash.share_ppm, aimed, cash.limit_ppm, cash.passed, found)
    sectors.append((*last[:4], last[4].replace("≤", "≥"), BUFFER[found.buffer]))
    held = [_share(row.name, row.amount_minor, row.share_ppm, row.planned_ppm, row.limit_ppm, row.passed, found) for row in found.positions]
    overdrawn = [(name, "below zero") for name in found.overdrawn]
    return (
        grid("Sectors and cash", ("<Sector", *heads), sectors),
        grid("Positions", ("<Position", *heads), held),
        grid("Overdrawn accounts", ("<Account", "<Cash"), overdrawn),
    )


def _share(name: str, amount: int, share: int, planned: int | None, limit: int, passed: bool, found: Verification) -> tuple[str, ...]:
    return (
        name,
        say.money(amount, found.digits),
        say.percent(share),
        say.percent(planned),
        f"≤ {say.exact_percent(limit)}",
        say.PASSED if passed else say.FAILED,
    )


def _trades(report: ExecutionReport) -> Grid:
    rows = [_trade(row, report.digits) for row in report.trades]
    heads = ("#", "<Id", "<Trade", "<Account", "Planned", "Filled", "Left", "Planned at", "Price", "Slippage", "Fees", "Cash", "<Status")
    return grid("Planned and done", heads, rows)


def _trade(row: TradeRow, digits: int) -> tuple[str, ...]:
    return (
        str(row.sequence),
        row.trade_id,
        f"{row.side} {row.ticker}",
        row.account,
        say.shares(row.planned_quantity),
        say.shares(row.filled),
        say.shares(row.left),
        say.price(row.planned_price, digits),
        _price(row.price, digits),
        _bps(row.slippage_bps),
        say.money(row.fee_minor, digits),
        say.signed(row.cash_minor, digits),
        STATUS[row.status] + (f": {row.given_up}" if row.given_up and row.status == "given_up" else ""),
    )


def _price(price: Decimal | None, digits: int) -> str:
    """Return an average price with at most four decimals more than its currency."""
    return NULL if price is None else say.price(round(price, digits + 4).normalize() + Decimal(0), digits)


def _log(report: ExecutionReport) -> Grid:
    digits = report.digits
    rows = []
    for row in (*report.log, *(one for one in report.beyond if one not in report.log)):
        exits = f"stop {say.price(row.stop_price, digits)}" if row.stop_price is not None else ""
        aims = f"targets {', '.join(say.price(aim, digits) for aim in row.profit_targets)}" if row.profit_targets else ""
        rows.append(
            (
                f"{row.at:%Y-%m-%d %H:%M:%S}",
                row.trade_id or "beyond the plan",
                f"{row.side} {say.shares(row.quantity)} {row.ticker}",
                row.account,
                row.sector or NULL,
                NULL if row.conviction is None else str(row.conviction),
                say.price(row.price, digits),
                say.money(row.fee_minor, digits),
                say.money(row.cash_after_minor, digits),
                f"{say.percent(row.buffer_ppm)} {say.STATES.get(row.buffer_state, row.buffer_state)}",
                "; ".join(text for text in (exits, aims, row.note, f"revision {row.revision}" if row.revision else "") if text) or NULL,
            )
        )
    heads = ("<Time UTC", "<Trade", "<Fill", "<Account", "<Sector", "Conviction", "Price", "Fee", "Cash after", "<Buffer", "<Note")
    return grid("Every fill by time, and the buffer after it", heads, rows)


def _exits(report: ExecutionReport) -> Grid:
    rows = [
        (
            row.trade_id,
            row.ticker,
            row.kind,
            say.price(row.level, report.digits),
            say.price(row.newest_price, report.digits),
            NULL if row.distance_pct is None else f"{row.distance_pct:.2f} %".replace("-", MINUS),
            NULL if row.touched_at is None else say.when(row.touched_at),
        )
        for row in report.exits
    ]
    return grid("Watched by the monitor", ("<Trade", "<Symbol", "<Kind", "Level", "Newest price", "Away", "<Touched"), rows)


def _escalations(report: ExecutionReport) -> Grid:
    rows = [(row.escalation_id, row.trigger, row.status, row.request, row.routing, say.when(row.due_at)) for row in report.escalations]
    return grid("Asked of a person", ("<Id", "<Trigger", "<Status", "<Request", "<Routing", "<Answer due"), rows)


def _due(report: ExecutionReport) -> Grid:
    rows = [(row.due_on.isoformat(), row.title, "due" if row.is_due else "later", row.item_id) for row in report.due]
    return grid("Monitoring schedule", ("<Day", "<What", "<State", "<Id"), rows)
