"""The fact tables: what the outside world told us. Their columns are those of the canonical files.

What belongs here: the declaration of each fact. How rows are read from files is in `sources`; which of several rows
with one id is in force is in `lake.active`.
"""

from dataclasses import dataclass

from portfolio_platform.lake.columns import Column, Table

SIDES = ("buy", "sell")
FLOW_KINDS = ("initial_funding", "deposit", "withdrawal")
INCOME_KINDS = ("dividend", "interest", "funding", "fee", "tax", "other")
UNCLASSIFIED = "unclassified"
DEFAULT_CURRENCY = "USD"


@dataclass(frozen=True)
class Fact:
    """A fact: the table, the file it comes from, the column that identifies a row, and the column that dates it.

    ``id_columns`` identify a row at the source. Where ``id_optional`` the file may lack the (single) id column or
    leave it empty, and a row is then known by its content and its occurrence in the file.
    """

    file_stem: str
    columns: tuple[Column, ...]
    id_columns: tuple[str, ...]
    description: str
    time_column: str = ""
    id_optional: bool = False

    @property
    def name(self) -> str:
        """Return the name of the fact, of its table and of its file."""
        return self.file_stem

    @property
    def table(self) -> Table:
        """Return the lake table: the columns of the file and the bookkeeping of the import."""
        partition = "month" if self.time_column else ""
        bookkeeping = BOOKKEEPING + ((MONTH,) if partition else ())
        return Table(self.name, self.description, self.columns + bookkeeping, ("row_id", "revision", "content_hash"), partition)


BOOKKEEPING = (
    Column("row_id", "text", "the source's own id, or content hash and occurrence number where it has none"),
    Column("revision", "integer", "0 for the first statement of a row; the highest undisputed revision is in force"),
    Column("bust", "flag", "true where this revision cancels the row"),
    Column("content_hash", "text", "SHA-256 of the row's own content: equal rows have equal hashes"),
    Column("import_seq", "integer", "number of the import that brought the row, monotone"),
    Column("recorded_at", "timestamp", "when the import wrote the row", "ns UTC"),
    Column("source_file", "text", "name of the file the row came from"),
    Column("source_line", "integer", "line in that file, the header being line 1"),
)
MONTH = Column("month", "text", "UTC month of the row's day, YYYY-MM", required=True)


def _text(name: str, description: str, *, required: bool = False, choices: tuple[str, ...] = (), default: str | None = None) -> Column:
    return Column(name, "text", description, required=required, choices=choices, default=default)


def _currency(of_what: str) -> Column:
    return _text("currency", f"currency of the {of_what}; empty: the instrument's, else the portfolio's base currency")


PURPOSE = _text("purpose", "research trades are kept apart from policy trades", choices=("policy", "research"), default="policy")
PORTFOLIO = _text("portfolio", "portfolio the row belongs to", default="main")
SYMBOL = _text("symbol", "instrument", required=True)
STRATEGY = _text("strategy", "strategy that acted", default="default")
TEMPLATE = _text("template", "strategy template of the trade", default=UNCLASSIFIED)
PLAYBOOK = _text("playbook", "playbook of the trade", default=UNCLASSIFIED)

FILLS = Fact(
    "fills",
    (
        _text("execution_id", "id of the execution at the source"),
        Column("ts", "timestamp", "time of the execution", "ns UTC", required=True),
        PORTFOLIO,
        STRATEGY,
        SYMBOL,
        _text("side", "buy or sell", required=True, choices=SIDES),
        Column("quantity", "decimal", "units traded, always positive", "units", required=True, sign="positive"),
        Column("price", "decimal", "price of one unit", "currency", required=True, sign="positive"),
        _currency("price and fee"),
        Column("fee", "decimal", "fee paid; negative is a rebate", "currency", default="0"),
        _text("order_id", "order the execution belongs to"),
        _text("signal_id", "signal behind the trade"),
        _text("intent_id", "intent behind the trade"),
        TEMPLATE,
        PLAYBOOK,
        Column("decision_price", "decimal", "price at the decision", "currency", sign="positive"),
        Column("decision_ts", "timestamp", "time of the decision", "ns UTC"),
        Column("stop_price", "decimal", "protective stop in force at the fill", "currency", sign="positive"),
        Column("target_price", "decimal", "profit target in force at the fill", "currency", sign="positive"),
        _text("account", "account at the broker"),
        PURPOSE,
        _text("trigger_id", "trigger that fired"),
    ),
    ("execution_id",),
    "Executions of all strategies, as the source stated them.",
    time_column="ts",
    id_optional=True,
)

