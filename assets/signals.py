"""The signals' assets: what strategies saw, asked for and expected, and what became of it."""

from assets.stages import StageAsset, stage_assets
from portfolio_platform.lake import derived

GROUP = "signals"

DECLARED = (
    StageAsset(
        derived.SIGNAL_OUTCOMES,
        ("signals", "calibration"),
        ("signals", "intents", "bars", "fills", "round_trips", "playbook_expectations"),
        ("day", "portfolio", "symbol", "template", "regime", "outcome", "r_achieved", "mfe_r", "mae_r", "slippage_bps"),
        beside=(derived.TRIP_PROFILES, derived.CALIBRATION),
        charts=("calibration",),
        words="A bar that holds both stop and target counts as a stop, and says so.",
        kinds=frozenset({"python", "numba", "deltalake"}),
    ),
    StageAsset(
        derived.PLAYBOOK_STATISTICS,
        (),
        ("signal_outcomes",),
        ("day", "portfolio", "template", "playbook", "regime", "n", "win_rate", "average_r", "hold_bars_p50"),
        words="Research is kept apart from policy; engine versions are never mixed but in the row 'all'.",
    ),
)

ASSETS = stage_assets(GROUP, DECLARED)
