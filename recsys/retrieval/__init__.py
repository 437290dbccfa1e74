"""Vector search under predicates."""
