"""What a counterfactual and a calibration say, in sentences and tables; terminal, page and documentation are made from them."""

from collections.abc import Callable, Sequence
from typing import Literal

from portfolio_platform.control.counterfactual.calibrate import Calibration, Point
from portfolio_platform.control.counterfactual.model import Counterfactual, Outcome
from portfolio_platform.control.counterfactual.outcome import shares
from portfolio_platform.control.model import Headroom
from portfolio_platform.days import day_number, to_date
from portfolio_platform.render import formats
from portfolio_platform.render.blocks import Cell, Grid, columns
from portfolio_platform.render.counterfactual_charts import frontier, rule_name

Unit = Literal["money", "percent", "count", "times", "day"]
FIGURES: tuple[tuple[str, str, Unit], ...] = (
    ("P&L", "pnl", "money"),
    ("Realised", "realised", "money"),
    ("Unrealised", "unrealised", "money"),
    ("Fees", "fees", "money"),
    ("Return", "total_return", "percent"),
    ("Maximum drawdown", "max_drawdown", "percent"),
    ("Worst day", "worst_return", "percent"),
    ("Sessions in risk-off", "risk_off_sessions", "count"),
    ("Trades", "trades", "count"),
    ("Turnover, times mean equity", "turnover", "times"),
    ("Mean heat", "mean_heat", "percent"),
    ("Largest heat", "max_heat", "percent"),
    ("Mean gross exposure", "mean_gross", "percent"),
    ("Largest exposure of a symbol", "max_symbol", "percent"),
    ("Largest exposure of a cohort", "max_cohort", "percent"),
)
LARGEST = 10


def title(found: Counterfactual) -> str:
    """Return the heading of a portfolio's counterfactual."""
    return f"{found.portfolio} under {found.policy}"


def subtitle(found: Counterfactual) -> str:
    """Return what it covers and assumes."""
    whose = "the counterfactual drawdown" if found.regime == "counterfactual" else "the recorded drawdown"
    most = "" if found.most == 1.0 else f"; a trade could grow to {formats.number(found.most, 2)} times its size"
    return f"{found.first} to {found.last}, {len(found.days):,} sessions; the regime follows {whose}{most}; policy {found.policy_hash[:12]}"


def sentences(found: Counterfactual) -> list[str]:
    """Return what it comes to, the most important first."""
    then, now, what = found.then, found.now, found.refusals
    money = _spelled(found.currency)
    out = [
        f"Maximum drawdown {formats.percent(then.max_drawdown)} would have been {formats.percent(now.max_drawdown)}; "
        f"P&L {money(then.pnl)} would have been {money(now.pnl)}.",
        f"Of {what.intents:,} intents {what.full:,} would have been granted in full, {what.clipped:,} clipped and {what.refused:,} "
        f"refused: {formats.percent(what.share)} of the risk they asked for.",
        f"The refused shares of trades lost {money(what.avoided)}, which was avoided, and made {money(what.missed)}, which was missed.",
    ]
    if found.rules:
        rule = found.rules[0]
        part = rule.risk / (what.requested - what.granted) if what.requested > what.granted else 0.0
        net = rule.avoided - rule.missed
        verb = "saved" if net > 0.0 else "cost"
        out.append(
            f"{formats.percent(part, 0)} of what was not granted is due to {_rule_words(rule.rule)}, which on balance {verb} "
            f"{money(abs(net))}."
        )
    out.append(
        f"{then.risk_off_sessions:,} sessions in risk-off by the recorded drawdown, {now.risk_off_sessions:,} by the counterfactual one."
    )
    if what.no_fill:
        out.append(
            f"{what.no_fill:,} intents that were refused then would have been granted {money(what.no_fill_risk)} of risk; no fill to "
            f"follow, so they change nothing here."
        )
    if what.above and found.most == 1.0:
        out.append(f"{what.above:,} would have been granted more than then; their trades stay as large as they were.")
    return out


def summary(found: Counterfactual) -> Grid:
    """Return both paths and what changes between them."""
    rows = []
    for label, name, unit in FIGURES:
        before, after = getattr(found.then, name), getattr(found.now, name)
        changed = _changed(after - before, unit, found.currency)
        texts = [_told(value, unit, found.currency) for value in (before, after)]
        if name == "worst_return":
            texts = [f"{text} ({one.worst_day})" for text, one in zip(texts, (found.then, found.now), strict=True)]
        rows.append((Cell(label), Cell(texts[0]), Cell(texts[1]), Cell(changed)))
    return Grid("As it was, and as it would have been", columns("<Figure", "recorded", "counterfactual", "change"), tuple(rows))


