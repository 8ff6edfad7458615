"""What a paper run and a comparison of two say, in sentences and tables; page, Markdown and terminal are made from them."""

import math
from collections.abc import Callable
from typing import Literal

from portfolio_platform.render import formats
from portfolio_platform.render.blocks import Cell, Grid, columns
from portfolio_platform.render.paper_shown import PaperShown, SummaryShown, interval, limits_that_bit, summary

Unit = Literal["money", "percent", "count", "number", "r"]
FIGURES: tuple[tuple[str, str, Unit], ...] = (
    ("Return", "total_return", "percent"),
    ("P&L", "pnl", "money"),
    ("Maximum drawdown", "max_drawdown", "percent"),
    ("Mean heat", "mean_heat", "percent"),
    ("Largest heat", "max_heat", "percent"),
    ("Sessions with heat above its cap", "over_cap", "count"),
    ("Largest symbol, mean", "mean_symbol", "percent"),
    ("Largest symbol, at most", "max_symbol", "percent"),
    ("Largest cohort, mean", "mean_cohort", "percent"),
    ("Largest cohort, at most", "max_cohort", "percent"),
    ("Open positions, mean", "mean_held", "number"),
    ("Open positions, at most", "max_held", "count"),
    ("Sessions in a mode below normal", "guarded", "count"),
    ("Activations", "activations", "count"),
    ("Made smaller", "smaller", "count"),
    ("Refused", "refused", "count"),
    ("Risk wanted", "wanted", "money"),
    ("Risk granted", "got", "money"),
    ("Closed trades", "trades", "count"),
    ("Winners", "win_rate", "percent"),
    ("Mean R", "mean_r", "r"),
    ("Fees", "fees", "money"),
)
NOTES = (
    "It is paper: slippage, fees, partial fills and rejections are drawn from a seed by a broker of our own.",
    "Its orders move no price: a bar's volume bounds what is filled of it, and nothing answers to it.",
    "It is one path over one history; another seed, another universe or other years give another one.",
)
LAST_TRADES = 20


def told(value: float, unit: Unit, currency: str) -> str:
    """Return a figure as a person reads it."""
    if unit == "money":
        return formats.money(value, currency)
    if unit == "percent":
        return formats.percent(value)
    if unit == "r":
        return f"{formats.number(value, 2)} R" if math.isfinite(value) else formats.NULL
    return formats.number(value, 0 if unit == "count" else 1)


def changed(change: float, unit: Unit, currency: str) -> str:
    """Return a difference with its sign."""
    if not math.isfinite(change):
        return formats.NULL
    text = told(abs(change), unit, currency)
    if not any(char in "123456789" for char in text):
        return formats.UNCHANGED if not change else formats.ALMOST_UNCHANGED
    return f"{formats.MINUS if change < 0 else '+'}{text}"


def title(run: PaperShown) -> str:
    """Return the heading of a run."""
    return f"{run.portfolio} on paper"


def subtitle(run: PaperShown) -> str:
    """Return what it covers."""
    if not run.sessions:
        return "no session yet"
    control = {"on": "control plane on", "off": "control plane off", "alone": "every symbol alone"}.get(run.control, run.control)
    return f"{run.days[0]} to {run.days[-1]}, {len(run.sessions):,} sessions; policy {run.policy}; {control}"


def sentences(run: PaperShown) -> list[str]:
    """Return what a run came to, the most important first."""
    if not run.sessions:
        return ["The run has no session yet."]
    what, money = summary(run), _spelled(run.currency)
    last = run.sessions[-1]
    out = [
        f"From {money(run.cash)} to {money(last.equity)}: {formats.percent(what.total_return)}, maximum drawdown "
        f"{formats.percent(what.max_drawdown)}.",
        f"{what.trades:,} closed trades, {formats.percent(what.win_rate, 0)} of them winners; mean R {mean_r(run)}.",
        f"Of {what.activations:,} activations {what.activations - what.smaller - what.refused:,} got what they wanted, {what.smaller:,} "
        f"were made smaller and {what.refused:,} refused: {formats.percent(granted(what))} of the risk they wanted was granted.",
    ]
    bit = limits_that_bit(run)
    if bit:
        name, (refused, smaller, _) = next(iter(bit.items()))
        out.append(f"Most was taken by {name}: {refused:,} refused, {smaller:,} made smaller.")
    if what.guarded:
        out.append(f"{what.guarded:,} of {len(run.sessions):,} sessions in a mode below normal; {what.over_cap:,} with heat above its cap.")
    if run.findings:
        out.append(f"{len(run.findings)} things that should not be: {'; '.join(run.findings[:3])}.")
    return out


