"""The tracks of a bundle as every worker maps them, and what has changed since."""
