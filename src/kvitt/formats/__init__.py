"""Bounded readers and writers of bytes: JSON, XML, Thrift, times. No contract in here."""
