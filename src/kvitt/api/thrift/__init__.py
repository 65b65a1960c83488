"""Thrift over HTTP with trace headers and deadlines, as the contract's services speak it (payouts §7)."""
