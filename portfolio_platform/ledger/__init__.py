"""Accounting: from fills to positions, cash, equity and round trips. Calculating modules are pure; `pipeline` has the stores."""
