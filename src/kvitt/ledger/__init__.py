"""The ledger's use cases: accounts are made, plans held, committed and rolled back, many calls in one transaction (design §4, §9)."""
