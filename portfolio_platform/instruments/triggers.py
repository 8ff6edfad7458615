"""Whether the conditions of a plan hold on the closed bars of its timeframes."""

from portfolio_platform.broker.model import Bar
from portfolio_platform.instruments.bars import Window
from portfolio_platform.instruments.features import value
from portfolio_platform.instruments.model import Condition, Direction, InstrumentConfig, Plan, Trigger


def bars_of(windows: tuple[Window, ...], timeframe: str) -> tuple[Bar, ...]:
    """Return the closed bars of a timeframe; none where the workflow does not have it."""
    for window in windows:
        if window.timeframe == timeframe:
            return window.bars
    return ()


def met(condition: Condition, found: int) -> bool:
    """Say whether a feature's value is as a condition wants it."""
    relation = condition.relation
    if relation == "below":
        return found < condition.value
    if relation == "above":
        return found > condition.value
    return found <= condition.value if relation == "at_most" else found >= condition.value


def holds(trigger: Trigger, windows: tuple[Window, ...]) -> bool:
    """Say whether all conditions of a trigger hold; a feature that has no value yet holds against nothing."""
    bars = bars_of(windows, trigger.timeframe)
    for condition in trigger.conditions:
        found = value(condition.feature, bars)
        if found is None or not met(condition, found):
            return False
    return bool(trigger.conditions)


def fired(
    stage: tuple[tuple[Direction, Trigger], ...], windows: tuple[Window, ...], closed: tuple[str, ...], direction: Direction | None = None
) -> tuple[Direction, Trigger] | None:
    """Return the first trigger of a stage that holds, of a direction where one is given, among those whose timeframe just closed."""
    for side, trigger in stage:
        if trigger.timeframe in closed and (direction is None or direction == side) and holds(trigger, windows):
            return side, trigger
    return None


def boundary(plan: Plan | None, config: InstrumentConfig, closed: tuple[str, ...]) -> bool:
    """Say whether a policy boundary is here: a close of the thesis's timeframe; without a thesis, of the timeframe above the candles'."""
    if plan is not None and plan.thesis:
        for _, trigger in plan.thesis:  # noqa: SIM110 - at every candle, and a generator costs more
            if trigger.timeframe in closed:
                return True
        return False
    return config.timeframes[min(1, len(config.timeframes) - 1)] in closed
