"""Benchmarks: `python -m bench` starts a durable server of its own and prints one JSON object per figure."""
