"""docs/control-plane.md: what it shows is what the commands say, and what they can say it explains."""

import re
from pathlib import Path

import pytest

from portfolio_platform.control.model import CODES
from tests.e2e.control_plane import EXAMPLES, PAGE, sections, written

MOST_LINES = 30


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return sections(tmp_path_factory.mktemp("document"))


def test_the_page_shows_what_the_commands_say(made: dict[str, str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, made) == page, "write it anew: python -m tests.e2e.control_plane"


def test_one_decision_is_walked_from_its_recommendation_to_its_fill(made: dict[str, str]) -> None:
    """What the ADR asks for an audit: the intent, the state then, the decision, what was executed; and the same comes out again."""
    tree = made["why"]
    for part in (
        "what was asked  long DDD, 12000.00 at risk",
        "what every rule saw",
        "recommendation:desk:2026-10-30",
        "by\n│   │   │   ada:",
    ):
        assert part in tree
    assert "worked out again  equal" in tree and "fill X-902  700 DDD" in tree
    assert "approval accepted" in made["who"] and "approval refused" in made["who"]
    assert "fills.csv" in made["rows"] and made["verify"].count("equal") == 1 and "whole" in made["verify"]


def test_a_changed_and_a_cut_log_are_both_found(made: dict[str, str]) -> None:
    changed, cut = made["tampered"].split("# somebody")[1:]
    assert "the content does not have the hash that was recorded" in changed
    assert "the end was cut off" in cut


@pytest.mark.parametrize("example", ["strategy.py", "strategy_http.py"])
def test_a_strategy_is_connected_in_thirty_lines(example: str) -> None:
    assert len((EXAMPLES / example).read_text().strip().splitlines()) <= MOST_LINES


def test_a_place_without_a_section_and_a_section_without_a_place_are_told() -> None:
    with pytest.raises(AssertionError, match="no one place"):
        written("nothing", {"why": ""})
    with pytest.raises(AssertionError, match="has places"):
        written("<!-- made: why --><!-- made: end --><!-- made: other --><!-- made: end -->", {"why": ""})


def test_every_code_and_everything_noticed_is_explained() -> None:
    page = PAGE.read_text(encoding="utf-8")
    explained = set(re.findall(r"`(\w+)`", "\n".join(line for line in page.splitlines() if line.startswith("| `"))))
    assert sorted(set(CODES) - explained) == []
    source = Path(__file__).parents[2] / "portfolio_platform" / "control"
    noticed = set(re.findall(r'Noticed\([\w.]+, "(\w+)"', "".join(path.read_text() for path in source.glob("*.py"))))
    assert len(noticed) >= 4
    assert sorted(noticed - explained) == []


def test_every_refusal_of_a_signature_is_named() -> None:
    from typing import get_args

    from portfolio_platform.book.approvals import Code

    page = PAGE.read_text(encoding="utf-8")
    assert [code for code in get_args(Code) if f"`{code}`" not in page] == []
