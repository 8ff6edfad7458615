"""From playbook and template to the plan of a symbol for a day."""

import os
import subprocess
import sys
from decimal import Decimal

import pytest

from portfolio_platform.codec import from_bytes, to_bytes
from portfolio_platform.instruments import planning
from portfolio_platform.instruments.model import Condition, ExitRule, Expectation, InstrumentConfig, Plan, RequestPlan, Trigger
from portfolio_platform.instruments.planning import LEAST_N, PlanProvider, PlaybookPlans, chosen, expectations, for_directions, plan_of
from portfolio_platform.instruments.playbook import ALL, Playbook, Statistic
from portfolio_platform.instruments.playbook_loading import Shelf, shipped
from tests.unit.instruments.fixed_plans import FixedPlans

CONFIG = InstrumentConfig("core", "AAPL")
BARE = shipped().named("donchian_channel").model_copy(update={"expectations": ()})


def asked(template: str = "trend_continuation", regime: str = "bull_vol_low", day: str = "2007-06-01", symbol: str = "AAPL") -> RequestPlan:
    return RequestPlan(7, f"{symbol}:{template}:{day}", symbol, template, day, regime)


def statistic(regime: str, n: int, mean_r: str, sd_r: str = "1") -> Statistic:
    return Statistic(regime=regime, n=n, win_rate_pct=Decimal(50), mean_r=Decimal(mean_r), sd_r=Decimal(sd_r), hold_p50=5, hold_p90=10)


def like(name: str, *statistics: Statistic, regimes: tuple[str, ...] = ()) -> Playbook:
    return BARE.model_copy(update={"name": name, "expectations": statistics, "regimes": regimes})


def on_shelf(*playbooks: Playbook) -> Shelf:
    return Shelf({playbook.name: playbook for playbook in playbooks})


def choice(shelf: Shelf, regime: str = "bull_vol_low") -> str:
    found, reason = chosen(shelf, "trend_continuation", regime, CONFIG)
    assert found is not None, reason
    return found.name


def test_a_plan_says_what_its_playbook_says_in_parts_per_million() -> None:
    plan = plan_of(BARE, "AAPL", "2007-06-01")
    assert (plan.symbol, plan.template, plan.playbook, plan.day) == ("AAPL", "trend_continuation", "donchian_channel", "2007-06-01")
    assert plan.thesis[0] == ("long", Trigger("1w", (Condition("close_vs_sma_10", "above", 0), Condition("sma_slope_10", "above", 0))))
    assert plan.activation[1] == ("short", Trigger("1d", (Condition("below_low_20", "above", 0),)))
    assert (plan.stop, plan.target) == (ExitRule("atr", 2_000_000, 20), ExitRule("atr", 8_000_000, 20))
    assert (plan.timeout_bars, plan.time_exit_bars, plan.minimum_r_ppm, plan.risk_ppm) == (10, 60, 2_000_000, 5_000)


def test_any_condition_of_an_invalidation_ends_a_thesis_and_all_of_a_thesis_make_it() -> None:
    rider = shipped().named("donchian_channel")
    both = (*rider.thesis.long, *rider.thesis.long) if rider.thesis else ()
    doubled = rider.model_copy(update={"invalidation": rider.thesis.model_copy(update={"long": both}) if rider.thesis else None})
    plan = plan_of(doubled, "AAPL", "2007-06-01")
    assert len([trigger for direction, trigger in plan.invalidation if direction == "long"]) == len(both)
    assert len([trigger for direction, trigger in plan.thesis if direction == "long"]) == 1


def test_a_playbook_that_does_not_trade_gives_a_plan_that_never_arms() -> None:
    plan = PlaybookPlans(shipped()).provide(asked("uncertain_wait"), CONFIG).plan
    assert plan is not None
    assert (plan.thesis, plan.activation, plan.risk_ppm) == ((), (), 0)


@pytest.mark.parametrize("name", sorted(shipped().playbooks))
def test_a_plan_survives_being_kept_in_a_log(name: str) -> None:
    plan = plan_of(shipped().named(name), "AAPL", "2007-06-01")
    assert from_bytes(to_bytes(plan, Plan), Plan) == plan


def test_equal_requests_have_equal_plans_in_any_process() -> None:
    code = (
        "from portfolio_platform.codec import to_bytes\n"
        "from portfolio_platform.instruments.model import *\n"
        "from portfolio_platform.instruments.planning import PlaybookPlans\n"
        "from portfolio_platform.instruments.playbook_loading import shipped\n"
        "request = RequestPlan(7, 'r', 'AAPL', 'trend_continuation', '2007-06-01', 'bull_vol_low')\n"
        "print(to_bytes(PlaybookPlans(shipped()).provide(request, InstrumentConfig('core', 'AAPL')).plan, Plan).hex())\n"
    )
    said = [
        subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout
        for seed in ("1", "2")
    ]
    here = PlaybookPlans(shipped()).provide(asked(), CONFIG).plan
    assert said[0] == said[1] == f"{to_bytes(here, Plan).hex()}\n".encode()


def test_the_id_of_a_plan_tells_symbol_day_and_the_playbooks_content_apart() -> None:
    same_version = BARE.model_copy(update={"summary": "the same version, and another content"})
    plans = [
        plan_of(BARE, "AAPL", "2007-06-01"),
        plan_of(BARE, "MSFT", "2007-06-01"),
        plan_of(BARE, "AAPL", "2007-06-04"),
        plan_of(same_version, "AAPL", "2007-06-01"),
    ]
    assert len({plan.plan_id for plan in plans}) == len(plans)
    assert plan_of(BARE, "AAPL", "2007-06-01") == plans[0]


