"""The control plane: the one authority for limits that strategies share, replayable from its log alone."""
