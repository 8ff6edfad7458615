"""Recommendations: alerts, regime and gates of a session in, a typed proposal out. Pure; approval and application are elsewhere."""
