"""What becomes of a recommendation: proposed, approved, rejected, applied, expired, superseded or withdrawn.

The rules are pure; `publish_recommendations` brings the book to the lake, a person's word is in `approve` and `reject`. In a
paper portfolio a tightening that rests on passed gates and is of the newest session needs nobody: the rule approves it.
Live ones wait, loosening waits everywhere, and what is backfilled is written down but never approved. The control plane
applies what is approved; what is applied stands until a newer one is approved, not only proposed, for else a proposal alone
would lift the limits in force.

Where facts are restated, a day's recommendation may become another: it is a revision (`<id>:r2`) that supersedes the first;
what was decided on stays as it was.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow.compute as pc

from portfolio_platform.book import approvals
from portfolio_platform.book import recommendations as book
from portfolio_platform.book.approvals import Approval, ApprovalRefused, SignedApproval
from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.instants import instant_text
from portfolio_platform.book.operators import RULE
from portfolio_platform.book.read_models import require_name
from portfolio_platform.book.recommendations import Recommendation, Step
from portfolio_platform.canonical import content_hash
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.home import Home
from portfolio_platform.lake.derived import PORTFOLIO_EQUITY, RECOMMENDATION_STATES
from portfolio_platform.monitor.approving import Rules, TermsVersion, Word, judged
from portfolio_platform.policy.assigned import assigned_policies

BY_RULE = "rule:paper-tightening"
"""Who approved what nobody had to."""

EXPIRY = "rule:expiry"
SUPERSEDED_BY = "rule:superseded"
EVALUATION = "rule:evaluation"


@dataclass(frozen=True)
class Issued:
    """A recommendation as the lake issued it; the content is its canonical bytes."""

    id: str
    portfolio: str
    issued: date
    expires: date
    content: bytes
    content_hash: str


@dataclass(frozen=True)
class Decided:
    """What publishing did: ids by what became of them."""

    proposed: tuple[str, ...]
    approved: tuple[str, ...]
    expired: tuple[str, ...]
    superseded: tuple[str, ...]
    withdrawn: tuple[str, ...]


def approves_itself(content: Mapping[str, Any], *, live: bool) -> bool:
    """Say whether a recommendation applies without a person: on paper, gates passed, and nothing but tightening. Pure."""
    adjustments = content.get("adjustments") or []
    tightens = bool(adjustments) and all(item.get("direction") == "tighten" for item in adjustments)
    return not live and content.get("monitor_only") is False and tightens


def steps(
    issued: Sequence[Issued],
    standing: Sequence[Recommendation],
    *,
    withdrawn: Mapping[str, str] | None = None,
    newest_session: date,
    today: date,
    live: bool,
    at: str,
    news_after: date | None = None,
) -> list[Step]:
    """Return what happens to one portfolio's recommendations. Pure.

    Args:
        issued: new ones, which the book does not have.
        standing: those of the book that are open.
        withdrawn: ids of open ones that the evaluation took back, and why.
        newest_session: the portfolio's newest session.
        today: the clock's day; what expires before it is over.
        live: whether the portfolio is live.
        at: the time, as the book writes it.
        news_after: what was issued after this day counts as of the newest session.
    """
    found: list[Step] = []
    current = {one.id: one for one in standing}

    def close(one: Recommendation, happened: str, state: book.State, by: str, reason: str) -> None:
        after = replace(one, state=state, decided_by=by, decided_at=at, reason=reason)
        found.append(Step(happened, one, after))
        current.pop(one.id, None)

    fresh = {new.id for new in issued if new.issued == newest_session or (news_after is not None and new.issued > news_after)}

    def stands(one: Recommendation) -> bool:
        return one.state in ("approved", "applied") or (one.id in fresh and approves_itself(one.said, live=live))

    for new in sorted(issued, key=lambda item: (item.issued, item.id)):
        made = _proposed(new)
        found.append(Step(book.PROPOSED, None, made))
        current[made.id] = made
    for identity, reason in sorted((withdrawn or {}).items()):
        if identity in current:
            close(current[identity], book.WITHDRAWN, "withdrawn", EVALUATION, reason)
    newest = max(current.values(), key=place, default=None)
    for one in sorted(current.values(), key=place):
        if date.fromisoformat(one.expires) < today:
            close(one, book.EXPIRED, "expired", EXPIRY, f"its last day was {one.expires}")
        elif newest is not None and one.id != newest.id and (one.state != "applied" or stands(newest)):
            close(one, book.SUPERSEDED, "superseded", SUPERSEDED_BY, f"superseded by {newest.id}")
    for one in [item for item in current.values() if item.id in fresh and approves_itself(item.said, live=live)]:
        after = replace(one, state="approved", decided_by=BY_RULE, decided_at=at, reason="on paper, it only tightens, and its gates passed")
        found.append(Step(book.APPROVED, one, after))
    return found


def publish_recommendations(home: Home, days: Sequence[date], *, only: str | None = None, news_after: date | None = None) -> Decided:
    """Record the recommendations issued on these days, and close those that are over; a second time nothing happens.

    Args:
        home: the home.
        days: of issue.
        only: one portfolio only.
        news_after: what was issued after this day is news, as what is of the newest session always is: where the monitor runs less
            often than every session, it is the day of its last run.

    Raises:
        DataProblem: a recommendation has no day of expiry, or its content is not what its hash says.
    """
    wanted = sorted(set(days))
    rows = _rows(home, wanted) if wanted else []
    newest, live = _newest_sessions(home), assigned_policies(home).live
    done: list[Step] = []
    now = home.clock.now()
    with home.book.writing() as connection:
        take_log_lock(connection)
        everything = book.listed(connection, only)
        rows = [row for row in rows if only in (None, row["portfolio"])]
        issued = revised([_issued(row) for row in rows if row["status"] == "issued"], everything)
        withdrawn = taken_back(rows, everything)
        for portfolio in sorted({one.portfolio for one in issued} | {one.portfolio for one in everything if one.is_open}):
            done += steps(
                [one for one in issued if one.portfolio == portfolio],
                [one for one in everything if one.portfolio == portfolio and one.is_open],
                withdrawn=withdrawn,
                newest_session=newest.get(portfolio, date.min),
                today=home.today,
                live=portfolio in live,
                at=instant_text(now),
                news_after=news_after,
            )
        book.record(connection, done, at=now)
    return Decided(*(tuple(step.after.id for step in done if step.type == kind) for kind in _TOLD))


def revised(issued: Sequence[Issued], held: Sequence[Recommendation]) -> list[Issued]:
    """Return what the book does not have yet: new ones, and those whose content is another now, as revisions. Pure."""
    newest: dict[str, Recommendation] = {}
    for one in sorted(held, key=place):
        newest[_unrevised(one.id)] = one
    found = []
    for new in issued:
        before = newest.get(new.id)
        if before is None:
            found.append(new)
        elif before.content_hash != new.content_hash:
            found.append(replace(new, id=f"{new.id}:r{_revision(before.id) + 1}"))
    return found


def taken_back(rows: Sequence[Mapping[str, Any]], held: Sequence[Recommendation]) -> dict[str, str]:
    """Return why open ones are taken back: the evaluation withdrew them, or issues none on their day any more. Pure."""
    named = {row["recommendation_id"]: row["day"] for row in rows if row["status"] == "withdrawn"}
    silent = {(row["portfolio"], row["day"].isoformat()) for row in rows if row["status"] != "issued"}
    found = {}
    for one in held:
        if one.is_open and _unrevised(one.id) in named:
            found[one.id] = f"the evaluation of {named[_unrevised(one.id)]} took it back"
        elif one.is_open and (one.portfolio, one.issued) in silent:
            found[one.id] = "its facts were restated, and it is issued no more"
    return found


def approve(
    home: Home,
    identity: str,
    *,
    by: str = "",
    reason: str = "",
    expected_hash: str = "",
    signed: SignedApproval | None = None,
    terms_version: TermsVersion = 0,
) -> Recommendation:
    """Approve a recommendation: by a signature, or by name where the portfolio's policy asks for none.

    Where the policy asks for two people, the first approval leaves it proposed. Approved, it supersedes what was applied.

    Args:
        home: the home.
        identity: which recommendation.
        by: whose word it is; with a signature it may be left out, and has to be the signer's where it is not.
        reason: why; what was signed stands in its place.
        expected_hash: the hash of what was read; what was signed stands in its place.
        signed: the signature of an operator's key.
        terms_version: the version of the terms in force, or what finds it in the transaction; what was signed on another
            is refused, and another's approval made on another does not count any more.

    Raises:
        WrongUse: there is none with this id, or name or reason is missing where nothing is signed.
        ApprovalRefused: it is refused (a `ConcurrencyConflict`, its `code` says by which rule); the refusal is in the log.
    """
    return _decide(home, identity, Word("approve", by, reason, expected_hash, signed), terms_version)


def reject(
    home: Home,
    identity: str,
    *,
    by: str = "",
    reason: str = "",
    expected_hash: str = "",
    signed: SignedApproval | None = None,
    terms_version: TermsVersion = 0,
) -> Recommendation:
    """Reject a recommendation; one person's word is enough. Arguments and errors are those of `approve`."""
    return _decide(home, identity, Word("reject", by, reason, expected_hash, signed), terms_version)


