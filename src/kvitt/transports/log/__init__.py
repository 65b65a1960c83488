"""The embedded log: topics as tables."""
