"""One durable workflow per instrument: screener, regime detector, playbooks, the state machine. Pure but for `store`."""
