"""Papers of plans, an execution and escalations, for tests of what is made of them; and texts that try to be more than text."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from portfolio_platform.orchestrator.directives import parse_directives
from portfolio_platform.orchestrator.escalation import (
    NO_CASES,
    Answered,
    Case,
    Change,
    Expired,
    Opened,
    Trigger,
    Violation,
    apply,
    escalated,
)
from portfolio_platform.orchestrator.executed import Executed, GivenUp, ReportedFill
from portfolio_platform.orchestrator.execution_flags import flags_of
from portfolio_platform.orchestrator.execution_report import (
    DueRow,
    EscalationRow,
    ExecutionReport,
    ExitRow,
    log_rows,
    must_hold,
    trade_rows,
)
from portfolio_platform.orchestrator.execution_rows import BadRow
from portfolio_platform.orchestrator.loading import SAMPLES, load_queue, load_recommendation
from portfolio_platform.orchestrator.model import (
    ApprovedQueue,
    ApprovedTrade,
    Finding,
    Restriction,
    RestrictionList,
    StockRecommendation,
)
from portfolio_platform.orchestrator.papers import PlanPapers, papers_of
from portfolio_platform.orchestrator.verification import after_fills, verify
from tests.unit.orchestrator.examples import AT, account, holding, instrument, rankings, sample_inputs, snapshot

EVIL = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}' | `x` [a](javascript:alert(1)) =1+1"
EVIL_NAME = EVIL[:95].strip()
"""As long as a name may be; a name may not hold what cannot be printed."""
EVIL_TEXT = f"{EVIL}\n# head\n\x1b[31m \u202eevil\u2066 \x00 </pre></style><script>"
FORMULA = '=HYPERLINK("http://example.org";"x")'


def rebalancing(**changes: Any) -> PlanPapers:
    """Return the papers of the specification's rebalancing."""
    path = SAMPLES / "portfolio_document.md"
    inputs = sample_inputs(document=path.read_text(), document_source=path.name, **changes)
    return papers_of(inputs, parse_directives(inputs.document))


def recommended(name: str = "stock_recommendation", **changes: Any) -> PlanPapers:
    """Return the papers of a stock recommendation."""
    return papers_of(sample_inputs("portfolio_with_cash.json", recommendation=load_recommendation(SAMPLES / f"{name}.json"), **changes))


def queued(**changes: Any) -> PlanPapers:
    """Return the papers of the sample's approved queue, in the order of approval."""
    return papers_of(sample_inputs("portfolio_with_cash.json", "v8.0.3", queue=load_queue(SAMPLES / "approved_queue.json"), **changes))


def hostile() -> list[PlanPapers]:
    """Return papers in which every text from outside tries to be markup, a link or a formula."""
    made = snapshot(
        (account(EVIL_NAME, "60000", holding("OLD", "400", "50"), holding("PLN", "90", "50"), kind="cash"), account(FORMULA, "20000")),
        (
            instrument("OLD", EVIL_NAME, "100"),
            instrument("NEW", FORMULA, "100"),
            instrument("REST", "Rest", "1"),
            instrument("PLN", "Plain", "100"),
            instrument("FRS", "Fresh", "100"),
        ),
        portfolio=EVIL_NAME,
        source=EVIL_NAME,
        pending=(EVIL_NAME,),
    )
    listed = RestrictionList(as_of=AT, source=FORMULA, entries=(Restriction(ticker="REST", reason=EVIL_NAME),))
    ranked = rankings({FORMULA: ["NEW"], EVIL_NAME: ["OLD"], "Fresh": ["FRS"]}, source=EVIL_NAME, regime=EVIL_NAME)
    further = (Finding(code="envelope", severity="error", subject=EVIL, message=EVIL_TEXT, remedy=EVIL_TEXT),)
    asked = ("Increase Fresh to 5%", "Reduce Plain to 3%", "Increase Rest to 5%", f"Reduce {EVIL} to 3%", f"{FORMULA} 4%")
    document = "## ACTION PLAN\n\n" + "".join(f"- {line}\n" for line in asked) + "| a | b |\n<script>alert(1)</script>\n"
    given = sample_inputs(snapshot=made, restrictions=listed, rankings=ranked)
    stock = StockRecommendation(
        ticker="NEW",
        sector=EVIL_NAME,
        conviction_score=70,
        thesis=EVIL_TEXT,
        proposed_allocation_pct=Decimal(5),
        issued_at=AT,
        source=EVIL_NAME,
        stop_price=Decimal(90),
        profit_targets=(Decimal(120),),
    )
    trades = (
        ApprovedTrade(
            trade_id=EVIL_NAME, ticker="OLD", sector=EVIL_NAME, side="sell", account=EVIL_NAME, size_minor=500_000, approved_at=AT
        ),
        ApprovedTrade(trade_id=FORMULA, ticker="NEW", sector=FORMULA, account=EVIL_NAME, size_minor=6_200_000, approved_at=AT),
    )
    waiting = ApprovedQueue(as_of=AT, source=EVIL_NAME, portfolio=EVIL_NAME, trades=trades, approved_allocations={EVIL_NAME: 1})
    return [
        papers_of(replace(given, document=document, document_source=EVIL_NAME), parse_directives(document), further),
        papers_of(replace(given, recommendation=stock), further=further),
        papers_of(replace(given, queue=waiting), further=further),
    ]


