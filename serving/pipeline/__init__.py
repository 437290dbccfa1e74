"""The way of a request through a bundle: small named stages, each over a batch of requests."""
