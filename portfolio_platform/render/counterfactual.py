"""A counterfactual, or a calibration, as one self-contained page and for a terminal. No script, nothing loaded, all text escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portfolio_platform.control.counterfactual.calibrate import Calibration
from portfolio_platform.control.counterfactual.model import Counterfactual
from portfolio_platform.render import counterfactual_blocks as blocks
from portfolio_platform.render import counterfactual_charts as charts
from portfolio_platform.render import formats
from portfolio_platform.render.blocks import Grid
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from markupsafe import Markup
    from rich.console import Group, RenderableType
    from rich.table import Table

ON_TERMINAL = 5
"""Rows of the tables of trades that a terminal shows."""


@dataclass(frozen=True)
class Card:
    """A figure at the top: what it would have been, and what it was."""

    label: str
    value: str
    before: str


@dataclass(frozen=True)
class Picture:
    """A chart with its title and a sentence that says what it shows."""

    title: str
    sentence: str
    svg: "Markup"


@dataclass(frozen=True)
class Section:
    """One portfolio on the page."""

    title: str
    subtitle: str
    sentences: Sequence[str]
    cards: Sequence[Card]
    pictures: Sequence[Picture]
    grids: Sequence[Grid]
    folded: Sequence[tuple[str, Grid]]
    hash: str
    is_wide: bool = False


def to_html(found: Sequence[Counterfactual]) -> str:
    """Return the page of some portfolios' counterfactuals."""
    return _page("What other limits would have done", found[0].caveat, [_section(one, place) for place, one in enumerate(found)])


def calibration_html(found: Sequence[Calibration]) -> str:
    """Return the page of some portfolios' calibrations."""
    caveat = f"Chosen by this rule: {found[0].rule}. {found[0].caveat}"
    return _page("What other thresholds would have done", caveat, [_calibration(one, place) for place, one in enumerate(found)])


def to_terminal(found: Counterfactual) -> "Group":
    """Return what `rich` prints of a counterfactual."""
    from rich.console import Group

    shown = [*_head(blocks.title(found), blocks.subtitle(found), found.caveat, blocks.sentences(found))]
    for grid in (blocks.summary(found), blocks.rules(found), *blocks.largest(found)):
        shown += [_text(""), _rich(grid, 0 if grid.columns[0].head != "Intent" else ON_TERMINAL)]
    return Group(*shown)


def calibration_terminal(found: Calibration) -> "Group":
    """Return what `rich` prints of a calibration."""
    from rich.console import Group

    shown = [
        *_head(blocks.calibration_title(found), f"Chosen by this rule: {found.rule}.", found.caveat, blocks.calibration_sentences(found))
    ]
    return Group(*shown, _text(""), _rich(blocks.trade_off(found), 0))


def _section(found: Counterfactual, place: int) -> Section:
    from markupsafe import Markup

    then, now, what = found.then, found.now, found.refusals
    return Section(
        title=blocks.title(found),
        subtitle=blocks.subtitle(found),
        sentences=blocks.sentences(found),
        cards=(
            Card("Maximum drawdown", formats.percent(now.max_drawdown), f"recorded {formats.percent(then.max_drawdown)}"),
            Card("P&L", formats.money(now.pnl, found.currency), f"recorded {formats.money(then.pnl, found.currency)}"),
            Card("Risk refused", formats.percent(what.share), f"of {formats.money(what.requested, found.currency)} asked for"),
            Card(
                "Avoided less missed",
                formats.moved(what.avoided - what.missed, formats.MONEY, found.currency),
                "of refused shares of trades",
            ),
        ),
        # the SVG is made here; names from outside are in it as shapes, never as text
        pictures=[
            Picture(charts.TITLES[name], charts.SENTENCES[name], Markup(charts.chart(name, found, f"p{place}")))  # noqa: S704
            for name in charts.TITLES
        ],
        grids=(blocks.summary(found), blocks.rules(found), *blocks.largest(found)),
        folded=((f"Every trade that would have been refused ({what.refused_trades})", blocks.refused(found)),),
        hash=found.hash,
    )


def _calibration(found: Calibration, place: int) -> Section:
    from markupsafe import Markup

    picture = Picture(
        "Maximum drawdown against P&L forgone",
        "Each dot is a set of thresholds; the line joins those of its window that no other beats. The choice saw the left side only.",
        Markup(charts.trade_off_svg(found, f"p{place}")),  # noqa: S704
    )
    return Section(
        title=blocks.calibration_title(found),
        subtitle=f"policy {found.policy_hash[:12]}, chosen {found.choice.policy_hash[:12]}",
        sentences=blocks.calibration_sentences(found),
        cards=(),
        pictures=(picture,),
        grids=(blocks.trade_off(found),),
        folded=((f"Everything that was tried ({len(found.choice.seen.points)})", blocks.tried(found)),),
        hash=found.hash,
        is_wide=True,
    )


def _page(title: str, caveat: str, sections: Sequence[Section]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("portfolio_platform.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["line"] = one_line
    return environment.get_template("counterfactual.html.j2").render(title=title, caveat=caveat, sections=sections)


def _head(title: str, subtitle: str, caveat: str, sentences: Sequence[str]) -> "list[RenderableType]":
    return [_text(title, "bold"), _text(subtitle, "dim"), _text(caveat, "yellow"), *(_text(f"• {line}") for line in sentences)]


def _text(text: str, style: str = "") -> Any:
    from rich.text import Text

    return Text(one_line(text), style=style)


def _rich(grid: Grid, most: int) -> "Table":
    """Return a table; ``most`` rows of it, all of them where 0."""
    from rich.table import Table

    table = Table(title=_text(grid.caption), title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in grid.columns:
        table.add_column(_text(column.head), justify="right" if column.number else "left", overflow="fold", no_wrap=column.number)
    for row in grid.rows[: most or None]:
        table.add_row(*(_text(cell.text) for cell in row))
    return table
