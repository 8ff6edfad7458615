"""Approving a plan: these very bytes, on this very portfolio, before its end. Whatever speaks against it is recorded and said.

An approval looks at everything anew: cash and holdings, the restriction list, the control plane's envelope, other plans under way. A plan
whose portfolio has moved, or whose time is over, is refused, and a new plan of the same papers is made at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import Connection

from portfolio_platform.book import approvals as signed_approvals
from portfolio_platform.book.approvals import Approval, SignedApproval
from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.control.batch import Batch
from portfolio_platform.control.orders import Subject, judged, sign
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.signing import SigningKey
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import envelope, log
from portfolio_platform.desk.escalations import cases_in
from portfolio_platform.desk.events import DeskEvent, PlanApproved, PlanClosed, PlanRefused
from portfolio_platform.desk.exceptions import not_to_be_excepted
from portfolio_platform.desk.execution_events import state_from
from portfolio_platform.desk.model import PlanState, apply, in_force
from portfolio_platform.desk.prepare import Prepared, drafted, keep, plan_named, state_of
from portfolio_platform.desk.snapshot import SOURCE
from portfolio_platform.desk.sources import RESTRICTIONS, Gathered, path_of, rankings_of, restrictions_of, take, wanted_tickers
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator.accounts import AccountTerms
from portfolio_platform.orchestrator.escalation import Case
from portfolio_platform.orchestrator.model import Finding, RestrictionList
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.orchestrator.plan import refusal

if TYPE_CHECKING:
    from portfolio_platform.home import Home

MADE_AGAIN = ("moved", "expired")
"""Refusals after which a new plan is made at once."""
FEW = 5
"""How many reasons a refusal names; the plan has all of them."""


@dataclass(frozen=True)
class Wanted:
    """An approval as a person asks for it.

    Attributes:
        execution_id: of which plan.
        by, reason: who, and why.
        accept_conditions: whether every condition of the plan, and of the answer that excepts it, is accepted.
        plan_hash: the hash that was read, or the beginning of it; empty: not said.
        snapshot: the portfolio as it is now, where it is a file; empty: where the plan was made from.
    """

    execution_id: str
    by: str
    reason: str
    accept_conditions: bool = False
    plan_hash: str = ""
    snapshot: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of it: the plan afterwards; where it was refused, why, and the plan that was made in its place."""

    papers: PlanPapers
    state: PlanState
    refused: PlanRefused | None = None
    regenerated: Prepared | None = None
    repeated: bool = False


class Refused(NamedTuple):
    """What speaks against an approval: a code, and a sentence."""

    code: str
    reason: str


@dataclass(frozen=True)
class _Now:
    """The world as an approval finds it."""

    gathered: Gathered
    restrictions: RestrictionList
    terms: AccountTerms
    at: datetime

    @property
    def portfolio_hash(self) -> str:
        return self.gathered.inputs.snapshot.state_hash


def subject_of(papers: PlanPapers, conditions: Sequence[str], reason: str) -> Subject:
    """Return what a signature of an approval is about: the plan, the portfolio it was made on, and the conditions that are accepted."""
    plan = papers.plan
    said = {"plan": plan.hash, "portfolio": plan.portfolio_hash, "conditions": list(conditions)}
    hashed = content_hash(canonical_bytes(said, floats=False))
    name = f"plan:{plan.hash}"
    return Subject(plan.portfolio, name, hashed, reason, f"portfolio orchestrate approve {papers.execution_id} --key FILE")


def sign_plan(home: "Home", execution_id: str, key: SigningKey, reason: str) -> SignedApproval:
    """Sign the approval of a plan with all its conditions, to be handed in before the policy's time is over. Raises `WrongUse`."""
    portfolio, plan = plan_named(home, execution_id)
    with home.book.reading() as connection:
        papers = log.papers_of(connection, plan.execution_id)
        case = _case(connection, portfolio, plan)
    if not reason.strip():
        raise WrongUse("an approval wants a reason; whoever wonders at it reads that")
    return sign(home, subject_of(papers, conditions_of(papers, case), reason.strip()), key, state_of(home, portfolio))


def conditions_of(papers: PlanPapers, case: Case | None) -> tuple[str, ...]:
    """Return every condition of an approval: the plan's, and those of the answer that lets a blocked plan through."""
    said = case.answered.conditions if case is not None and case.answered is not None and case.status == "approved" else ()
    return (*papers.plan.conditions, *said)


