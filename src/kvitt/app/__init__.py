"""The only place that wires concrete parts together: which database, which log, which queue, which rail (design §3, §10)."""
