"""The alert engine: metrics of a session and the policy's rules in, alerts with their evidence out. Pure; what people do is in the book."""
