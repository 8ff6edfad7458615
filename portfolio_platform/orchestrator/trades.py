"""Step 1: trades from targets. Sells within a sector by unrealised gain, buys by the sector's ranked picks.

Rounding: a sell is rounded up to a whole step where the sector still ends nearer to its target, else down; a buy is
rounded down. What is over stays in cash, and each trade says how much that is. A sector that cannot reach its target says why.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction

from portfolio_platform.orchestrator.amounts import money, of_whole, percent, proceeds_of, shares_for
from portfolio_platform.orchestrator.buying import Purse, buy, usable_picks
from portfolio_platform.orchestrator.model import Account, Finding, Holding, RestrictionList, SectorRankings, Snapshot
from portfolio_platform.orchestrator.planned import CASH, SectorTarget, Trade
from portfolio_platform.orchestrator.pricing import gain_of, sell_trade, step_of
from portfolio_platform.orchestrator.profile import Profile, ppm


@dataclass(frozen=True)
class Generated:
    """The trades of a directive set, sells before buys and otherwise as the directives come, and what has to be said of them."""

    trades: tuple[Trade, ...]
    findings: tuple[Finding, ...]


@dataclass
class _Raised:
    """What selling in one sector has come to so far."""

    trades: list[Trade] = field(default_factory=list)
    amount: int = 0
    skipped: list[str] = field(default_factory=list)


def generate_trades(
    snapshot: Snapshot,
    targets: Sequence[SectorTarget],
    rankings: SectorRankings | None,
    restrictions: RestrictionList,
    profile: Profile,
    day: date,
) -> Generated:
    """Return the trades that take a portfolio towards its targets.

    Args:
        snapshot: the portfolio and its prices.
        targets: one for each sector, as `directives.resolve` makes them; cash among them where a target for it is stated.
        rankings: whose picks are bought; without them nothing is.
        restrictions: what must not be touched.
        profile: shares of picks, smallest ticket, fees, limits.
        day: the day whose restrictions are in force.
    """
    barred = frozenset(restrictions.in_force(day))
    findings: list[Finding] = []
    sells: list[Trade] = []
    margin = _margin(snapshot, targets, profile)
    held = _held(snapshot)
    for target in targets:
        if target.action == "SELL" and target.sector != CASH:
            sells += _sell_sector(snapshot, _under_cap(target, snapshot, profile, margin), held, barred, profile, findings)
    wanted = [_under_cap(target, snapshot, profile, margin) for target in targets if target.action == "BUY" and target.sector != CASH]
    purse = Purse.after(snapshot, sells, _reserve(snapshot, targets, profile))
    buys: list[Trade] = []
    for target, budget in _budgets(wanted, purse, snapshot, profile, findings):
        picks = usable_picks(snapshot, target.sector, rankings, barred, profile, findings)
        if picks:
            buys += buy(snapshot, target, budget, picks, purse, margin, profile, findings)
    _say_untouched(snapshot, targets, {trade.sector for trade in (*sells, *buys)}, findings)
    return Generated((*sells, *buys), tuple(findings))


def _say_untouched(snapshot: Snapshot, targets: Sequence[SectorTarget], traded: set[str], findings: list[Finding]) -> None:
    """Say of every sector that shall move, has no trade and was not spoken of, that what it wants is less than fees and rounding."""
    spoken = traded | {finding.subject for finding in findings}
    for target in targets:
        if target.action != "HOLD" and target.sector != CASH and target.sector not in spoken:
            text = f"{target.sector}: {money(target.amount_minor, snapshot.digits)} are to be moved, less than fees and rounding may take"
            findings.append(Finding(code="sector_short", severity="info", subject=target.sector, message=text))


def _margin(snapshot: Snapshot, targets: Sequence[SectorTarget], profile: Profile) -> int:
    """Return the most that fees and rounding may take from the portfolio's value: limits are kept after them."""
    if _exact(snapshot, profile):
        return 0
    turnover = sum(target.amount_minor for target in targets)
    bps = profile.trades.fee_bps
    if profile.trades.fee_fixed == 0 and bps == 0:
        fees = 0
    else:
        most = sum(len(account.holdings) for account in snapshot.accounts) + len(targets) * len(profile.trades.pick_shares)
        fees = profile.minor(profile.trades.fee_fixed, snapshot.digits) * most + int(bps * turnover / 10_000) + most
    return fees + 2 * sum(len(account.holdings) for account in snapshot.accounts) + 10 * len(targets) + 10