def test_a_day_keeps_its_plan_whatever_regime_asks_again() -> None:
    plans = PlaybookPlans(on_shelf(like("bulls", regimes=("bull_vol_low",)), like("bears", regimes=("bear_vol_low",))))
    first, second = plans.provide(asked(regime="bull_vol_low"), CONFIG), plans.provide(asked(regime="bear_vol_low"), CONFIG)
    next_day = plans.provide(asked(regime="bear_vol_low", day="2007-06-04"), CONFIG)
    assert first.plan == second.plan
    assert first.plan is not None and next_day.plan is not None
    assert (first.plan.playbook, next_day.plan.playbook) == ("bulls", "bears")


def test_plans_of_a_log_are_given_again_under_another_shelf() -> None:
    kept = plan_of(like("gone"), "AAPL", "2007-06-01")
    assert PlaybookPlans(shipped(), (kept,)).provide(asked(), CONFIG).plan == kept


def test_the_better_lower_bound_in_the_regime_is_chosen() -> None:
    # 0.5 - 1.328 * 1 / sqrt(20) = 0.20 against 0.6 - 1.383 * 1 / sqrt(10) = 0.16
    surer, higher = like("surer", statistic("bull_vol_low", 20, "0.5")), like("higher", statistic("bull_vol_low", 10, "0.6"))
    assert choice(on_shelf(surer, higher)) == "surer"
    assert choice(on_shelf(surer, like("higher", statistic("bull_vol_low", 10, "0.7")))) == "higher"


def test_without_enough_trades_in_the_regime_all_regimes_count_and_without_those_the_name() -> None:
    few = like("few", statistic("bull_vol_low", LEAST_N - 1, "3"), statistic(ALL, 40, "0"))
    many = like("many", statistic("bull_vol_low", LEAST_N, "0.5"))
    assert choice(on_shelf(few, many)) == "many"
    assert choice(on_shelf(few, many), "bear_vol_low") == "few"
    assert choice(on_shelf(like("b"), like("a"), like("c"))) == "a"
    assert choice(on_shelf(like("a"), like("known", statistic(ALL, 40, "-0.5")))) == "known"


def test_a_playbook_for_the_regime_goes_before_a_better_one_for_others() -> None:
    other = like("other", statistic("bull_vol_low", 50, "2"), regimes=("bear_vol_low",))
    assert choice(on_shelf(other, like("here", regimes=("bull_vol_low",)))) == "here"
    assert choice(on_shelf(other, like("here", regimes=("bull_vol_low",))), "bear_vol_low") == "other"


@pytest.mark.parametrize(
    ("template", "config", "reason"),
    [
        ("", CONFIG, "there is no template ''; the templates are compression_breakout"),
        ("bear_defensive", CONFIG._replace(shorts=False), r"no playbook of bear_defensive \(breakdown_short\) fits timeframes 1d, 1w"),
        ("bull_trending", CONFIG._replace(timeframes=("1h", "4h")), r"no playbook of bull_trending \(trend_rider\) fits timeframes 1h, 4h"),
    ],
)
def test_where_there_is_no_plan_the_reason_is_said(template: str, config: InstrumentConfig, reason: str) -> None:
    found = PlaybookPlans(shipped()).provide(asked(template), config)
    assert found.plan is None
    assert (found.at, found.request_id) == (7, f"AAPL:{template}:2007-06-01")
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(found.reason)


def test_a_plan_that_is_kept_is_not_given_to_a_workflow_without_its_timeframes() -> None:
    plans = PlaybookPlans(shipped())
    assert plans.provide(asked(), CONFIG).plan is not None
    assert plans.provide(asked(), CONFIG._replace(timeframes=("1h", "1d"))).plan is None
    assert plans.provide(asked(), CONFIG).plan is not None


def test_the_plans_that_are_kept_do_not_grow_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MOST_KEPT", 3)
    plans = PlaybookPlans(shipped())
    first = plans.provide(asked(), CONFIG)
    for number in range(5):
        plans.provide(asked(day=f"2007-06-1{number}"), CONFIG)
    assert len(plans._plans) == 3
    assert plans.provide(asked(), CONFIG) == first


def test_without_short_sales_a_plan_has_its_long_side_alone() -> None:
    plans = PlaybookPlans(shipped())
    both, long_only = plans.provide(asked(), CONFIG).plan, plans.provide(asked(), CONFIG._replace(shorts=False)).plan
    assert both is not None and long_only is not None
    assert {direction for stage in (long_only.thesis, long_only.activation, long_only.invalidation) for direction, _ in stage} == {"long"}
    assert both.plan_id != long_only.plan_id
    assert for_directions(both, shorts=True) == both


def test_a_playbook_without_statistics_expects_its_holding_time_with_a_sample_of_none() -> None:
    assert expectations(BARE) == (Expectation(ALL, 0, 0, 0, 15, 40),)
    assert expectations(like("known", statistic(ALL, 12, "0.25"))) == (Expectation(ALL, 12, 500_000, 250_000, 5, 10),)


def test_another_provider_can_stand_in() -> None:
    providers: tuple[PlanProvider, ...] = (PlaybookPlans(shipped()), FixedPlans(BARE))
    found = [provider.provide(asked("volatile_breakout"), CONFIG).plan for provider in providers]
    assert [plan.playbook for plan in found if plan is not None] == ["volatile_breakout", "donchian_channel"]
    assert {plan.template for plan in found if plan is not None} == {"volatile_breakout"}
