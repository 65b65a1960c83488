"""The use cases: what happens in one transaction, and group commit."""
