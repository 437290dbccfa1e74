"""What the server tells of itself: metrics, traces, logs, records of answers."""