def rules(found: Counterfactual) -> Grid:
    """Return what each rule did."""
    rows = tuple(
        (
            Cell(rule_name(rule.rule)),
            Cell(f"{rule.clipped:,}"),
            Cell(f"{rule.refused:,}"),
            Cell(_whole(rule.risk)),
            Cell(_whole(rule.avoided)),
            Cell(_whole(rule.missed)),
            Cell(_signed(rule.avoided - rule.missed)),
        )
        for rule in found.rules
    )
    heads = columns("<Rule", "clipped", "refused", "risk not granted", "losses avoided", "gains missed", "net")
    return Grid(f"By the rule that bit, in {found.currency}; an intent may be made smaller by the mode and then by a cap", heads, rows)


def largest(found: Counterfactual) -> list[Grid]:
    """Return the refused shares that lost most, and those that made most."""
    lost = sorted((one for one in found.outcomes if one.pnl != one.kept), key=lambda one: (one.pnl - one.kept, one.decision.intent_id))
    avoided = [one for one in lost[:LARGEST] if one.pnl < one.kept]
    missed = [one for one in lost[: -LARGEST - 1 : -1] if one.pnl > one.kept]
    return [
        Grid(f"Largest losses avoided, in {found.currency}", _TRADE_HEADS, tuple(_trade(one, found) for one in avoided)),
        Grid(f"Largest gains missed, in {found.currency}", _TRADE_HEADS, tuple(_trade(one, found) for one in missed)),
    ]


def refused(found: Counterfactual) -> Grid:
    """Return every trade that would have been refused as a whole."""
    rows = tuple(_trade(one, found) for one in found.outcomes if one.fate == "refused")
    return Grid(f"Trades that would have been refused as a whole, in {found.currency}", _TRADE_HEADS, rows)


_TRADE_HEADS = columns("<Intent", "<day", "<symbol", "<strategy", "<because of", "asked", "granted", "its P&L", "of that kept")


def _trade(one: Outcome, found: Counterfactual) -> tuple[Cell, ...]:
    decision, minor = one.decision, 10**found.digits
    return (
        Cell(decision.intent_id),
        Cell(to_date(day_number(decision.at)).isoformat()),
        Cell(decision.symbol),
        Cell(decision.strategy),
        Cell(because(one, minor)),
        Cell(_whole(decision.requested_risk / minor)),
        Cell(_whole(decision.approved_risk / minor)),
        Cell(_signed(one.pnl)),
        Cell(_signed(one.kept)),
    )


def because(one: Outcome, minor: int) -> str:
    """Return the rules that took from an intent, with the numbers that each saw."""
    found = []
    rooms = {room.rule: room for room in sorted(one.decision.headrooms, key=lambda room: -room.headroom)}
    for rule in shares(one.decision):
        room = rooms.get(rule)
        if room is not None:
            found.append(_seen(room, minor))
        elif rule == "mode":
            found.append(f"mode {one.decision.mode}, size {formats.percent(one.decision.multiplier / 1e6, 0)}")
        else:
            found.append(rule_name(rule))
    return "; ".join(found)


def _seen(room: Headroom, minor: int) -> str:
    name = f"{rule_name(room.rule)} {room.scope}".strip()
    if room.limit is None:
        return name
    if room.basis == "count":
        return f"{name}: {room.used:,} of {room.limit:,}"
    return f"{name}: {formats.number(room.used / minor, 0)} of {formats.number(room.limit / minor, 0)} used"


def calibration_title(found: Calibration) -> str:
    """Return the heading of a calibration."""
    return f"Thresholds of {found.policy} for {found.portfolio}"


