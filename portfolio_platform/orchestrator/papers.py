"""A plan with every paper that it rests on: what the log keeps of it, and what its folder and its pages are made from.

The papers alone say everything: from them the files of a plan's folder are made again, byte for byte, and the plan can be
worked out again and compared.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from urllib.parse import quote

from pydantic import Field

from portfolio_platform.orchestrator.directive import Directives
from portfolio_platform.orchestrator.inputs import Inputs
from portfolio_platform.orchestrator.model import (
    ApprovedQueue,
    Finding,
    RestrictionList,
    SectorRankings,
    Snapshot,
    StockRecommendation,
    Typed,
)
from portfolio_platform.orchestrator.plan import queue_plan, rebalancing_plan, stock_plan
from portfolio_platform.orchestrator.planned import Plan
from portfolio_platform.orchestrator.profile import Profile
from portfolio_platform.orchestrator.stocks import StockValidation

LONGEST_FOLDER = 180
"""Characters of a folder's name; a longer one is cut and ends with a part of its hash."""


class PlanPapers(Typed):
    """A plan and its papers. One of directives, recommendation and queue is there, as the plan's kind says."""

    plan: Plan
    snapshot: Snapshot
    profile: Profile
    restrictions: RestrictionList
    rankings: SectorRankings | None = None
    directives: Directives | None = None
    document: str = Field("", description="the text of the portfolio document or of the directives' JSON, as it was read")
    document_source: str = Field("", description="its name")
    recommendation: StockRecommendation | None = None
    validation: StockValidation | None = None
    queue: ApprovedQueue | None = None
    further: tuple[Finding, ...] = Field((), description="findings from elsewhere: the control plane's envelope, the ledger")

    @property
    def execution_id(self) -> str:
        """Return the id under which the plan is executed."""
        return self.plan.execution_id

    @property
    def folder_name(self) -> str:
        """Return the name of the plan's folder; see `folder_name`."""
        return folder_name(self.execution_id)

    @property
    def inputs(self) -> Inputs:
        """Return what the plan was made from."""
        return Inputs(
            snapshot=self.snapshot,
            restrictions=self.restrictions,
            profile=self.profile,
            at=self.plan.made_at,
            rankings=self.rankings,
            document=self.document,
            document_source=self.document_source,
            queue=self.queue,
            recommendation=self.recommendation,
        )


def papers_of(inputs: Inputs, directives: Directives | None = None, further: Sequence[Finding] = ()) -> PlanPapers:
    """Make a plan and put it with its papers: of directives where they are given, else of the inputs' recommendation or queue.

    Args:
        inputs: the documents and the time.
        directives: what was read of a portfolio document.
        further: findings from elsewhere; an error among them blocks the plan.

    Raises:
        ValueError: there are none or several of directives, recommendation and queue.
    """
    given = [one for one in (directives, inputs.recommendation, inputs.queue) if one is not None]
    if len(given) != 1:
        raise ValueError(f"a plan is made from one of directives, recommendation and queue; these are {len(given)}")
    validation: StockValidation | None = None
    if directives is not None:
        plan = rebalancing_plan(inputs, directives, further)
    elif inputs.recommendation is not None:
        plan, validation = stock_plan(inputs, inputs.recommendation, further)
    else:
        assert inputs.queue is not None, "one of the three was given"
        plan = queue_plan(inputs, inputs.queue, further)
    return PlanPapers(
        plan=plan,
        snapshot=inputs.snapshot,
        profile=inputs.profile,
        restrictions=inputs.restrictions,
        rankings=inputs.rankings,
        directives=directives,
        document=inputs.document,
        document_source=inputs.document_source,
        recommendation=inputs.recommendation,
        validation=validation,
        queue=inputs.queue,
        further=tuple(further),
    )


def folder_name(execution_id: str) -> str:
    """Return the name of the folder of an execution: no separator, no leading dot, short enough for every file system."""
    name = re.sub(r"^\.", "%2E", quote(execution_id, safe=" "))
    return name if len(name) <= LONGEST_FOLDER else f"{name[: LONGEST_FOLDER - 17]}-{sha256(execution_id.encode()).hexdigest()[:16]}"
