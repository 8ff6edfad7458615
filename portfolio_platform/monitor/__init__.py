"""The monitor: what a portfolio as a whole is doing, said once a day."""
