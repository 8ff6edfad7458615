"""Rules that tie columns of one row together. Each is a function of the typed columns; nulls break no rule."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from portfolio_platform.days import format_timestamp
from portfolio_platform.sources.model import Fault
from portfolio_platform.sources.numerals import shown, where

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Mapping[str, Any]
"""Typed Arrow arrays of equal length by column name; `bust` is among them."""
Faults = Iterator[tuple[int, Fault]]

OWN_CALENDARS = frozenset({"24x7", "weekdays"})
_AT_SOURCE = "check the row at its source"


def cross_faults(fact: str, columns: Columns) -> Faults:
    """Yield (row, fault) for every row whose columns contradict each other."""
    for rule in _RULES.get(fact, ()):
        yield from rule(columns)


def _at(columns: Columns, name: str, row: int) -> Any:
    return columns[name][row].as_py()


def _both(left: "pa.Array", right: "pa.Array") -> list[int]:
    import pyarrow.compute as pc

    return where(pc.and_(left, right))


def _flow_signs(columns: Columns) -> Faults:
    import pyarrow.compute as pc

    for kind, wanted in (("withdrawal", "negative"), ("deposit", "positive"), ("initial_funding", "positive")):
        wrong = pc.greater(columns["amount"], 0) if wanted == "negative" else pc.less(columns["amount"], 0)
        for row in _both(pc.equal(columns["kind"], kind), wrong):
            seen = "positive" if wanted == "negative" else "negative"
            named = {"initial_funding": "an initial funding"}.get(kind, f"a {kind}")
            rule = f"is {seen}, and {named} is {wanted}"
            yield row, Fault("amount", "flow_sign", rule, f"write {shown(-_at(columns, 'amount', row))}, or mend kind")


def _bar_range(columns: Columns) -> Faults:
    import pyarrow.compute as pc

    compared = [("high", other, pc.less, "below") for other in ("open", "close", "low")]
    compared += [("low", other, pc.greater, "above") for other in ("open", "close")]
    told: set[tuple[int, str]] = set()
    for column, other, breaks, word in compared:
        for row in where(breaks(columns[column], columns[other])):
            if (row, column) not in told:
                told.add((row, column))
                rule = f"is {word} the {other}, {shown(_at(columns, other, row))}"
                yield row, Fault(column, "bar_range", rule, f"{_AT_SOURCE}: a bar lies between its low and its high")


def _action_terms(columns: Columns) -> Faults:
    import pyarrow.compute as pc

    examples = {"ratio": "2 for two new units for one old", "amount": "0.25 for 0.25 of cash for one unit"}
    for kind, needed in (("split", "ratio"), ("cash_dividend", "amount")):
        stands = pc.invert(columns["bust"])
        for row in _both(pc.and_(pc.equal(columns["kind"], kind), stands), columns[needed].is_null()):
            rule = f"is empty, and a {kind.replace('_', ' ')} needs it"
            yield row, Fault(needed, "action_terms", rule, f"write the {needed}, for example {examples[needed]}")


def _not_after(first: str, second: str, told: str) -> Callable[[Columns], Faults]:
    """Return the rule that time `first` is not after time `second`; the fault is told of column `told`."""

    def rule(columns: Columns) -> Faults:
        import pyarrow.compute as pc

        word, other = ("after", second) if told == first else ("before", first)
        for row in where(pc.greater(columns[first], columns[second])):
            text = f"is {word} {other}, {format_timestamp(_at(columns, other, row))}"
            yield row, Fault(told, "order_of_times", text, f"{_AT_SOURCE}: is one of the two in another time zone?")

    return rule


def _levels(columns: Columns) -> Faults:
    """A long has its stop below its entry and its target above, a short the other way round."""
    import pyarrow.compute as pc

    for direction, stop_wrong, target_wrong in (
        ("long", pc.greater_equal, pc.less_equal),
        ("short", pc.less_equal, pc.greater_equal),
    ):
        chosen = pc.equal(columns["direction"], direction)
        for name, wrong, side in (
            ("stop_price", stop_wrong, "below" if direction == "long" else "above"),
            ("target_price", target_wrong, "above" if direction == "long" else "below"),
        ):
            for row in _both(chosen, wrong(columns[name], columns["entry_price"])):
                entry = shown(_at(columns, "entry_price", row))
                text = f"is not {side} the entry price, {entry}, on a {direction}"
                yield row, Fault(name, "levels", text, "check direction, stop_price, entry_price and target_price")


def _known_calendar(columns: Columns) -> Faults:
    calendars = columns["calendar"].unique().drop_null().to_pylist()
    if OWN_CALENDARS.issuperset(calendars):
        return
    import exchange_calendars
    import pyarrow.compute as pc

    names = OWN_CALENDARS.union(exchange_calendars.get_calendar_names())
    folded = {name.lower(): name for name in sorted(names)}
    for calendar in calendars:
        if calendar not in names:
            close = difflib.get_close_matches(calendar.lower()[:60], folded, 3, 0.5)
            hint = f" (did you mean {' or '.join(folded[name] for name in close)}?)" if close else ""
            remedy = f"write an exchange code such as XNYS, 24x7, weekdays, or nothing{hint}"
            for row in where(pc.equal(columns["calendar"], calendar)):
                yield row, Fault("calendar", "calendar", "is no calendar that is known", remedy)


_RULES: dict[str, tuple[Callable[[Columns], Faults], ...]] = {
    "cash_flows": (_flow_signs,),
    "bars": (_bar_range,),
    "corporate_actions": (_action_terms,),
    "fills": (_not_after("decision_ts", "ts", "decision_ts"),),
    "signals": (_not_after("ts", "valid_until", "valid_until"), _levels),
    "instruments": (_known_calendar,),
}
