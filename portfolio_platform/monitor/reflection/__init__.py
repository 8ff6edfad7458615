"""Reflections: what a week or a month taught about playbooks, alerts and the plan. Pure; `monitor.pipeline.reflections` feeds it."""
