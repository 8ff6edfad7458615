"""docs/orchestrator.md: what it shows is what the commands say, and what it names is there."""

import ast
import re
from pathlib import Path

import pytest

from portfolio_platform.orchestrator.directives import parse_directives
from portfolio_platform.orchestrator.profile import shipped_profile
from tests.e2e.control_plane import written
from tests.e2e.orchestrator import PAGE, ROOT, sections


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return sections(tmp_path_factory.mktemp("document"))


def prose() -> str:
    """Return the page without what is made by commands."""
    return re.sub(r"<!-- made: (?!end)[\w ]+ -->.*?<!-- made: end -->", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_page_shows_what_the_commands_say(made: dict[str, str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, made) == page, "write it anew: python -m tests.e2e.orchestrator"


def test_workflow_a_goes_from_the_document_to_its_next_revision(made: dict[str, str]) -> None:
    assert "Materials      46.8      25       25    40" in made["plan"] and "CONDITIONAL" in made["plan"]
    assert "refused (conditions)" in made["approval"] and "is approved by ada" in made["approval"]
    assert "3 taken, 1 set aside; 3 came into the ledger" in made["first report"] and "slippage: S02" in made["first report"]
    assert "9 of 10 trades done" in made["second report"] and "no_fill" in made["given up"]
    again = parse_directives(made["revision"].removeprefix("```markdown\n").removesuffix("\n```\n"))
    assert [(one.sector, str(one.target_pct)) for one in again.directives] == [("Healthcare", "10"), ("Cash", "5")]
    assert "plan.html" in made["files"] and "rebalancing_directives.json" in made["files"]


def test_workflow_b_and_the_exception_end_as_the_specification_says(made: dict[str, str]) -> None:
    assert '"status": "APPROVED_FOR_PO"' in made["validated"] and "SAFE" in made["stock plan"] and "BLOCKED" in made["rejected"]
    assert "Materials 42 % of at most 40 %" in made["blocked"] and "line 7 was not understood" in made["blocked"]
    assert "is approved by grace" in made["exception"] and "is approved by ada" in made["exception"]
    assert "profile v8.0.3" in made["queue"] and "12.02" in made["old rebalancing"]


def defined_in(name: str) -> set[str]:
    """Return the tests of the files of a name."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob(f"{name}.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}
    return found


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(test_\w+)::(test_\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(named) >= 50
    assert [f"{file}::{name}" for file, name in named if name not in defined_in(file)] == []


def test_every_step_of_both_specifications_has_a_row() -> None:
    rows = re.findall(r"^\| (v8\.\d\.\d) \| (\S+)", prose(), re.MULTILINE)
    steps = {(version, step.rstrip(",")) for version, step in rows}
    assert steps >= {("v8.1.1", step) for step in ("0", "1A", "1B", "1C", "2A", "2B", "2C", "2.5", "3", "3A", "4A", "4B", "4C")}
    assert steps >= {("v8.0.3", step) for step in ("1", "2A", "2B", "2C", "3A", "3C", "3D", "3E", "3F", "4", "5", "6", "7", "8")}


def test_every_file_and_folder_that_the_page_names_is_there() -> None:
    named = [
        name for name in re.findall(r"`([\w/*.]+)`", prose()) if name.startswith(("portfolio_platform/", "assets/", "sensors/", "tests/"))
    ]
    assert len(named) >= 8
    assert [name for name in named if not list(ROOT.glob(name))] == []
    samples = re.findall(r"^\| `([\w.]+\.(?:json|md))` \|", prose(), re.MULTILINE)
    folder = ROOT / "portfolio_platform" / "orchestrator" / "samples"
    assert len(samples) == 7 and [name for name in samples if not (folder / name).is_file()] == []


def phrases(line: str) -> list[str]:
    return re.findall(r"`([^`]+)`", line)


def test_what_the_page_says_is_read_is_read_and_what_is_not_is_not() -> None:
    text = prose()
    said = text[text.index("The document says what shall be") : text.index("Nothing is guessed.")].replace("\n", " ")
    for phrase in phrases(said):
        found = parse_directives(f"## ACTION PLAN\n\n- {phrase.replace('...', 'Materials')}\n")
        assert len(found.directives) == 1, phrase
    rows = [line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 3]
    table = [row for row in rows if not re.match(r"\| `[\w.]+\.(json|md)`", row)]
    assert len(table) == 5
    for row in table:
        cell = row.split("|")[1]
        for phrase in phrases(cell)[: 1 if "beside" in cell else None]:
            found = parse_directives(f"## ACTION PLAN\n\n- {phrase.replace('...', 'Reduce Materials to 25 %')}\n")
            assert found.directives == () and found.unread[0].suspicious, phrase
        for phrase in phrases(row.split("|")[2]):
            read = phrase if phrase.startswith("by") else f"by {phrase}" if "EUR" in phrase else f"from {phrase} to 25%"
            assert parse_directives(f"## ACTION PLAN\n\n- Reduce Materials {read}\n").directives, phrase


def test_the_numbers_of_the_page_are_those_of_the_profiles() -> None:
    new, old = shipped_profile(), shipped_profile("v8.0.3")
    text = prose()
    assert (
        f"| cash buffer | {old.buffer.healthy_pct} % healthy, {old.buffer.floor_pct} % floor | {new.buffer.healthy_pct} % warning" in text
    )
    assert f"| sector cap | {old.limits.sector_cap_pct} % | {new.limits.sector_cap_pct} % |" in text
    assert new.escalation.exceptions == ("sector_cap",) and new.escalation.sla_minutes == 30
    assert new.approval.plan_minutes == old.approval.plan_minutes == 120
    assert new.directives.weight_tolerance_points * 2 == 1 and new.refresh.sector_shift_points == 2


def test_the_page_names_no_machine(made: dict[str, str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert str(Path.home()) not in page and "/tmp" not in page and str(ROOT) not in page