def _exact(snapshot: Snapshot, profile: Profile) -> bool:
    """Say whether no trade can cost anything or be rounded: no fees, whole shares, prices in whole minor units."""
    if profile.trades.fee_fixed or profile.trades.fee_bps or any(account.fractional for account in snapshot.accounts):
        return False
    whole = all(quantity == int(quantity) for quantity in snapshot.quantities.values())
    return whole and all(instrument.price == round(instrument.price, snapshot.digits) for instrument in snapshot.instruments)


def _under_cap(target: SectorTarget, snapshot: Snapshot, profile: Profile, margin: int) -> SectorTarget:
    """Return a target that is at the cap a hair lower, so that fees and rounding do not lift the sector above it."""
    cap = ppm(profile.limits.cap_of(target.sector))
    if target.target_ppm > cap:
        return target  # stated above the cap: the dry run says so, and a person decides
    lower = max(0, min(target.target_minor, of_whole(cap, snapshot.equity_minor - margin)))
    return target.model_copy(update={"target_minor": lower, "amount_minor": abs(target.current_minor - lower)})


def _reserve(snapshot: Snapshot, targets: Sequence[SectorTarget], profile: Profile) -> int:
    """Return the cash that buys leave: the stated target, and never less than the floor of the buffer."""
    floor = ppm(profile.buffer.floor_pct)
    stated = next((target.target_ppm for target in targets if target.sector == CASH), floor)
    return of_whole(max(floor, stated), snapshot.equity_minor, up=True)


def _held(snapshot: Snapshot) -> dict[str, list[tuple[Account, Holding]]]:
    found: dict[str, list[tuple[Account, Holding]]] = defaultdict(list)
    for account in snapshot.accounts:
        for holding in account.holdings:
            found[snapshot.by_ticker[holding.ticker].sector].append((account, holding))
    return found


def _by_gain(snapshot: Snapshot, holding: Holding) -> tuple[bool, Fraction]:
    """Return the key by which holdings are sold: what cost nothing first, then the highest gain of its cost."""
    gain = gain_of(holding.lots, snapshot.by_ticker[holding.ticker].price)
    return gain is not None, -(gain or Fraction(0))


def _sell_sector(
    snapshot: Snapshot,
    target: SectorTarget,
    held: dict[str, list[tuple[Account, Holding]]],
    barred: frozenset[str],
    profile: Profile,
    findings: list[Finding],
) -> list[Trade]:
    """Return the sells of one sector: the highest unrealised gain in percent first, whole holdings until the rest is one part."""
    ticket = profile.minor(profile.trades.minimum_ticket, snapshot.digits)
    raised = _Raised()
    candidates = sorted(held.get(target.sector, []), key=lambda pair: (*_by_gain(snapshot, pair[1]), pair[1].ticker, pair[0].account))
    for account, holding in candidates:
        rest = target.amount_minor - raised.amount
        if rest < max(ticket, 1):
            break
        if holding.ticker in barred:
            raised.skipped.append(f"{holding.ticker} is restricted")
            continue
        quantity = _sell_quantity(snapshot, account, holding, rest, target.amount_minor, profile.trades.fraction_step)
        trade = sell_trade(snapshot, account, holding, quantity, profile) if quantity else None
        if trade is None:
            raised.skipped.append(f"one lot of {holding.ticker} is more than what is left to sell")
        elif trade.amount_minor < ticket or trade.cash_minor <= 0:
            raised.skipped.append(f"{holding.ticker} in {account.account} is below the smallest ticket")
        else:
            over = max(0, trade.amount_minor - rest)
            raised.trades.append(trade.model_copy(update={"residue_minor": over}))
            raised.amount += trade.amount_minor
    _say_short_sale(snapshot, target, raised, ticket, findings)
    return raised.trades


