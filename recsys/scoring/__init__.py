"""Scorers: what serving needs of a model. Arrays in, scores out, saved in a bundle without pickle.

The trainer of a scorer (optimizer, epochs) lies elsewhere: recsys.baselines, or training for the neural ones.
"""
