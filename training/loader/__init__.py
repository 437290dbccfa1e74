"""Training tables -> batches: arrays on disk, a plan for each epoch, the batch that a step is fed with."""
