"""A plan as pages: the one a trader works from, and the report. No script, nothing loaded, all text escaped by templates."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from portfolio_platform.orchestrator.guide import Guide, Phase
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.orchestrator.planned import Plan
from portfolio_platform.render.blocks import Grid
from portfolio_platform.render.orchestration import charts, sections
from portfolio_platform.render.orchestration import wording as say
from portfolio_platform.render.text import one_line

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

NO_BREAK = "\N{NO-BREAK SPACE}"
LONGEST_WORD = 26
"""Letters of a word from which on a table may break it."""


@dataclass(frozen=True)
class Picture:
    """A chart with its title and a sentence that says what it shows."""

    title: str
    sentence: str
    svg: "Markup"


@dataclass(frozen=True)
class Part:
    """A part of a report's page: sentences, bullets, boxes to tick, charts, tables, commands, texts whose lines stay as they are."""

    title: str
    lead: Sequence[str] = ()
    bullets: Sequence[str] = ()
    ticks: Sequence[str] = ()
    charts: Sequence[Picture] = ()
    grids: Sequence[Grid] = ()
    commands: Sequence[str] = ()
    texts: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Say whether it says nothing."""
        return not any((self.lead, self.bullets, self.ticks, self.charts, self.grids, self.commands, self.texts))


@dataclass(frozen=True)
class OrderView:
    """One order as the trader's page shows it."""

    id: str
    title: str
    account: str
    quantity: str
    limit: str
    expected: str
    cash_after: str
    account_after: str
    note: str
    low: bool


@dataclass(frozen=True)
class PhaseView:
    """A phase of the trader's page."""

    number: int
    title: str
    total: str
    orders: Sequence[OrderView] = field(default_factory=tuple)


def plan_page(papers: PlanPapers, guide: Guide, drawn: Sequence[Picture]) -> str:
    """Return the page that a trader works from: verdict, sells, buys, what must hold afterwards; on paper as on a screen."""
    plan = papers.plan
    return page(
        "plan",
        title=say.title(plan),
        facts=sections.facts(papers),
        tone=plan.verdict.lower(),
        verdict=plan.verdict,
        said=say.VERDICTS[plan.verdict],
        reasons=plan.reasons,
        conditions=plan.conditions,
        blocked=plan.verdict == "BLOCKED",
        way_out=sections.WAY_OUT,
        before=sections.before(guide.before),
        phases=[_phase(phase, plan) for phase in guide.phases],
        afterwards=sections.afterwards(papers, guide.afterwards),
        rules=sections.rules(papers.profile),
        command=say.command("portfolio", "execution", "report", plan.execution_id, "--interactive"),
        charts=drawn,
        tables=present(sections.criteria(papers), sections.sectors(plan), sections.constraints(plan)),
        more=present(sections.findings(plan), sections.unread(papers.directives), sections.manifest(plan)),
        hashes=hashes(papers),
    )


def report_page(papers: PlanPapers, guide: Guide, drawn: Sequence[Picture]) -> str:
    """Return the recommendation report: the verdict and everything that it rests on."""
    plan, found = papers.plan, papers.directives
    thesis = (papers.recommendation.thesis,) if papers.recommendation is not None else ()
    parts = [
        Part("Stock recommendation", lead=thesis, grids=present(sections.criteria(papers))),
        Part(
            "Directives",
            bullets=sections.read_lines(found) if found is not None else (),
            grids=present(sections.targets(plan), sections.unread(found)),
        ),
        Part(
            "Trades",
            lead=() if plan.trades else ("There is nothing to trade.",),
            grids=present(*(sections.orders(phase, plan) for phase in guide.phases), sections.picks(plan)),
        ),
        Part("Dry run", charts=drawn, grids=present(sections.sectors(plan), sections.positions(plan))),
        Part("Constraints", grids=present(sections.constraints(plan), sections.worst_case(papers), sections.cash_path(plan))),
        Part("What must hold afterwards", ticks=sections.afterwards(papers, guide.afterwards)),
        Part("Findings and inputs", grids=present(sections.findings(plan), sections.manifest(plan))),
    ]
    return report(
        f"Recommendation: {say.title(plan)}",
        sections.facts(papers),
        parts,
        hashes(papers),
        verdict=plan.verdict,
        said=say.VERDICTS[plan.verdict],
        reasons=plan.reasons,
        conditions=plan.conditions,
    )


def report(title: str, facts: Sequence[tuple[str, str]], parts: Sequence[Part], foot: Sequence[tuple[str, str]], **stamp: Any) -> str:
    """Return a page of parts; ``stamp`` is tone, verdict, said, reasons and conditions where there is a verdict."""
    shown = {"tone": stamp.get("verdict", "").lower(), "verdict": "", "said": "", "reasons": (), "conditions": (), **stamp}
    return page("report", title=title, facts=facts, blocks=[part for part in parts if not part.is_empty], hashes=foot, **shown)


def page(template: str, **content: Any) -> str:
    """Return a page of one of the templates."""
    return _environment().get_template(f"orchestration/{template}.html.j2").render(**content).lstrip()


def pictures(papers: PlanPapers) -> tuple[Picture, ...]:
    """Return the two charts of a plan."""
    from markupsafe import Markup

    said = charts.sentences(papers)
    # the SVG is made here; names from outside are in it as shapes, never as text
    return (
        Picture(charts.TITLES["sectors"], said["sectors"], Markup(charts.sectors_svg(papers))),  # noqa: S704
        Picture(charts.TITLES["cash_path"], said["cash_path"], Markup(charts.cash_path_svg(papers))),  # noqa: S704
    )


def present(*found: Grid | None) -> list[Grid]:
    """Return the tables that are there and have a row."""
    return [grid for grid in found if grid is not None and grid.rows]


def hashes(papers: PlanPapers) -> list[tuple[str, str]]:
    """Return the hashes that a plan is known by."""
    plan = papers.plan
    return [("Plan", plan.hash), ("Portfolio", plan.portfolio_hash), (f"Profile {plan.profile}", plan.profile_hash)]


def _phase(phase: Phase, plan: Plan) -> PhaseView:
    digits = plan.digits
    holds = {step.trade_id: step.holds for step in plan.path}
    return PhaseView(
        number=phase.number,
        title=phase.title,
        total=f"{'bring' if phase.steps[0].side == 'sell' else 'cost'} {say.money(phase.total_minor, digits, plan.currency)}",
        orders=[
            OrderView(
                id=step.trade_id,
                title=f"{step.side.upper()} {step.ticker}",
                account=step.account,
                quantity=say.shares(step.quantity),
                limit=sections.limit(step, digits).replace(" ", NO_BREAK),
                expected=say.money(step.expected_minor, digits),
                cash_after=say.money(step.cash_after_minor, digits),
                account_after=say.money(step.account_after_minor, digits),
                note=sections.order_note(step),
                low=not holds[step.trade_id],
            )
            for step in phase.steps
        ],
    )


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("portfolio_platform.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"line": _line, "is_long": _is_long, "lines": lines}
    return environment


def _line(text: object) -> str:
    """Return text on one line; a percent sign stays with its number."""
    return one_line(str(text)).replace(" %", f"{NO_BREAK}%")


def lines(text: str) -> str:
    """Return text of several lines, each safe to show."""
    return "\n".join(one_line(line) for line in text.splitlines())


def _is_long(text: str) -> bool:
    """Say whether text has a word that a cell of a table cannot hold on one line."""
    return any(len(word) > LONGEST_WORD for word in text.split())
