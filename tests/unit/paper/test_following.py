"""What is followed from session to session: the drawdown is D4's to the last digit, breaches are news once, figures have their gates."""

import math
from random import Random

import numpy as np

from portfolio_platform.broker.state import opened
from portfolio_platform.days import NANOSECONDS_PER_DAY
from portfolio_platform.diagnostics import drawdown as d4
from portfolio_platform.ledger.equity import History, unit_values
from portfolio_platform.paper.model import Counts, Finding, Kept, SessionClosed
from portfolio_platform.paper.monitoring import Seen
from portfolio_platform.paper.regime import Breaches, Drawdown
from portfolio_platform.paper.validation import clean_days, reconciled
from portfolio_platform.policy.load import default_policy

POLICY = default_policy()
DAY = NANOSECONDS_PER_DAY


def session(day: int, **others: object) -> SessionClosed:
    plain = SessionClosed(day * DAY, "2026-01-01", True, 10**8, 0, 0, 0, 0, "normal", "normal", 3, 0, 0, (0, 0, 0), (), ())
    return plain._replace(**others)  # type: ignore[arg-type]


def test_the_regime_of_a_run_is_that_of_the_diagnostic() -> None:
    draw, equity = Random(3), [10**8]
    while len(equity) < 500:
        equity.append(round(equity[-1] * (1 + draw.gauss(-0.0004, 0.011))))
    flow = np.zeros(len(equity))
    flow[0] = 10**6
    values = np.array(equity) / 100
    series = unit_values(values, flow, flow, "start", History())
    expected = d4.drawdowns(series.unit_value.tolist(), series.daily_return.tolist(), [""] * len(equity), d4.Trail(), POLICY.drawdown)
    path = Drawdown("start", 2)
    found = [path.next(one, 10**8 if place == 0 else 0, POLICY) for place, one in enumerate(equity)]
    assert len({one.regime for one in found}) > 2
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.regime, ours.transition, ours.sessions_in_regime) == (theirs.regime, theirs.transition, theirs.sessions_in_regime)
        assert math.isclose(ours.drawdown, theirs.drawdown, rel_tol=1e-12, abs_tol=1e-15)


def test_a_breach_is_news_when_it_begins_and_not_while_it_goes_on() -> None:
    watch = Breaches()
    assert watch.next(session(1), POLICY) == ""
    assert watch.next(session(2, regime="defensive"), POLICY) == "drawdown regime normal to defensive"
    assert watch.next(session(3, regime="defensive", risk=7 * 10**6), POLICY) == "heat above its cap"
    assert watch.next(session(4, regime="defensive", risk=7 * 10**6), POLICY) == ""
    assert watch.next(session(5, regime="normal", decisions=(4, 1, 6)), POLICY) == "rejection spike"
    assert watch.next(session(6, regime="risk_off", decisions=(0, 0, 9)), POLICY) == "drawdown regime normal to risk_off"


def test_the_longest_stretch_without_a_finding_is_counted_in_days() -> None:
    sessions = [session(day) for day in range(1, 51)]
    assert clean_days([], ()) == 0
    assert clean_days(sessions, ()) == 50
    assert clean_days(sessions, (Finding(40 * DAY, "x", ""), Finding(45 * DAY, "x", ""))) == 40


def test_positions_that_differ_between_broker_account_and_workflow_are_findings() -> None:
    kept = Kept(1, 1, opened({}), 0, counts=Counts())
    assert reconciled(kept, [], "instruments", 7) == []
    broker = kept.broker._replace(positions=kept.broker.positions.set(("p", "instruments", "X"), 3))
    (found,) = reconciled(kept._replace(broker=broker), [], "instruments", 7)
    assert (found.what, found.text) == ("positions_differ", "X: the account holds 0, the broker 3, the workflow 0")


def test_a_cent_that_is_rounding_is_no_drift_and_a_cent_that_is_not_is_one() -> None:
    assert Seen(101_200_065, (), 1_012_000.654_999_9).drift(101_200_066, 2) == 0
    assert Seen(101_200_065, (), 1_012_000.65).drift(101_200_066, 2) == 1
    assert Seen(None, ()).drift(5, 2) == 0
