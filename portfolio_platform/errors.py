"""The errors that a person may see: each names the thing, the value, the rule and the way out."""


class PortfolioError(Exception):
    """Something the user can mend; the text says what is wrong and what to do."""


class DataProblem(PortfolioError):
    """The data is not usable as it is (exit code 1)."""


class WrongUse(PortfolioError):
    """The command or the call cannot be meant that way (exit code 2)."""


class StoreProblem(PortfolioError):
    """A store is missing, locked, damaged, or of another version (exit code 1)."""
