"""The rapid's dialect: needs in, answers and events out, orders and receipts in its own XML (rapid §1–§3)."""
