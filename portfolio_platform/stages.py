"""Every stage in the order in which they are built: each comes after those that it reads."""

from portfolio_platform.diagnostics.pipeline import STAGES as DIAGNOSTICS
from portfolio_platform.stage import Stage

STAGES: tuple[Stage, ...] = (*DIAGNOSTICS,)
BY_NAME: dict[str, Stage] = {stage.name: stage for stage in STAGES}
