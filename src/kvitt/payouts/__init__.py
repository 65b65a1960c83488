"""The payouts' use cases: created with their hold, confirmed, cancelled, each with its event (design §6, §9; payouts §2)."""
