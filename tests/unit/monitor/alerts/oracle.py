"""The state machine of alerts once more, slowly and in the words of its definition: what the compiled one is compared with."""

import math
from dataclasses import dataclass

from portfolio_platform.policy.alerts import Rule


@dataclass
class Slow:
    """One series: an alert's severity ('' where there is none) and its counters."""

    rule: Rule
    severity: str = ""
    calm: int = 0
    easing: int = 0
    sessions: int = 0
    cooling: int = 0
    worst: float = math.nan

    def bad(self, value: float, threshold: float | None) -> bool:
        """Say whether a value meets a threshold."""
        if threshold is None:
            return False
        return value >= threshold if self.rule.comparison == ">=" else value <= threshold

    def left(self, value: float, threshold: float | None) -> bool:
        """Say whether a value is beyond the leaving limit."""
        if threshold is None:
            return True
        if self.rule.comparison == ">=":
            return value < round(threshold * self.rule.leave, 12)
        return value > round(threshold / self.rule.leave, 12)

    def step(self, value: float | None) -> str:
        """Take one session; return what changed: fired, escalated, eased, resolved, stayed, or nothing."""
        meets = "" if value is None else "critical" if self.bad(value, self.rule.critical) else ""
        if value is not None and not meets and self.bad(value, self.rule.warning):
            meets = "warning"
        if not self.severity:
            if self.cooling:
                self.cooling -= 1
                return ""
            if not meets:
                return ""
            self.severity, self.calm, self.easing, self.sessions, self.worst = meets, 0, 0, 1, value
            return "fired"
        self.sessions += 1
        if value is None:
            return "stayed"
        self.worst = max(self.worst, value) if self.rule.comparison == ">=" else min(self.worst, value)
        lowest = self.rule.warning if self.rule.warning is not None else self.rule.critical
        self.calm = self.calm + 1 if self.left(value, lowest) else 0
        self.easing = self.easing + 1 if self.left(value, self.rule.critical) else 0
        if meets == "critical" and self.severity == "warning":
            self.severity = "critical"
            return "escalated"
        if self.calm >= self.rule.leave_sessions:
            self.severity, self.cooling = "", self.rule.cool_down
            return "resolved"
        if self.severity == "critical" and self.rule.warning is not None and self.easing >= self.rule.leave_sessions:
            self.severity = "warning"
            return "eased"
        return "stayed"
