"""A rebalancing directive: what a portfolio document asks of one sector, before it is held against the ledger."""

import re
import unicodedata
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from portfolio_platform.orchestrator.amounts import no_float, plain
from portfolio_platform.orchestrator.model import Finding, Typed

Kind = Literal["reduce", "increase", "add", "hold", "set", "cash"]
CASH = "Cash"
LONGEST_NAME = 60


def sector_name(text: str) -> str:
    """Return the one spelling of a sector's name: composed characters, single spaces. Raises `ValueError` for what is none."""
    name = " ".join(unicodedata.normalize("NFKC", text).split())
    if not name or len(name) > LONGEST_NAME:
        raise ValueError(f"a sector's name has 1 to {LONGEST_NAME} characters; this has {len(name)}")
    if not re.fullmatch(r"[^\W\d_](?:[^\W_]|[ &/.'-])*", name) or not name.isprintable():
        raise ValueError(f"{name!r} is no name of a sector; use letters, digits, spaces and & / - ' .")
    return CASH if name.casefold() == CASH.casefold() else name


def _four_places(value: Decimal) -> Decimal:
    if not value.is_finite() or value != round(value, 4):
        raise ValueError(f"{value} has more than four decimals")
    return plain(value)


SectorName = Annotated[str, StringConstraints(strict=True), AfterValidator(sector_name)]
Stated = Annotated[Decimal, BeforeValidator(no_float), Field(ge=0, le=100_000), AfterValidator(_four_places)]
Above = Annotated[Decimal, BeforeValidator(no_float), Field(gt=0, le=100_000), AfterValidator(_four_places)]
Sum = Annotated[Decimal, BeforeValidator(no_float), Field(gt=0, le=10**13), AfterValidator(_four_places)]


class Directive(Typed):
    """What is asked of one sector: a target, or a change in points or in money.

    ``reduce``, ``increase`` and ``add`` say one of target, change and amount; ``set`` a target without a direction; ``hold``
    may say the weight to hold; ``cash`` the target for cash. A percentage beyond 100 can be stated; it is a finding later.
    """

    kind: Kind
    sector: SectorName = CASH
    current_pct: Stated | None = Field(None, description="the weight that the document says the sector has")
    target_pct: Stated | None = None
    change_points: Above | None = Field(None, description="percentage points to rise or fall by")
    change_amount: Sum | None = Field(None, description="money to rise or fall by, in units of the currency")
    change_currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [value for value in (self.target_pct, self.change_points, self.change_amount) if value is not None]
        if (self.change_amount is None) != (self.change_currency is None):
            raise ValueError("change_amount and change_currency go together")
        if (self.kind == "cash") != (self.sector.casefold() == CASH.casefold()):
            raise ValueError("the kind 'cash' is for the sector Cash, and no other kind is")
        if self.kind == "hold":
            if self.change_points is not None or self.change_amount is not None or self.current_pct is not None:
                raise ValueError("'hold' may say a target_pct and nothing else")
        elif len(said) != 1:
            raise ValueError(f"'{self.kind}' says one of target_pct, change_points, change_amount; this says {len(said)}")
        elif self.kind in ("cash", "set") and self.target_pct is None:
            raise ValueError(f"'{self.kind}' says a target_pct")
        if self.kind == "set" and self.current_pct is not None:
            raise ValueError("'set' says a target_pct alone; with a current_pct it is 'reduce' or 'increase'")
        return self


class Stretch(Typed):
    """A line, or a part of one, that is no directive as far as the parser understood."""

    line: int
    text: str
    why: str
    until: int | None = Field(None, description="last line, where it is several; the text is that of the first")
    suspicious: bool = Field(description="whether it could ask for something: it has a number, a verb or a condition")


class Directives(Typed):
    """What was read of a document: the directives with their lines, every line that was not understood, and what contradicts itself."""

    directives: tuple[Directive, ...]
    lines: tuple[int, ...] = Field((), description="for each directive the line that says it, counted from 1; empty for JSON")
    unread: tuple[Stretch, ...] = ()
    findings: tuple[Finding, ...] = ()

    @model_validator(mode="after")
    def _lines_of_all(self) -> Self:
        if self.lines and len(self.lines) != len(self.directives):
            raise ValueError("there is one line for each directive, or none")
        return self

    def line_of(self, place: int) -> int | None:
        """Return the line of the directive at a place."""
        return self.lines[place] if self.lines else None
