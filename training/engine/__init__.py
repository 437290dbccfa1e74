"""How a network is trained: batches -> loop, spread over processes, with checkpoints -> export -> bundle."""
