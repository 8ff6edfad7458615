"""Where the control plane meets lake and book: what the ledger and the monitor say comes in, decisions go out as facts."""
