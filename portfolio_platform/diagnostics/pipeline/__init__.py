"""The diagnostics as stages: each reads the lake, calls its pure module, and says what rows there are.

A stage is one module here. `STAGES` lists them in the order in which they are built.
"""

from portfolio_platform.diagnostics.pipeline import concentration, drawdown
from portfolio_platform.stage import Stage

STAGES: tuple[Stage, ...] = (concentration.STAGE, drawdown.STAGE)
