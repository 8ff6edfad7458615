"""Making plans: from the home's documents and its ledger to an event in the log, a folder of files, and an escalation where one is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import Connection

from portfolio_platform.book.engine import take_log_lock
from portfolio_platform.book.events import by_keys
from portfolio_platform.canonical import content_hash
from portfolio_platform.control.batch import Batch
from portfolio_platform.control.events import Noticed
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.state import ControlState
from portfolio_platform.days import nanoseconds
from portfolio_platform.desk import envelope, log
from portfolio_platform.desk.escalations import cases_in, open_escalation
from portfolio_platform.desk.escalations import record as record_escalations
from portfolio_platform.desk.events import Conflict, DeskEvent, PlanMade, PlanSuperseded
from portfolio_platform.desk.exceptions import asks_for_review, violations_of
from portfolio_platform.desk.folder import write_folder
from portfolio_platform.desk.model import PlanState
from portfolio_platform.desk.sources import Asked, Gathered, gather
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator.accounts import AccountTerms
from portfolio_platform.orchestrator.escalation import Answered, Trigger, escalated
from portfolio_platform.orchestrator.papers import PlanPapers, papers_of

if TYPE_CHECKING:
    from portfolio_platform.home import Home

SUPERSEDED = "rule:superseded"
"""Who answers the escalation of a plan that a newer one has taken the place of."""


@dataclass(frozen=True)
class Drafted:
    """A plan that nothing was recorded of yet: its papers, its conflicts with the envelope, and where its inputs were read."""

    papers: PlanPapers
    conflicts: tuple[Conflict, ...]
    sources: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Prepared:
    """A plan that is in the log.

    Attributes:
        papers: the plan and what it rests on.
        state: what became of it so far.
        folder: where its files are.
        conflicts: with the control plane's envelope.
        superseded: the plans whose place it takes.
        repeated: whether this very plan was there already.
    """

    papers: PlanPapers
    state: PlanState
    folder: Path
    conflicts: tuple[Conflict, ...] = ()
    superseded: tuple[str, ...] = ()
    repeated: bool = False

    @property
    def execution_id(self) -> str:
        """Return the plan's id."""
        return self.papers.execution_id


def preview(home: "Home", asked: Asked) -> Drafted:
    """Make a plan and record nothing. Raises as `sources.gather`."""
    return drafted(home, gather(home.require(), asked, home.clock.now()))


def prepare(home: "Home", asked: Asked) -> Prepared:
    """Make a plan, record it and write its folder. The same plan at the same time is recorded once. Raises as `sources.gather`."""
    return keep(home, preview(home, asked))


def drafted(home: "Home", gathered: Gathered) -> Drafted:
    """Return the plan of what was gathered, held against the control plane's envelope where there is one."""
    given, further = gathered.inputs, list(gathered.findings)
    portfolio = given.snapshot.portfolio
    papers = papers_of(given, gathered.directives, further)
    conflicts = envelope.conflicts_of(state_of(home, portfolio), papers, gathered.terms, nanoseconds(given.at))
    if conflicts:
        # named by trade, so that the same plan made again says the same of them
        papers = papers_of(given, gathered.directives, [*further, *envelope.findings_of(conflicts)])
    return Drafted(papers, conflicts, gathered.sources)


def state_of(home: "Home", portfolio: str) -> ControlState:
    """Return the control plane's state of a portfolio; an empty one where it is not in charge."""
    return ControlPlane(home.book, home.clock).get_portfolio_state(portfolio)


def keep(home: "Home", draft: Drafted, *, instead_of: str = "") -> Prepared:
    """Record a drafted plan in one transaction, and write its folder.

    Older plans on the same topic that nobody approved are superseded by one whose inputs are released, and the escalations that they
    opened are halted. A conflict with the envelope is noticed in the control plane's stream as well; a violated constraint opens an
    escalation (v8.1.1 STEP 3A).
    """
    papers, at = draft.papers, home.clock.now()
    name, portfolio = papers.execution_id, papers.plan.portfolio
    if draft.conflicts:
        with ControlPlane(home.book, home.clock).working(portfolio) as (batch, connection):
            state, superseded, repeated = _recorded(connection, draft, at, instead_of)
            _notice(connection, batch, portfolio, name, draft.conflicts)
            batch.tell()
    else:
        with home.book.writing() as connection:
            take_log_lock(connection)
            state, superseded, repeated = _recorded(connection, draft, at, instead_of)
    folder, _ = write_folder(home, papers)
    return Prepared(papers, state, folder, draft.conflicts, superseded, repeated)


def topic_of(papers: PlanPapers) -> str:
    """Return what a plan is about: of several open plans on one topic the newest counts."""
    if papers.recommendation is not None:
        return f"stock {papers.recommendation.ticker}"
    return papers.plan.kind


