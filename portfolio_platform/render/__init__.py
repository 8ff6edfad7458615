"""Rendering: a report and its history as something a person reads. Models and plain series in, text out; no store is known here."""
