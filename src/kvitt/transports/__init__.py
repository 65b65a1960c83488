"""Bytes in, bytes out, positions; no contract is known here."""
