"""Rows of the sample gates: values, windows, samples and addresses of a small book, read by hand; and the sample's."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from portfolio_platform.diagnostics.pipeline import sufficiency
from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.evidence.ids import evidence_id, parse_evidence_id
from portfolio_platform.evidence.observations import Sessions, Source, Words, observe
from portfolio_platform.evidence.reading import read_evidence
from portfolio_platform.evidence.scale import with_sigma_interval
from portfolio_platform.evidence.verdicts import join, table_rows
from portfolio_platform.lake import derived
from portfolio_platform.lake.progress import Plan
from portfolio_platform.policy.assigned import Assigned
from portfolio_platform.policy.model import Policy

FIRST = date(2010, 1, 4)
DAYS = [FIRST + timedelta(days=place) for place in range(4)]


def book(stale=0.0):
    """Two portfolios of four sessions; b's name wants encoding."""
    return Sessions.of(
        pa.table(
            {
                "day": pa.array(DAYS * 2, pa.date32()),
                "portfolio": ["a"] * 4 + ["b/1"] * 4,
                "gross_exposure": [0.0, 100.0, 100.0, 100.0] + [50.0] * 4,
                "stale_exposure": [0.0, 0.0, stale, 0.0] + [0.0] * 4,
            }
        )
    )


def rows_of(metric, columns, sessions):
    """Return the verdicts on a metric whose table's other columns are null."""
    table = BY_NAME[metric].table
    size = len(columns["day"])
    data = {name: columns.get(name, [None] * size) for name in table.column_names}
    rows = pa.table({field.name: pa.array(data[field.name], field.type) for field in table.arrow_schema()})
    words = Words()
    observed = observe(BY_NAME[metric], Source.of(rows, sessions, words), sessions, words, {})
    return table_rows(join([observed]), sessions, words, Assigned(Policy()).of).to_pylist()


def churn(day, portfolio, symbol, value, trades):
    return {"day": day, "portfolio": portfolio, "symbol": symbol, "churn": value, "trades": trades}


def columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_rows_come_sorted_with_the_id_that_the_one_function_for_ids_would_write():
    given = [churn(DAYS[1], "b/1", "Z Y", 0.5, 6), churn(DAYS[1], "a", "X", 0.9, 4), churn(DAYS[0], "b/1", "X", 0.1, 9)]
    found = rows_of("churn", columns(given), book())
    assert [(row["day"], row["portfolio"], row["scope"]) for row in found] == [
        (DAYS[0], "b/1", "X"),
        (DAYS[1], "a", "X"),
        (DAYS[1], "b/1", "Z Y"),
    ]
    assert found[2]["evidence_id"] == evidence_id(derived.SYMBOL_CHURN, "b/1", DAYS[1], "churn", "Z Y")


def test_the_window_of_a_drawdown_begins_at_its_high_water_mark():
    under = [0, 1, 2, 0]
    given = [
        {"day": day, "portfolio": "a", "drawdown": 0.02 * deep, "under_water_days": deep, "reason": ""}
        for day, deep in zip(DAYS, under, strict=True)
    ]
    found = rows_of("drawdown", columns(given), book())
    assert [row["window_start"] for row in found] == [DAYS[0], DAYS[0], DAYS[0], DAYS[3]]
    # where the start of 1 is the mark, there is no session before the first
    given[0] |= {"under_water_days": 1}
    assert rows_of("drawdown", columns(given[:1]), book())[0]["window_start"] == DAYS[0]


def test_a_speed_in_sigma_has_the_interval_of_its_sigma():
    given = [{"day": DAYS[3], "portfolio": "a", "z_5": 3.0, "returns_seen": 400, "reason": ""}]
    size = len(given)
    data = {name: columns(given).get(name, [None] * size) for name in derived.DRAWDOWN_STATE.column_names}
    rows = pa.table({field.name: pa.array(data[field.name], field.type) for field in derived.DRAWDOWN_STATE.arrow_schema()})
    sessions, words, policies = book(), Words(), Assigned(Policy())
    seen = observe(BY_NAME["drawdown_z"], Source.of(rows, sessions, words), sessions, words, {})
    found = table_rows(join([with_sigma_interval(seen, sessions, policies.of)]), sessions, words, policies.of).to_pylist()[0]
    # chi-squared of 32.33 degrees of freedom: 22.60 at 10 %, 42.97 at 90 %
    assert (found["low"], found["high"]) == (pytest.approx(2.51, abs=0.01), pytest.approx(3.46, abs=0.01))
    assert (found["threshold"], found["passed"]) == (2.5, True)


