"""The policy of the control plane: its caps, how long what it says holds, and whose signature it asks for."""

from typing import Annotated

from pydantic import Field

from portfolio_platform.policy.diagnostics import Count, Fraction, Positive, Section


class ApprovalPolicy(Section):
    """Whose signature a decision on a recommendation asks for."""

    live_signed: bool = Field(True, description="whether a live portfolio asks for a signature by an operator's key")
    paper_signed: bool = Field(False, description="whether one on paper does")
    people: Annotated[int, Field(ge=1, le=2)] = Field(1, description="how many different operators have to approve")
    valid_minutes: Positive = Field(30.0, description="how long a signed approval may wait before it is handed in")


class ControlPolicy(Section):
    """Limits that every strategy has to keep. Caps are fractions of equity, of risk to the stop unless they say exposure.

    The cap on heat is ``heat.cap``. A cap that is not set does not bind.
    """

    symbol_risk: Fraction | None = Field(0.02, description="risk of one symbol, active and reserved")
    cohort_risk: Fraction | None = Field(0.04, description="risk of one cohort")
    sector_risk: Fraction | None = Field(None, description="risk of one sector")
    template_risk: Fraction | None = Field(0.04, description="risk of one template")
    playbook_risk: Fraction | None = Field(0.04, description="risk of one playbook")
    bucket_risk: Fraction | None = Field(0.04, description="risk of one correlation bucket")
    symbol_exposure: Positive | None = Field(None, description="gross exposure of one symbol")
    cohort_exposure: Positive | None = Field(None, description="gross exposure of one cohort")
    sector_exposure: Positive | None = Field(None, description="gross exposure of one sector")
    bucket_exposure: Positive | None = Field(None, description="gross exposure of one correlation bucket")
    positions: Count = Field(20, description="open and reserved positions, each a strategy's in a symbol")
    new_positions: Count = Field(5, description="positions that may be opened in one UTC day")
    minimum_ticket: Fraction = Field(0.0002, description="the least risk worth a trade")
    reservation_minutes: Positive = Field(5760.0, description="how long an unfilled reservation holds")
    intent_minutes: Positive = Field(5760.0, description="age beyond which an intent is refused")
    facts_minutes: Positive = Field(7200.0, description="age beyond which the facts are too old to decide on")
    envelope_minutes: Positive = Field(1440.0, description="how long an envelope holds")
    clock_seconds: Positive = Field(5.0, description="how far a time may lie in the future before it is refused")
    approvals: ApprovalPolicy = ApprovalPolicy()
