"""Reconciliation: what is reported to rails of orders and lines, once, and with bytes that can be made again (design §15)."""
