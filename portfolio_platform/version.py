"""The version of the code: reports and builds name the one that made them."""

__version__ = "0.5.0"
