"""An order for a live portfolio is signed in a terminal, on this machine or another, and handed in elsewhere as one line of text."""

from datetime import timedelta

import pytest

from portfolio_platform.book.approvals import SignedApproval
from portfolio_platform.control.orders import Wanted, give
from portfolio_platform.control.plane import ControlPlane
from tests.e2e.running import portfolio
from tests.unit.control.pipeline.conftest import small, small_built

__all__ = ["small", "small_built"]


@pytest.fixture
def key(small, tmp_path):
    """The small ledger under control, and the key of an operator."""
    assert portfolio("control", "cycle", "--home", small.root).text.endswith("1 portfolio under control")
    assert portfolio("operators", "add", "ada", "--key-out", tmp_path / "ada.key", "--home", small.root).exit_code == 0
    return tmp_path / "ada.key"


def sign(small, key, *arguments):
    return portfolio("control", "sign", "main", *arguments, "--key", key, "--reason", "thin market", "--home", small.root)


def test_what_is_signed_is_exactly_what_is_given(small, key):
    until = (small.clock.now() + timedelta(days=2)).isoformat()
    ran = sign(small, key, "cap", "--rule", "symbol", "--scope", "AAA", "--limit", "1%", "--until", until)
    assert ran.exit_code == 0
    signed = SignedApproval.from_token(ran.stdout)
    wanted = Wanted("main", "cap", "thin market", until, rule="symbol", scope="AAA", basis="risk", limit="1%")
    assert signed.statement is not None and signed.statement.subject_hash == wanted.hash
    (order,) = give(small, wanted, by="ada", signed=signed).orders
    assert order in ControlPlane(small.book, small.clock).get_portfolio_state("main").terms.orders


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("dance",), "is none of mode, flatten, cap"),
        (("flatten", "--until", "2010-01-01"), "is over"),
        (("flatten", "--until", "soon"), "is no time"),
        (("cap", "--rule", "luck", "--limit", "1", "--until", "2030-01-01"), "'luck' is none of"),
        (("release", "--order", "none"), "has no order none"),
    ],
)
def test_what_cannot_be_ordered_is_not_signed(small, key, arguments, says):
    ran = sign(small, key, *arguments)
    assert ran.exit_code != 0 and says in ran.text
