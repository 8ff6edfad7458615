"""Alerts as people live with them: the book follows each portfolio's newest session, the outbox tells them, they answer.

What fires is decided elsewhere (`monitor.alerts`, a pure evaluation in the lake). Here: `sync` (the rules), `pipeline` (from
lake to book), `message` (what a person reads), `delivery` and `notifiers` (how it reaches them), `actions` (what they do
about it), `heartbeat` (the platform about itself).
"""
