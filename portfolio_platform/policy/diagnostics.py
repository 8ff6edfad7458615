"""The policy of the diagnostics: windows, caps, minimum samples. Fractions of equity and sessions where nothing else is said."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]
Confidence = Annotated[float, Field(gt=0.5, lt=1.0)]


class Section(BaseModel):
    """A part of the policy: immutable, and a key that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConcentrationPolicy(Section):
    """D2: what the report names, and the windows of the drift of templates and playbooks."""

    top: Count = Field(3, description="groups of a dimension that the report names")
    drift_window: Count = 20
    drift_baseline: Count = 250


class HeatPolicy(Section):
    """D1: the cap on heat, and how a position without a usable stop is imputed."""

    cap: Positive = Field(0.06, description="cap on active and reserved risk, fraction of equity")
    sigmas: Positive = Field(3.0, description="standard deviations over the expected hold that an imputed risk assumes")
    sigma_window: Count = 60
    sigma_minimum: Count = 20
    default_hold_days: Positive = Field(5.0, description="expected hold where no playbook says one")
    exit_cost_bps: Annotated[float, Field(ge=0.0)] = Field(5.0, description="cost of leaving a position")


class CorrelationPolicy(Section):
    """D3: window, buckets, bootstrap."""

    window: Count = 60
    minimum: Count = 30
    join: Fraction = Field(0.70, description="correlation at which symbols share a bucket")
    leave: Fraction = Field(0.60, description="correlation below which a symbol leaves its bucket")
    bootstrap: Count = Field(400, description="resamples behind the interval of the stack ratio")
    block: Count = Field(5, description="sessions in a block of the bootstrap")
    seed: int = 20061231
    absorption_share: Fraction = 0.2
    turbulence_window: Count = 250
    turbulence_minimum: Count = 120
    one_sided_window: Count = Field(10, description="sessions in which symbols have to stay on one side")


class TurnoverPolicy(Section):
    """D5: windows."""

    window: Count = 20
    baseline: Count = 250


class DataQualityPolicy(Section):
    """When a source counts as one that speaks each session, and whose bars a portfolio waits for."""

    cadence_window: Count = Field(60, description="sessions up to a source's newest row over which its cadence is judged")
    cadence_minimum: Count = Field(20, description="sessions since its first row below which it is not judged")
    cadence_share: Fraction = Field(0.9, description="share of them that have rows from which on a source has a cadence")
    traded_window: Count = Field(20, description="sessions after a trade in which a symbol's bars are waited for")


class ExecutionPolicy(Section):
    """D6: windows, minimum samples, hard limits."""

    slippage_window: Count = Field(20, description="entry fills")
    trip_window: Count = Field(30, description="round trips")
    cusum_k: Positive = 0.5
    cusum_h: Positive = 5.0
    slippage_limit_bps: Positive = 50.0
    fill_limit: Fraction = 0.9
    fill_minutes: Positive = 15.0
    median_minimum: Count = 6
    p90_minimum: Count = 36


class IdlePolicy(Section):
    """D7: windows of idle capital and of rejections, and the cash that is meant to lie idle."""

    window: Count = 20
    trade_window: Count = Field(60, description="sessions whose trades say how long, and at what risk, a trade is held")
    cash_buffer: Fraction = Field(0.05, description="cash that is kept on purpose, fraction of equity")
    exposure_window: Count = Field(10, description="sessions whose mean gross exposure says that capital lies idle")
    rejection_window: Count = Field(30, description="sessions whose rejections are judged")
    rejection_baseline: Count = Field(120, description="sessions before them that say what is usual")
    capacity_reasons: tuple[str, ...] = Field(
        (
            "rejected_heat",
            "rejected_symbol",
            "rejected_cohort",
            "rejected_sector",
            "rejected_template",
            "rejected_playbook",
            "rejected_correlation",
            "rejected_position_count",
            "rejected_new_positions",
            "insufficient_capital",
        ),
        description="reasons for which a setup counts as missed for capacity; a trailing part after the name is allowed",
    )


class FailurePolicy(Section):
    """D8: window, false discovery rate, and what makes a failure mode recurring."""

    window: Count = 60
    false_discovery_rate: Fraction = 0.10
    minimum_cases: Count = 3
    minimum_symbols: Count = 2
    loss_share: Fraction = 0.25
    bars: Count = Field(20, description="bars before the signal that say what is usual: range, mean, volume")
    breakout_bars: Count = Field(10, description="bars whose extreme a breakout has to pass")
    reversion_bars: Count = Field(5, description="bars within which a false breakout is back inside")
    little_r: Positive = Field(0.5, description="initial risks in favour that a trade which failed at once never reached")
    extension_atr: Positive = Field(2.0, description="ATR beyond the mean close from which on a move is extended")
    low_volume: Positive = Field(0.8, description="share of the median volume below which a breakout has none behind it")
    shock_atr: Positive = Field(2.0, description="true range of a shock, in ATR")
    breadth_atr: Positive = Field(1.5, description="true range in ATR that counts a symbol as shocked too")
    breadth: Fraction = Field(0.5, description="share of symbols that makes a shock one of the whole market")
    breadth_symbols: Count = Field(3, description="symbols with a bar on the day that such a share needs")
    conflict_bars: Count = Field(3, description="bars before the signal in which a signal the other way is a conflict")
    chop_bars: Count = Field(10, description="bars whose efficiency ratio says whether the market went anywhere")
    chop: Fraction = Field(0.25, description="efficiency ratio up to which it did not")
    late_r: Positive = Field(0.25, description="planned risks that the entry was worse than the signal")
    poor_reward: Positive = Field(1.0, description="distance to the target over distance to the stop below which the entry was poor")
    tight_atr: Positive = Field(1.0, description="ATR below which a stop lies in the noise")


class GatePolicy(Section):
    """The sample gates. ``minimum`` is by metric; a metric that is not named needs one observation."""

    coverage: Fraction = 0.95
    minimum: dict[str, int] = Field(
        default_factory=lambda: {
            "template_drift": 120,
            "template_share": 120,
            "stack_ratio": 30,
            "correlation_score": 30,
            "effective_bets": 30,
            "bucket_exposure": 30,
            "drawdown_z": 30,
            "trades_tail": 20,
            "trips_tail": 20,
            "churn": 6,
            "slippage_drift": 12,
            "slippage_cusum": 12,
            "holding_time_drift": 12,
            "mae_drift": 12,
            "mfe_drift": 12,
            "idle": 5,
            "feasible_use": 5,
            "missed_rate": 5,
            "missed_low": 5,
            "failure_recurrence": 3,
            "failure_recurring": 3,
            "rejection_excess": 6,
        }
    )
    capital_signals: Count = 40
    capital_slippage_bps: Positive = 25.0
    capital_drawdown: Fraction = 0.10
    skill_psr: Fraction = 0.95
    skill_sharpe: float = Field(0.0, description="Sharpe ratio of a session that skill has to exceed")
    tightening_confidence: Confidence = Field(0.90, description="one-sided, of each end of an interval that what tightens rests on")
    loosening_confidence: Confidence = Field(0.95, description="the same for what loosens, and that of the minimum track record")
