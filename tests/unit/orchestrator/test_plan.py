"""The whole plan: the specification's cases, the cash path, the six constraints, verdicts and what an approval binds."""

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from portfolio_platform.orchestrator.amounts import percent
from portfolio_platform.orchestrator.constraints import aggregate_pending, allocation_changes
from portfolio_platform.orchestrator.directive import Directive, Directives
from portfolio_platform.orchestrator.directives import parse_directives
from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.loading import SAMPLES, load_directives, load_queue, load_recommendation, load_snapshot
from portfolio_platform.orchestrator.model import ApprovedQueue, ApprovedTrade, Finding, Holding, TaxLot
from portfolio_platform.orchestrator.pending import trades_of_queue
from portfolio_platform.orchestrator.plan import queue_plan, rebalancing_plan, refusal, stock_plan
from portfolio_platform.orchestrator.planned import Plan
from portfolio_platform.orchestrator.profile import shipped_profile
from tests.unit.orchestrator.examples import (
    AT,
    NO_RESTRICTIONS,
    account,
    asked,
    holding,
    instrument,
    rankings,
    sample_inputs,
    snapshot,
    to,
    with_rules,
)

DOCUMENT = load_directives(SAMPLES / "portfolio_document.md")
V8 = shipped_profile()


def weights(plan: Plan) -> dict[str, str]:
    return {row.sector: percent(row.after_ppm) for row in plan.dry_run.sectors}


def checks(plan: Plan) -> dict[str, bool]:
    return {check.name: check.passed for check in plan.dry_run.checks}


def test_the_specifications_rebalancing_reaches_its_targets() -> None:
    plan = rebalancing_plan(sample_inputs(), DOCUMENT)
    found = weights(plan)
    assert (found["Materials"], found["Technology"], found["Healthcare"], found["Cash"]) == ("25", "16", "9.998", "5.002")
    assert checks(plan) == dict.fromkeys(
        ["sector_cap", "cash_buffer", "position_size", "sector_increase", "buffer_throughout", "restriction_list"], True
    )
    assert plan.verdict == "CONDITIONAL", "cash ends between 5 and 8 %, and below 5 % in the worst case"
    assert any("below the healthy 8 %" in condition for condition in plan.conditions)
    assert any("50 basis points against every trade" in condition for condition in plan.conditions)
    assert plan.residue_minor == 2_000
    assert plan.execution_id == f"sample-20260105T150000Z-{plan.hash[:12]}"


def test_the_same_portfolio_is_blocked_by_the_older_profile() -> None:
    plan = rebalancing_plan(sample_inputs(profile="v8.0.3"), DOCUMENT)
    assert plan.verdict in ("BLOCKED", "CONDITIONAL")
    assert percent(plan.dry_run.sectors[-1].after_ppm) >= "12", "buys leave the floor of 12 % in cash"
    assert any(finding.code == "cash_short" for finding in plan.findings)


def test_sells_come_first_by_liquidity_and_buys_by_conviction() -> None:
    plan = rebalancing_plan(sample_inputs(), DOCUMENT)
    assert [(trade.side, trade.ticker) for trade in plan.trades][:2] == [("sell", "NEM"), ("sell", "FCX")]
    convictions = [trade.conviction for trade in plan.trades if trade.side == "buy"]
    assert convictions == sorted(convictions, key=lambda value: -(value or 0))
    assert [step.phase for step in plan.path] == [1, 1] + [2] * (len(plan.path) - 2)
    assert [trade.trade_id for trade in plan.trades][:3] == ["S01", "S02", "B01"]


def queue(*sizes: str, side: str = "buy", tickers: tuple[str, ...] = ("JPM", "NVDA", "LLY")) -> ApprovedQueue:
    made = load_queue(SAMPLES / "approved_queue.json")
    known = load_snapshot(SAMPLES / "portfolio.json").by_ticker
    trades = tuple(
        ApprovedTrade(
            trade_id=f"T{place}",
            ticker=ticker,
            sector=known[ticker].sector,
            side=side,  # type: ignore[arg-type]
            account="brokerage",
            size_minor=int(Decimal(size) * 100),
            conviction=60 + 10 * place,
            approved_at=AT - timedelta(minutes=30 - place),
        )
        for place, (size, ticker) in enumerate(zip(sizes, tickers, strict=False))
    )
    return made.model_copy(update={"trades": trades})


