"""The portfolio document after an execution: weights as they are now, and an ACTION PLAN of what is left. Step 0 reads it again. Pure."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from portfolio_platform.control.money import major
from portfolio_platform.orchestrator.amounts import EXACT, cost_of, money, part, percent, plain
from portfolio_platform.orchestrator.directive import Directive, Kind
from portfolio_platform.orchestrator.directives import render_directives
from portfolio_platform.orchestrator.executed import Executed
from portfolio_platform.orchestrator.model import Snapshot
from portfolio_platform.orchestrator.planned import CASH, SectorTarget
from portfolio_platform.orchestrator.profile import PER_PERCENT, Profile, ppm

INTRODUCTION = "Suggested rebalancing:\n\n"


def left_to_do(executed: Executed, snapshot: Snapshot, profile: Profile) -> tuple[Directive, ...]:
    """Return what of a plan is left, as directives on the portfolio as it is now.

    Of a rebalancing: every sector that is further from its target than the profile's tolerance, and the cash where a sector is left.
    Of other plans: the money of the trades that are not done, by sector.
    """
    if executed.plan.targets:
        return _targets_left(executed.plan.targets, snapshot, profile)
    return _trades_left(executed, snapshot)


def _targets_left(targets: Sequence[SectorTarget], snapshot: Snapshot, profile: Profile) -> tuple[Directive, ...]:
    equity, tolerance = snapshot.equity_minor, ppm(profile.directives.weight_tolerance_points)
    found = []
    for target in targets:
        amount = snapshot.cash_minor if target.sector == CASH else snapshot.sectors_minor.get(target.sector, 0)
        now = max(0, part(amount, equity))
        if target.sector == CASH or target.action == "HOLD" or abs(now - target.target_ppm) <= tolerance:
            continue
        kind: Kind = "reduce" if now > target.target_ppm else "add" if not amount else "increase"
        found.append(Directive(kind=kind, sector=target.sector, current_pct=_percentage(now), target_pct=_percentage(target.target_ppm)))
    cash = next((target for target in targets if target.sector == CASH), None)
    if found and cash is not None:
        found.append(Directive(kind="cash", target_pct=_percentage(cash.target_ppm)))
    return tuple(found)


def _trades_left(executed: Executed, snapshot: Snapshot) -> tuple[Directive, ...]:
    open_minor: dict[str, int] = defaultdict(int)
    for one in executed.trades:
        worth = cost_of(one.left, one.trade.price, snapshot.digits) if one.left else 0
        open_minor[one.trade.sector] += worth if one.trade.side == "buy" else -worth
    found = []
    for sector, amount in sorted(open_minor.items()):
        if not amount:
            continue
        kind: Kind = "reduce" if amount < 0 else "increase" if snapshot.sectors_minor.get(sector) else "add"
        change = plain(major(abs(amount), snapshot.digits))
        found.append(Directive(kind=kind, sector=sector, change_amount=change, change_currency=snapshot.currency))
    return tuple(found)


def portfolio_document(snapshot: Snapshot, left: Sequence[Directive], executed: Executed, at: datetime, number: int) -> str:
    """Return the document: date and value, the weights now, what was executed, and the action plan of what is left.

    Every line of its action plan is a directive, and nothing outside it is read as one.
    """
    equity, digits = snapshot.equity_minor, snapshot.digits
    amounts = sorted(snapshot.sectors_minor.items(), key=lambda pair: (-pair[1], pair[0]))
    rows = [(name, amount) for name, amount in amounts if amount] + [(CASH, snapshot.cash_minor)]
    done = sum(1 for one in executed.trades if one.status == "filled")
    lines = [
        f"# Portfolio {_cell(snapshot.portfolio)}",
        "",
        f"As of {at:%Y-%m-%d %H:%M} UTC, revision {number}. Value {snapshot.currency} {money(equity, digits)}.",
        f"After execution {_cell(executed.execution_id)}: {done} of {len(executed.trades)} trades filled.",
        "",
        "## Allocation",
        "",
        f"| Sector | Weight | Value ({snapshot.currency}) |",
        "| --- | ---: | ---: |",
        *(f"| {_cell(name)} | {_shown(part(amount, equity))}% | {money(amount, digits)} |" for name, amount in rows),
        "",
        "## Next",
        "",
        "What is left of the plan:" if left else "Nothing is left of the plan.",
        "",
    ]
    plan = render_directives(left).replace(INTRODUCTION, "") if left else "## ACTION PLAN\n"
    return "\n".join(lines) + "\n" + plan


def _percentage(parts: int) -> Decimal:
    """Return parts per million as a percentage of two decimals, so that people can read it; one below that keeps its four."""
    exact = EXACT.divide(Decimal(parts), Decimal(PER_PERCENT))
    rounded = round(exact, 2)
    return plain(rounded if rounded else exact)


def _shown(parts: int) -> str:
    return f"{_percentage(parts):f}" if parts >= 0 else percent(parts)


def _cell(text: str) -> str:
    """Return a name as the document may show it: on one line, and as no markup."""
    spaced = " ".join(text.split())
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>#|!~&" else char for char in spaced if char.isprintable())
