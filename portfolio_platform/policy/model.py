"""The policy as a model: every threshold of the platform has its one place here."""

from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.policy.alerts import AlertPolicy, RecommendationPolicy, ReflectionPolicy
from portfolio_platform.policy.control import ControlPolicy
from portfolio_platform.policy.diagnostics import (
    ConcentrationPolicy,
    CorrelationPolicy,
    Count,
    DataQualityPolicy,
    ExecutionPolicy,
    FailurePolicy,
    Fraction,
    GatePolicy,
    HeatPolicy,
    IdlePolicy,
    Section,
    TurnoverPolicy,
)
from portfolio_platform.policy.shipped import DEFAULT_POLICY_FILE as DEFAULT_POLICY_FILE


class AccountingPolicy(Section):
    """How fills become positions, and positions equity."""

    flow_timing: Literal["start", "end", "modified_dietz"] = Field("start", description="when in its day a cash flow counts")
    max_mark_age: int = Field(5, ge=0, description="sessions of the instrument's calendar after which a mark is stale")
    default_calendar: str = Field("weekdays", description="calendar of an instrument that names none")
    default_currency: str = Field("USD", description="base currency of a portfolio that is not listed")


class RegimePolicy(Section):
    """When the drawdown regime changes. Drawdowns are fractions, counts are sessions of the portfolio."""

    defensive_drawdown: Fraction = 0.06
    defensive_z: float = 2.5
    risk_off_drawdown: Fraction = 0.10
    risk_off_z: float = 3.5
    risk_off_z_drawdown: Fraction = 0.05
    recovered_drawdown: Fraction = 0.03
    defensive_sessions: Count = 5
    risk_off_sessions: Count = 20
    probation_sessions: Count = 20
    probation_drawdown: Fraction = 0.05
    defensive_size: Fraction = 0.5
    risk_off_size: Fraction = 0.0
    probation_size: Fraction = 0.25


class DrawdownPolicy(Section):
    """Windows and minimum samples of the drawdown diagnostic, in sessions."""

    ewma_lambda: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.94
    ewma_seed: Count = 20
    window: Count = 252
    severity_minimum: Count = 60
    cdar_level: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    cdar_minimum: Count = 100
    regime: RegimePolicy = RegimePolicy()


class Policy(Section):
    """A policy: its name and version, and a section for each part of the platform."""

    name: str = "default"
    version: int = Field(1, ge=1)
    accounting: AccountingPolicy = AccountingPolicy()
    concentration: ConcentrationPolicy = ConcentrationPolicy()
    drawdown: DrawdownPolicy = DrawdownPolicy()
    heat: HeatPolicy = HeatPolicy()
    correlation: CorrelationPolicy = CorrelationPolicy()
    turnover: TurnoverPolicy = TurnoverPolicy()
    data_quality: DataQualityPolicy = DataQualityPolicy()
    execution: ExecutionPolicy = ExecutionPolicy()
    idle: IdlePolicy = IdlePolicy()
    failures: FailurePolicy = FailurePolicy()
    gates: GatePolicy = GatePolicy()
    alerts: AlertPolicy = Field(default_factory=lambda: AlertPolicy.model_validate({}))
    recommendations: RecommendationPolicy = Field(default_factory=lambda: RecommendationPolicy.model_validate({}))
    reflection: ReflectionPolicy = ReflectionPolicy()
    control: ControlPolicy = ControlPolicy()

    def canonical(self) -> bytes:
        """Return the policy's canonical bytes: equal for equal content, whatever the file looked like."""
        return canonical_bytes(self.model_dump(mode="json"))

    @cached_property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes."""
        return content_hash(self.canonical())
