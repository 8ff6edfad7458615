"""What heat, risk, crowding and concentration rest on: positions, their stops, the lots of a group."""

from collections.abc import Iterable
from datetime import date, timedelta

from portfolio_platform.days import end_of_day_ns
from portfolio_platform.explain.cells import by_session, by_size, cell, cells, explains, plain, rows_of, same
from portfolio_platform.explain.sources import Row, Sources
from portfolio_platform.explain.tables.facts import fact_lines
from portfolio_platform.explain.tables.ledger import equity_of, mark_bar, position_name, stop_fill
from portfolio_platform.explain.tree import Draft, listing
from portfolio_platform.lake import derived
from portfolio_platform.lake.facts import BARS, INSTRUMENTS, PLAYBOOK_EXPECTATIONS, UNCLASSIFIED

HEAT = {
    "active_risk": "sum of the risks of all open positions",
    "active_heat": "active risk / equity",
    "reserved_heat": "reserved risk / equity",
    "heat": "active heat + reserved heat",
    "use": "heat / cap",
    "cap": "heat.cap of the portfolio's policy",
    "capital_heat": "sum of the risks from average cost to the stop / equity",
    "imputed_share": "risk of the positions without a usable stop / active risk",
    "coverage": "1 - exposure at stale marks / gross exposure",
}


