"""The networks: a history tower (encoder, blocks) and an item tower (items), joined over one table (network).

Importing `recsys.models.config` alone loads no torch.
"""
