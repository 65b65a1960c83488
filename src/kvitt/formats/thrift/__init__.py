"""Thrift's strict binary protocol: our own interface definitions, and bytes to checked values and back (payouts §1, §3, §4, §7)."""
