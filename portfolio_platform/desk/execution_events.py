"""What happened to an approved plan, in the log: reports, refusals, flags, verifications, touched exits; and the state that they make.

A report is in the portfolio's stream, where it says that the execution has begun; everything else is in the plan's own stream.
Contents are canonical JSON of typed models in one field of text, so that they are read back as they were written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

import orjson
from sqlalchemy import Connection, select

from portfolio_platform.book import schema
from portfolio_platform.book.events import NewEvent, StoredEvent, append
from portfolio_platform.book.events import read as read_stream
from portfolio_platform.desk import log
from portfolio_platform.desk.events import Names, Other, decode_event, encode_event, stream_of
from portfolio_platform.desk.model import PlanState
from portfolio_platform.errors import WrongUse
from portfolio_platform.orchestrator.executed import Executed, GivenUp, Protection, ReportedFill
from portfolio_platform.orchestrator.execution_flags import ExecutionFlag
from portfolio_platform.orchestrator.execution_report import Report
from portfolio_platform.orchestrator.exits import Touch
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.orchestrator.verification import Verification

REPORTED = "execution_reported"
PAPER = "paper_marked"
"""The type of the event that says that a plan is executed on paper."""


class ExecutionReported(NamedTuple):
    """A person reported what was done of a plan: `execution_report.Report` as canonical JSON."""

    at: int
    execution_id: str
    number: int
    by: str
    report: str


class ExecutionRefused(NamedTuple):
    """A report was refused: why (``not_approved``, ``expired``, ``closed``, ``unusable``), in words, and from whom it came."""

    at: int
    execution_id: str
    by: str
    code: str
    reason: str


class ExecutionFlagged(NamedTuple):
    """Something that the clock brought: `execution_flags.ExecutionFlag` as canonical JSON."""

    at: int
    execution_id: str
    flag: str


class ExecutionVerified(NamedTuple):
    """Steps 5 and 6 after the reports up to a number: `verification.Verification` as canonical JSON."""

    at: int
    execution_id: str
    number: int
    verification: str


class ExitTouched(NamedTuple):
    """A bar touched a stop or a target; prices are text."""

    at: int
    execution_id: str
    trade_id: str
    ticker: str
    kind: str
    level: str
    low: str
    high: str
    close: str
    both: bool


class DocumentRevised(NamedTuple):
    """A new revision of the portfolio document was made, after the reports up to a number."""

    at: int
    execution_id: str
    revision: int
    number: int
    document: str


IN_PORTFOLIO: Names = {REPORTED: ExecutionReported}
IN_PLAN: Names = {
    "execution_refused": ExecutionRefused,
    "execution_flagged": ExecutionFlagged,
    "execution_verified": ExecutionVerified,
    "exit_touched": ExitTouched,
    "document_revised": DocumentRevised,
}


@dataclass(frozen=True)
class ExecutionState:
    """Everything that the log says of the execution of one plan.

    Attributes:
        plan: its life.
        papers: what it rests on.
        executed: what was reported, as it stands.
        reports: one by one.
        refused: reports that were refused.
        flagged: what the clock brought.
        verified: the newest verification, and after which report.
        touched: stops and targets that were touched.
        documents: the revisions of the portfolio document.
        on_paper: whether the loop executes it on paper, so that nobody reports it.
    """

    plan: PlanState
    papers: PlanPapers
    executed: Executed
    reports: tuple[Report, ...] = ()
    refused: tuple[ExecutionRefused, ...] = ()
    flagged: tuple[ExecutionFlag, ...] = ()
    verified: tuple[int, Verification] | None = None
    touched: tuple[Touch, ...] = ()
    documents: tuple[DocumentRevised, ...] = ()
    on_paper: bool = False

    @property
    def execution_id(self) -> str:
        """Return its id."""
        return self.plan.execution_id

    @property
    def flags(self) -> tuple[ExecutionFlag, ...]:
        """Return every flag that was logged, each once, in the order in which it came."""
        found: dict[str, ExecutionFlag] = {}
        for one in (*(flag for report in self.reports for flag in report.flags), *self.flagged):
            found.setdefault(one.key, one)
        return tuple(found.values())


def instant(ns: int) -> datetime:
    """Return nanoseconds UTC as a time, of microseconds."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1000)


def text_of(model: Report | Verification | ExecutionFlag) -> str:
    """Return a model as the text that the log keeps."""
    return model.canonical().decode()


def protections_of(papers: PlanPapers) -> dict[str, Protection]:
    """Return the stops and targets that the plan's recommendation or queue states, by trade of the plan."""
    if papers.queue is not None:
        return {
            one.trade_id: Protection(trade_id=one.trade_id, stop_price=one.stop_price, profit_targets=one.profit_targets)
            for one in papers.queue.trades
            if one.stop_price is not None or one.profit_targets
        }
    said = papers.recommendation
    if said is None or (said.stop_price is None and not said.profit_targets):
        return {}
    return {
        trade.trade_id: Protection(trade_id=trade.trade_id, stop_price=said.stop_price, profit_targets=said.profit_targets)
        for trade in papers.plan.trades
        if trade.ticker == said.ticker and trade.side == "buy"
    }


def begun_from(plan: PlanState, papers: PlanPapers) -> Executed:
    """Return an approved plan of which nothing was reported. Raises `WrongUse` where it was never approved."""
    if plan.approved is None:
        raise WrongUse(
            f"plan {plan.execution_id} was not approved; look at it with `portfolio orchestrate preview {plan.execution_id}`, "
            "and let somebody approve it with `portfolio orchestrate approve`"
        )
    return Executed(
        execution_id=plan.execution_id,
        plan=papers.plan,
        approved_at=instant(plan.approved.at),
        until=instant(plan.approved.expires_at),
        protections=protections_of(papers),
    )


