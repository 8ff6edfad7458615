"""Evidence ids: they name one number, whatever a name holds, and nothing that is not there."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolio_platform.errors import WrongUse
from portfolio_platform.evidence.ids import evidence_id, parse_evidence_id
from portfolio_platform.lake import derived


def test_an_id_reads_like_a_path():
    made = evidence_id(derived.PORTFOLIO_EQUITY, "core", date(2010, 12, 31), "equity")
    assert made == "portfolio_equity/core/2010-12-31/equity"


@given(portfolio=st.text(min_size=1), group=st.text(min_size=1))
def test_any_name_comes_back_as_it_went_in(portfolio, group):
    made = evidence_id(derived.CONCENTRATION_GROUPS, portfolio, date(2010, 1, 2), "share", "symbol", "gross", group)
    address = parse_evidence_id(made)
    assert address.key == {"day": date(2010, 1, 2), "portfolio": portfolio, "dimension": "symbol", "basis": "gross", "group": group}
    assert (address.table.name, address.column) == ("concentration_groups", "share")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing/core/2010-12-31/equity", "begins with the name of a table"),
        ("portfolio_equity/core/2010-12-31", "is no evidence id"),
        ("portfolio_equity/core/yesterday/equity", "is no day"),
        ("portfolio_equity/core/2010-12-31/colour", "has no column"),
        ("", "begins with the name of a table"),
    ],
)
def test_what_names_nothing_is_refused_with_a_sentence(text, said):
    with pytest.raises(WrongUse, match=said):
        parse_evidence_id(text)
