"""Recommendations in the book: who approves what, what is superseded, and that nothing backfilled is ever approved."""

from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.book.events import ConcurrencyConflict
from portfolio_platform.book.recommendations import Recommendation, listed
from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake.derived import RECOMMENDATION_STATES
from portfolio_platform.monitor.lifecycle import BY_RULE, approve, approves_itself, publish_recommendations, reject
from tests.unit.alerts.making import assert_rebuilds, day, events_of, put

TIGHTEN = {"mode": "defensive", "monitor_only": False, "adjustments": [{"direction": "tighten", "kind": "heat_cap"}]}
LOOSEN = {"mode": "normal", "monitor_only": False, "adjustments": [{"direction": "tighten"}, {"direction": "loosen"}]}


def row(
    session: int, content: dict[str, Any] | None = None, portfolio: str = "core", holds: int = 5, status: str = "issued"
) -> dict[str, Any]:
    said = canonical_bytes({**(content or TIGHTEN), "issued": day(session), "portfolio": portfolio})
    identity = f"recommendation:{portfolio}:{day(session)}"
    return {
        "day": day(session), "portfolio": portfolio, "recommendation_id": identity, "status": status, "issued": day(session),
        "expires": day(session + holds), "supersedes": "", "content_hash": content_hash(said), "content": said.decode(),
        "month": day(session).isoformat()[:7],
    }  # fmt: skip


def publish(home: Home, newest: int, *rows: dict[str, Any], days: range | None = None) -> Any:
    """Write the lake as of a session, set the clock to it, and publish twice: the second time must find nothing to do."""
    put(home, newest)
    home.pin_clock(day(newest))
    with home.lake.writing():
        home.lake.replace(RECOMMENDATION_STATES, pa.Table.from_pylist(list(rows), schema=RECOMMENDATION_STATES.arrow_schema()))
    wanted = [day(number) for number in (days or range(newest + 1))]
    done = publish_recommendations(home, wanted)
    before = events_of(home)
    publish_recommendations(home, wanted)
    assert events_of(home) == before
    assert_rebuilds(home)
    return done


def states(home: Home) -> dict[str, str]:
    return {one.id.removeprefix("recommendation:"): one.state for one in of(home)}


def of(home: Home) -> list[Recommendation]:
    with home.book.reading() as connection:
        return listed(connection)


def live(monkeypatch: pytest.MonkeyPatch) -> None:
    from portfolio_platform.monitor import lifecycle
    from portfolio_platform.policy.assigned import Assigned

    real = lifecycle.assigned_policies
    monkeypatch.setattr(lifecycle, "assigned_policies", lambda home: Assigned(real(home).default, {}, frozenset({"core"})))


def test_on_paper_a_tightening_of_the_newest_session_is_approved_by_rule(store_home: Home) -> None:
    done = publish(store_home, 3, row(3))
    (one,) = of(store_home)
    assert done.approved == (one.id,) and (one.state, one.decided_by, one.mode) == ("approved", BY_RULE, "defensive")
    assert content_hash(one.content) == one.content_hash


@pytest.mark.parametrize(
    "content",
    [
        LOOSEN,
        TIGHTEN | {"monitor_only": True},
        TIGHTEN | {"adjustments": []},
        {"mode": "normal", "adjustments": [{"direction": "tighten"}]},
    ],
)
def test_loosening_failed_gates_and_what_changes_nothing_wait(home: Home, content: dict[str, Any]) -> None:
    publish(home, 3, row(3, content))
    assert states(home) == {"core:2010-12-04": "proposed"}


