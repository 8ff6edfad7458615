"""The pages in docs: what they name is there, and what there is they name."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from portfolio_platform.evidence.catalogue import BY_NAME
from portfolio_platform.lake import derived
from portfolio_platform.render.documentation import BEGIN, END, PICTURES, usual_table, with_table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MOST_BYTES = 1_500_000


def prose(page: str) -> str:
    """A page without what is written into it by code."""
    return with_table(page, "")


def named(text: str) -> set[str]:
    """The words of what stands in backticks: `portfolio show TABLE` names a table too."""
    return {word for item in re.findall(r"`([^`\n]+)`", text) for word in item.split()}


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_"))


def test_every_metric_is_explained():
    said = named(prose((DOCS / "metrics.md").read_text()))
    assert sorted(set(BY_NAME) - said) == []


def test_every_table_of_the_diagnostics_is_explained():
    said = named(prose((DOCS / "metrics.md").read_text()))
    tables = {table.name for table in (*derived.DIAGNOSTICS, derived.CALIBRATION, derived.PLAYBOOK_STATISTICS, derived.PNL_ATTRIBUTION)}
    assert sorted(tables - said) == []


def test_every_name_in_the_prose_is_one_of_the_platform():
    """A metric, table, column, rule, label or value that was renamed is found here."""
    from portfolio_platform.policy.load import default_policy

    policy = default_policy()
    known = {*BY_NAME, *derived.TABLES, *policy.alerts.rules}
    known |= {column.name for table in derived.TABLES.values() for column in table.columns}
    known |= {"core", "macro", "gross", "risk", "trend_continuation", "taxonomy", "hedged", "unlabelled", "6.0 %"}
    known |= set(type(policy.gates).model_fields)
    known |= {"normal", "defensive", "risk_off", "probation", "mae", "mfe", "policies/default.toml"}
    code = re.findall(r"`([^`\n]+)`", prose((DOCS / "metrics.md").read_text()))
    strange = [name for name in code if name not in known and not name.startswith(("portfolio ", "python -m "))]
    assert strange == []


def test_every_picture_that_a_page_shows_exists_and_every_drawn_one_is_shown():
    shown = set()
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text()):
            assert (page.parent / target).is_file(), f"{page.name}: {target}"
            shown.add((page.parent / target).resolve().name)
    assert {picture.file for picture in PICTURES} <= shown
    assert sum(path.stat().st_size for path in (DOCS / "images").iterdir()) < MOST_BYTES


def test_every_anchor_is_a_heading_of_its_page():
    for page in [ROOT / "README.md", *DOCS.rglob("*.md")]:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", page.read_text()):
            other = page if not target else page.parent / target
            headings = re.findall(r"^#+ (.+)$", other.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name}: {target}#{anchor}"


def test_what_is_usual_is_what_the_sample_says(sample_home):
    page = (DOCS / "metrics.md").read_text()
    written = page.split(BEGIN)[1].split(END)[0]
    assert written == usual_table(sample_home), "write it anew: python -m portfolio_platform.render.documentation HOME"


def test_a_home_without_the_sample_is_told_what_to_do(home):
    from portfolio_platform.errors import WrongUse
    from portfolio_platform.render.documentation import require_sample

    with pytest.raises(WrongUse, match="import sample_data"):
        require_sample(home)


def test_every_test_that_the_acceptance_table_names_exists():
    page = (DOCS / "acceptance.md").read_text()
    cited = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page)
    assert len(cited) > 40
    missing = [f"{path}::{name}" for path, name in cited if not (ROOT / path).is_file() or name not in names_in(path)]
    assert missing == []


def test_every_row_of_the_acceptance_table_names_a_test_or_says_that_there_is_none():
    rows = [line for line in (DOCS / "acceptance.md").read_text().splitlines() if line.startswith("| ")]
    judged = [line for line in rows if not line.startswith(("| ---", "| what is asked", "| question"))]
    bare = [line for line in judged if "::test_" not in line and "none yet" not in line]
    assert bare == []


def test_every_module_that_the_architecture_names_exists():
    page = (DOCS / "architecture.md").read_text()
    paths = re.findall(r"`((?:portfolio_platform|assets|sensors|resources|tests|benchmarks)(?:/[\w.]+)*)`", page)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    folders = {path.name for path in (ROOT / "portfolio_platform").iterdir() if (path / "__init__.py").is_file()}
    assert sorted(name for name in folders if f"`portfolio_platform/{name}`" not in page) == []


def test_the_architecture_lists_every_stage_in_its_order():
    from portfolio_platform.stages import STAGES

    section = (DOCS / "architecture.md").read_text().split("| part | stages |")[1].split("\n\n")[0]
    listed = re.findall(r"`(\w+)`", section)
    assert listed == [stage.name for stage in STAGES]


def test_every_page_is_in_the_readmes_table():
    readme = (ROOT / "README.md").read_text()
    pages = [path.relative_to(ROOT).as_posix() for path in DOCS.glob("*.md")]
    assert [page for page in pages if f"({page})" not in readme] == []
