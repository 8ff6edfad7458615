"""Which plans are being executed, and how far each is, as the log has it."""

from collections.abc import Sequence

from portfolio_platform.desk import log
from portfolio_platform.desk.execution_events import ExecutionState, approved_plans, state_of
from portfolio_platform.desk.model import PlanState
from portfolio_platform.home import Home


def executions(home: Home, portfolio: str | None = None) -> list[tuple[str, PlanState]]:
    """Return the plans that were approved, with their portfolios, the oldest first."""
    with home.book.reading() as connection:
        names: Sequence[str] = [portfolio] if portfolio else log.portfolios(connection)
        return [(name, plan) for name in names for plan in approved_plans(connection, name)]


def read_state(home: Home, execution_id: str) -> ExecutionState:
    """Return the execution of an approved plan as the log has it. Raises `WrongUse`."""
    with home.book.reading() as connection:
        return state_of(connection, execution_id)
