"""The files of a plan that programs read: JSON with sorted meaning, and the trade list as CSV. Amounts are decimals written as text."""

import json
from collections.abc import Mapping
from typing import Any

from portfolio_platform.control.money import major
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.orchestrator.planned import CashStep, Plan, Trade
from portfolio_platform.orchestrator.profile import ppm
from portfolio_platform.render.orchestration import table_csv

FORM = 1
"""Version of the form of these files."""
TRADE_HEADS = (
    *("sequence", "trade_id", "phase", "side", "account", "ticker", "sector", "quantity", "price", "limit_price", "currency"),
    *("amount", "fee", "cash_change", "cash_after", "account_cash_after", "waits_for", "lots", "conviction", "residue", "why"),
)


def json_bytes(content: Any) -> bytes:
    """Return content as JSON for people and programs: indented, ASCII, and without a character that HTML or a script would act on."""
    text = json.dumps(content, indent=2, ensure_ascii=True, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e").encode("ascii") + b"\n"


def amount(minor: int, digits: int) -> str:
    """Return minor units as a decimal's text: ``-1250.00``."""
    return f"{major(minor, digits):.{digits}f}"


def directives_json(papers: PlanPapers) -> bytes:
    """Return the directives as `loading.load_directives` reads them again, and beside them what each is in money.

    ``targets`` is worked out of the portfolio and read over: amounts in minor units, weights in parts per million.
    """
    assert papers.directives is not None, "the plan was made of directives"
    content = papers.directives.model_dump(mode="json")
    return json_bytes({**content, "targets": [target.model_dump(mode="json") for target in papers.plan.targets]})


def plan_json(papers: PlanPapers) -> bytes:
    """Return the whole plan as `loading.load_plan` reads it again, with the same hash."""
    return json_bytes(papers.plan.model_dump(mode="json"))


def validation_json(papers: PlanPapers) -> bytes:
    """Return the JSON of v8.1.1 STEP 2.5, with its keys in its order."""
    assert papers.validation is not None, "the plan was made of a stock recommendation"
    return json_bytes(papers.validation.document())


def trade_list_json(papers: PlanPapers) -> bytes:
    """Return the trades in the order of execution, with the cash after each."""
    plan = papers.plan
    run = plan.dry_run
    return json_bytes(
        {
            **head(plan),
            "trades": [_trade(trade, step, plan) for trade, step in zip(plan.trades, plan.path, strict=True)],
            "totals": {
                "sells": amount(run.sells_minor, plan.digits),
                "buys": amount(run.buys_minor, plan.digits),
                "fees": amount(run.fees_minor, plan.digits),
                "residue": amount(plan.residue_minor, plan.digits),
                "cash_before": amount(run.cash_before_minor, plan.digits),
                "cash_after": amount(run.cash_after_minor, plan.digits),
            },
        }
    )


def head(plan: Plan) -> dict[str, Any]:
    """Return what identifies a plan."""
    return {
        "form": FORM,
        "execution_id": plan.execution_id,
        "plan_hash": plan.hash,
        "portfolio": plan.portfolio,
        "portfolio_hash": plan.portfolio_hash,
        "kind": plan.kind,
        "profile": plan.profile,
        "currency": plan.currency,
        "made_at": plan.made_at.isoformat(),
        "expires_at": plan.expires_at.isoformat(),
        "verdict": plan.verdict,
    }


def _trade(trade: Trade, step: CashStep, plan: Plan) -> dict[str, Any]:
    digits = plan.digits
    return {
        "sequence": step.sequence,
        "trade_id": trade.trade_id,
        "phase": step.phase,
        "side": trade.side,
        "account": trade.account,
        "ticker": trade.ticker,
        "sector": trade.sector,
        "quantity": f"{trade.quantity:f}",
        "price": f"{trade.price:f}",
        "limit_price": f"{trade.limit_price:f}",
        "currency": plan.currency,
        "amount": amount(trade.amount_minor, digits),
        "fee": amount(trade.fee_minor, digits),
        "cash_change": amount(trade.cash_minor, digits),
        "cash_after": amount(step.cash_after_minor, digits),
        "account_cash_after": amount(step.account_after_minor, digits),
        "waits_for": list(step.waits_for),
        "lots": [{"lot_id": lot.lot_id, "quantity": f"{lot.quantity:f}"} for lot in trade.lots],
        "conviction": trade.conviction,
        "residue": amount(trade.residue_minor, digits),
        "why": trade.why,
    }


def trade_list_csv(papers: PlanPapers) -> bytes:
    """Return the same trades as CSV."""
    plan = papers.plan
    rows = [_trade(trade, step, plan) for trade, step in zip(plan.trades, plan.path, strict=True)]
    return table_csv.table(TRADE_HEADS, [[_cell(row[name]) for name in TRADE_HEADS] for row in rows])


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(f"{one['quantity']} of {one['lot_id']}" if isinstance(one, dict) else str(one) for one in value)
    return "" if value is None else str(value)


def report_json(papers: PlanPapers, guide: Mapping[str, Any]) -> bytes:
    """Return the recommendation report: the verdict with its reasons and conditions, the numbers behind it, and the guide."""
    plan, profile = papers.plan, papers.profile
    return json_bytes(
        {
            **head(plan),
            "reasons": list(plan.reasons),
            "conditions": list(plan.conditions),
            "findings": [finding.model_dump(mode="json") for finding in plan.findings],
            "targets": [target.model_dump(mode="json") for target in plan.targets],
            "constraints": [check.model_dump(mode="json") for check in plan.dry_run.checks],
            "dry_run": plan.dry_run.model_dump(mode="json", exclude={"checks"}),
            "buffer_ppm": {"healthy": ppm(profile.buffer.healthy_pct), "floor": ppm(profile.buffer.floor_pct)},
            "validation": None if papers.validation is None else papers.validation.document(),
            "guide": guide,
            "manifest": plan.manifest.model_dump(mode="json"),
            "further": [finding.model_dump(mode="json") for finding in papers.further],
        }
    )
