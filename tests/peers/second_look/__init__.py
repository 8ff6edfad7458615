"""A second, independent computation of the diagnostics: plain, slow, from the raw files and the specification alone."""