def report(evil: str = "") -> ExecutionReport:
    """Return the report of an execution half way: one sell done, one slipped and partial; ``evil`` is put into every text."""
    papers = rebalancing()
    plan = papers.plan
    fills = [
        ReportedFill(
            fill_id=f"{trade.trade_id}:1",
            number=1,
            trade_id=trade.trade_id,
            ticker=trade.ticker,
            side=trade.side,
            account=trade.account,
            quantity=quantity,
            price=price,
            fee_minor=495,
            at=AT + timedelta(minutes=20 + place),
            note=evil[:4000],
        )
        for place, (trade, quantity, price) in enumerate(
            [(plan.trades[0], plan.trades[0].quantity, Decimal("79.98")), (plan.trades[1], Decimal(2000), Decimal("49.70"))]
        )
    ]
    given_up = {
        plan.trades[-1].trade_id: GivenUp(trade_id=plan.trades[-1].trade_id, at=AT + timedelta(minutes=30), reason=evil or "no cash")
    }
    executed = Executed(
        plan.execution_id, plan, AT + timedelta(minutes=5), plan.expires_at, {fill.fill_id: fill for fill in fills}, given_up=given_up
    )
    found = verify(
        after_fills(papers.snapshot, fills, plan.trades).snapshot,
        papers.profile,
        plan.dry_run,
        ["NEM", "FCX"],
        "reported",
        (evil,) if evil else (),
    )
    log = log_rows(executed, papers.snapshot.cash_minor, papers.snapshot.equity_minor, papers.profile)
    return ExecutionReport(
        execution_id=plan.execution_id + evil,
        portfolio=plan.portfolio + evil,
        profile=plan.profile,
        kind=plan.kind,
        currency="USD",
        digits=2,
        made_at=AT,
        verdict=plan.verdict,
        status="executing",
        approved_by=f"ada{evil}",
        approved_at=executed.approved_at,
        approved_until=executed.until,
        conditions=(*plan.conditions, evil) if evil else plan.conditions,
        trades=trade_rows(executed),
        log=log,
        halted=("B08",),
        flags=flags_of(executed, papers.profile, AT + timedelta(minutes=40)),
        set_aside=(
            BadRow(
                file=f"fills.csv{evil}", line=4, column="price", value=evil or "x", rule="is no number", remedy="write it such as 12.50"
            ),
        ),
        verification=found,
        must_hold=must_hold(executed, papers.profile),
        exits=(ExitRow(trade_id="B01", ticker="NVDA", kind="stop", level=Decimal(135), newest_price=Decimal(150)),),
        escalations=(
            EscalationRow(
                escalation_id=f"E1{evil}",
                trigger="no_fill",
                status="open",
                request=f"Keep waiting{evil}",
                routing="Master-Architect",
                due_at=AT,
            ),
        ),
        due=(DueRow(item_id=f"i{evil}", kind="weekly", title=f"Weekly review{evil}", due_on=AT.date(), is_due=True),),
        next_review=AT.date(),
        reports=2,
        document_revision=3,
        routed_to=("Client", evil) if evil else ("Client",),
    )


def case(status: str = "open", evil: str = "") -> Case:
    """Return an escalation of a blocked plan, open, answered late, or expired."""
    at = 1_767_625_200_000_000_000
    papers = recommended("stock_recommendation_rejected")
    found = Violation("sector_cap", f"Technology{evil}", 400_000, 470_000, "ppm", f"Technology 47 % of at most 40 %{evil}")
    cash = Violation("account_cash", f"brokerage{evil}", 0, -125_050, "minor", f"brokerage is overdrawn{evil}")
    made = escalated(
        Trigger.CONSTRAINT_VIOLATION,
        f"E1{evil}",
        at,
        portfolio=f"main{evil}",
        profile="v8.1.1",
        violations=(found, cash),
        dry_run=f"# Dry run\n\n{evil}\n```\n| a | b |",
        plan=papers.plan.canonical().decode() + evil,
        plan_hash=papers.plan.hash,
        subject=evil,
    )
    cases = apply(NO_CASES, Opened(at, made))
    if status == "expired":
        cases = apply(cases, Expired(made.due_at, made.escalation_id))
    elif status != "open":
        changes = (Change("B01", quantity=12_500_000_000_000_000_000), Change(f"B02{evil}", drop=True))
        told = Answered(
            made.due_at + 60_000_000_000, made.escalation_id, "approve", f"ada{evil}", f"agreed{evil}", (f"by noon{evil}",), changes
        )
        cases = apply(cases, told)
    return cases[made.escalation_id]
