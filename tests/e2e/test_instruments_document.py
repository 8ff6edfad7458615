"""docs/instruments.md: what it shows of a month is what the commands say, and what took four years is filled in."""

import re

import pytest

from portfolio_platform.home import Home
from portfolio_platform.instruments.transitions import TRANSITIONS
from tests.e2e.instruments_document import PAGE, of_month, written
from tests.unit.paper.ran import bars_made, paper_copy, paper_made

__all__ = ["bars_made", "paper_copy", "paper_made"]


def test_the_page_shows_what_the_commands_say(paper_copy: Home) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, of_month(paper_copy), "made") == page, "write it anew: python -m tests.e2e.instruments_document"


@pytest.mark.parametrize("name", ["run", "compare", "monitor"])
def test_what_the_four_years_said_is_there(name: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    (text,) = re.findall(rf"<!-- measured: {name} -->\n(.*?)<!-- measured: end -->", page, re.DOTALL)
    assert "$ portfolio " in text and len(text) > 300
    assert "SURFACES" not in page


def test_the_page_leads_to_the_table_of_transitions_and_names_every_phase() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert "(instruments-transitions.md)" in page
    assert [one.after for one in TRANSITIONS if one.after not in page] == []
