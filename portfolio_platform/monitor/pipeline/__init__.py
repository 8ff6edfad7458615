"""The monitor's pipelines: reports, alerts, recommendations, reflections, and what is stale."""
