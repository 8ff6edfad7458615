"""Evidence: where a number comes from, so that it can be followed down to its rows."""
