"""The signals stage over a lake: the sample's expectations, chained days, and rows that have to be written again later."""

import shutil
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.days import to_number
from portfolio_platform.home import Home
from portfolio_platform.lake import active
from portfolio_platform.lake.columns import Table
from portfolio_platform.lake.derived import PLAYBOOK_STATISTICS, PROGRESS, SIGNAL_OUTCOMES, TRIP_PROFILES
from portfolio_platform.lake.facts import FILLS, PLAYBOOK_EXPECTATIONS
from portfolio_platform.lake.progress import Plan, Progress, read_progress, write_progress
from portfolio_platform.ledger import pipeline as ledger
from portfolio_platform.policy.assigned import assigned_policies, policies_in_time
from portfolio_platform.signals.pipeline import SIGNALS, STAGES, compute
from portfolio_platform.signals.statistics import ALL, playbook_statistics
from portfolio_platform.sources.pipeline import import_paths
from portfolio_platform.stage import Stage, build_stage, plan_stage
from tests.conftest import copied

# expectations are stated to four places; in half the last of them, both ends of a rounding lie
STATED_TO = 0.00005
YEAR_END = date(2008, 1, 2)  # 365 days from 2007-01-03


@pytest.fixture(scope="module")
def built(sample_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The sample with its signals built."""
    home = copied(sample_home, tmp_path_factory.mktemp("signals") / "home")
    build_stage(home, SIGNALS)
    return home


def rows_of(home: Home, table: Table) -> pa.Table:
    return home.lake.read(table).sort_by([(name, "ascending") for name in table.key])


def rounded(table: pa.Table) -> list[dict[str, Any]]:
    rows = table.to_pylist()
    return [{name: float(f"{value:.12g}") if isinstance(value, float) else value for name, value in row.items()} for row in rows]


def newest_of_the_first_year(home: Home) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the record of both portfolios together at the end of the first 365 days, by playbook and regime."""
    outcomes = home.lake.read(SIGNAL_OUTCOMES)
    together = outcomes.set_column(outcomes.schema.get_field_index("portfolio"), "portfolio", pa.array(["both"] * len(outcomes)))
    found = playbook_statistics(together, to_number(date(2007, 1, 3)), to_number(YEAR_END)).to_pylist()
    return {(row["playbook"], row["regime"]): row for row in found if row["engine_version"] == ALL}


COMPARED = {"n": "n", "win_rate": "win_rate", "average_r": "avg_r"} | {
    name: name for name in ("hold_bars_p50", "hold_bars_p90", "mae_r_p50", "mfe_r_p50")
}


def test_the_first_year_gives_the_samples_own_expectations(built: Home):
    """They were computed elsewhere, bar by bar, from the qualified signals of both portfolios in the first 365 days."""
    newest = newest_of_the_first_year(built)
    expected = active.read(built.lake, PLAYBOOK_EXPECTATIONS).to_pylist()
    assert len(expected) == 58
    for row in expected:
        ours = newest[row["playbook"], row["regime"]]
        for name, theirs in COMPARED.items():
            assert ours[name] == pytest.approx(float(row[theirs]), abs=STATED_TO + 1e-9), (row["playbook"], row["regime"], name)


def test_every_signal_has_one_row_and_its_fills_are_the_samples(built: Home):
    rows = rows_of(built, SIGNAL_OUTCOMES)
    assert len(rows) == 2415
    assert pc.count_distinct(rows["signal_id"]).as_py() == 2415
    taken = rows.filter(pc.field("disposition") == "taken")
    assert taken["fill_ts"].null_count == 0
    assert rows.filter(pc.field("disposition") != "taken")["fill_ts"].null_count == len(rows) - len(taken)
    # market orders go out one minute after the close on which they were decided
    assert pc.unique(taken["fill_latency_ms"]).to_pylist() == [60_000.0]


def test_every_flat_to_flat_trade_has_a_profile_and_a_known_gap_shows_in_its_result(built: Home):
    profiles = rows_of(built, TRIP_PROFILES)
    assert len(profiles) == 1007
    assert set(pc.unique(profiles["reason"]).to_pylist()) == {"", "no_bars"}
    worst = profiles.sort_by([("exit_slippage_bps", "descending")]).slice(0, 2).to_pylist()
    assert [(row["symbol"], row["day"]) for row in worst] == [("WTI", date(2008, 9, 22)), ("GOOG", date(2008, 4, 18))]


def pretend(home: Home, until: date, since: date) -> None:
    """Let the ledger have been built up to a day and no further."""
    with home.lake.writing():
        write_progress(home.lake, Progress("ledger", until, since, 1, "policy"))


def forget(home: Home) -> None:
    """Take away what the stage has written, and that the ledger was ever built."""
    for table in SIGNALS.tables:
        shutil.rmtree(home.lake.uri(table), ignore_errors=True)
    with home.lake.writing():
        home.lake.replace(PROGRESS, PROGRESS.arrow_schema().empty_table())


def test_chained_days_equal_one_range(built: Home, tmp_path: Path):
    chained, once = copied(built, tmp_path / "chained"), copied(built, tmp_path / "once")
    days = [
        date(2007, 2, 27),
        date(2007, 2, 28),
        date(2007, 3, 1),
        date(2007, 3, 4),
        date(2007, 3, 5),
        date(2007, 4, 16),
        date(2007, 4, 17),
    ]
    forget(chained)
    forget(once)
    before = chained.first_day - timedelta(days=1)
    for day in days:
        pretend(chained, day, before + timedelta(days=1))
        assert build_stage(chained, SIGNALS).until == day
        before = day
    pretend(once, days[-1], once.first_day)
    build_stage(once, SIGNALS)
    for table in SIGNALS.tables:
        assert rounded(rows_of(chained, table)) == rounded(rows_of(once, table)), table.name
        assert len(rows_of(once, table)) > 20


def test_what_was_known_on_a_day_is_what_a_build_up_to_it_says(built: Home, tmp_path: Path):
    """No look-ahead: statistics, profiles and decided outcomes of an early build are those of the late one."""
    early, day = copied(built, tmp_path / "early"), date(2009, 3, 31)
    forget(early)
    pretend(early, day, early.first_day)
    build_stage(early, SIGNALS)
    for table in (PLAYBOOK_STATISTICS, TRIP_PROFILES):
        assert rounded(rows_of(early, table)) == rounded(rows_of(built, table).filter(pc.field("day") <= day))
    decided = rows_of(early, SIGNAL_OUTCOMES).filter(pc.is_valid(pc.field("outcome_day")))
    assert rounded(decided) == rounded(rows_of(built, SIGNAL_OUTCOMES).filter(pc.field("outcome_day") <= day))


def test_a_stage_may_move_its_first_day_back_and_what_is_downstream_sees_it(built: Home, tmp_path: Path):
    home, back = copied(built, tmp_path / "back"), date(2008, 6, 5)
    seen: list[date] = []

    def compute_nothing(home: Home, policies: Any, plan: Plan) -> dict[Table, pa.Table]:
        seen.append(plan.first)
        return {}

    def stage(begin: Callable[[Home, Plan], date] | None) -> Stage:
        return Stage("moved", (), ("ledger",), compute_nothing, begin=begin)

    policies = policies_in_time(home)
    build_stage(home, stage(None))
    plan = plan_stage(home, stage(lambda home, plan: back), policies, date(2009, 1, 5))
    assert plan is not None and plan.first == back
    plan = plan_stage(home, stage(lambda home, plan: date(2010, 1, 1)), policies, date(2009, 1, 5))
    assert plan is not None and plan.first == date(2009, 1, 5)  # back, never forward
    build_stage(home, stage(lambda home, plan: back), restate_from=date(2009, 1, 5))
    progress = read_progress(home.lake, "moved")
    assert progress is not None and progress.changed_from == back
    assert seen == [home.first_day, back]


# A small world of one symbol: 2020-01-06 is a Monday.

MONDAY = date(2020, 1, 6)


def bars(days: int, shocked: int = -1) -> str:
    lines = ["symbol,ts,open,high,low,close"]
    for k in range(days):
        low = 90 if k == shocked else 99
        lines.append(f"AAA,{MONDAY + timedelta(days=k)}T21:00:00Z,100,101,{low},100")
    return "\n".join(lines) + "\n"


FUNDED = "ts,portfolio,amount,kind\n2020-01-06T09:00:00Z,core,100000,initial_funding\n"
SIGNAL = "signal_id,ts,portfolio,strategy,symbol,direction,entry_price,stop_price,expected_hold_bars,qualified,purpose\n"
FILL = "execution_id,ts,portfolio,strategy,symbol,side,quantity,price,signal_id,decision_price,stop_price\n"


class World:
    """A home into which files are imported one after the other."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home, self.folder, self.count = home, folder, 0

    def bring(self, corrections: bool = False, **files: str) -> None:
        self.count += 1
        folder = self.folder / f"import{self.count}"
        folder.mkdir()
        for name, content in files.items():
            (folder / f"{name}.csv").write_text(content)
        import_paths(self.home, [folder], corrections=corrections)

    def build(self, day: int) -> date | None:
        ledger.build(self.home, until=MONDAY + timedelta(days=day))
        return build_stage(self.home, SIGNALS).changed_from

    def outcomes(self) -> dict[str, dict[str, Any]]:
        return {row["signal_id"]: row for row in self.home.lake.read(SIGNAL_OUTCOMES).to_pylist()}


@pytest.fixture
def world(home: Home, tmp_path: Path) -> World:
    made = World(home, tmp_path)
    made.home.pin_clock(date(2020, 3, 1))
    return made


def signal(name: str, day: int, hold: int = 5, qualified: str = "true", purpose: str = "policy") -> str:
    return f"{name},{MONDAY + timedelta(days=day)}T21:00:00Z,core,s,AAA,long,100,95,{hold},{qualified},{purpose}\n"


def test_an_open_signal_is_written_again_when_it_is_decided(world: World):
    world.bring(bars=bars(20, shocked=4), cash_flows=FUNDED, signals=SIGNAL + signal("A", 0) + signal("B", 3))
    world.build(2)
    assert (world.outcomes()["A"]["outcome"], world.outcomes()["A"]["bars_held"]) == ("open", 2)
    assert world.build(5) == MONDAY
    assert {name: row["outcome"] for name, row in world.outcomes().items()} == {"A": "stop_hit", "B": "stop_hit"}
    assert world.build(6) == MONDAY + timedelta(days=6)  # both are decided: nothing to look back for


def test_signals_before_the_ledgers_first_day_are_kept_whatever_is_built_again(world: World):
    warm_up = f"EARLY,{MONDAY - timedelta(days=40)}T21:00:00Z,core,s,AAA,long,100,95,2,true,policy\n"
    world.bring(bars=bars(20), cash_flows=FUNDED, signals=SIGNAL + warm_up + signal("A", 1))
    assert world.build(4) == MONDAY - timedelta(days=40)
    assert set(world.outcomes()) == {"EARLY", "A"}
    world.build(9)
    assert set(world.outcomes()) == {"EARLY", "A"}
    ledger.build(world.home, restate_from=MONDAY)
    build_stage(world.home, SIGNALS)
    assert set(world.outcomes()) == {"EARLY", "A"}


def test_a_bar_that_is_corrected_changes_the_outcome_that_it_had_decided(world: World):
    world.bring(bars=bars(12, shocked=3), cash_flows=FUNDED, signals=SIGNAL + signal("A", 0) + signal("B", 5, hold=1))
    world.build(10)
    assert world.outcomes()["A"]["outcome"] == "stop_hit"
    header, *lines = bars(12).splitlines(keepends=True)
    world.bring(bars=header + lines[3], corrections=True)
    world.build(10)
    assert (world.outcomes()["A"]["outcome"], world.outcomes()["A"]["bars_held"]) == ("expired", 5)
    assert world.home.lake.read(PLAYBOOK_STATISTICS)["stops"].to_pylist() == [0] * 8


def test_a_fill_that_comes_after_its_signal_was_decided_is_told_but_not_in_the_record_of_then(world: World):
    world.bring(bars=bars(20), cash_flows=FUNDED, signals=SIGNAL + signal("A", 0, hold=2))
    world.build(4)
    assert world.outcomes()["A"]["fill_ts"] is None
    world.bring(fills=FILL + f"E1,{MONDAY + timedelta(days=5)}T15:00:00Z,core,s,AAA,buy,10,100.5,A,100,95\n")
    assert world.build(6) == MONDAY
    row = world.outcomes()["A"]
    assert (row["fill_price"], row["slippage_bps"], row["slippage_at_outcome_bps"]) == (100.5, pytest.approx(50.0), None)
    assert world.home.lake.read(PLAYBOOK_STATISTICS)["slippage_bps_p50"].null_count == 4
    world.bring(
        fills=FILL.replace("\n", ",bust\n") + f"E1,{MONDAY + timedelta(days=5)}T15:00:00Z,core,s,AAA,buy,10,100.5,A,100,95,true\n",
        corrections=True,
    )
    world.build(6)
    assert world.outcomes()["A"]["fill_ts"] is None


def test_an_open_signal_on_what_is_not_traded_any_more_draws_no_build_back(world: World):
    other = "BBB,2020-01-30T21:00:00Z,1,1,1,1\n"
    world.bring(bars=bars(5) + other, cash_flows=FUNDED, signals=SIGNAL + signal("A", 1, hold=30))
    world.build(8)
    assert world.outcomes()["A"]["outcome"] == "open"
    assert world.build(20) == MONDAY + timedelta(days=9)
    assert world.outcomes()["A"]["bars_held"] == 3


def test_research_stays_apart_from_policy_on_its_way_through_the_lake(world: World):
    both = signal("A", 0) + signal("B", 1, purpose="research") + signal("C", 2, qualified="false")
    world.bring(bars=bars(20), cash_flows=FUNDED, signals=SIGNAL + both)
    world.build(15)
    rows = world.home.lake.read(PLAYBOOK_STATISTICS).to_pylist()
    assert {(row["purpose"], row["day"], row["n"]) for row in rows} == {
        ("policy", MONDAY + timedelta(days=5), 1),
        ("research", MONDAY + timedelta(days=6), 1),
    }


def test_a_home_without_signals_has_profiles_of_its_trades(world: World):
    opened = f"E1,{MONDAY}T15:00:00Z,core,s,AAA,buy,10,100,,,96\n"
    closed = f"E2,{MONDAY + timedelta(days=3)}T15:00:00Z,core,s,AAA,sell,10,104,,,\n"
    world.bring(bars=bars(20), cash_flows=FUNDED, fills=FILL + opened + closed)
    world.build(10)
    (row,) = world.home.lake.read(TRIP_PROFILES).to_pylist()
    assert (row["r"], row["mae_r"], row["mfe_r"], row["hold_bars"]) == (1.0, 0.25, 1.0, 3)
    assert row["reason"] == "no_signal,no_decision_price"
    assert world.home.lake.read(SIGNAL_OUTCOMES).num_rows == world.home.lake.read(PLAYBOOK_STATISTICS).num_rows == 0


def test_the_stage_is_listed_and_writes_the_declared_rows_sorted_by_key(built: Home):
    assert STAGES[0] == SIGNALS
    plan = Plan(date(2010, 12, 1), date(2010, 12, 31), 1, {"ledger": 1})
    for table, rows in compute(built, assigned_policies(built), plan).items():
        assert rows.schema == table.arrow_schema()
        keys = [tuple(row[name] for name in table.key) for row in rows.to_pylist()]
        assert keys == sorted(keys)
        assert rows.num_rows


def test_slippage_of_entries_is_that_of_the_samples_fills(built: Home):
    """Each entry's slippage from its fills alone, by hand, on a few hundred signals."""
    fills = [row for row in active.read(built.lake, FILLS).to_pylist() if row["ts"] < 1_200_000_000_000_000_000]
    sides = {"long": "buy", "short": "sell"}
    compared = 0
    for row in built.lake.read(SIGNAL_OUTCOMES, None, pc.field("day") < date(2007, 12, 1)).to_pylist():
        mine = [fill for fill in fills if fill["signal_id"] == row["signal_id"] and fill["side"] == sides[row["direction"]]]
        if not mine:
            assert row["slippage_bps"] is None
            continue
        sign = 1 if row["direction"] == "long" else -1
        paid = [sign * (float(f["price"]) / float(f["decision_price"]) - 1) * 1e4 for f in mine]
        assert row["slippage_bps"] == pytest.approx(np.average(paid, weights=[float(f["quantity"]) for f in mine]), rel=1e-9)
        compared += 1
    assert compared > 200
