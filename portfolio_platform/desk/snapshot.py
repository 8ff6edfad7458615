"""A portfolio of the ledger as the orchestrator sees it: one account, lots, cash, prices, sectors.

It begins at the newest state that the ledger saved and goes on with every fill, cash movement and corporate action since, so it is as
new as the newest import. What a plan cannot trade is said in findings:

- a short position is taken off the cash at its price, as if it was bought back, and its symbol cannot be traded;
- strategies that hold against each other are set off: an account holds only the difference;
- a position in another currency, or with a contract multiplier, is held at what one unit is worth in the portfolio's currency.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from portfolio_platform.control.money import digits_of, minor
from portfolio_platform.days import NANOSECONDS_PER_DAY, day_number, end_of_day_ns, nanoseconds, to_date
from portfolio_platform.desk.lots import Book, Dividend, Filled, Happening, Key, Lot, Moved, Netted, Split, netted
from portfolio_platform.desk.snapshot_findings import opposed_strategies, several_accounts, short_position
from portfolio_platform.errors import DataProblem, WrongUse
from portfolio_platform.orchestrator.accounts import AccountTerms
from portfolio_platform.orchestrator.amounts import EXACT, LARGEST_MINOR, plain, worth
from portfolio_platform.orchestrator.model import Account, Finding, Holding, Instrument, Snapshot, TaxLot

if TYPE_CHECKING:
    from portfolio_platform.home import Home

SOURCE = "ledger"
TEN_PLACES = Decimal(10) ** -10
PRICE_DAYS, VALUE_BARS = 45, 20
"""How far back bars are read for prices, in days, and over how many of them the daily value is a mean."""
ONE = Decimal(1)


@dataclass(frozen=True)
class Taken:
    """A portfolio, and what there is to say about how it was taken."""

    snapshot: Snapshot
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class _Known:
    """What an instrument is: sector, contract multiplier, currency of its prices."""

    sector: str
    multiplier: Decimal
    currency: str


@dataclass(frozen=True)
class _Priced:
    """The newest price of a unit as traded, its time, and what is traded in a day, in the instrument's currency."""

    price: Decimal
    at: int
    daily: Decimal | None


def ledger_portfolios(home: "Home") -> list[str]:
    """Return the portfolios of the ledger, sorted."""
    from portfolio_platform.lake import derived

    return sorted(set(home.lake.read(derived.PORTFOLIO_EQUITY, ["portfolio"])["portfolio"].to_pylist()))


def snapshot_of(
    home: "Home",
    portfolio: str,
    at: datetime,
    *,
    tickers: Iterable[str] = (),
    terms: AccountTerms | None = None,
    pending: Iterable[str] = (),
) -> Taken:
    """Return a portfolio of the ledger as it is at a time.

    Args:
        home: whose ledger.
        portfolio: which.
        at: the time.
        tickers: what may be bought besides what is held; those that the ledger knows come with their prices.
        terms: what the ledger does not say of the account; a cash account of whole shares where None.
        pending: what is under way besides, such as an approved plan.

    Raises:
        WrongUse: the ledger has no such portfolio, or none at that time.
        DataProblem: a position has no price or rate, or a symbol that an order cannot name.
    """
    reading = _Reading(home, portfolio, nanoseconds(at))
    book = reading.book()
    newest, held = reading.go_on(book), netted(book.lots)
    wanted = sorted({one.symbol for one in held} | set(tickers))
    prices, known, rates, base = reading.prices(wanted), reading.known, reading.rates, reading.currency
    digits = digits_of(base)
    account = terms or AccountTerms(portfolio=portfolio)
    cash = sum(minor(EXACT.multiply(amount, rates.of(currency)), digits) for currency, amount in sorted(book.cash.items()))
    holdings, shorts, findings = _sided(portfolio, held, prices, reading, digits, at)
    named = reading.account_names()
    if len(named) > 1:
        findings.append(several_accounts(named))
    instruments = [
        _instrument(symbol, known, prices[symbol], rates, digits, account)
        for symbol in wanted
        if symbol in prices and symbol in known and symbol not in shorts
    ]
    findings += [found for one in instruments for found in _counted(one.ticker, known[one.ticker], rates, base)]
    content = {
        "portfolio": portfolio,
        "currency": base,
        "as_of": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=newest // 1000),
        "source": SOURCE,
        "accounts": [
            Account(
                account=account.account or next(iter(named), portfolio),
                kind=account.kind,
                fractional=account.fractional,
                cash_minor=cash - sum(shorts.values()),
                holdings=tuple(holdings),
            )
        ],
        "instruments": instruments,
        "pending": (*reading.pending(), *pending),
    }
    return Taken(_valid(portfolio, content), tuple(findings))


