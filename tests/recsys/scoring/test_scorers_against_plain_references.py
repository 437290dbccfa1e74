"""The fast scorers against a few plain lines each."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from recsys.baselines.counting import CountedNeighbours, Rule
from recsys.ragged import Ragged
from recsys.scoring.base import top_k
from recsys.scoring.factors import Factors
from recsys.scoring.mix import Mix
from recsys.scoring.neighbours import ItemNeighbours
from recsys.scoring.popularity import Popularity
from recsys.scoring.postings import Postings, distinct
from recsys.scoring.sequences import Matching, SequenceNeighbours

ITEMS = 8
rows = st.lists(st.integers(0, ITEMS - 1), max_size=7)
sequence_lists = st.lists(rows, min_size=1, max_size=12)
histories = st.lists(st.lists(st.integers(-1, ITEMS - 1), max_size=6), min_size=1, max_size=4)
power = st.sampled_from([0.0, 0.5, 1.0])


def once(row: list[int]) -> list[int]:
    return list(dict.fromkeys(row))


def plain_weights(history: list[int], recency: float, last: int) -> list[tuple[int, float]]:
    known = [item for item in history if item >= 0][-last:]
    return [(item, (len(known) - i) ** -recency) for i, item in enumerate(known)]


@settings(deadline=None, max_examples=60)
@given(
    sequence_lists,
    histories,
    st.builds(
        Rule,
        window=st.sampled_from([1, 2, 100]),
        distance=power,
        backward=st.sampled_from([0.0, 0.5, 1.0]),
        length=power,
        balance=st.sampled_from([0.0, 0.3, 1.0]),
        shrinkage=st.sampled_from([0.0, 2.0]),
        neighbours=st.just(ITEMS),
        half_life_days=st.none(),
    ),
    power,
)
def test_item_neighbours(sequences: list[list[int]], asked: list[list[int]], rule: Rule, recency: float) -> None:
    strength: defaultdict[tuple[int, int], float] = defaultdict(float)
    mass: Counter[int] = Counter()
    for row in map(once, sequences):
        worth = max(len(row), 1) ** -rule.length
        for p, i in enumerate(row):
            mass[i] += worth
            for q, j in enumerate(row):
                if 0 < abs(p - q) <= rule.window:
                    strength[i, j] += worth * abs(p - q) ** -rule.distance * (rule.backward if q < p else 1)
    expected = np.zeros((len(asked), ITEMS))
    for h, history in enumerate(asked):
        for i, weight in plain_weights(history, recency, 4):
            for j in range(ITEMS):
                if strength[i, j]:
                    norm = mass[i] ** (1 - rule.balance) * mass[j] ** rule.balance
                    expected[h, j] += weight * strength[i, j] / (norm + rule.shrinkage)

    postings = Postings.build(distinct(Ragged.of(sequences)), ITEMS)
    counted = CountedNeighbours.build(postings, rule, np.ones(len(sequences), np.float32))
    for table in (counted, counted.stored()):
        assert_allclose(ItemNeighbours(table, recency, 4).scores(Ragged.of(asked)), expected, rtol=1e-4, atol=1e-6)


@given(st.lists(st.lists(st.integers(0, 30), max_size=9), min_size=1, max_size=30), st.integers(1, 4))
@settings(deadline=None, max_examples=40)
def test_only_the_strongest_neighbours_are_kept(sequences: list[list[int]], k: int) -> None:
    rule = Rule(100, 0.0, 1.0, 0.0, 0.5, 0.0, 31, None)
    postings = Postings.build(distinct(Ragged.of(sequences)), 31)
    worth = np.ones(len(sequences), np.float32)
    whole = CountedNeighbours.build(postings, rule, worth).stored().similarity.toarray()
    pruned = CountedNeighbours.build(postings, Rule(100, 0.0, 1.0, 0.0, 0.5, 0.0, k, None), worth).stored()
    items, values = top_k(whole, k)
    expected = np.zeros_like(whole)
    np.put_along_axis(expected, items, values, axis=1)
    assert_allclose(pruned.similarity.toarray(), expected)
    assert (pruned.counts.toarray() > 0).tolist() == (expected > 0).tolist()


@settings(deadline=None, max_examples=80)
@given(
    sequence_lists,
    histories,
    st.builds(
        Matching,
        neighbours=st.just(100),
        recency=power,
        last=st.just(4),
        rarity=power,
        length=power,
        amplify=st.sampled_from([1.0, 2.0]),
        distance=power,
        backward=st.sampled_from([0.5, 1.0]),
    ),
)
def test_sequence_neighbours(sequences: list[list[int]], asked: list[list[int]], matching: Matching) -> None:
    holding = Counter(item for row in sequences for item in set(row))
    worth = np.linspace(0.5, 1, len(sequences), dtype=np.float32)
    expected = np.zeros((len(asked), ITEMS))
    for h, history in enumerate(asked):
        weights = plain_weights(history, matching.recency, matching.last)
        for row, value in zip(map(once, sequences), worth, strict=True):
            shared = [(item, weight) for item, weight in weights if item in row]
            if not shared:
                continue
            rarity = {i: max(np.log(len(sequences) / holding[i]), np.log(1.001)) ** matching.rarity for i, _ in shared}
            similarity = value * sum(w * rarity[i] for i, w in shared) * len(row) ** -matching.length
            match = row.index(shared[-1][0])
            for place, item in enumerate(row):
                near = max(abs(place - match), 1) ** -matching.distance
                order = matching.backward if place < match else 1
                expected[h, item] += similarity**matching.amplify * near * order

    postings = Postings.build(distinct(Ragged.of(sequences)), ITEMS)
    scorer = SequenceNeighbours(postings, worth, matching)
    assert_allclose(scorer.scores(Ragged.of(asked)), expected, rtol=1e-3, atol=1e-6)


@settings(deadline=None, max_examples=40)
@given(sequence_lists, histories, st.integers(1, 3))
def test_the_most_similar_sequences_vote_newer_ones_first(
    sequences: list[list[int]], asked: list[list[int]], k: int
) -> None:
    matching = Matching(
        neighbours=k, recency=0.0, last=9, rarity=0.0, length=0.0, amplify=1.0, distance=0.0, backward=1.0
    )
    expected = np.zeros((len(asked), ITEMS))
    for h, history in enumerate(asked):
        shared = [sum(item in row for item in history) for row in sequences]
        order = sorted(range(len(sequences)), key=lambda s: (-shared[s], -s))
        for s in order[:k]:
            for item in set(sequences[s]):
                expected[h, item] += shared[s]
    postings = Postings.build(distinct(Ragged.of(sequences)), ITEMS)
    scorer = SequenceNeighbours(postings, np.ones(len(sequences), np.float32), matching)
    assert_allclose(scorer.scores(Ragged.of(asked)), expected, rtol=1e-5)


@given(sequence_lists, st.data())
def test_postings_until_a_cut_are_those_of_the_first_sequences(sequences: list[list[int]], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(sequences)))
    every = np.arange(ITEMS)
    seen, fresh = (
        Postings.build(Ragged.of(sequences), ITEMS).until(cut),
        Postings.build(Ragged.of(sequences[:cut]), ITEMS),
    )
    for got, wanted in zip(seen.of(every), fresh.of(every), strict=True):
        assert got.tolist() == wanted.tolist()


def test_folding_in_solves_the_least_squares_of_als() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(ITEMS, 3)).astype(np.float32)
    scorer = Factors(vectors, confidence=5.0, regularization=0.1, recency=1.0, last=9)
    confidence, target = np.ones(ITEMS), np.zeros(ITEMS)
    for item, weight in [(2, 1 / 3), (6, 1 / 2), (1, 1.0)]:
        confidence[item], target[item] = 5.0 * weight, 1.0
    root = np.sqrt(confidence)[:, None]
    stacked = np.concatenate([root * vectors, np.sqrt(0.1) * np.eye(3)])
    solution = np.linalg.lstsq(stacked, np.concatenate([root[:, 0] * target, np.zeros(3)]), rcond=None)[0]
    assert_allclose(scorer.fold_in(Ragged.of([[2, 6, -1, 1]]))[0], solution, rtol=1e-4)


@given(
    st.lists(st.lists(st.integers(0, 5), min_size=4, max_size=4), min_size=2, max_size=2), st.sampled_from([1, 2, 9])
)
def test_a_mix_sums_its_members_votes(weights: list[list[int]], depth: int) -> None:
    members = tuple(Popularity(np.array(row, np.float32), np.array(row)) for row in weights)
    by_score, by_rank = np.zeros(4), np.zeros(4)
    for row, share in zip(weights, (1.0, 0.5), strict=True):
        order = sorted(range(4), key=lambda i: -row[i])[:depth]
        for rank, item in enumerate(order):
            if row[item] > 0:
                by_score[item] += share * row[item] / max(row)
                by_rank[item] += share * 10 / (10 + rank)
    history = Ragged.of([[1, -1, 1]])
    by_rank[1] *= 0.5
    assert_allclose(Mix(members, (1.0, 0.5), "score", 10.0, depth, 1.0).scores(history)[0], by_score, rtol=1e-5)
    assert_allclose(Mix(members, (1.0, 0.5), "rank", 10.0, depth, 0.5).scores(history)[0], by_rank, rtol=1e-5)


@given(
    st.lists(st.lists(st.sampled_from([-np.inf, 0.0, 1.0, 2.0]), min_size=6, max_size=6), max_size=5), st.integers(1, 8)
)
def test_top_k_puts_the_lower_index_first_among_equals(scores: list[list[float]], k: int) -> None:
    expected = [sorted(range(6), key=lambda i: -row[i])[:k] for row in scores]
    items, values = top_k(np.array(scores, np.float32).reshape(-1, 6), k)
    assert items.tolist() == expected
    assert values.tolist() == [[row[i] for i in chosen] for row, chosen in zip(scores, expected, strict=True)]
