"""Step 4C: the execution guide as phases of steps and a check list; what a page or a terminal shows of it is not decided here."""

from decimal import Decimal
from typing import Literal

from portfolio_platform.orchestrator.amounts import money, percent
from portfolio_platform.orchestrator.model import Typed
from portfolio_platform.orchestrator.planned import Plan
from portfolio_platform.orchestrator.profile import Profile, ppm


class GuideStep(Typed):
    """One order to give; ``expected_minor`` is what it brings or costs, without the fee."""

    sequence: int
    trade_id: str
    side: Literal["sell", "buy"]
    ticker: str
    account: str
    quantity: Decimal
    limit_price: Decimal
    expected_minor: int
    fee_minor: int
    cash_after_minor: int
    account_after_minor: int
    waits_for: tuple[str, ...]
    lots: tuple[str, ...]


class Phase(Typed):
    """Steps that belong together, with what they bring or cost."""

    number: int
    title: str
    steps: tuple[GuideStep, ...]
    total_minor: int


class Guide(Typed):
    """The guide of a plan."""

    plan_hash: str
    phases: tuple[Phase, ...]
    before: tuple[str, ...]
    afterwards: tuple[str, ...]


def guide_of(plan: Plan, profile: Profile) -> Guide:
    """Return the guide of a plan.

    With sells first there are two phases. In approval order a phase ends where the side changes, so that nothing is resorted.
    """
    phases: list[Phase] = []
    steps: list[GuideStep] = []
    for place, (trade, step) in enumerate(zip(plan.trades, plan.path, strict=True)):
        steps.append(
            GuideStep(
                sequence=step.sequence,
                trade_id=trade.trade_id,
                side=trade.side,
                ticker=trade.ticker,
                account=trade.account,
                quantity=trade.quantity,
                limit_price=trade.limit_price,
                expected_minor=trade.amount_minor,
                fee_minor=trade.fee_minor,
                cash_after_minor=step.cash_after_minor,
                account_after_minor=step.account_after_minor,
                waits_for=step.waits_for,
                lots=tuple(f"{lot.quantity:f} of lot {lot.lot_id}" for lot in trade.lots),
            )
        )
        if place + 1 == len(plan.trades) or plan.trades[place + 1].side != trade.side:
            title = "SELL orders" if trade.side == "sell" else "BUY orders"
            total = sum(one.expected_minor for one in steps)
            phases.append(Phase(number=len(phases) + 1, title=title, steps=tuple(steps), total_minor=total))
            steps = []
    return Guide(plan_hash=plan.hash, phases=tuple(phases), before=_before(plan), afterwards=_afterwards(plan, profile))


def _before(plan: Plan) -> tuple[str, ...]:
    return (
        f"The plan is approved, and not older than {plan.expires_at:%Y-%m-%d %H:%M} UTC.",
        f"Cash is {money(plan.dry_run.cash_before_minor, plan.digits)} {plan.currency}, and no other order is open.",
        *(f"Condition: {condition}" for condition in plan.conditions),
    )


def _afterwards(plan: Plan, profile: Profile) -> tuple[str, ...]:
    run = plan.dry_run
    sectors = [row for row in run.sectors if row.cap_ppm is not None and row.before_minor != row.after_minor]
    return (
        "Every order is filled, or what is left of it is cancelled and reported.",
        f"Cash is about {money(run.cash_after_minor, plan.digits)} {plan.currency}, and at least "
        f"{percent(ppm(profile.buffer.floor_pct))} % of the portfolio.",
        *(f"{row.sector} is about {percent(row.after_ppm)} %, and at most {percent(row.cap_ppm or 0)} %." for row in sectors),
        f"No position is above {percent(ppm(profile.limits.position_pct))} %.",
        f"A fill more than {profile.execution.slippage_bps:f} basis points from its price, or below "
        f"{profile.execution.partial_fill_pct:f} % of its order, is reported as such; "
        f"after {profile.execution.no_fill_minutes} minutes without a fill {profile.escalation.routing} is asked.",
        "Stops and profit targets are placed and reported.",
    )
