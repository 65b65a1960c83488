"""All that operators and their machines look at: health, metrics, and alarms about orders that wait too long. Nothing here moves money."""
