"""Accuracy under leave-one-out, straight from a file in S3-Rec's format: read, tune on validation, judge on test."""
