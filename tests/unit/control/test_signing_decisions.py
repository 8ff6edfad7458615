"""Decisions on recommendations with a signature: what is taken, what is refused, and that every refusal is in the log."""

from dataclasses import replace
from datetime import timedelta

import pytest

from portfolio_platform.book import approvals, recommendations
from portfolio_platform.book.approvals import ApprovalRefused, SignedApproval
from portfolio_platform.book.chain import verify_chain
from portfolio_platform.book.events import ConcurrencyConflict, read
from portfolio_platform.book.recommendations import Recommendation
from portfolio_platform.control.operators import add_operator, remove_operator, sign_recommendation, terms_version
from portfolio_platform.control.signing import SigningKey, read_key, sign_approval
from portfolio_platform.errors import WrongUse
from portfolio_platform.home import Home
from portfolio_platform.monitor import lifecycle
from portfolio_platform.monitor.lifecycle import approve, reject
from portfolio_platform.policy.assigned import Assigned, assigned_policies
from tests.unit.alerts.making import assert_rebuilds, day
from tests.unit.alerts.test_lifecycle import LOOSEN, of, publish, row, states


def with_policy(monkeypatch: pytest.MonkeyPatch, *, live: bool = True, **changes: object) -> None:
    """Have `core` live, under a policy that asks for other approvals."""

    def assigned(home: Home) -> Assigned:
        policy = assigned_policies(home).default
        rules = policy.control.approvals.model_copy(update=changes)
        changed = policy.model_copy(update={"control": policy.control.model_copy(update={"approvals": rules})})
        return Assigned(changed, {}, frozenset({"core"} if live else ()))

    monkeypatch.setattr(lifecycle, "assigned_policies", assigned)


def key_of(home: Home, name: str) -> SigningKey:
    path = home.root / f"{name}.key"
    if not path.exists():
        add_operator(home, name, key_out=path)
    return read_key(path)


def signed(home: Home, one: Recommendation, name: str = "Ada", decision: str = "approve", **changes: object) -> SignedApproval:
    key = key_of(home, name)
    given = {
        "operator": name, "subject": one.id, "subject_hash": one.content_hash, "decision": decision, "reason": f"{name} agrees",
        "terms_version": 0, "now": home.clock.now(), "valid": timedelta(minutes=30),
    } | changes  # fmt: skip
    return sign_approval(key, **given)


def refused(home: Home, one: Recommendation, given: SignedApproval | None, code: str, **changes: object) -> None:
    """Hold that a decision is refused by a rule, that this is in the log, and that nothing else has changed."""
    before = of(home)
    with pytest.raises(ApprovalRefused) as caught:
        approve(home, one.id, signed=given, **changes)
    assert caught.value.code == code and isinstance(caught.value, ConcurrencyConflict)
    with home.book.reading() as connection:
        last = list(read(connection, f"recommendations/{one.portfolio}"))[-1]
        kept = approvals.listed(connection, one.id)[-1]
        assert verify_chain(connection).ok
    assert last.type == "approval_refused" and last.data["code"] == kept.code == code and last.data["about"] == one.id
    assert kept.state == "refused" and kept.reason == str(caught.value) == last.data["reason"]
    assert [replace(item, event_seq=0) for item in of(home)] == [replace(item, event_seq=0) for item in before]


@pytest.fixture
def proposed(home: Home, monkeypatch: pytest.MonkeyPatch) -> Recommendation:
    with_policy(monkeypatch)
    publish(home, 3, row(3, LOOSEN))
    return of(home)[0]


