"""The contract of single payments: one at a time, each under an id that its caller chose (iverksetting §3)."""