def calibration_sentences(found: Calibration) -> list[str]:
    """Return what was chosen, how it did afterwards, and how far that is to be trusted."""
    seen, judged, name = found.choice.seen, found.judged, found.choice.chosen
    money = _spelled(found.currency)
    before, after, base = seen.of(name), judged.of(name), judged.of("as it is")
    chosen = "the policy as it is" if name == "as it is" else name
    kept = "kept" if after.max_drawdown <= found.ceiling else "broke"
    out = [
        f"Chosen on {seen.first} to {seen.last} among {len(seen.points)}: {chosen} ({formats.percent(before.max_drawdown)} maximum "
        f"drawdown, P&L {money(before.pnl)}).",
        f"Frozen, and judged on {judged.first} to {judged.last}: it {kept} the ceiling of {formats.percent(found.ceiling)} with "
        f"{formats.percent(after.max_drawdown)}, P&L {money(after.pnl)}; the policy as it is had {formats.percent(base.max_drawdown)} and "
        f"{money(base.pnl)}, what was recorded {formats.percent(judged.then.max_drawdown)} and {money(judged.then.pnl)}.",
    ]
    if not found.choice.is_met:
        out.append("No candidate kept the ceiling on the first window; the one with the smallest maximum drawdown was taken.")
    if found.rank_pnl is not None and found.rank_drawdown is not None:
        out.append(
            f"How much the first window told of the second (rank correlation over the candidates, 1 all and 0 nothing): maximum drawdown "
            f"{formats.number(found.rank_drawdown, 2)}, P&L {formats.number(found.rank_pnl, 2)}."
        )
    return out


def trade_off(found: Calibration) -> Grid:
    """Return the candidates that nothing beat on the first window, the policy as it is and the recorded path, over both windows."""
    shown = {point.name: point for point in frontier(found.choice.seen.points)}
    shown["as it is"] = found.choice.seen.of("as it is")
    ordered = sorted(shown.values(), key=lambda one: (one.max_drawdown, one.name))
    rows = [_point(found, one, found.judged.of(one.name)) for one in ordered]
    return Grid(_caption(found), _POINT_HEADS, (*rows, _point(found, found.choice.seen.then, found.judged.then)))


def tried(found: Calibration) -> Grid:
    """Return every candidate over both windows."""
    ordered = sorted(found.choice.seen.points, key=lambda one: (one.max_drawdown, one.name))
    return Grid(_caption(found), _POINT_HEADS, tuple(_point(found, one, found.judged.of(one.name)) for one in ordered))


_POINT_HEADS = columns(
    "<Changes", "max drawdown", "P&L", "forgone", "risk refused", "then: max drawdown", "then: P&L", "then: forgone", "then: risk refused"
)


def _caption(found: Calibration) -> str:
    seen, judged = found.choice.seen, found.judged
    return f"{seen.first} to {seen.last}, on which was chosen; then {judged.first} to {judged.last}, which judges. In {found.currency}"


def _point(found: Calibration, one: Point, later: Point) -> tuple[Cell, ...]:
    name = f"{one.name} (chosen)" if one.name == found.choice.chosen else one.name
    return (Cell(name), *_figures(one), *_figures(later))


def _figures(point: Point) -> Sequence[Cell]:
    texts = (
        formats.percent(point.max_drawdown),
        _whole(point.pnl),
        _whole(point.forgone),
        formats.percent(point.risk_refused),
    )
    return [Cell(text) for text in texts]


def _whole(amount: float) -> str:
    return formats.number(amount, 0)


def _signed(amount: float) -> str:
    text = _whole(abs(amount))
    return text if text == "0" else f"{formats.MINUS if amount < 0.0 else '+'}{text}"


def _rule_words(rule: str) -> str:
    return "the smaller size of the drawdown's mode" if rule == "mode" else f"the rule {rule_name(rule)!r}"


def _spelled(currency: str) -> Callable[[float], str]:
    return lambda amount: formats.money(amount, currency)


def _told(value: float, unit: Unit, currency: str) -> str:
    if unit == "money":
        return formats.money(value, currency)
    if unit == "percent":
        return formats.percent(value)
    return formats.number(value, 0 if unit == "count" else 1)


def _changed(change: float, unit: Unit, currency: str) -> str:
    if unit == "money":
        return formats.moved(change, formats.MONEY, currency)
    if unit == "percent":
        return formats.moved(change, formats.PERCENT)
    digits = 0 if unit == "count" else 1
    text = formats.number(abs(change), digits)
    return formats.UNCHANGED if not change else f"{formats.MINUS if change < 0 else '+'}{text}"