@pytest.mark.parametrize(("profile", "order"), [("v8.0.3", ["T0", "T1", "T2"]), ("v8.1.1", ["T2", "T1", "T0"])])
def test_an_approved_queue_keeps_its_order_in_the_older_profile_alone(profile: str, order: list[str]) -> None:
    plan = queue_plan(sample_inputs("portfolio_with_cash.json", profile), queue("15000", "15000", "10000"))
    assert [trade.trade_id for trade in plan.trades] == order
    assert plan.verdict == "SAFE"


@pytest.mark.parametrize(
    ("sizes", "status", "verdict"),
    [
        (("21000", "21000", "21000"), "HEALTHY", "SAFE"),  # 21.3 % of cash; rounding to shares leaves 15.03 %
        (("21000", "21000", "22000"), "MARGINAL", "CONDITIONAL"),
        (("31000", "31000", "31000"), "MARGINAL", "CONDITIONAL"),
        (("31000", "31000", "32000"), "AT_RISK", "BLOCKED"),
    ],
)
def test_all_pending_trades_together_leave_a_healthy_a_marginal_or_a_breached_buffer(
    sizes: tuple[str, ...], status: str, verdict: str
) -> None:
    inputs, asked_for = sample_inputs("portfolio_with_cash.json", "v8.0.3"), queue(*sizes, tickers=("MSFT", "NVDA", "AVGO"))
    trades, _ = trades_of_queue(asked_for, inputs.snapshot, inputs.profile)
    pending = aggregate_pending(trades, inputs.snapshot, inputs.profile)
    assert pending.buffer_status == status
    assert pending.cash_after_minor == inputs.snapshot.cash_minor - pending.total_pending_minor
    assert queue_plan(inputs, asked_for).verdict == verdict


def test_a_sector_that_moved_two_points_since_approval_is_shifted_and_one_over_its_cap_blocks() -> None:
    inputs = sample_inputs("portfolio_with_cash.json", "v8.0.3")
    given = queue("15000")
    exactly = given.model_copy(update={"approved_allocations": {**given.approved_allocations, "Financials": 220_000, "Energy": 180_001}})
    trades, _ = trades_of_queue(exactly, inputs.snapshot, inputs.profile)
    changes = {change.sector: change for change in allocation_changes(exactly, trades, inputs.snapshot, inputs.profile)}
    assert (changes["Financials"].shifted, changes["Financials"].flag) == (True, "Sector allocation increased since approval")
    assert not changes["Energy"].shifted
    assert queue_plan(inputs, exactly).verdict == "CONDITIONAL"
    tight = replace(inputs, profile=with_rules(inputs.profile, "limits", sector_cap_pct=25))
    plan = queue_plan(tight, given)
    assert plan.verdict == "BLOCKED"
    assert any("with what is pending it would be 25.488 % of at most 25 %" in reason for reason in plan.reasons)


@pytest.mark.parametrize(
    ("exits", "said"),
    [
        ({"stop_price": Decimal(150)}, "the stop 150 is not below the price 150 of NVDA"),
        ({"stop_price": Decimal("149.99")}, ""),
        ({"profit_targets": (Decimal(170), Decimal(150))}, "the profit target 150 is not above the price 150 of NVDA"),
        ({"profit_targets": (Decimal("150.01"),)}, ""),
    ],
)
def test_a_stop_or_a_target_that_the_price_has_passed_blocks_the_purchase(exits: dict[str, object], said: str) -> None:
    inputs = sample_inputs("portfolio_with_cash.json")
    recommended = load_recommendation(SAMPLES / "stock_recommendation.json").model_copy(update=exits)
    of_queue = queue("15000", tickers=("NVDA",))
    of_queue = of_queue.model_copy(update={"trades": (of_queue.trades[0].model_copy(update=exits),)})
    for plan in (stock_plan(inputs, recommended)[0], queue_plan(inputs, of_queue)):
        assert (plan.verdict == "BLOCKED") == bool(said)
        assert all(reason.endswith(said) for reason in plan.reasons)


