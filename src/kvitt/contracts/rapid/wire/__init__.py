"""The rapid's wire forms: needs in, answers and events out, orders and receipts in its own XML (rapid §1–§3)."""
