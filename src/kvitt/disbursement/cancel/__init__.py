"""Cancellations: two people ask a rail to cancel an order that it may have, the request leaves, and the rail answers (design §6)."""