def test_a_queue_cannot_sell_more_than_is_held_however_it_is_cut() -> None:
    plan = queue_plan(sample_inputs("portfolio_with_cash.json"), queue("80000", "60000", side="sell", tickers=("JPM", "JPM")))
    assert sum(trade.quantity for trade in plan.trades) == 500
    assert plan.verdict == "BLOCKED"
    assert any("60,000.00 of JPM are to be sold, and brokerage holds 167 shares" in reason for reason in plan.reasons)


def two_accounts(kind: str, profile: str) -> Plan:
    made = snapshot(
        (account("one", "10000", holding("OLD", "400", "50"), kind=kind), account("two", "10000")),
        (instrument("OLD", "Old", "100"), instrument("NEW", "New", "100"), instrument("REST", "Rest", "1")),
    )
    rules = with_rules(with_rules(shipped_profile(profile), "limits", position_pct=100, sector_cap_pct=100), "trades", pick_shares=(100,))
    inputs = Inputs(made, NO_RESTRICTIONS, rules, AT, rankings({"New": ["NEW"], "Old": []}))
    return rebalancing_plan(inputs, asked(to("Old", 20), to("New", 55)))


def test_a_cash_account_buys_only_with_what_confirmed_sells_brought() -> None:
    waits = {step.trade_id: step.waits_for for step in two_accounts("cash", "v8.1.1").path}
    assert waits == {"S01": (), "B01": ("S01",)}
    assert all(step.waits_for == () for step in two_accounts("margin", "v8.1.1").path)


def test_a_buy_waits_for_no_more_sells_than_pay_for_it() -> None:
    made = snapshot(
        (account("one", "5000", holding("AAA", "100", "50"), holding("BBB", "100", "60"), kind="cash"), account("two", "30000")),
        (instrument("AAA", "Old", "100"), instrument("BBB", "Old", "100"), instrument("NEW", "New", "100")),
    )

    def trade(name: str, ticker: str, side: str, size: int) -> ApprovedTrade:
        sector = "New" if ticker == "NEW" else "Old"
        given = {
            "trade_id": name,
            "ticker": ticker,
            "sector": sector,
            "side": side,
            "account": "one",
            "size_minor": size,
            "approved_at": AT,
        }
        return ApprovedTrade.model_validate(given)

    approved = ApprovedQueue(
        as_of=AT,
        source="test",
        portfolio="test",
        trades=(
            trade("S1", "AAA", "sell", 1_000_000),
            trade("S2", "BBB", "sell", 1_000_000),
            trade("B1", "NEW", "buy", 500_000),
            trade("B2", "NEW", "buy", 800_000),
            trade("B3", "NEW", "buy", 800_000),
        ),
        approved_allocations={"Old": 363_636},
    )
    plan = queue_plan(Inputs(made, NO_RESTRICTIONS, shipped_profile("v8.0.3"), AT), approved)
    waits = {step.trade_id: step.waits_for for step in plan.path}
    assert waits == {"S1": (), "S2": (), "B1": (), "B2": ("S1",), "B3": ("S1", "S2")}


def test_a_buy_before_the_sale_that_pays_for_it_blocks_the_plan_in_approval_order() -> None:
    made = snapshot(
        (account("brokerage", "20000", holding("OLD", "800", "50"), kind="cash"),),
        (instrument("OLD", "Old", "100"), instrument("NEW", "New", "100")),
    )
    inputs = Inputs(made, NO_RESTRICTIONS, with_rules(shipped_profile("v8.0.3"), "limits", position_pct=100, sector_cap_pct=100), AT)
    buy_first = ApprovedQueue(
        as_of=AT,
        source="test",
        portfolio="test",
        trades=(
            ApprovedTrade(trade_id="B", ticker="NEW", sector="New", account="brokerage", size_minor=1_500_000, approved_at=AT),
            ApprovedTrade(trade_id="S", ticker="OLD", sector="Old", side="sell", account="brokerage", size_minor=2_000_000, approved_at=AT),
        ),
        approved_allocations={"Old": 800_000},
    )
    blocked = queue_plan(inputs, buy_first)
    assert [trade.trade_id for trade in blocked.trades] == ["B", "S"]
    assert blocked.verdict == "BLOCKED"
    assert any(reason.startswith("buffer_throughout") and "after B: cash 5,000.00 (5 %)" in reason for reason in blocked.reasons)
    wide = with_rules(V8, "limits", position_pct=100, sector_cap_pct=100)
    resorted = queue_plan(replace(inputs, profile=wide), buy_first)
    assert [trade.trade_id for trade in resorted.trades] == ["S", "B"]
    assert resorted.verdict == "SAFE"