def approve(home: "Home", wanted: Wanted, *, signed: SignedApproval | None = None) -> Outcome:
    """Approve a plan, or record why it is refused. The same approval again changes nothing.

    Raises:
        WrongUse: there is no such plan, a name or a reason is missing, or the file of its portfolio is gone.
        DataProblem: the portfolio cannot be read as it is now.
    """
    from portfolio_platform.book.read_models import require_name

    home.require()
    portfolio, found = plan_named(home, wanted.execution_id)
    by, reason = require_name(wanted.by), wanted.reason.strip()
    if not reason:
        raise WrongUse("an approval wants a reason; whoever wonders at it reads that")
    with home.book.reading() as connection:
        papers = log.papers_of(connection, found.execution_id)
    now = _now(home, papers, found, wanted.snapshot)
    with ControlPlane(home.book, home.clock).working(portfolio) as (batch, connection):
        plan = log.plans_of(connection, portfolio)[found.execution_id]
        if plan.approved is not None and plan.closed is None and (plan.approved.by, plan.approved.reason) == (by, reason):
            return Outcome(papers, plan, repeated=True)
        outcome = _decided(home, connection, batch, papers, plan, now, replace(wanted, by=by, reason=reason), signed)
        batch.tell()
    if outcome.refused is not None and outcome.refused.code in MADE_AGAIN:
        return replace(outcome, regenerated=keep(home, drafted(home, now.gathered), instead_of=plan.execution_id))
    return outcome


def withdraw(home: "Home", execution_id: str, *, by: str, reason: str) -> PlanState:
    """Take a plan back before anything of it was executed, so that another can be made; one that is executed on paper at any time.

    Raises:
        WrongUse: there is no such plan, it is over, or its execution has begun: that is ended by a report.
    """
    from portfolio_platform.book.engine import take_log_lock
    from portfolio_platform.book.read_models import require_name

    portfolio, found = plan_named(home, execution_id)
    name, at = require_name(by), home.clock.now()
    if not reason.strip():
        raise WrongUse("a withdrawal wants a reason; whoever wonders at it reads that")
    with home.book.writing() as connection:
        take_log_lock(connection)
        plan = log.plans_of(connection, portfolio)[found.execution_id]
        if plan.stage == "executing" and not state_from(connection, portfolio, plan).on_paper:
            raise WrongUse(f"plan {plan.execution_id} is being executed; report what was done (`portfolio execution report`)")
        if plan.stage in ("closed", "superseded"):
            raise WrongUse(f"plan {plan.execution_id} is {plan.status(nanoseconds(at)).replace('_', ' ')} already")
        event = PlanClosed(nanoseconds(at), plan.execution_id, "withdrawn", name, reason.strip())
        log.write(connection, portfolio, [(event, log.key_of(event, "closed"))], at=at)
        return plan._replace(stage="closed", closed=event)


def _decided(
    home: "Home",
    connection: Connection,
    batch: Batch,
    papers: PlanPapers,
    plan: PlanState,
    now: _Now,
    wanted: Wanted,
    signed: SignedApproval | None,
) -> Outcome:
    """Decide in the transaction that records it."""
    portfolio = papers.plan.portfolio
    case = _case(connection, portfolio, plan)
    conditions = conditions_of(papers, case)
    refused = _standing(connection, papers, plan, now, wanted) or _against(papers, plan, now, case)
    if refused is None:
        conflicts = envelope.conflicts_of(batch.state, papers, now.terms, nanoseconds(now.at))
        if conflicts:
            refused = Refused("envelope", f"the control plane's envelope does not allow it: {_few([one.text for one in conflicts])}")
    if refused is None and conditions and not wanted.accept_conditions:
        refused = Refused("conditions", f"it has {len(conditions)} conditions, and every one has to be accepted: {_few(conditions)}")
    approval: Approval | None = None
    if refused is None:
        approval = judged(home, connection, subject_of(papers, conditions, wanted.reason), batch.state, wanted.by, signed)
        if approval is not None:
            signed_approvals.record(connection, approval, stream=f"plans/{portfolio}", at=now.at)
            refused = Refused(approval.code, approval.reason) if approval.state == "refused" else None
    signature = "" if approval is None else approval.id
    return _written(connection, papers, plan, now, wanted, conditions, case, refused, signature)


def _written(
    connection: Connection,
    papers: PlanPapers,
    plan: PlanState,
    now: _Now,
    wanted: Wanted,
    conditions: tuple[str, ...],
    case: Case | None,
    refused: Refused | None,
    signature: str,
) -> Outcome:
    ns, made = nanoseconds(now.at), plan.made
    event: DeskEvent
    if refused is not None:
        event = PlanRefused(ns, made.execution_id, made.plan_hash, now.portfolio_hash, wanted.by, *refused, approval_id=signature)
        key = log.key_of(event, f"refused/{len(plan.refusals) + 1}")
    else:
        excepted = case.escalation.escalation_id if case is not None and papers.plan.verdict == "BLOCKED" else ""
        event = PlanApproved(
            ns,
            made.execution_id,
            made.plan_hash,
            made.portfolio_hash,
            wanted.by,
            wanted.reason,
            conditions,
            made.expires_at,
            excepted,
            signature,
        )
        key = log.key_of(event, "approved")
    log.write(connection, papers.plan.portfolio, [(event, key)], at=now.at)
    from immutables import Map

    after = apply(Map({made.execution_id: plan}), event)[made.execution_id]
    return Outcome(papers, after, event if isinstance(event, PlanRefused) else None)


