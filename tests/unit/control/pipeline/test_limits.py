"""The register of limits: full for every session, by hand on a small ledger, the same as heat's and as what the control plane shows."""

from collections import Counter
from datetime import date, timedelta

import pyarrow.compute as pc
import pytest

from portfolio_platform.build import build_all, is_behind
from portfolio_platform.control.orders import Wanted, give
from portfolio_platform.control.pipeline.cycle import run_cycle
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.views import state_view
from portfolio_platform.home import Home
from portfolio_platform.lake import derived
from portfolio_platform.stage import build_stage
from portfolio_platform.stages import BY_NAME
from tests.unit.control.pipeline.conftest import FILLS, LAST, at, imported, weekday

STAGE = BY_NAME["limits"]


def register(home: Home, day: date | None = None) -> dict[tuple[str, str, str], dict[str, object]]:
    rows = home.lake.read(derived.LIMIT_UTILISATION, None, None if day is None else pc.field("day") == day).to_pylist()
    return {(row["rule"], row["scope"], row["basis"]): row for row in rows}


def wants(home: Home, name: str, risk: object, **said: object) -> dict[str, object]:
    asked = {"intent_id": name, "strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": risk, "ts": home.clock.now()}
    return {**asked, "template": "breakout", **said}


def test_every_session_of_the_sample_has_its_limits_though_nothing_was_ever_asked(sample_home):
    sessions = sample_home.lake.read(derived.PORTFOLIO_EQUITY, ["day", "portfolio", "equity"]).to_pylist()
    rows = sample_home.lake.read(derived.LIMIT_UTILISATION).to_pylist()
    counts = Counter((row["day"], row["portfolio"]) for row in rows)
    assert set(counts) == {(row["day"], row["portfolio"]) for row in sessions} and len(counts) == 2465
    assert min(counts.values()) >= 3  # heat and the two counts at least
    heat = {(row["day"], row["portfolio"]): row for row in rows if row["rule"] == "heat"}
    for row in sessions:
        one = heat[row["day"], row["portfolio"]]
        assert one["cap"] == 0.06 and one["limit"] == pytest.approx(0.06 * row["equity"], abs=0.02)
        assert one["equity"] == pytest.approx(row["equity"], abs=0.0051)


def test_the_register_and_heat_add_up_the_same_risk(sample_home):
    found = sample_home.lake.read(derived.PORTFOLIO_HEAT, ["day", "portfolio", "active_risk", "positions", "reason"]).to_pylist()
    rows = sample_home.lake.read(derived.LIMIT_UTILISATION, None, pc.field("rule").isin(["heat", "positions"])).to_pylist()
    mine = {(row["day"], row["portfolio"], row["rule"]): row["active"] for row in rows}
    sound = [row for row in found if not row["reason"]]
    assert len(sound) > 2_000
    for row in sound:  # every position is rounded to the cent
        cents = 0.005 * row["positions"] + 1e-6
        assert mine[row["day"], row["portfolio"], "heat"] == pytest.approx(row["active_risk"], abs=cents)
        assert mine[row["day"], row["portfolio"], "positions"] == row["positions"]


def test_openings_are_those_of_the_trades(sample_home):
    """A second way: every trade that was ever opened, closed ones by their round trip and the others by being held at the end."""
    rows = sample_home.lake.read(derived.LIMIT_UTILISATION, ["portfolio", "active"], pc.field("rule") == "new_positions").to_pylist()
    trips = sample_home.lake.read(derived.ROUND_TRIPS, ["portfolio"], pc.field("method") == "flat_to_flat").to_pylist()
    last = sample_home.lake.read(derived.POSITION_RISK, ["portfolio"], pc.field("day") == sample_home.today).to_pylist()
    for portfolio in ("core", "macro"):
        opened = sum(row["active"] for row in rows if row["portfolio"] == portfolio)
        assert opened == sum(row["portfolio"] == portfolio for row in [*trips, *last])


def test_a_day_of_a_range_is_that_day_alone(small):
    whole = small.lake.read(derived.LIMIT_UTILISATION).sort_by([(name, "ascending") for name in derived.LIMIT_UTILISATION.key])
    for number in (29, 25, 1, 0):
        build_stage(small, STAGE, restate_from=weekday(number))
        again = small.lake.read(derived.LIMIT_UTILISATION).sort_by([(name, "ascending") for name in derived.LIMIT_UTILISATION.key])
        assert again.equals(whole), weekday(number)


