"""The monitor's stages, in the order in which they are built."""

from portfolio_platform.monitor.pipeline import alerts, recommendations, staleness
from portfolio_platform.stage import Stage

STAGES: tuple[Stage, ...] = (alerts.STAGE, recommendations.STAGE, staleness.STAGE)
