"""The bundles that are loaded, and which of them answers."""
