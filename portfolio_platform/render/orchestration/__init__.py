"""What the orchestrator's plans, executions and escalations look like: Markdown, pages, JSON, CSV, charts. Pure: papers in, bytes out."""