def _valid(portfolio: str, content: Mapping[str, object]) -> Snapshot:
    try:
        return Snapshot.model_validate(content)
    except ValidationError as error:
        said = "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors()[:5])
        raise DataProblem(f"{portfolio}: the ledger's portfolio cannot be planned with: {said}") from error


def _sided(
    portfolio: str, held: Iterable[Netted], prices: Mapping[str, _Priced], reading: "_Reading", digits: int, at: datetime
) -> tuple[list[Holding], dict[str, int], list[Finding]]:
    """Return what is held long, what buying back each short would cost in minor units, and what there is to say of both."""
    holdings: list[Holding] = []
    shorts: dict[str, int] = {}
    findings: list[Finding] = []
    for one in held:
        unit = _unit(one, reading.known, reading.rates)
        priced = prices.get(one.symbol)
        if priced is None:
            raise DataProblem(f"{portfolio}: {one.symbol} is held and has no price up to {at.isoformat()}; import its bars")
        if one.opposed:
            findings.append(opposed_strategies(one))
        if one.short:
            value = worth(one.short, EXACT.multiply(priced.price, unit), digits)
            shorts[one.symbol] = shorts.get(one.symbol, 0) + value
            findings.append(short_position(one, value, digits, reading.currency))
        else:
            holdings.append(_holding(portfolio, one, unit))
    return holdings, shorts, findings


def _holding(portfolio: str, one: Netted, unit: Decimal) -> Holding:
    seen: dict[str, int] = {}
    lots = []
    for lot in one.lots:
        seen[lot.lot_id] = seen.get(lot.lot_id, 0) + 1
        lots.append(_tax_lot(lot, unit, seen[lot.lot_id]))
    try:
        return Holding(ticker=one.symbol, lots=tuple(lots))
    except ValidationError as error:
        raise DataProblem(
            f"{portfolio}: {one.symbol!r} cannot be planned with: {error.errors()[0]['msg']}; "
            "tickers are capital letters, digits, . and -; give the portfolio as a file (--snapshot)"
        ) from error


def _tax_lot(lot: Lot, unit: Decimal, number: int) -> TaxLot:
    name = lot.lot_id if lot.lot_id.isprintable() and 0 < len(lot.lot_id) <= 90 else sha256(lot.lot_id.encode()).hexdigest()[:32]
    cost = EXACT.multiply(lot.price, unit).quantize(TEN_PLACES, context=EXACT)
    return TaxLot(
        lot_id=name if number == 1 else f"{name}#{number}",
        quantity=lot.quantity,
        cost=plain(cost),
        acquired=to_date(day_number(lot.opened_at)),
    )


def _instrument(symbol: str, known: Mapping[str, _Known], priced: _Priced, rates: "_Rates", digits: int, terms: AccountTerms) -> Instrument:
    of = known[symbol]
    unit = EXACT.multiply(of.multiplier, rates.of(of.currency))
    daily = None if priced.daily is None else minor(EXACT.multiply(priced.daily, unit), digits)
    return Instrument(
        ticker=symbol,
        sector=of.sector,
        price=plain(EXACT.multiply(priced.price, unit).quantize(TEN_PLACES, context=EXACT)),
        priced_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=priced.at // 1000),
        lot_size=terms.lot_sizes.get(symbol, 1),
        daily_value_minor=None if daily is None else min(daily, LARGEST_MINOR),
    )


def _unit(one: Netted, known: Mapping[str, _Known], rates: "_Rates") -> Decimal:
    """Return what one unit at price 1 is worth in base currency. Raises `DataProblem` where nothing is known of the instrument."""
    of = known.get(one.symbol)
    if of is None:
        raise DataProblem(f"{one.symbol} is held and no instrument says its sector; import instruments with it")
    return EXACT.multiply(of.multiplier, rates.of(one.currency))


def _counted(symbol: str, of: _Known, rates: "_Rates", base: str) -> list[Finding]:
    """Say that an instrument's price here is not the one on an order, where it is not."""
    parts = [f"{of.multiplier:f} times its price"] if of.multiplier != 1 else []
    parts += [f"{rates.of(of.currency):f} {base} for one {of.currency}"] if of.currency != base else []
    if not parts:
        return []
    text = f"{symbol} is counted in {base} ({', '.join(parts)}); on an order its limit price is in {of.currency} for one unit"
    return [Finding(code="counted_in_base", severity="warning", subject=symbol, message=text, remedy="work the limit price out before")]


class _Rates:
    """Base currency for one unit of each currency."""

    def __init__(self, base: str, rates: Mapping[str, Decimal]) -> None:
        self._rates = {**rates, base: ONE}
        self._base = base

    def of(self, currency: str) -> Decimal:
        """Return a rate. Raises `DataProblem` where there is none."""
        if currency not in self._rates:
            raise DataProblem(f"there is no rate of {currency} in {self._base}; import fx_rates")
        return self._rates[currency]


