"""Bytes to values of rules/ and back, one module per contract; no I/O."""
