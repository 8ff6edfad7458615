"""The files of a plan's folder: made from its papers alone, so equal papers have equal bytes."""

from collections.abc import Mapping

from portfolio_platform.orchestrator.guide import guide_of
from portfolio_platform.orchestrator.papers import PlanPapers
from portfolio_platform.render.orchestration import documents, markdown, pages


def files_of(papers: PlanPapers) -> Mapping[str, bytes]:
    """Return every file of a plan by its name, in the order in which a person looks at them.

    ``plan.html`` is the page a trader works from. ``rebalancing_directives.json`` is there for directives alone and
    ``validation.json`` for a stock recommendation alone; ``plan.json`` and ``rebalancing_directives.json`` can be loaded again.
    """
    guide = guide_of(papers.plan, papers.profile)
    drawn = pages.pictures(papers)
    found: dict[str, bytes] = {
        "plan.html": _text(pages.plan_page(papers, guide, drawn)),
        "recommendation_report.html": _text(pages.report_page(papers, guide, drawn)),
        "recommendation_report.md": _text(markdown.report(papers, guide)),
        "recommendation_report.json": documents.report_json(papers, guide.model_dump(mode="json")),
        "dry_run.md": _text(markdown.dry_run(papers)),
        "execution_guide.md": _text(markdown.guide(papers, guide)),
        "trade_list.json": documents.trade_list_json(papers),
        "trade_list.csv": documents.trade_list_csv(papers),
        "plan.json": documents.plan_json(papers),
        "sectors.svg": _svg(drawn[0].svg),
        "cash_path.svg": _svg(drawn[1].svg),
    }
    if papers.directives is not None:
        found["rebalancing_directives.json"] = documents.directives_json(papers)
    if papers.validation is not None:
        found["validation.json"] = documents.validation_json(papers)
    return found


def _text(text: str) -> bytes:
    return text.encode("utf-8")


def _svg(element: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{element}\n'.encode()
