"""Step 2: the portfolio after all trades, and the six constraints with their numbers, as planned and in the worst case."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property

from portfolio_platform.control.model import MILLION
from portfolio_platform.orchestrator.amounts import EXACT, below, exceeds, money, part, percent
from portfolio_platform.orchestrator.model import Restriction, Snapshot
from portfolio_platform.orchestrator.planned import CASH, CashStep, Check, DryRun, Observed, PositionRow, SectorRow, SectorTarget, Trade
from portfolio_platform.orchestrator.profile import Profile, ppm

SHOWN = 5
"""How many observations of a constraint are kept when none violates it; those that do are all kept."""


@dataclass(frozen=True)
class After:
    """A portfolio after trades: what is held, what it is worth at the prices that are planned with, and the cash."""

    snapshot: Snapshot
    quantities: dict[tuple[str, str], Decimal]
    cash: dict[str, int]

    @cached_property
    def positions(self) -> dict[str, int]:
        """Return amounts by ticker."""
        return self.snapshot.valued(self.quantities)

    @cached_property
    def sectors(self) -> dict[str, int]:
        """Return amounts by sector."""
        return self.snapshot.by_sector(self.positions)

    @cached_property
    def cash_minor(self) -> int:
        """Return the cash of all accounts."""
        return sum(self.cash.values())

    @cached_property
    def equity_minor(self) -> int:
        """Return cash and holdings."""
        return self.cash_minor + sum(self.positions.values())


def after(snapshot: Snapshot, trades: Iterable[Trade], *, worst: bool = False) -> After:
    """Return the portfolio after trades; in the worst case the cash is that of slipped prices and the highest fees."""
    quantities = dict(snapshot.quantities)
    cash = {account.account: account.cash_minor for account in snapshot.accounts}
    for trade in trades:
        key = trade.account, trade.ticker
        signed = trade.quantity if trade.side == "buy" else -trade.quantity
        quantities[key] = EXACT.add(quantities.get(key, Decimal(0)), signed)
        cash[trade.account] += trade.worst_cash_minor if worst else trade.cash_minor
    return After(snapshot, {key: quantity for key, quantity in quantities.items() if quantity}, cash)


def dry_run(
    snapshot: Snapshot,
    trades: Sequence[Trade],
    path: Sequence[CashStep],
    targets: Sequence[SectorTarget],
    barred: Mapping[str, Restriction],
    profile: Profile,
) -> DryRun:
    """Return the portfolio before and after a sequence of trades, and its six constraints.

    Args:
        snapshot: the portfolio before.
        trades: in the order of execution.
        path: their cash path, from `sequence.cash_path`.
        targets: the targets, shown beside the sectors.
        barred: the restrictions in force, by ticker.
        profile: the limits.
    """
    planned, worst = after(snapshot, trades), after(snapshot, trades, worst=True)
    fees = sum(trade.fee_minor for trade in trades)
    return DryRun(
        equity_before_minor=snapshot.equity_minor,
        equity_after_minor=planned.equity_minor,
        cash_before_minor=snapshot.cash_minor,
        cash_after_minor=planned.cash_minor,
        worst_cash_after_minor=worst.cash_minor,
        worst_equity_after_minor=worst.equity_minor,
        lowest_cash_minor=min((step.cash_after_minor for step in path), default=snapshot.cash_minor),
        sells_minor=sum(trade.amount_minor for trade in trades if trade.side == "sell"),
        buys_minor=sum(trade.amount_minor for trade in trades if trade.side == "buy"),
        fees_minor=fees,
        rounding_minor=planned.equity_minor - snapshot.equity_minor + fees,
        sectors=_sector_rows(snapshot, planned, targets, profile),
        positions=_position_rows(snapshot, planned, trades),
        checks=checks(snapshot, planned, worst, trades, path, barred, profile),
    )


def _sector_rows(snapshot: Snapshot, planned: After, targets: Sequence[SectorTarget], profile: Profile) -> tuple[SectorRow, ...]:
    aimed = {target.sector: target.target_ppm for target in targets}
    before_all, after_all = {**snapshot.sectors_minor, CASH: snapshot.cash_minor}, {**planned.sectors, CASH: planned.cash_minor}
    names = sorted({*before_all, *after_all, *aimed} - {CASH}, key=lambda name: (-before_all.get(name, 0), name))
    return tuple(
        SectorRow(
            sector=name,
            before_minor=before_all.get(name, 0),
            before_ppm=part(before_all.get(name, 0), snapshot.equity_minor),
            after_minor=after_all.get(name, 0),
            after_ppm=part(after_all.get(name, 0), planned.equity_minor),
            target_ppm=aimed.get(name),
            cap_ppm=None if name == CASH else ppm(profile.limits.cap_of(name)),
        )
        for name in (*names, CASH)
    )


def _position_rows(snapshot: Snapshot, planned: After, trades: Sequence[Trade]) -> tuple[PositionRow, ...]:
    return tuple(
        PositionRow(
            ticker=ticker,
            sector=snapshot.by_ticker[ticker].sector,
            before_minor=snapshot.positions_minor.get(ticker, 0),
            before_ppm=part(snapshot.positions_minor.get(ticker, 0), snapshot.equity_minor),
            after_minor=planned.positions.get(ticker, 0),
            after_ppm=part(planned.positions.get(ticker, 0), planned.equity_minor),
        )
        for ticker in sorted({trade.ticker for trade in trades})
    )


def checks(
    snapshot: Snapshot,
    planned: After,
    worst: After,
    trades: Sequence[Trade],
    path: Sequence[CashStep],
    barred: Mapping[str, Restriction],
    profile: Profile,
) -> tuple[Check, ...]:
    """Return the six constraints of v8.1.1 STEP 2B, in its order."""
    limits, floor = profile.limits, ppm(profile.buffer.floor_pct)
    floor_text, healthy_text = percent(floor), percent(ppm(profile.buffer.healthy_pct))
    position_cap = ppm(limits.position_pct)
    points = ppm(limits.sector_increase_points)
    return (
        _check(
            1,
            "sector_cap",
            f"each sector at most {percent(ppm(limits.sector_cap_pct))} %",
            _shares(planned.sectors, planned.equity_minor, lambda name: ppm(limits.cap_of(name))),
            _shares(worst.sectors, worst.equity_minor, lambda name: ppm(limits.cap_of(name))),
        ),
        _check(
            2,
            "cash_buffer",
            f"cash at least {floor_text} % at the end; healthy from {healthy_text} %",
            [_cash(planned.cash_minor, planned.equity_minor, floor, snapshot.digits)],
            [_cash(worst.cash_minor, worst.equity_minor, floor, snapshot.digits)],
        ),
        _check(
            3,
            "position_size",
            f"each position at most {percent(position_cap)} %",
            _shares(planned.positions, planned.equity_minor, lambda _: position_cap),
            _shares(worst.positions, worst.equity_minor, lambda _: position_cap),
        ),
        _check(
            4,
            "sector_increase",
            f"no sector up by more than {percent(points)} points",
            _increases(snapshot, planned, points),
            _increases(snapshot, worst, points),
        ),
        _check(
            5,
            "buffer_throughout",
            f"after every trade no account below 0, and cash at least {floor_text} % or higher than before the trade",
            sorted((_step(step, snapshot, floor, worst=False) for step in path), key=_by_value),
            sorted((_step(step, snapshot, floor, worst=True) for step in path), key=_by_value),
        ),
        _check(6, "restriction_list", "no trade in a restricted name", _restricted(trades, barred), _restricted(trades, barred)),
    )


def _check(number: int, name: str, limit: str, planned: Sequence[Observed], worst: Sequence[Observed]) -> Check:
    violated = tuple(observed for observed in planned if not observed.passed)
    return Check(
        number=number,
        name=name,
        limit=limit,
        passed=not violated,
        worst_passed=all(observed.passed for observed in worst),
        worst_observed=(*violated, *(observed for observed in planned if observed.passed))[: max(SHOWN, len(violated))],
        worst_case=tuple(observed for observed in worst if not observed.passed),
    )


def _shares(amounts: Mapping[str, int], whole: int, limit_of: Callable[[str], int]) -> list[Observed]:
    found = []
    for name, amount in sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0])):
        limit = limit_of(name)
        share = part(amount, whole)
        text = f"{name} {percent(share)} % of at most {percent(limit)} %"
        found.append(Observed(subject=name, value_ppm=share, limit_ppm=limit, passed=not exceeds(amount, limit, whole), text=text))
    return found


def _cash(cash: int, whole: int, floor: int, digits: int) -> Observed:
    share = part(cash, whole)
    text = f"cash {money(cash, digits)}, {percent(share)} % of at least {percent(floor)} %"
    return Observed(subject=CASH, value_ppm=share, limit_ppm=floor, passed=cash >= 0 and not below(cash, floor, whole), text=text)


def _increases(snapshot: Snapshot, planned: After, points: int) -> list[Observed]:
    found = []
    first, last = snapshot.equity_minor, planned.equity_minor
    for name, amount in planned.sectors.items():
        was = snapshot.sectors_minor.get(name, 0)
        rise = part(amount, last) - part(was, first)
        if rise > 0:
            passed = (amount * first - was * last) * MILLION <= points * first * last
            text = f"{name} up by {percent(rise)} points of at most {percent(points)}"
            found.append(Observed(subject=name, value_ppm=rise, limit_ppm=points, passed=passed, text=text))
    return sorted(found, key=lambda observed: (-(observed.value_ppm or 0), observed.subject))


def _step(step: CashStep, snapshot: Snapshot, floor: int, *, worst: bool) -> Observed:
    cash, account = (
        (step.worst_cash_after_minor, step.worst_account_after_minor) if worst else (step.cash_after_minor, step.account_after_minor)
    )
    share = part(cash, snapshot.equity_minor)
    text = f"after {step.trade_id}: cash {money(cash, snapshot.digits)} ({percent(share)} %), account {money(account, snapshot.digits)}"
    passed = step.worst_holds if worst else step.holds
    return Observed(subject=step.trade_id, value_ppm=share, limit_ppm=floor, passed=passed, text=text)


def _by_value(observed: Observed) -> int:
    return observed.value_ppm or 0


def _restricted(trades: Sequence[Trade], barred: Mapping[str, Restriction]) -> list[Observed]:
    return [
        Observed(
            subject=trade.ticker,
            value_ppm=None,
            limit_ppm=None,
            passed=False,
            text=f"{trade.trade_id} {trade.side}s {trade.ticker}, which is restricted: {barred[trade.ticker].reason}",
        )
        for trade in trades
        if trade.ticker in barred
    ]
