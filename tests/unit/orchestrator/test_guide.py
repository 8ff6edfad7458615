"""The execution guide: phases, money, waiting, and what has to hold afterwards."""

from portfolio_platform.orchestrator.guide import guide_of
from portfolio_platform.orchestrator.loading import SAMPLES, load_directives, load_queue
from portfolio_platform.orchestrator.plan import queue_plan, rebalancing_plan
from tests.unit.orchestrator.examples import sample_inputs


def test_the_guide_has_sells_then_buys_with_their_money_and_a_check_list() -> None:
    inputs = sample_inputs()
    plan = rebalancing_plan(inputs, load_directives(SAMPLES / "portfolio_document.md"))
    guide = guide_of(plan, inputs.profile)
    assert [(phase.number, phase.title, phase.total_minor) for phase in guide.phases] == [
        (1, "SELL orders", plan.dry_run.sells_minor),
        (2, "BUY orders", plan.dry_run.buys_minor),
    ]
    assert [step.trade_id for phase in guide.phases for step in phase.steps] == [trade.trade_id for trade in plan.trades]
    assert guide.phases[0].steps[0].lots == ("975 of lot NEM-1",)
    assert guide.plan_hash == plan.hash
    assert any(line.startswith("Materials is about 25 %, and at most 40 %") for line in guide.afterwards)
    assert any("after 15 minutes without a fill Master-Architect is asked" in line for line in guide.afterwards)
    assert [line for line in guide.before if line.startswith("Condition: ")] == [f"Condition: {one}" for one in plan.conditions]


def test_approval_order_is_not_resorted_into_phases() -> None:
    queue = load_queue(SAMPLES / "approved_queue.json")
    sale = queue.trades[1].model_copy(update={"ticker": "MSFT", "side": "sell"})
    mixed = queue.model_copy(update={"trades": (queue.trades[0], sale, queue.trades[2])})
    inputs = sample_inputs("portfolio_with_cash.json", "v8.0.3")
    guide = guide_of(queue_plan(inputs, mixed), inputs.profile)
    assert [phase.title for phase in guide.phases] == ["BUY orders", "SELL orders", "BUY orders"]
