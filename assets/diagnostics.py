"""The diagnostics' assets: eight of them and their sample gates, each computed from the first day that changed.

What belongs here: which table an asset shows and what it rests on. Formulas are in `portfolio_platform.diagnostics`.
"""

from assets.stages import StageAsset, stage_assets
from portfolio_platform.lake import derived

GROUP = "diagnostics"
COMPILED = frozenset({"python", "numba", "deltalake"})

DECLARED = (
    StageAsset(
        derived.PORTFOLIO_HEAT,
        ("heat",),
        ("ledger_snapshots", "portfolio_equity", "playbook_expectations"),
        ("day", "portfolio", "heat", "cap", "use", "active_heat", "imputed_share", "beyond_stop"),
        beside=(derived.POSITION_RISK,),
        charts=("heat",),
        words="Heat at the cap means that nothing new may be opened.",
    ),
    StageAsset(
        derived.CONCENTRATION_METRICS,
        ("crowding", "concentration", "drift"),
        ("ledger_snapshots", "portfolio_equity", "instruments", "portfolio_heat"),
        ("day", "portfolio", "dimension", "basis", "hhi", "effective_n", "top_group", "top_share", "top_exposure_pct"),
        beside=(derived.CONCENTRATION_GROUPS, derived.CONCENTRATION_DRIFT, derived.CROWDING),
        charts=("concentration",),
        words="An effective number near 1 means one bet.",
        kinds=COMPILED,
    ),
    StageAsset(
        derived.CORRELATION_STACKING,
        ("correlation", "one_sided"),
        ("ledger_snapshots", "bars", "instruments", "portfolio_heat", "concentration_metrics"),
        ("day", "portfolio", "stack_ratio", "stack_ratio_low", "stack_ratio_high", "effective_bets", "symbols", "largest_bucket"),
        beside=(derived.CORRELATION_BUCKETS, derived.ONE_SIDED),
        charts=("correlation", "stack"),
        words="A stack ratio of 3 means that three positions are one.",
        kinds=COMPILED,
    ),
    StageAsset(
        derived.DRAWDOWN_STATE,
        ("drawdown",),
        ("portfolio_equity",),
        ("day", "portfolio", "drawdown", "under_water_days", "z_5", "regime", "transition"),
        charts=("underwater",),
        words="The regime sets the size that a new position may have.",
    ),
    StageAsset(
        derived.TURNOVER_METRICS,
        ("turnover",),
        ("fills", "portfolio_equity", "round_trips"),
        ("day", "portfolio", "turnover_20", "turnover_baseline", "trades_20", "trades_tail", "trips_tail", "churn_20"),
        beside=(derived.SYMBOL_CHURN,),
        charts=("turnover",),
        words="A tail of 0.01 means: by chance once in a hundred windows at its own rate.",
    ),
    StageAsset(
        derived.EXECUTION_PROFILE,
        ("execution", "execution_flags"),
        ("fills", "signal_outcomes", "playbook_expectations", "intents"),
        ("day", "portfolio", "measure", "playbook", "expected", "realised", "low", "high", "n", "drift"),
        beside=(derived.EXECUTION_FLAGS,),
        charts=("execution",),
        words="Drift is claimed only where the interval of the realised median does not hold the expectation.",
    ),
    StageAsset(
        derived.IDLE_CAPITAL,
        ("idle",),
        ("portfolio_heat", "signals", "intents", "portfolio_equity", "signal_outcomes"),
        ("day", "portfolio", "idle", "setups", "missed_rate", "feasible_use", "rejection_rate", "rejection_baseline"),
        charts=("idle",),
        words="Idle capital matters where qualified setups go unfilled for capacity.",
    ),
    StageAsset(
        derived.FAILURE_MODES,
        ("failures",),
        ("signal_outcomes", "bars", "round_trips"),
        ("day", "portfolio", "failure_mode", "template", "regime", "side", "cases", "p_adjusted", "loss_share", "recurring"),
        beside=(derived.FAILURE_LABELS,),
        charts=("failures",),
        words="A recurring key is one that its own past does not explain.",
    ),
    StageAsset(
        derived.SAMPLE_SUFFICIENCY,
        ("data_quality", "sufficiency"),
        (
            *("portfolio_heat", "concentration_metrics", "correlation_stacking", "drawdown_state", "turnover_metrics"),
            *("execution_profile", "idle_capital", "failure_modes", "portfolio_equity", "playbook_statistics"),
        ),
        ("day", "portfolio", "metric", "scope", "value", "sample_size", "required", "passed", "reason"),
        beside=(derived.DATA_QUALITY,),
        charts=("gates",),
        words="Where a gate fails, what rests on it is for the monitor only.",
        kinds=frozenset({"python", "deltalake", "greatexpectations"}),
    ),
)

ASSETS = stage_assets(GROUP, DECLARED)