def test_a_target_above_the_cap_is_planned_and_blocked_for_a_person_to_decide() -> None:
    plan = rebalancing_plan(sample_inputs(), asked(to("Materials", 42, "reduce")))
    assert plan.verdict == "BLOCKED"
    assert any(reason.startswith("sector_cap (each sector at most 40 %): Materials 42") for reason in plan.reasons)


def test_a_sector_may_not_rise_by_more_than_fifty_points() -> None:
    made = snapshot((account("one", "100000"),), tuple(instrument(f"N{number}", "New", "10") for number in range(9)))
    rules = with_rules(with_rules(V8, "limits", sector_cap_pct=100, position_pct=100), "trades", pick_shares=(50, 30, 20))
    ranked = rankings({"New": [f"N{number}" for number in range(9)]})
    at_limit = rebalancing_plan(Inputs(made, NO_RESTRICTIONS, rules, AT, ranked), asked(to("New", 50)))
    beyond = rebalancing_plan(Inputs(made, NO_RESTRICTIONS, rules, AT, ranked), asked(to("New", "50.1")))
    assert (checks(at_limit)["sector_increase"], checks(beyond)["sector_increase"]) == (True, False)
    assert checks(at_limit)["cash_buffer"]


@pytest.mark.parametrize(
    ("directive", "code", "verdict"),
    [
        (Directive(kind="reduce", sector="Materials", current_pct=Decimal("46.3"), target_pct=Decimal(39)), None, "SAFE"),
        (Directive(kind="reduce", sector="Materials", current_pct=Decimal("46.2"), target_pct=Decimal(30)), "stated_weight", "CONDITIONAL"),
        (Directive(kind="reduce", sector="Materials", current_pct=Decimal("44.8"), target_pct=Decimal(30)), "stated_weight", "BLOCKED"),
        (to("Materials", 50, "reduce"), "contradicts_ledger", "BLOCKED"),
        (to("Technology", 5, "increase"), "contradicts_ledger", "BLOCKED"),
        (to("Space", 5), "unknown_sector", "BLOCKED"),
        (Directive(kind="reduce", sector="Energy", change_points=Decimal("20.1")), "contradicts_ledger", "BLOCKED"),
        (Directive(kind="reduce", sector="Energy", change_amount=Decimal(5), change_currency="EUR"), "contradicts_ledger", "BLOCKED"),
        (to("Energy", 15, "hold"), "held_elsewhere", None),
    ],
)
def test_what_the_ledger_contradicts_is_a_finding(directive: Directive, code: str | None, verdict: str | None) -> None:
    plan = rebalancing_plan(sample_inputs(), asked(directive))
    codes = {finding.code for finding in plan.findings if finding.severity != "info"}
    assert codes == ({code} if code else set())
    assert verdict is None or plan.verdict == verdict


def test_another_name_of_a_sector_is_the_same_sector() -> None:
    plan = rebalancing_plan(sample_inputs(), asked(to("tech", 16), to("Information Technology", 18)))
    assert [target.sector for target in plan.targets] == ["Technology"]
    assert any(finding.code == "two_directives" for finding in plan.findings)


def test_unread_lines_that_could_ask_for_something_are_conditions() -> None:
    plan = rebalancing_plan(sample_inputs(), parse_directives("# ACTION PLAN\n\n- Reduce Materials to 40%\n- Maybe trim Energy by 5%\n"))
    assert plan.verdict == "CONDITIONAL"
    assert any("line 4 was not understood" in condition and "Maybe trim Energy by 5%" in condition for condition in plan.conditions)


