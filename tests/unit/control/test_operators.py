"""Operators: whose key counts, and that no private key stays with the platform."""

from pathlib import Path

import pytest

from portfolio_platform.book import operators
from portfolio_platform.book.events import ConcurrencyConflict, read
from portfolio_platform.book.rebuild import check_read_models, read_models, rebuild_read_models
from portfolio_platform.control.operators import add_operator, operator_of, remove_operator, terms_version
from portfolio_platform.control.plane import ControlPlane
from portfolio_platform.control.signing import make_key, read_key, write_key
from portfolio_platform.errors import PortfolioError, WrongUse
from portfolio_platform.home import Home
from tests.unit.book.workers import NOW
from tests.unit.control.test_plane import opened


def test_an_operator_is_added_removed_and_comes_back_with_another_key(store_home: Home, tmp_path: Path) -> None:
    first = add_operator(store_home, "Ada", key_out=tmp_path / "a.key")
    assert (first.name, first.added_by, first.is_active) == ("Ada", "Ada", True)
    assert first.id == read_key(tmp_path / "a.key").key_id
    with pytest.raises(ConcurrencyConflict, match="Ada has the key"):
        add_operator(store_home, "ADA", key_out=tmp_path / "b.key")
    gone = remove_operator(store_home, "Ada", by="Bob")
    assert (gone.removed_by, gone.is_active) == ("Bob", False)
    with pytest.raises(ConcurrencyConflict, match="removed already, by Bob"):
        remove_operator(store_home, "Ada", by="Eve")
    second = add_operator(store_home, "Ada", by="Bob", key_out=tmp_path / "c.key")
    with store_home.book.writing() as connection:
        assert [one.id for one in operators.named(connection, "Ada")] == [second.id, first.id]
        assert {one.id for one in operators.listed(connection)} == {first.id, second.id}
        assert operator_of(connection, read_key(tmp_path / "c.key")) == second
        before = read_models(connection)
        assert check_read_models(connection) == []
        rebuild_read_models(connection)
        assert read_models(connection) == before and check_read_models(connection) == []
    assert not (tmp_path / "b.key").exists()


def test_a_key_is_one_persons_for_ever(home: Home, tmp_path: Path) -> None:
    """Two names over one key would be one person who agrees with themselves."""
    add_operator(home, "Ada", key_out=tmp_path / "a.key")
    digits = read_key(tmp_path / "a.key").public_key
    for name in ("Bob", "Ada"):
        with pytest.raises(ConcurrencyConflict, match="two people need two keys"), home.book.writing() as connection:
            operators.add(connection, name, digits.upper(), by="Eve", at=NOW)
        remove_operator(home, "Ada", by="Ada") if name == "Bob" else None


@pytest.mark.parametrize(
    ("name", "key"), [("rule:me", "00" * 32), ("", "00" * 32), ("a\nb", "00" * 32), ("Ada", "00" * 31), ("Ada", "no key")]
)
def test_a_name_or_key_that_cannot_be_one_is_refused(home: Home, name: str, key: str) -> None:
    with pytest.raises(WrongUse), home.book.writing() as connection:
        operators.add(connection, name, key, by="Eve", at=NOW)


def test_no_file_of_the_home_and_no_event_holds_the_private_key(home: Home, tmp_path: Path) -> None:
    add_operator(home, "Ada", key_out=tmp_path / "a.key")
    private = read_key(tmp_path / "a.key")._private.private_bytes_raw()
    home.book.close()
    kept = [path.read_bytes() for path in home.root.rglob("*") if path.is_file()]
    assert kept and not any(private in content or private.hex().encode() in content for content in kept)


def test_a_file_for_the_key_has_to_be_named_and_new_and_goes_again_where_the_book_refuses(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    with pytest.raises(WrongUse, match="one of them"):
        add_operator(home, "Ada")
    with pytest.raises(WrongUse, match="one of them"):
        add_operator(home, "Ada", key_out=path, public_key=path)
    write_key(make_key(), path)
    content = path.read_bytes()
    with pytest.raises(WrongUse, match="never written over"):
        add_operator(home, "Ada", key_out=path)
    assert path.read_bytes() == content
    with pytest.raises(PortfolioError):
        add_operator(home, "rule:me", key_out=tmp_path / "b.key")
    assert not (tmp_path / "b.key").exists()
    with home.book.reading() as connection:
        assert list(read(connection)) == []


def test_who_is_no_operator_is_told_so(home: Home) -> None:
    with pytest.raises(WrongUse, match="no operator 'Eve'"):
        remove_operator(home, "Eve", by="Bob")
    with home.book.reading() as connection, pytest.raises(WrongUse, match="is no operator's"):
        operator_of(connection, make_key())


def test_a_portfolio_that_the_control_plane_is_not_in_charge_of_has_no_terms(home: Home) -> None:
    with home.book.reading() as connection:
        assert terms_version(connection, "core") == 0


def test_the_version_of_the_terms_is_that_of_the_control_planes_state(home: Home) -> None:
    plane = opened(ControlPlane(home.book, home.clock), at=home.clock.now())
    with home.book.reading() as connection:
        version = terms_version(connection, "p")
        assert terms_version(connection, "q") == 0
    assert version == plane.get_portfolio_state("p").terms.version > 0
