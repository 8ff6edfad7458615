"""Steps 5 and 6 after an execution: the portfolio with the reported fills, and whether sectors, positions and buffer keep their limits.

Pure over snapshots. Executed at the prices and fees of the plan, a portfolio has the figures of the dry run to the minor unit.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import Field

from portfolio_platform.errors import DataProblem
from portfolio_platform.orchestrator.amounts import EXACT, exceeds, less, money, part, percent
from portfolio_platform.orchestrator.executed import ReportedFill
from portfolio_platform.orchestrator.model import Account, Holding, Instrument, Snapshot, TaxLot, Typed
from portfolio_platform.orchestrator.planned import CASH, DryRun, Trade
from portfolio_platform.orchestrator.profile import Profile, ppm
from portfolio_platform.orchestrator.sequence import buffer_state

UNKNOWN_SECTOR = "Unclassified"
Source = Literal["reported", "ledger"]


class VerifiedShare(Typed):
    """A sector or a position after the fills, against its limit; a share at the limit passes."""

    name: str
    amount_minor: int
    share_ppm: int
    limit_ppm: int
    planned_ppm: int | None = Field(None, description="what the dry run has of it")
    passed: bool


class Verification(Typed):
    """What steps 5 and 6 found.

    ``source`` says what of: ``reported``, the plan's portfolio with the reported fills, at the prices planned with; or ``ledger``,
    the ledger's own portfolio once it has the fills.
    """

    source: Source
    as_of: datetime
    currency: str
    digits: int
    equity_minor: int
    cash_minor: int
    buffer_ppm: int
    floor_ppm: int
    healthy_ppm: int
    buffer: Literal["pass", "caution", "fail"]
    planned_cash_minor: int | None = None
    planned_equity_minor: int | None = None
    sectors: tuple[VerifiedShare, ...]
    positions: tuple[VerifiedShare, ...] = Field(description="the positions that were traded, and every one over its limit")
    overdrawn: tuple[str, ...] = Field((), description="accounts whose cash is below zero")
    notes: tuple[str, ...] = ()

    @property
    def sectors_over(self) -> tuple[VerifiedShare, ...]:
        """Return the sectors over their cap."""
        return tuple(one for one in self.sectors if not one.passed)

    @property
    def positions_over(self) -> tuple[VerifiedShare, ...]:
        """Return the positions over their limit."""
        return tuple(one for one in self.positions if not one.passed)

    @property
    def passed(self) -> bool:
        """Say whether everything holds; a marginal buffer holds."""
        return self.buffer != "fail" and not (self.sectors_over or self.positions_over or self.overdrawn)

    @property
    def faults(self) -> tuple[str, ...]:
        """Return every limit that does not hold, in words."""
        found = [f"{one.name} is {percent(one.share_ppm)} % of at most {percent(one.limit_ppm)} %" for one in self.sectors_over]
        found += [f"{one.name} is {percent(one.share_ppm)} % of at most {percent(one.limit_ppm)} %" for one in self.positions_over]
        if self.buffer == "fail":
            found.append(f"cash is {percent(self.buffer_ppm)} % of at least {percent(self.floor_ppm)} %")
        found += [f"account {name} is overdrawn" for name in self.overdrawn]
        return tuple(found)


def verify(
    snapshot: Snapshot, profile: Profile, planned: DryRun | None, traded: Iterable[str], source: Source, notes: Sequence[str] = ()
) -> Verification:
    """Return whether a portfolio keeps the limits of a profile (v8.0.3 STEP 5 and 6).

    Args:
        snapshot: the portfolio after the fills.
        profile: the limits.
        planned: the dry run, shown beside the figures.
        traded: tickers that were traded.
        source: what the snapshot is of.
        notes: what could not be worked out.
    """
    equity = snapshot.equity_minor
    aimed = {row.sector: row.after_ppm for row in planned.sectors} if planned is not None else {}
    held = {row.ticker: row.after_ppm for row in planned.positions} if planned is not None else {}
    limit, wanted = ppm(profile.limits.position_pct), set(traded)
    sectors = [
        _share(name, amount, ppm(profile.limits.cap_of(name)), equity, aimed.get(name))
        for name, amount in sorted(snapshot.sectors_minor.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    positions = [
        _share(name, snapshot.positions_minor.get(name, 0), limit, equity, held.get(name))
        for name in sorted(wanted | set(snapshot.positions_minor))
        if name in wanted or exceeds(snapshot.positions_minor.get(name, 0), limit, equity)
    ]
    results: Mapping[str, Literal["pass", "caution", "fail"]] = {"healthy": "pass", "marginal": "caution", "at_risk": "fail"}
    return Verification(
        source=source,
        as_of=snapshot.as_of,
        currency=snapshot.currency,
        digits=snapshot.digits,
        equity_minor=equity,
        cash_minor=snapshot.cash_minor,
        buffer_ppm=part(snapshot.cash_minor, equity),
        floor_ppm=ppm(profile.buffer.floor_pct),
        healthy_ppm=ppm(profile.buffer.healthy_pct),
        buffer=results[buffer_state(snapshot.cash_minor, equity, profile)],
        planned_cash_minor=None if planned is None else planned.cash_after_minor,
        planned_equity_minor=None if planned is None else planned.equity_after_minor,
        sectors=tuple(sectors),
        positions=tuple(positions),
        overdrawn=tuple(account.account for account in snapshot.accounts if account.cash_minor < 0),
        notes=tuple(notes),
    )


def _share(name: str, amount: int, limit: int, equity: int, planned: int | None) -> VerifiedShare:
    passed = not exceeds(amount, limit, equity)
    return VerifiedShare(
        name=name, amount_minor=amount, share_ppm=part(amount, equity), limit_ppm=limit, planned_ppm=planned, passed=passed
    )


class Projected(Typed):
    """A portfolio with fills, and what of them did not fit into it."""

    snapshot: Snapshot
    notes: tuple[str, ...] = ()


def after_fills(snapshot: Snapshot, fills: Sequence[ReportedFill], trades: Sequence[Trade] = ()) -> Projected:
    """Return a portfolio with fills in it, at the prices that it has.

    A sale takes the lots that the plan chose, then the others in their order; more than is held takes what is held, and a note says
    so. A purchase adds a lot. What was bought without having a price is taken at the price of its fill.

    Raises:
        DataProblem: a fill is in an account that the portfolio has not, or nothing of value is left.
    """
    books = {account.account: _Book(account) for account in snapshot.accounts}
    instruments = dict(snapshot.by_ticker)
    chosen = {trade.trade_id: tuple(lot.lot_id for lot in trade.lots) for trade in trades}
    notes: list[str] = []
    for fill in fills:
        book = books.get(fill.account)
        if book is None:
            raise DataProblem(f"fill {fill.fill_id} is in account {fill.account!r}, which the portfolio has not; correct the fill")
        book.cash += fill.cash_minor(snapshot.digits)
        if fill.side == "sell":
            short = book.sell(fill, chosen.get(fill.trade_id, ()))
            if short:
                notes.append(f"{fill.account} held {short:f} {fill.ticker} less than was sold by {fill.fill_id}")
            continue
        book.buy(fill)
        if fill.ticker not in instruments:
            notes.append(f"{fill.ticker} has no price in the plan's portfolio; it is taken at its fill's, in sector {UNKNOWN_SECTOR}")
            instruments[fill.ticker] = Instrument(ticker=fill.ticker, sector=UNKNOWN_SECTOR, price=fill.price, priced_at=fill.at)
    cash = sum(book.cash for book in books.values())
    try:
        made = Snapshot(
            portfolio=snapshot.portfolio,
            currency=snapshot.currency,
            as_of=max([snapshot.as_of, *(fill.at for fill in fills)]),
            source=snapshot.source,
            accounts=tuple(book.account() for book in books.values()),
            instruments=tuple(instruments.values()),
        )
    except ValueError as error:
        shown = money(cash, snapshot.digits)
        raise DataProblem(
            f"the portfolio with the reported fills makes no sense ({error}); cash would be {shown}: correct the fills"
        ) from error
    return Projected(snapshot=made, notes=tuple(notes))


class _Book:
    """An account while fills go into it."""

    def __init__(self, account: Account) -> None:
        self.before = account
        self.cash = account.cash_minor
        self.lots: dict[str, list[TaxLot]] = defaultdict(list)
        for holding in account.holdings:
            self.lots[holding.ticker] = list(holding.lots)

    def sell(self, fill: ReportedFill, chosen: Sequence[str]) -> Decimal:
        """Take shares out; return how many were not there."""
        rank = {lot_id: place for place, lot_id in enumerate(chosen)}
        left = fill.quantity
        held = self.lots.get(fill.ticker, [])
        for lot in sorted(held, key=lambda one: rank.get(one.lot_id, len(rank))):
            if not left:
                break
            taken = min(left, lot.quantity)
            left = less(left, taken)
            rest = less(lot.quantity, taken)
            place = held.index(lot)
            held[place : place + 1] = [lot.model_copy(update={"quantity": rest})] if rest else []
        return left

    def buy(self, fill: ReportedFill) -> None:
        """Add a lot."""
        name = f"{fill.at:%Y%m%dT%H%M%SZ} {fill.trade_id or 'beyond'} {fill.number}"[:100]
        self.lots[fill.ticker].append(TaxLot(lot_id=name, quantity=fill.quantity, cost=fill.price, acquired=fill.at.date()))

    def account(self) -> Account:
        """Return the account as it is now."""
        holdings = tuple(Holding(ticker=ticker, lots=tuple(lots)) for ticker, lots in self.lots.items() if lots)
        return self.before.model_copy(update={"cash_minor": self.cash, "holdings": holdings})


def differences(expected: Snapshot, found: Snapshot) -> tuple[str, ...]:
    """Return how a ledger's portfolio differs from the one that the reported fills make: cash of an account, shares of a holding.

    The ledger rounds no fill, a plan each to its minor unit: cash that differs by less than a minor unit for each holding is equal.
    """
    said = []
    slack = 2 + len(expected.quantities)
    for name in sorted({*expected.by_account, *found.by_account}):
        mine, other = expected.by_account.get(name), found.by_account.get(name)
        if mine is None or other is None:
            said.append(f"account {name} is {'not in the ledger' if other is None else 'in the ledger alone'}")
        elif abs(mine.cash_minor - other.cash_minor) > slack:
            digits = expected.digits
            said.append(f"cash of {name}: {money(other.cash_minor, digits)} in the ledger, {money(mine.cash_minor, digits)} expected")
    for key in sorted({*expected.quantities, *found.quantities}):
        mine_held, other_held = expected.quantities.get(key, Decimal(0)), found.quantities.get(key, Decimal(0))
        if EXACT.compare(mine_held, other_held):
            said.append(f"{key[1]} in {key[0]}: {other_held:f} in the ledger, {mine_held:f} expected")
    return tuple(said)


def cash_row(verification: Verification) -> VerifiedShare:
    """Return the buffer as a row beside the sectors; its limit is the floor, and it passes from there on."""
    return VerifiedShare(
        name=CASH,
        amount_minor=verification.cash_minor,
        share_ppm=verification.buffer_ppm,
        limit_ppm=verification.floor_ppm,
        passed=verification.buffer != "fail",
    )
