"""What a plan of the orchestrator, its execution and its escalations look like: Markdown, pages, JSON, CSV, charts. Pure: papers in, bytes out."""
