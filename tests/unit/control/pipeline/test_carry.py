"""Recommendations become orders: amounts by hand, one transaction with the book, and what is over gives back what it changed."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from portfolio_platform.book import recommendations as book
from portfolio_platform.book.recommendations import Recommendation, Step
from portfolio_platform.canonical import content_hash
from portfolio_platform.clock import end_of_day
from portfolio_platform.control.pipeline import carry as carrying
from portfolio_platform.control.pipeline.carry import NO_FACTS, OVER, carry, command_of, orders_of, words_of
from portfolio_platform.control.pipeline.cycle import run_cycle
from portfolio_platform.control.pipeline.feed import feed
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import ControlState
from portfolio_platform.control.terms import Facts, revised
from portfolio_platform.days import end_of_day_ns
from portfolio_platform.home import Home
from portfolio_platform.monitor.recommendations.model import CapAdjustment, Confidence, PortfolioRecommendationEvent, Rests
from tests.unit.control.pipeline.conftest import LAST, at

APPROVED_AT = "2010-04-09T12:00:00.000000+00:00"


def cap(kind: str, after: float, unit: str, scope: str = "", direction: str = "tighten") -> CapAdjustment:
    return CapAdjustment(kind=kind, scope=scope, before=after * 2, after=after, unit=unit, direction=direction)


def recommended(
    mode: str = "normal", *adjustments: CapAdjustment, day: date = LAST, days: int = 10, portfolio: str = "main"
) -> Recommendation:
    """A recommendation of a day, approved by alice."""
    event = PortfolioRecommendationEvent(
        portfolio=portfolio, day=day, session=29, recommendation_id=f"recommendation:{portfolio}:{day}", mode=mode, adjustments=adjustments,
        monitor_only=False, missing=(), withheld=(), confidence=Confidence(level=0.9, lowest_ratio=None, gates_passed=(), gates_failed=()),
        rests_on=Rests(regime="normal", alert_ids=(), evidence_ids=()), effective=day, review=day, expires=day + timedelta(days=days),
        withdrawn_if=(), supersedes="", reason="heat is high", follow_up=(), policy_hash="h",
    )  # fmt: skip
    content = event.canonical()
    named = (event.recommendation_id, portfolio, day.isoformat(), event.expires.isoformat(), mode, content, content_hash(content))
    return Recommendation(*named, state="approved", decided_by="alice", decided_at=APPROVED_AT, reason="agreed")


def put(home: Home, *approved: Recommendation) -> None:
    """Propose and approve recommendations in the book."""
    now = home.clock.now()
    with home.book.writing() as connection:
        for one in approved:
            proposed = replace(one, state="proposed", decided_by="", decided_at=None, reason="")
            book.record(connection, [Step(book.PROPOSED, None, proposed)], at=now)
            stored = book.by_id(connection, one.id)
            book.record(connection, [Step(book.APPROVED, stored, replace(one, event_seq=stored.event_seq))], at=now)


def closed(home: Home, identity: str, kind: str, state: str) -> None:
    with home.book.writing() as connection:
        one = book.by_id(connection, identity)
        after = replace(one, state=state, decided_by="rule:evaluation", reason="its alert has ended")
        book.record(connection, [Step(kind, one, after)], at=home.clock.now())


def stored(home: Home, identity: str) -> Recommendation:
    with home.book.reading() as connection:
        return book.by_id(connection, identity)


def state_of(home: Home) -> ControlState:
    return ControlPlane(home.book, home.clock).get_portfolio_state("main")


STATE = ControlState("main", terms=revised(ControlState("main").terms, facts=Facts(equity=1_000_000_00, gross=400_000_00, at=1)))
EVERY = (
    cap("heat", 0.03, "fraction of equity"),
    cap("cohort", 0.25, "fraction of equity", "alts"),
    cap("template", 0.4, "fraction of gross", "trend"),
    cap("bucket", 0.5, "fraction of equity"),
    cap("position_count", 8.0, "positions"),
    cap("new_positions", 2.0, "positions a session"),
    cap("force_flatten_only", 1.0, "flag"),
)


def test_each_recommendation_becomes_an_order_whose_amount_is_worked_out_by_hand() -> None:
    orders = orders_of(recommended("defensive", *EVERY), STATE)
    assert [(one.kind, one.rule, one.scope, one.basis, one.amount, one.share) for one in orders] == [
        ("mode", "", "", "", 0, 0),
        ("cap", "heat", "", "risk", 30_000_00, 30_000),  # 3 % of a million
        ("cap", "cohort", "alts", "exposure", 250_000_00, 250_000),  # 25 % of it
        ("cap", "template", "trend", "exposure", 160_000_00, 400_000),  # 40 % of 400,000 that are held
        ("cap", "bucket", "", "exposure", 500_000_00, 500_000),
        ("cap", "positions", "", "count", 8, 0),
        ("cap", "new_positions", "", "count", 2, 0),
        ("flatten", "", "", "", 0, 0),
    ]
    assert orders[0].mode == "defensive"
    assert {(one.source, one.by, one.reason, one.recommendation) for one in orders} == {
        ("recommendation", "alice", "heat is high", f"recommendation:main:{LAST}")
    }
    assert {one.until for one in orders} == {end_of_day_ns(LAST + timedelta(days=10))}
    assert {one.equity for one in orders if one.kind == "cap"} == {1_000_000_00}
    assert all(one.tightens for one in orders if one.kind == "cap")
    assert len({one.order_id for one in orders}) == len(orders)


def test_orders_are_called_by_the_commands_of_the_specification() -> None:
    orders = orders_of(recommended("defensive", *EVERY), STATE)
    assert [words_of(one) for one in orders] == [
        "set_portfolio_mode(defensive)",
        "tighten_heat_cap(cap_risk_abs=3000000)",
        "tighten_cohort_cap(cohort='alts', cap_exposure_abs=25000000)",
        "tighten_template_cap(template='trend', cap_exposure_abs=16000000)",
        "tighten_bucket_cap(cap_exposure_abs=50000000)",
        "reduce_max_positions(8)",
        "reduce_max_new_positions(2)",
        "force_flatten_only(true)",
    ]
    looser = orders_of(recommended("normal", cap("heat", 0.1, "fraction of equity", direction="loosen"),
                                   cap("position_count", 30, "positions", direction="loosen"),
                                   cap("force_flatten_only", 0, "flag", direction="loosen")), STATE)  # fmt: skip
    assert [(command_of(one), one.tightens) for one in looser] == [("set_heat_cap", False), ("raise_max_positions", False)]


def test_a_share_of_gross_exposure_is_one_of_equity_where_nothing_is_held() -> None:
    flat = STATE._replace(terms=revised(STATE.terms, facts=Facts(equity=1_000_000_00, gross=0, at=1)))
    (order,) = orders_of(recommended("normal", cap("playbook", 0.4, "fraction of gross", "squeeze")), flat)
    assert order.amount == 400_000_00


def test_what_is_approved_is_applied_once_and_tells_every_symbol(small: Home) -> None:
    plane = ControlPlane(small.book, small.clock)
    feed(small, plane=plane)
    plane.enlist("main", ["BBB"])
    one = recommended("risk_off", cap("heat", 0.03, "fraction of equity"))
    put(small, one)
    assert plane.get_portfolio_state("main").terms.mode != "risk_off"
    result = run_cycle(small, plane=plane)
    assert [applied.recommendation for applied in result.carried.applied] == [one.id]
    state = state_of(small)
    assert state.terms.mode == "risk_off" and sorted(state.terms.orders) == [f"{one.id}/heat", f"{one.id}/mode"]
    assert {symbol: told.portfolio_mode for symbol, told in state.issued.items()} == {"AAA": "risk_off", "BBB": "risk_off"}
    held = stored(small, one.id)
    assert (held.state, held.decided_by, len(held.command_ids)) == ("applied", carrying.BY, 2)
    assert "set_portfolio_mode(risk_off)" in held.reason
    assert not run_cycle(small, plane=plane).carried.applied
    assert state_of(small).version == state.version


@pytest.mark.parametrize(
    ("kind", "state"),
    [(book.WITHDRAWN, "withdrawn"), (book.SUPERSEDED, "superseded"), (book.REJECTED, "rejected"), (book.EXPIRED, "expired")],
)
def test_what_an_order_changed_returns_when_its_recommendation_is_over(small: Home, kind: str, state: str) -> None:
    feed(small)
    before = state_of(small).terms
    one = recommended("risk_off", cap("heat", 0.03, "fraction of equity"))
    put(small, one)
    carry(small)
    assert state_of(small).terms.mode == "risk_off"
    closed(small, one.id, kind, state)
    assert sorted(carry(small).ended) == [f"{one.id}/heat", f"{one.id}/mode"]
    after = state_of(small).terms
    assert (after.orders, after.mode, after.caps) == ({}, before.mode, before.caps)
    assert carry(small).ended == ()


def test_an_order_ends_with_its_recommendations_last_day(small: Home) -> None:
    feed(small)
    put(small, recommended("risk_off", days=3))
    carry(small)
    later = Home(small.root, as_of=end_of_day(LAST + timedelta(days=3)) - timedelta(seconds=1))
    assert run_cycle(later).carried.ended == () and state_of(later).terms.mode == "risk_off"
    over = at(small, LAST + timedelta(days=3))
    run_cycle(over)
    assert state_of(over).terms.orders == {}


@pytest.mark.parametrize("broken", ["apply", "put"])
def test_orders_and_book_never_disagree_whatever_fails_between_them(small: Home, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    feed(small)
    one = recommended("risk_off", cap("heat", 0.03, "fraction of equity"))
    put(small, one)

    def fails(*args: object, **kwargs: object) -> None:
        raise OSError("the machine is gone")

    with monkeypatch.context() as patch:
        if broken == "apply":  # the orders are put, the book is not told
            patch.setattr(book, "apply", fails)
        else:  # the book is told, the events of the orders are not appended
            patch.setattr("portfolio_platform.control.plane.append", fails)
        with pytest.raises(OSError):
            carry(small)
    assert stored(small, one.id).state == "approved" and state_of(small).terms.orders == {}
    carry(small)
    assert stored(small, one.id).state == "applied" and len(state_of(small).terms.orders) == 2


def test_what_cannot_be_applied_is_left_and_says_why(small: Home) -> None:
    one = recommended("defensive")
    put(small, one)
    assert [(left.recommendation, "not under control" in left.because) for left in carry(small).left] == [(one.id, True)]
    plane = ControlPlane(small.book, small.clock)
    from portfolio_platform.control.terms import Limits
    from portfolio_platform.policy.load import default_policy

    plane.open_portfolio("main", Limits.of(default_policy()))
    assert [left.because for left in carry(small).left] == [NO_FACTS]
    late = at(small, LAST + timedelta(days=11))
    feed(late)
    assert [left.because for left in carry(late).left] == [OVER]
    assert stored(small, one.id).state == "approved"


def test_with_a_cap_on_exposure_in_force_an_intent_has_to_state_its_notional(small: Home) -> None:
    plane = ControlPlane(small.book, small.clock)
    feed(small, plane=plane)
    put(small, recommended("normal", cap("symbol", 0.5, "fraction of equity", "BBB")))
    asked = {"strategy": "swing", "symbol": "BBB", "side": "long", "requested_risk": 100, "ts": small.clock.now()}
    assert plane.request_allocation({**asked, "intent_id": "before"}, "main").decision.approved
    carry(small, plane=plane)
    silent = plane.request_allocation({**asked, "intent_id": "silent"}, "main").decision
    assert silent.code == "rejected_invalid" and "requested_notional" in silent.reasons[0]
    assert plane.request_allocation({**asked, "intent_id": "said", "requested_notional": 1000}, "main").decision.approved
