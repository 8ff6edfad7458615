"""The grammar of one clause of an action plan: words and numbers become a directive, or the reason why not. Linear in its length.

Nothing is guessed: a number without a unit, "by 5 %" (points, or a part of the sector?), a range, a condition, a negation, or a
word that is left over makes the clause unread. "By 5 % of the portfolio" and "from 0 % by 5 %" are points, whoever reads them.
"""

from dataclasses import dataclass, field, replace
from decimal import Decimal

from pydantic import ValidationError

from portfolio_platform.orchestrator.directive import CASH, Directive, Kind
from portfolio_platform.orchestrator.tokens import BY, DOUBT, EXIT, FILLER, FROM, NOW, TO, VERBS, NotUnderstood, Number, Token


@dataclass
class _Clause:
    """What a clause has said so far."""

    kind: Kind | None = None
    exits: bool = False
    name: list[str] = field(default_factory=list)
    closed: bool = False
    numbers: dict[str, Number] = field(default_factory=dict)
    role: str = ""


def split_clauses(tokens: list[Token]) -> list[list[Token]]:
    """Return the clauses of a line: a mark or an "and" before a verb begins another one, once the one before has a number."""
    found: list[list[Token]] = [[]]
    for place, token in enumerate(tokens):
        ahead = tokens[place + 1] if place + 1 < len(tokens) else None
        joint = token.low in ("and", "then") or token.text in (";", ",", ".", "&")
        if joint and ahead is not None and ahead.low in VERBS and any(item.number is not None for item in found[-1]):
            found.append([])
            continue
        if joint and token.text in (",", ";") and ahead is not None and ahead.low in ("and", "then"):
            continue
        found[-1].append(token)
    return [clause for clause in found if clause]


def read_clause(tokens: list[Token]) -> Directive:
    """Return the directive of a clause. Raises `NotUnderstood` with the reason."""
    doubtful = [token.text for token in tokens if token.kind == "word" and token.low in DOUBT]
    if doubtful:
        raise NotUnderstood(f"'{doubtful[0]}' makes it a condition, an estimate or a denial")
    reach = _range(tokens)
    if reach:
        raise NotUnderstood(f"{reach} is a range, and a target is one number")
    clause = _Clause()
    for place, token in enumerate(tokens):
        _take(clause, token, tokens, place)
    return _directive(clause)


def _take(clause: _Clause, token: Token, tokens: list[Token], place: int) -> None:
    low = token.low
    if token.number is not None:
        if clause.role == "stated":  # "Materials: 46.8 % -> 25 %", or "Materials: 25 %"
            after = tokens[place + 1] if place + 1 < len(tokens) else None
            clause.role = "current" if after is not None and after.low in TO and _number_ahead(tokens, place + 1) else "target"
        _take_number(clause, _of_portfolio(token.number, tokens, place), token.text)
    elif token.kind == "quoted":
        if clause.name:
            raise NotUnderstood(f"two names: {' '.join(clause.name)} and {token.text}")
        clause.name, clause.closed = [token.text.strip('"')], True
    elif low in FROM or low in NOW:
        clause.role, clause.closed = "current", clause.closed or bool(clause.name)
    elif low in TO and (_number_ahead(tokens, place) or clause.numbers):
        clause.role, clause.closed = ("target" if _number_ahead(tokens, place) else ""), clause.closed or bool(clause.name)
    elif low in BY:
        clause.role, clause.closed = "change", clause.closed or bool(clause.name)
    elif token.kind == "word" and clause.kind is None and not clause.name and low in VERBS:
        clause.kind, clause.exits = VERBS[low], low in EXIT
    elif low == "target" and clause.name:
        clause.role, clause.closed = "target", True
    elif token.kind == "word" and low in FILLER and (clause.closed or not clause.name or _ends_name(tokens, place)):
        return
    elif token.kind == "word" or (token.text in ("&", "/", "-") and clause.name and not clause.closed):
        if clause.closed:
            raise NotUnderstood(f"'{token.text}' is left over")
        clause.name.append(token.text)
    elif token.text == ":":
        clause.closed = clause.closed or bool(clause.name)
        clause.role = clause.role or "stated"
    elif token.text == "(":
        clause.closed = clause.closed or bool(clause.name)
    elif token.text not in (".", ",", ")", "|", "!", "="):
        raise NotUnderstood(f"'{token.text[:40]}' is left over")


def _range(tokens: list[Token]) -> str:
    """Return two numbers that are the ends of a range, as text: "20-25%", "20% - 25%", "to 20 to 25%"; empty where there are none."""
    for place, token in enumerate(tokens[:-1]):
        first, joint = token.number, tokens[place + 1]
        if first is None or first.unit not in ("", "percent"):
            continue
        if joint.number is not None and joint.number.sign == "-" and joint.number.unit == "percent":
            return f"{token.text} to {joint.text.lstrip('-')}%"
        last = tokens[place + 2] if place + 2 < len(tokens) else None
        again = joint.low == "to" and place > 0 and tokens[place - 1].low in TO
        if (joint.text == "-" or again) and last is not None and last.number is not None and last.number.unit == "percent":
            return f"{token.text} to {last.text}%"
    return ""


def _of_portfolio(number: Number, tokens: list[Token], place: int) -> Number:
    """Return a percentage "of the portfolio" that is a change as points; every other number as it is."""
    behind = [token.low for token in tokens[place + 1 : place + 5]]
    if number.unit != "percent" or behind[:1] != ["of"]:
        return number
    rest = [word for word in behind[1:] if word not in ("the", "our", "total", "entire")]
    changes = number.sign or (place > 0 and tokens[place - 1].low in BY)
    return replace(number, unit="points") if changes and rest[:1] == ["portfolio"] else number


