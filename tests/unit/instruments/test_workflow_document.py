"""The table of transitions in the documentation is the code's own, and each row's test is there."""

import re
from pathlib import Path

from portfolio_platform.instruments.transitions import TRANSITIONS
from tests.unit.instruments import test_workflow, test_workflow_entry, test_workflow_position, test_workflow_safety

DOCUMENT = Path(__file__).parents[3] / "docs" / "instruments-transitions.md"
FILES = (test_workflow, test_workflow_entry, test_workflow_position, test_workflow_safety)
ROW = re.compile(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \| (.+) \| `(test_\w+)` \|$", re.MULTILINE)


def test_the_documented_transitions_are_those_of_the_code():
    rows = [found.groups()[:4] for found in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))]
    assert rows == [tuple(one) for one in TRANSITIONS]


def test_each_documented_transition_has_its_test():
    names = [found.group(5) for found in ROW.finditer(DOCUMENT.read_text(encoding="utf-8"))]
    assert len(names) == len(TRANSITIONS) and not [name for name in names if not any(hasattr(one, name) for one in FILES)]
