"""The reflection as a model. Its content is a pure function of facts up to the period's end and of the policy; its bytes are canonical.

A figure that is a cell of a table has the cell's evidence id beside it; a figure over trades has its sample size and interval.
"""

from datetime import date
from typing import Literal

from portfolio_platform.canonical import canonical_bytes, content_hash
from portfolio_platform.monitor.reflection.periods import Kind
from portfolio_platform.monitor.report import Part, PolicyReference

SCHEMA_VERSION = 1
Action = Literal["hold", "replan", "policy_adjust", "research_experiment"]
Verdict = Literal["worked", "failed", "unclear", "deviates", "insufficient_sample"]
Dimension = Literal["portfolio", "playbook", "template", "regime", "symbol"]
Subject = Literal[
    "playbook",
    "template",
    "regime",
    "symbol",
    "execution",
    "calibration",
    "failure_mode",
    "allocation",
    "capital",
    "turnover",
    "crowding",
    "alerts",
]


class Performance(Part):
    """How the portfolio did in the period; returns and drawdowns are flow-neutral fractions.

    ``best`` and ``worst`` are the largest and smallest daily return. ``previous_session`` is the one before the period.
    """

    sessions: int
    first_session: date
    last_session: date
    previous_session: date | None
    equity: float | None
    net_flow: float | None
    total_return: float | None
    best: float | None
    worst: float | None
    drawdown: float | None
    deepest_drawdown: float | None
    regime: str
    evidence_ids: tuple[str, ...]


class Sample(Part):
    """Closed trades: how many, how many earned money after fees (Wilson at 95 %), their mean R (bootstrap at 95 %), their P&L.

    ``with_r`` are those with an initial risk; R is before fees. The interval of the mean is null below `clusters.INTERVAL_MINIMUM`.
    ``pnl`` is in base currency after fees, null where an exchange rate is missing.
    """

    n: int
    wins: int
    win_rate: float | None
    win_low: float | None
    win_high: float | None
    with_r: int
    mean_r: float | None
    r_low: float | None
    r_high: float | None
    pnl: float | None


class Tally(Part):
    """Closed trades, counted: as `Sample`, without intervals."""

    n: int
    wins: int
    win_rate: float | None
    mean_r: float | None
    pnl: float | None


class Cluster(Part):
    """Trades of a group: of the period, of the window that is judged (the period's among them), and of all before the window.

    ``p_deviation`` is Fisher's exact test of the window's winners against those before it, ``p_result`` the bootstrap's for a mean
    R of 0 (where the sample suffices); both adjusted over the clusters (Benjamini & Hochberg). ``deviation`` is better or worse
    where the first is significant.
    """

    dimension: Dimension
    group: str
    period: Tally
    window: Sample
    before: Tally
    p_deviation: float | None
    p_result: float | None
    deviation: Literal["better", "worse", ""]
    verdict: Verdict


class Expected(Part):
    """Realised against expected of one measure and playbook, as the execution profile has it at the period's end."""

    measure: str
    playbook: str
    unit: str
    expected: float | None
    realised: float | None
    low: float | None
    high: float | None
    expected_p90: float | None
    p90: float | None
    n: int
    drift: float | None
    cusum_signal: bool
    reason: str
    evidence_id: str


class Coverage(Part):
    """A share of the calibration at the period's end beside what would be right, with its Wilson interval."""

    name: str
    share: float | None
    low: float | None
    high: float | None
    right: float | None
    n: int
    evidence_id: str


class RegimeTime(Part):
    """Sessions of the period in a drawdown regime, and the share of the sessions before it."""

    regime: str
    sessions: int
    share: float
    baseline_share: float | None
    baseline_sessions: int


class SignalRegime(Part):
    """Qualified policy signals of the window by regime at emission (Wilson at 95 %), against all before the window.

    Regimes last, so that signals are no independent draws: the change is shown, and no test claimed.
    """

    regime: str
    n: int
    of: int
    share: float
    low: float
    high: float
    baseline_share: float | None
    baseline_of: int


class Allocation(Part):
    """Share of gross exposure of a template or playbook at the period's end against its baseline."""

    dimension: str
    group: str
    share: float | None
    baseline: float | None
    drift: float | None
    sessions: int
    baseline_sessions: int
    evidence_id: str


