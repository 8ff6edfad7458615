"""A paper run as one self-contained page. No script, nothing loaded from elsewhere, every text escaped by the template."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from portfolio_platform.render import formats
from portfolio_platform.render import paper_blocks as blocks
from portfolio_platform.render import paper_charts as charts
from portfolio_platform.render.paper_shown import PaperShown, summary
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from markupsafe import Markup


@dataclass(frozen=True)
class Card:
    """A figure at the top of a page, and what stands beside it."""

    label: str
    value: str
    before: str


@dataclass(frozen=True)
class Picture:
    """A chart with its title and a sentence that says what it shows."""

    title: str
    sentence: str
    svg: "Markup"


def paper_page(run: PaperShown) -> bytes:
    """Return the page of a run; equal input gives equal bytes."""
    drawn = {name: picture(charts.TITLES[name], charts.SENTENCES[name], charts.chart(name, run)) for name in charts.TITLES}
    return filled(
        title=blocks.title(run),
        subtitle=blocks.subtitle(run),
        heading="What it came to",
        sentences=blocks.sentences(run),
        cards=_cards(run),
        wide=[drawn[name] for name in charts.WIDE],
        pictures=[drawn[name] for name in charts.TITLES if name not in charts.WIDE],
        grids=[blocks.figures(run), blocks.symbols(run), blocks.playbooks(run), blocks.limits(run)],
        folded=[("The monitor's newest recommendations", blocks.orders(run)), ("The last closed trades", blocks.trades(run))],
        notes=blocks.NOTES,
        hashes=[(f"record of {run.portfolio}", run.hash)],
    )


def picture(title: str, sentence: str, svg: str) -> Picture:
    """Return a picture; the SVG is made here, names from outside are in it as shapes, never as text."""
    from markupsafe import Markup

    return Picture(title, sentence, Markup(svg))  # noqa: S704


def filled(**parts: Any) -> bytes:
    """Return the template of a run's page, filled."""
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
    return environment.get_template("paper.html.j2").render(**parts).encode()


def _cards(run: PaperShown) -> Sequence[Card]:
    what = summary(run)
    last = run.sessions[-1] if run.sessions else None
    return (
        Card(
            "Equity",
            formats.money(last.equity if last else run.cash, run.currency),
            f"{formats.percent(what.total_return)} since the start",
        ),
        Card("Maximum drawdown", formats.percent(what.max_drawdown), f"now {formats.percent(last.drawdown) if last else formats.NULL}"),
        Card("Open positions", f"{last.held if last else 0}", f"heat {formats.percent(last.heat) if last else formats.NULL}"),
        Card(
            "Mode", (last.mode if last else "normal").replace("_", " "), f"regime {(last.regime if last else 'normal').replace('_', ' ')}"
        ),
    )
