"""Step 2.5: the six criteria, and the JSON of the specification to the byte."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.loading import SAMPLES, load_recommendation
from portfolio_platform.orchestrator.model import Restriction, StockRecommendation
from portfolio_platform.orchestrator.plan import stock_plan
from portfolio_platform.orchestrator.stocks import StockValidation, validate_stock
from tests.unit.orchestrator.examples import AT, sample_inputs

NVDA = load_recommendation(SAMPLES / "stock_recommendation.json")
TSLA = load_recommendation(SAMPLES / "stock_recommendation_rejected.json")
SPECIFIED = """{
  "status": "APPROVED_FOR_PO",
  "ticker": "NVDA",
  "conviction": 74,
  "checks": {
    "conviction": true,
    "position_size": true,
    "sector_cap": true,
    "cash_buffer": true,
    "restriction_list": true,
    "regime_alignment": true
  },
  "reasons": [],
  "message": "Stock-Analyst NVDA APPROVED_FOR_PO: All criteria pass"
}"""


def validated(
    recommendation: StockRecommendation, inputs: Inputs | None = None, barred: dict[str, Restriction] | None = None
) -> StockValidation:
    given = inputs or sample_inputs("portfolio_with_cash.json")
    return validate_stock(recommendation, given.snapshot, given.rankings, barred or {}, given.profile, given.at)


def test_nvda_at_12_percent_with_conviction_74_is_approved_as_the_specification_shows() -> None:
    assert json.dumps(validated(NVDA).document(), indent=2) == SPECIFIED
    plan, _ = stock_plan(sample_inputs("portfolio_with_cash.json", recommendation=NVDA), NVDA)
    assert plan.verdict == "SAFE"
    assert [(trade.ticker, trade.amount_minor) for trade in plan.trades] == [("NVDA", 12_000_000)]


def test_tsla_at_20_percent_with_conviction_55_is_rejected_with_every_reason() -> None:
    found = validated(TSLA)
    assert found.status == "REJECTED"
    assert found.reasons == ("conviction", "position_size", "cash_buffer", "regime_alignment")
    assert found.message == "Stock-Analyst TSLA REJECTED: conviction, position_size, cash_buffer, regime_alignment"
    plan, _ = stock_plan(sample_inputs("portfolio_with_cash.json", recommendation=TSLA), TSLA)
    assert plan.verdict == "BLOCKED"
    assert "TSLA: conviction 55 of at least 65" in plan.reasons


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"conviction_score": 65}, None),
        ({"conviction_score": 64}, "conviction"),
        ({"proposed_allocation_pct": Decimal(15)}, None),
        ({"proposed_allocation_pct": Decimal("15.0001")}, "position_size"),
        ({"proposed_allocation_pct": Decimal("16.3"), "ticker": "AAPL"}, "position_size"),
        ({"proposed_allocation_pct": Decimal("16.3001"), "ticker": "AAPL"}, "cash_buffer"),
        ({"proposed_allocation_pct": Decimal(12), "ticker": "LIN", "sector": "Materials"}, "regime_alignment"),
        ({"proposed_allocation_pct": Decimal("12.0001"), "ticker": "LIN", "sector": "Materials"}, "sector_cap"),
        ({"ticker": "AMD", "sector": "Utilities"}, "regime_alignment"),
    ],
)
def test_each_limit_is_met_exactly_and_missed_by_the_smallest_step(changes: dict[str, Any], reason: str | None) -> None:
    found = validated(NVDA.model_copy(update=changes))
    assert reason in found.reasons if reason else found.status == "APPROVED_FOR_PO"


def test_a_restricted_stock_is_rejected() -> None:
    found = validated(NVDA, barred={"NVDA": Restriction(ticker="NVDA", reason="house rule")})
    assert found.reasons == ("restriction_list",)


def test_the_older_profile_asks_for_its_own_buffer_and_cap() -> None:
    found = validated(NVDA, sample_inputs("portfolio_with_cash.json", "v8.0.3"))
    assert found.reasons == ("cash_buffer",)  # 21.3 % - 12 % is below 12 %


@pytest.mark.parametrize(
    ("confidence", "days", "why"), [("49.9999", 1, "confidence is 49.9999 %"), ("72", 8, "are 8 days old"), ("50", 7, "")]
)
def test_old_rankings_or_an_unsure_regime_skip_the_alignment_and_say_so(confidence: str, days: int, why: str) -> None:
    inputs = sample_inputs("portfolio_with_cash.json")
    assert inputs.rankings is not None
    ranked = inputs.rankings.model_copy(update={"regime_confidence_pct": Decimal(confidence), "as_of": AT - timedelta(days=days)})
    found = validated(
        NVDA.model_copy(update={"ticker": "LIN", "sector": "Materials"}), sample_inputs("portfolio_with_cash.json", rankings=ranked)
    )
    assert (found.status == "APPROVED_FOR_PO") == bool(why)
    assert why in found.message
    assert ("skipped" in found.message) == bool(why)


@pytest.mark.parametrize(("quoted", "refused"), [("157.5", False), ("157.51", True), ("142.5", False), ("142.49", True)])
def test_a_quoted_price_more_than_5_percent_from_the_market_is_refused(quoted: str, refused: bool) -> None:
    recommendation = NVDA.model_copy(update={"trigger_price": Decimal(quoted)})
    plan, _ = stock_plan(sample_inputs("portfolio_with_cash.json"), recommendation)
    assert (plan.verdict == "BLOCKED") == refused
    assert any(finding.code == "trigger_price" for finding in plan.findings) == refused


def test_a_position_that_is_held_already_counts_toward_its_limit() -> None:
    recommendation = NVDA.model_copy(update={"ticker": "AAPL", "proposed_allocation_pct": Decimal(13)})
    plan, validation = stock_plan(sample_inputs("portfolio_with_cash.json"), recommendation)
    assert validation.status == "APPROVED_FOR_PO", "the specification's criterion looks at the proposal alone"
    assert plan.verdict == "BLOCKED"
    assert any("the position would be 15.7 % of at most 15 %" in reason for reason in plan.reasons)
