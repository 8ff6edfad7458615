"""Step 1B: buying a sector's ranked picks with the cash of several accounts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from portfolio_platform.orchestrator.amounts import cost_of, fee_on, money, of_whole, percent, shares_for
from portfolio_platform.orchestrator.model import Account, Finding, Instrument, Pick, SectorRankings, Snapshot
from portfolio_platform.orchestrator.planned import SectorTarget, Trade
from portfolio_platform.orchestrator.pricing import buy_trade, step_of
from portfolio_platform.orchestrator.profile import Profile, ppm


@dataclass
class Purse:
    """What buys may spend: the cash of each account after the sells, and what has to stay in all of them together."""

    accounts: dict[str, int]
    reserve: int
    bought: dict[str, int] = field(default_factory=dict)

    @classmethod
    def after(cls, snapshot: Snapshot, sells: Sequence[Trade], reserve: int) -> "Purse":
        """Return the purse that sells leave."""
        accounts = {account.account: account.cash_minor for account in snapshot.accounts}
        for trade in sells:
            accounts[trade.account] += trade.cash_minor
        return cls(accounts, reserve)

    @property
    def spendable(self) -> int:
        """Return what may be spent over all accounts."""
        return sum(self.accounts.values()) - self.reserve

    def of(self, account: str) -> int:
        """Return what may be spent in an account."""
        return max(0, min(self.accounts[account], self.spendable))

    def spend(self, trade: Trade) -> None:
        """Take a purchase out of the purse."""
        self.accounts[trade.account] += trade.cash_minor
        self.bought[trade.ticker] = self.bought.get(trade.ticker, 0) + trade.amount_minor


def usable_picks(
    snapshot: Snapshot,
    sector: str,
    rankings: SectorRankings | None,
    barred: frozenset[str],
    profile: Profile,
    findings: list[Finding],
) -> list[tuple[Pick, Instrument]]:
    """Return the first picks of a sector that may be bought and have a price, as many as the profile has shares for."""
    ranking = rankings.by_sector.get(sector) if rankings is not None else None
    found: list[tuple[Pick, Instrument]] = []
    skipped: list[str] = []
    for pick in ranking.picks if ranking is not None else ():
        if len(found) == len(profile.trades.pick_shares):
            break
        instrument = snapshot.by_ticker.get(pick.ticker)
        if pick.ticker in barred:
            skipped.append(f"{pick.ticker} is restricted")
        elif instrument is None:
            skipped.append(f"{pick.ticker} has no price")
        elif instrument.sector != sector:
            skipped.append(f"{pick.ticker} is listed under {instrument.sector}")
        else:
            found.append((pick, instrument))
    if skipped or not found:
        why = "; ".join(skipped) or "the sector rankings name none"
        findings.append(
            Finding(
                code="picks_skipped" if found else "no_picks",
                severity="info" if found else "warning",
                subject=sector,
                message=f"{sector}: {why}; {len(found)} of its picks can be bought",
                remedy="" if found else "add ranked picks with prices for the sector, or take its directive out",
            )
        )
    return found


def buy(
    snapshot: Snapshot,
    target: SectorTarget,
    budget: int,
    picks: Sequence[tuple[Pick, Instrument]],
    purse: Purse,
    margin: int,
    profile: Profile,
    findings: list[Finding],
) -> list[Trade]:
    """Return the purchases of one sector: its budget in the shares of its picks; what steps and limits leave stays cash.

    Args:
        snapshot: the portfolio.
        target: the sector's target.
        budget: minor units that may be spent.
        picks: the picks, best first, as `usable_picks` gives them.
        purse: what accounts have; purchases are taken out of it.
        margin: what fees and rounding may take from the portfolio's value.
        profile: shares, smallest ticket, limits.
        findings: what has to be said is added here.
    """
    shares = profile.trades.pick_shares[: len(picks)]
    spent, why, found = 0, list[str](), list[Trade]()
    for place, ((pick, instrument), share) in enumerate(zip(picks, shares, strict=True), 1):
        part = budget * share // sum(shares)
        held = snapshot.positions_minor.get(pick.ticker, 0) + purse.bought.get(pick.ticker, 0)
        room = max(0, of_whole(ppm(profile.limits.position_pct), snapshot.equity_minor - margin) - held)
        if room < part:
            why.append(f"{pick.ticker} may be at most {percent(ppm(profile.limits.position_pct))} % of the portfolio")
        trades = place_buy(snapshot, instrument, min(part, room), pick, place, purse, profile, f"pick {place} of {target.sector}")
        taken = sum(trade.amount_minor for trade in trades)
        if not trades and part > 0:
            why.append(f"{pick.ticker}: {money(min(part, room), snapshot.digits)} is no whole step or below the smallest ticket")
        if trades:
            trades[-1] = trades[-1].model_copy(update={"residue_minor": part - taken})
        found += trades
        spent += taken
    left = target.amount_minor - spent
    if left > 0 and found and not why:
        why.append("whole steps and the cash of the accounts")
    if left > 0:
        findings.append(_short(snapshot, target, left, why, profile))
    return found


def _short(snapshot: Snapshot, target: SectorTarget, left: int, why: Sequence[str], profile: Profile) -> Finding:
    """Return what is said of a sector that stays below its target: a warning from a part in a hundred on."""
    ticket = profile.minor(profile.trades.minimum_ticket, snapshot.digits)
    grave = left >= max(ticket, 1) and left * 100 > target.amount_minor
    return Finding(
        code="sector_short",
        severity="warning" if grave else "info",
        subject=target.sector,
        message=(
            f"{target.sector} shall rise to {percent(target.target_ppm)} %, and {money(left, snapshot.digits)} of "
            f"{money(target.amount_minor, snapshot.digits)} stay in cash: {'; '.join(why) or 'nothing could be bought'}"
        ),
        remedy="accept the smaller purchase, or change the target" if grave else "",
    )


def place_buy(
    snapshot: Snapshot, instrument: Instrument, amount: int, pick: Pick, place: int | None, purse: Purse, profile: Profile, why: str
) -> list[Trade]:
    """Return the purchases of one pick: in the account with the most cash, and on in the next where that does not reach."""
    ticket = max(1, profile.minor(profile.trades.minimum_ticket, snapshot.digits))
    found: list[Trade] = []
    for account in sorted(snapshot.accounts, key=lambda one: (-purse.accounts[one.account], one.account)):
        if amount < ticket:
            break
        quantity = _affordable(snapshot, account, instrument, amount, purse.of(account.account), profile)
        if not quantity or cost_of(quantity, instrument.price, snapshot.digits) < ticket:
            continue
        trade = buy_trade(
            snapshot,
            account,
            instrument,
            quantity,
            profile,
            pick=place,
            conviction=pick.conviction,
            why=why,
        )
        purse.spend(trade)
        amount -= trade.amount_minor
        found.append(trade)
    return found


def _affordable(snapshot: Snapshot, account: Account, instrument: Instrument, amount: int, cash: int, profile: Profile) -> Decimal:
    """Return how many shares an amount and the account's cash allow, with the fee."""
    digits, step = snapshot.digits, step_of(account, profile.trades.fraction_step, instrument)
    fixed = profile.minor(profile.trades.fee_fixed, digits)
    budget = min(amount, cash - fee_on(min(amount, cash), fixed, profile.trades.fee_bps))
    quantity = shares_for(budget, instrument.price, digits, step)
    # the cost is rounded up to a minor unit, which may be one more than the budget
    return quantity if not quantity or cost_of(quantity, instrument.price, digits) <= budget else max(Decimal(0), quantity - step)