class _Reading:
    """What is read of the lake for one portfolio at one time."""

    def __init__(self, home: "Home", portfolio: str, now: int) -> None:
        import pyarrow.compute as pc

        from portfolio_platform.lake import active, derived, facts

        self._home, self._portfolio, self._now = home, portfolio, now
        self._mine = pc.field("portfolio") == portfolio
        days = sorted(set(home.lake.read(derived.CASH_BALANCES, ["day"], self._mine)["day"].to_pylist()))
        if not days:
            names = ", ".join(ledger_portfolios(home)) or "none yet; `portfolio import` and `portfolio build` bring them"
            raise WrongUse(f"the ledger has no portfolio {portfolio!r}; it has: {names}. Or give a file of it (--snapshot FILE)")
        self._days = [day for day in days if end_of_day_ns(day) <= now]
        saved = set(home.lake.read(derived.STATE_POSITIONS, ["day"], self._mine)["day"].to_pylist())
        states = sorted(day for day in saved if end_of_day_ns(day) <= now)
        if not self._days:
            raise WrongUse(f"the ledger's portfolio {portfolio!r} begins on {days[0]}; plan at a later time")
        self._saved: date | None = states[-1] if states else None
        self._since = 0 if self._saved is None else end_of_day_ns(self._saved)
        listed = active.read(home.lake, facts.PORTFOLIOS).to_pylist()
        about = next((row for row in listed if row["portfolio"] == portfolio), None)
        self.currency = (about or {}).get("base_currency") or facts.DEFAULT_CURRENCY
        self._account = (about or {}).get("account") or ""
        self.known = {
            row["symbol"]: _Known(row["sector"] or facts.UNCLASSIFIED, plain(row["multiplier"] or ONE), row["currency"] or self.currency)
            for row in active.read(home.lake, facts.INSTRUMENTS).to_pylist()
        }
        self._fills = self._rows(facts.FILLS)
        self.rates = self._read_rates()

    def _rows(self, fact: Any) -> list[dict[str, Any]]:
        """Return the rows of a fact in force after the saved state, up to now; of this portfolio where they name one."""
        from portfolio_platform.lake import active

        rows = active.read(self._home.lake, fact, after_ts=self._since or None, until_ts=self._now).to_pylist()
        return [row for row in rows if row.get("portfolio", self._portfolio) == self._portfolio]

    def _read_rates(self) -> _Rates:
        from portfolio_platform.lake import active, facts

        rates: dict[str, Decimal] = {}
        rows = active.read(self._home.lake, facts.FX_RATES, until_ts=self._now).to_pylist()
        for row in sorted(rows, key=lambda row: int(row["ts"])):
            if row["base_currency"] == self.currency:
                rates[row["currency"]] = plain(row["rate"])
        return _Rates(self.currency, rates)

    def book(self) -> Book:
        """Return lots and cash of the newest saved state; empty ones where there is none yet."""
        import pyarrow.compute as pc

        from portfolio_platform.lake import derived

        found = Book()
        if self._saved is None:
            return found
        where = self._mine & (pc.field("day") == self._saved)
        lots = self._home.lake.read(derived.STATE_LOTS, None, where).to_pylist()
        for row in sorted(lots, key=lambda row: (row["strategy"], row["symbol"], row["currency"], row["lot"])):
            key = Key(row["strategy"], row["symbol"], row["currency"])
            found.lots.setdefault(key, []).append(
                Lot(plain(row["quantity"]), _exact(row["price"]), int(row["opened_at"]), row["row_id"] or "")
            )
        month = self._saved.isoformat()[:7]
        balances = self._home.lake.read(derived.CASH_BALANCES, ["day", "currency", "cash"], self._mine, to_month=month).to_pylist()
        for row in sorted(balances, key=lambda row: row["day"]):
            if row["day"] <= self._saved:
                found.cash[row["currency"]] = _exact(row["cash"])
        return found

    def go_on(self, book: Book) -> int:
        """Bring lots and cash up to now; return as of when they are, ns UTC."""
        from portfolio_platform.lake import facts

        happened: list[Happening] = []
        for row in self._fills:
            quantity = plain(row["quantity"] if row["side"] == "buy" else -row["quantity"])
            multiplier = self.known[row["symbol"]].multiplier if row["symbol"] in self.known else ONE
            key = Key(row["strategy"], row["symbol"], self._currency_of(row))
            price, fee = plain(row["price"]), plain(row["fee"] or Decimal(0))
            happened.append(Filled(int(row["ts"]), key, quantity, price, multiplier, fee, row["row_id"]))
        flows = self._rows(facts.CASH_FLOWS)
        happened += [Moved(int(row["ts"]), row["currency"] or self.currency, plain(row["amount"])) for row in flows]
        for row in self._rows(facts.CORPORATE_ACTIONS):
            if row["kind"] == "split" and row["ratio"]:
                happened.append(Split(int(row["ts"]), row["symbol"], plain(row["ratio"])))
            elif row["amount"]:
                multiplier = self.known[row["symbol"]].multiplier if row["symbol"] in self.known else ONE
                happened.append(Dividend(int(row["ts"]), row["symbol"], plain(row["amount"]), multiplier))
        book.go_on(happened)
        mine = [one.at for one in happened if isinstance(one, Filled | Moved)]
        return max(end_of_day_ns(self._days[-1]), *mine) if mine else end_of_day_ns(self._days[-1])

    def _currency_of(self, row: Mapping[str, Any]) -> str:
        known = self.known.get(row["symbol"])
        return row["currency"] or (known.currency if known is not None else self.currency)

    def account_names(self) -> list[str]:
        """Return the accounts that the ledger names for this portfolio, sorted; that of the portfolio itself where it has one."""
        return sorted({self._account} if self._account else {row["account"] for row in self._fills if row["account"]})

    def prices(self, symbols: Iterable[str]) -> dict[str, _Priced]:
        """Return the newest prices: of a bar, else of the last fill that the ledger knows."""
        import pyarrow.compute as pc

        from portfolio_platform.lake import active, derived, facts

        wanted, found = set(symbols), {}
        bars: dict[str, list[dict[str, Any]]] = {}
        after = self._now - PRICE_DAYS * NANOSECONDS_PER_DAY
        columns = ("symbol", "ts", "close", "volume")
        for row in active.read(self._home.lake, facts.BARS, columns, after_ts=after, until_ts=self._now).to_pylist():
            if row["symbol"] in wanted:
                bars.setdefault(row["symbol"], []).append(row)
        for symbol, rows in bars.items():
            rows.sort(key=lambda row: int(row["ts"]))
            traded = [EXACT.multiply(row["close"], row["volume"]) for row in rows[-VALUE_BARS:] if row["volume"]]
            daily = EXACT.divide(sum(traded, Decimal(0)), Decimal(len(traded))) if traded else None
            found[symbol] = _Priced(plain(rows[-1]["close"]), int(rows[-1]["ts"]), daily)
        if self._saved is not None and wanted - set(found):
            where = pc.field("day") == self._saved
            for row in self._home.lake.read(derived.STATE_MARKS, ["symbol", "ts", "close"], where).to_pylist():
                if row["symbol"] in wanted and row["symbol"] not in found:
                    found[row["symbol"]] = _Priced(_exact(row["close"]), int(row["ts"]), None)
            for row in self._home.lake.read(derived.STATE_POSITIONS, ["symbol", "fill_price", "fill_ts"], where & self._mine).to_pylist():
                if row["symbol"] in wanted and row["symbol"] not in found:
                    found[row["symbol"]] = _Priced(_exact(row["fill_price"]), int(row["fill_ts"]), None)
        priced = set(found)
        for row in sorted(self._fills, key=lambda row: int(row["ts"])):
            if row["symbol"] in wanted - priced:
                found[row["symbol"]] = _Priced(plain(row["price"]), int(row["ts"]), None)
        return found

    def pending(self) -> list[str]:
        """Return what the ledger has imported and not built: with it open, what is held is not known."""
        import pyarrow.compute as pc

        from portfolio_platform.lake import facts
        from portfolio_platform.lake.progress import newest_import_of, read_progress

        built = read_progress(self._home.lake, "ledger")
        watched = (facts.FILLS, facts.CASH_FLOWS, facts.CORPORATE_ACTIONS)
        if built is None or newest_import_of(self._home.lake, watched) <= built.import_seq:
            return []
        late = (pc.field("import_seq") > built.import_seq) & (pc.field("ts") <= self._since)
        for fact in watched:
            columns = ["portfolio"] if any(column.name == "portfolio" for column in fact.columns) else ["symbol"]
            rows = self._home.lake.read(fact.table, columns, late)
            if self._portfolio in rows[columns[0]].to_pylist() or (columns == ["symbol"] and len(rows)):
                return [f"ledger build: {fact.name} were imported for days that are built already (run `portfolio build`)"]
        return []


def _exact(value: float) -> Decimal:
    """Return a figure of the lake as the decimal that it shows, with ten places at most."""
    return plain(Decimal(repr(float(value))).quantize(TEN_PLACES, context=EXACT))