def _number_ahead(tokens: list[Token], place: int) -> bool:
    for token in tokens[place + 1 : place + 4]:
        if token.number is not None:
            return True
        if token.low not in FILLER and token.text not in ("(", "="):
            return False
    return False


def _ends_name(tokens: list[Token], place: int) -> bool:
    """Say whether a filler word stands at the end of a name: "Cash position: 5 %", and not "Real Estate Holdings Trust"."""
    for token in tokens[place + 1 :]:
        if token.number is not None or token.low in FROM | TO | BY | NOW or token.text in ("(", ")", ":", ",", "."):
            return True
        if token.low not in FILLER:
            return False
    return True


def _take_number(clause: _Clause, number: Number, text: str) -> None:
    role = clause.role
    if not number.unit:
        raise NotUnderstood(f"{text} has no unit; write %, pts or a currency")
    if number.unit in ("points", "money") or number.sign:
        if number.unit == "percent":
            raise NotUnderstood(
                f"{text}% with a sign may be points or a part of the sector; write 'by {text.lstrip('+-')} pts', or 'to ... %'"
            )
        if role in ("current", "target"):
            raise NotUnderstood(f"{text} is a change, and stands where a weight is expected")
        role = "change"
    elif not role:
        if clause.kind == "hold" or (clause.kind == "set" and not clause.numbers):
            role = "target"
        else:
            # "46.8% -> 25%", where the arrow gives the second number its place
            role = "current" if "current" not in clause.numbers else "?"
    if role in clause.numbers or role == "?":
        raise NotUnderstood(
            f"two numbers for one thing: {clause.numbers.get(role, number).value:f} and {number.value:f}; a range is no target"
        )
    clause.numbers[role] = number
    clause.closed, clause.role = clause.closed or bool(clause.name), ""


def _directive(clause: _Clause) -> Directive:
    name = " ".join(clause.name)
    cash = name.casefold() == CASH.casefold()
    if not name:
        raise NotUnderstood("it names no sector")
    current, target, change = (clause.numbers.get(role) for role in ("current", "target", "change"))
    if clause.exits and not clause.numbers:
        target = Number(Decimal(0), "percent", "")
    if not cash and clause.kind is None and target is None and change is None:
        raise NotUnderstood("it says no direction and no target")
    if current is not None and target is None and change is None:
        raise NotUnderstood("one percentage, and it is not said whether 'to' it or 'by' it")
    if target is None and change is None and clause.kind != "hold":
        raise NotUnderstood("it says no number")
    if change is not None and change.unit == "percent" and current is not None and not current.value:
        change = replace(change, unit="points")  # a part of nothing is nothing
    if target is not None and change is not None:
        target, change = _agreeing(current, target, change), None
    if change is not None and change.unit == "percent":
        said = f"{change.value:f}"
        raise NotUnderstood(f"by {said}% may be points or a part of the sector; write 'by {said} pts', or 'to ... %'")
    kind = "cash" if cash else _kind(clause.kind, current, target, change)
    if kind == "hold":
        current = None
    money = change is not None and change.unit == "money"
    try:
        return Directive(
            kind=kind,
            sector=CASH if cash else name,
            current_pct=None if current is None else current.value,
            target_pct=None if target is None else target.value,
            change_points=None if change is None or money else change.value,
            change_amount=change.value if change is not None and money else None,
            change_currency=change.currency if change is not None and money else None,
        )
    except ValidationError as error:
        raise NotUnderstood(error.errors()[0]["msg"].removeprefix("Value error, ")) from error


def _agreeing(current: Number | None, target: Number, change: Number) -> Number:
    """Return the target where a change says the same as the weights around it; one in percent, as points or as a part of the weight."""
    if current is not None:
        moved = abs(target.value - current.value)
        as_part = change.unit == "percent" and moved * 100 == change.value * current.value
        if as_part or (change.unit in ("points", "percent") and moved == change.value):
            return target
    raise NotUnderstood("it says a target and a change that do not agree")


_SIGNS: dict[str, Kind] = {"-": "reduce", "+": "increase"}


def _kind(verb: Kind | None, current: Number | None, target: Number | None, change: Number | None) -> Kind:
    """Return the kind that a verb and numbers make. Raises `NotUnderstood` where they contradict each other."""
    if change is not None:
        signed = _SIGNS.get(change.sign)
        if verb in (None, "set"):
            if signed is None:
                raise NotUnderstood("it does not say whether up or down")
            return signed
        if (
            verb == "hold"
            or (signed == "increase" and verb == "reduce")
            or (signed == "reduce" and verb in ("increase", "add") and change.sign)
        ):
            raise NotUnderstood(f"'{verb}' and {change.sign}{change.value:f} contradict each other")
        return verb
    if verb in (None, "set"):
        if current is None or target is None:
            return "set"
        return "reduce" if target.value < current.value else "increase" if target.value > current.value else "hold"
    if current is not None and target is not None:
        rises = target.value > current.value
        if (verb == "reduce" and rises) or (verb in ("increase", "add") and target.value < current.value):
            raise NotUnderstood(f"'{verb}' from {current.value:f}% to {target.value:f}% contradicts itself")
        if verb == "hold" and target.value != current.value:
            raise NotUnderstood("'hold' with two different weights contradicts itself")
    return verb