def _decide(home: Home, identity: str, word: Word, terms_version: TermsVersion) -> Recommendation:
    if word.signed is None:
        word = replace(word, by=require_name(word.by), reason=word.reason.strip())
        if not word.reason:
            raise WrongUse("a decision wants a reason; say why")
    word = replace(word, by=word.by.strip())
    if word.by.startswith(RULE):
        raise WrongUse(f"{word.by!r} is how a rule signs; give your own name")
    policies, now = assigned_policies(home), home.clock.now()
    with home.book.writing() as connection:
        take_log_lock(connection)
        one = book.by_id(connection, identity)
        version = terms_version(connection, one.portfolio) if callable(terms_version) else terms_version
        policy = policies.of(one.portfolio).control.approvals
        rules = Rules(policy, one.portfolio in policies.live, version, now, home.today)
        made = judged(connection, one, word, rules)
        approvals.record(connection, made, stream=book.stream(one.portfolio), at=now)
        if made.state == "accepted":
            agreed = approvals.agreed(approvals.listed(connection, one.id), version)
            standing = book.listed(connection, one.portfolio, ("applied",))
            book.record(connection, decided(one, made, agreed, policy.people, standing), at=now)
            return book.by_id(connection, identity)
    # outside of the transaction: the refusal is in the log although the command fails
    raise ApprovalRefused(made.code, made.reason)


