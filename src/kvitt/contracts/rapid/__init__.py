"""The rapid's contract: needs of the rapid become forwarded orders, and are answered where they stand (rapid §2, design §12)."""
