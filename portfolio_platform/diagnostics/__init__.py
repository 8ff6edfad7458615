"""The portfolio diagnostics: pure functions over columns, every day of a range in one pass; `pipeline` has the stores."""