def decided(one: Recommendation, word: Approval, agreed: Sequence[Approval], people: int, standing: Sequence[Recommendation]) -> list[Step]:
    """Return what an accepted decision does: nothing yet where more people have to agree. Pure.

    Args:
        one: what was decided on.
        word: the decision.
        agreed: the approvals that count, this one among them where it is one.
        people: how many have to approve.
        standing: the portfolio's applied ones; those before it are superseded where it is approved.
    """
    if word.decision == "reject":
        return [Step(book.REJECTED, one, replace(one, state="rejected", decided_by=word.operator, decided_at=word.at, reason=word.reason))]
    if len(agreed) < people:
        return []
    by, reason = (", ".join(said) for said in zip(*((item.operator, item.reason) for item in agreed), strict=True))
    found = [Step(book.APPROVED, one, replace(one, state="approved", decided_by=by, decided_at=word.at, reason=reason))]
    for earlier in standing:
        if place(earlier) < place(one):
            why = f"superseded by {one.id}"
            after = replace(earlier, state="superseded", decided_by=SUPERSEDED_BY, decided_at=word.at, reason=why)
            found.append(Step(book.SUPERSEDED, earlier, after))
    return found


_TOLD = (book.PROPOSED, book.APPROVED, book.EXPIRED, book.SUPERSEDED, book.WITHDRAWN)


def _proposed(new: Issued) -> Recommendation:
    made = Recommendation(
        id=new.id,
        portfolio=new.portfolio,
        issued=new.issued.isoformat(),
        expires=new.expires.isoformat(),
        mode="",
        content=new.content,
        content_hash=new.content_hash,
    )
    return replace(made, mode=str(made.said.get("mode") or ""))


def place(one: Recommendation) -> tuple[str, int]:
    """Return what orders the recommendations of a portfolio: the day of issue, then the revision."""
    return one.issued, _revision(one.id)


_REVISION = re.compile(r":r(\d+)$")


def _revision(identity: str) -> int:
    found = _REVISION.search(identity)
    return int(found[1]) if found else 1


def _unrevised(identity: str) -> str:
    return _REVISION.sub("", identity)


def _issued(row: Mapping[str, Any]) -> Issued:
    identity, content = row["recommendation_id"], (row["content"] or "").encode()
    if row["expires"] is None or not content:
        raise DataProblem(f"recommendation {identity!r} has no content or no last day; build the recommendations again")
    if content_hash(content) != row["content_hash"]:
        raise DataProblem(f"recommendation {identity!r} has other content than its hash says; build the recommendations again")
    return Issued(identity, row["portfolio"], row["issued"] or row["day"], row["expires"], content, row["content_hash"])


def _rows(home: Home, days: Sequence[date]) -> list[dict[str, Any]]:
    first, last = min(days).isoformat()[:7], max(days).isoformat()[:7]
    where = pc.field("day").isin(list(days))
    rows: list[dict[str, Any]] = home.lake.read(RECOMMENDATION_STATES, None, where, from_month=first, to_month=last).to_pylist()
    return rows


def _newest_sessions(home: Home) -> dict[str, date]:
    rows = home.lake.read(PORTFOLIO_EQUITY, ["portfolio", "day"])
    return {row["portfolio"]: row["day_max"] for row in rows.group_by("portfolio").aggregate([("day", "max")]).to_pylist()}
