"""The paper portfolio of `make run`: a year of the sample's bars with nobody at the wheel, in a home of its own inside the home.

The sample's own portfolios, reports and clock are not touched: the paper portfolio has its own lake and book in ``paper-home``.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from portfolio_platform.home import Home

if TYPE_CHECKING:
    from rich.console import Console

    from portfolio_platform.paper.model import Moment
    from portfolio_platform.render.paper_shown import PaperShown

FOLDER, PORTFOLIO = "paper-home", "paper"
FIRST, LAST = date(2008, 1, 2), date(2008, 12, 31)
"""The year of the crash: it is short enough to wait for, and envelopes have something to do in it."""
SOURCES = ("instruments.csv", "bars.csv.gz")
MOST_LIMITS = 3


@dataclass(frozen=True)
class PaperYear:
    """What the paper portfolio did: its home, what is shown of it, its page, and whether it had run before."""

    home: Home
    run: "PaperShown"
    page: Path
    is_new: bool


def run_paper(home: Home, sample: Path, console: "Console") -> PaperYear:
    """Run the year on paper, or find that it has been run; write its page.

    Raises:
        PortfolioError: the sample has no bars, or a store cannot be written.
    """
    from portfolio_platform.paper.model import PaperOptions
    from portfolio_platform.paper.run import run
    from portfolio_platform.paper.shown import shown_of, write_page
    from portfolio_platform.sources.pipeline import import_paths
    from portfolio_platform.sources.sample import last_day

    own = Home(home.root / FOLDER)
    if not own.exists:
        own.create()
        own.pin_clock(last_day(sample))
    page = own.root / "paper" / PORTFOLIO / "page.html"
    if page.is_file() and _is_finished(own):
        return PaperYear(own, shown_of(own, PORTFOLIO), page, is_new=False)
    with console.status("paper portfolio") as status:
        import_paths(own, [sample / name for name in SOURCES], progress=status.update)

        def show(moment: "Moment") -> None:
            done, of = moment.done
            status.update(
                f"paper portfolio {moment.day} [dim]{done:,} of {of:,} sessions[/] equity {moment.equity / 100:,.0f}, {moment.mode}"
            )

        done = run(own, PaperOptions(portfolio=PORTFOLIO), first=FIRST, last=LAST, show=show, report=status.update, build=False)
        status.update("drawing the paper portfolio")
        shown = shown_of(own, PORTFOLIO, done.figures)
        page = write_page(own, PORTFOLIO, run=shown)
    return PaperYear(own, shown, page, is_new=True)


def _is_finished(own: Home) -> bool:
    from portfolio_platform.paper.record import read_record

    with own.book.reading() as connection:
        finished = read_record(connection, PORTFOLIO).finished
    return finished is not None and finished.day >= LAST.isoformat()


def show_paper(year: PaperYear, console: "Console") -> None:
    """Print what the loop did and what envelopes changed, the page, and how to go on."""
    from rich import box
    from rich.table import Table

    from portfolio_platform.render import formats
    from portfolio_platform.render.paper_blocks import subtitle
    from portfolio_platform.render.paper_shown import limits_that_bit, summary

    run, what = year.run, summary(year.run)
    title = f"On paper by itself: {subtitle(run).partition(';')[0]}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    workflows = f"{len(run.symbols)} workflows, {what.activations} activations, {what.trades} closed trades"
    table.add_row("the loop", f"{workflows}; {formats.money(run.cash)} became {formats.money(run.sessions[-1].equity, run.currency)}")
    table.add_row("drawdown, heat", f"at most {formats.percent(what.max_drawdown)} and {formats.percent(what.max_heat)}")
    bit = ", ".join(f"{name} ({refused + smaller})" for name, (refused, smaller, _) in list(limits_that_bit(run).items())[:MOST_LIMITS])
    risk = f"{formats.money(what.got)} of {formats.money(what.wanted)} at risk"
    told = f"{what.refused} activations refused, {what.smaller} made smaller: {risk}"
    table.add_row("envelopes", f"{told}; most by {bit or 'nothing'}")
    if run.figures:
        missed = [one.name for one in run.figures if one.passed is False]
        said = f"not met: {', '.join(missed)}" if missed else "all meet their gates"
        table.add_row("validation", f"{len(run.figures)} figures; {said}")
    console.print(table)
    console.print(f"its page: {year.page}", soft_wrap=True, highlight=False)
    where = f"--home {year.home.root}"
    console.print(
        f"ask it: [bold].venv/bin/portfolio instruments list {where}[/]; with and without limits: "
        f"[bold].venv/bin/portfolio paper compare --control off {where}[/]",
        soft_wrap=True,
        highlight=False,
    )
