"""How a network is trained: the loop, spread over processes, with checkpoints -> export -> bundle."""
