"""The served ranker: trained on what the sources of a bundle propose for validation queries."""
