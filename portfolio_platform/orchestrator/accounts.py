"""What a ledger does not say of a portfolio's account: its kind, whether it takes parts of a share, how far stops are planned."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from portfolio_platform.orchestrator.amounts import Percentage
from portfolio_platform.orchestrator.model import At, Name, Typed


class AccountTerms(Typed):
    """The account that a portfolio of the ledger is held in."""

    portfolio: Name
    account: Name | None = Field(None, description="its name on orders; none: the ledger's, else the portfolio's own")
    kind: Literal["cash", "margin"] = "cash"
    fractional: bool = Field(False, description="whether it takes parts of a share")
    lot_sizes: dict[str, Annotated[int, Field(ge=1, le=1_000_000)]] = Field(
        default_factory=dict, description="shares of a lot by ticker, where it is not 1"
    )
    planned_stop_pct: Percentage | None = Field(
        None,
        description="distance of the stop that a buy gets where nothing states one; none: the control plane counts its whole amount",
    )


class Accounts(Typed):
    """The accounts of the ledger's portfolios. One that is not listed is a cash account of whole shares."""

    as_of: At
    source: Name
    accounts: tuple[AccountTerms, ...] = ()

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        names = [terms.portfolio for terms in self.accounts]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"accounts: portfolio {name!r} is there twice; keep one")
        return self

    def of(self, portfolio: str) -> AccountTerms:
        """Return the terms of a portfolio's account."""
        return next((terms for terms in self.accounts if terms.portfolio == portfolio), AccountTerms(portfolio=portfolio))
