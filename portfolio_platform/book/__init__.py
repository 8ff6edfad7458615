"""The book: what the platform decided and told.

One append-only, hash-chained event log, and read models (reports, policies) beside it. `store.Book` opens it;
`events`, `reports` and `policies` write and read inside a transaction that the book hands out. What happened in the
world (fills, bars, signals) belongs to the lake, not here.
"""
