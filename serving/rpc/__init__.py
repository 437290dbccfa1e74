"""Calls: from bytes to a request that may be answered, and errors as gRPC tells them."""