def _sell_quantity(snapshot: Snapshot, account: Account, holding: Holding, rest: int, gap: int, fraction_step: Decimal) -> Decimal:
    """Return how much of a holding is sold: all of it, or steps up to what is left; up where that ends nearer to the target."""
    instrument = snapshot.by_ticker[holding.ticker]
    if proceeds_of(holding.quantity, instrument.price, snapshot.digits) <= rest:
        return holding.quantity
    step = step_of(account, fraction_step, instrument)
    up = min(shares_for(rest, instrument.price, snapshot.digits, step, up=True), holding.quantity)
    if proceeds_of(up, instrument.price, snapshot.digits) - rest < gap:
        return up
    return min(shares_for(rest, instrument.price, snapshot.digits, step), holding.quantity)


def _say_short_sale(snapshot: Snapshot, target: SectorTarget, raised: _Raised, ticket: int, findings: list[Finding]) -> None:
    short = target.amount_minor - raised.amount
    if short <= 0:
        return
    why = [*raised.skipped]
    if short < max(ticket, 1):
        why.append(f"what is left is below the smallest ticket of {money(ticket, snapshot.digits)}")
    findings.append(
        Finding(
            code="sector_short",
            severity="warning" if short >= max(ticket, 1) else "info",
            subject=target.sector,
            message=(
                f"{target.sector} shall fall to {percent(target.target_ppm)} %, and {money(short, snapshot.digits)} of "
                f"{money(target.amount_minor, snapshot.digits)} stay unsold: {'; '.join(why) or 'nothing is left to sell'}"
            ),
            remedy="accept the smaller sale, or change the target",
        )
    )


def _budgets(
    wanted: list[SectorTarget], purse: Purse, snapshot: Snapshot, profile: Profile, findings: list[Finding]
) -> list[tuple[SectorTarget, int]]:
    """Return what each sector may spend: all it wants, or its part where the cash does not reach."""
    asked = sum(target.amount_minor for target in wanted)
    there = max(0, purse.spendable)
    # the fees of the buys come out of the same cash
    fixed = profile.minor(profile.trades.fee_fixed, snapshot.digits) * len(wanted) * len(profile.trades.pick_shares)
    there = max(0, there - fixed)
    if profile.trades.fee_bps:
        there = int(there / (1 + profile.trades.fee_bps / 10_000))
    if asked <= there:
        return [(target, target.amount_minor) for target in wanted]
    for target in wanted:
        given = target.amount_minor * there // asked
        findings.append(
            Finding(
                code="cash_short",
                severity="warning",
                subject=target.sector,
                message=(
                    f"{target.sector} wants {money(target.amount_minor, snapshot.digits)} and gets {money(given, snapshot.digits)}: "
                    f"buys may spend {money(there, snapshot.digits)} of the "
                    f"{money(asked, snapshot.digits)} they want, so that cash stays at "
                    f"{money(purse.reserve, snapshot.digits)}"
                ),
                remedy="sell more, or lower a target",
            )
        )
    return [(target, target.amount_minor * there // asked) for target in wanted]


def numbered(trades: Sequence[Trade]) -> tuple[Trade, ...]:
    """Return trades with ids by their place: ``S01`` for the first sell, ``B01`` for the first buy."""
    counts: dict[str, int] = defaultdict(int)
    found: list[Trade] = []
    for trade in trades:
        counts[trade.side] += 1
        found.append(trade.model_copy(update={"trade_id": f"{trade.side[0].upper()}{counts[trade.side]:02d}"}))
    return tuple(found)