def mean_r(run: PaperShown) -> str:
    """Return the mean R with its interval, or that there is none."""
    rs = [one.r for one in run.trades]
    if not rs:
        return "not known: no trade was closed"
    between = interval(rs)
    mean = f"{formats.number(sum(rs) / len(rs), 2)} R"
    if between is None:
        return f"{mean} over {len(rs)} trades, too few for an interval"
    return f"{mean} (95 % between {formats.number(between[0], 2)} and {formats.number(between[1], 2)} R)"


def granted(what: SummaryShown) -> float:
    """Return the share of the wanted risk that was granted."""
    return what.got / what.wanted if what.wanted else math.nan


def figures(run: PaperShown) -> Grid:
    """Return the validation figures against their gates."""
    rows = tuple((Cell(one.name), Cell(one.value), Cell(one.gate), Cell(one.verdict)) for one in run.figures)
    return Grid("Validation figures against their gates", columns("<Figure", "<found", "<gate", "<verdict"), rows)


def symbols(run: PaperShown) -> Grid:
    """Return one row for each symbol."""
    rows = []
    for one in run.symbols:
        trades = [trade for trade in run.trades if trade.symbol == one.symbol]
        answers = [answer for answer in run.answers if answer.symbol == one.symbol]
        fates = [answer.fate for answer in answers]
        rows.append(
            (
                Cell(one.symbol),
                Cell(one.phase.replace("_", " ")),
                Cell(one.template.replace("_", " ") or formats.NULL),
                Cell(f"{len(trades):,}"),
                Cell(formats.number(sum(trade.r for trade in trades), 2)),
                Cell(formats.number(sum(trade.pnl for trade in trades), 0)),
                Cell(f"{len(answers):,}"),
                Cell(f"{fates.count('smaller'):,}"),
                Cell(f"{fates.count('refused'):,}"),
                Cell(one.waits_for),
            )
        )
    heads = columns("<Symbol", "<phase", "<template", "trades", "sum of R", "P&L", "asked", "smaller", "refused", "<waits for")
    return Grid(f"Symbols; P&L of closed trades in {run.currency}", heads, tuple(rows))


def playbooks(run: PaperShown) -> Grid:
    """Return one row for each playbook that closed a trade."""
    names = sorted({(one.playbook, one.template) for one in run.trades})
    rows = []
    for playbook, template in names:
        rs = [one.r for one in run.trades if (one.playbook, one.template) == (playbook, template)]
        between = interval(rs)
        low_high = f"{formats.number(between[0], 2)} to {formats.number(between[1], 2)}" if between else "too few"
        pnl = sum(one.pnl for one in run.trades if (one.playbook, one.template) == (playbook, template))
        wins = sum(r > 0 for r in rs) / len(rs)
        rows.append(
            (
                Cell(playbook),
                Cell(template.replace("_", " ")),
                Cell(f"{len(rs):,}"),
                Cell(formats.percent(wins, 0)),
                Cell(formats.number(sum(rs) / len(rs), 2)),
                Cell(low_high),
                Cell(formats.number(pnl, 0)),
            )
        )
    heads = columns("<Playbook", "<template", "trades", "winners", "mean R", "95 % interval", "P&L")
    return Grid(f"Playbooks; an interval that holds 0 says that nothing is known of the sign. In {run.currency}", heads, tuple(rows))


def limits(run: PaperShown) -> Grid:
    """Return what each limit took."""
    rows = tuple(
        (Cell(name), Cell(f"{refused:,}"), Cell(f"{smaller:,}"), Cell(formats.number(risk, 0)))
        for name, (refused, smaller, risk) in limits_that_bit(run).items()
    )
    caption = f"Limits that bit, in {run.currency}; what several took is shared among them in equal parts"
    return Grid(caption, columns("<Limit", "refused", "made smaller", "risk taken"), rows)


def orders(run: PaperShown) -> Grid:
    """Return the newest recommendations."""
    rows = tuple((Cell(one.day), Cell(one.says), Cell(one.became)) for one in run.orders)
    return Grid("The monitor's newest recommendations", columns("<Issued", "<says", "<became"), rows)


def trades(run: PaperShown) -> Grid:
    """Return the newest closed trades."""
    rows = tuple(
        (
            Cell(one.closed.isoformat()),
            Cell(one.symbol),
            Cell(one.playbook),
            Cell(one.regime or formats.NULL),
            Cell(one.exit),
            Cell(formats.number(one.r, 2)),
            Cell(formats.number(one.pnl, 0)),
        )
        for one in reversed(run.trades[-LAST_TRADES:])
    )
    heads = columns("<Closed", "<symbol", "<playbook", "<regime at entry", "<exit", "R", "P&L")
    return Grid(f"The last {len(rows)} closed trades, in {run.currency}", heads, rows)


def _spelled(currency: str) -> Callable[[float], str]:
    return lambda amount: formats.money(amount, currency)