def with_report(executed: Executed, report: Report) -> Executed:
    """Return what was reported, with a further report."""
    from portfolio_platform.orchestrator.execution_intake import after

    placings = dict(executed.placings)
    for placed in report.placings:
        placings.setdefault(placed.trade_id, placed.at)
    given_up: dict[str, GivenUp] = {**executed.given_up, **{one.trade_id: one for one in report.given_up}}
    fills: Sequence[ReportedFill] = report.fills
    return replace(after(executed, fills), placings=placings, given_up=given_up)


def state_of(connection: Connection, execution_id: str) -> ExecutionState:
    """Return the execution of a plan as the log has it. Raises `WrongUse` where there is no such plan, or it was never approved."""
    portfolio = log.portfolio_of(connection, execution_id)
    plan = log.plans_of(connection, portfolio)[execution_id]
    return state_from(connection, portfolio, plan)


def state_from(connection: Connection, portfolio: str, plan: PlanState) -> ExecutionState:
    """Return the execution of a plan whose life is known; see `state_of`."""
    papers = log.papers_of(connection, plan.execution_id)
    executed = begun_from(plan, papers)
    reports, on_paper = [], False
    for entry in log.entries(connection, portfolio, IN_PORTFOLIO):
        if isinstance(entry.event, ExecutionReported) and entry.event.execution_id == plan.execution_id:
            reports.append(Report.model_validate(orjson.loads(entry.event.report)))
        elif isinstance(entry.event, Other) and entry.event.type == PAPER and entry.event.execution_id == plan.execution_id:
            on_paper = True
    for report in reports:
        executed = with_report(executed, report)
    refused, flagged, touched, documents = [], [], [], []
    verified: tuple[int, Verification] | None = None
    for event in _own(connection, portfolio, plan.execution_id):
        if isinstance(event, ExecutionRefused):
            refused.append(event)
        elif isinstance(event, ExecutionFlagged):
            flagged.append(ExecutionFlag.model_validate(orjson.loads(event.flag)))
        elif isinstance(event, ExecutionVerified):
            verified = event.number, Verification.model_validate(orjson.loads(event.verification))
        elif isinstance(event, ExitTouched):
            touched.append(touch_of(event))
        elif isinstance(event, DocumentRevised):
            documents.append(event)
    return ExecutionState(
        plan, papers, executed, tuple(reports), tuple(refused), tuple(flagged), verified, tuple(touched), tuple(documents), on_paper
    )


def reported_fills(connection: Connection, portfolio: str) -> tuple[ReportedFill, ...]:
    """Return the fills that people reported of all plans of a portfolio, each as it stands; withdrawn ones never happened."""
    found: dict[str, ReportedFill] = {}
    for entry in log.entries(connection, portfolio, IN_PORTFOLIO):
        if isinstance(entry.event, ExecutionReported):
            for fill in Report.model_validate(orjson.loads(entry.event.report)).fills:
                if fill.fill_id not in found or fill.revision > found[fill.fill_id].revision:
                    found[fill.fill_id] = fill
    return tuple(fill for fill in found.values() if not fill.withdrawn)


def refusals_of(connection: Connection, portfolio: str, execution_id: str) -> tuple[ExecutionRefused, ...]:
    """Return the reports that were refused, also of a plan that was never approved."""
    return tuple(event for event in _own(connection, portfolio, execution_id) if isinstance(event, ExecutionRefused))


def _own(connection: Connection, portfolio: str, execution_id: str) -> Iterator[object]:
    for stored in read_stream(connection, stream_of(portfolio, execution_id)):
        if stored.type in IN_PLAN:
            yield decode_event(stored.type, stored.data, IN_PLAN)


def touch_of(event: ExitTouched) -> Touch:
    """Return a touch as the exits' rules know it."""
    from decimal import Decimal

    return Touch(
        event.execution_id,
        event.trade_id,
        event.ticker,
        "stop" if event.kind == "stop" else "target",
        Decimal(event.level),
        instant(event.at),
        Decimal(event.low),
        Decimal(event.high),
        Decimal(event.close),
        event.both,
    )


def keep(
    connection: Connection,
    portfolio: str,
    event: ExecutionRefused | ExecutionFlagged | ExecutionVerified | ExitTouched | DocumentRevised,
    what: str,
    *,
    at: datetime,
) -> StoredEvent:
    """Append an event to the plan's own stream, once for each plan and ``what``."""
    name, data = encode_event(event, IN_PLAN)
    key = f"execution/{quote(event.execution_id, safe='')}/{what}"
    (stored,) = append(connection, [NewEvent(stream_of(portfolio, event.execution_id), name, data, key)], recorded_at=at)
    return stored


def approved_plans(connection: Connection, portfolio: str) -> list[PlanState]:
    """Return the plans of a portfolio that were approved, the oldest first."""
    plans = log.plans_of(connection, portfolio)
    return sorted((one for one in plans.values() if one.approved is not None), key=lambda one: (one.made.at, one.execution_id))


def reports_after(connection: Connection, seq: int, most: int) -> list[tuple[int, str, Report]]:
    """Return reports after a place of the log, of every portfolio: the place, the execution, the report."""
    table = schema.events.c
    query = select(table.seq, table.content).where(table.seq > seq, table.type == REPORTED).order_by(table.seq).limit(most)
    found = []
    for place, content in connection.execute(query):
        data: Mapping[str, object] = orjson.loads(content)["data"]
        found.append((place, str(data["execution_id"]), Report.model_validate(orjson.loads(str(data["report"])))))
    return found
