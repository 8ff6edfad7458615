"""A whole paper portfolio over bars: screener, workflows, control plane, paper broker, ledger, monitor, and round again."""
