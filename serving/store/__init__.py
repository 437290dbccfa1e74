"""What all workers share: listeners, the catalogue log, records of answers, quotas. A worker holds only caches."""
