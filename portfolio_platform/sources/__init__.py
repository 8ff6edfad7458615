"""Sources: from the outside world's files to typed, checked canonical rows, and what had to be set aside."""
