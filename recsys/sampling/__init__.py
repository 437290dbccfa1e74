"""Negative samplers with known expected counts, behind one Protocol (recsys.sampling.base)."""

from __future__ import annotations

from recsys.sampling.base import Sampler
from recsys.sampling.popularity import Popularity
from recsys.sampling.uniform import Uniform

__all__ = ["Popularity", "Sampler", "Uniform"]
