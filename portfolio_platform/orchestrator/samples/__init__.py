"""One sample file of each document that the orchestrator reads, around the specification's example."""