class Crowd(Part):
    """Strategies on one side of a symbol or template: on how many sessions of the period, and the largest crowd."""

    kind: str
    group: str
    side: str
    sessions: int
    strategies: int
    members: str
    exposure_pct: float | None
    evidence_id: str


class Failure(Part):
    """A failure mode that recurs at the period's end or did before it."""

    failure_mode: str
    template: str
    regime: str
    side: str
    status: Literal["new", "still_there", "gone"]
    cases: int
    trades: int
    share: float | None
    baseline_share: float | None
    p_adjusted: float | None
    loss_share: float | None
    members: str
    evidence_id: str


class JudgedAlert(Part):
    """An alert whose case was decided in the period: the further loss came within the horizon, or the horizon went by.

    ``worst`` is the largest loss from the close of the session in which it fired, within the horizon and up to the decision.
    """

    alert_id: str
    rule: str
    scope: str
    severity: str
    fired: date
    decided: date
    came: bool
    worst: float
    evidence_id: str


class RuleRecord(Part):
    """How the alerts of a rule turned out: in the period, and all that were decided up to its end (Wilson at 95 %).

    ``chance`` is how often such a loss followed any session whose horizon is over. Horizons overlap, so the interval is at its
    narrowest.
    """

    rule: str
    fired: int
    pending: int
    decided_now: int
    right_now: int
    decided: int
    right: int
    precision: float | None
    low: float | None
    high: float | None
    chance: float | None
    verdict: Literal["better_than_chance", "worse_than_chance", "not_told_apart", "insufficient_sample"]


class Retrospect(Part):
    """How alerts turned out. Alerts of the period itself are mostly pending: those decided are a horizon old.

    ``rules`` are those of which one fired or was decided in the period; ``pending`` counts all that wait, whenever they fired.
    """

    horizon: int
    further_loss: float
    fired: int
    pending: int
    decided_now: int
    right_now: int
    chance: float | None
    chance_sessions: int
    rules: tuple[RuleRecord, ...]
    alerts: tuple[JudgedAlert, ...]
    alerts_total: int


class Recommended(Part):
    """A recommendation that was issued, or ended, in the period, and what became of it up to the period's end."""

    recommendation_id: str
    issued: date
    mode: str
    monitor_only: bool
    adjustments: int
    fate: Literal["standing", "superseded", "withdrawn", "expired"]
    ended: date | None
    evidence_id: str


class Finding(Part):
    """What the period says of something, on how large a sample, and what to do next."""

    about: Subject
    subject: str
    verdict: Verdict
    action: Action
    n: int
    required: int
    sentence: str
    evidence_ids: tuple[str, ...] = ()


class PortfolioReflection(Part):
    """The reflection of one portfolio over one week or month. ``day`` is its first day, ``window`` the sessions that are judged."""

    schema_version: int = SCHEMA_VERSION
    kind: Kind
    portfolio: str
    day: date
    until: date
    mode: str
    base_currency: str
    policy: PolicyReference
    window: int
    window_start: date
    minimum_trades: int
    performance: Performance
    action: Action
    why: str
    findings: tuple[Finding, ...]
    clusters: tuple[Cluster, ...]
    research: tuple[Cluster, ...]
    expected: tuple[Expected, ...]
    coverage: tuple[Coverage, ...]
    drawdown_regimes: tuple[RegimeTime, ...]
    signal_regimes: tuple[SignalRegime, ...]
    allocation: tuple[Allocation, ...]
    crowding: tuple[Crowd, ...]
    failures: tuple[Failure, ...]
    retrospect: Retrospect
    recommendations: tuple[Recommended, ...]

    def canonical(self) -> bytes:
        """Return the content's canonical bytes: floats to 12 significant digits, keys sorted."""
        return canonical_bytes(self.model_dump(mode="python"))

    @property
    def hash(self) -> str:
        """Return the SHA-256 of the canonical bytes."""
        return content_hash(self.canonical())

    @classmethod
    def from_bytes(cls, content: bytes) -> "PortfolioReflection":
        """Return the reflection behind stored bytes."""
        return cls.model_validate_json(content)

    def clusters_of(self, dimension: Dimension) -> tuple[Cluster, ...]:
        """Return the policy clusters of a dimension."""
        return tuple(cluster for cluster in self.clusters if cluster.dimension == dimension)