def test_a_document_without_directives_gives_a_blocked_plan() -> None:
    plan = rebalancing_plan(sample_inputs(), Directives(directives=()))
    assert plan.verdict == "BLOCKED"
    assert plan.trades == ()


def test_a_finding_from_elsewhere_such_as_an_envelope_blocks_too() -> None:
    further = Finding(code="envelope", severity="error", subject="NVDA", message="the control plane's envelope allows no new risk")
    plan = rebalancing_plan(sample_inputs(), DOCUMENT, [further])
    assert plan.verdict == "BLOCKED"
    assert "the control plane's envelope allows no new risk" in plan.reasons


def test_an_approval_binds_the_plan_and_the_portfolio_and_expires() -> None:
    inputs = sample_inputs()
    plan = rebalancing_plan(inputs, DOCUMENT)
    state = inputs.snapshot.state_hash
    assert plan.expires_at == AT + timedelta(hours=2)
    assert refusal(plan, state, AT + timedelta(minutes=119)) == ""
    assert "has expired" in refusal(plan, state, AT + timedelta(minutes=120))
    first = inputs.snapshot.accounts[0]
    poorer = inputs.snapshot.model_copy(
        update={"accounts": (first.model_copy(update={"cash_minor": first.cash_minor - 1}), *inputs.snapshot.accounts[1:])}
    )
    assert "the portfolio has moved" in refusal(plan, poorer.model_validate(poorer.model_dump()).state_hash, AT)
    blocked = rebalancing_plan(inputs, Directives(directives=()))
    assert refusal(blocked, state, AT).startswith("the plan is blocked: ")


def test_a_portfolio_below_its_buffer_can_be_mended_by_sells_and_not_made_worse() -> None:
    made = snapshot(
        (account("one", "1000", *(holding(f"O{number}", "99", "50") for number in range(10))),),
        tuple(instrument(f"O{number}", f"Old{number % 5}", "100") for number in range(10)),
    )
    mended = rebalancing_plan(Inputs(made, NO_RESTRICTIONS, V8, AT), asked(to("Old1", 5), Directive(kind="cash", target_pct=Decimal(15))))
    assert checks(mended)["buffer_throughout"]
    assert mended.dry_run.cash_after_minor >= 1_500_000
    worse = rebalancing_plan(Inputs(made, NO_RESTRICTIONS, V8, AT, rankings({"Old1": ["O1"]})), asked(to("Old1", 30)))
    assert worse.trades == ()
    assert worse.verdict == "BLOCKED", "cash stays below its floor"


def test_a_thousand_holdings_and_a_hundred_directives_are_planned_in_under_a_second() -> None:
    sectors = [f"Sector {number}" for number in range(100)]
    instruments = tuple(
        instrument(f"T{number}", sectors[number % 100], f"{5 + number % 97}.{number % 89:02d}", daily_value_minor=number)
        for number in range(1300)
    )
    holdings = tuple(
        Holding(
            ticker=f"T{number}",
            lots=tuple(
                TaxLot(lot_id=str(place), quantity=Decimal(10 + number % 7), cost=Decimal(3 + number % 50), acquired=AT.date())
                for place in range(2)
            ),
        )
        for number in range(1000)
    )
    made = snapshot(
        (account("one", "20000", *holdings[:500]), account("two", "30000", *holdings[500:], kind="cash", fractional=True)), instruments
    )
    ranked = rankings({sector: [f"T{1000 + place}", f"T{1100 + place}", f"T{1200 + place}"] for place, sector in enumerate(sectors)})
    directives = asked(*(to(sector, "0.5" if place % 2 else "1.2") for place, sector in enumerate(sectors)))
    inputs = Inputs(made, NO_RESTRICTIONS, V8, AT, ranked)
    rebalancing_plan(inputs, asked(to("Sector 1", "0.5")))  # calendars are read once
    started = time.process_time()
    plan = rebalancing_plan(inputs, directives)
    assert plan.hash
    taken = time.process_time() - started
    assert len(plan.trades) > 200
    assert taken < 1.0, f"{taken:.2f} s"
