"""Dagster resources: they hand out the platform's own objects and know nothing else."""
