"""The rapid's dialect: needs in, answers and events out, orders and receipts in its own XML (spenn §1–§3)."""