@explains(derived.PORTFOLIO_HEAT, HEAT)
def portfolio_heat(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Heat is risk over equity, risk that of the positions at their stops."""
    portfolio, day = row.portfolio, row.day
    if column == "use":
        return cells(of, row, ("heat", "cap"))
    if column == "heat":
        return cells(of, row, ("active_heat", "reserved_heat"))
    if column == "cap":
        return [policy_value(of, portfolio, day, "heat.cap", of.policy(portfolio, day).heat.cap)]
    if column in ("active_heat", "reserved_heat"):
        return [*cells(of, row, (column.replace("heat", "risk"),)), *equity_of(of, portfolio, day)]
    if column == "reserved_risk":
        from portfolio_platform.explain.tables.control import reservations

        return [reservations(of, row)]
    if column == "coverage":
        return [*equity_of(of, portfolio, day, "stale_exposure"), *equity_of(of, portfolio, day, "gross_exposure")]
    quoted = "capital_risk" if column == "capital_heat" else "risk"
    flag = {"beyond_stop": "beyond_stop", "imputed_positions": "imputed", "imputed_share": "imputed"}.get(column)

    def found() -> list[Row]:
        rows = of.rows(derived.POSITION_RISK, portfolio, day, day)
        return by_size((item for item in rows if flag is None or item[flag]), quoted)

    title = {"beyond_stop": "positions beyond their stop", "imputed": "positions whose risk is imputed"}.get(flag or "", "positions")
    over = equity_of(of, portfolio, day) if column == "capital_heat" else []
    return [rows_of(of, title, found, quoted, position_name), *over]


def policy_value(of: Sources, portfolio: str, day: date, name: str, value: float | int | str | None) -> Draft:
    """Return a value of the policy in force on a day, with the policy's hash."""
    policy = of.policy(portfolio, day)
    return Draft(name, value, "–" if value is None else f"{value:,.6g}" if isinstance(value, float) else str(value),
                 f"policy {policy.name}, hash {policy.hash[:12]}")  # fmt: skip


RISK = {
    "risk": "by its stop: |mark - stop| x units + exit cost; imputed: sigmas x daily volatility x square root of the hold x exposure",
    "capital_risk": "from average cost to the stop, 0 where the stop locks a profit in",
    "exit_cost": "exit_cost_bps of the exposure",
    "risk_pct": "risk / equity",
    "exposure": "signed marked value",
    "sigma": "standard deviation (n - 1) of the symbol's daily log returns over the policy's sigma_window",
}


@explains(derived.POSITION_RISK, RISK)
def position_risk(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A risk is the way from the mark to the stop, or imputed where no stop protects."""
    policy = of.policy(row.portfolio, row.day).heat
    key = {"strategy": row["strategy"], "symbol": row["symbol"], "currency": row["currency"]}
    snapshot = of.row(derived.LEDGER_SNAPSHOTS, row.portfolio, row.day, **key)
    if column == "risk_pct":
        return [*cells(of, row, ("risk",)), *equity_of(of, row.portfolio, row.day)]
    if column == "mark" or column == "mark_age":
        return [mark_bar(of, row["symbol"], row.day)]
    if column in ("stop_price", "beyond_stop"):
        mark = cells(of, row, ("mark",)) if column == "beyond_stop" else []
        return [*mark, *same(of, snapshot, "stop_price", "stop in force")]
    if column == "sigma":
        return [_bars(of, row, policy.sigma_window), policy_value(of, row.portfolio, row.day, "heat.sigma_window", policy.sigma_window)]
    if column == "hold_days":
        return _expected_hold(of, row)
    if column == "exposure":
        return same(of, snapshot, "market_value_base", "marked value")
    if column == "exit_cost":
        return [*cells(of, row, ("exposure",)), policy_value(of, row.portfolio, row.day, "heat.exit_cost_bps", policy.exit_cost_bps)]
    method = plain(row, "method")
    if row["imputed"]:
        sigmas = policy_value(of, row.portfolio, row.day, "heat.sigmas", policy.sigmas)
        why = [cell(of, row, "stop_price", title="stop, which the mark is beyond")] if row["beyond_stop"] else []
        return [method, *why, *cells(of, row, ("exposure", "sigma", "hold_days")), sigmas]
    entry = same(of, snapshot, "average_cost", "average cost") if column == "capital_risk" else cells(of, row, ("mark",))
    units = same(of, snapshot, "quantity", "quantity")
    stop = [Draft("the fill that set the stop", parts=lambda: stop_fill(of, row))]
    return [method, *entry, *cells(of, row, ("stop_price",)), *stop, *units, *cells(of, row, ("exit_cost",))]


def _bars(of: Sources, row: Row, window: int) -> Draft:
    def found() -> list[Row]:
        after = end_of_day_ns(row.day - timedelta(days=2 * window + 15))
        return of.facts(BARS, after=after, until=end_of_day_ns(row.day), symbol=row["symbol"])[-(window + 1) :]

    return fact_lines(of, f"bars of {row['symbol']}: {window} returns", found)


def _expected_hold(of: Sources, row: Row) -> list[Draft]:
    def found() -> list[Row]:
        return of.facts(PLAYBOOK_EXPECTATIONS, template=row["template"], playbook=row["playbook"], regime="all")

    days = of.policy(row.portfolio, row.day).heat.default_hold_days
    return [fact_lines(of, "what its playbook expects", found), policy_value(of, row.portfolio, row.day, "heat.default_hold_days", days)]


@explains(derived.CROWDING, {"strategies": "strategies with an open quantity on that side", "exposure_pct": "exposure / equity"})
def crowding(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A crowd is the strategies with lots on one side of a symbol or template."""
    sign = 1 if row["side"] == "long" else -1

    def found() -> list[Row]:
        rows = of.rows(derived.LOT_EXPOSURES, row.portfolio, row.day, row.day, **{row["kind"]: row["group"]})
        return by_size((lot for lot in rows if lot["quantity"] * sign > 0), "market_value_base")

    over = [*cells(of, row, ("exposure",)), *equity_of(of, row.portfolio, row.day)] if column == "exposure_pct" else []
    return [*over, rows_of(of, "lots on that side", found, "market_value_base", lot_name)]


def lot_name(row: Row) -> str:
    """Return how lots of a position are called."""
    return f"{position_name(row)}, {row['template']}, {row['playbook']}"


METRICS = {
    "hhi": "sum over the groups of share squared",
    "hhi_normalised": "(HHI - 1/N) / (1 - 1/N), N the number of groups",
    "effective_n": "1 / HHI",
    "cr1": "share of the largest group",
    "cr3": "shares of the three largest groups",
    "coverage": "1 - share of what is unclassified",
    "top_share_worst_case": "share of the largest classified group and of all that is unclassified",
    "top_exposure_pct": "exposure of the largest group / equity",
}


@explains(derived.CONCENTRATION_METRICS, METRICS)
def concentration_metrics(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Concentration is made of the groups' shares."""
    quoted = "exposure_pct" if column == "top_exposure_pct" else "share"

    def found() -> list[Row]:
        key = {"dimension": row["dimension"], "basis": row["basis"]}
        return by_size(of.rows(derived.CONCENTRATION_GROUPS, row.portfolio, row.day, row.day, **key), "share")

    before = cells(of, row, ("hhi", "groups")) if column in ("hhi_normalised", "effective_n") else []
    return [*before, rows_of(of, "groups", found, quoted, lambda group: str(group["group"]))]


@explains(
    derived.CONCENTRATION_GROUPS,
    {
        "exposure": "sum of the sizes of what is in the group",
        "net_exposure": "sum of what is in the group, shorts negative",
        "share": "exposure of the group / that of all groups",
        "exposure_pct": "exposure of the group / equity",
    },
)
def concentration_groups(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """A group is the lots in it."""
    if column == "exposure_pct":
        return [*cells(of, row, ("exposure",)), *equity_of(of, row.portfolio, row.day)]
    if column == "share":
        key = {"dimension": row["dimension"], "basis": row["basis"]}
        others = by_size(of.rows(derived.CONCENTRATION_GROUPS, row.portfolio, row.day, row.day, **key), "exposure")
        return [*cells(of, row, ("exposure",)), rows_of(of, "all groups", lambda: others, "exposure", lambda group: str(group["group"]))]
    found = [rows_of(of, "lots in the group", lambda: _lots(of, row), "market_value_base", lot_name)]
    if row["basis"] == "risk":
        risks = [rows_of(of, "risks of their positions", lambda: _risks(of, row), "risk", position_name,
                         "a position's risk is shared by its lots as their exposures are")]  # fmt: skip
        return [*risks, *found]
    if row["dimension"] in ("cohort", "sector"):
        symbols = sorted({lot["symbol"] for lot in _lots(of, row)})
        return [*found, fact_lines(of, "instruments", lambda: of.facts(INSTRUMENTS, isin={"symbol": symbols}))]
    return found


def _lots(of: Sources, row: Row) -> list[Row]:
    lots = of.rows(derived.LOT_EXPOSURES, row.portfolio, row.day, row.day)
    dimension, group = row["dimension"], row["group"]
    if dimension in ("cohort", "sector"):
        classes = {item["symbol"]: item[dimension] for item in of.facts(INSTRUMENTS)}
        return by_size((lot for lot in lots if (classes.get(lot["symbol"]) or UNCLASSIFIED) == group), "market_value_base")
    return by_size((lot for lot in lots if (lot[dimension] or UNCLASSIFIED) == group), "market_value_base")


def _risks(of: Sources, row: Row) -> list[Row]:
    held = {(lot["strategy"], lot["symbol"], lot["currency"]) for lot in _lots(of, row)}
    rows = of.rows(derived.POSITION_RISK, row.portfolio, row.day, row.day)
    return by_size((risk for risk in rows if (risk["strategy"], risk["symbol"], risk["currency"]) in held), "risk")


@explains(
    derived.CONCENTRATION_DRIFT,
    {
        "share": "mean share of gross exposure over the window's sessions with exposure",
        "baseline": "mean share over the sessions before the window, those with exposure",
        "drift": "share - baseline",
    },
)
def concentration_drift(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """Drift is a mean of shares against the mean before it."""
    if column == "drift":
        return cells(of, row, ("share", "baseline"))
    policy = of.policy(row.portfolio, row.day).concentration
    of_baseline = column.startswith("baseline")
    size, lag = (policy.drift_baseline, policy.drift_window) if of_baseline else (policy.drift_window, 0)
    days = of.window(row.portfolio, row.day, size, lag=lag)
    if not days:
        return [Draft("no session is in that window")]
    key = {"dimension": row["dimension"], "basis": "gross", "group": row["group"]}
    words = "a session that holds nothing of it counts as 0, one without exposure not at all"
    return [
        listing(
            f"shares from {days[0]} to {days[-1]}, {len(days)} sessions",
            lambda: [cell(of, found, "share", title=found.day.isoformat())
                     for found in reversed(of.rows(derived.CONCENTRATION_GROUPS, row.portfolio, days[0], days[-1], **key))],
            words,
        )
    ]  # fmt: skip


@explains(
    derived.ONE_SIDED,
    {
        "long_symbols": "symbols whose net exposure over all strategies is above 0",
        "short_symbols": "symbols whose net exposure over all strategies is below 0",
        "lasting": "fewest symbols on the lasting side in any session of the window; 0 until the window is full",
        "lasting_share": "smallest share of the symbols held on that side in any session of the window",
    },
)
def one_sided(of: Sources, row: Row, column: str) -> Iterable[Draft]:
    """One-sidedness is the sides of the symbols held, and how long they stayed so."""
    if column in ("long_symbols", "short_symbols"):
        sign = 1.0 if column == "long_symbols" else -1.0

        def found() -> list[Row]:
            groups = of.rows(derived.CONCENTRATION_GROUPS, row.portfolio, row.day, row.day, dimension="symbol", basis="gross")
            return by_size((group for group in groups if group.number("net_exposure") * sign > 0.0), "net_exposure")

        return [rows_of(of, "symbols on that side", found, "net_exposure", lambda group: str(group["group"]))]
    days = of.window(row.portfolio, row.day, of.policy(row.portfolio, row.day).correlation.one_sided_window)
    rows = of.rows(derived.ONE_SIDED, row.portfolio, days[0], row.day)
    sides = [by_session(of, name.replace("_", " "), lambda: reversed(rows), name) for name in ("long_symbols", "short_symbols")]
    return [*([plain(row, "side")] if row["side"] else []), *sides]
