"""The paper broker: orders held against bars, deterministic from a seed; the platform never sends an order anywhere else."""
