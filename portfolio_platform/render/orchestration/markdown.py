"""A plan as GitHub-flavoured Markdown: the dry run, the execution guide, the recommendation report. Every text is escaped here."""

from collections.abc import Iterable, Iterator, Sequence

from portfolio_platform.orchestrator.guide import Guide
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.render.blocks import Grid
from portfolio_platform.render.markdown import LEFT, RIGHT, table
from portfolio_platform.render.orchestration import sections
from portfolio_platform.render.orchestration import wording as say
from portfolio_platform.render.text import markdown_text as md
from portfolio_platform.render.text import one_line

BOX = "- [ ] "


def dry_run(papers: PlanPapers) -> str:
    """Return the dry run (v8.1.1 STEP 2C): before and after, the constraints, the sequence."""
    plan = papers.plan
    return document(
        [
            f"# Dry run: {md(say.title(plan))}",
            *_head(papers),
            *_verdict(papers),
            "## Before and after",
            *grids(sections.targets(plan), sections.sectors(plan), sections.positions(plan)),
            "## Constraints",
            *grids(sections.constraints(plan)),
            "## Worst case",
            *grids(sections.worst_case(papers)),
            "## Execution sequence",
            *_sequence(papers),
        ]
    )


def guide(papers: PlanPapers, made: Guide) -> str:
    """Return the execution guide (v8.1.1 STEP 4C): phases of orders with boxes to tick, and what must hold afterwards."""
    plan = papers.plan
    blocked = plan.verdict == "BLOCKED"
    parts = [f"# Execution guide: {md(say.title(plan))}", *_head(papers), *_verdict(papers, boxes=not blocked)]
    if blocked:
        parts += ["## What was planned, and must not be executed", md(sections.WAY_OUT)]
    else:
        parts += ["## Before the first order", boxes(sections.before(made.before))]
    for phase in made.phases:
        parts += [f"## Phase {phase.number}: {md(phase.title)}, {md(say.money(phase.total_minor, plan.digits, plan.currency))}"]
        parts += [_order_table(sections.orders(phase, plan), "✗" if blocked else "☐")]
    if not made.phases:
        parts.append("There is nothing to trade.")
    if blocked:
        return document(parts)
    parts += ["## Rules while executing", bullets(sections.rules(papers.profile))]
    parts += ["## What must hold afterwards", boxes(sections.afterwards(papers, made.afterwards))]
    parts.append(f"Then report what was done: {code(say.command('portfolio', 'execution', 'report', plan.execution_id, '--interactive'))}.")
    return document(parts)


def report(papers: PlanPapers, made: Guide) -> str:
    """Return the recommendation report: the verdict and everything that it rests on."""
    plan = papers.plan
    parts = [f"# Recommendation: {md(say.title(plan))}", *_head(papers), *_verdict(papers)]
    if papers.recommendation is not None:
        parts += ["## Recommendation and criteria", md(papers.recommendation.thesis), *grids(sections.criteria(papers))]
    if papers.directives is not None:
        parts += ["## Directives", bullets(sections.read_lines(papers.directives)), *grids(sections.targets(plan))]
        parts += grids(sections.unread(papers.directives))
    parts += ["## Trades"]
    parts += grids(*(sections.orders(phase, plan) for phase in made.phases), sections.picks(plan)) if plan.trades else ["None."]
    parts += ["## Dry run", *grids(sections.sectors(plan), sections.positions(plan), sections.constraints(plan))]
    parts += grids(sections.worst_case(papers), sections.cash_path(plan))
    parts += ["## What must hold afterwards", bullets(sections.afterwards(papers, made.afterwards))]
    parts += ["## Findings and inputs", *grids(sections.findings(plan), sections.manifest(plan)), _foot(papers)]
    return document(parts)


def document(parts: Iterable[str]) -> str:
    """Return parts as a document: a blank line between them, none that is empty."""
    return "\n\n".join(part for part in parts if part) + "\n"


def grids(*found: Grid | None) -> list[str]:
    """Return captions and tables; what is None or has no row is left out."""
    parts: list[str] = []
    for grid in found:
        if grid is not None and grid.rows:
            parts += [f"{md(grid.caption)}:", _table(grid)]
    return parts


def bullets(texts: Sequence[str]) -> str:
    """Return a list."""
    return "\n".join(f"- {md(text)}" for text in texts)


def boxes(texts: Sequence[str]) -> str:
    """Return a list of boxes to tick."""
    return "\n".join(f"{BOX}{md(text)}" for text in texts)


def code(text: str) -> str:
    """Return text on one line as inline code, fenced by more backticks than it holds."""
    text, fence = one_line(text), "`"
    while fence in text:
        fence += "`"
    pad = " " if "`" in text else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _table(grid: Grid) -> str:
    aligns = [RIGHT if column.number else LEFT for column in grid.columns]
    return table([column.head for column in grid.columns], aligns, [[cell.text for cell in row] for row in grid.rows])


def _order_table(grid: Grid, box: str) -> str:
    """Return the orders with a box before each; a list of boxes would lose the columns."""
    aligns = [LEFT, *(RIGHT if column.number else LEFT for column in grid.columns)]
    rows = [[box, *(cell.text for cell in row)] for row in grid.rows]
    return table(["Done", *(column.head for column in grid.columns)], aligns, rows)


def _head(papers: PlanPapers) -> Iterator[str]:
    yield "\n".join(f"- **{label}:** {md(text)}" for label, text in sections.facts(papers))


def _verdict(papers: PlanPapers, *, boxes: bool = False) -> Iterator[str]:
    plan = papers.plan
    yield f"## {plan.verdict}"
    yield md(say.VERDICTS[plan.verdict])
    if plan.reasons:
        yield "Reasons:"
        yield bullets(plan.reasons)
    if plan.conditions:
        yield "Conditions:"
        yield "\n".join(f"{BOX if boxes else '- '}{md(text)}" for text in plan.conditions)


def _sequence(papers: PlanPapers) -> Iterator[str]:
    plan = papers.plan
    if not plan.trades:
        yield "There is nothing to trade."
        return
    yield md(f"{sections.trades_counted(plan)}.")
    yield from grids(sections.cash_path(plan), sections.picks(plan))


def _foot(papers: PlanPapers) -> str:
    plan = papers.plan
    text = f"Plan {plan.hash}; portfolio {plan.portfolio_hash}; profile {plan.profile} ({plan.profile_hash})."
    return f"---\n\n{md(text)}"


def fenced(text: str) -> str:
    """Return text of several lines as a block of code, fenced by more backticks than it holds; each line is safe to show."""
    fence = "```"
    while fence in text:
        fence += "`"
    return "\n".join([fence, *(one_line(line) for line in text.splitlines()), fence])
