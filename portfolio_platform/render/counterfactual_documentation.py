"""The pictures and numbers of docs/counterfactual.md, from a home that has the sample.

`python -m portfolio_platform.render.counterfactual_documentation [HOME]` draws and writes them; the home is the one that is named,
or that of `PORTFOLIO_HOME`. Everything is of the shipped default policy, whatever the home's own says; a test holds the numbers.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from portfolio_platform.control.counterfactual.calibrate import Calibration
from portfolio_platform.control.counterfactual.model import Counterfactual
from portfolio_platform.control.counterfactual.pipeline import calibrations, counterfactuals
from portfolio_platform.home import Home
from portfolio_platform.policy.named import SHIPPED
from portfolio_platform.render import counterfactual_blocks as blocks
from portfolio_platform.render import counterfactual_charts as charts
from portfolio_platform.render.blocks import Grid
from portfolio_platform.render.documentation import FOLDER, LAST, require_sample
from portfolio_platform.render.text import markdown_text as md

PAGE = Path("docs") / "counterfactual.md"
FOUND = ("<!-- counterfactual: begin -->\n", "<!-- counterfactual: end -->\n")
CHOSEN = ("<!-- calibration: begin -->\n", "<!-- calibration: end -->\n")
PICTURED = "macro"
PICTURES = ("equity", "drawdown", "heat", "refusals", "pnl")
TRADE_OFF = "counterfactual-trade-off.png"


def found_text(found: Sequence[Counterfactual]) -> str:
    """Return what the page says of the counterfactuals, in Markdown."""
    parts: list[str] = []
    for one in found:
        parts += [f"### `{one.portfolio}`", "", *(f"- {md(line)}" for line in blocks.sentences(one)), ""]
        parts += [table(blocks.summary(one)), "", table(blocks.rules(one)), ""]
    return "\n".join(["", *parts])


def chosen_text(found: Sequence[Calibration]) -> str:
    """Return what the page says of the calibrations, in Markdown."""
    parts: list[str] = []
    for one in found:
        parts += [f"### Thresholds of `{one.portfolio}`", "", *(f"- {md(line)}" for line in blocks.calibration_sentences(one)), ""]
        parts += [table(blocks.trade_off(one)), ""]
    return "\n".join(["", *parts])


def table(grid: Grid) -> str:
    """Return a table in Markdown, with its caption before it."""
    heads = " | ".join(md(column.head) for column in grid.columns)
    aligns = " | ".join("---:" if column.number else "---" for column in grid.columns)
    rows = [f"| {' | '.join(md(cell.text) for cell in row)} |" for row in grid.rows]
    return "\n".join([f"{md(grid.caption)}:", "", f"| {heads} |", f"| {aligns} |", *rows])


def between(page: str, marks: tuple[str, str], text: str) -> str:
    """Return the page with a text between two marks. Raises `ValueError` where a mark is missing."""
    before, rest = page.split(marks[0])
    _, after = rest.split(marks[1])
    return f"{before}{marks[0]}{text}{marks[1]}{after}"


def sample_counterfactuals(home: Home) -> list[Counterfactual]:
    """Return those of the shipped policy over the sample."""
    return list(counterfactuals(home, policy=SHIPPED, last=LAST))


def file_of(name: str) -> str:
    """Return the name of a chart's file in docs/images."""
    return f"counterfactual-{name}.png"


def drawn(found: Sequence[Counterfactual], chosen: Sequence[Calibration]) -> Iterator[tuple[str, bytes]]:
    """Yield each picture's file name with its PNG."""
    one = next(item for item in found if item.portfolio == PICTURED)
    for name in PICTURES:
        yield file_of(name), charts.png(name, one)
    yield TRADE_OFF, charts.trade_off_png(next(item for item in chosen if item.portfolio == PICTURED))


def main(arguments: list[str]) -> None:
    """Draw the pictures and write the numbers of the home that is named, and say how large each picture is."""
    home = Home(Path(arguments[0])) if arguments else Home.from_environment()
    try:
        require_sample(home)
        found, chosen = sample_counterfactuals(home), list(calibrations(home, policy=SHIPPED, last=LAST))
        for file, content in drawn(found, chosen):
            (FOLDER / file).write_bytes(content)
            sys.stdout.write(f"{FOLDER / file}: {len(content) / 1024:.0f} KB\n")
        page = between(PAGE.read_text(encoding="utf-8"), FOUND, found_text(found))
        PAGE.write_text(between(page, CHOSEN, chosen_text(chosen)), encoding="utf-8")
    finally:
        home.book.close()


if __name__ == "__main__":
    main(sys.argv[1:])
