"""Payouts, accounts and plans as JSON over HTTP, for callers with tokens (design §11)."""
