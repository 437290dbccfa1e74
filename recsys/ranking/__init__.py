"""From candidates to a slate: what may be in it, and in which order it stands."""