CASH_FLOWS = Fact(
    "cash_flows",
    (
        _text("flow_id", "id of the cash movement at the source"),
        Column("ts", "timestamp", "time of the movement", "ns UTC", required=True),
        PORTFOLIO,
        Column("amount", "decimal", "amount received; negative is paid out", "currency", required=True, sign="not_zero"),
        _currency("amount"),
        _text("kind", "flows change no performance; the other kinds are performance", required=True, choices=FLOW_KINDS + INCOME_KINDS),
        _text("account", "account at the broker"),
    ),
    ("flow_id",),
    "Cash that entered or left a portfolio, and cash income and cost that is no trade.",
    time_column="ts",
    id_optional=True,
)

BARS = Fact(
    "bars",
    (
        SYMBOL,
        Column("ts", "timestamp", "close of the bar", "ns UTC", required=True),
        Column("open", "decimal", "first price", "currency", sign="positive"),
        Column("high", "decimal", "highest price", "currency", sign="positive"),
        Column("low", "decimal", "lowest price", "currency", sign="positive"),
        Column("close", "decimal", "last price, as traded (not adjusted)", "currency", required=True, sign="positive"),
        Column("volume", "decimal", "units traded", "units", sign="not_negative"),
    ),
    ("symbol", "ts"),
    "Bars as traded; the close marks the positions of its day.",
    time_column="ts",
)

INSTRUMENTS = Fact(
    "instruments",
    (
        SYMBOL,
        _text("asset_class", "equity, index, commodity, crypto, ...", default=UNCLASSIFIED),
        _text("sector", "sector, a dimension of concentration", default=UNCLASSIFIED),
        _text("cohort", "cohort of instruments that move together", default=UNCLASSIFIED),
        _currency("instrument's prices"),
        Column("multiplier", "decimal", "notional of one unit at price 1", default="1", sign="positive"),
        _text("calendar", "exchange calendar code, 24x7, or weekdays; empty: the policy's default"),
    ),
    ("symbol",),
    "What is traded: classification, contract multiplier, calendar.",
)

PORTFOLIOS = Fact(
    "portfolios",
    (
        _text("portfolio", "name of the portfolio", required=True),
        _text("mode", "paper or live", choices=("paper", "live"), default="paper"),
        _text("base_currency", "currency its figures are in", default=DEFAULT_CURRENCY),
        _text("policy", "name of its policy", default="default"),
        _text("account", "account at the broker"),
    ),
    ("portfolio",),
    "The portfolios: mode, base currency, policy.",
)

FX_RATES = Fact(
    "fx_rates",
    (
        Column("ts", "timestamp", "time of the rate", "ns UTC", required=True),
        _text("currency", "currency that is converted", required=True),
        _text("base_currency", "currency it is converted into", required=True),
        Column("rate", "decimal", "base currency for one unit of currency", "base/currency", required=True, sign="positive"),
    ),
    ("currency", "base_currency", "ts"),
    "Exchange rates by currency pair; the newest up to the end of a day converts that day.",
    time_column="ts",
)

CORPORATE_ACTIONS = Fact(
    "corporate_actions",
    (
        _text("action_id", "id of the action at the source"),
        Column("ts", "timestamp", "from when it holds; fills before it are in the shares of their time", "ns UTC", required=True),
        SYMBOL,
        _text("kind", "split or cash_dividend", required=True, choices=("split", "cash_dividend")),
        Column("ratio", "decimal", "new units for one old unit (split)", sign="positive"),
        Column("amount", "decimal", "cash for one unit held at ts (cash_dividend)", "currency", sign="positive"),
        _currency("amount"),
    ),
    ("action_id",),
    "Splits and cash dividends; fills and bars before one are in the shares of their time.",
    time_column="ts",
    id_optional=True,
)

SIGNALS = Fact(
    "signals",
    (
        _text("signal_id", "id of the signal", required=True),
        _text("setup_id", "shared by repeats and scale-ins of one setup"),
        Column("ts", "timestamp", "close of the bar it was seen on", "ns UTC", required=True),
        PORTFOLIO,
        STRATEGY,
        SYMBOL,
        _text("direction", "long or short", required=True, choices=("long", "short")),
        _text("timeframe", "timeframe of the bar", default="1d"),
        TEMPLATE,
        PLAYBOOK,
        _text("engine_version", "version of the engine that emitted it"),
        Column("entry_price", "decimal", "price at emission", "currency", required=True, sign="positive"),
        Column("stop_price", "decimal", "initial stop", "currency", sign="positive"),
        Column("target_price", "decimal", "initial target", "currency", sign="positive"),
        Column("expected_hold_bars", "integer", "expected holding time", "bars", sign="not_negative"),
        Column("valid_until", "timestamp", "end of validity", "ns UTC"),
        Column("confidence", "decimal", "stated confidence", "0..1", sign="not_negative"),
        _text("regime", "regime label at emission"),
        Column("qualified", "flag", "whether it passed the strategy's own bar"),
        _text("disposition", "what became of it"),
        _text("block_reason", "why it was not taken"),
        _text("thesis", "the strategy's words"),
        _text("trigger_id", "trigger that fired"),
        Column("screener_rank", "integer", "rank at the screener", sign="positive"),
        _text("snapshot_hash", "hash of the inputs at emission"),
        PURPOSE,
    ),
    ("signal_id",),
    "Signals: observations without a size.",
    time_column="ts",
)