def test_the_first_day_by_hand(small):
    """40 AAA at 100 with the stop at 60, and 10.5 BBB without one, of 100,000: heat counts both."""
    found = register(small, weekday(0))
    risks = {row["symbol"]: row["risk"] for row in small.lake.read(derived.POSITION_RISK, None, pc.field("day") == weekday(0)).to_pylist()}
    assert 1_600.0 <= risks["AAA"] <= 1_610.0  # 40 x 40 and the cost of leaving
    heat = found["heat", "", "risk"]
    assert heat["active"] == pytest.approx(sum(risks.values()), abs=0.01) and heat["limit"] == pytest.approx(
        0.06 * heat["equity"], abs=0.01
    )
    assert found["cohort", "large", "risk"]["active"] == pytest.approx(risks["AAA"], abs=0.005)
    assert (found["positions", "", "count"]["used"], found["new_positions", "", "count"]["used"]) == (2.0, 2.0)
    assert found["positions", "", "count"]["cap"] is None and found["positions", "", "count"]["limit"] == 20.0
    assert not [key for key in found if key[0] == "cohort" and key[1] != "large"]  # BBB is in none
    assert register(small, weekday(1))["new_positions", "", "count"]["used"] == 0.0


def test_it_is_what_the_control_plane_shows_of_its_newest_session(small):
    run_cycle(small)
    state = ControlPlane(small.book, small.clock).get_portfolio_state("main")
    shown = {(one["rule"], one["scope"], one["basis"]): one for one in state_view(state)["limits"]}
    found = register(small, LAST)
    assert set(shown) == set(found)
    for key, one in shown.items():
        if key[0] != "new_positions":  # the ledger was history when control began
            assert float(one["used"]) == found[key]["used"] and float(one["limit"]) == found[key]["limit"]


def test_what_is_granted_is_reserved_at_the_end_of_its_day_as_in_heat(small):
    plane = ControlPlane(small.book, small.clock)
    run_cycle(small, plane=plane)
    granted = plane.request_allocation(wants(small, "a", "500.25"), "main").decision.approved_risk / 100
    assert is_behind(small)
    for name in ("heat", "limits"):
        build_stage(small, BY_NAME[name])
    found = register(small, LAST)
    heat = small.lake.read(derived.PORTFOLIO_HEAT, ["reserved_risk"], pc.field("day") == LAST)["reserved_risk"].to_pylist()
    assert heat == [granted] and granted > 0
    for key in (("heat", "", "risk"), ("symbol", "BBB", "risk"), ("template", "breakout", "risk")):
        assert found[key]["reserved"] == granted
    assert found["cohort", "large", "risk"]["reserved"] == 0.0
    assert found["positions", "", "count"]["reserved"] == 1.0  # swing is flat in BBB
    assert found["heat", "", "risk"]["used"] == pytest.approx(found["heat", "", "risk"]["active"] + granted)


def test_a_grant_for_a_new_position_waits_among_the_new_ones_and_a_refusal_changes_nothing(small):
    plane = ControlPlane(small.book, small.clock)
    run_cycle(small, plane=plane)
    assert plane.request_allocation(wants(small, "a", "100", strategy="fresh"), "main").decision.approved
    build_stage(small, STAGE)
    found = register(small, LAST)
    assert found["positions", "", "count"]["reserved"] == 1.0 and found["new_positions", "", "count"]["reserved"] == 1.0
    assert not plane.request_allocation(wants(small, "b", "100", symbol="ZZZ"), "main").decision.approved
    assert build_stage(small, STAGE).changed_from is None


def test_an_order_is_in_the_register_from_its_day_to_its_end(small):
    run_cycle(small)
    end = (at(small, LAST).clock.now() + timedelta(days=3)).isoformat()
    wanted = Wanted("main", "cap", "careful", end, rule="symbol", scope="AAA", basis="risk", limit="1%")
    give(small, wanted, by="alice")
    assert build_stage(small, STAGE).changed_from == LAST
    one = register(small, LAST)["symbol", "AAA", "risk"]
    assert (one["source"], one["cap"]) == ("operator:alice", pytest.approx(0.01, abs=1e-6))
    assert one["limit"] == pytest.approx(0.01 * one["equity"], abs=0.01)
    assert register(small, LAST - timedelta(days=1))["symbol", "AAA", "risk"]["source"] == "policy"


def test_a_session_whose_equity_is_not_known_says_so(small, tmp_path):
    line = f"X1,{LAST}T16:00:00Z,main,swing,EURO,buy,1,10,0,,,EUR"
    imported(small, tmp_path / "euro", "fills.csv", f"{FILLS},currency", line)
    (heat,) = [row for key, row in register(small, LAST).items() if key[0] == "heat"]
    assert heat["reason"] == "equity_unknown" and heat["limit"] is None and heat["used"] is None


def test_the_policy_in_force_on_the_day_sets_its_limits(small):
    (small.policies / "default@later.toml").write_text(f"effective_from = {weekday(20)}\nversion = 2\n[heat]\ncap = 0.03\n")
    build_all(small)
    assert register(small, weekday(19))["heat", "", "risk"]["cap"] == 0.06
    assert register(small, weekday(20))["heat", "", "risk"]["cap"] == 0.03
