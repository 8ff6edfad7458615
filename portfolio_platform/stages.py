"""Every stage in the order in which they are built: each comes after those that it reads."""

from portfolio_platform.control.pipeline.limits import STAGE as LIMITS
from portfolio_platform.diagnostics.pipeline import STAGES as DIAGNOSTICS
from portfolio_platform.ledger.attribution_stage import STAGE as ATTRIBUTION
from portfolio_platform.monitor.pipeline.stages import STAGES as MONITOR
from portfolio_platform.signals.pipeline import STAGES as SIGNALS
from portfolio_platform.stage import Stage

STAGES: tuple[Stage, ...] = (ATTRIBUTION, *SIGNALS, *DIAGNOSTICS, *MONITOR, LIMITS)
BY_NAME: dict[str, Stage] = {stage.name: stage for stage in STAGES}
