"""The recommendation that stands, session by session."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.monitor.recommendations.model import GRAVITY, PortfolioRecommendationEvent
from portfolio_platform.monitor.recommendations.states import advance, days_ahead
from tests.unit.monitor.recommendations.facts import POLICY, alert, moment, session


def run(*facts, standing=None, first=1):
    """Advance over sessions; return each outcome."""
    outcomes = []
    for number, one in enumerate(facts, start=first):
        outcomes.append(advance(standing, moment(number), one, POLICY))
        standing = outcomes[-1].standing
    return outcomes


def test_quiet_sessions_recommend_nothing():
    assert [found.status for found in run(session(), session())] == ["none", "none"]


def test_issued_standing_reissued_at_its_end_and_withdrawn_as_worked_by_hand():
    """Valid for 5 sessions after that of its issue; milder not before 5 sessions have passed."""
    calls = session(regime="risk_off")
    found = run(*[calls] * 8, *[session()] * 5)
    assert [outcome.status for outcome in found] == [
        "issued",  # 1, holds until 6
        *["standing"] * 5,
        "issued",  # 7: still called for
        "standing",
        *["standing"] * 3,  # 9 to 11: normal again, but it is younger than 5 sessions
        "withdrawn",  # 12
        "none",
    ]
    first, second = found[0].about, found[6].about
    assert (first.expires, first.review, first.effective) == (date(2010, 3, 6), date(2010, 3, 4), date(2010, 3, 2))
    assert second.supersedes == first.recommendation_id == "recommendation:core:2010-03-01"
    assert found[11].about == second
    assert found[11].standing is None


def test_what_is_graver_supersedes_at_once_and_what_is_milder_waits():
    risk_off, defensive = session(regime="risk_off"), session(regime="defensive")
    found = run(defensive, risk_off, defensive, defensive, defensive, defensive, defensive)
    assert [(outcome.status, outcome.standing.mode) for outcome in found] == [
        ("issued", "defensive"),
        ("issued", "risk_off"),
        ("standing", "risk_off"),
        ("standing", "risk_off"),
        ("standing", "risk_off"),
        ("standing", "risk_off"),
        ("issued", "defensive"),
    ]


def test_a_cap_that_eases_waits_while_another_tightens_at_once():
    found = run(session(alert("heat")), session(alert("stack")))
    assert [item.kind for item in found[1].standing.adjustments] == ["bucket", "heat"]
    assert found[1].standing.rests_on.alert_ids == ("alert:core:heat::2010-03-01", "alert:core:stack::2010-03-01")


def test_while_the_regime_cannot_be_judged_what_stands_goes_on_to_its_end():
    stale = session(regime_reason="stale_mark")
    found = run(session(alert("heat")), *[stale] * 7)
    assert [outcome.status for outcome in found] == ["issued", *["standing"] * 5, "expired", "none"]


def test_what_is_only_for_the_monitor_becomes_binding_at_once_and_never_takes_away_what_binds():
    thin = alert("stack", gate_passed=False, gate_reason="20 of 30 observations")
    found = run(session(thin), session(alert("stack")), session(thin))
    assert [(outcome.status, outcome.standing.monitor_only) for outcome in found] == [
        ("issued", True),
        ("issued", False),
        ("standing", False),
    ]
    assert "for the monitor only" in found[0].about.reason
    assert found[0].about.missing[0].reason == "20 of 30 observations"


def test_an_event_says_why_until_when_and_what_would_end_it():
    event = run(session(alert("heat"), alert("drawdown", "warning"), regime="defensive"))[0].about
    assert event.reason == (
        "For core: defensive mode (new positions at the size that the regime allows); tighten the heat cap from 6.0 % to 4.5 %. "
        "The drawdown regime is defensive. drawdown is high. heat is high."
    )
    assert [(item.kind, item.alert_id, item.regime) for item in event.withdrawn_if] == [
        ("regime_eases", "", "defensive"),
        ("alert_ends", "alert:core:heat::2010-03-01", ""),
    ]
    assert event.rests_on.evidence_ids == ("drawdown_state/core/2010-03-01/regime", "e/drawdown", "e/heat")
    assert (event.confidence.level, event.confidence.lowest_ratio, event.confidence.gates_failed) == (0.9, 2.0, ())
    assert event.follow_up == ("Mind drawdown.", "Mind heat.")


def test_an_event_survives_its_bytes():
    event = run(session(alert("heat"), alert("idle_capital", "warning"), regime="defensive"))[0].about
    again = PortfolioRecommendationEvent.from_text(event.canonical().decode())
    assert again == event
    assert again.hash == event.hash


def test_days_ahead_skip_weekends_only_where_the_portfolio_does():
    friday = date(2010, 3, 5)
    assert days_ahead(friday, 1, every_day=False) == date(2010, 3, 8)
    assert days_ahead(friday, 1, every_day=True) == date(2010, 3, 6)
    assert days_ahead(friday, 5, every_day=False) == date(2010, 3, 12)


SESSIONS = st.lists(
    st.tuples(
        st.sampled_from(["normal", "defensive", "risk_off", "probation"]),
        st.sampled_from(["", "", "stale_mark"]),
        st.lists(st.tuples(st.sampled_from(["heat", "stack", "churn"]), st.booleans()), max_size=3, unique_by=lambda fact: fact[0]),
    ),
    min_size=2,
    max_size=25,
)


def facts_of(steps):
    """The facts of sessions."""
    return [
        session(*(alert(name, gate_passed=passed) for name, passed in alerts), regime=regime, regime_reason=why)
        for regime, why, alerts in steps
    ]


@given(SESSIONS)
def test_a_mode_never_eases_sooner_than_the_policy_allows(steps):
    found = run(*facts_of(steps))
    changed, mode = -100, "normal"
    for number, (outcome, step) in enumerate(zip(found, steps, strict=True), start=1):
        now = outcome.standing.mode if outcome.standing is not None and not outcome.standing.monitor_only else "normal"
        if outcome.status == "issued":
            eased = GRAVITY[now] < GRAVITY[mode]
            assert not eased or number - changed >= POLICY.recommendations.minimum_mode_sessions
            changed = number
        wanted = POLICY.recommendations.modes[step[0]]
        if not step[1] and wanted != "normal":
            # a regime that is judged is never answered by a milder mode
            assert GRAVITY[now] >= GRAVITY[wanted]
        mode = now


@given(SESSIONS, st.integers(1, 24))
def test_sessions_taken_one_by_one_through_stored_text_equal_the_range(steps, cut):
    facts = facts_of(steps)
    whole = run(*facts)
    before = run(*facts[:cut])
    standing = before[-1].standing
    stored = PortfolioRecommendationEvent.from_text(standing.canonical().decode()) if standing is not None else None
    after = run(*facts[cut:], standing=stored, first=min(cut, len(facts)) + 1)
    texts = [[(o.status, o.about.canonical() if o.about else b"") for o in part] for part in (whole, before + after)]
    assert texts[0] == texts[1]


@given(SESSIONS)
def test_no_issue_repeats_what_stands_before_its_end(steps):
    standing = None
    for number, facts in enumerate(facts_of(steps), start=1):
        outcome = advance(standing, moment(number), facts, POLICY)
        if outcome.status == "issued" and standing is not None and moment(number).day <= standing.expires:
            assert outcome.standing.called_for != standing.called_for
        standing = outcome.standing