def test_a_short_sample_says_what_is_missing_and_for_how_long():
    # 4 trades in 2 sessions: 2 a session, 2 missing
    found = rows_of("churn", columns([churn(DAYS[1], "a", "X", 0.9, 4)]), book())[0]
    assert (found["passed"], found["reason"], found["missing"], found["sessions_until"]) == (False, "4 of 6 observations", 2, 1.0)
    assert (found["window_start"], found["threshold"], found["required"]) == (DAYS[0], 0.95, 6)


def test_a_full_window_does_not_promise_a_larger_sample():
    many = Sessions.of(
        pa.table(
            {
                "day": pa.array([FIRST + timedelta(days=place) for place in range(30)], pa.date32()),
                "portfolio": ["a"] * 30,
                "gross_exposure": [1.0] * 30,
                "stale_exposure": [0.0] * 30,
            }
        )
    )
    found = rows_of("churn", columns([churn(FIRST + timedelta(days=29), "a", "X", 0.9, 4)]), many)[0]
    assert (found["missing"], found["sessions_until"]) == (2, None)
    assert found["window_start"] == FIRST + timedelta(days=10)


def test_exposure_at_stale_marks_fails_a_census_but_not_what_counts_them():
    sessions = book(stale=10.0)
    drawdown = {"day": DAYS, "portfolio": ["a"] * 4, "drawdown": [0.0, 0.01, 0.02, 0.03]}
    found = rows_of("drawdown", drawdown, sessions)
    assert [row["passed"] for row in found] == [True, True, False, True]
    assert found[2]["coverage"] == pytest.approx(0.9)
    equity = {"day": [DAYS[0], DAYS[2]], "portfolio": ["a", "a"], "stale_exposure": [0.0, 10.0], "gross_exposure": [0.0, 100.0]}
    shares = rows_of("stale_share", equity, sessions)
    assert [(row["value"], row["passed"]) for row in shares] == [(0.0, True), (0.1, True)]


def test_a_null_keeps_the_reason_of_its_own_row():
    given = {"day": DAYS[:2], "portfolio": ["a"] * 2, "drawdown": [None, None], "reason": ["stale_mark", ""]}
    found = rows_of("drawdown", given, book())
    assert [row["reason"] for row in found] == ["stale_mark; 0 of 1 observations", "no value; 0 of 1 observations"]
    assert not any(row["passed"] for row in found)


def test_bets_that_are_hedged_say_so():
    given = {"day": DAYS[:1], "portfolio": ["a"], "effective_bets": [None], "bets_reason": ["hedged"], "reason": [""], "observations": [60]}
    assert rows_of("effective_bets", given, book())[0]["reason"] == "hedged"


def test_a_row_of_a_day_without_a_session_is_no_evidence():
    given = [churn(DAYS[3] + timedelta(days=1), "a", "X", 0.9, 4), churn(DAYS[0], "nobody", "X", 0.9, 4)]
    assert rows_of("churn", columns(given), book()) == []


@pytest.fixture(scope="module")
def of_sample(sample_home):
    """The verdicts on the sample's whole history, from whatever tables are built."""
    plan = Plan(sample_home.first_day, date(2010, 12, 31), 1, {})
    return sufficiency.compute(sample_home, Assigned(Policy()), plan)[derived.SAMPLE_SUFFICIENCY]


def test_the_sample_has_one_row_for_each_key_in_order(of_sample):
    keys = of_sample.select(derived.SAMPLE_SUFFICIENCY.key).to_pandas()
    assert not keys.duplicated().any()
    assert keys.equals(keys.sort_values(list(derived.SAMPLE_SUFFICIENCY.key)).reset_index(drop=True))
    sessions = sample_sessions(of_sample)
    for metric in ("drawdown", "gross_exposure", "capital_gate", "skill_gate"):
        assert len(of_sample.filter(pc.field("metric") == metric)) == sessions, metric


