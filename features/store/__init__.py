"""The Feast repository: slow statistics of listeners and tracks, as of any moment, offline and online."""