def _recorded(connection: Connection, draft: Drafted, at: datetime, instead_of: str) -> tuple[PlanState, tuple[str, ...], bool]:
    papers = draft.papers
    name, portfolio = papers.execution_id, papers.plan.portfolio
    plans = log.plans_of(connection, portfolio)
    if name in plans:
        return plans[name], (), True
    topic, ns = topic_of(papers), nanoseconds(at)
    released = papers.plan.manifest.released  # one that waits for its inputs takes nobody's place
    older = sorted(key for key, plan in plans.items() if released and plan.stage == "made" and plan.made.topic == topic)
    made = _made(draft, topic, instead_of)
    gone = [PlanSuperseded(ns, key, name, f"a newer plan on {topic}") for key in older]
    events: list[tuple[DeskEvent, str]] = [(made, log.key_of(made, "made"))]
    events += [(one, log.key_of(one, "superseded")) for one in gone]
    log.write(connection, portfolio, events, at=at)
    log.keep_papers(connection, papers, ns=made.at, at=at)
    _halt(connection, portfolio, [plans[key] for key in older], name, at)
    if made.escalation_id:
        _escalate(connection, draft, made, at)
    return PlanState(made), tuple(older), False


def _made(draft: Drafted, topic: str, instead_of: str) -> PlanMade:
    papers = draft.papers
    plan = papers.plan
    source, content = _source_of(papers)
    return PlanMade(
        at=nanoseconds(plan.made_at),
        execution_id=papers.execution_id,
        kind=plan.kind,
        topic=topic,
        verdict=plan.verdict,
        plan_hash=plan.hash,
        portfolio_hash=plan.portfolio_hash,
        profile=plan.profile,
        profile_hash=plan.profile_hash,
        source=source,
        source_hash=content,
        trades=len(plan.trades),
        expires_at=nanoseconds(plan.expires_at),
        papers_hash=papers.hash,
        conflicts=draft.conflicts,
        escalation_id=f"plan-{plan.hash[:12]}" if asks_for_review(papers) else "",
        instead_of=instead_of,
        sources=draft.sources,
    )


def _source_of(papers: PlanPapers) -> tuple[str, str]:
    if papers.recommendation is not None:
        return papers.recommendation.source, papers.recommendation.hash
    if papers.queue is not None:
        return papers.queue.source, papers.queue.hash
    return papers.document_source, content_hash(papers.document.encode())


def _escalate(connection: Connection, draft: Drafted, made: PlanMade, at: datetime) -> None:
    """Open the escalation of a plan that violates a constraint, as v8.1.1 STEP 3A states it."""
    from portfolio_platform.render.orchestration.markdown import dry_run

    papers, asked = draft.papers, draft.papers.profile.escalation
    opened = escalated(
        Trigger.CONSTRAINT_VIOLATION,
        made.escalation_id,
        made.at,
        request=asked.request,
        portfolio=papers.plan.portfolio,
        profile=papers.profile.name,
        violations=violations_of(papers, draft.conflicts),
        dry_run=dry_run(papers),
        plan=papers.plan.canonical().decode(),
        plan_hash=made.plan_hash,
        portfolio_hash=made.portfolio_hash,
        routing=asked.routing,
        sla_minutes=asked.sla_minutes,
        subject=made.execution_id,
    )
    open_escalation(connection, opened, at=at)


def _halt(connection: Connection, portfolio: str, plans: Sequence[PlanState], by_execution: str, at: datetime) -> None:
    """Answer the open escalations of plans that were superseded: nobody has to decide on them any more."""
    asked = {plan.made.escalation_id for plan in plans if plan.made.escalation_id}
    if not asked:
        return
    cases = cases_in(connection, portfolio)
    ended = [
        Answered(nanoseconds(at), name, "halt", SUPERSEDED, f"plan {by_execution} stands in its place")
        for name in sorted(asked)
        if name in cases and cases[name].answered is None
    ]
    record_escalations(connection, portfolio, ended, at=at)


def _notice(connection: Connection, batch: Batch, portfolio: str, name: str, conflicts: Sequence[Conflict]) -> None:
    """Put the conflicts into the control plane's stream, each once."""
    keys = {f"plan_conflict/{quote(name, safe='')}/{quote(one.symbol, safe='')}": one for one in conflicts}
    known = by_keys(connection, keys)
    for key, one in keys.items():
        if key not in known:
            expected, found = f"at most {one.limit} minor units of risk ({one.code})", f"{one.wanted} minor units"
            batch.put(Noticed(batch.now, "plan_conflict", envelope.STRATEGY, one.symbol, name, expected, found), key)


def terms_for(papers: PlanPapers, home: "Home") -> AccountTerms:
    """Return the account's terms for a plan's portfolio, as the home has them now."""
    from portfolio_platform.desk.sources import accounts_of

    return accounts_of(home, None)[0].of(papers.plan.portfolio)


def plan_named(home: "Home", execution_id: str) -> tuple[str, PlanState]:
    """Return a plan by its id, or by the end of its id where only one plan ends so; with its portfolio. Raises `WrongUse`."""
    with home.book.reading() as connection:
        found = [
            (portfolio, plan)
            for portfolio in log.portfolios(connection)
            for name, plan in log.plans_of(connection, portfolio).items()
            if name == execution_id or (len(execution_id) >= 6 and name.endswith(execution_id))
        ]
    exact = [one for one in found if one[1].execution_id == execution_id]
    if len(exact or found) != 1:
        what = f"several plans end with {execution_id!r}" if found else f"there is no plan {execution_id!r}"
        raise WrongUse(f"{what}; `portfolio orchestrate list` names them")
    return (exact or found)[0]
