"""Sensors, schedules and jobs: what makes things happen, and when."""
