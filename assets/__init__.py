"""Dagster assets: each a few lines over a pipeline of the platform. What they compute is in `portfolio_platform`."""