def test_a_live_portfolio_waits_for_a_person(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    live(monkeypatch)
    publish(home, 3, row(3))
    assert states(home) == {"core:2010-12-04": "proposed"}


def test_what_is_backfilled_is_written_down_closed_and_never_approved(home: Home) -> None:
    done = publish(home, 20, *(row(number) for number in range(18)))
    assert len(done.proposed) == 18 and done.approved == ()
    assert set(states(home).values()) == {"expired", "superseded", "proposed"}
    assert states(home)["core:2010-12-18"] == "proposed"  # it still holds, but it is not of the newest session


def test_an_earlier_one_is_superseded_by_a_later_and_expires_by_the_clock(home: Home) -> None:
    publish(home, 3, row(3))
    publish(home, 4, row(3), row(4, LOOSEN))
    assert states(home) == {"core:2010-12-04": "superseded", "core:2010-12-05": "proposed"}
    publish(home, 9, row(3), row(4, LOOSEN))
    assert states(home)["core:2010-12-05"] == "proposed"  # its last day is 2010-12-10, which is today
    done = publish(home, 10, row(3), row(4, LOOSEN), days=range(10, 11))
    assert done.expired == ("recommendation:core:2010-12-05",)


def test_one_that_the_evaluation_withdraws_is_withdrawn(home: Home) -> None:
    publish(home, 3, row(3))
    back = row(3) | {"day": day(4), "status": "withdrawn", "content": ""}
    done = publish(home, 4, row(3), back)
    assert done.withdrawn == ("recommendation:core:2010-12-04",)


def test_a_restated_recommendation_is_a_revision_that_supersedes_the_first(home: Home) -> None:
    publish(home, 3, row(3))
    publish(home, 3, row(3, LOOSEN))
    assert states(home) == {"core:2010-12-04": "superseded", "core:2010-12-04:r2": "proposed"}
    publish(home, 3, row(3) | {"status": "none", "content": "", "content_hash": "", "recommendation_id": ""})
    assert states(home)["core:2010-12-04:r2"] == "withdrawn"


def test_content_that_is_not_what_its_hash_says_is_refused(home: Home) -> None:
    for wrong in ({"content_hash": "0" * 64}, {"expires": None}, {"content": ""}):
        with pytest.raises(DataProblem):
            publish(home, 3, row(3) | wrong)


def test_a_person_approves_naming_the_hash_and_leaves_name_and_reason(store_home: Home) -> None:
    publish(store_home, 3, row(3, LOOSEN))
    (one,) = of(store_home)
    with pytest.raises(ConcurrencyConflict, match="look at it again"):
        approve(store_home, one.id, by="Ada", reason="ok", expected_hash="0" * 64)
    done = approve(store_home, one.id, by="Ada", reason="the drawdown is over", expected_hash=one.content_hash)
    assert (done.state, done.decided_by, done.reason) == ("approved", "Ada", "the drawdown is over")
    with pytest.raises(ConcurrencyConflict, match="approved already, by Ada"):
        reject(store_home, one.id, by="Bob", reason="no", expected_hash=one.content_hash)
    assert_rebuilds(store_home)


def test_what_has_expired_or_was_superseded_cannot_be_approved(home: Home) -> None:
    publish(home, 3, row(3, LOOSEN))
    (one,) = of(home)
    home.pin_clock(day(9))
    with pytest.raises(ConcurrencyConflict, match="its last day was 2010-12-09"):
        approve(home, one.id, by="Ada", reason="ok", expected_hash=one.content_hash)
    publish(home, 4, row(3, LOOSEN), row(4, LOOSEN))
    with pytest.raises(ConcurrencyConflict, match="superseded already"):
        approve(home, one.id, by="Ada", reason="ok", expected_hash=one.content_hash)


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("Ada", " "), (BY_RULE, "x")])
def test_a_decision_wants_a_persons_name_and_a_reason(home: Home, by: str, reason: str) -> None:
    publish(home, 3, row(3, LOOSEN))
    with pytest.raises(WrongUse):
        approve(home, of(home)[0].id, by=by, reason=reason, expected_hash=of(home)[0].content_hash)


@given(
    st.booleans(),
    st.sampled_from([True, False, None, "false", 0]),
    st.lists(st.sampled_from(["tighten", "loosen", "hold", None]), max_size=4),
)
def test_nothing_but_a_pure_tightening_with_passed_gates_approves_itself(is_live: bool, only: Any, directions: list[str | None]) -> None:
    content = {"monitor_only": only, "adjustments": [{"direction": direction} for direction in directions]}
    if approves_itself(content, live=is_live):
        assert not is_live and only is False and set(directions) == {"tighten"}
    assert approves_itself(TIGHTEN, live=False) and not approves_itself({}, live=False)


def test_a_long_backfill_takes_its_time_once() -> None:
    from portfolio_platform.monitor.lifecycle import Issued, steps

    content = canonical_bytes(TIGHTEN)
    first = date(2010, 1, 1)
    issued = [Issued(f"r{n:04}", "core", first + timedelta(n), first + timedelta(n + 5), content, "h") for n in range(1_000)]
    done = steps(issued, [], newest_session=first + timedelta(999), today=first + timedelta(999), live=False, at="now")
    kinds = [step.type for step in done]
    assert kinds.count("recommendation_expired") == 994 and kinds.count("recommendation_superseded") == 5
    assert kinds.count("recommendation_approved") == 1