def _standing(connection: Connection, papers: PlanPapers, plan: PlanState, now: _Now, wanted: Wanted) -> Refused | None:
    """Say what speaks against approving a plan at all: it is approved or over, not the one that was read, or another is under way."""
    ns = nanoseconds(now.at)
    if plan.approved is not None and plan.closed is None:
        return Refused("approved", f"{plan.approved.by} has approved it already: {plan.approved.reason}")
    if plan.closed is not None:
        return Refused("closed", f"it is over: {plan.closed.outcome.replace('_', ' ')} by {plan.closed.by} ({plan.closed.reason})")
    if plan.superseded is not None:
        return Refused("superseded", f"plan {plan.superseded.by_execution} stands in its place; look at that one")
    if wanted.plan_hash and not plan.made.plan_hash.startswith(wanted.plan_hash.lower()):
        return Refused("other_hash", f"its hash is {plan.made.plan_hash}, not {wanted.plan_hash}; look at it again")
    others = [one for one in in_force(log.plans_of(connection, papers.plan.portfolio), ns) if one.execution_id != plan.execution_id]
    if others:
        names = ", ".join(one.execution_id for one in others)
        return Refused("pending", f"{names} is approved and not reported as done; report or withdraw it first")
    return None


def _against(papers: PlanPapers, plan: PlanState, now: _Now, case: Case | None) -> Refused | None:
    """Say what speaks against a plan now: blocked without an exception, over, its portfolio moved, a name restricted since."""
    blocked, judged_plan = papers.plan.verdict == "BLOCKED", papers.plan
    if blocked:
        barred = not_to_be_excepted(papers)
        if case is None or case.status != "approved" or barred:
            return Refused("blocked", f"the plan is blocked: {_few(papers.plan.reasons)}{_way_out(case, barred)}")
        judged_plan = papers.plan.model_copy(update={"verdict": "CONDITIONAL"})
    why = refusal(judged_plan, now.portfolio_hash, now.at)
    if why:
        code = "clock" if now.at < papers.plan.made_at else "expired" if now.at >= papers.plan.expires_at else "moved"
        return Refused(code, why)
    faults = [finding.message for finding in now.gathered.findings if finding.severity == "error"]
    if faults:
        return Refused("moved", _few(faults))
    pending = now.gathered.inputs.snapshot.pending
    if pending:
        return Refused("pending", f"under way: {', '.join(pending)}; wait for it, then plan again")
    listed = now.restrictions.in_force(now.at.date())
    hit = sorted({trade.ticker for trade in papers.plan.trades} & set(listed))
    if hit:
        text = ", ".join(f"{ticker} ({listed[ticker].reason})" for ticker in hit)
        return Refused("restricted", f"restricted since it was made: {text}; make a new plan")
    return None


def _few(texts: Sequence[str]) -> str:
    """Return texts as one sentence, the first five and how many more."""
    return "; ".join(texts[:FEW]) + (f"; and {len(texts) - FEW} more" if len(texts) > FEW else "")


def _way_out(case: Case | None, barred: Sequence[str]) -> str:
    if barred or case is None:
        return ""
    name = case.escalation.escalation_id
    if case.status == "open" or case.status == "expired":
        return f"; {case.escalation.routing} decides on an exception (`portfolio escalations show {name}`)"
    return f"; {case.answered.by if case.answered else 'nobody'} answered {name}: {case.status}"


def _case(connection: Connection, portfolio: str, plan: PlanState) -> Case | None:
    return cases_in(connection, portfolio).get(plan.made.escalation_id) if plan.made.escalation_id else None


def _now(home: "Home", papers: PlanPapers, plan: PlanState, snapshot: Path | None) -> _Now:
    """Read portfolio, restrictions, rankings and accounts again, from where the plan's were read; what a person asked for stays."""
    at, read = home.clock.now(), dict(plan.made.sources)
    accounts = _file(home, read.get("accounts", ""))
    rankings = rankings_of(home, _file(home, read.get("rankings", "")))[0] if papers.rankings is not None else None
    file = snapshot
    if file is None and read.get("snapshot", SOURCE) != SOURCE:
        file = path_of(home, read["snapshot"])
        if not file.is_file():
            raise WrongUse(f"the plan was made on {read['snapshot']}, which is gone; give the portfolio as it is now (--snapshot FILE)")
    tickers = wanted_tickers(rankings or papers.rankings, papers.recommendation, papers.queue)
    taken, terms, sources = take(home, papers.plan.portfolio, at, tickers=tickers, snapshot=file, accounts=accounts)
    listed = read.get("restrictions", f"orchestrator/{RESTRICTIONS}")
    restricted_at = _file(home, listed)
    if restricted_at is None:
        raise WrongUse(f"the restriction list of the plan, {listed}, is gone; put it back, empty where nothing is restricted")
    restrictions = restrictions_of(home, restricted_at)[0]
    inputs = replace(papers.inputs, snapshot=taken.snapshot, restrictions=restrictions, rankings=rankings or papers.rankings, at=at)
    named = (*sources, *((name, read[name]) for name in ("rankings", "restrictions") if name in read))
    findings: tuple[Finding, ...] = taken.findings
    return _Now(Gathered(inputs, papers.directives, findings, terms, named), restrictions, terms, at)


def _file(home: "Home", name: str) -> Path | None:
    """Return a file of the log if it is still there."""
    if not name or name == SOURCE:
        return None
    path = path_of(home, name)
    return path if path.is_file() else None
