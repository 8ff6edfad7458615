"""A counterfactual, or a calibration, as one self-contained page and for a terminal. No script, nothing loaded, all text escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portfolio_platform.control.counterfactual.calibrate import Calibration
from portfolio_platform.control.counterfactual.model import Counterfactual
from portfolio_platform.render import counterfactual_blocks as blocks
from portfolio_platform.render import counterfactual_charts as charts
from portfolio_platform.render import formats
from portfolio_platform.render.blocks import Grid
from portfolio_platform.render.reflections import rich_grid
from portfolio_platform.render.text import one_line