def test_a_live_recommendation_is_approved_by_a_signature_that_can_be_verified_later(
    store_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_policy(monkeypatch)
    publish(store_home, 3, row(3, LOOSEN))
    (one,) = of(store_home)
    key = key_of(store_home, "Ada")
    given = sign_recommendation(store_home, one.id, key, decision="approve", reason="agreed", expected_hash=one.content_hash)
    done = approve(store_home, one.id, signed=given, terms_version=terms_version)
    assert (done.state, done.decided_by, done.reason) == ("approved", "Ada", "agreed")
    with store_home.book.reading() as connection:
        (kept,) = approvals.listed(connection, one.id)
    assert (kept.state, kept.operator, kept.key_id, kept.terms_version, kept.signed) == ("accepted", "Ada", key.key_id, 0, given)
    refused(store_home, one, given, "replayed")
    assert_rebuilds(store_home)


def test_a_live_recommendation_is_not_approved_by_name_and_one_on_paper_is(
    home: Home, proposed: Recommendation, monkeypatch: pytest.MonkeyPatch
) -> None:
    word = {"by": "Ada", "reason": "agreed", "expected_hash": proposed.content_hash}
    refused(home, proposed, None, "unsigned", **word)
    with_policy(monkeypatch, live=False, paper_signed=True)
    refused(home, proposed, None, "unsigned", **word)
    with_policy(monkeypatch, live=False)
    assert approve(home, proposed.id, **word).state == "approved"


def test_every_rule_refuses_and_every_refusal_is_in_the_log(home: Home, proposed: Recommendation) -> None:
    good = signed(home, proposed)
    key_of(home, "Bob")
    refused(home, proposed, SignedApproval(good.content, signed(home, proposed, "Bob").signature), "forged")
    refused(home, proposed, SignedApproval.from_token("what is this"), "forged")
    refused(home, proposed, signed(home, proposed, operator="Eve"), "unknown_operator")
    refused(home, proposed, signed(home, proposed, subject_hash="0" * 64), "other_hash")
    refused(home, proposed, signed(home, proposed, subject="recommendation:core:2010-12-05"), "other_subject")
    refused(home, proposed, signed(home, proposed, decision="reject"), "other_subject")
    refused(home, proposed, signed(home, proposed, now=home.clock.now() - timedelta(hours=1)), "expired")
    refused(home, proposed, signed(home, proposed, valid=timedelta(days=1)), "expires_late")
    refused(home, proposed, good, "stale", terms_version=1)
    refused(home, proposed, signed(home, proposed, terms_version=2), "stale", terms_version=lambda connection, portfolio: 1)
    refused(home, proposed, signed(home, proposed), "forged", by="Bob")
    refused(home, proposed, good, "replayed")  # it was handed in, with a good signature, and refused
    assert approve(home, proposed.id, signed=signed(home, proposed, terms_version=1), terms_version=1).state == "approved"
    refused(home, proposed, signed(home, proposed, "Bob"), "closed")
    assert_rebuilds(home)


def test_a_forged_token_does_not_use_up_the_nonce_of_a_true_one(home: Home, proposed: Recommendation) -> None:
    good = signed(home, proposed)
    refused(home, proposed, SignedApproval(good.content, bytes(64)), "forged")
    assert approve(home, proposed.id, signed=good).state == "approved"


def test_a_removed_key_signs_no_more_and_what_it_signed_stands(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with_policy(monkeypatch)
    publish(home, 3, row(3, LOOSEN))
    (one,) = of(home)
    assert approve(home, one.id, signed=signed(home, one)).state == "approved"
    publish(home, 4, row(3, LOOSEN), row(4, LOOSEN))
    first, second = of(home)
    given = signed(home, second)
    remove_operator(home, "Ada", by="Bob")
    refused(home, second, given, "removed_operator")
    with home.book.reading() as connection:
        assert approvals.listed(connection, first.id)[0].state == "accepted"
    with pytest.raises(WrongUse, match="was removed by Bob"):
        sign_recommendation(
            home, second.id, read_key(home.root / "Ada.key"), decision="approve", reason="x", expected_hash=second.content_hash
        )


def test_where_two_have_to_agree_the_first_leaves_it_proposed_and_may_not_be_the_second(
    store_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_policy(monkeypatch, people=2)
    publish(store_home, 3, row(3, LOOSEN))
    (one,) = of(store_home)
    assert approve(store_home, one.id, signed=signed(store_home, one)).state == "proposed"
    refused(store_home, one, signed(store_home, one), "self_approved")
    done = approve(store_home, one.id, signed=signed(store_home, one, "Bob"))
    assert (done.state, done.decided_by, done.reason) == ("approved", "Ada, Bob", "Ada agrees, Bob agrees")
    assert_rebuilds(store_home)


def test_of_two_who_have_to_agree_one_may_not_come_back_under_a_new_key(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with_policy(monkeypatch, people=2)
    publish(home, 3, row(3, LOOSEN))
    (one,) = of(home)
    approve(home, one.id, signed=signed(home, one))
    remove_operator(home, "Ada", by="Ada")
    (home.root / "Ada.key").rename(home.root / "old.key")
    refused(home, one, signed(home, one), "self_approved")


def test_an_approval_on_terms_that_have_moved_does_not_count_as_the_first_of_two(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with_policy(monkeypatch, people=2)
    publish(home, 3, row(3, LOOSEN))
    (one,) = of(home)
    approve(home, one.id, signed=signed(home, one))
    assert approve(home, one.id, signed=signed(home, one, "Bob", terms_version=1), terms_version=1).state == "proposed"
    assert approve(home, one.id, signed=signed(home, one, terms_version=1), terms_version=1).state == "approved"


def test_two_names_have_to_agree_on_paper_too_where_the_policy_says_so(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with_policy(monkeypatch, live=False, people=2)
    publish(home, 3, row(3, LOOSEN))
    (one,) = of(home)
    word = {"reason": "agreed", "expected_hash": one.content_hash}
    assert approve(home, one.id, by="Ada", **word).state == "proposed"
    refused(home, one, None, "self_approved", by="ada", **word)
    assert approve(home, one.id, by="Bob", **word).state == "approved"


def test_one_rejection_is_enough_also_after_an_own_approval(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with_policy(monkeypatch, people=2)
    publish(home, 3, row(3, LOOSEN))
    (one,) = of(home)
    approve(home, one.id, signed=signed(home, one))
    done = reject(home, one.id, signed=signed(home, one, decision="reject"))
    assert (done.state, done.decided_by) == ("rejected", "Ada")


def apply(home: Home, identity: str, *commands: str) -> Recommendation:
    with home.book.writing() as connection:
        return recommendations.apply(
            connection, identity, by="rule:control-plane", reason="approved", commands=commands, at=home.clock.now()
        )


def ended(home: Home, **where: object) -> list[tuple[str, str, tuple[str, ...]]]:
    with home.book.reading() as connection:
        found = recommendations.ended_after_applied(connection, **where)
    return [(one.id, one.state, one.command_ids) for one in found]


def test_what_was_applied_stands_until_a_newer_one_is_approved_and_is_then_listed_to_be_given_back(
    store_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_policy(monkeypatch, live_signed=False)
    publish(store_home, 3, row(3))
    (one,) = of(store_home)
    with pytest.raises(ConcurrencyConflict, match="is proposed; only what is approved can be applied"):
        apply(store_home, one.id, "c1")
    approve(store_home, one.id, by="Ada", reason="agreed", expected_hash=one.content_hash)
    done = apply(store_home, one.id, "c1", "c2")
    assert (done.state, done.decided_by, done.command_ids, done.is_open) == ("applied", "rule:control-plane", ("c1", "c2"), True)
    assert apply(store_home, one.id, "c1", "c2") == done
    with pytest.raises(ConcurrencyConflict, match="is applied as"):
        apply(store_home, one.id, "c3")

    publish(store_home, 4, row(3), row(4, LOOSEN))
    assert states(store_home) == {"core:2010-12-04": "applied", "core:2010-12-05": "proposed"}
    assert ended(store_home) == []
    newer = of(store_home)[1]
    approve(store_home, newer.id, by="Ada", reason="agreed", expected_hash=newer.content_hash)
    assert states(store_home) == {"core:2010-12-04": "superseded", "core:2010-12-05": "approved"}
    assert ended(store_home) == [(one.id, "superseded", ("c1", "c2"))] == ended(store_home, portfolio="core")
    assert ended(store_home, portfolio="macro") == [] == ended(store_home, after_seq=of(store_home)[0].event_seq)
    assert_rebuilds(store_home)


def test_what_was_applied_expires_is_withdrawn_and_is_superseded_by_a_rule_that_approves(home: Home) -> None:
    publish(home, 3, row(3))
    (one,) = of(home)
    apply(home, one.id, "c1")
    publish(home, 4, row(3), row(4))  # on paper the newer one is approved by rule
    assert states(home) == {"core:2010-12-04": "superseded", "core:2010-12-05": "approved"}
    apply(home, of(home)[1].id, "c2")
    back = row(4) | {"day": day(5), "status": "withdrawn", "content": ""}
    publish(home, 6, row(3), row(4), back, row(6, LOOSEN))
    assert states(home)["core:2010-12-05"] == "withdrawn"
    third = of(home)[2]
    approve(home, third.id, by="Ada", reason="agreed", expected_hash=third.content_hash)
    apply(home, third.id)
    publish(home, 15, row(6, LOOSEN), days=range(15, 16))
    assert [(state, commands) for _, state, commands in ended(home)] == [("superseded", ("c1",)), ("withdrawn", ("c2",)), ("expired", ())]
