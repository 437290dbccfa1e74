"""Simple models that are hard to beat. A trainer here, its scorer in recsys.scoring; tuning chooses on validation.

To add one: a Baseline subclass in a file of its own, a row in BASELINES, its line in the contract suite
(tests/recsys/baselines/test_baseline_contract.py), and a small grid.
"""

from __future__ import annotations

from recsys.baselines.base import Baseline
from recsys.baselines.factorization import ALS, BPR
from recsys.baselines.item_knn import ItemKNN, SequentialRules
from recsys.baselines.mix import Mix
from recsys.baselines.popularity import DecayedPopularity, Popularity
from recsys.baselines.prod2vec import Prod2Vec
from recsys.baselines.session_knn import SessionKNN

BASELINES: dict[str, type[Baseline]] = {
    baseline.name: baseline
    for baseline in (
        Popularity,
        DecayedPopularity,
        ItemKNN,
        SequentialRules,
        SessionKNN,
        ALS,
        BPR,
        Prod2Vec,
        Mix,
    )
}
