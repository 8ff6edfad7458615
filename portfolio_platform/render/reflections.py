"""A reflection as Markdown, as a page, and for a terminal: verdict first, then findings and tables; readable in two minutes."""

from typing import TYPE_CHECKING

from portfolio_platform.monitor.reflection.model import PortfolioReflection
from portfolio_platform.render import reflection_blocks as blocks
from portfolio_platform.render.blocks import Grid
from portfolio_platform.render.provenance import Provenance
from portfolio_platform.render.text import markdown_text as md
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

LEFT, RIGHT = ":--", "--:"
ROWS = 10
ON_TERMINAL = frozenset({"findings", "outcomes", "failures"})


def to_markdown(found: PortfolioReflection, decisions: blocks.Decisions | None = None) -> str:
    """Return the reflection as Markdown; ``decisions`` say what people did about recommendations, by id."""
    out = [f"# {md(blocks.title(found))}", f"{md(blocks.subtitle(found))}.", "\n".join(f"- {md(line)}" for line in blocks.verdict(found))]
    for part in blocks.parts(found, decisions):
        out += [f"## {md(part.title)}", *(md(sentence) for sentence in part.lead)]
        for grid in part.grids:
            out += [f"**{md(grid.caption)}**", _table(grid)]
    evidence = blocks.evidence(found)
    if evidence:
        out += ["## What the findings rest on", "\n".join(f"- {md(one)}" for one in evidence)]
    return "\n\n".join([*out, f"---\n\n{md(blocks.footer(found))}"]) + "\n"


def _table(grid: Grid) -> str:
    heads = " | ".join(md(column.head) for column in grid.columns)
    aligns = " | ".join(RIGHT if column.number else LEFT for column in grid.columns)
    rows = [f"| {' | '.join(md(cell.text) for cell in row)} |" for row in grid.rows]
    return "\n".join([f"| {heads} |", f"| {aligns} |", *rows])


def to_html(found: PortfolioReflection, decisions: blocks.Decisions | None = None, provenance: Provenance | None = None) -> str:
    """Return the reflection as one self-contained page: no script, nothing loaded, every text escaped by the template."""
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
    return environment.get_template("reflection.html.j2").render(
        title=blocks.title(found),
        subtitle=blocks.subtitle(found),
        verdict=blocks.verdict(found),
        action=blocks.ACTIONS[found.action],
        parts=blocks.parts(found, decisions),
        evidence=blocks.evidence(found),
        footer=blocks.footer(found),
        provenance=provenance.lines() if provenance else (),
    )


def to_terminal(found: PortfolioReflection, decisions: blocks.Decisions | None = None) -> "Group":
    """Return what `rich` prints: verdict, findings, outcomes by playbook and template, failure modes; the rest is on the page."""
    from rich.console import Group
    from rich.text import Text

    shown: list[RenderableType] = [Text(blocks.title(found), style="bold"), Text(blocks.subtitle(found), style="dim")]
    shown += [Text(f"• {one_line(line)}") for line in blocks.verdict(found)]
    for part in blocks.parts(found, decisions):
        if part.name not in ON_TERMINAL:
            continue
        shown += [Text(""), Text(part.title, style="bold"), *(Text(one_line(sentence), style="dim") for sentence in part.lead)]
        for grid in part.grids[:2]:
            shown += [_rich(grid)]
    return Group(*shown)


def _rich(grid: Grid) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(one_line(grid.caption)), title_justify="left", box=None, pad_edge=False, header_style="dim")
    for column in grid.columns:
        table.add_column(Text(one_line(column.head)), justify="right" if column.number else "left", overflow="fold", no_wrap=column.number)
    for row in grid.rows[:ROWS]:
        table.add_row(*(Text(one_line(cell.text)) for cell in row))
    rest = len(grid.rows) - ROWS
    if rest > 0:
        table.add_row(Text(f"and {rest:,} more, on the page", style="dim"))
    return table
