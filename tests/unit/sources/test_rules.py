"""Rules that tie columns together, each both ways."""

import pytest

from .conftest import FILLS_HEADER, Reader, fill, fills

TS = "2024-05-01T14:30:00Z"


def outcome(read: Reader, fact: str, header: str, line: str) -> str:
    """Return '' for a row that is kept, else its rejection without the file and line."""
    parsed = read(fact, f"{header}\n{line}\n")
    return parsed.rejections[0].sentence.removeprefix(f"{fact}.csv line 2: ") if parsed.rejections else ""


@pytest.mark.parametrize(
    ("amount", "kind", "said"),
    [
        ("-60000.50", "withdrawal", ""), ("100", "deposit", ""), ("100", "Initial_Funding", ""), ("-3", "fee", ""), ("3", "interest", ""),
        ("60000.50", "withdrawal", "amount 60000.50 is positive, and a withdrawal is negative; write -60000.5, or mend kind"),
        ("-100", "deposit", "amount -100 is negative, and a deposit is positive; write 100, or mend kind"),
        ("-100", "initial_funding", "amount -100 is negative, and a initial funding is positive; write 100, or mend kind"),
        ("0", "fee", "amount 0 is zero: amount is never zero; leave the row out if nothing happened"),
    ],
)  # fmt: skip
def test_the_sign_of_a_flow_agrees_with_its_kind(read: Reader, amount: str, kind: str, said: str) -> None:
    assert outcome(read, "cash_flows", "ts,amount,kind", f"{TS},{amount},{kind}") == said.replace("a initial", "an initial")


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        ("10,12,9,11", ""), ("10,10,10,10", ""), (",,,11", ""), (",12,,11", ""),
        ("10,10.5,9,11", "high 10.5 is below the close, 11"),
        ("13,12,9,11", "high 12 is below the open, 13"),
        (",8,9,", "high 8 is below the low, 9 (and 1 more: close)"),
        ("10,12,10.5,11", "low 10.5 is above the open, 10"),
        ("11,12,11,10.5", "low 11 is above the close, 10.5"),
        ("10,9,11,10", "high 9 is below the open, 10 (and 1 more: low)"),
    ],
)  # fmt: skip
def test_a_bar_lies_between_its_low_and_its_high(read: Reader, prices: str, said: str) -> None:
    found = outcome(read, "bars", "symbol,ts,open,high,low,close", f"AAPL,{TS},{prices}")
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ("split,2,", ""), ("cash_dividend,,0.25", ""),
        ("split,,0.25", "ratio is empty, and a split needs it; write the ratio, for example 2 for two new units for one old"),
        ("cash_dividend,2,", "amount is empty, and a cash dividend needs it; write the amount, for example 0.25"),
        ("split,0,", "ratio 0 is zero"),
    ],
)  # fmt: skip
def test_a_corporate_action_states_its_terms(read: Reader, terms: str, said: str) -> None:
    found = outcome(read, "corporate_actions", "ts,symbol,kind,ratio,amount", f"{TS},AAPL,{terms}")
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_a_decision_is_not_later_than_its_fill(read: Reader) -> None:
    header = FILLS_HEADER + ",decision_ts"
    assert read("fills", fills(fill() + f",{TS}", fill() + ",", header=header)).rejections == ()
    (rejection,) = read("fills", fills(fill() + ",2024-05-01T14:30:00.5Z", header=header)).rejections
    assert rejection.rule == f"is after ts, {TS}"
    assert rejection.column == "decision_ts"


@pytest.mark.parametrize(
    ("direction", "stop", "target", "confidence", "valid_until", "said"),
    [
        ("long", "9", "12", "1", TS, ""), ("short", "12", "9", "0", "", ""), ("long", "", "", "", "", ""),
        ("long", "10", "", "", "", "stop_price 10 is not below the entry price, 10, on a long; check direction"),
        ("long", "", "9", "", "", "target_price 9 is not above the entry price, 10, on a long"),
        ("short", "9", "", "", "", "stop_price 9 is not above the entry price, 10, on a short"),
        ("short", "", "11", "", "", "target_price 11 is not below the entry price, 10, on a short"),
        ("long", "", "", "70", "", "confidence 70 is more than 1: confidence is a fraction from 0 to 1; write 0.7 for 70 %"),
        ("long", "", "", "-0.1", "", "confidence -0.1 is negative"),
        ("long", "", "", "", "2024-05-01T14:29:59Z", f"valid_until 2024-05-01T14:29:59Z is before ts, {TS}"),
    ],
)  # fmt: skip
def test_a_signal_is_consistent_in_itself(
    read: Reader, direction: str, stop: str, target: str, confidence: str, valid_until: str, said: str
) -> None:
    header = "signal_id,ts,symbol,direction,entry_price,stop_price,target_price,confidence,valid_until"
    found = outcome(read, "signals", header, f"S1,{TS},AAPL,{direction},10,{stop},{target},{confidence},{valid_until}")
    assert found.startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize("calendar", ["24x7", "weekdays", "", "XNYS", "XETR"])
def test_a_known_calendar_is_kept(read: Reader, calendar: str) -> None:
    assert outcome(read, "instruments", "symbol,calendar", f"AAPL,{calendar}") == ""


@pytest.mark.parametrize(("calendar", "meant"), [("xnys", "XNYS"), ("24x5", "24x7"), ("weekday", "weekdays")])
def test_an_unknown_calendar_is_answered_with_those_that_may_be_meant(read: Reader, calendar: str, meant: str) -> None:
    found = outcome(read, "instruments", "symbol,calendar", f"AAPL,{calendar}")
    assert found.startswith(f"calendar {calendar} is no calendar that is known; write an exchange code such as XNYS")
    assert meant in found.split("did you mean")[1]


def test_a_calendar_of_nonsense_is_answered_without_a_suggestion(read: Reader) -> None:
    assert "did you mean" not in outcome(read, "instruments", "symbol,calendar", "AAPL,§§§§§§§")
