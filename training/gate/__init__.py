"""Which bundle is served: a contest on the newest rows -> the rule -> a recorded decision -> promotion."""
