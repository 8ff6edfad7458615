"""Benchmarks: what the platform promises about speed and memory, measured. Run `python -m benchmarks`."""
