"""Building every derived table, in order, without Dagster: the same pipelines as its assets."""

from collections.abc import Callable
from datetime import date

from portfolio_platform.home import Home
from portfolio_platform.lake.built import Built
from portfolio_platform.stage import build_stage


def build_all(
    home: Home, *, until: date | None = None, restate_from: date | None = None, report: Callable[[str], None] = lambda text: None
) -> dict[str, Built]:
    """Bring the ledger and every diagnostic up to date, under one writer lock; return what each build did."""
    from portfolio_platform.ledger import pipeline as ledger
    from portfolio_platform.stages import STAGES

    with home.lake.writing():
        done = {"ledger": ledger.build(home, until=until, restate_from=restate_from, report=report)}
        for stage in STAGES:
            report(stage.name.replace("_", " "))
            done[stage.name] = build_stage(home, stage, restate_from=restate_from)
    return done


def is_behind(home: Home) -> bool:
    """Say whether any table would be built: newer facts, another day, another policy or version of the code."""
    from portfolio_platform.ledger import pipeline as ledger
    from portfolio_platform.policy.assigned import policies_in_time
    from portfolio_platform.stage import plan_stage
    from portfolio_platform.stages import STAGES

    if ledger.plan(home, home.timeline().newest.policy, home.today, None)[0] is not None:
        return True
    policies = policies_in_time(home)
    return any(plan_stage(home, stage, policies) is not None for stage in STAGES)
