"""The diagnostics as stages: each reads the lake, calls its pure module, and says what rows there are.

A stage is one module here. `STAGES` lists them in the order in which they are built.
"""

from portfolio_platform.diagnostics.pipeline import (
    concentration,
    correlation,
    crowding,
    data_quality,
    drawdown,
    drift,
    execution,
    execution_flags,
    failures,
    heat,
    idle,
    one_sided,
    sufficiency,
    turnover,
)
from portfolio_platform.stage import Stage

STAGES: tuple[Stage, ...] = (
    heat.STAGE,
    crowding.STAGE,
    concentration.STAGE,
    drift.STAGE,
    correlation.STAGE,
    one_sided.STAGE,
    drawdown.STAGE,
    turnover.STAGE,
    execution.STAGE,
    execution_flags.STAGE,
    idle.STAGE,
    failures.STAGE,
    data_quality.STAGE,
    sufficiency.STAGE,
)