INTENTS = Fact(
    "intents",
    (
        _text("intent_id", "id of the intent", required=True),
        Column("ts", "timestamp", "time of the request", "ns UTC", required=True),
        PORTFOLIO,
        STRATEGY,
        SYMBOL,
        _text("side", "side of the order", required=True, choices=("buy", "sell", "long", "short", "flat")),
        TEMPLATE,
        PLAYBOOK,
        Column("requested_risk", "decimal", "loss at the stop that was asked for", "currency", sign="not_negative"),
        Column("requested_notional", "decimal", "notional that was asked for", "currency", sign="not_negative"),
        Column("approved_risk", "decimal", "risk that was granted", "currency", sign="not_negative"),
        _text("decision_code", "answer of the allocator"),
        _text("reasons", "the allocator's words"),
    ),
    ("intent_id",),
    "Requests for risk and what the strategies' own allocator answered.",
    time_column="ts",
)

_R = "initial risk"
PLAYBOOK_EXPECTATIONS = Fact(
    "playbook_expectations",
    (
        _text("template", "strategy template", required=True),
        _text("playbook", "playbook", required=True),
        _text("regime", "regime label, or all", default="all"),
        Column("n", "integer", "sample size", sign="not_negative"),
        Column("win_rate", "decimal", "share of winners", "0..1", sign="not_negative"),
        Column("avg_r", "decimal", "mean outcome", _R),
        Column("hold_bars_p50", "decimal", "median holding time", "bars", sign="not_negative"),
        Column("hold_bars_p90", "decimal", "90th percentile of holding time", "bars", sign="not_negative"),
        Column("mae_r_p50", "decimal", "median adverse excursion", _R, sign="not_negative"),
        Column("mfe_r_p50", "decimal", "median favourable excursion", _R, sign="not_negative"),
        Column("slippage_bps_p50", "decimal", "median adverse slippage", "bps"),
    ),
    ("template", "playbook", "regime"),
    "What each playbook expects of itself, by regime.",
)

FACTS: dict[str, Fact] = {
    fact.name: fact
    for fact in (
        FILLS,
        CASH_FLOWS,
        BARS,
        INSTRUMENTS,
        PORTFOLIOS,
        FX_RATES,
        CORPORATE_ACTIONS,
        SIGNALS,
        INTENTS,
        PLAYBOOK_EXPECTATIONS,
    )
}

QUARANTINE = Table(
    "quarantine",
    "Rows that cannot be right, kept aside with the reason; what is listed here is in no other table.",
    (
        Column("quarantine_id", "text", "hash of the row's content, rule and occurrence: the same bad row is kept once"),
        Column("fact", "text", "the fact table it was meant for"),
        Column("source_file", "text", "name of the file"),
        Column("source_line", "integer", "line in the file, the header being line 1; 0 for the file as a whole"),
        Column("column", "text", "column with the offending value"),
        Column("value", "text", "the offending value, as read"),
        Column("rule", "text", "the rule that it breaks"),
        Column("remedy", "text", "what to do about it"),
        Column("row", "text", "the row as JSON, as read"),
        Column("ts", "timestamp", "the row's own time where it could be read", "ns UTC"),
        Column("portfolio", "text", "the row's portfolio where it could be read"),
        Column("import_seq", "integer", "number of the import that found it"),
        Column("recorded_at", "timestamp", "when the import wrote the row", "ns UTC"),
    ),
    ("quarantine_id",),
)

IMPORTS = Table(
    "imports",
    "The log of imports: what each brought, skipped and set aside.",
    (
        Column("import_seq", "integer", "number of the import"),
        Column("recorded_at", "timestamp", "when it was written", "ns UTC"),
        Column("fact", "text", "fact table"),
        Column("files", "text", "names of the files, sorted, joined by a comma"),
        Column("read", "integer", "rows read", "rows"),
        Column("imported", "integer", "rows that were new", "rows"),
        Column("known", "integer", "rows that were known already", "rows"),
        Column("quarantined", "integer", "rows set aside for the first time", "rows"),
    ),
    ("import_seq", "fact"),
)

CONTESTED = Table(
    "contested",
    "Ids with more than one row, or with a bust: which row is in force has to be resolved.",
    (
        Column("fact", "text", "fact table"),
        Column("row_id", "text", "the id"),
        Column("import_seq", "integer", "import that first brought a second row"),
    ),
    ("fact", "row_id"),
)