def sample_sessions(rows):
    return len(rows.select(["day", "portfolio"]).group_by(["day", "portfolio"]).aggregate([]))


@pytest.mark.parametrize("day", [date(2007, 1, 4), date(2008, 9, 29), date(2010, 12, 31)])
def test_a_day_of_the_whole_history_is_that_day_alone(sample_home, of_sample, day):
    alone = sufficiency.compute(sample_home, Assigned(Policy()), Plan(day, day, 1, {}))[derived.SAMPLE_SUFFICIENCY]
    within = of_sample.filter(pc.field("day") == day)
    assert len(alone) > 20
    assert alone.to_pylist() == within.to_pylist()


def test_every_id_names_the_cell_that_holds_the_value(sample_home, of_sample):
    day = date(2009, 9, 30)
    for row in of_sample.filter(pc.field("day") == day).to_pylist():
        address = parse_evidence_id(row["evidence_id"])
        metric = BY_NAME[row["metric"]]
        if address.table.name == derived.SAMPLE_SUFFICIENCY.name or metric.over:
            continue
        cell = sample_home.lake.read(address.table, None, pc.field("day") == day).to_pylist()
        mine = [other for other in cell if all(other[name] == value for name, value in address.key.items())]
        assert len(mine) == 1
        found = mine[0][address.column]
        assert (found is None) == (row["value"] is None)
        assert found is None or row["value"] == float(found)


def test_nothing_that_comes_later_moves_a_verdict(sample_home, of_sample):
    until = date(2008, 6, 30)
    known = sufficiency.compute(sample_home, Assigned(Policy()), Plan(sample_home.first_day, until, 1, {}))[derived.SAMPLE_SUFFICIENCY]
    assert known.to_pylist()[-200:] == of_sample.filter(pc.field("day") <= until).to_pylist()[-200:]


def test_a_failed_row_has_a_reason_and_a_passed_one_has_none(of_sample):
    frame = of_sample.select(["passed", "reason", "value"]).to_pandas()
    assert (frame["passed"] == (frame["reason"] == "")).all()
    assert frame.loc[frame["passed"], "value"].notna().all()
    assert 0 < int(frame["passed"].sum()) < len(frame)


def test_evidence_is_read_back_as_objects(sample_copy, of_sample):
    with sample_copy.lake.writing():
        sample_copy.lake.replace_from(derived.SAMPLE_SUFFICIENCY, sample_copy.first_day, of_sample)
    day = date(2010, 12, 31)
    found = read_evidence(sample_copy.lake, day, portfolio="core", metrics=["drawdown", "symbol_exposure"])
    assert {item.metric for item in found} == {"drawdown", "symbol_exposure"}
    assert [(item.metric, item.scope) for item in found] == sorted((item.metric, item.scope) for item in found)
    assert len(read_evidence(sample_copy.lake, day)) == len(of_sample.filter(pc.field("day") == day))


def test_portfolios_are_judged_under_their_own_policies():
    sessions = book(stale=4.0)
    strict = Policy.model_validate({"gates": {"coverage": 0.99}})
    given = {"day": [DAYS[2]] * 2, "portfolio": ["a", "b/1"], "drawdown": [0.1, 0.1]}
    table = BY_NAME["drawdown"].table
    rows = pa.table({field.name: pa.array(given.get(field.name, [None] * 2), field.type) for field in table.arrow_schema()})
    words = Words()
    observed = observe(BY_NAME["drawdown"], Source.of(rows, sessions, words), sessions, words, {})
    usual = table_rows(join([observed]), sessions, words, Assigned(Policy()).of)
    assert usual["passed"].to_pylist() == [True, True]
    strictly = table_rows(join([observed]), sessions, words, Assigned(Policy(), {"a": strict}).of)
    assert strictly["passed"].to_pylist() == [False, True]
    assert strictly["coverage"].to_numpy()[0] == pytest.approx(0.96)
    assert np.isfinite(strictly["value"].to_numpy()).all()
