"""The orchestrator: from a rebalancing directive or a stock recommendation to a plan that a person can execute safely.

Nothing here sends an order. The modules calculate: models in, models out; no store, no clock, no environment.
"""
