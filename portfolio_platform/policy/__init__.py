"""Versioned, typed limits and thresholds. A policy's hash is cited by everything that rests on it."""
