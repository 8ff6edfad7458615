"""Another plan provider, for tests: one playbook for everything, whatever the screener says."""

from portfolio_platform.instruments.model import InstrumentConfig, PlanProvided, RequestPlan
from portfolio_platform.instruments.planning import plan_of
from portfolio_platform.instruments.playbook import Playbook


class FixedPlans:
    """Plans of one playbook, under the template that was asked for."""

    def __init__(self, playbook: Playbook) -> None:
        self.playbook = playbook

    def provide(self, request: RequestPlan, config: InstrumentConfig) -> PlanProvided:
        """Return the playbook's plan for any symbol and template."""
        plan = plan_of(self.playbook, config.symbol, request.day)
        return PlanProvided(request.at, request.request_id, plan._replace(template=request.template))
