"""The fast scorers against a few plain lines each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from recsys.baselines.counting import CountedNeighbours, Rule
from recsys.ragged import Int32, Ragged
from recsys.scoring.base import Evidence, Scorer, top_k
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


def assert_evidence(scorer: Scorer, history: list[int], votes: Callable[[int], list[tuple[int, float, int]]]) -> None:
    """Of every item: seed and count of a greatest vote, where it is above 0. ``votes``: item -> (seed, vote, count)."""
    found = scorer.evidence(np.array(history, np.int32), np.arange(ITEMS, dtype=np.int32))
    for item, seed, count in zip(range(ITEMS), found.seeds.tolist(), found.counts.tolist(), strict=True):
        best = max((vote for _, vote, _ in votes(item)), default=0.0)
        greatest = {(s, c) for s, vote, c in votes(item) if vote > 0 and vote >= best * (1 - 1e-5)}
        assert (seed, count) in (greatest or {(-1, 0)})


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
    joint: Counter[tuple[int, int]] = Counter()
    mass: Counter[int] = Counter()
    for row in map(once, sequences):
        worth = max(len(row), 1) ** -rule.length
        for p, i in enumerate(row):
            mass[i] += worth
            for q, j in enumerate(row):
                if 0 < abs(p - q) <= rule.window:
                    strength[i, j] += worth * abs(p - q) ** -rule.distance * (rule.backward if q < p else 1)
                    joint[i, j] += rule.backward > 0 or q > p

    def similarity(i: int, j: int) -> float:
        norm = mass[i] ** (1 - rule.balance) * mass[j] ** rule.balance
        return strength[i, j] / (norm + rule.shrinkage) if strength[i, j] else 0.0

    expected = np.zeros((len(asked), ITEMS))
    for h, history in enumerate(asked):
        for i, weight in plain_weights(history, recency, 4):
            expected[h] += [weight * similarity(i, j) for j in range(ITEMS)]

    postings = Postings.build(distinct(Ragged.of(sequences)), ITEMS)
    counted = CountedNeighbours.build(postings, rule, np.ones(len(sequences), np.float32))
    for table in (counted, counted.stored()):
        scorer = ItemNeighbours(table, recency, 4)
        assert_allclose(scorer.scores(Ragged.of(asked)), expected, rtol=1e-4, atol=1e-6)
        for history in asked:
            known = plain_weights(history, recency, 4)
            assert_evidence(
                scorer, history, lambda j, known=known: [(i, w * similarity(i, j), joint[i, j]) for i, w in known]
            )


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

    def votes(item: int) -> list[tuple[int, float, int]]:
        seen = [(i, w, sum({i, item} <= set(row) for row in sequences)) for i, w in known if holding[i]]
        rarity = {i: max(np.log(len(sequences) / holding[i]), np.log(1.001)) ** matching.rarity for i, _, _ in seen}
        return [(i, w * rarity[i] * joint, joint) for i, w, joint in seen]

    for history in asked:
        known = plain_weights(history, matching.recency, 4)
        assert_evidence(scorer, history, votes)


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


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=ITEMS, max_size=ITEMS), histories)
def test_factors_name_the_nearest_of_the_history(points: list[list[int]], asked: list[list[int]]) -> None:
    scorer = Factors(np.array(points, np.float32), confidence=None, regularization=0.0, recency=1.0, last=3)
    for history in asked:
        known = plain_weights(history, 1.0, 3)
        assert_evidence(
            scorer, history, lambda j, known=known: [(i, w * np.dot(points[i], points[j]), 0) for i, w in known]
        )


@dataclass(frozen=True)
class Says:
    """Gives the evidence that it was told: (seed, count) of every item."""

    told: list[tuple[int, int]]

    def evidence(self, history: Int32, items: Int32) -> Evidence:
        seeds, counts = np.array(self.told).T
        return Evidence(seeds[items].astype(np.int32), counts[items].astype(np.int64))


@given(
    st.lists(
        st.lists(st.tuples(st.integers(-1, 1), st.integers(0, 2)), min_size=3, max_size=3), min_size=3, max_size=3
    ),
    st.permutations([1.0, 2.0, 3.0]),
)
def test_a_mix_hands_on_the_most_telling_evidence(told: list[list[tuple[int, int]]], weights: list[float]) -> None:
    mix = Mix(tuple(map(Says, told)), tuple(weights), "rank", 10.0, 5, 1.0)  # type: ignore[arg-type]
    items = [2, 0, 1, 2]
    found = mix.evidence(np.zeros(0, np.int32), np.array(items, np.int32))
    for item, *got in zip(items, found.seeds.tolist(), found.counts.tolist(), strict=True):
        said = [told[m][item] for m in sorted(range(3), key=lambda m: -weights[m])]
        counted = [e for e in said if e[0] >= 0 and e[1] > 0]
        anything = [e for e in said if e != (-1, 0)]
        assert tuple(got) == (*counted, *anything, (-1, 0))[0]


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
