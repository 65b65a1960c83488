"""What is right: pure functions over frozen values; no I/O, no clock, no randomness, nothing of ours imported."""
