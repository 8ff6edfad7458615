"""Documents from files: every sample loads, and what is wrong is said with file, field, value, rule and remedy."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portfolio_platform.errors import DataProblem
from portfolio_platform.orchestrator import loading
from portfolio_platform.orchestrator.amounts import part
from portfolio_platform.orchestrator.loading import SAMPLES

LOADERS: dict[str, Callable[[Path], Any]] = {
    "portfolio.json": loading.load_snapshot,
    "portfolio_with_cash.json": loading.load_snapshot,
    "accounts.json": loading.load_accounts,
    "sector_rankings.json": loading.load_rankings,
    "restriction_list.json": loading.load_restrictions,
    "stock_recommendation.json": loading.load_recommendation,
    "stock_recommendation_rejected.json": loading.load_recommendation,
    "approved_queue.json": loading.load_queue,
    "rebalancing_directives.json": loading.load_directives,
    "portfolio_document.md": loading.load_directives,
}


def test_every_sample_loads_and_there_is_no_other() -> None:
    assert {path.name for path in SAMPLES.iterdir() if path.suffix in (".json", ".md")} == set(LOADERS)
    for name, load in LOADERS.items():
        assert load(SAMPLES / name).canonical() == load(SAMPLES / name).canonical()


def test_the_sample_portfolio_is_that_of_the_specification() -> None:
    made = loading.load_snapshot(SAMPLES / "portfolio.json")
    weights = {sector: part(amount, made.equity_minor) for sector, amount in made.sectors_minor.items()}
    assert weights == {"Materials": 468_000, "Technology": 67_000, "Financials": 240_000, "Energy": 200_000}
    assert part(made.cash_minor, made.equity_minor) == 25_000
    assert made.equity_minor == 100_000_000


def changed(name: str, change: Callable[[Any], None], folder: Path) -> Path:
    content = json.loads((SAMPLES / name).read_text())
    change(content)
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def at(*keys: str | int, value: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("portfolio.json", at("accounts", 0, "cash", value="20000.005"), "accounts.0.cash: 20000.005 has more than 2 decimals; write it"),
        ("portfolio.json", at("accounts", 0, "cash", value=True), "accounts.0.cash: True is no amount"),
        ("portfolio.json", at("accounts", 0, "cash_minor", value=1), "accounts.0.cash: it is stated twice"),
        ("portfolio.json", at("accounts", 0, "kind", value="savings"), "accounts.0.kind: 'savings' Input should be 'cash' or 'margin'"),
        (
            "portfolio.json",
            at("accounts", 0, "holdings", 0, "lots", 0, "quantity", value="-5"),
            "quantity: '-5' Input should be greater than 0",
        ),
        ("portfolio.json", at("accounts", 0, "holdings", 0, "ticker", value="ZZZ"), "ZZZ, which has no price; add it to instruments"),
        ("portfolio.json", at("accounts", 1, "account", value="brokerage"), "accounts: 'brokerage' is there twice; keep one"),
        ("portfolio.json", at("instruments", 0, "price", value="0"), "instruments.0.price: '0' Input should be greater than 0"),
        ("portfolio.json", at("instruments", 0, "ticker", value="fcx"), "tickers are capital letters"),
        ("portfolio.json", at("instruments", 0, "sector", value="CASH"), "the sector of FCX is 'CASH', which means the money of the acc"),
        ("portfolio.json", at("as_of", value="2026-01-05T15:00:00"), "write a time with its zone, such as 2026-01-02T21:00:00Z"),
        (
            "portfolio.json",
            at("colour", value="red"),
            "colour: 'red' Extra inputs are not permitted; take it out; a Snapshot has",
        ),
        ("sector_rankings.json", at("sectors", 1, "rank", value=1), "ranks: '1' is there twice"),
        ("sector_rankings.json", at("regime_confidence_pct", value=101), "regime_confidence_pct: 101"),
        ("stock_recommendation.json", at("conviction_score", value="74"), "conviction_score: '74'"),
        ("approved_queue.json", at("trades", 2, "approved_at", value="2026-01-05T12:00:00Z"), "order them by approved_at"),
        ("rebalancing_directives.json", at("directives", 0, "target_pct", value=None), "'reduce' says one of target_pct"),
    ],
)
def test_a_fault_is_named_with_file_field_rule_and_remedy(name: str, change: Callable[[Any], None], said: str, tmp_path: Path) -> None:
    with pytest.raises(DataProblem) as raised:
        LOADERS[name](changed(name, change, tmp_path))
    assert str(raised.value).startswith(f"{name}: ")
    assert said in str(raised.value)
    assert ";" in str(raised.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "it is no JSON"),
        ("[]", "it is a list, and has to be an object"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": 1, "a": 2}', "the key 'a' is there twice"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_document_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(DataProblem, match=r"^x\.json: ") as raised:
        loading.load_snapshot(path)
    assert said in str(raised.value)


def test_a_missing_file_and_one_in_another_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataProblem, match=r"no\.json: it cannot be read .*check the path"):
        loading.load_snapshot(tmp_path / "no.json")
    (tmp_path / "latin.md").write_bytes("Für Materials".encode("latin-1"))
    with pytest.raises(DataProblem, match=r"latin\.md: it is not UTF-8"):
        loading.load_directives(tmp_path / "latin.md")


def test_a_decimal_of_json_is_read_exactly(tmp_path: Path) -> None:
    path = changed("portfolio.json", at("accounts", 0, "cash", value=20000.1), tmp_path)
    assert loading.load_snapshot(path).accounts[0].cash_minor == 2_000_010


def test_contradictions_of_a_typed_json_are_findings(tmp_path: Path) -> None:
    twice = {"directives": [{"kind": "set", "sector": "A", "target_pct": 5}, {"kind": "set", "sector": "a", "target_pct": 6}]}
    (tmp_path / "d.json").write_text(json.dumps(twice))
    assert [finding.code for finding in loading.load_directives(tmp_path / "d.json").findings] == ["two_directives"]
