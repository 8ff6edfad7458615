"""What holds of every plan, whatever the portfolio and the directives are."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portfolio_platform.orchestrator.directive import Directives
from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.loading import read_json
from portfolio_platform.orchestrator.model import RestrictionList, SectorRankings, Snapshot
from portfolio_platform.orchestrator.plan import rebalancing_plan
from portfolio_platform.orchestrator.planned import CASH, Plan
from portfolio_platform.orchestrator.profile import Profile, shipped_profile
from tests.unit.orchestrator.examples import AT, directive_sets, portfolios, with_rules

WITH_FEES = with_rules(shipped_profile(), "trades", fee_fixed=Decimal("4.95"), fee_bps=Decimal(3), minimum_ticket=Decimal(50))
WIDE = with_rules(WITH_FEES, "limits", position_pct=100, sector_cap_pct=100, sector_increase_points=100)
PROFILES = st.sampled_from([shipped_profile(), shipped_profile("v8.0.3"), WITH_FEES, WIDE])
Case = tuple[Snapshot, SectorRankings, RestrictionList]
quick = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def planned(case: Case, directives: Directives, profile: Profile) -> tuple[Plan, Snapshot]:
    made, ranked, listed = case
    return rebalancing_plan(Inputs(made, listed, profile, AT, ranked), directives), made


@quick
@given(portfolios(), directive_sets(), PROFILES)
def test_money_and_shares_are_conserved_to_the_last_unit(case: Case, directives: Directives, profile: Profile) -> None:
    plan, made = planned(case, directives, profile)
    cash = {account.account: account.cash_minor for account in made.accounts}
    shares = {key: Fraction(quantity) for key, quantity in made.quantities.items()}
    lost = Fraction(0)
    for trade, step in zip(plan.trades, plan.path, strict=True):
        exact = Fraction(trade.quantity) * Fraction(trade.price) * 100
        sign = 1 if trade.side == "buy" else -1
        cash[trade.account] += -sign * trade.amount_minor - trade.fee_minor
        shares[trade.account, trade.ticker] = shares.get((trade.account, trade.ticker), Fraction(0)) + sign * Fraction(trade.quantity)
        rounding = sign * (trade.amount_minor - exact)
        assert 0 <= rounding < 1, "a sale is rounded down and a purchase up, by less than a minor unit"
        lost += rounding + trade.fee_minor
        assert step.cash_after_minor == sum(cash.values())
        assert step.account_after_minor == cash[trade.account]
    before = made.cash_minor + sum(Fraction(q) * Fraction(made.by_ticker[key[1]].price) * 100 for key, q in made.quantities.items())
    after = sum(cash.values()) + sum(q * Fraction(made.by_ticker[key[1]].price) * 100 for key, q in shares.items())
    assert before - lost == after
    assert plan.dry_run.cash_after_minor == sum(cash.values()), "the dry run is the plan executed at its prices"
    worth = {key: round(q * Fraction(made.by_ticker[key[1]].price) * 100) for key, q in shares.items()}
    assert plan.dry_run.equity_after_minor == sum(cash.values()) + sum(worth.values())
    for row in plan.dry_run.sectors:
        if row.sector != CASH:
            assert row.after_minor == sum(amount for key, amount in worth.items() if made.by_ticker[key[1]].sector == row.sector)


@quick
@given(portfolios(), directive_sets(), PROFILES)
def test_the_cash_path_holds_or_the_plan_is_blocked(case: Case, directives: Directives, profile: Profile) -> None:
    plan, made = planned(case, directives, profile)
    cash = {account.account: account.cash_minor for account in made.accounts}
    held = True
    for trade in plan.trades:
        before = sum(cash.values())
        cash[trade.account] += trade.cash_minor
        now = sum(cash.values())
        above = Fraction(now, made.equity_minor) >= Fraction(profile.buffer.floor_pct) / 100 and cash[trade.account] >= 0
        held = held and (above or now >= before)
    assert held or plan.verdict == "BLOCKED"
    assert all(step.holds for step in plan.path) == held


@quick
@given(portfolios(), directive_sets(), PROFILES)
def test_no_trade_touches_a_restricted_name_and_sells_never_exceed_holdings(case: Case, directives: Directives, profile: Profile) -> None:
    plan, made = planned(case, directives, profile)
    barred = {entry.ticker for entry in case[2].entries}
    sold: dict[tuple[str, str], Fraction] = {}
    for trade in plan.trades:
        assert trade.ticker not in barred
        assert trade.quantity > 0
        if trade.side == "sell":
            key = trade.account, trade.ticker
            sold[key] = sold.get(key, Fraction(0)) + Fraction(trade.quantity)
            assert sum(Fraction(lot.quantity) for lot in trade.lots) == Fraction(trade.quantity)
    for key, quantity in sold.items():
        assert quantity <= Fraction(made.quantities[key])


@quick
@given(portfolios(), directive_sets(), PROFILES)
def test_every_sector_moves_toward_its_target_or_says_why_not(case: Case, directives: Directives, profile: Profile) -> None:
    plan, _ = planned(case, directives, profile)
    said = {finding.subject for finding in plan.findings}
    after = {row.sector: row.after_minor for row in plan.dry_run.sectors}
    assert {target.sector for target in plan.targets} | said >= {directive.sector for directive in directives.directives}
    for target in plan.targets:
        if target.sector == CASH:
            continue
        gap, left = abs(target.current_minor - target.target_minor), abs(after.get(target.sector, 0) - target.target_minor)
        slack = len(plan.trades) + 2  # halves of minor units in the valuation
        assert left <= gap + slack, f"{target.sector} moves away from its target"
        assert target.action == "HOLD" or left < gap or target.sector in said


@quick
@given(portfolios(), directive_sets(), PROFILES)
def test_equal_inputs_give_equal_bytes_and_a_plan_can_be_read_back(case: Case, directives: Directives, profile: Profile) -> None:
    plan, made = planned(case, directives, profile)
    again, _ = planned(
        (Snapshot.model_validate(made.model_dump()), case[1], case[2]), directives, Profile.model_validate(profile.model_dump())
    )
    assert plan.canonical() == again.canonical()
    assert read_json(plan.canonical().decode(), Plan, "plan.json").hash == plan.hash


@quick
@given(portfolios(), directive_sets(), PROFILES)
def test_an_unblocked_plan_keeps_every_limit_when_it_is_looked_at_independently(
    case: Case, directives: Directives, profile: Profile
) -> None:
    plan, _ = planned(case, directives, profile)
    if plan.verdict == "BLOCKED":
        return
    run = plan.dry_run
    for row in run.sectors:
        if row.sector != CASH:
            assert Fraction(row.after_minor, run.equity_after_minor) <= Fraction(profile.limits.cap_of(row.sector)) / 100
    for position in run.positions:
        assert Fraction(position.after_minor, run.equity_after_minor) <= Fraction(profile.limits.position_pct) / 100
    assert Fraction(run.cash_after_minor, run.equity_after_minor) >= Fraction(profile.buffer.floor_pct) / 100


@quick
@given(portfolios(), directive_sets())
def test_another_time_or_portfolio_makes_another_plan(case: Case, directives: Directives) -> None:
    plan, made = planned(case, directives, shipped_profile())
    richer = made.model_copy(
        update={"accounts": (made.accounts[0].model_copy(update={"cash_minor": made.accounts[0].cash_minor + 1}), *made.accounts[1:])}
    )
    other, _ = planned((Snapshot.model_validate(richer.model_dump()), case[1], case[2]), directives, shipped_profile())
    assert other.hash != plan.hash
    assert other.portfolio_hash != plan.portfolio_hash
